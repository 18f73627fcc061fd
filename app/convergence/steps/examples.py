"""What the document shows of steps, evidence and grades."""

from typing import Any

EVIDENCE_EXAMPLE: dict[str, Any] = {
    "kind": "team_decree",
    "title": "Keputusan Bupati tentang TKPK",
    "date": "2025-02-03",
    "document_number": "188.45/71/KUM/2025",
    "url": "https://jdih.kotabarukab.go.id/188-45-71-2025.pdf",
    "village": None,
}
PLACE_EXAMPLE: dict[str, Any] = {
    "region_code": "63.02",
    "year": 2026,
    "step": "regulation",
    "key": "sk-tkpk",
    "version": 1,
    "updated_at": "2025-02-04T03:00:00+00:00",
}
GRADE_EXAMPLE: dict[str, Any] = {"grade": "B", "reason": "Regulasi RPKD belum diperbarui"}
GRADED_EXAMPLE: dict[str, Any] = {
    **GRADE_EXAMPLE,
    "graded_at": "2026-02-11T03:00:00+00:00",
    "graded_by": "bappeda-kalsel",
    "version": 1,
}
STEP_EXAMPLE: dict[str, Any] = {
    "step": "regulation",
    "machine_score": 50.0,
    "panel_score": 75.0,
    "score": 75.0,
    "number": 4,
    "name": "Regulasi daerah",
    "name_english": "Regulation",
    "weight": 1,
    "opens_on": "2025-01-01",
    "due_on": "2025-12-31",
    "deadline": "2025-12-31T23:59:59+08:00",
    "state": "late",
    "done_on": None,
    "deadline_missed": True,
    "criteria": [
        {
            "code": "decrees",
            "name": "Regulasi yang ditunjukkan",
            "name_english": "Regulations shown",
            "weight": 40,
            "measure": "evidence_given",
            "thresholds": {"a": 100, "b": 66, "c": 33, "d": 33},
            "value": 33.33,
            "unit": "percent",
            "inputs": {"required": 3, "given": 1},
            "measured_at": None,
            "no_figure": None,
            "machine_grade": "C",
            "panel": GRADED_EXAMPLE,
            "grade": "B",
        }
    ],
    "evidence_kinds": [
        {
            "code": "team_decree",
            "name": "Keputusan TKPK",
            "name_english": "Decree of the team",
            "required": True,
            "per_village": False,
            "count": 1,
            "first_date": "2025-02-03",
        }
    ],
    "evidence": [
        {**EVIDENCE_EXAMPLE, **{name: PLACE_EXAMPLE[name] for name in ("key", "version", "updated_at")}},
    ],
}
