"""Readers without drafts see neither plans that were never in force nor open amendments."""

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

OF_PLAN = [operation for operation in operations(declared()[0]) if "{plan}" in operation.path]


@pytest.fixture
def provincial_reader(provincial_reader: TestClient, secretariat: TestClient) -> TestClient:
    """The reader of the province, once the secretariat wrote a plan."""
    return provincial_reader


def call_operation(client: TestClient, operation: Operation) -> Any:
    keys = {"plan": PLAN, "action": "A-1", "period": "2025-Q1"}
    plan_keys = {name: key for name, key in keys.items() if name in operation.keys}
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
    return client.request(
        operation.method.upper(),
        operation.address(**plan_keys),
        params=needed,
        headers={**headers, **(ANY if operation.is_conditional else {})},
        **options,
    )


@pytest.mark.parametrize("state", ["draft", "submitted", "returned", "endorsed"])
def test_no_operation_shows_a_plan_without_adoption_to_a_reader(
    secretariat: TestClient, movers: Movers, provincial_reader: TestClient, state: str
) -> None:
    report(secretariat, "A-1", 1, plan=PLAN, spent=1)
    movers.bring(state)
    assert len(OF_PLAN) > 25
    for operation in OF_PLAN:
        reply = call_operation(provincial_reader, operation)
        # The reader sees the region and has no right to write plans in it, so a PUT is 403.
        assert reply.status_code == (403 if operation.id == "put_plan" else 404), f"{operation}: {reply.text}"


def test_no_list_sum_or_feed_shows_a_plan_without_adoption_to_a_reader(
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
    administrator = connect(("administrator", "63"))
    furnish_and_adopt(administrator, connect)
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


def test_the_feed_of_a_reader_starts_at_the_adoption(
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
    entries = [entry for entry in follow(provincial_reader, start) if entry["subject"].startswith("plans/")]
    assert told(entries) == [
        ("plan.adopted", ""),
        ("progress.created", "actions/A-1/progress/2025-Q2"),
        ("progress.created", "actions/A-1/progress/2025-Q3"),
        ("action.changed", "actions/A-1"),
        ("plan.changed", ""),
        ("plan.adopted", ""),
        ("plan.closed", ""),
    ]
    places = [entry["sequence"] for entry in entries]
    assert places == list(range(places[0], places[0] + len(entries))), "no gaps after the adoption"
    history = [entry["sequence"] for entry in walk(provincial_reader, f"{AT}/history")]
    assert history == places
    kinds = {entry["kind"] for entry in follow(secretariat) if entry["subject"] == f"plans/{PLAN}"}
    assert kinds >= {"plan.created", "plan.submitted", "plan.returned", "plan.endorsed", "plan.amended"}
    with database.read_session() as session:
        assert verify_journal(session).breaks == []


@pytest.mark.parametrize("way", [("amend",), ("amend", "submit"), ("amend", "submit", "endorse")])
def test_a_reader_sees_the_plan_in_force_during_an_amendment(
    secretariat: TestClient, movers: Movers, provincial_reader: TestClient, way: tuple[str, ...]
) -> None:
    movers.bring("adopted")
    before, plans = provincial_reader.get(AT), provincial_reader.get("/v1/plans")
    for verb in way:
        assert movers.move(verb).status_code == 200
    after = provincial_reader.get(AT)
    assert (after.content, after.headers["ETag"]) == (before.content, before.headers["ETag"])
    assert provincial_reader.get("/v1/plans").content == plans.content
    assert [plan["state"] for plan in walk(provincial_reader, "/v1/plans?state=adopted")] == ["adopted"]
    assert (
        list(walk(provincial_reader, "/v1/plans?state=draft"))
        == list(walk(provincial_reader, "/v1/plans?state=endorsed"))
        == []
    )
    assert secretariat.get(AT).json()["state"] != "adopted"


def test_drafts_are_visible_only_in_regions_with_a_role_for_them(
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
    subjects = {entry["subject"] for entry in follow(mixed) if entry["kind"].startswith("plan.")}
    assert subjects == {f"plans/{PLAN}"}
    movers.bring("amended")
    assert mixed.get(AT).json()["state"] == "draft"


@pytest.mark.parametrize("role", ["operator", "secretariat", "chair", "reviewer", "administrator"])
def test_other_roles_read_drafts_without_an_extra_sql_condition(
    secretariat: TestClient, connect: Callable[..., TestClient], database: OneTransaction, role: str
) -> None:
    client = connect((role, "63.02"))
    database.statements.clear()
    assert client.get(AT).status_code == 200
    assert not any("revision IS NOT NULL" in statement for statement in database.statements)
    assert {entry["kind"] for entry in walk(client, f"{AT}/history")} == {"plan.created", "action.created"}


def test_a_reader_cannot_move_a_plan(
    secretariat: TestClient, movers: Movers, provincial_reader: TestClient
) -> None:
    movers.bring("adopted")
    for verb in ("submit", "return", "endorse", "adopt", "amend", "close"):
        assert move(provincial_reader, verb).status_code == 403
    assert provincial_reader.get(AT).json()["allowed"] == []
