"""The action of the OpenAPI document's examples."""

from pydantic.config import JsonDict

ACTION_EXAMPLE: JsonDict = {
    "title": "Bantuan permakanan lanjut usia terlantar",
    "strategy": "reduce_spending_burden",
    "lead_agency": "1.06.0.00.0.00.08.0000",
    "nomenclature_edition": "2027",
    "subactivity_code": "1.06.04.2.01.0001",
    "subactivity": "Penyediaan Permakanan",
    "activity": "Rehabilitasi Sosial Dasar Penyandang Disabilitas Terlantar, Anak Terlantar, Lanjut Usia Terlantar",
    "program": "PROGRAM REHABILITASI SOSIAL",
    "allocation": 250000000,
    "benefit_regularity": "routine",
    "benefit_forms": ["goods"],
    "benefit_amount": 500000,
    "benefit_description": "Paket permakanan",
    "benefit_months": 12,
    "matrix_texts": {"location": "Seluruh kecamatan pesisir"},
    "first_month": 1,
    "last_month": 12,
    "source_stage": "apbd",
    "source_key": "RKA-1.06-0007",
    "note": "",
    "supporting_agencies": [],
    "components": [
        {
            "code": "C1",
            "component_class": "direct",
            "description": "Paket permakanan",
            "amount": 240000000,
            "is_travel": False,
        },
        {
            "code": "C2",
            "component_class": "supporting",
            "description": "Verifikasi data",
            "amount": 10000000,
            "is_travel": False,
        },
    ],
    "budget_lines": [{"funding_source": "APBD", "amount": 250000000, "stage": "apbd"}],
    "outputs": [
        {
            "code": "O1",
            "indicator": "Lansia yang menerima permakanan",
            "unit": "Orang",
            "baseline": None,
            "target": 40,
            "quarterly_targets": [10, 20, 30, 40],
        }
    ],
    "recipients": [
        {
            "code": "R1",
            "kind": "persons",
            "unit": "Orang",
            "count": 40,
            "decile_from": 1,
            "decile_to": 2,
            "vulnerable_groups": ["lansia"],
            "source": "DTSEN",
            "source_period": "2025-Q4",
        }
    ],
    "locations": [{"region_code": "63.02.05", "recipients": 40, "amount": None}],
    "milestones": [
        {
            "code": "M1",
            "title": "Penetapan penerima",
            "due": "2026-03-31",
            "weight": 30,
            "evidence_required": True,
        },
        {
            "code": "M2",
            "title": "Penyaluran selesai",
            "due": "2026-12-15",
            "weight": 70,
            "evidence_required": False,
        },
    ],
    "tags": ["lansia"],
}

ACTION_OUT_EXAMPLE: JsonDict = {
    **ACTION_EXAMPLE,
    "code": "A-001",
    "plan": "63.02-2026",
    "version": 3,
    "updated_at": "2026-02-11T03:20:00+00:00",
    "progress_period": "2026-Q2",
    "spent": 120000000,
    "absorption_percent": 48.0,
    "physical_percent": 50.0,
    "imported_from": {"import_number": 2, "sheet": "Matriks", "row": 12},
}
