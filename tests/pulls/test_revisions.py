"""A pull of a quarter has the lines of its revision, and changes with nothing else after its submission."""

import json
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.amendments.world import Movers, adopt_amendment, budget
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, HEALTH, SOCIAL, WORKS, furnish, put, put_plan
from tests.pulls.world import PULL, Pulled, forget, pull
from tests.quarters.world import Office
from tests.workflow.moves import CODED

Q1 = "/v1/pulls/2026-Q1"


@pytest.fixture
def movers(database: OneTransaction, connect: Callable[..., TestClient]) -> Movers:
    """Callers of an adopted plan, where the social agency leads `A-1` and the health agency `A-2`."""
    furnish(database)
    movers = Movers(connect)
    put_plan(movers.team)
    put(movers.team, "A-1", base=CODED)
    put(movers.team, "A-2", base=CODED, lead_agency=HEALTH)
    movers.bring("adopted")
    return movers


@pytest.fixture
def office(movers: Movers, connect: Callable[..., TestClient]) -> Office:
    return Office(connect)


def list_allocations(pulled: Pulled) -> list[tuple[int | None, int]]:
    """Return (revision, allocation of A-1) of the plan."""
    return [(pulled.end["plans"][0]["revision"], pulled.rows[0]["allocation"])]


def test_a_submitted_quarter_keeps_its_bytes_until_its_correction(office: Office, movers: Movers) -> None:
    office.report("A-1", quarter=1, spent=3, physical_reported_percent=12.5)
    office.report("A-2", spent=7)
    opened = pull(office.secretariat)
    carried = {"period": "2026-Q1", "spent": 3, "physical_percent": 12.5}
    assert [row["carried"] for row in opened.rows] == [carried, None]
    office.move("submit")
    submitted = pull(office.secretariat)
    assert (submitted.lines, submitted.end["plans"]) == (opened.lines, opened.end["plans"])
    adopt_amendment(movers, "2026-05-20", **budget(99))
    office.report("A-1", quarter=1, spent=5, physical_reported_percent=12.5)
    office.move("verify")
    forget(office.secretariat)
    assert pull(office.secretariat) == submitted, "neither lines nor tag"
    known = {"If-None-Match": submitted.tag, "Accept-Encoding": "identity"}
    assert office.secretariat.get(PULL, headers=known).status_code == 304
    assert pull(office.secretariat, Q1).rows[0]["report"]["spent"] == 5
    assert list_allocations(pull(office.secretariat, "/v1/pulls/2026-Q3")) == [(1, 99)]
    office.move("freeze")
    frozen = pull(office.secretariat)
    assert frozen.rows == submitted.rows
    assert frozen.end["plans"] == [{**submitted.end["plans"][0], "amendment": 0}]
    content = office.secretariat.get("/v1/snapshots/2026-Q2/63.02").json()
    assert (content["revision"], content["sums"]["spent"]) == (0, 10)
    summary = office.secretariat.get(f"{AT}/summary?period=2026-Q2").json()
    assert (summary["revision"], summary["spent"]) == (0, 10)
    corrected = {"reason": "Koreksi setelah APBD-P", "revision": 1}
    assert office.secretariat.post(f"{_QUARTER}/correct", json=corrected, headers=ANY).status_code == 200
    assert pull(office.secretariat) == frozen
    office.move("submit", "verify", "freeze")
    amended = pull(office.secretariat)
    assert list_allocations(amended) == [(1, 99)]
    assert amended.rows[0]["carried"] == {**carried, "spent": 5}, "a correction carries reports again"


_QUARTER = "/v1/regions/63.02/quarters/2026-Q2"


def test_a_returned_quarter_follows_the_plan_again(office: Office, movers: Movers) -> None:
    office.move("submit")
    submitted = pull(office.secretariat)
    adopt_amendment(movers, "2026-05-20", **budget(99))
    assert pull(office.secretariat) == submitted
    office.move("return")
    returned = pull(office.secretariat)
    assert list_allocations(returned) == [(1, 99)]
    office.move("submit")
    again = pull(office.secretariat)
    assert (again.lines, again.tag != returned.tag) == (returned.lines, True)
    assert again.tag != submitted.tag


