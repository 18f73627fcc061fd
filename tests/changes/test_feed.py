"""The feed: its order, its cursors and its refusals."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access.commands import Write
from app.access.rules import CONSOLE
from app.agencies.commands import put_agency
from app.agencies.models import AgencyIn, AgencyKind
from app.changes.rules import FeedPosition, encode_cursor, list_sources
from app.kit.database.engine import get_table
from app.kit.database.journal import Author, JournalHead, JournalRow
from tests.changes.feed import follow, now, page, told
from tests.database import OneTransaction, turn_back
from tests.plans.world import ANY, AT, LEAN, PLAN, put, put_many, put_plan, report

A1 = f"{AT}/actions/A-1"
OTHER = "63.03-2026"
FILTERS: list[Any] = [None, []]


def write_everything(client: TestClient) -> list[tuple[str, str]]:
    """Write changes of each kind; return what the feed should list, in order."""
    put(client, "A-1")
    put_many(client, [{"code": "A-2", **LEAN}, {"code": "A-3", **LEAN}])
    report(client, "A-1", 1, spent=5)
    client.patch(f"{A1}/progress/2026-Q1", json={"spent": 4}, headers=ANY)
    client.patch(A1, json={"note": "x"}, headers=ANY)
    client.patch(AT, json={"title": "Baru"}, headers=ANY)
    client.delete(f"{A1}/progress/2026-Q1", headers=ANY)
    client.delete(f"{AT}/actions/A-2", headers=ANY)
    return [
        ("action.created", "actions/A-1"), ("action.created", "actions/A-2"), ("action.created", "actions/A-3"),
        ("progress.created", "actions/A-1/progress/2026-Q1"), ("progress.changed", "actions/A-1/progress/2026-Q1"),
        ("action.changed", "actions/A-1"), ("plan.changed", ""), ("progress.deleted", "actions/A-1/progress/2026-Q1"),
        ("action.deleted", "actions/A-2"),
    ]  # fmt: skip


def test_every_write_comes_once_in_its_order_deletions_too(secretariat: TestClient) -> None:
    start = now(secretariat)
    expected = write_everything(secretariat)
    changes = list(follow(secretariat, start))
    assert told(changes) == expected
    sequences = [change["sequence"] for change in changes]
    assert sequences == list(range(sequences[0], sequences[0] + len(changes)))
    assert set(changes[0]) == {
        "sequence",
        "at",
        "kind",
        "region_code",
        "subject",
        "version",
        "actor",
        "token",
    }
    assert {change["region_code"] for change in changes} == {"63.02"}
    assert {change["actor"][:17] for change in changes} == {"secretariat-63.02"}
    assert [change["version"] for change in changes if change["subject"].endswith("Q1")] == [1, 2, 3]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 500])
def test_pages_of_any_length_miss_nothing_and_repeat_nothing(secretariat: TestClient, limit: int) -> None:
    whole = page(secretariat, limit=500)["items"]
    write_everything(secretariat)
    changes = list(follow(secretariat, limit=limit))
    assert changes[: len(whole)] == whole
    assert told(changes)[-9:] == told(follow(secretariat))[-9:]
    assert (
        len({(change["subject"], change["version"], change["sequence"]) for change in changes})
        == len(changes)
        == len(whole) + 9
    )


def test_a_reader_that_polls_after_every_write_sees_each_and_keeps_its_cursor(
    secretariat: TestClient,
) -> None:
    cursor, seen = now(secretariat), []
    for n in range(4):
        put(secretariat, f"A-{n}", base=LEAN)
        result = page(secretariat, cursor)
        seen += result["items"]
        cursor = result["next"]
        assert page(secretariat, cursor) == {"items": [], "next": cursor, "more": False}
    assert told(seen) == [("action.created", f"actions/A-{n}") for n in range(4)]


def test_a_poll_is_304_while_nothing_visible_happens(
    secretariat: TestClient, database: OneTransaction, connect: Callable[..., TestClient]
) -> None:
    neighbour = connect(("secretariat", "63.03"))
    put(secretariat, "A-0", base=LEAN)
    query = {"after": now(secretariat)}
    first = secretariat.get("/v1/changes", params=query)
    put_plan(neighbour, OTHER)
    database.statements.clear()
    again = secretariat.get("/v1/changes", params=query, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    # The caller, the cursor's place, the newest row, the newest visible row.
    assert len(database.statements) == 4
    put(secretariat, "A-1", base=LEAN)
    after = secretariat.get("/v1/changes", params=query, headers={"If-None-Match": first.headers["ETag"]})
    assert (after.status_code, len(after.json()["items"])) == (200, 1)


def test_number_of_statements_does_not_grow(secretariat: TestClient, database: OneTransaction) -> None:
    start = now(secretariat)
    put_many(secretariat, [{"code": f"A-{n}", **LEAN} for n in range(200)])
    for limit in (1, 200, 500):
        database.statements.clear()
        page(secretariat, start, limit=limit, changes=True)
        assert len(database.statements) == 5


def test_changes_are_shown_on_request_and_do_not_bind_the_cursor(secretariat: TestClient) -> None:
    put(secretariat, "A-1")
    start = now(secretariat)
    secretariat.patch(A1, json={"note": "x"}, headers=ANY)
    (change,) = page(secretariat, start, changes=True)["items"]
    assert change["changes"] == {"note": ["", "x"]}
    assert "changes" not in page(secretariat, start)["items"][0]


def test_filters_by_kind_and_by_region_with_everything_below(
    secretariat: TestClient, connect: Callable[..., TestClient]
) -> None:
    province = connect(("administrator", "63"))
    put_plan(province, OTHER)
    action, both = "action.deleted", ["action.deleted", "plan"]
    reports = ["progress.created", "progress.changed", "progress.deleted"]
    cases: list[tuple[dict[str, Any], list[str] | int]] = [
        ({"kind": action}, [action]), ({"kind": both}, ["plan.changed", action, "plan.changed"]),
        ({"kind": "progress"}, reports), ({"kind": "act"}, []), ({"region": "63.02"}, 9), ({"region": "63"}, 10),
        ({"region": "0"}, 10), ({"region": "63.03"}, ["plan.changed"]), ({"region": "63.02.01"}, []),
        ({"region": "73"}, []), ({"region": "63.03", "kind": "action"}, []), ({"region": "63", "kind": both}, 3),
    ]  # fmt: skip
    starts = [now(province, **query) for query, _ in cases]
    write_everything(secretariat)
    province.patch(f"/v1/plans/{OTHER}", json={"title": "Baru"}, headers=ANY)
    for (query, kinds), start in zip(cases, starts, strict=True):
        result = [change["kind"] for change in follow(province, start, limit=2, **query)]
        assert (len(result) if isinstance(kinds, int) else result) == kinds, query


def test_a_foreign_or_invalid_cursor_is_400(secretariat: TestClient) -> None:
    cursor = now(secretariat)
    for wrong in (
        cursor[:-1], cursor + "AAAA", cursor[:-3] + ("A" if cursor[-3] != "A" else "B") + cursor[-2:], "", "x", "é",
        "=" * 9, "bnVsbA", "W10", "A" * 1999, encode_cursor(FeedPosition("plan:x", 1, "0" * 16), ["63", []]),
        encode_cursor(FeedPosition("plan:x", 2**63, "0"), FILTERS), encode_cursor(FeedPosition("a\0", 1, "0"), FILTERS),
        encode_cursor(FeedPosition("plan:x", True, "0"), FILTERS),
    ):  # fmt: skip
        reply = secretariat.get("/v1/changes", params={"after": wrong})
        assert reply.status_code == 400, wrong
        (error,) = reply.json()["errors"]
        assert (error["parameter"], error["code"]) == ("after", "foreign_cursor")
    for filtered in ({"region": "63.02"}, {"kind": "plan"}):
        assert secretariat.get("/v1/changes", params={"after": cursor, **filtered}).status_code == 400
    wrong_queries = ("kind=Plan", "kind=plan.", "region=x", "limit=0", "limit=501", "sort=at", "count=exact")
    for query in wrong_queries:
        assert secretariat.get(f"/v1/changes?{query}").status_code == 400, query


def test_a_cursor_beyond_the_retention_is_410_with_addresses_to_read(
    secretariat: TestClient, database: OneTransaction, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = now(secretariat, region="63.02")
    author = Author("test", datetime.now(UTC) - timedelta(days=400, minutes=1))
    turn_back(database, author.at)
    with database.writing() as session:
        content = AgencyIn(name="Dinas Lama", kind=AgencyKind.dinas)
        put_agency(Write(session, author, CONSOLE), "63.02", "LAMA", content)
    cursor = now(secretariat, region="63.02")
    put(secretariat, "A-1", base=LEAN)
    query = {"after": start, "region": "63.02"}
    gone = secretariat.get("/v1/changes", params=query, headers={"Accept-Language": "en"})
    assert gone.status_code == 410, gone.text
    assert gone.json()["code"] == "feed_gone"
    assert "400 days" in gone.json()["detail"]
    (error,) = gone.json()["errors"]
    assert (error["parameter"], error["code"], error["value"]) == ("after", "expired_cursor", start)
    first, *rest = error["allowed"]
    assert first == "/v1/changes?after=now&region=63.02"
    assert sorted(rest) == [
        "/v1/commitments?region=63.02", "/v1/coordinates?region=63.02",
        "/v1/coverage/{period}?region=63.02", "/v1/indicators",
        "/v1/meetings?region=63.02", "/v1/methods", "/v1/observations?region=63.02",
        "/v1/plans/{plan}/actions", "/v1/plans/{plan}/overlaps", "/v1/plans/{plan}/progress/{period}",
        "/v1/plans/{plan}/revisions", "/v1/plans?region=63.02", "/v1/principals?region=63.02",
        "/v1/quarters?region=63.02", "/v1/regions/63.02/agencies", "/v1/regions/63.02/steps/{year}",
        "/v1/service-packages", "/v1/snapshots?region=63.02", "/v1/step-templates", "/v1/targets?region=63.02",
        "/v1/webhooks?region=63.02", "/v1/yardsticks?region=63.02",
    ]  # fmt: skip
    for address in error["allowed"]:
        assert "{" in address or secretariat.get(address).status_code == 200
    # A reader that missed nothing goes on with an old cursor: it has read the old change.
    assert [change["kind"] for change in page(secretariat, cursor, region="63.02")["items"]] == [
        "action.created"
    ]
    monkeypatch.setattr(app.state.settings, "journal_retention_days", 401)
    assert len(page(secretariat, start, region="63.02")["items"]) == 2


@pytest.mark.parametrize("region", [None, "0", "63"])
def test_the_410_lists_addresses_to_read_region_by_region(
    secretariat: TestClient, connect: Callable[..., TestClient], region: str | None
) -> None:
    addresses = list_sources(region)
    named = [address for address in addresses if "{region}" in address]
    assert sorted(named) == [
        "/v1/coverage/{period}?region={region}", "/v1/regions/{region}/agencies", "/v1/regions/{region}/steps/{year}",
    ]  # fmt: skip
    keys = {"period": "2026-Q1", "plan": PLAN, "region": "63.02", "year": "2026"}
    for reader in (secretariat, connect(("administrator", "63"))):
        for address in addresses:
            reply = reader.get(address.format_map(keys))
            assert reply.status_code == 200, (address, reply.text)


def test_a_reader_that_could_not_see_the_old_change_missed_nothing(
    secretariat: TestClient, database: OneTransaction, connect: Callable[..., TestClient]
) -> None:
    neighbour = connect(("secretariat", "63.03"))
    start = now(neighbour)
    with database.writing() as session:
        author = Author("test", datetime.now(UTC) - timedelta(days=900))
        content = AgencyIn(name="Dinas Lama", kind=AgencyKind.dinas)
        put_agency(Write(session, author, CONSOLE), "63.02", "LAMA", content)
    put_plan(neighbour, OTHER)
    assert [change["subject"] for change in page(neighbour, start)["items"]] == [f"plans/{OTHER}"]


def test_reading_from_the_beginning_is_410_once_it_is_gone(
    secretariat: TestClient, database: OneTransaction
) -> None:
    assert page(secretariat)["items"][0]["sequence"] == 1
    table = get_table(JournalRow)
    with database.writing() as session:
        session.execute(sa.update(table).values(at=datetime.now(UTC) - timedelta(days=500)))
    gone = secretariat.get("/v1/changes")
    assert (gone.status_code, gone.json()["errors"][0]["allowed"][0]) == (410, "/v1/changes?after=now")


def test_a_cursor_newer_than_the_restored_backup_is_410(
    secretariat: TestClient, database: OneTransaction
) -> None:
    cursor = now(secretariat)
    put(secretariat, "A-1", base=LEAN)
    lost = now(secretariat)
    journal, heads = get_table(JournalRow), get_table(JournalHead)
    with database.read_session() as session:
        rows = sa.select(journal).where(journal.c.chain == f"plan:{PLAN}").order_by(journal.c.position)
        before = session.execute(rows).all()
    with database.writing() as session:  # back to the state with only the plan
        session.execute(sa.delete(journal).where(journal.c.sequence == before[-1].sequence))
        end = {"position": before[-2].position, "hash": before[-2].hash}
        session.execute(sa.update(heads).where(heads.c.chain == f"plan:{PLAN}").values(**end))
        session.execute(sa.update(heads).where(heads.c.chain == "feed").values(position=heads.c.position - 1))
    assert secretariat.get("/v1/changes", params={"after": lost}).status_code == 410
    secretariat.patch(AT, json={"title": "Lain"}, headers=ANY)
    assert secretariat.get("/v1/changes", params={"after": lost}).status_code == 410
    assert [change["kind"] for change in page(secretariat, cursor)["items"]] == ["plan.changed"]


def test_a_dry_run_and_a_refused_write_leave_no_trace(
    secretariat: TestClient, database: OneTransaction
) -> None:
    put(secretariat, "A-1")
    start = now(secretariat)
    heads = get_table(JournalHead)

    def ends() -> Any:
        with database.read_session() as session:
            return session.execute(sa.select(heads).order_by(heads.c.chain)).all()

    before = ends()
    assert secretariat.put(f"{AT}/actions/A-9", json=LEAN, params={"dry_run": "true"}).status_code == 201
    assert secretariat.delete(A1, params={"dry_run": "true"}, headers=ANY).status_code == 204
    assert secretariat.put(A1, json={**LEAN, "lead_agency": "NONE"}, headers=ANY).status_code == 422
    assert secretariat.put(A1, json=LEAN, headers={"If-Match": '"9"'}).status_code == 412
    content, author = AgencyIn(name="Batal", kind=AgencyKind.dinas), Author("test", datetime.now(UTC))

    def fail() -> None:
        with database.writing() as session:
            put_agency(Write(session, author, CONSOLE), "63.02", "X", content)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert page(secretariat, start) == {"items": [], "next": start, "more": False}
    assert ends() == before
