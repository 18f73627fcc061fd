"""No write changes the progress of a quarter that is submitted, verified or frozen."""

from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import ANY, AT, HEALTH, SOCIAL, WORKS, furnish, put, put_plan
from tests.quarters.world import A1, PART, PART_ACCEPTED, Q2, Office, list_codes, send, summarise_refusal

pytestmark = pytest.mark.one_engine

ITEMS = [{"action": "A-1", "spent": 7}, {"action": "A-2", "spent": 7}]


def _import_realisation(client: TestClient) -> httpx.Response:
    """Import a matrix with one more rupiah spent in the first half-year, whose quarter is Q2."""
    text = client.get(f"{AT}/matrix.csv?period=2026").text.replace(",5,,5", ",6,,6")
    file = ("matrix.csv", text.encode(), "text/csv")
    return client.post(f"{AT}/imports?basis=cumulative&accept=free_text", files={"file": file})


def _check_refused_cells(office: Office, kind: str) -> None:
    """Assert that an import is refused at the cells of both lines, with the stored figure."""
    reply = _import_realisation(office.secretariat)
    assert summarise_refusal(reply) == (409, "quarter_closed", [kind] * 2)
    places = [(error["cell"]["column"], error["allowed"]) for error in reply.json()["errors"]]
    assert places == [("S", [5])] * 2


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
def test_all_writes_to_a_closed_quarter_are_refused(
    office: Office, database: OneTransaction, verbs: tuple[str, ...], kind: str
) -> None:
    office.report("A-1", "A-2", spent=5)
    office.move(*verbs)
    for caller in (office.secretariat, office.administrator):
        for name, write in WRITES.items():
            reply = write(caller)
            assert summarise_refusal(reply) == (409, "quarter_closed", [kind]), name
        assert caller.get(A1).json()["allowed"] == []
        assert caller.put(f"{AT}/actions/A-1/progress/2026-Q1", json={}, headers={}).status_code in (
            200,
            201,
            428,
        )
    assert office.secretariat.get(A1).json()["spent"] == 5


def test_a_province_is_sent_to_the_reviewer_of_the_nation(office: Office, database: OneTransaction) -> None:
    furnish(database, "63")
    own, quarter = office.connect(("secretariat", "63")), Q2.replace("63.02", "63")
    put_plan(own, "63-2026")
    put(own, "A-1", plan="63-2026", locations=[])
    submitted = own.post(f"{quarter}/submit", json=PART_ACCEPTED, headers=ANY)
    assert submitted.status_code == 200, submitted.text
    refused = own.put("/v1/plans/63-2026/actions/A-1/progress/2026-Q2", json={"spent": 5})
    (error,) = refused.json()["errors"]
    assert error["message"] == "Triwulan 2026-Q2 sudah diajukan. Minta penelaah nasional mengembalikannya."
    refused = own.delete("/v1/plans/63-2026", headers=ANY)
    assert "Minta penelaah nasional mengembalikannya" in refused.json()["errors"][-1]["message"]
    refused = send(office.province, "verify", quarter)
    assert refused.json()["detail"].startswith("Hanya penelaah nasional di wilayah 0 yang dapat ")
    office.move("submit")
    (error,) = office.secretariat.put(A1, json={"spent": 5}).json()["errors"]
    assert error["message"] == "Triwulan 2026-Q2 sudah diajukan. Minta penelaah provinsi mengembalikannya."


def test_a_returned_or_corrected_quarter_takes_reports_again(
    office: Office, database: OneTransaction
) -> None:
    office.report("A-1", "A-2", spent=5)
    for verbs in (("submit", "return"), ("submit", "verify", "freeze", "correct")):
        office.move(*verbs)
        for name, write in WRITES.items():
            point = database.connection.begin_nested()
            assert write(office.secretariat).status_code in (200, 204), name
            point.rollback()
        assert office.secretariat.get(A1).json()["allowed"] == ["edit", "delete"]


def test_an_import_into_a_closed_quarter_is_refused(office: Office) -> None:
    office.report("A-1", "A-2", spent=5)
    assert _import_realisation(office.secretariat).status_code == 200
    assert office.secretariat.get(A1).json()["spent"] == 6
    office.report("A-1", "A-2", spent=5)
    office.move("submit")
    _check_refused_cells(office, "quarter_being_verified")
    assert office.secretariat.get(A1).json()["spent"] == 5


def test_only_the_secretariat_writes_to_a_submitted_part(office: Office) -> None:
    office.report("A-1", "A-2", spent=5)
    assert send(office.operator, "submit", PART).status_code == 200
    for name, write in WRITES.items():
        if "many" not in name:
            assert summarise_refusal(write(office.operator)) == (409, "quarter_closed", ["part_submitted"]), (
                name
            )
    assert office.operator.get(A1).json()["allowed"] == []
    body = {"items": [ITEMS[0]]}
    reply = office.operator.put(f"{AT}/progress/2026-Q2", json=body, headers=ANY)
    assert summarise_refusal(reply) == (409, "quarter_closed", ["part_submitted"])
    result = office.operator.put(f"{AT}/progress/2026-Q2?each=true", json=body, headers=ANY).json()
    assert (result["refused"], result["items"][0]["errors"][0]["code"]) == (1, "part_submitted")
    assert office.secretariat.get(A1).json()["allowed"] == ["edit", "delete"]
    assert WRITES["put"](office.secretariat).status_code == 200
    assert send(office.secretariat, "return", PART).status_code == 200
    assert WRITES["patch"](office.operator).status_code == 200


