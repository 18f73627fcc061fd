"""While a quarter is with its reviewer, or frozen, nobody writes its progress; by no way that there is."""

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import ANY, AT, HEALTH, SOCIAL, WORKS, put, put_plan
from tests.quarters.world import A1, PART, Q2, Office, codes, send, told

pytestmark = pytest.mark.one_engine

ITEMS = [{"action": "A-1", "spent": 7}, {"action": "A-2", "spent": 7}]


def _import(client: TestClient) -> httpx.Response:
    """A matrix with one rupiah more spent in the first half-year, whose quarter is Q2."""
    text = client.get(f"{AT}/matrix.csv?period=2026").text.replace(",5,,5", ",6,,6")
    file = ("matrix.csv", text.encode(), "text/csv")
    return client.post(f"{AT}/imports?basis=cumulative&accept=free_text", files={"file": file})


WRITES: dict[str, Callable[[TestClient], httpx.Response]] = {
    "put": lambda c: c.put(A1, json={"spent": 6}, headers=ANY),
    "patch": lambda c: c.patch(A1, json={"obstacle": "Hujan"}, headers=ANY),
    "delete": lambda c: c.delete(A1, headers=ANY),
    "many": lambda c: c.put(f"{AT}/progress/2026-Q2", json={"items": ITEMS}, headers=ANY),
    "many, each": lambda c: c.put(f"{AT}/progress/2026-Q2?each=true", json={"items": ITEMS}, headers=ANY),
}


@pytest.mark.parametrize(
    ("verbs", "kind"),
    [
        (("submit",), "quarter_being_verified"),
        (("submit", "verify"), "quarter_being_verified"),
        (("submit", "verify", "freeze"), "quarter_frozen"),
    ],
)
def test_no_way_to_write_progress_of_a_closed_quarter(
    office: Office, database: OneTransaction, verbs: tuple[str, ...], kind: str
) -> None:
    office.report("A-1", "A-2", spent=5)
    office.move(*verbs)
    for caller in (office.secretariat, office.administrator):
        for name, write in WRITES.items():
            refused = write(caller)
            assert told(refused) == (409, "quarter_closed", [kind]), name
        assert caller.get(A1).json()["allowed"] == []
        assert caller.put(f"{AT}/actions/A-1/progress/2026-Q1", json={}, headers={}).status_code in (
            200,
            201,
            428,
        )
    assert office.secretariat.get(A1).json()["spent"] == 5


def test_open_again_once_it_is_returned_or_corrected(office: Office, database: OneTransaction) -> None:
    office.report("A-1", "A-2", spent=5)
    for verbs in (("submit", "return"), ("submit", "verify", "freeze", "correct")):
        office.move(*verbs)
        for name, write in WRITES.items():
            point = database.connection.begin_nested()
            assert write(office.secretariat).status_code in (200, 204), name
            point.rollback()
        assert office.secretariat.get(A1).json()["allowed"] == ["edit", "delete"]


def test_an_import_of_realisation_is_refused_too(office: Office) -> None:
    office.report("A-1", "A-2", spent=5)
    assert _import(office.secretariat).status_code == 200
    assert office.secretariat.get(A1).json()["spent"] == 6
    office.report("A-1", "A-2", spent=5)
    office.move("submit")
    assert told(_import(office.secretariat)) == (409, "quarter_closed", ["quarter_being_verified"])
    assert office.secretariat.get(A1).json()["spent"] == 5


def test_a_submitted_part_is_the_secretariats_until_it_is_returned(office: Office) -> None:
    office.report("A-1", "A-2", spent=5)
    assert send(office.operator, "submit", PART).status_code == 200
    for name, write in WRITES.items():
        if "many" not in name:
            assert told(write(office.operator)) == (409, "quarter_closed", ["part_submitted"]), name
    assert office.operator.get(A1).json()["allowed"] == []
    own = {"items": [ITEMS[0]]}
    refused = office.operator.put(f"{AT}/progress/2026-Q2", json=own, headers=ANY)
    assert told(refused) == (409, "quarter_closed", ["part_submitted"])
    each = office.operator.put(f"{AT}/progress/2026-Q2?each=true", json=own, headers=ANY).json()
    assert (each["refused"], each["items"][0]["errors"][0]["code"]) == (1, "part_submitted")
    assert office.secretariat.get(A1).json()["allowed"] == ["edit", "delete"]
    assert WRITES["put"](office.secretariat).status_code == 200
    assert send(office.secretariat, "return", PART).status_code == 200
    assert WRITES["patch"](office.operator).status_code == 200


