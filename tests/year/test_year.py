"""A year of a province through the workflow, in as many requests as its steps need; and the feed of it, replayed
into an empty copy, gives what the service holds.

Small in the suite; `make year` runs 24 regencies of 300 lines each.
"""

import hashlib
import os
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from anyio.from_thread import BlockingPortal
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.engine import Connection

from app.changes.queries import verify_journal
from app.kit.database.engine import Database
from app.main import create_app
from app.settings import Settings
from tests.calling import Client
from tests.common import token_for
from tests.database import ENGINES, own_database
from tests.pages import walk
from tests.reference import load_small_reference
from tests.year.copies import PAGE, Content, Copy, hashes_of, read_plan
from tests.year.world import (
    AMENDED,
    CORRECTED,
    FEW,
    PROVINCE,
    QUARTERS,
    REQUESTS_OF_A_REGENCY,
    YEAR,
    Connect,
    Regency,
)

REGENCIES = int(os.environ.get("RATA_YEAR_REGENCIES", "2"))
LINES = int(os.environ.get("RATA_YEAR_LINES", "6"))
CODES = ("73.22", *(f"73.{n:02}" for n in (*range(1, 19), 24, 26, 71, 72, 73)))[:REGENCIES]
"""Regencies and cities of the province; the one that every test knows is first."""


@pytest.fixture(params=ENGINES[-1:])
def committed(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database that keeps what is written to it, with the regencies of this year."""
    with own_database(request.param) as database:
        with database.writing() as session:
            load_small_reference(session, *CODES)
        yield database


@pytest.fixture
def connect(committed: Database, portal: BlockingPortal) -> Connect:
    app = create_app(Settings(_env_file=None, database_url=str(committed.url)), committed)

    def connect_as(*roles: tuple[str, str]) -> TestClient:
        return Client(app, portal, headers={"Authorization": f"Bearer {token_for(committed, *roles)}"})

    return connect_as


def test_a_year_of_a_province(committed: Database, connect: Connect) -> None:
    reviewer, reader = connect(("reviewer", PROVINCE)), connect(("reader", PROVINCE))
    regencies = [Regency(connect, code, LINES, reviewer) for code in CODES]
    live = Copy(reader, sees_drafts=False)
    for one in regencies:
        one.plan_it()
    live.follow()
    assert live.kept == {}
    for one in regencies:
        one.adopt_it()
    for quarter in QUARTERS:
        for one in regencies:
            if quarter == AMENDED:
                one.amend_it()
            one.report(quarter)
        live.follow()
    for one in regencies:
        one.correct(CORRECTED)
    live.follow()

    assert {one.requests for one in regencies} == {REQUESTS_OF_A_REGENCY}
    check_completeness(reviewer)
    check_snapshots(reader)
    check_revisions(reader, regencies)
    check_copies(reviewer, live)
    with committed.read_session() as session:
        verdict = verify_journal(session)
    assert verdict.breaks == []
    assert verdict.rows > REGENCIES * LINES * (1 + len(QUARTERS))


def check_completeness(reviewer: TestClient) -> None:
    """Every regency has reported and frozen every quarter; the province has no plan of its own."""
    for quarter in QUARTERS:
        reply = reviewer.get(f"/v1/completeness?period={YEAR}-Q{quarter}&region={PROVINCE}")
        totals = reply.json()["totals"]
        reported = REGENCIES * LINES
        assert (totals["expected"], totals["reported"], totals["missing"]) == (reported, reported, 0)
        assert (totals["regions"], totals["without_plan"]) == (REGENCIES + 1, 1)
        assert {totals[name] for name in ("submitted", "verified", "frozen")} == {REGENCIES}


def check_snapshots(reader: TestClient) -> None:
    """Each quarter and one correction of each regency; the bytes are what the list says."""
    found = list(walk(reader, f"/v1/snapshots?region={PROVINCE}&limit={PAGE}"))
    assert len(found) == REGENCIES * (len(QUARTERS) + 1)
    assert {one["row_count"] for one in found} == {LINES}
    assert {one["period"] for one in found if one["amendment"]} == {f"{YEAR}-Q{CORRECTED}"}
    for one in found:
        reply = reader.get(one["address"])
        assert hashlib.sha256(reply.content).hexdigest() == one["sha256"]
        assert reply.headers["ETag"] == f'"{one["sha256"]}"'


def check_revisions(reader: TestClient, regencies: list[Regency]) -> None:
    for regency in regencies:
        found = list(walk(reader, f"{regency.plan}/revisions"))
        assert sorted(one["revision"] for one in found) == [0, 1]
        for one in found:
            reply = reader.get(f"{regency.plan}/revisions/{one['revision']}")
            assert hashlib.sha256(reply.content).hexdigest() == one["sha256"]
        (first, second) = sorted(found, key=lambda one: int(one["revision"]))
        assert second["allocation"] - first["allocation"] == FEW * 8_000_000


def check_copies(reviewer: TestClient, live: Copy) -> None:
    """Copies that began empty, one from changes alone, hold what the service answers, and took few requests."""
    from_changes = Copy(reviewer, sees_drafts=True)
    from_beginning = Copy(live.client, sees_drafts=False)
    service: dict[str, Content] = {}
    for code in CODES:
        service |= read_plan(reviewer, f"plans/{code}-{YEAR}")
    assert len(service) == REGENCIES * (1 + LINES * (1 + len(QUARTERS)))
    expected = hashes_of(service)
    for copy in (from_changes, from_beginning):
        copy.follow()
        assert copy.pages <= copy.rows // PAGE + 1
    for copy in (from_changes, from_beginning, live):
        assert copy.kept.keys() == service.keys()
        assert copy.hashes() == expected
    assert from_beginning.rows == live.rows < from_changes.rows


def test_a_batch_takes_as_many_statements_for_all_lines_as_for_one(
    committed: Database, connect: Connect
) -> None:
    """Tried, not kept: what it takes to write is all done."""
    regency = Regency(connect, CODES[0], LINES, connect(("reviewer", PROVINCE)))
    regency.plan_it()
    new = range(LINES + 1, 2 * LINES + 1)
    first, last = QUARTERS[0], QUARTERS[-1]
    for write in (
        lambda count: regency.put_lines(new[:count], dry_run="true"),
        lambda count: regency.put_reports(regency.lines[:count], first, dry_run="true"),
        lambda count: regency.put_reports(regency.lines[:count], last, dry_run="true"),
    ):
        counts = [statements(committed, lambda c=count, w=write: w(c)) for count in (1, LINES)]
        assert counts[0] == counts[1] > 0, counts


def statements(database: Database, work: Callable[[], None]) -> int:
    """How many statements some work executes."""
    seen: list[str] = []

    def note(conn: Connection, cursor: object, statement: str, *rest: object) -> None:
        seen.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(sa.Engine, "before_cursor_execute", note)
    return len(seen)
