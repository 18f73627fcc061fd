"""Two sessions that read one pull in turns: one state, one order, no repetition."""

from collections.abc import Iterator

import pytest

from app.access.rules import CONSOLE
from app.exchange.pulls import queries
from app.exchange.pulls.queries import count_lines, list_sources, read_lines
from app.kit.database.engine import Database
from tests.database import ENGINES, own_database
from tests.plans.world import LEAN, furnish, put_many, put_plan
from tests.pulls.test_transfers import client_of

PERIOD = "2026-Q2"
REGIONS = ("63.02", "63.03", "73.22")


@pytest.fixture(scope="module", params=ENGINES)
def committed(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with three plans of 7, 14 and 21 lines."""
    with own_database(request.param) as database:
        for number, region in enumerate(REGIONS, 1):
            furnish(database, region)
            writer = client_of(database, ("secretariat", region))
            put_plan(writer, f"{region}-2026")
            put_many(
                writer,
                [{**LEAN, "code": f"L-{n:02d}"} for n in range(7 * number)],
                plan=f"{region}-2026",
            )
        yield database


@pytest.mark.parametrize(("chunk", "together"), [(2000, 2000), (2000, 1), (5, 1), (5, 20)])
def test_lines_do_not_depend_on_the_sessions_that_read(
    committed: Database, monkeypatch: pytest.MonkeyPatch, chunk: int, together: int
) -> None:
    with committed.snapshot_session() as session:
        sources = list_sources(session, CONSOLE, PERIOD, None)
        counted = count_lines(session, sources, PERIOD)
        expected = [line for part in read_lines([session], sources, counted, PERIOD) for line in part]
        assert len(expected) == sum(counted.values()) == 42
        monkeypatch.setattr(queries, "CHUNK", chunk)
        monkeypatch.setattr(queries, "BATCH_LINES", together)
        with committed.share_snapshot(session) as sessions:
            assert len(sessions) == (1 if committed.is_sqlite else 2)
            parts = list(read_lines(sessions, sources, counted, PERIOD))
    assert [line for part in parts for line in part] == expected
    assert max(map(len, parts)) <= chunk


def test_without_a_free_connection_one_session_reads_all(
    committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if committed.is_sqlite:
        pytest.skip("a file has one reader anyway")
    small = Database(committed.url.render_as_string(hide_password=False), pool_size=1)
    monkeypatch.setattr(small.engine.pool, "_timeout", 0)
    with (
        small.engine.connect(),
        small.snapshot_session() as session,
        small.share_snapshot(session) as sessions,
    ):
        assert sessions == [session]
    small.close()


def test_both_see_what_was_committed_before_and_nothing_else(committed: Database) -> None:
    with committed.snapshot_session() as session:
        sources = list_sources(session, CONSOLE, PERIOD, None)
        with committed.share_snapshot(session) as sessions:
            writer = client_of(committed, ("secretariat", "63.02"))
            put_many(writer, [{**LEAN, "code": "L-00", "title": "Sesudahnya"}], plan="63.02-2026")
            for reader in sessions:
                text = "".join(
                    line
                    for part in read_lines([reader], sources, count_lines(reader, sources, PERIOD), PERIOD)
                    for line in part
                )
                assert '"title":"' in text
                assert "Sesudahnya" not in text
