"""Villages of Kotabaru, their reports, and calls that send them."""

from typing import Any

from fastapi.testclient import TestClient

from app.convergence.coverage.rules import is_village
from app.kit.database.engine import Database, get_table
from app.kit.database.upsert import upsert
from app.kit.fields import fold_name
from app.reference.models import RegionRow

PERIOD = "2026-Q2"
AT = f"/v1/coverage/{PERIOD}"
ANY = {"If-Match": "*"}
VILLAGES = [f"63.02.01.200{n}" for n in range(1, 6)]
"""Villages of the district 63.02.01."""
SEKAPUNG = "63.02.05.2001"
"""A village of another district."""

FULL: dict[str, tuple[int, int]] = {
    "health_insurance": (100, 90),
    "food_cash_assistance": (80, 60),
    "education_assistance": (50, 45),
    "livelihood": (60, 15),
    "safe_water": (40, 30),
    "sanitation": (40, 20),
    "decent_housing": (30, 6),
    "electricity": (20, 20),
    "civil_documents": (100, 96),
}


def make_report(
    services: dict[str, tuple[int, int]] | None = None, families: int = 100, **changes: Any
) -> dict[str, Any]:
    """Make a village's report from (eligible, served) by service."""
    return {
        "target_families": families,
        "source": "DTSEN",
        "source_period": "2026-Q1",
        "services": [
            {"service": code, "eligible": eligible, "served": served}
            for code, (eligible, served) in (FULL if services is None else services).items()
        ],
        **changes,
    }


def put(
    client: TestClient,
    village: str,
    services: dict[str, tuple[int, int]] | None = None,
    period: str = PERIOD,
    **changes: Any,
) -> Any:
    """Create or overwrite a village's coverage and return the reply's body."""
    path = f"/v1/coverage/{period}/{village}"
    headers = ANY if client.get(path).status_code == 200 else {}
    reply = client.put(path, json=make_report(services, **changes), headers=headers)
    assert reply.status_code in (200, 201), reply.text
    return reply.json()


def get_figures(client: TestClient, region: str, period: str = PERIOD) -> Any:
    reply = client.get(f"/v1/regions/{region}/coverage", params={"period": period})
    assert reply.status_code == 200, reply.text
    return reply.json()


def add_villages(database: Database, regency: str, districts: int, each: int) -> list[str]:
    """Add districts and villages to a regency without any in the tests' reference data."""
    codes = [f"{regency}.{d:02}" for d in range(1, districts + 1)]
    villages = [f"{code}.{2000 + n}" for code in codes for n in range(1, each + 1)]
    rows = [
        {
            "code": code,
            "name": f"{'Desa' if is_village(code) else 'Kecamatan'} {code}",
            "level": "village" if is_village(code) else "district",
            "parent_code": code.rpartition(".")[0],
            "timezone": "WITA",
            "folded": fold_name(f"{'Desa' if is_village(code) else 'Kecamatan'} {code}"),
            "retired": False,
        }
        for code in [*codes, *villages]
    ]
    with database.writing() as session:
        upsert(session, get_table(RegionRow), rows)
    return villages


def item(village: str, services: dict[str, tuple[int, int]] | None = None, **changes: Any) -> dict[str, Any]:
    return {"village": village, **make_report(services, **changes)}
