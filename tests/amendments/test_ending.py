"""Lines of a plan in force end instead of going, with the quarters in which a report on them is due."""

import random
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.plans.actions.queries import actions
from tests.amendments.world import AMENDMENT, HEALTHY, LINES, Movers, amend, because, budget, expect_ok
from tests.database import OneTransaction
from tests.meetings.world import commit, put_meeting
from tests.plans.world import ANY, AT, HEALTH, PLAN, SOCIAL, read_rows, refused, report, walk

WHY = {"category": "revised_budget", "reason": "Tidak lagi dibiayai APBD-P"}
QUARTERS = [f"2026-Q{n}" for n in range(1, 5)]
REGION = "/v1/regions/63.02"


def end(client: TestClient, code: str) -> Any:
    """End a line of the amendment with a reason and return it."""
    expect_ok(client.delete(f"{LINES}/{code}", params=WHY, headers=ANY))
    return expect_ok(client.get(f"{LINES}/{code}"))


def adopt(movers: Movers) -> None:
    for verb in ("submit", "endorse", "adopt"):
        expect_ok(movers.move(verb))


def read_line(client: TestClient, code: str) -> Any:
    return expect_ok(client.get(f"{AT}/actions/{code}"))


def read_kinds(client: TestClient) -> list[str]:
    return [entry["kind"] for entry in walk(client, f"{AMENDMENT}/history")]


# Drafting


def test_a_deleted_line_ends_after_its_last_reported_quarter_and_stays(
    amended: TestClient, movers: Movers, provincial_reader: TestClient
) -> None:
    for quarter in (1, 2):
        report(amended, "A-1", quarter, spent=quarter)
    before = expect_ok(amended.get(AT))
    ended = end(amended, "A-1")
    assert (ended["change"], ended["ends_after"], ended["lacking"]) == ("ended", "2026-Q2", [])
    assert read_line(provincial_reader, "A-1")["ends_after"] is None, "a draft shows nothing to readers"
    (difference,) = expect_ok(amended.get(f"{AMENDMENT}/differences"))["actions"]
    assert (difference["change"], difference["changes"]) == (
        "ended",
        [{"field": "/ends_after", "before": None, "after": "2026-Q2"}],
    )
    adopt(movers)
    line = read_line(provincial_reader, "A-1")
    assert (line["ends_after"], line["spent"], line["allocation"]) == ("2026-Q2", 2, 250_000_000)
    assert [item["code"] for item in walk(provincial_reader, f"{AT}/actions")] == ["A-1", "A-2", "A-3"]
    after = expect_ok(amended.get(AT))
    assert [after[name] for name in ("action_count", "allocation")] == [
        before[name] for name in ("action_count", "allocation")
    ]
    frozen = {line["code"]: line for line in expect_ok(amended.get(f"{AT}/revisions/1"))["actions"]}
    assert frozen["A-1"]["ends_after"] == "2026-Q2"
    (ended_then,) = expect_ok(amended.get(f"{AT}/revisions/1/differences"))["actions"]
    assert (ended_then["change"], ended_then["reasons"][0]["text"]) == ("ended", WHY["reason"])


def test_a_line_with_references_can_end(amended: TestClient, movers: Movers) -> None:
    put_meeting(amended, "R-1")
    commit(amended, "K-1", linked_actions=[{"plan": PLAN, "action": "A-1"}])
    end(amended, "A-1")
    adopt(movers)
    linked = expect_ok(amended.get(f"{REGION}/commitments/K-1"))["linked_actions"]
    assert [item["action"] for item in linked] == ["A-1"]


def test_a_report_before_the_adoption_moves_the_end_of_a_deleted_line(
    amended: TestClient, movers: Movers
) -> None:
    assert end(amended, "A-1")["ends_after"] == "2025-Q4"
    report(amended, "A-1", 1, spent=1)
    assert expect_ok(amended.get(f"{LINES}/A-1"))["ends_after"] == "2026-Q1"
    for verb in ("submit", "endorse"):
        expect_ok(movers.move(verb))
    report(amended, "A-1", 2, spent=2)
    expect_ok(movers.move("adopt"))
    assert read_line(amended, "A-1")["ends_after"] == "2026-Q2"
    (frozen, *_) = expect_ok(amended.get(f"{AT}/revisions/1"))["actions"]
    assert frozen["ends_after"] == "2026-Q2"


