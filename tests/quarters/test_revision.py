"""The revision of the plan that a quarter's figures compare with."""

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.agencies.models import AgencyRow
from app.kit.database.engine import get_table
from tests.amendments.world import REGION_LINES, SIGNED_AGAIN, Movers, because, budget, expect_ok
from tests.database import OneTransaction
from tests.plans.world import ANY, HEALTH, WORKS, furnish, put, put_plan
from tests.workflow.moves import Connect

YEAR = 2025
PLAN = f"63.02-{YEAR}"
AT = f"/v1/plans/{PLAN}"
OCTOBER = {**SIGNED_AGAIN, "date": "2025-10-02"}


@pytest.fixture
def movers(database: OneTransaction, connect: Connect) -> Movers:
    """The movers of a plan in force, whose decree is of last December."""
    furnish(database)
    movers = Movers(connect)
    put_plan(movers.team, PLAN)
    for code, base in REGION_LINES.items():
        put(movers.team, code, plan=PLAN, base=base)
    movers.bring("adopted", plan=PLAN)
    return movers


def quarter_path(number: int) -> str:
    return f"/v1/regions/63.02/quarters/{YEAR}-Q{number}"


def read_quarter(client: TestClient, number: int) -> Any:
    return expect_ok(client.get(quarter_path(number)))


def step(movers: Movers, number: int, *verbs: str, **correction: Any) -> Any:
    bodies = {
        "submit": {"accept_missing": True, "accept_without_coverage": True, "reason": "Belum mulai"},
        "return": {"notes": "Mohon diperiksa"},
        "correct": {"reason": "Pemeriksaan", **correction},
    }
    for verb in verbs:
        caller = movers.reviewer if verb in ("return", "verify", "freeze") else movers.team
        body = expect_ok(caller.post(f"{quarter_path(number)}/{verb}", json=bodies.get(verb), headers=ANY))
    return body


def report(movers: Movers, code: str, number: int, spent: int) -> None:
    path = f"{AT}/actions/{code}/progress/{YEAR}-Q{number}"
    headers = ANY if movers.team.get(path).status_code == 200 else {}
    expect_ok(movers.team.put(path, json={"spent": spent}, headers=headers))


def add_line(movers: Movers, signed: dict[str, str]) -> None:
    """Adopt an amendment that adds line A-4."""
    movers.move("amend", plan=PLAN)
    content = {**REGION_LINES["A-1"], "title": "Baris baru", "reasons": [because()]}
    expect_ok(movers.team.put(f"{AT}/amendment/actions/A-4", json=content))
    for verb, body in (("submit", {}), ("endorse", {}), ("adopt", signed)):
        expect_ok(movers.move(verb, plan=PLAN, body=body))


def summarise(client: TestClient, number: int) -> tuple[Any, ...]:
    """Return (revision, expected, missing, allocated) of a quarter on four surfaces."""
    period = f"{YEAR}-Q{number}"
    whole = expect_ok(client.get(f"/v1/completeness?region=63.02&period={period}"))["totals"]
    summary = expect_ok(client.get(f"{AT}/summary?period={period}"))
    assert read_quarter(client, number)["revision"] == summary["revision"]
    assert read_quarter(client, number)["expected"] == whole["expected"]
    return summary["revision"], whole["expected"], whole["missing"], summary["allocated"]


@pytest.mark.both_engines
def test_a_later_amendment_changes_open_quarters_only(movers: Movers) -> None:
    report(movers, "A-1", 2, 5)
    step(movers, 2, "submit", "verify", "freeze")
    frozen, still_open = summarise(movers.team, 2), summarise(movers.team, 3)
    add_line(movers, OCTOBER)
    assert summarise(movers.team, 2) == frozen
    assert summarise(movers.team, 3) == still_open, "the decree is of October"
    revision, expected, *_ = summarise(movers.team, 4)
    assert (frozen[:2], revision, expected) == ((0, 3), 1, 4)


@pytest.mark.parametrize(
    ("signed", "revision"), [("2025-06-30", 1), ("2025-07-01", 0), ("2024-12-31", 1), ("2025-12-31", 0)]
)
def test_the_last_day_of_the_quarter_decides(movers: Movers, signed: str, revision: int) -> None:
    add_line(movers, {**SIGNED_AGAIN, "date": signed})
    assert read_quarter(movers.team, 2)["revision"] == revision
    assert step(movers, 2, "submit")["revision"] == revision


