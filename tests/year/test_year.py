"""A year of a province through the workflow, and copies from its feed that equal the service.

`make year` runs 24 regencies of 300 lines each.
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
from tests.year.copies import PAGE, Content, Copy, compute_hashes, read_plan
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
"""Regencies and cities of the province, first the one of the small reference data."""


@pytest.fixture(params=ENGINES[-1:])
def committed(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with committed writes and the regencies of this year."""
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


def test_a_year_of_a_province_and_its_copies(committed: Database, connect: Connect) -> None:
    reviewer, reader = connect(("reviewer", PROVINCE)), connect(("reader", PROVINCE))
    regencies = [Regency(connect, code, LINES, reviewer) for code in CODES]
    live = Copy(reader, sees_drafts=False)
    for regency in regencies:
        regency.plan_it()
    live.follow()
    assert live.kept == {}
    for regency in regencies:
        regency.adopt_it()
    for quarter in QUARTERS:
        for regency in regencies:
            if quarter == AMENDED:
                regency.amend_it()
            regency.report(quarter)
        live.follow()
    for regency in regencies:
        regency.correct(CORRECTED)
    live.follow()

    assert {regency.requests for regency in regencies} == {REQUESTS_OF_A_REGENCY}
    check_completeness(reviewer)
    check_snapshots(reader)
    check_revisions(reader, regencies)
    check_copies(reviewer, live)
    with committed.read_session() as session:
        verdict = verify_journal(session)
    assert verdict.breaks == []
    assert verdict.rows > REGENCIES * LINES * (1 + len(QUARTERS))


def check_completeness(reviewer: TestClient) -> None:
    """Check that all regencies have reported and frozen all quarters, and the province has no plan."""
    for quarter in QUARTERS:
        reply = reviewer.get(f"/v1/completeness?period={YEAR}-Q{quarter}&region={PROVINCE}")
        totals = reply.json()["totals"]
        reported = REGENCIES * LINES
        assert (totals["expected"], totals["reported"], totals["missing"]) == (reported, reported, 0)
        assert (totals["regions"], totals["without_plan"]) == (REGENCIES + 1, 1)
        assert {totals[name] for name in ("submitted", "verified", "frozen")} == {REGENCIES}


def check_snapshots(reader: TestClient) -> None:
    """Check the snapshots of all quarters and corrections against the hashes of the list."""
    snapshots = list(walk(reader, f"/v1/snapshots?region={PROVINCE}&limit={PAGE}"))
    assert len(snapshots) == REGENCIES * (len(QUARTERS) + 1)
    assert {snapshot["row_count"] for snapshot in snapshots} == {LINES}
    assert {snapshot["period"] for snapshot in snapshots if snapshot["amendment"]} == {f"{YEAR}-Q{CORRECTED}"}
    for snapshot in snapshots:
        reply = reader.get(snapshot["address"])
        assert hashlib.sha256(reply.content).hexdigest() == snapshot["sha256"]
        assert reply.headers["ETag"] == f'"{snapshot["sha256"]}"'


def check_revisions(reader: TestClient, regencies: list[Regency]) -> None:
    for regency in regencies:
        revisions = sorted(
            walk(reader, f"{regency.plan}/revisions"), key=lambda revision: int(revision["revision"])
        )
        assert [revision["revision"] for revision in revisions] == [0, 1]
        for revision in revisions:
            reply = reader.get(f"{regency.plan}/revisions/{revision['revision']}")
            assert hashlib.sha256(reply.content).hexdigest() == revision["sha256"]
        first, second = revisions
        assert second["allocation"] - first["allocation"] == FEW * 8_000_000


def check_copies(reviewer: TestClient, live: Copy) -> None:
    """Check that copies of the feed equal the service and took few requests."""
    from_changes = Copy(reviewer, sees_drafts=True)
    from_beginning = Copy(live.client, sees_drafts=False)
    service: dict[str, Content] = {}
    for code in CODES:
        service |= read_plan(reviewer, f"plans/{code}-{YEAR}")
    assert len(service) == REGENCIES * (1 + LINES * (1 + len(QUARTERS)))
    expected = compute_hashes(service)
    for copy in (from_changes, from_beginning):
        copy.follow()
        assert copy.pages <= copy.rows // PAGE + 1
    for copy in (from_changes, from_beginning, live):
        assert copy.kept.keys() == service.keys()
        assert copy.compute_hashes() == expected
    assert from_beginning.rows == live.rows < from_changes.rows


def test_a_batch_needs_as_many_statements_for_all_lines_as_for_one(
    committed: Database, connect: Connect
) -> None:
    """Dry runs execute all statements of a write."""
    regency = Regency(connect, CODES[0], LINES, connect(("reviewer", PROVINCE)))
    regency.plan_it()
    new = range(LINES + 1, 2 * LINES + 1)
    first, last = QUARTERS[0], QUARTERS[-1]
    for write in (
        lambda count: regency.put_lines(new[:count], dry_run="true"),
        lambda count: regency.put_reports(regency.lines[:count], first, dry_run="true"),
        lambda count: regency.put_reports(regency.lines[:count], last, dry_run="true"),
    ):
        counts = [count_statements(lambda c=count, w=write: w(c)) for count in (1, LINES)]
        assert counts[0] == counts[1] > 0, counts


def count_statements(work: Callable[[], None]) -> int:
    """Return the number of statements that `work` executes."""
    statements: list[str] = []

    def note(conn: Connection, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(sa.Engine, "before_cursor_execute", note)
    return len(statements)
