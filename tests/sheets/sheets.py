"""Every sheet at hand, with the call that sends it: real ones, the cases, and some variations of one plan."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2 as httpx
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.kit.database.upsert import upsert
from app.reference.models import RegionRow
from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.exchange.office import PLAN_FILE, REPORT_FILE, Office
from tests.indicators.conftest import TABLES, load_regions
from tests.pages import walk
from tests.reference import load_small_reference
from tests.sheets.files import CASES, read_case
from tests.sheets.reading import describe_reply, read_plan
from tests.sheets.variations import QUERY, write_variation

READINGS = Path(__file__).parent / "readings"
_REAL = {
    "kotabaru_2025_rat.xlsx": (PLAN_FILE, {}),
    "kotabaru_2025_rat_asked.xlsx": (PLAN_FILE, {"accept": []}),
    "kotabaru_2025_semester_2.xlsx": (REPORT_FILE, {"basis": "period", "accept": ["free_text", "totals"]}),
}
_OF_BPS = {
    "bps_poverty_regencies_2021.csv": {"period": "2021"},
    "bps_poverty_provinces_2015_2025.csv": {},
}
_WRITINGS = range(6)


class Sheet(NamedTuple):
    """A sheet with its kind, the region or plan it is of, and the query of its call."""

    name: str
    kind: str
    of: str
    data: bytes
    query: dict[str, Any]

    @property
    def stored(self) -> Path:
        """File of the stored reading."""
        return READINGS / f"{self.name}.txt"


def list_sheets() -> Iterator[Sheet]:
    """Yield every sheet, the real ones first."""
    for name, (path, query) in _REAL.items():
        yield Sheet(
            name,
            "matrix",
            "63.02-2025",
            path.read_bytes(),
            {"accept": "free_text", "new_agencies": "create"} | query,
        )
    for name, query in _OF_BPS.items():
        query = {"code_system": "kemendagri", "source": "BPS"} | query
        yield Sheet(name, "observations", "0", (TABLES / name).read_bytes(), query)
    for name, case in CASES.items():
        data, query = read_case(name)
        yield Sheet(name, case["kind"], "18.04-2026", data, query)
    for seed in _WRITINGS:
        written = write_variation(seed)
        yield Sheet(
            f"writing_{seed}.{written.filename.rpartition('.')[2]}",
            "matrix",
            "18.04-2026",
            written.data,
            QUERY,
        )


def open_world(connect: ConnectAs, database: OneTransaction) -> None:
    """Load the regions that the sheets name."""
    with database.writing() as session:
        load_small_reference(session, "63.02.", "18.04", "18.13", "18.04.")
        upsert(session, get_table(RegionRow), load_regions(), key=["code"])


def read_sheet(connect: ConnectAs, database: OneTransaction, sheet: Sheet) -> list[str]:
    """Import a sheet, and return its reading as lines of text. The caller rolls the import back."""
    return _READERS[sheet.kind](connect, database, sheet)


def _read_matrix(connect: ConnectAs, database: OneTransaction, sheet: Sheet) -> list[str]:
    office = Office(connect(("secretariat", sheet.of[:5])), database, sheet.of)
    office.make_plan()
    return read_plan(office, office.send(sheet.data, sheet.name, **sheet.query))


def _read_observations(connect: ConnectAs, database: OneTransaction, sheet: Sheet) -> list[str]:
    client = connect(("administrator", "0"))
    reply = _send(client, "/v1/observations/import", sheet)
    stored = walk(client, "/v1/observations?limit=500")
    facts = [
        f"{item['region_code']} {item['indicator']} {item['period']}: {item['value'] or item['symbol']}"
        for item in stored
    ]
    return describe_reply(reply, facts)


def _read_coverage(connect: ConnectAs, database: OneTransaction, sheet: Sheet) -> list[str]:
    client, period = connect(("secretariat", sheet.of[:5])), f"{sheet.of[6:]}-Q2"
    query = {"source": "DTSEN", "source_period": "2026-Q1"}
    reply = _send(client, f"/v1/coverage/{period}", sheet, **query)
    facts = []
    for item in walk(client, f"/v1/coverage/{period}?region={sheet.of[:5]}&limit=500"):
        facts.append(f"{item['village']}: {item['target_families']} families")
        facts += [f"  {name['service']}: {name['served']} of {name['eligible']}" for name in item["services"]]
    return describe_reply(reply, facts)


def _send(client: TestClient, path: str, sheet: Sheet, **query: str) -> httpx.Response:
    return client.post(path, files={"file": (sheet.name, sheet.data)}, params=query | sheet.query)


_READERS: dict[str, Callable[[ConnectAs, OneTransaction, Sheet], list[str]]] = {
    "matrix": _read_matrix,
    "observations": _read_observations,
    "coverage": _read_coverage,
}