def test_a_report_after_a_stated_end_refuses_the_whole_adoption(amended: TestClient, movers: Movers) -> None:
    amend(amended, "A-1", [because()], ends_after="2026-Q1", **budget(300))
    for verb in ("submit", "endorse"):
        expect_ok(movers.move(verb))
    report(amended, "A-1", 2, spent=5)
    assert refused(movers.move("adopt"), 409) == [("/actions/A-1/ends_after", "reported_quarter")]
    assert read_line(amended, "A-1")["allocation"] == 250_000_000
    expect_ok(movers.move("return"))
    assert refused(movers.move("submit")) == [("/actions/A-1/ends_after", "reported_quarter")]
    amend(amended, "A-1", ends_after="2026-Q2")
    adopt(movers)
    assert read_line(amended, "A-1")["ends_after"] == "2026-Q2"


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"starts_in": "2027-Q1"}, [("/starts_in", "unknown_value")]),
        ({"starts_in": "2025-Q4"}, [("/starts_in", "unknown_value")]),
        ({"ends_after": "2025-Q3"}, [("/ends_after", "unknown_value")]),
        ({"ends_after": "2027-Q1"}, [("/ends_after", "unknown_value")]),
        ({"ends_after": "2026-Q5"}, [("/ends_after", "wrong_pattern")]),
        ({"starts_in": "2026-Q3", "ends_after": "2026-Q2"}, [("/ends_after", "ends_before_it_starts")]),
    ],
)
def test_quarters_are_of_the_plans_year_and_in_order(
    amended: TestClient, change: dict[str, Any], errors: list[Any]
) -> None:
    assert refused(amended.patch(f"{LINES}/A-2", json=change, headers=ANY)) == errors
    batch = {"items": [{"code": "A-2", **HEALTHY, **change}, {"code": "A-3", **HEALTHY, "note": "x"}]}
    each = expect_ok(amended.put(f"{LINES}?each=true", json=batch, headers=ANY))
    assert [item["status"] for item in each["items"]] == ["refused", "updated"]


def test_the_quarters_of_a_line_cover_its_reports(amended: TestClient) -> None:
    for quarter in (2, 3):
        report(amended, "A-2", quarter, spent=quarter)
    for change, field in (
        ({"ends_after": "2026-Q2"}, "/ends_after"),
        ({"ends_after": "2025-Q4"}, "/ends_after"),
        ({"starts_in": "2026-Q3"}, "/starts_in"),
    ):
        errors = refused(amended.patch(f"{LINES}/A-2", json=change, headers=ANY), 409)
        assert {*errors} == {(field, "reported_quarter")}
    for first, last in (("2026-Q2", "2026-Q3"), ("2026-Q1", "2026-Q4"), (None, None)):
        amend(amended, "A-2", starts_in=first, ends_after=last)


def test_changed_quarters_need_a_reason(amended: TestClient, movers: Movers) -> None:
    assert amend(amended, "A-2", starts_in="2026-Q2", ends_after="2026-Q3")["lacking"] == [
        "/starts_in",
        "/ends_after",
    ]
    pointers = {pointer for pointer, code in refused(movers.move("submit")) if code == "missing_reason"}
    assert pointers == {"/actions/A-2/starts_in", "/actions/A-2/ends_after"}
    line = amend(amended, "A-2", [because("/starts_in"), because("/ends_after")])
    assert (line["lacking"], line["change"]) == ([], "ended")
    adopt(movers)


def test_a_change_of_an_ended_line_keeps_its_end_until_a_write_brings_it_back(
    amended: TestClient, movers: Movers
) -> None:
    report(amended, "A-1", 1, spent=1)
    end(amended, "A-1")
    line = amend(amended, "A-1", **budget(300))
    assert (line["change"], line["ends_after"], line["allocation"]) == ("ended", "2026-Q1", 300)
    adopt(movers)
    expect_ok(movers.move("amend"))
    assert amend(amended, "A-1", note="Catatan")["ends_after"] == "2026-Q1"
    # A PUT replaces the whole line: without the fields it brings the line back, which needs a reason.
    own = {name: value for name, value in read_line(amended, "A-1").items() if name in HEALTHY}
    back = expect_ok(amended.put(f"{LINES}/A-1", json=own, headers=ANY))
    assert (back["change"], back["ends_after"]) == ("changed", None)
    assert "/ends_after" in back["lacking"]
    amend(amended, "A-1", [because()], ends_after=None)
    adopt(movers)
    assert read_line(amended, "A-1")["ends_after"] is None
    report(amended, "A-1", 2, spent=2)


