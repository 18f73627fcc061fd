"""Tables cut by year by the SQL in deploy/years/: the service and its migrations see no difference."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from fastapi.testclient import TestClient
from sqlalchemy.exc import DBAPIError

from app.changes.queries import verify_journal
from app.kit.database.engine import Database, make_alembic_config
from app.main import create_app
from app.settings import Settings
from tests.common import token_for
from tests.coverage.world import SEKAPUNG
from tests.coverage.world import put as put_coverage
from tests.database import ENGINES, own_url
from tests.docs.pages import ROOT
from tests.plans.world import ACTION, ANY, AT, put, report
from tests.reference import load_small_reference
from tests.test_migrations import assert_no_orphans, count_rows, fill
from tests.year.world import Regency

CUT = (
    "progress",
    "progress_spending",
    "progress_component",
    "progress_output",
    "progress_recipient",
    "progress_milestone",
    "coverage",
    "coverage_service",
)

# only PostgreSQL has partitions
is_tested = pytest.mark.skipif("postgres" not in ENGINES, reason="RATA_TEST_ENGINES leaves PostgreSQL out")


@pytest.fixture(scope="module")
def filled() -> Iterator[Database]:
    """A database with rows in every table, partitioned by year."""
    with own_url("postgres") as url:
        fill(Database(url))
        database = Database(url)
        before = count_rows(database)
        years = list(map(str, range(2026, datetime.now(UTC).year + 11)))
        run_shipped(database, "cut")
        assert count_rows(database) == before
        for name in CUT:
            assert list_partitions(database, name) == ["earlier", *years, "later"]
            assert count_partition_rows(database, f"{name}_2026") > 0
        yield database
        database.close()


@is_tested
def test_a_year_is_written_read_and_detached(filled: Database) -> None:
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
        regency.report(1)  # of 2025, before the first partition
        assert count_partition_rows(filled, "progress_earlier") == 3
        client, nation = connect(("secretariat", "63.02")), connect(("reader", "0"))
        put(client, "A-9", base=ACTION)
        report(client, "A-9", 2, spent=5, outputs=[{"code": "O1", "achieved": 3}])
        put_coverage(client, SEKAPUNG, period="2026-Q3")
        less = {"items": [{**ACTION, "code": "A-9", "outputs": []}]}
        refused = client.put(f"{AT}/actions", json=less, headers=ANY)
        assert refused.status_code == 409  # the line has reports: the foreign keys still work
        assert get_content(client, f"{AT}/summary?period=2026-Q2") != get_content(
            client, f"{AT}/summary?period=2026-Q1"
        )
        assert get_content(client, "/v1/pulls/2026-Q2?region=63")
        kept = {path: get_content(nation, path) for path in FROZEN}

        with pytest.raises(DBAPIError, match=r"Not frozen: 63\.02 2026-Q"):
            run_shipped(filled, "remove", year=2026)
        freeze_all(filled, 2026)
        run_shipped(filled, "remove", year=2026)
        assert list_partitions(filled, "progress")[:2] == ["earlier", "2027"]
        assert count_partition_rows(filled, "progress_2026") > 0
        assert {path: get_content(nation, path) for path in FROZEN} == kept
    with filled.read_session() as session:
        assert verify_journal(session).breaks == []


@is_tested
def test_migrations_and_models_match_partitioned_tables(filled: Database) -> None:
    config = make_alembic_config(filled.url.render_as_string(hide_password=False))
    command.check(config)
    assert_no_orphans(filled)
    more = datetime.now(UTC).year + 11
    run_shipped(filled, "add", year=more)
    for name in CUT:
        assert list_partitions(filled, name)[-2:] == [str(more), "later"]
    filled.engine.dispose()
    command.downgrade(config, "0013")
    command.upgrade(config, "head")
    command.check(config)
    assert_no_orphans(filled)


FROZEN = ("/v1/snapshots/2025-Q1/73.22", "/v1/digests/2025-Q1?region=73", "/v1/pulls/2025-Q1?region=73")


def run_shipped(database: Database, name: str, *, year: int | None = None) -> None:
    """Execute a file of deploy/years/, for a year if one is given."""
    text = (ROOT / "deploy" / "years" / f"{name}.sql").read_text()
    with database.engine.begin() as connection:
        if year is not None:
            connection.exec_driver_sql(f"SET LOCAL rata.year = {year}")
        connection.exec_driver_sql(text.replace("%", "%%"))


def freeze_all(database: Database, year: int) -> None:
    """Mark every quarter of a year that has reports as frozen."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO quarter (region_code, period, year, state, version, updated_at) "
            "SELECT DISTINCT region_code, period, year, 'frozen', 1, now() FROM progress "
            f"WHERE year = {year} ON CONFLICT (region_code, period) DO UPDATE SET state = 'frozen'"
        )


def get_content(client: TestClient, path: str) -> bytes:
    reply = client.get(path)
    assert reply.status_code == 200, reply.text
    return reply.content


def list_partitions(database: Database, table: str) -> list[str]:
    """Return the suffixes of the partitions of a table, in the order of their years."""
    with database.engine.connect() as connection:
        names = connection.exec_driver_sql(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
            f"WHERE inhparent = to_regclass('{table}')"
        ).scalars()
        ends = [name.removeprefix(f"{table}_") for name in names]
    return sorted(ends, key=lambda end: {"earlier": "0", "later": "9"}.get(end, end))


def count_partition_rows(database: Database, part: str) -> int:
    with database.engine.connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM years.{part}").scalar() or 0)
