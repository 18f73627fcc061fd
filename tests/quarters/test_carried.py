"""Reports that a submission carries over: figures of the quarter, and no reports of an agency."""

from typing import Any

import pytest

from tests.plans.world import ANY, AT, put
from tests.quarters.world import A1, Q2, Office, summarise_refusal

pytestmark = pytest.mark.both_engines

Q1_REPORT = f"{AT}/actions/A-1/progress/2026-Q1"


@pytest.fixture
def submitted(office: Office) -> Office:
    """An office whose second quarter counts with the report of the first on `A-1`."""
    office.report("A-1", quarter=1, spent=7, outputs=[{"code": "O1", "achieved": 4}])
    office.report("A-2", spent=5)
    office.move("submit")
    return office


def list_items(office: Office, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = office.secretariat.get(path).json()["items"]
    return items


def test_a_carried_report_counts_and_is_none(submitted: Office) -> None:
    assert submitted.secretariat.get(f"{AT}/summary?period=2026-Q2").json()["spent"] == 12
    quarter = submitted.secretariat.get(Q2).json()
    assert (quarter["expected"], quarter["reported"]) == (2, 1)
    assert [item["action"] for item in list_items(submitted, f"{AT}/progress/2026-Q2")] == ["A-2"]
    assert [item["period"] for item in list_items(submitted, f"{AT}/actions/A-1/progress")] == ["2026-Q1"]
    assert submitted.secretariat.get(A1).status_code == 404
    history = list_items(submitted, f"{AT}/history?limit=100")
    assert "plans/63.02-2026/actions/A-1/progress/2026-Q2" not in [item["subject"] for item in history]
    line = submitted.secretariat.get(f"{AT}/actions/A-1").json()
    assert (line["progress_period"], line["spent"]) == ("2026-Q1", 7)


def test_a_carried_report_keeps_its_figures_and_nothing_else(submitted: Office) -> None:
    """A correction of the first quarter moves only that, and frees the output that it drops."""
    submitted.report("A-1", quarter=1, spent=3)
    assert submitted.secretariat.get(f"{AT}/summary?period=2026-Q2").json()["spent"] == 12
    assert submitted.secretariat.get(f"{AT}/summary?period=2026-Q1").json()["spent"] == 3
    put(submitted.secretariat, "A-1", outputs=[])
    assert submitted.secretariat.delete(Q1_REPORT, headers=ANY).status_code == 204
    assert submitted.secretariat.get(f"{AT}/summary?period=2026-Q2").json()["spent"] == 12


def test_the_findings_of_a_later_report_compare_with_real_reports(submitted: Office) -> None:
    submitted.report("A-1", quarter=1, spent=3)
    later = submitted.secretariat.put(f"{AT}/actions/A-1/progress/2026-Q3", json={"spent": 4})
    assert later.status_code == 201, later.text
    assert "E06" not in [finding["code"] for finding in later.json()["findings"]]


@pytest.mark.parametrize("verbs", [("return",), ("verify", "freeze", "correct", "submit")])
def test_a_line_that_a_later_quarter_counts_can_go_after_that_quarter(
    office: Office, verbs: tuple[str, ...]
) -> None:
    """The refusal names the quarter that counts the earlier report, and either way out of it leads on."""
    first, line = Q2.replace("Q2", "Q1"), f"{AT}/actions/A-2"
    office.report("A-2", quarter=1, spent=5)
    office.move("submit", "verify", "freeze", at=first)
    office.move("submit")
    office.move("correct", at=first)
    gone = office.secretariat.delete(f"{line}/progress/2026-Q1", headers=ANY)
    assert gone.status_code == 204
    reply = office.secretariat.delete(line, headers=ANY)
    assert summarise_refusal(reply) == (409, "part_in_use", ["counted_line"])
    assert "2026-Q2" in reply.json()["errors"][0]["message"]
    assert office.secretariat.get(line).json()["allowed"] == ["edit", "report_progress"]
    office.move(*verbs)
    assert "delete" in office.secretariat.get(line).json()["allowed"]
    assert office.secretariat.delete(line, headers=ANY).status_code == 204
