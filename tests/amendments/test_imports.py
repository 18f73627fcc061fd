"""Importing the matrix of a revised budget into an amendment, with one reason for all its changes."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.amendments.world import AMENDMENT, LINES, Movers, amend, because, expect_ok
from tests.database import OneTransaction
from tests.exchange.office import Office, edited, line, sheet
from tests.exchange.test_amending import first_row
from tests.plans.world import ANY, AT, furnish, walk

pytestmark = pytest.mark.one_engine

WHY: dict[str, Any] = {"category": "revised_budget", "reason": "Penyesuaian APBD Perubahan 2026"}


@pytest.fixture
def office(database: OneTransaction, connect: Callable[..., TestClient]) -> Office:
    """A plan in force with two imported lines and an open amendment."""
    furnish(database)
    office = Office(connect(("secretariat", "63.02")), database)
    office.make_plan()
    office.bring(
        sheet(line(), line(number=2, subactivity="Pendataan Fakir Miskin Cakupan Daerah Kabupaten/Kota"))
    )
    Movers(connect).bring("amended")
    return office


def read_changes(office: Office) -> dict[str, str]:
    return {item["code"]: item["change"] for item in walk(office.client, LINES)}


def test_a_revised_matrix_changes_the_amendment_only(office: Office) -> None:
    before = office.lines()
    new = line(number=3, agency="Dinas Kesehatan", code="1.02.0.00.0.00.02.0000", allocation=5)
    out = office.export()
    revised = edited(out, {(first_row(out), "allocation"): 2_500_000})
    result = office.bring(revised, **WHY)
    assert (result["created"], result["updated"], result["unchanged"]) == (0, 1, 1)
    assert (read_changes(office), office.lines()) == ({"A-001": "changed", "A-002": "unchanged"}, before)
    drafted = expect_ok(office.client.get(f"{LINES}/A-001"))
    assert (drafted["allocation"], drafted["lacking"]) == (2_500_000, [])
    assert drafted["reasons"] == [{"field": "", "category": WHY["category"], "text": WHY["reason"]}]

    repeated = office.bring(revised, **WHY)
    assert (repeated["created"], repeated["updated"], repeated["unchanged"]) == (0, 0, 2)
    more = office.bring(sheet(new), **WHY)
    assert (more["created"], more["absent"]) == (1, ["A-001", "A-002"])
    assert read_changes(office) == {"A-001": "changed", "A-002": "unchanged", "A-003": "created"}
    assert expect_ok(office.client.get(AMENDMENT))["lacking"] == []
    reasons = [
        item["reason"] for item in walk(office.client, f"{AMENDMENT}/history") if "action" in item["kind"]
    ]
    assert len(reasons) == 2
    assert all(item.startswith("import sha256:") for item in reasons)


def test_an_import_keeps_the_reasons_of_other_fields(office: Office) -> None:
    amend(office.client, "A-001", [because("/outputs"), because()], note="Catatan")
    out = office.export()
    office.bring(edited(out, {(first_row(out), "allocation"): 7}), **WHY)
    drafted = expect_ok(office.client.get(f"{LINES}/A-001"))
    assert [(item["field"], item["text"]) for item in drafted["reasons"]] == [
        ("", WHY["reason"]),
        ("/outputs", because("/outputs")["text"]),
    ]


def test_an_import_does_not_reuse_the_code_of_an_ended_line(office: Office) -> None:
    expect_ok(office.client.delete(f"{LINES}/A-002", headers=ANY))
    office.bring(sheet(line(number=9, agency="Dinas Kesehatan", code="1.02.0.00.0.00.02.0000")), **WHY)
    assert read_changes(office) == {"A-001": "unchanged", "A-002": "ended", "A-003": "created"}


def test_an_import_changes_an_ended_line_and_does_not_bring_it_back(office: Office) -> None:
    out = office.export()
    expect_ok(office.client.delete(f"{LINES}/A-001", params=WHY, headers=ANY))
    assert office.bring(out, **WHY)["warnings"] == [], "an unchanged row says nothing"
    result = office.bring(edited(out, {(first_row(out), "allocation"): 7}), **WHY)
    warnings = [(item["code"], item["value"]) for item in result["warnings"]]
    # The totals of the export no longer fit.
    assert [warning for warning in warnings if warning[0] != "total_differs"] == [("line_has_ended", "A-001")]
    assert result["warnings"][-1]["cell"]["row"] == first_row(out)
    line = expect_ok(office.client.get(f"{LINES}/A-001"))
    assert (line["change"], line["ends_after"], line["allocation"]) == ("ended", "2025-Q4", 7)


def test_realisation_is_reported_on_the_lines_in_force(office: Office) -> None:
    spent: dict[str, Any] = {"spent_s1": 10, "spent_total": 10}
    data = sheet(line(**spent), realisation=True)
    result = office.bring(data, basis="cumulative")
    assert [item["period"] for item in result["progress"]] == ["2026-Q2"]
    assert expect_ok(office.client.get(f"{AT}/actions/A-001"))["spent"] == 10
    new = line(number=3, agency="Dinas Kesehatan", code="1.02.0.00.0.00.02.0000", **spent)
    assert [code for code, _ in office.refused(sheet(new, realisation=True), basis="cumulative")] == [
        "not_in_force_yet"
    ]


def test_an_incomplete_reason_or_one_without_an_amendment_is_refused(
    office: Office, connect: Callable[..., TestClient]
) -> None:
    for half in ("category", "reason"):
        params: dict[str, Any] = {half: WHY[half]}
        reply = office.send(sheet(line(allocation=3)), **params)
        assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "reason_incomplete")
    first = Office(office.client, office.database, "63.02-2027")
    first.make_plan()
    reply = first.send(sheet(line()), **WHY)
    assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "no_amendment")


def test_a_submitted_amendment_takes_no_file(office: Office, connect: Callable[..., TestClient]) -> None:
    office.bring(sheet(line(allocation=3)), **WHY)
    expect_ok(Movers(connect).move("submit"))
    reply = office.send(sheet(line(allocation=4)), **WHY)
    assert (reply.status_code, reply.json()["code"]) == (409, "amendment_not_editable")


def test_a_drafted_line_has_its_row_until_another_draft(office: Office) -> None:
    in_force = office.lines()
    out = office.export()
    result = office.bring(edited(out, {(first_row(out), "allocation"): 2_500_000}), **WHY)
    drafted = {item["code"]: item for item in walk(office.client, LINES)}
    (written,) = result["before"]
    assert written["line"] == "A-001"
    assert written["version"] < drafted["A-001"]["version"]
    assert drafted["A-001"]["imported_from"]["import_number"] == result["import_number"] == 2
    assert drafted["A-002"]["imported_from"] == in_force["A-002"]["imported_from"]
    assert office.lines() == in_force
    amend(office.client, "A-001", note="Diubah")
    assert expect_ok(office.client.get(f"{LINES}/A-001"))["imported_from"] is None
    assert office.client.delete(AMENDMENT, headers=ANY).status_code == 204
    assert office.lines() == in_force
