"""The plan of the OpenAPI document's examples."""

from typing import Any

PLAN_EXAMPLE: dict[str, Any] = {
    "title": "RAT Penanggulangan Kemiskinan Kabupaten Kotabaru 2026",
    "medium_term_plan": "RPKD Kabupaten Kotabaru 2025–2029",
    "nomenclature_edition": "2027",
    "note": "",
    "priority_locations": [
        {
            "region_code": "63.02.05.2001",
            "target_families": 140,
            "source": "DTSEN",
            "source_period": "2025-Q4",
        }
    ],
}

REASON_EXAMPLE: dict[str, Any] = {
    "field": "/allocation",
    "category": "revised_budget",
    "text": "Pagu disesuaikan dengan APBD Perubahan 2026",
}

PLAN_OUT_EXAMPLE: dict[str, Any] = {
    **PLAN_EXAMPLE,
    "plan": "63.02-2026",
    "region_code": "63.02",
    "region_name": "Kabupaten Kotabaru",
    "year": 2026,
    "state": "draft",
    "revision": None,
    "version": 1,
    "updated_at": "2026-01-20T02:00:00+00:00",
    "action_count": 156,
    "allocation": 632470087081,
}
