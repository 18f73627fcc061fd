"""The feed by scope: rows the reader may see, and the changes of that scope."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access.commands import Write
from app.access.models import Role, TokenIn, TokenScope
from app.access.rules import CONSOLE, Grant, ScopeChange, find_scope_changes
from app.access.tokens import create_token, revoke_token
from app.kit.database.journal import Author
from tests.calling import Client
from tests.changes.feed import follow, now, page
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, LEAN, PARTNER, PLAN, SOCIAL, put, put_plan

pytestmark = pytest.mark.one_engine

OTHER = "63.03-2026"


@pytest.fixture
def token(database: OneTransaction, app: FastAPI, portal: BlockingPortal) -> Callable[..., TestClient]:
    """`token("dasbor", ("reader", "63"))`: a further token of a principal, whose roles become these."""
    numbers = iter(range(100))

    def make(principal: str, *roles: tuple[str, str], **options: Any) -> TestClient:
        at = datetime.now(UTC)
        with database.writing() as session:
            secret = create_token(
                Write(session, Author("console", at), CONSOLE),
                name=f"{principal[:30]}-{next(numbers)}", principal=principal,
                grants=[Grant(Role(role), region, None) for role, region in roles],
                content=TokenIn(
                    scopes=options.get("scopes", list(TokenScope)), expires_at=at + timedelta(days=1)
                ),
            )  # fmt: skip
        return Client(app, portal, headers={"Authorization": f"Bearer {secret}"})

    return make


def list_scope_changes(changes: Any) -> list[tuple[str, Any, Any]]:
    return [
        (change["region_code"], *change["changes"]["sees"])
        for change in changes
        if change["kind"] == "scope.changed"
    ]


def test_out_of_scope_shows_nothing_not_even_that_something_happened(
    secretariat: TestClient, connect: Callable[..., TestClient], stranger: TestClient
) -> None:
    writing_only = connect(("secretariat", "63.02"), scopes=(TokenScope.write,))
    others = [connect(("secretariat", "63.03")), connect(("secretariat", "63")), connect(("reader", "73"))]
    before = [page(client) for client in (stranger, writing_only, *others)]
    starts = [now(client) for client in (stranger, writing_only, *others)]
    put(secretariat, "A-1", base=LEAN)
    secretariat.delete(f"{AT}/actions/A-1", headers=ANY)
    for client, was, start in zip((stranger, writing_only, *others), before, starts, strict=True):
        assert page(client) == was
        assert page(client, start) == {"items": [], "next": start, "more": False}
        assert page(client, region="63.02")["items"] == []
    assert (before[0]["items"], before[1]["items"]) == ([], [])
    # Reference data is visible to every reader; tokens are not.
    assert {change["region_code"] for change in before[2]["items"]} == {"0"}


def test_sequence_numbers_reveal_nothing_of_other_regions(
    secretariat: TestClient, connect: Callable[..., TestClient]
) -> None:
    neighbour = connect(("secretariat", "63.03"))
    start = now(secretariat)
    for n in range(3):
        put(secretariat, f"A-{n}", base=LEAN)
        (put_plan if n == 0 else retitle)(neighbour, OTHER)
    changes = page(secretariat, start)["items"]
    first = changes[0]["sequence"]
    assert [change["sequence"] for change in changes] == [first, first + 1, first + 2]


def retitle(client: TestClient, plan: str) -> None:
    title = client.get(f"/v1/plans/{plan}").json()["title"] + "x"
    assert client.patch(f"/v1/plans/{plan}", json={"title": title}, headers=ANY).status_code == 200


def test_only_administrators_of_their_home_see_principals_and_tokens(
    secretariat: TestClient,
    connect: Callable[..., TestClient],
    token: Callable[..., TestClient],
    database: OneTransaction,
) -> None:
    token("dasbor", ("operator", "63.02"))
    moved = f"/v1/regions/63.02/agencies/{SOCIAL}/merge"
    operator = connect(("operator", "63.02", SOCIAL))
    partner = secretariat.patch(
        f"/v1/regions/63.02/agencies/{PARTNER}", json={"name": "Baznas Kotabaru"}, headers=ANY
    ).json()
    assert secretariat.post(moved, json={"into": PARTNER}, headers=ANY).status_code == 200
    with database.writing() as session:
        revoke_token(Write(session, Author("console", datetime.now(UTC)), CONSOLE), name="dasbor-0")
    of_home = {"principal.created", "token.created", "token.revoked"}
    private = {*of_home, "membership.moved"}
    for roles, scopes, sees in (
        ([("administrator", "0")], tuple(TokenScope), private),
        ([("administrator", "0")], (TokenScope.read, TokenScope.write), set()),
        ([("reader", "0")], tuple(TokenScope), set()),
        ([("administrator", "63")], tuple(TokenScope), of_home),
        ([("administrator", "63.03")], tuple(TokenScope), set()),
    ):
        changes = [change for change in follow(connect(*roles, scopes=scopes)) if change["kind"] in private]
        others = [
            change for change in changes if not change["subject"].startswith("principals/administrator-63.03")
        ]
        assert {change["kind"] for change in others} == sees, roles
        versions = [change["version"] for change in others if change["kind"] == "membership.moved"]
        assert set(versions) <= {partner["version"]} == {2}, "the agency's own version"
    for reader in (secretariat, operator):
        assert {change["kind"] for change in follow(reader)} & private == set()
        history = reader.get(f"/v1/regions/63.02/agencies/{PARTNER}/history").json()["items"]
        assert [change["kind"] for change in history] == ["agency.created", "agency.changed"]


def test_the_feed_names_regions_that_enter_and_leave_the_scope(
    secretariat: TestClient, connect: Callable[..., TestClient], token: Callable[..., TestClient]
) -> None:
    province = connect(("administrator", "63"))
    put_plan(province, OTHER)
    reader = token("dasbor", ("reviewer", "63.02"))
    start = now(reader)
    put(secretariat, "A-1", base=LEAN)
    token("dasbor", ("reviewer", "63.03"), ("secretariat", "73.22"))
    put(secretariat, "A-2", base=LEAN)
    retitle(province, OTHER)
    changes = list(follow(reader, start, changes=True, limit=1))
    # The feed no longer shows changes of 63.02, but that it left the scope. It shows new regions whole.
    assert [change["kind"] for change in changes] == ["plan.created", *["scope.changed"] * 3, "plan.changed"]
    assert list_scope_changes(changes) == [
        ("63.02", "below", None),
        ("63.03", None, "below"),
        ("73.22", None, "region"),
    ]
    assert {change["subject"] for change in changes[1:4]} == {"me"}
    assert [(change["sequence"], change["version"]) for change in changes[1:4]] == [(1, 1), (2, 2), (3, 3)]
    assert reader.get("/v1/me").json()["memberships"][0]["region_code"] == "63.03"
    # A reader that fetches the named regions again has a whole copy.
    assert reader.get(AT).status_code == 404
    assert reader.get(f"/v1/plans/{OTHER}").json()["title"].endswith("x")


def test_a_scope_change_comes_through_every_filter_that_it_concerns(
    secretariat: TestClient, token: Callable[..., TestClient], connect: Callable[..., TestClient]
) -> None:
    reader = token("dasbor", ("reader", "63"))
    queries = (
        {"region": "63.02"},
        {"region": "63.02.01"},
        {"region": "63", "kind": "plan"},
        {"region": "73"},
        {},
    )
    starts = [now(reader, **query) for query in queries]
    token("dasbor", ("reader", "73.22"))
    results = [
        list_scope_changes(follow(reader, start, changes=True, **query))
        for start, query in zip(starts, queries, strict=True)
    ]
    left, came = ("63", "below", None), ("73.22", None, "below")
    assert results == [[left], [left], [left], [came], [left, came]]
    for other in (token("lain", ("reader", "63")), connect(("administrator", "0"))):
        assert list_scope_changes(follow(other, changes=True)) == []


def test_a_further_token_with_the_same_view_changes_nothing(token: Callable[..., TestClient]) -> None:
    principal = "x" * 40
    reader = token(principal, ("administrator", "63"))
    start = now(reader)
    again = token(principal, ("reviewer", "63"), ("secretariat", "63.02"))
    third = token(principal)
    assert {client.get("/v1/changes").headers["ETag"] for client in (reader, again, third)} == {
        reader.get("/v1/changes").headers["ETag"]
    }
    assert page(again, start)["items"] == []
    token(principal, ("reviewer", "0"))
    assert list_scope_changes(follow(third, start, changes=True)) == [("0", None, "below")]


def test_drafts_that_become_visible_are_a_scope_change(
    secretariat: TestClient, token: Callable[..., TestClient]
) -> None:
    reader = token("dasbor", ("reader", "63"))
    start = now(reader)
    assert reader.get(AT).status_code == 404
    token("dasbor", ("reader", "63"), ("secretariat", "63.02"))
    created, change = follow(reader, start, changes=True)
    assert (created["kind"], created["subject"]) == ("plan.created", f"plans/{PLAN}")
    assert (change["kind"], change["region_code"]) == ("scope.changed", "63.02")
    assert change["changes"] == {"sees_drafts": [None, "region"]}
    assert reader.get(AT).status_code == 200
    token("dasbor", ("reader", "63"))
    assert [item["changes"] for item in follow(reader, start, changes=True)] == [
        {"sees_drafts": [None, "region"]},
        {"sees_drafts": ["region", None]},
    ]


READER_63, READER_NATION = Grant(Role.reader, "63", None), Grant(Role.reader, "0", None)
READER_02, TEAM_02, TEAM_63 = (
    Grant(Role.reader, "63.02", None),
    Grant(Role.secretariat, "63.02", None),
    Grant(Role.chair, "63", None),
)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [], []),
        ([READER_63], [READER_63, READER_02], []),
        ([READER_63], [READER_63, TEAM_02], [ScopeChange("63.02", "below", "below", None, "region")]),
        ([READER_63, TEAM_02], [READER_63], [ScopeChange("63.02", "below", "below", "region", None)]),
        ([READER_02], [TEAM_02], [ScopeChange("63.02", "below", "region", None, "region")]),
        ([TEAM_02], [READER_02], [ScopeChange("63.02", "region", "below", "region", None)]),
        ([TEAM_63], [READER_63], [ScopeChange("63", "region", "below", "region", None)]),
        ([READER_63], [READER_02], [ScopeChange("63", "below", None)]),
        ([READER_02], [READER_63], [ScopeChange("63", None, "below")]),
        ([READER_63], [READER_NATION], [ScopeChange("0", None, "below")]),
        (
            [READER_NATION],
            [TEAM_63],
            [ScopeChange("0", "below", None), ScopeChange("63", "below", "region", None, "region")],
        ),
        ([READER_63], [], [ScopeChange("63", "below", None)]),
        ([Grant(Role.operator, "63.02", "A")], [Grant(Role.operator, "63.02", "B")], []),
    ],
)
def test_a_change_of_grants_gives_these_scope_changes(
    before: list[Grant], after: list[Grant], expected: list[ScopeChange]
) -> None:
    assert find_scope_changes(before, after) == expected
