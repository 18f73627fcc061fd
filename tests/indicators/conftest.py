import csv
import gzip
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.kit.database.upsert import upsert
from app.kit.fields import fold_name
from app.reference.commands import DATA
from app.reference.models import RegionRow
from app.reference.rules import get_level, get_parent
from tests.database import OneTransaction

Send = Callable[..., Any]
TABLES = Path(__file__).parent / "data"


@cache
def load_regions() -> list[dict[str, Any]]:
    """Return the row of each province and regency, with its BPS code."""
    with (DATA / "region_bps_crosswalk.csv").open(newline="") as lines:
        bps = {line["code"]: line["bps_code"] for line in csv.DictReader(lines)}
    with gzip.open(DATA / "regions.csv.gz", "rt", newline="") as lines:
        return [
            {
                "code": line["code"],
                "name": line["name"],
                "level": get_level(line["code"]),
                "parent_code": get_parent(line["code"]),
                "bps_code": bps.get(line["code"]),
                "timezone": "WIB",
                "folded": fold_name(line["name"]),
                "retired": False,
            }
            for line in csv.DictReader(lines)
            if len(line["code"]) <= 5
        ]


@pytest.fixture
def everywhere(database: OneTransaction) -> None:
    """Add all provinces and regencies with their BPS codes; the tests' reference data has five."""
    with database.writing() as session:
        upsert(session, get_table(RegionRow), load_regions(), key=["code"])


@pytest.fixture
def send(national_administrator: TestClient) -> Send:
    """`send(b"code,p0…", code_system="kemendagri")` imports a table as the administrator or `client`."""

    def import_table(
        data: bytes, name: str = "tabel.csv", *, client: TestClient | None = None, **query: Any
    ) -> Any:
        return (client or national_administrator).post(
            "/v1/observations/import",
            files={"file": (name, data)},
            params={"code_system": "kemendagri", **query},
            headers={"Accept-Language": "en"},
        )

    return import_table


def list_error_cells(reply: Any) -> list[tuple[str, str, Any]]:
    """Return (cell, code, value) of the errors in a refusal."""
    assert reply.status_code == 422, reply.text
    return [
        (f"{error['cell']['column']}{error['cell']['row']}", error["code"], error.get("value"))
        for error in reply.json()["errors"]
    ]