def test_a_quarter_that_is_not_open_yet_takes_no_report(office: Office) -> None:
    office.calendar(opens_on="2099-04-01", due_on="2099-07-20")
    refused = office.secretariat.put(A1, json={"spent": 6})
    assert told(refused) == (409, "quarter_closed", ["quarter_not_yet_open"])
    assert "2099-04-01" in refused.json()["errors"][0]["message"]
    found = office.secretariat.get(Q2).json()
    assert (found["state"], found["allowed"]) == ("not_yet_open", [])
    assert office.secretariat.put(A1.replace("Q2", "Q1"), json={"spent": 6}).status_code == 201


def test_a_closed_calendar_takes_nothing_but_by_an_extension(office: Office) -> None:
    days = {"due_on": "2026-04-20", "closes_on": "2026-04-30"}
    office.calendar(**days)
    for refused in (
        office.secretariat.put(A1, json={"spent": 6}),
        office.operator.put(A1, json={"spent": 6}),
    ):
        assert told(refused) == (409, "quarter_closed", ["quarter_past_closing"])
    assert told(send(office.secretariat, "submit")) == (409, "quarter_not_ready", ["quarter_past_closing"])
    assert office.secretariat.get(Q2).json()["allowed"] == []
    assert office.extend("2099-12-31", agency=SOCIAL).status_code == 201
    assert office.operator.put(A1, json={"spent": 6}).status_code == 201
    other = A1.replace("A-1", "A-2")
    assert codes(office.secretariat.put(other, json={"spent": 6})) == ["quarter_past_closing"]
    assert office.operator.get(PART).json()["allowed"] == ["submit"]
    assert office.extend("2099-12-31", name="semua").status_code == 201
    assert office.secretariat.put(other, json={"spent": 6}).status_code == 201
    assert send(office.secretariat, "submit").status_code == 200


def test_a_correction_needs_no_extension(office: Office) -> None:
    office.freeze()
    office.calendar(due_on="2026-04-20", closes_on="2026-04-30")
    office.move("correct")
    assert WRITES["put"](office.secretariat).status_code == 200
    assert office.move("submit").json()["state"] == "submitted"


def test_calendar_of_the_nearest_region_holds_whole(office: Office) -> None:
    read = f"{Q2.replace('quarters', 'calendar')}"
    shipped = office.secretariat.get(read).json()
    assert (shipped["set_by"], shipped["status"], shipped["edition"]) == (None, "proposal", "1")
    for region, due in (("0", "2026-07-10"), ("63", "2026-07-15"), ("63.02", "2026-07-18")):
        office.calendar(region, due_on=due, closes_on="2026-12-31" if region == "0" else None)
        found = office.secretariat.get(read).json()
        assert (found["set_by"], found["due_on"], found["status"]) == (region, due, "set")
        assert found["closes_on"] == ("2026-12-31" if region == "0" else None)
        assert office.secretariat.get(Q2).json()["due_on"] == due
    for region, due in (("63.02", "2026-07-15"), ("63", "2026-07-10"), ("0", "2026-07-20")):
        gone = office.administrator.delete(f"/v1/regions/{region}/calendar/2026-Q2", headers=ANY)
        assert gone.status_code == 204
        assert office.secretariat.get(read).json()["due_on"] == due
    again = office.administrator.delete("/v1/regions/63/calendar/2026-Q2", headers=ANY)
    assert again.status_code == 404
    kinds = office.administrator.get("/v1/regions/63/calendar/2026-Q2/history").json()["items"]
    assert [one["kind"] for one in kinds] == ["calendar.created", "calendar.deleted"]