def test_an_end_that_is_already_there_changes_nothing(amended: TestClient, movers: Movers) -> None:
    end(amended, "A-1")
    first = read_kinds(amended)
    version = end(amended, "A-1")["version"]
    amend(amended, "A-1")
    assert (read_kinds(amended), end(amended, "A-1")["version"]) == (first, version)
    other = {"category": "policy", "reason": "Digabungkan"}
    expect_ok(amended.delete(f"{LINES}/A-1", params=other, headers=ANY))
    assert expect_ok(amended.get(f"{LINES}/A-1"))["reasons"][0]["text"] == "Digabungkan"
    report(amended, "A-1", 1, spent=1)
    reasons = amend(amended, "A-1", [because()])["reasons"]
    report(amended, "A-1", 2, spent=1)
    line = expect_ok(amended.get(f"{LINES}/A-1"))
    assert (line["reasons"], line["ends_after"]) == (reasons, "2026-Q2"), "other reasons leave the end free"
    adopt(movers)
    expect_ok(movers.move("amend"))
    kinds = read_kinds(amended)
    ended = end(amended, "A-1")
    assert (ended["change"], ended["reasons"], read_kinds(amended)) == ("unchanged", [], kinds)


# Many amendments


@pytest.mark.both_engines
@pytest.mark.parametrize("seed", range(3))
def test_no_line_of_a_revision_ever_goes(
    database: OneTransaction, amended: TestClient, movers: Movers, seed: int
) -> None:
    """Random amendments: every code of a revision stays, and each end covers the reports on its line."""
    chance = random.Random(seed)
    known: set[str] = set()
    for round_number in range(3):
        codes = [line["code"] for line in walk(amended, LINES)]
        new = f"N-{round_number}"
        expect_ok(amended.put(f"{LINES}/{new}", json={**HEALTHY, "title": new, "reasons": [because()]}))
        for code in chance.sample(codes, chance.randint(1, len(codes))):
            match chance.choice(["end", "state", "back", "change", "report", "report"]):
                case "end":
                    end(amended, code)
                case "state":
                    last = expect_ok(amended.get(f"{LINES}/{code}"))["progress_period"] or "2025-Q4"
                    later = [quarter for quarter in QUARTERS if quarter >= last] or QUARTERS
                    amend(amended, code, [because()], ends_after=chance.choice(later))
                case "back":
                    amend(amended, code, [because()], ends_after=None, starts_in=None)
                case "change":
                    amend(amended, code, [because()], **budget(chance.randint(1, 9) * 100))
                case _:
                    last = read_line(amended, code)["ends_after"] or "2026-Q4"
                    if covered := [quarter for quarter in QUARTERS if quarter <= last]:
                        report(amended, code, int(chance.choice(covered)[-1]), spent=1)
        adopt(movers)
        frozen = {
            line["code"]: line["ends_after"]
            for line in expect_ok(amended.get(f"{AT}/revisions/{round_number + 1}"))["actions"]
        }
        known |= frozen.keys()
        assert known == frozen.keys()
        rows = read_rows(database, sa.select(actions.c.code, actions.c.ends_after, actions.c.progress_period))
        assert {row.code: row.ends_after for row in rows} == frozen
        for row in rows:
            assert (
                row.ends_after is None or row.progress_period is None or row.progress_period <= row.ends_after
            )
        expect_ok(movers.move("amend"))


def test_ending_many_lines_costs_as_many_statements_as_one(
    database: OneTransaction, amended: TestClient, movers: Movers
) -> None:
    items = [{**HEALTHY, "code": f"C-{n:02}", "title": f"C{n}", "reasons": [because()]} for n in range(30)]
    expect_ok(amended.put(LINES, json={"items": items}, headers=ANY))
    adopt(movers)

    def count_adoption(codes: list[str]) -> int:
        expect_ok(movers.move("amend"))
        for code in codes:
            end(amended, code)
        for verb in ("submit", "endorse"):
            expect_ok(movers.move(verb))
        del database.statements[:]
        expect_ok(movers.move("adopt"))
        return len(database.statements)

    assert count_adoption(["C-00"]) == count_adoption([f"C-{n:02}" for n in range(1, 30)])


def test_a_merge_of_agencies_reaches_ended_lines(amended: TestClient, movers: Movers) -> None:
    end(amended, "A-2")
    expect_ok(amended.post(f"{REGION}/agencies/{HEALTH}/merge", json={"into": SOCIAL}, headers=ANY))
    line = expect_ok(amended.get(f"{LINES}/A-2"))
    assert (line["lead_agency"], line["change"], line["ends_after"]) == (SOCIAL, "ended", "2025-Q4")
    adopt(movers)
    assert read_line(amended, "A-2")["lead_agency"] == SOCIAL