def test_a_quarter_that_is_not_open_yet_takes_no_report(office: Office) -> None:
    office.calendar(opens_on="2099-04-01", due_on="2099-07-20")
    reply = office.secretariat.put(A1, json={"spent": 6})
    assert summarise_refusal(reply) == (409, "quarter_closed", ["quarter_not_yet_open"])
    assert "2099-04-01" in reply.json()["errors"][0]["message"]
    quarter = office.secretariat.get(Q2).json()
    assert (quarter["state"], quarter["allowed"]) == ("not_yet_open", [])
    assert office.secretariat.put(A1.replace("Q2", "Q1"), json={"spent": 6}).status_code == 201


@pytest.mark.parametrize(
    ("kind", "days"),
    [
        ("quarter_not_yet_open", {"opens_on": "2099-04-01", "due_on": "2099-07-20"}),
        ("quarter_past_closing", {"due_on": "2026-04-20", "closes_on": "2026-04-30"}),
    ],
)
def test_an_import_outside_the_calendar_is_refused_at_its_cells(
    office: Office, kind: str, days: dict[str, str]
) -> None:
    office.report("A-1", "A-2", spent=5)
    office.calendar(**days)
    _check_refused_cells(office, kind)


def test_a_closed_calendar_takes_reports_only_with_an_extension(office: Office) -> None:
    days = {"due_on": "2026-04-20", "closes_on": "2026-04-30"}
    office.calendar(**days)
    for reply in (
        office.secretariat.put(A1, json={"spent": 6}),
        office.operator.put(A1, json={"spent": 6}),
    ):
        assert summarise_refusal(reply) == (409, "quarter_closed", ["quarter_past_closing"])
    assert summarise_refusal(send(office.secretariat, "submit")) == (
        409,
        "quarter_not_ready",
        ["quarter_past_closing"],
    )
    assert office.secretariat.get(Q2).json()["allowed"] == []
    assert office.extend("2099-12-31", agency=SOCIAL).status_code == 201
    assert office.operator.put(A1, json={"spent": 6}).status_code == 201
    second_line = A1.replace("A-1", "A-2")
    assert list_codes(office.secretariat.put(second_line, json={"spent": 6})) == ["quarter_past_closing"]
    assert office.operator.get(PART).json()["allowed"] == ["submit"]
    assert office.extend("2099-12-31", name="semua").status_code == 201
    assert office.secretariat.put(second_line, json={"spent": 6}).status_code == 201
    assert send(office.secretariat, "submit").status_code == 200


def test_a_correction_needs_no_extension(office: Office) -> None:
    office.freeze()
    office.calendar(due_on="2026-04-20", closes_on="2026-04-30")
    office.move("correct")
    assert WRITES["put"](office.secretariat).status_code == 200
    assert office.move("submit").json()["state"] == "submitted"


def test_the_calendar_of_the_nearest_region_applies_as_a_whole(office: Office) -> None:
    path = f"{Q2.replace('quarters', 'calendar')}"
    shipped = office.secretariat.get(path).json()
    assert (shipped["set_by"], shipped["status"], shipped["edition"]) == (None, "proposal", "1")
    for region, due in (("0", "2026-07-10"), ("63", "2026-07-15"), ("63.02", "2026-07-18")):
        office.calendar(region, due_on=due, closes_on="2026-12-31" if region == "0" else None)
        calendar = office.secretariat.get(path).json()
        assert (calendar["set_by"], calendar["due_on"], calendar["status"]) == (region, due, "set")
        assert calendar["closes_on"] == ("2026-12-31" if region == "0" else None)
        assert office.secretariat.get(Q2).json()["due_on"] == due
    for region, due in (("63.02", "2026-07-15"), ("63", "2026-07-10"), ("0", "2026-07-20")):
        gone = office.administrator.delete(f"/v1/regions/{region}/calendar/2026-Q2", headers=ANY)
        assert gone.status_code == 204
        assert office.secretariat.get(path).json()["due_on"] == due
    repeated = office.administrator.delete("/v1/regions/63/calendar/2026-Q2", headers=ANY)
    assert repeated.status_code == 404
    kinds = office.administrator.get("/v1/regions/63/calendar/2026-Q2/history").json()["items"]
    assert [item["kind"] for item in kinds] == ["calendar.created", "calendar.deleted"]