def test_an_open_quarter_has_the_last_revision_dated_in_it(office: Office, movers: Movers) -> None:
    before = pull(office.secretariat)
    adopt_amendment(movers, "2026-06-30", **budget(60))
    adopt_amendment(movers, "2026-07-01", **budget(70))
    after = pull(office.secretariat)
    assert after.tag != before.tag
    assert [
        list_allocations(pull(office.secretariat, f"/v1/pulls/2026-Q{number}")) for number in (1, 2, 3, 4)
    ] == [[(0, CODED["allocation"])], [(1, 60)], [(2, 70)], [(2, 70)]]


def test_a_draft_is_pulled_as_it_was_submitted(
    database: OneTransaction, connect: Callable[..., TestClient]
) -> None:
    furnish(database)
    office, movers = Office(connect), Movers(connect)
    put_plan(movers.team)
    put(movers.team, "A-1", base=CODED)
    office.move("submit")
    submitted = pull(office.secretariat)
    put(movers.team, "A-1", base={**CODED, "title": "Judul lain"})
    put(movers.team, "A-2", base=CODED)
    assert pull(office.secretariat) == submitted
    movers.bring("adopted")
    assert pull(office.secretariat) == submitted
    assert list_allocations(submitted)[0][0] is None
    assert len(pull(office.secretariat, Q1).rows) == 2


def test_a_merge_renames_the_lead_agency_of_open_quarters_alone(office: Office, movers: Movers) -> None:
    adopt_amendment(movers, "2026-08-01", "A-2", lead_agency=SOCIAL)
    office.move("submit")
    submitted, opened = pull(office.secretariat), pull(office.secretariat, Q1)
    assert [row["lead_agency"] for row in opened.rows] == [SOCIAL, HEALTH]
    merged = office.secretariat.post(
        f"/v1/regions/63.02/agencies/{HEALTH}/merge", json={"into": WORKS}, headers=ANY
    )
    assert merged.status_code == 200, merged.text
    assert pull(office.secretariat) == submitted
    after = pull(office.secretariat, Q1)
    assert [row["lead_agency"] for row in after.rows] == [SOCIAL, WORKS]
    assert after.tag != opened.tag, "no line of the plan names the merged agency, yet the lines change"
    digests = office.secretariat.get("/v1/digests/2026-Q1").json()
    assert [item["lead_agency"] for item in digests["plans"][0]["agencies"]] == sorted([SOCIAL, WORKS])


def test_regions_of_every_kind_in_one_order(office: Office, movers: Movers, database: OneTransaction) -> None:
    for region in ("63", "63.03"):
        furnish(database, region)
        other = office.connect(("secretariat", region))
        put_plan(other, f"{region}-2026")
        put(other, "B-1", plan=f"{region}-2026", locations=[])
    province, draft = Office(office.connect), office.connect(("secretariat", "63.03"))
    submitted = office.connect(("secretariat", "63")).post(
        "/v1/regions/63/quarters/2026-Q2/submit",
        json={"accept_missing": True, "reason": "Belum mulai"},
        headers=ANY,
    )
    assert submitted.status_code == 200, submitted.text
    put(draft, "B-1", plan="63.03-2026", locations=[], title="Lain")
    result = pull(province.province)
    assert [(row["region_code"], row["action"]) for row in result.rows] == [
        ("63", "B-1"),
        ("63.02", "A-1"),
        ("63.02", "A-2"),
        ("63.03", "B-1"),
    ]
    assert [[*json.loads(line)] for line in result.lines] == [[*json.loads(result.lines[0])]] * 4
    assert [plan["revision"] for plan in result.end["plans"]] == [None, 0, None]
