"""Tables cut by year: the service, its migrations and its proofs see no difference, and an old year can go."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from alembic import command
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from app.changes.queries import verify_journal
from app.console.storage import cli
from app.kit.database.engine import Database, alembic_config
from app.kit.database.partitions import SCHEMA, NotPartitioned, partition, put_away
from app.main import create_app
from app.settings import Settings
from app.years import CUT_BY_YEAR, reports_not_frozen
from tests.conftest import token_for
from tests.coverage.world import SEKAPUNG
from tests.coverage.world import put as put_coverage
from tests.database import ENGINES, own_url
from tests.plans.world import ACTION, ANY, AT, put, report
from tests.reference import load_small_reference
from tests.restoring.world import left_behind_nothing
from tests.test_migrations import assert_no_orphans, counts, fill
from tests.year.world import Regency

is_tested = pytest.mark.skipif("postgres" not in ENGINES, reason="RATA_TEST_ENGINES leaves PostgreSQL out")


@pytest.fixture(scope="module")
def filled() -> Iterator[Database]:
    """A row in every table, cut by year."""
    with own_url("postgres") as url:
        fill(Database(url))
        database = Database(url)
        before = counts(database)
        partition(database, CUT_BY_YEAR, until=2028)
        assert counts(database) == before
        for name in CUT_BY_YEAR:
            assert parts_of(database, name) == ["earlier", "2026", "2027", "2028", "later"]
            assert rows_of(database, f"{name}_2026") > 0
        yield database
        database.close()


@is_tested
def test_a_year_is_written_read_and_put_away(filled: Database) -> None:
    with filled.writing() as session:
        load_small_reference(session, "73.22")
    with ExitStack() as stack:
        app = create_app(Settings(_env_file=None, database_url=str(filled.url)), filled)

        def connect(*roles: Any) -> TestClient:
            headers = {"Authorization": f"Bearer {token_for(filled, *roles)}"}
            return stack.enter_context(TestClient(app, headers=headers))

        regency = Regency(connect, "73.22", 3, connect(("reviewer", "73")))
        regency.plan_it()
        regency.adopt_it()
        regency.report(1)  # of 2025, before the first year that there was
        assert rows_of(filled, "progress_earlier") == 3
        client, nation = connect(("secretariat", "63.02")), connect(("reader", "0"))
        put(client, "A-9", base=ACTION)
        report(client, "A-9", 2, spent=5, outputs=[{"code": "O1", "achieved": 3}])
        put_coverage(client, SEKAPUNG, period="2026-Q3")
        less = {"items": [{**ACTION, "code": "A-9", "outputs": []}]}
        refused = client.put(f"{AT}/actions", json=less, headers=ANY)
        assert refused.status_code == 409  # reported on: the keys between the tables hold
        assert answer(client, f"{AT}/summary?period=2026-Q2") != answer(
            client, f"{AT}/summary?period=2026-Q1"
        )
        assert answer(client, "/v1/pulls/2026-Q2?region=63")
        kept = {path: answer(nation, path) for path in FROZEN}

        assert "Not frozen: 63.02 2026-Q2" in str(command_line(filled, "--put-away", "2026").exception)
        assert reports_not_frozen(filled, 2025) == []
        with pytest.raises(NotPartitioned):
            put_away(filled, CUT_BY_YEAR, 2019)
        assert put_away(filled, CUT_BY_YEAR, 2026)[0] == "progress_2026"
        assert parts_of(filled, "progress") == ["earlier", "2027", "2028", "later"]
        assert rows_of(filled, "progress_2026") > 0
        assert {path: answer(nation, path) for path in FROZEN} == kept
    with filled.read_session() as session:
        assert verify_journal(session).breaks == []


@is_tested
def test_migrations_and_models_see_no_difference(filled: Database) -> None:
    config = alembic_config(filled.url.render_as_string(hide_password=False))
    command.check(config)
    assert_no_orphans(filled)
    assert partition(filled, CUT_BY_YEAR, until=2028) == []
    assert f"{len(CUT_BY_YEAR)} years" in command_line(filled, "--until", "2029").output
    filled.engine.dispose()
    command.downgrade(config, "0013")
    command.upgrade(config, "head")
    command.check(config)
    assert_no_orphans(filled)


FROZEN = ("/v1/snapshots/2025-Q1/73.22", "/v1/digests/2025-Q1?region=73", "/v1/pulls/2025-Q1?region=73")


def answer(client: TestClient, path: str) -> bytes:
    reply = client.get(path)
    assert reply.status_code == 200, reply.text
    return reply.content


def parts_of(database: Database, table: str) -> list[str]:
    """Ends of the names of a table's parts, in the order of their years."""
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
            f"WHERE inhparent = to_regclass('{table}')"
        ).scalars()
        ends = [name.removeprefix(f"{table}_") for name in found]
    return sorted(ends, key=lambda end: {"earlier": "0", "later": "9"}.get(end, end))


def rows_of(database: Database, part: str) -> int:
    with database.engine.connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {SCHEMA}.{part}").scalar() or 0)


def test_a_file_has_no_partitions(sqlite_template: Database) -> None:
    for words in ((), ("--put-away", "2020")):
        done = command_line(sqlite_template, *words)
        assert (done.exit_code, "no partitions" in str(done.exception)) == (1, True)


def command_line(database: Database, *words: str) -> Result:
    settings = {"RATA_DATABASE_URL": database.url.render_as_string(hide_password=False)}
    with left_behind_nothing():
        return CliRunner().invoke(cli, ["partition", *words], env=settings)