def test_only_administrators_set_a_calendar_with_ordered_days(office: Office) -> None:
    content: dict[str, Any] = {"opens_on": "2026-04-01", "due_on": "2026-07-15", "issued_by": "x"}
    path = "/v1/regions/63.02/calendar/2026-Q2"
    for caller in (office.secretariat, office.province):
        assert caller.put(path, json=content).status_code == 403
    for wrong in ({"due_on": "2026-03-31"}, {"closes_on": "2026-07-14"}):
        reply = office.administrator.put(path, json={**content, **wrong})
        assert (reply.status_code, list_codes(reply)) == (422, ["days_out_of_order"])
    for nowhere in ("63.02/calendar/2026-Q5", "63.02.01/calendar/2026-Q2", "99/calendar/2026-Q2"):
        assert office.administrator.put(f"/v1/regions/{nowhere}", json=content).status_code == 404


def test_the_list_of_quarters_filters_across_regions(
    office: Office, connect: Callable[..., TestClient]
) -> None:
    nation = office.administrator
    put_plan(nation, "18.06-2026")
    office.move("submit")
    path = "/v1/quarters?period=2026-Q2&count=exact"
    assert [item["region_code"] for item in nation.get(path).json()["items"]] == ["18.06", "63.02"]
    assert [item["state"] for item in nation.get(path).json()["items"]] == ["open", "submitted"]
    for query, count in (("region=63", 1), ("state=open", 1), ("state=frozen", 0), ("region=73", 0)):
        assert nation.get(f"{path}&{query}").json()["count"] == count, query
    assert [item["period"] for item in office.province.get("/v1/quarters?sort=-period").json()["items"]] == [
        f"2026-Q{n}" for n in (4, 3, 2, 1)
    ]
    quarters = office.secretariat.get("/v1/regions/63.02/quarters?year=2026").json()["items"]
    single = office.secretariat.get(Q2).json()
    assert quarters[2] == {name: single[name] for name in quarters[2]}
    assert connect().get("/v1/quarters").json()["items"] == []


def test_checking_the_quarter_costs_one_statement_for_any_number_of_reports(
    office: Office, database: OneTransaction
) -> None:
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
        counts.append(sum("reporting_calendar" in item for item in database.statements))
    assert counts == [1, 1]


def test_merging_into_an_agency_reopens_its_submitted_part(office: Office) -> None:
    office.report("A-1", "A-2", spent=5)
    of_health = f"{Q2}/agencies/{HEALTH}"
    for part in (PART, of_health):
        assert send(office.secretariat, "submit", part).status_code == 200
    assert office.extend("2026-07-31", agency=HEALTH).status_code == 201
    merge = f"/v1/regions/63.02/agencies/{HEALTH}/merge"
    assert office.secretariat.post(merge, json={"into": SOCIAL}, headers=ANY).status_code == 200
    result = office.secretariat.get(PART).json()
    assert (result["state"], result["expected"]) == ("open", 2)
    assert result["deadline"] == "2026-07-31T23:59:59+08:00"
    assert office.secretariat.get(of_health).status_code == 404
    assert office.secretariat.delete(merge.removesuffix("/merge"), headers=ANY).status_code == 409
    office.move("submit")
    second_merge = f"/v1/regions/63.02/agencies/{SOCIAL}/merge"
    assert office.secretariat.post(second_merge, json={"into": WORKS}, headers=ANY).status_code == 200
    parts = [
        (item["agency_code"], item["merged_into"]) for item in office.secretariat.get(Q2).json()["parts"]
    ]
    assert parts == [(SOCIAL, WORKS)]


def test_parts_of_a_correction_are_those_of_its_copy(office: Office) -> None:
    """After a merge, the parts of a submitted quarter name the agencies that completeness names, and the successor
    acts for the merged one: each part closes its own lines alone."""
    office.freeze()
    for agency in (SOCIAL, HEALTH):
        assert office.secretariat.get(f"{Q2}/agencies/{agency}").json()["expected"] == 1
    successor = office.connect(("operator", "63.02", WORKS))
    merge = f"/v1/regions/63.02/agencies/{SOCIAL}/merge"
    assert office.secretariat.post(merge, json={"into": WORKS}, headers=ANY).status_code == 200
    reply = office.secretariat.get("/v1/completeness?region=63.02&period=2026-Q2&by=agency").json()
    names = ("agency_code", "merged_into", "state", "expected", "reported")
    counted = [[row[name] for name in names] for row in reply["regions"][0]["agencies"]]
    office.move("correct")
    for _ in range(2):
        parts = [[row[name] for name in names] for row in office.secretariat.get(Q2).json()["parts"]]
        assert parts == counted == [[HEALTH, None, "open", 1, 1], [SOCIAL, WORKS, "open", 1, 1]]
        assert successor.get(PART).json()["allowed"] == ["submit"]
        assert send(office.operator, "submit", PART).status_code == 403
        assert WRITES["put"](successor).status_code == 200
        assert send(successor, "submit", PART).json()["state"] == "submitted"
        assert WRITES["put"](successor).json()["errors"][0]["code"] == "part_submitted"
        assert successor.get(A1).json()["allowed"] == []
        assert office.secretariat.get(PART).json()["allowed"] == ["return"]
        assert send(office.secretariat, "return", PART).json()["state"] == "open"
        assert successor.get(A1).json()["allowed"] == ["edit", "delete"]
    assert office.secretariat.get(f"{Q2}/agencies/{WORKS}").status_code == 404
