"""Entries name the position of their author; the token is for administrators of its home."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic import command
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access.commands import Write
from app.access.models import Role, TokenIn, TokenPosition, TokenScope
from app.access.rules import CONSOLE, Grant
from app.access.tokens import create_token
from app.kit.database.engine import Database, get_table, make_alembic_config
from app.kit.database.journal import Author, JournalRow
from app.plans.workflow.queries import read_last_move
from tests.common import ConnectAs
from tests.database import ENGINES, OneTransaction, own_url
from tests.plans.world import ANY, AT, LEAN, PLAN, furnish
from tests.test_migration_rules import RELEASED

_journal, _positions = get_table(JournalRow), get_table(TokenPosition)
AT_OFFICE = "/v1/principals/sekretariat"
OFFICE = {
    "region_code": "63.02",
    "subject": None,
    "memberships": [{"role": "secretariat", "region_code": "63.02"}],
}


def read_authors(client: TestClient, path: str = f"{AT}/history") -> list[tuple[str, str | None]]:
    """Return the actor and the token of each entry of the plan."""
    items = client.get(path).json()["items"]
    return [(item["actor"], item["token"]) for item in items if item["subject"].startswith("plans/")]


def test_a_position_with_a_new_token_is_the_same_actor(
    provincial_administrator: TestClient, connect: ConnectAs, database: OneTransaction, app: FastAPI
) -> None:
    furnish(database)
    assert provincial_administrator.put(AT_OFFICE, json=OFFICE).status_code == 201
    for name, path, content in (
        ("o1", AT, {"title": "RAT"}),
        ("o2", f"{AT}/actions/A-1", LEAN),
        ("o3", f"{AT}/actions/A-1/progress/2026-Q1", {"spent": 0}),
    ):
        made = provincial_administrator.put(f"{AT_OFFICE}/tokens/{name}", json={"scopes": ["read", "write"]})
        office = TestClient(app, headers={"Authorization": f"Bearer {made.json()['secret']}"})
        reply = office.put(path, json=content)
        assert reply.status_code == 201, reply.text
    assert office.get(f"{AT}/actions/A-1/progress/2026-Q1").json()["reported_by"] == "sekretariat"
    shown, hidden = [("sekretariat", name) for name in ("o1", "o2", "o3")], [("sekretariat", None)] * 3
    home, nation = connect(("administrator", "63.02")), connect(("administrator", "0"))
    reviewer = connect(("reviewer", "63"), ("administrator", "63.03"))
    for path in (f"{AT}/history", "/v1/changes"):
        assert [read_authors(client, path) for client in (provincial_administrator, home, nation)] == [
            shown
        ] * 3
        assert [read_authors(client, path) for client in (office, reviewer)] == [hidden] * 2
    assert provincial_administrator.delete(AT_OFFICE, headers=ANY).status_code == 204
    for path in (f"{AT}/history", "/v1/changes"):
        assert [read_authors(client, path) for client in (provincial_administrator, reviewer)] == [hidden] * 2
        assert read_authors(nation, path) == shown


@pytest.mark.both_engines
def test_older_entries_show_the_principal_that_had_the_token_then(
    secretariat: TestClient, connect: ConnectAs, database: OneTransaction
) -> None:
    """Another principal got the name of the token later; the first entry is older than both."""
    for title in ("RAT 1", "RAT 2", "RAT 3"):
        secretariat.put(AT, json={"title": title}, headers=ANY)
    here = _journal.c.chain == f"plan:{PLAN}"
    with database.writing() as session:
        session.execute(
            sa.update(_journal).where(here).values(actor="o1", principal=None, format=1, salt=None)
        )
        _, second, third, fourth = session.scalars(
            sa.select(_journal.c.sequence).where(here).order_by("sequence")
        )
        rows = [("o1", third, "baru"), ("o1", second - 1, "lama"), ("o2", 1, "lain")]
        session.execute(
            sa.insert(_positions),
            [dict(zip(("token", "from_sequence", "principal"), row, strict=True)) for row in rows],
        )
    assert fourth > third
    expected = ["o1", "lama", "lama", "baru"]
    nation = connect(("administrator", "0"))
    for path in (f"{AT}/history", "/v1/changes"):
        assert read_authors(nation, path) == [(position, "o1") for position in expected]
        assert read_authors(secretariat, path) == [(position, None) for position in expected]
    with database.read_session() as session:
        last = read_last_move(session, PLAN, "plan.changed")
    assert last is not None
    assert last.actor == "baru"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.both_engines
def test_the_migration_finds_the_principals_of_older_tokens(engine: str) -> None:
    with own_url(engine) as url:
        database = Database(url)
        content = TokenIn(scopes=[TokenScope.read])
        grants = [Grant(Role.reader, "63.02", None)]
        for name, principal in (("o1", "opd"), ("o2", "opd"), ("o3", "sekretariat")):
            with database.writing() as session:
                write = Write(session, Author("test", datetime.now(UTC)), CONSOLE)
                create_token(write, name=name, principal=principal, grants=grants, content=content)
        created = sa.select(_journal.c.sequence).where(_journal.c.kind == "token.created")
        with database.read_session() as session:
            assert session.execute(sa.select(_positions)).all() == []
            first, second, third = session.scalars(created.order_by(_journal.c.sequence))
        database.close()
        command.downgrade(make_alembic_config(url), RELEASED)
        command.upgrade(make_alembic_config(url), "head")
        database = Database(url)
        with database.read_session() as session:
            rows = session.execute(sa.select(_positions).order_by(_positions.c.token)).all()
        database.close()
    assert [tuple(row) for row in rows] == [
        ("o1", first, "opd"), ("o2", second, "opd"), ("o3", third, "sekretariat")
    ]  # fmt: skip