def test_calendar_is_for_administrators_and_its_days_are_in_order(office: Office) -> None:
    content: dict[str, Any] = {"opens_on": "2026-04-01", "due_on": "2026-07-15", "issued_by": "x"}
    at = "/v1/regions/63.02/calendar/2026-Q2"
    for caller in (office.secretariat, office.province):
        assert caller.put(at, json=content).status_code == 403
    for wrong in ({"due_on": "2026-03-31"}, {"closes_on": "2026-07-14"}):
        reply = office.administrator.put(at, json={**content, **wrong})
        assert (reply.status_code, codes(reply)) == (422, ["days_out_of_order"])
    for nowhere in ("63.02/calendar/2026-Q5", "63.02.01/calendar/2026-Q2", "99/calendar/2026-Q2"):
        assert office.administrator.put(f"/v1/regions/{nowhere}", json=content).status_code == 404


def test_quarters_across_regions(office: Office, connect: Callable[..., TestClient]) -> None:
    nation = office.administrator
    put_plan(nation, "18.06-2026")
    office.move("submit")
    at = "/v1/quarters?period=2026-Q2&count=exact"
    assert [one["region_code"] for one in nation.get(at).json()["items"]] == ["18.06", "63.02"]
    assert [one["state"] for one in nation.get(at).json()["items"]] == ["open", "submitted"]
    for query, count in (("region=63", 1), ("state=open", 1), ("state=frozen", 0), ("region=73", 0)):
        assert nation.get(f"{at}&{query}").json()["count"] == count, query
    assert [one["period"] for one in office.province.get("/v1/quarters?sort=-period").json()["items"]] == [
        f"2026-Q{n}" for n in (4, 3, 2, 1)
    ]
    listed = office.secretariat.get("/v1/regions/63.02/quarters?year=2026").json()["items"]
    shown = office.secretariat.get(Q2).json()
    assert listed[2] == {name: shown[name] for name in listed[2]}
    assert connect().get("/v1/quarters").json()["items"] == []


def test_guard_is_one_small_statement_however_many_reports(office: Office, database: OneTransaction) -> None:
    for number in range(20):
        put(office.secretariat, f"B-{number}", lead_agency=HEALTH if number % 2 else SOCIAL)
    counts = []
    for size in (1, 20):
        items = [{"action": f"B-{number}", "spent": size} for number in range(size)]
        database.statements.clear()
        assert (
            office.secretariat.put(f"{AT}/progress/2026-Q2", json={"items": items}, headers=ANY).status_code
            == 200
        )
        counts.append(sum("reporting_calendar" in one for one in database.statements))
    assert counts == [1, 1]


def test_merged_agencies_leave_no_part_submitted_that_has_grown(office: Office) -> None:
    office.report("A-1", "A-2", spent=5)
    of_health = f"{Q2}/agencies/{HEALTH}"
    for at in (PART, of_health):
        assert send(office.secretariat, "submit", at).status_code == 200
    assert office.extend("2026-07-31", agency=HEALTH).status_code == 201
    merge = f"/v1/regions/63.02/agencies/{HEALTH}/merge"
    assert office.secretariat.post(merge, json={"into": SOCIAL}, headers=ANY).status_code == 200
    found = office.secretariat.get(PART).json()
    assert (found["state"], found["expected"]) == ("open", 2)
    assert found["deadline"] == "2026-07-31T23:59:59+08:00"
    assert office.secretariat.get(of_health).status_code == 404
    assert office.secretariat.delete(merge.removesuffix("/merge"), headers=ANY).status_code == 409
    office.move("submit")
    again = f"/v1/regions/63.02/agencies/{SOCIAL}/merge"
    assert office.secretariat.post(again, json={"into": WORKS}, headers=ANY).status_code == 200
    assert [one["agency_code"] for one in office.secretariat.get(Q2).json()["parts"]] == [WORKS]
