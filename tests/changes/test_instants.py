"""Instants of one chain never decrease: the order of its entries decides, not the clock."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.access.commands import Write
from app.access.rules import CONSOLE
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import Author, Entry, JournalRow, append, lock_chain
from app.plans.core.commands import put_plan
from app.plans.core.models import PlanIn, PlanRow
from tests.changes.worlds import empty_journal
from tests.database import OneTransaction

_journal = get_table(JournalRow)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLAN = "63.02-2026"
THING = Entry("thing.created", "0", "things/1", 1, None, {"n": 1})


def read_instants(database: Database, chain: str) -> list[datetime]:
    statement = sa.select(_journal.c.at).where(_journal.c.chain == chain).order_by(_journal.c.position)
    with database.read_session() as session:
        return list(session.scalars(statement))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(-90, 90), st.lists(st.sampled_from("abc"), min_size=1, max_size=4)), max_size=8
    )
)
def test_instants_of_a_chain_never_decrease(
    database: OneTransaction, writes: list[tuple[int, list[str]]]
) -> None:
    """Transactions with clocks of their own write to several chains, some twice."""
    empty_journal(database)
    expected = dict[str, list[datetime]]()
    for minutes, chains in writes:
        clock = NOON + timedelta(minutes=minutes)
        with database.writing() as session:
            ends = {name: lock_chain(session, name) for name in sorted(set(chains))}
            for name in chains:
                ends[name] = append(session, ends[name], Author("test", clock), [THING])
        latest = max([clock, *(expected[name][-1] for name in chains if name in expected)])
        for name in chains:
            expected.setdefault(name, []).append(latest)
    assert {name: read_instants(database, name) for name in expected} == expected
    assert all(instants == sorted(instants) for instants in expected.values())


def test_rows_have_the_instant_of_their_entry(database: OneTransaction) -> None:
    """The clock of the second write is an hour behind that of the first."""
    plans = get_table(PlanRow)
    for title, at in (("Pertama", NOON), ("Kedua", NOON - timedelta(hours=1))):
        with database.writing() as session:
            put_plan(Write(session, Author("test", at), CONSOLE), PLAN, PlanIn(title=title))
        with database.read_session() as session:
            stored = session.execute(sa.select(plans.c.title, plans.c.updated_at)).one()
        assert tuple(stored) == (title, NOON)
    assert read_instants(database, f"plan:{PLAN}") == [NOON, NOON]


@pytest.mark.both_engines
def test_a_writer_that_waits_for_a_chain_is_not_before_its_end(committed: Database) -> None:
    """Writers whose clocks differ by an hour take turns, so most lock the chain after a wait."""

    def write(number: int) -> None:
        author = Author("test", NOON + timedelta(minutes=(number * 37) % 60))
        with committed.writing() as session:
            append(session, lock_chain(session, "things"), author, [THING])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(24)))
    instants = read_instants(committed, "things")
    assert len(instants) == 24
    assert instants == sorted(instants)
