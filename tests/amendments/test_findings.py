"""Findings while an amendment is drafted: a budget below what was spent is an error."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.amendments.world import LINES, Movers, amend, because, budget, expect_ok
from tests.database import OneTransaction
from tests.exchange.office import Office, edited, line, sheet
from tests.exchange.test_amending import first_row
from tests.plans.world import ANY, AT, furnish, put, put_plan, report
from tests.workflow.moves import CODED

SPENT = {
    "spending": [{"funding_source": "APBD", "amount": 100}],
    "components": [
        {"component_class": "direct", "amount": 60},
        {"component_class": "supporting", "amount": 40},
    ],
    "physical_reported_percent": 0,
}


def split(direct: int, supporting: int, apbd: int, allocation: int) -> dict[str, Any]:
    """Return the changes that set a line's budget by class, from its source, and in all."""
    return {
        "allocation": allocation,
        "components": [
            {"code": "C1", "component_class": "direct", "amount": direct},
            {"code": "C2", "component_class": "supporting", "amount": supporting},
        ],
        "budget_lines": [
            {"funding_source": "DAU", "amount": allocation - apbd},
            {"funding_source": "APBD", "amount": apbd},
        ],
    }


def list_errors(findings: list[dict[str, Any]]) -> list[tuple[str, object, object]]:
    """Return (pointer, drafted, spent) of the findings E07."""
    return [
        (finding["pointer"], finding["values"]["value"], finding["values"]["spent"])
        for finding in findings
        if finding["code"] == "E07"
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (split(60, 40, 100, 100), []),
        (split(160, 40, 150, 200), []),
        (split(60, 39, 99, 99), [("/allocation", 99), ("/budget_lines/1/amount", 99), ("/components", 39)]),
        # inside a fitting total
        (split(60, 60, 99, 120), [("/budget_lines/1/amount", 99)]),
        (split(59, 61, 100, 120), [("/components", 59)]),
        # an absent class has the budget 0
        (budget(100), [("/components", 0)]),
        # without amounts by class or source, the total alone counts
        ({**budget(100), "components": []}, []),
        (
            {
                **budget(100),
                "components": [{"code": "C1", "component_class": "indirect"}],
                "budget_lines": [{"funding_source": "APBD"}, {"funding_source": "DAU", "amount": 100}],
            },
            [],
        ),
    ],
)
@pytest.mark.both_engines
def test_a_budget_below_what_was_spent_is_an_error_in_every_reply(
    amended: TestClient, change: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    report(amended, "A-1", 1, **{**SPENT, "spending": [], "components": [], "spent": 90})
    report(amended, "A-1", 2, **SPENT)
    spent = {"/components": {39: 40, 59: 60, 0: 40}}
    errors = [(place, value, spent.get(place, {}).get(value, 100)) for place, value in expected]
    assert list_errors(amend(amended, "A-1", [because()], **change)["findings"]) == errors
    assert list_errors(expect_ok(amended.get(f"{LINES}/A-1"))["findings"]) == errors
    item = {**CODED, **change, "code": "A-1", "reasons": [because()]}
    batch = expect_ok(amended.put(LINES, json={"items": [item]}, headers=ANY))
    assert list_errors(batch["items"][0].get("findings", [])) == errors
    alone = amended.put(f"{LINES}/A-1", json={**CODED, **change}, headers=ANY)
    assert list_errors(expect_ok(alone)["findings"]) == errors


def test_a_budget_below_what_was_spent_blocks_the_submission(amended: TestClient, movers: Movers) -> None:
    report(amended, "A-1", 1, spent=301)
    amend(amended, "A-1", [because()], **budget(300))
    refused = movers.move("submit")
    assert (refused.status_code, refused.json()["code"]) == (422, "condition_failed")
    assert [error["pointer"] for error in refused.json()["errors"]] == [
        "/actions/A-1/allocation",
        "/actions/A-1/budget_lines/0/amount",
    ]
    assert refused.json()["errors"][0]["message"] == (
        "“A-1”: Alokasi Rp 300 lebih kecil daripada realisasinya Rp 301. "
        "Periksa apakah realisasinya benar dan kumulatif, atau naikkan anggarannya."
    )
    amend(amended, "A-1", **budget(301))
    assert movers.move("submit").status_code == 200


@pytest.mark.parametrize("spent", [0, 301])
def test_a_line_that_ended_may_have_any_budget_from_what_was_spent(
    amended: TestClient, movers: Movers, spent: int
) -> None:
    report(amended, "A-1", 1, spent=spent)
    if spent:
        less = amend(amended, "A-1", [because()], **budget(spent - 1), ends_after="2026-Q1")
        assert list_errors(less["findings"])[0] == ("/allocation", spent - 1, spent)
    ended = amend(amended, "A-1", [because()], **budget(spent), ends_after="2026-Q1")
    assert [finding["code"] for finding in ended["findings"]] == []
    assert movers.move("submit").status_code == 200


def test_a_line_below_its_spending_in_force_blocks_the_next_revision_too(
    amended: TestClient, movers: Movers
) -> None:
    report(amended, "A-2", 1, spent=250_000_001)
    amend(amended, "A-1", [because()], **budget(300))
    refused = movers.move("submit").json()["errors"]
    assert refused[0]["pointer"] == "/actions/A-2/allocation"


def test_replies_show_the_findings_of_the_draft_in_both_languages(amended: TestClient) -> None:
    report(amended, "A-1", 1, spent=301)
    amend(amended, "A-1", [because()], **budget(300))
    messages = {
        language: amended.get(f"{LINES}/A-1", headers={"Accept-Language": language}).json()["findings"]
        for language in ("id", "en")
    }
    assert (
        messages["id"][1]["message"] == "Anggaran dari “APBD” Rp 300 lebih kecil daripada realisasinya Rp 301"
    )
    assert (
        messages["en"][1]["message"]
        == "The budget of Rp 300 from “APBD” is less than the Rp 301 already spent"
    )
    assert expect_ok(amended.get(f"{LINES}/A-2"))["findings"] == []
    in_force = expect_ok(amended.get(f"{AT}/actions/A-1"))["findings"]
    assert in_force == [], "the draft is not the plan in force"


def test_reports_do_not_block_the_first_submission(
    database: OneTransaction, connect: Callable[..., TestClient]
) -> None:
    secretariat = connect(("secretariat", "63.02"))
    furnish(database)
    put_plan(secretariat)
    put(secretariat, "A-1", base=CODED)
    report(secretariat, "A-1", 1, spent=250_000_001)
    assert expect_ok(secretariat.get(f"{AT}/actions/A-1"))["findings"] == []
    assert Movers(connect).move("submit").status_code == 200


def test_an_import_names_the_cell_of_a_budget_below_what_was_spent(
    database: OneTransaction, connect: Callable[..., TestClient]
) -> None:
    furnish(database)
    office = Office(connect(("secretariat", "63.02")), database)
    office.make_plan()
    office.bring(sheet(line()))
    Movers(connect).bring("amended")
    report(office.client, "A-001", 1, spent=8)
    out = office.export()
    row = first_row(out)
    why = {"category": "revised_budget", "reason": "Penyesuaian APBD-P"}
    result = office.bring(edited(out, {(row, "allocation"): 7}), **why)
    cells = [finding["cell"] for finding in result["findings"] if finding["code"] == "E07"]
    assert {cell["row"] for cell in cells} == {row}
    assert len(cells) == 2, "the total and its only source"
