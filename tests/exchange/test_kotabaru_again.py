"""The real plan and report of Kabupaten Kotabaru after their import: again, exported, and imported."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.common import ConnectAs, begin_with
from tests.database import OneTransaction
from tests.exchange.conftest import open_kotabaru
from tests.exchange.office import Office, edited
from tests.exchange.test_kotabaru import PLAN, REPORT, ROWS, TAKEN

pytestmark = pytest.mark.one_engine


def bring(connect: ConnectAs, database: OneTransaction) -> None:
    """Import the plan and the report."""
    office = open_kotabaru(connect(("secretariat", "63.02")), database)
    office.bring(PLAN, **TAKEN)
    office.bring(REPORT, basis="period", **TAKEN)


world, database = begin_with(bring)


@pytest.fixture
def kotabaru(secretariat: TestClient, database: OneTransaction) -> Office:
    """The secretariat of Kotabaru with the real plan of 2025 and its reports."""
    return Office(secretariat, database, "63.02-2025")


def test_the_same_files_twice_change_nothing(kotabaru: Office) -> None:
    lines, journal = kotabaru.lines(), kotabaru.journal()
    # the plan, its agencies and lines, the reports of two quarters, two imports
    assert len(journal) == 1 + 33 + 156 + 2 * 156 + 2
    again = kotabaru.bring(PLAN, **TAKEN)
    assert (again["unchanged"], again["agencies_created"], again["absent"]) == (156, [], [])
    again = kotabaru.bring(REPORT, basis="period")
    assert [period["unchanged"] for period in again["progress"]] == [156, 156]
    assert (kotabaru.lines(), kotabaru.journal()) == (lines, journal)


WAYS: dict[str, list[dict[str, Any]]] = {
    "xlsx": [{}, {"period": "2025-S2", "basis": "period"}, {"period": "2025", "basis": "cumulative"}],
    "csv": [{}, {"period": "2025-S1"}, {"period": "2025", "basis": "period"}],
}
"""Ending → options of the export; both have the same columns."""


@pytest.mark.parametrize("ending", WAYS)
def test_an_exported_file_imports_without_a_difference(kotabaru: Office, ending: str) -> None:
    lines, journal = kotabaru.lines(), kotabaru.journal()
    for way in WAYS[ending]:
        out = kotabaru.export(ending, **way)
        assert kotabaru.export(ending, **way) == out
        basis = {"basis": way.get("basis", "period")} if way else {}
        report = kotabaru.bring(out, f"a.{ending}", **basis)
        assert (report["unchanged"], report["absent"], report["warnings"]) == (156, [], []), way
        assert {(period["created"], period["updated"]) for period in report["progress"]} <= {(0, 0)}, way
    assert (kotabaru.lines(), kotabaru.journal()) == (lines, journal)


def test_as_many_statements_for_many_lines_as_for_few(kotabaru: Office) -> None:
    counts = []
    for number in (30, 156):
        cells = {(row, "allocation"): ROWS[row]["allocation"] + number for row in sorted(ROWS)[:number]}
        kotabaru.database.statements.clear()
        report = kotabaru.bring(edited(PLAN, cells))
        assert report["updated"] == number
        counts.append(len(kotabaru.database.statements))
    assert counts[0] == counts[1] < 60