def test_a_quarter_before_the_first_decree_keeps_the_plan_as_submitted(
    database: OneTransaction, connect: Connect
) -> None:
    furnish(database)
    movers = Movers(connect)
    put_plan(movers.team, PLAN)
    put(movers.team, "A-1", plan=PLAN, base=REGION_LINES["A-1"])
    assert step(movers, 1, "submit")["revision"] is None
    put(movers.team, "A-2", plan=PLAN, base=REGION_LINES["A-2"])
    expect_ok(movers.team.delete(f"{AT}/actions/A-1", headers=ANY))
    revision, expected, missing, allocated = summarise(movers.team, 1)
    assert (revision, expected, missing) == (None, 1, 1)
    assert allocated == REGION_LINES["A-1"]["allocation"]
    step(movers, 1, "return")
    assert summarise(movers.team, 1)[1] == 1
    assert (
        expect_ok(movers.team.get(f"/v1/completeness/missing?region=63.02&period={YEAR}-Q1"))["items"][0][
            "action"
        ]
        == "A-2"
    )


def test_a_decree_entered_late_counts_once_the_quarter_is_returned(movers: Movers) -> None:
    step(movers, 2, "submit")
    add_line(movers, {**SIGNED_AGAIN, "date": "2025-05-02"})
    assert summarise(movers.team, 2)[:2] == (0, 3)
    step(movers, 2, "return")
    assert summarise(movers.team, 2)[:2] == (1, 4)


@pytest.mark.both_engines
def test_a_correction_stays_on_its_revision_unless_it_names_another(movers: Movers) -> None:
    step(movers, 2, "submit", "verify", "freeze")
    add_line(movers, OCTOBER)
    assert step(movers, 2, "correct")["revision"] == 0
    assert step(movers, 2, "submit", "verify", "freeze")["revision"] == 0
    body = {"reason": "Pemeriksaan", "revision": 2}
    refused = movers.team.post(f"{quarter_path(2)}/correct", json=body, headers=ANY)
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert (error["pointer"], error["value"], error["allowed"]) == ("/revision", "2", ["0", "1"])
    assert step(movers, 2, "correct", revision=1)["revision"] == 1
    assert summarise(movers.team, 2)[:3] == (1, 4, 4)
    step(movers, 2, "submit", "verify", "freeze")
    snapshots = expect_ok(movers.team.get(f"/v1/snapshots?region=63.02&period={YEAR}-Q2"))["items"]
    assert [row["revision"] for row in snapshots] == [0, 0, 1]


@pytest.mark.both_engines
def test_a_correction_of_an_earlier_quarter_does_not_move_a_later_one(movers: Movers) -> None:
    report(movers, "A-1", 1, 5)
    report(movers, "A-2", 1, 7)
    step(movers, 1, "submit", "verify", "freeze")
    report(movers, "A-2", 2, 9)
    step(movers, 2, "submit", "verify", "freeze")

    def read_spent(number: int) -> int:
        return int(expect_ok(movers.team.get(f"{AT}/summary?period={YEAR}-Q{number}"))["spent"])

    assert (read_spent(1), read_spent(2)) == (12, 14)
    step(movers, 1, "correct")
    report(movers, "A-1", 1, 6)
    report(movers, "A-3", 1, 1)
    assert (read_spent(1), read_spent(2)) == (14, 14)
    listed = expect_ok(movers.team.get(f"{AT}/progress/{YEAR}-Q2"))["items"]
    assert [row["action"] for row in listed] == ["A-2"], "a report that the submission carried over is none"
    assert movers.team.get(f"{AT}/actions/A-1/progress/{YEAR}-Q2").status_code == 404
    step(movers, 2, "correct")
    report(movers, "A-1", 2, 8)
    assert read_spent(2) == 17
    step(movers, 2, "submit", "verify", "freeze")
    assert read_spent(2) == 18, "the correction carries what quarter 1 now has of A-3"


