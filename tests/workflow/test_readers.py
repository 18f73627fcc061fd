"""Who may not read drafts learns nothing of a plan that is not in force, nor of what is to change one that is."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.changes.queries import verify_journal
from tests.changes.feed import follow, now, told
from tests.contract.operations import Operation, operations
from tests.contract.world import declared
from tests.database import OneTransaction
from tests.plans.world import ANY, PARTNER, SOCIAL, furnish, put, put_plan, report, walk
from tests.workflow.moves import AT, CODED, PLAN, Connect, Movers, move

pytestmark = pytest.mark.one_engine

OF_PLAN = [one for one in operations(declared()[0]) if "{plan}" in one.path]


@pytest.fixture
def provincial_reader(provincial_reader: TestClient, secretariat: TestClient) -> TestClient:
    """The reader of the province, once the secretariat wrote a plan."""
    return provincial_reader


def call(who: TestClient, operation: Operation) -> Any:
    keys = {"plan": PLAN, "action": "A-1", "period": "2025-Q1"}
    of_this = {name: key for name, key in keys.items() if name in operation.keys}
    options: dict[str, Any] = {}
    if operation.takes_json:
        assert operation.body is not None
        headers = {"Content-Type": operation.body[0]}
        options = {"json": operation.example}
    else:
        headers = {}
        if operation.body is not None:
            options = {"files": {"file": ("x.csv", b"x", "text/csv")}}
    needed = {**operation.needed, **({"period": "2025-Q1"} if "period" in operation.needed else {})}
    return who.request(
        operation.method.upper(),
        operation.address(**of_this),
        params=needed,
        headers={**headers, **(ANY if operation.is_conditional else {})},
        **options,
    )


@pytest.mark.parametrize("state", ["draft", "submitted", "returned", "endorsed"])
def test_no_operation_finds_a_plan_that_was_never_adopted(
    secretariat: TestClient, movers: Movers, provincial_reader: TestClient, state: str
) -> None:
    report(secretariat, "A-1", 1, plan=PLAN, spent=1)
    movers.bring(state)
    assert len(OF_PLAN) > 25
    for operation in OF_PLAN:
        reply = call(provincial_reader, operation)
        # That the region is there he knows, and that he may write no plan in it, whether there is one or not.
        assert reply.status_code == (403 if operation.id == "put_plan" else 404), f"{operation}: {reply.text}"


def test_no_list_sum_or_feed_tells_of_it(
    secretariat: TestClient, movers: Movers, provincial_reader: TestClient, connect: Connect
) -> None:
    start = now(provincial_reader)
    report(secretariat, "A-1", 1, plan=PLAN, spent=1)
    movers.bring("endorsed")
    assert list(walk(provincial_reader, "/v1/plans")) == []
    assert provincial_reader.get("/v1/plans?count=exact").json()["count"] == 0
    assert provincial_reader.get("/v1/summaries?region=63&period=2025").status_code == 404
    assert list(follow(provincial_reader, start)) == []
    assert secretariat.get("/v1/summaries?region=63&period=2025").json()["allocated"] == 250_000_000
    other = connect(("administrator", "63"))
    furnish_and_adopt(other, connect)
    summary = provincial_reader.get("/v1/summaries?region=63&period=2025").json()
    assert ([plan["key"] for plan in summary["by_plan"]], summary["actions"]) == (["63.03-2025"], 1)
    assert summary["allocated"] == 250_000_000
    assert [plan["plan"] for plan in walk(provincial_reader, "/v1/plans?region=63")] == ["63.03-2025"]


def furnish_and_adopt(writer: TestClient, connect: Connect, plan: str = "63.03-2025") -> None:
    agency = {"name": "Dinas Sosial", "kind": "dinas"}
    writer.put(f"/v1/regions/63.03/agencies/{SOCIAL}", json=agency)
    put_plan(writer, plan)
    put(writer, "A-1", plan=plan, base=CODED, locations=[])
    Movers(connect, "63.03").bring("adopted", plan=plan)


def test_a_reader_meets_the_plan_at_its_adoption_and_every_change_from_there(
    secretariat: TestClient, movers: Movers, provincial_reader: TestClient, database: OneTransaction
) -> None:
    start = now(provincial_reader)
    report(secretariat, "A-1", 1, plan=PLAN, spent=1)
    movers.bring("adopted")
    report(secretariat, "A-1", 2, plan=PLAN, spent=2)
    assert movers.move("amend").status_code == 200
    report(secretariat, "A-1", 3, plan=PLAN, spent=3)
    secretariat.post(f"/v1/regions/63.02/agencies/{SOCIAL}/merge", json={"into": PARTNER}, headers=ANY)
    for verb in ("submit", "return", "submit", "endorse", "adopt", "close"):
        assert movers.move(verb).status_code == 200, verb
    found = [one for one in follow(provincial_reader, start) if one["subject"].startswith("plans/")]
    assert told(found) == [
        ("plan.adopted", ""),
        ("progress.created", "actions/A-1/progress/2025-Q2"),
        ("progress.created", "actions/A-1/progress/2025-Q3"),
        ("action.changed", "actions/A-1"),
        ("plan.changed", ""),
        ("plan.adopted", ""),
        ("plan.closed", ""),
    ]
    places = [one["sequence"] for one in found]
    assert places == list(range(places[0], places[0] + len(found))), "no holes from the adoption on"
    history = [one["sequence"] for one in walk(provincial_reader, f"{AT}/history")]
    assert history == places
    kinds = {one["kind"] for one in follow(secretariat) if one["subject"] == f"plans/{PLAN}"}
    assert kinds >= {"plan.created", "plan.submitted", "plan.returned", "plan.endorsed", "plan.amended"}
    with database.read_session() as session:
        assert verify_journal(session).breaks == []


@pytest.mark.parametrize("way", [("amend",), ("amend", "submit"), ("amend", "submit", "endorse")])
def test_a_reader_sees_what_is_in_force_while_it_is_amended(
    secretariat: TestClient, movers: Movers, provincial_reader: TestClient, way: tuple[str, ...]
) -> None:
    movers.bring("adopted")
    before, listed = provincial_reader.get(AT), provincial_reader.get("/v1/plans")
    for verb in way:
        assert movers.move(verb).status_code == 200
    after = provincial_reader.get(AT)
    assert (after.content, after.headers["ETag"]) == (before.content, before.headers["ETag"])
    assert provincial_reader.get("/v1/plans").content == listed.content
    assert [plan["state"] for plan in walk(provincial_reader, "/v1/plans?state=adopted")] == ["adopted"]
    assert (
        list(walk(provincial_reader, "/v1/plans?state=draft"))
        == list(walk(provincial_reader, "/v1/plans?state=endorsed"))
        == []
    )
    assert secretariat.get(AT).json()["state"] != "adopted"


def test_drafts_are_read_where_a_role_shows_them_and_nowhere_else(
    secretariat: TestClient, movers: Movers, connect: Connect, database: OneTransaction
) -> None:
    national = connect(("administrator", "0"))
    furnish(database, "63.03")
    for plan in ("63.03-2025", "73.22-2025"):
        put_plan(national, plan)
    mixed = connect(("reader", "63"), ("reader", "73"), ("secretariat", "63.02"))
    assert [plan["plan"] for plan in walk(mixed, "/v1/plans")] == [PLAN]
    assert mixed.get("/v1/plans/63.03-2025").status_code == 404
    assert mixed.get("/v1/plans/63.03-2025/history").status_code == 404
    subjects = {one["subject"] for one in follow(mixed) if one["kind"].startswith("plan.")}
    assert subjects == {f"plans/{PLAN}"}
    movers.bring("amended")
    assert mixed.get(AT).json()["state"] == "draft"


@pytest.mark.parametrize("role", ["operator", "secretariat", "chair", "reviewer", "administrator"])
def test_every_other_role_reads_drafts_without_a_further_condition(
    secretariat: TestClient, connect: Callable[..., TestClient], database: OneTransaction, role: str
) -> None:
    who = connect((role, "63.02"))
    database.statements.clear()
    assert who.get(AT).status_code == 200
    assert not any("revision IS NOT NULL" in statement for statement in database.statements)
    assert {one["kind"] for one in walk(who, f"{AT}/history")} == {"plan.created", "action.created"}


def test_a_reader_moves_nothing(
    secretariat: TestClient, movers: Movers, provincial_reader: TestClient
) -> None:
    movers.bring("adopted")
    for verb in ("submit", "return", "endorse", "adopt", "amend", "close"):
        assert move(provincial_reader, verb).status_code == 403
    assert provincial_reader.get(AT).json()["allowed"] == []
