"""What the document shows of meetings and commitments: a regency's rakor, and what was signed there."""

from typing import Any

_DINSOS = "1.06.0.00.0.00.08.0000"

MEETING_EXAMPLE: dict[str, Any] = {
    "title": "Rakor TKPK Kabupaten Kotabaru I",
    "date": "2025-03-11",
    "place": "Aula Bappeda",
    "agenda": ["Sinkronisasi data DTSEN", "Pembagian lokus per perangkat daerah"],
    "minutes_url": "https://berkas.kotabarukab.go.id/rakor-1.pdf",
    "document_number": "400.9/021/TKPK/2025",
    "agencies_present": [_DINSOS],
}

MEETING_OUT_EXAMPLE: dict[str, Any] = {
    **MEETING_EXAMPLE,
    "region_code": "63.02",
    "region_name": "Kabupaten Kotabaru",
    "code": "R-01",
    "state": "held",
    "commitment_count": 1,
    "version": 1,
    "updated_at": "2025-03-12T01:20:00+00:00",
}

COMMITMENT_EXAMPLE: dict[str, Any] = {
    "text": "Menyerahkan daftar keluarga desil 1 yang belum terlayani di tiap lokus",
    "meeting": "R-01",
    "responsible_agency": _DINSOS,
    "due": "2025-06-30",
    "signatory_positions": ["Wakil Bupati Kotabaru", "Kepala Dinas Sosial"],
    "linked_actions": [{"plan": "63.02-2026", "action": "A-001"}],
}

FOLLOW_UP_EXAMPLE: dict[str, Any] = {
    "note": "Daftar 14 dari 22 kecamatan sudah diserahkan",
    "evidence_url": "https://berkas.kotabarukab.go.id/daftar-14.pdf",
}

COMMITMENT_OUT_EXAMPLE: dict[str, Any] = {
    **COMMITMENT_EXAMPLE,
    "region_code": "63.02",
    "region_name": "Kabupaten Kotabaru",
    "code": "K-01",
    "state": "in_progress",
    "overdue": True,
    "days_overdue": 12,
    "follow_ups": [
        {
            **FOLLOW_UP_EXAMPLE,
            "at": "2025-05-20T03:04:05.123456+00:00",
            "by": "opd-dinsos",
            "state": "in_progress",
        }
    ],
    "version": 2,
    "updated_at": "2025-05-20T03:04:05.123456+00:00",
}