def test_an_amended_target_leaves_the_physical_progress_of_a_submitted_quarter(movers: Movers) -> None:
    path = f"{AT}/actions/A-1/progress/{YEAR}-Q"
    for number in (1, 2):
        done = {"spent": 1, "outputs": [{"code": "O1", "achieved": 10}]}
        expect_ok(movers.team.put(f"{path}{number}", json=done))
    step(movers, 1, "submit")

    def read_physical(number: int) -> Any:
        return expect_ok(movers.team.get(f"{path}{number}"))["physical_percent"]

    assert (read_physical(1), read_physical(2)) == (0.0, 0.0), "by the milestone, which is not done"
    movers.move("amend", plan=PLAN)
    changes = {"milestones": [], **budget(300_000_000)}
    why = [because(f"/{name}") for name in changes]
    expect_ok(movers.team.patch(f"{AT}/amendment/actions/A-1", json={**changes, "reasons": why}, headers=ANY))
    for verb, body in (("submit", {}), ("endorse", {}), ("adopt", {**SIGNED_AGAIN, "date": "2025-03-31"})):
        expect_ok(movers.move(verb, plan=PLAN, body=body))
    assert (read_physical(1), read_physical(2)) == (0.0, 25.0)


def test_an_agency_that_a_past_quarter_names_stays(movers: Movers) -> None:
    """A merge moves the lines of the plan, but the submitted quarter keeps those of its revision."""
    step(movers, 2, "submit")
    agency = f"/v1/regions/63.02/agencies/{HEALTH}"
    expect_ok(movers.team.post(f"{agency}/merge", json={"into": WORKS}, headers=ANY))
    before = summarise(movers.team, 2)
    refused = movers.team.delete(agency, headers=ANY)
    assert (refused.status_code, refused.json()["code"]) == (409, "agency_in_use")
    assert "baris pada revisi rencana dan triwulan yang sudah diajukan (" in refused.json()["detail"]
    assert "delete" not in expect_ok(movers.team.get(agency))["allowed"]
    assert summarise(movers.team, 2) == before


def test_a_plan_stays_while_a_submitted_quarter_keeps_its_lines(
    database: OneTransaction, connect: Connect
) -> None:
    furnish(database)
    movers = Movers(connect)
    put_plan(movers.team, PLAN)
    put(movers.team, "A-1", plan=PLAN, base=REGION_LINES["A-1"])
    step(movers, 1, "submit")
    expect_ok(movers.team.delete(f"{AT}/actions/A-1", headers=ANY))
    assert "delete" not in expect_ok(movers.team.get(AT))["allowed"]
    refused = movers.team.delete(AT, headers=ANY)
    assert (refused.status_code, refused.json()["code"]) == (409, "plan_in_use")
    (error,) = refused.json()["errors"]
    assert (error["code"], error["value"]) == ("plan_has_quarter", f"{YEAR}-Q1")
    assert summarise(movers.team, 1)[1] == 1
    step(movers, 1, "return")
    assert "delete" in expect_ok(movers.team.get(AT))["allowed"]
    expect_ok(movers.team.delete(AT, headers=ANY))


@pytest.mark.both_engines
def test_a_deleted_line_of_a_submitted_quarter_takes_no_report(
    database: OneTransaction, connect: Connect
) -> None:
    furnish(database)
    movers = Movers(connect)
    put_plan(movers.team, PLAN)
    put(movers.team, "A-1", plan=PLAN, base=REGION_LINES["A-1"])
    put(movers.team, "A-2", plan=PLAN, base=REGION_LINES["A-2"])
    step(movers, 1, "submit", "verify", "freeze")
    expect_ok(movers.team.delete(f"{AT}/actions/A-2", headers=ANY))
    step(movers, 1, "correct")
    path = f"{AT}/progress/{YEAR}-Q1"
    one = movers.team.put(f"{AT}/actions/A-2/progress/{YEAR}-Q1", json={"spent": 5})
    many = movers.team.put(path, json={"items": [{"action": "A-2", "spent": 5}]}, headers=ANY)
    for refused, pointer in ((one, "/action"), (many, "/items/0/action")):
        assert refused.status_code == 422
        (error,) = refused.json()["errors"]
        assert (error["pointer"], error["code"], error["value"]) == (pointer, "line_deleted", "A-2")
    report(movers, "A-1", 1, 5)
    assert step(movers, 1, "submit")["expected"] == 2


def test_a_submitted_quarter_keeps_the_edition_of_its_method(movers: Movers, connect: Connect) -> None:
    """Without coverage too, which keeps it by itself."""
    governor, path = connect(("administrator", "63")), f"/v1/regions/63.02/editions/{YEAR}"
    choice = {"service_package": "1", "method": "2", "legal_basis": "Keputusan Gubernur"}
    card = f"/v1/scorecards/63.02?period={YEAR}-Q2"
    step(movers, 2, "submit")
    before = expect_ok(movers.team.get(card))
    refused = governor.put(path, json=choice, headers=ANY)
    assert (refused.status_code, refused.json()["code"]) == (409, "measured_already")
    assert expect_ok(movers.team.get(card)) == before
    step(movers, 2, "return")
    # The submission stored the edition, so the choice has a version.
    expect_ok(governor.put(path, json=choice, headers=ANY))
    assert expect_ok(movers.team.get(card))["method"] == "2"


@pytest.mark.both_engines
def test_an_agency_that_was_deleted_long_ago_keeps_its_figures(
    movers: Movers, database: OneTransaction
) -> None:
    """Before quarters had copies, an agency could be deleted after its merge into another one."""
    step(movers, 2, "submit", "verify")
    expect_ok(
        movers.team.post(f"/v1/regions/63.02/agencies/{HEALTH}/merge", json={"into": WORKS}, headers=ANY)
    )
    period, agencies = f"{YEAR}-Q2", get_table(AgencyRow)
    addresses = {
        f"/v1/completeness?region=63.02&period={period}&by=agency": ("regions", 0, "agencies"),
        f"/v1/completeness/missing?region=63.02&period={period}": ("items",),
        f"/v1/reports/absorption?region=63.02&period={period}": ("items",),
        f"/v1/reports/overdue-milestones?region=63.02&year={YEAR}&on={YEAR}-06-30": ("items",),
        f"/v1/convergence/villages?region=63.02&period={period}": ("items", 0, "agencies"),
        f"{AT}/summary?period={period}": ("by_agency",),
    }

    def read_rows() -> list[list[dict[str, Any]]]:
        lists = []
        for address, path in addresses.items():
            body = expect_ok(movers.team.get(address))
            for key in path:
                body = body[key]
            names = {"agency_name": None, "name": None, "merged_into": None}
            lists.append([{**row, **names} for row in body])
        return lists

    before = read_rows()
    with database.writing() as session:
        session.execute(sa.delete(agencies).where(agencies.c.code == HEALTH))
    assert read_rows() == before
    step(movers, 2, "freeze")


@pytest.mark.both_engines
def test_a_later_edition_is_no_default_of_a_submitted_quarter(movers: Movers, connect: Connect) -> None:
    """The submission stores the default of the day, with an entry in the journal, without coverage too."""
    nation, path = connect(("administrator", "0")), f"/v1/regions/63.02/editions/{YEAR}"
    card = f"/v1/scorecards/63.02?period={YEAR}-Q2"
    assert expect_ok(movers.team.get(path))["version"] is None
    step(movers, 2, "submit")
    before, chosen = expect_ok(movers.team.get(card)), expect_ok(movers.team.get(path))
    del before["computed_at"]
    assert (chosen["version"], chosen["in_use"]) == (1, True)
    history = expect_ok(movers.team.get(f"{path}/history"))["items"]
    assert [entry["kind"] for entry in history] == ["region_edition.created"]
    for kind in ("methods", "service-packages"):
        edition = expect_ok(nation.get(f"/v1/{kind}/1"))
        for name in ("edition", "version", "in_use", "updated_at", "allowed"):
            edition.pop(name, None)
        expect_ok(nation.put(f"/v1/{kind}/late", json={**edition, "first_year": YEAR}))
    assert expect_ok(movers.team.get(path)) == chosen
    assert before.items() <= expect_ok(movers.team.get(card)).items()
    assert expect_ok(nation.get(f"/v1/regions/63.03/editions/{YEAR}"))["method"] == "late"
