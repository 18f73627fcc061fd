"""`rata verify` finds tampering with the journal, and its place."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.access.commands import Write
from app.access.rules import CONSOLE
from app.agencies.commands import put_agency
from app.agencies.models import AgencyIn, AgencyKind
from app.changes import queries
from app.changes.queries import JournalCheck, verify_journal
from app.console.frame import CommandRefused
from app.console.storage import cli
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import (
    COVERED,
    FEED,
    Author,
    Entry,
    JournalHead,
    JournalRow,
    append,
    hash_row,
    lock_chain,
)
from app.kit.problems import NotFound
from tests.changes.test_formats import blank
from tests.database import OneTransaction, own_database
from tests.plans.world import AGENCIES, ANY, AT, LEAN, PLAN, furnish_by_command, put, put_many, report

CHAIN = f"plan:{PLAN}"
_table, _heads = get_table(JournalRow), get_table(JournalHead)
_HERE = _table.c.chain == CHAIN


@pytest.fixture
def written(secretariat: TestClient) -> TestClient:
    """Eight links: a plan, three actions, three writes of a report, a deleted action."""
    put(secretariat, "A-1", note="Kurung \\ “x” %_ 🌧")
    put_many(secretariat, [{"code": "A-2", **LEAN}, {"code": "A-3", **LEAN}])
    report(
        secretariat,
        "A-1",
        1,
        spent=1,
        physical_reported_percent=33.33,
        outputs=[{"code": "O1", "achieved": 12.3456}],
    )
    report(secretariat, "A-1", 1, spent=2, evidence=["https://example.org/a?b=1"])
    report(secretariat, "A-1", 1)
    secretariat.delete(f"{AT}/actions/A-2", headers=ANY)
    return secretariat


def verify(database: Database, chain: str | None = None) -> JournalCheck:
    with database.read_session() as session:
        return verify_journal(session, chain)


def find_breaks(database: Database, chain: str | None = None) -> list[tuple[str, int]]:
    return [(row_break.chain, row_break.position) for row_break in verify(database, chain).breaks]


def tamper(database: Database, statement: Any) -> None:
    with database.writing() as session:
        assert session.execute(statement).rowcount == 1  # type: ignore[attr-defined]


def find_sequence(database: Database, position: int) -> int:
    with database.read_session() as session:
        number = session.scalar(sa.select(_table.c.sequence).where(_HERE, _table.c.position == position))
    assert number is not None
    return number


def test_a_whole_journal_holds(written: TestClient, database: OneTransaction) -> None:
    result = verify(database)
    with database.read_session() as session:
        rows = session.scalar(sa.select(sa.func.count()).select_from(_table))
        chains = session.scalar(sa.select(sa.func.count(sa.distinct(_table.c.chain))))
    assert (result.breaks, result.rows, result.chains) == ([], rows, chains)
    assert verify(database, CHAIN) == JournalCheck(1, 8, [])
    with pytest.raises(NotFound):
        verify(database, "plan:63.02-1999")


@pytest.mark.parametrize(
    "values",
    [
        {"actor": "orang lain"}, {"at": datetime(2026, 1, 1, tzinfo=UTC)}, {"reason": "sudah begitu"},
        {"changes": {"spent": [0, 0]}}, {"version": 9}, {"kind": "action.changed"}, {"region_code": "63.03"},
        {"subject": "plans/63.02-2026"}, {"request_id": None}, {"hash": "0" * 64}, {"principal": "orang lain"},
        {"is_draft": False}, {"format": 1}, {"format": 3}, {"salt": "0" * 64}, {"salt": None}, {"blanked": {}},
    ],
    ids=str,
)  # fmt: skip
def test_a_changed_row_is_the_first_broken_link(
    written: TestClient, database: OneTransaction, values: dict[str, Any]
) -> None:
    tamper(database, sa.update(_table).where(_HERE, _table.c.position == 5).values(**values))
    assert find_breaks(database) == find_breaks(database, CHAIN) == [(CHAIN, 5)]
    (broken,) = verify(database).breaks
    assert (broken.version, broken.sequence) == (values.get("version", 1), find_sequence(database, 5))
    assert str(broken).startswith(f"{CHAIN}, link 5 (plans/63.02-2026")


def test_a_changed_row_with_a_new_hash_breaks_the_next(written: TestClient, database: OneTransaction) -> None:
    for position, expected in ((5, (CHAIN, 6)), (8, (CHAIN, 8))):
        with database.writing() as session:
            rows = (
                session.execute(sa.select(_table).where(_HERE).order_by(_table.c.position)).mappings().all()
            )
            row = {**rows[position - 1], "actor": "orang lain"}
            new = hash_row(rows[position - 2]["hash"], row)
            changed = sa.update(_table).where(_HERE, _table.c.position == position)
            session.execute(changed.values(actor="orang lain", hash=new))
        assert find_breaks(database) == [expected]
        with database.writing() as session:
            session.execute(
                changed.values(actor=rows[position - 1]["actor"], hash=rows[position - 1]["hash"])
            )
    assert find_breaks(database) == []


def test_a_blanked_value_holds_and_is_counted(written: TestClient, database: OneTransaction) -> None:
    """Blanked: what the report had spent before and after."""
    here = sa.and_(_HERE, _table.c.position == 6)
    with database.read_session() as session:
        row = dict(session.execute(sa.select(_table).where(here)).mappings().one())
    rest = blank(row, ["changes/spent/0", "changes/spent/1"])
    assert (row["changes"]["spent"], rest["changes"]["spent"]) == ([1, 2], [None, None])
    cells = {name: rest[name] for name in ("changes", "salt", "blanked")}
    tamper(database, sa.update(_table).where(here).values(**cells))
    assert verify(database, CHAIN) == JournalCheck(1, 8, [], blanked=1)
    tamper(database, sa.update(_table).where(here).values(changes=row["changes"]))
    assert find_breaks(database) == [(CHAIN, 6)]


def test_rows_of_the_version_before_hold_among_newer_ones(
    written: TestClient, database: OneTransaction
) -> None:
    """During an upgrade the version before writes on: rows of format 1, without the younger columns."""
    names = sorted({*COVERED[1], "sequence", "hash"})
    with database.writing() as session:
        chain = lock_chain(session, CHAIN)
        append(
            session, chain, Author("test", datetime.now(UTC)), [Entry("a.b", "0", "x", 1, None, {"n": 1.5})]
        )
    with database.writing() as session:
        last = session.execute(sa.select(_table).order_by(_table.c.sequence.desc()).limit(1)).mappings().one()
        old = {**last, "format": 1, "principal": None, "salt": None, "position": last["position"] + 1}
        old |= {"sequence": last["sequence"] + 1, "hash": hash_row(last["hash"], old)}
        session.execute(sa.insert(_table), [{name: old[name] for name in names}])
        for name in (CHAIN, FEED):
            head = {"position": _heads.c.position + 1, "hash": old["hash"]}
            session.execute(sa.update(_heads).where(_heads.c.chain == name).values(**head))
    put(written, "A-4", base=LEAN)
    assert verify(database, CHAIN) == JournalCheck(1, 11, [])


def test_removed_rows_show_in_the_chain_and_in_the_feed(
    written: TestClient, database: OneTransaction
) -> None:
    middle, last = find_sequence(database, 5), find_sequence(database, 8)
    tamper(database, sa.delete(_table).where(_HERE, _table.c.position == 8))
    assert find_breaks(database) == [(CHAIN, 8), ("feed", last)]
    tamper(database, sa.delete(_table).where(_HERE, _table.c.position == 5))
    assert find_breaks(database) == [(CHAIN, 5), ("feed", middle)]
    assert find_breaks(database, CHAIN) == [(CHAIN, 5)]
    with database.writing() as session:
        session.execute(sa.delete(_table).where(_HERE))
    assert find_breaks(database)[0] == (CHAIN, 1)


def test_a_moved_end_shows(written: TestClient, database: OneTransaction) -> None:
    head = sa.update(_heads).where(_heads.c.chain == CHAIN)
    tamper(database, head.values(position=7))
    assert find_breaks(database) == [(CHAIN, 8)]
    tamper(database, head.values(position=9))
    assert find_breaks(database) == [(CHAIN, 9)]
    tamper(database, head.values(position=8, hash="0" * 64))
    assert find_breaks(database) == [(CHAIN, 8)]
    tamper(database, sa.delete(_heads).where(_heads.c.chain == CHAIN))
    assert find_breaks(database) == [(CHAIN, 1)]


def test_rows_that_changed_places_in_the_feed_show(written: TestClient, database: OneTransaction) -> None:
    second, third = find_sequence(database, 2), find_sequence(database, 3)
    for number, to in ((second, 10**6), (third, second), (10**6, third)):
        tamper(database, sa.update(_table).where(_table.c.sequence == number).values(sequence=to))
    assert find_breaks(database) == [(CHAIN, 3)]


def test_the_beginning_of_the_feed_is_missed_too(written: TestClient, database: OneTransaction) -> None:
    tamper(database, sa.delete(_table).where(_table.c.sequence == 1))
    assert find_breaks(database)[-1] == ("feed", 1)


def test_batches_end_where_chains_do_not(
    written: TestClient, database: OneTransaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = verify(database)
    for batch in (1, 2, 3, 7):
        monkeypatch.setattr(queries, "_BATCH", batch)
        assert verify(database) == whole


@pytest.mark.both_engines
def test_rows_written_during_the_check_are_left_out(
    committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another row of the same chain commits between any two reads."""
    number = iter(range(1000))
    read = queries._read_rows

    def reading(*arguments: Any) -> Any:
        for row in read(*arguments):
            author = Author("test", datetime.now(UTC))
            content = AgencyIn(name=f"Dinas {next(number)}", kind=AgencyKind.dinas)
            if row["chain"].startswith("region:"):
                with committed.writing() as session:
                    put_agency(Write(session, author, CONSOLE), "63.03", "X", content)
            yield row

    monkeypatch.setattr(queries, "_read_rows", reading)
    monkeypatch.setattr(queries, "_BATCH", 1)
    assert verify(committed).breaks == []
    assert next(number) > len(AGENCIES)


def test_the_command_reports_by_text_and_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def command(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["verify", *arguments])

    with own_database("sqlite") as database:
        furnish_by_command(database)
        monkeypatch.setenv("RATA_DATABASE_URL", str(database.url))
        whole = command()
        assert (whole.exit_code, whole.stdout[:21]) == (0, "The journal is intact")
        link = sa.and_(_table.c.chain == "region:63.02", _table.c.position == 1)
        with database.read_session() as session:
            row = dict(session.execute(sa.select(_table).where(link)).mappings().one())
        rest = blank(row, ["changes/name/1"])
        cells = {name: rest[name] for name in ("changes", "salt", "blanked")}
        tamper(database, sa.update(_table).where(link).values(**cells))
        assert " chains. Rows with blanked values: 1.\n" in command().stdout
        unknown = command("--plan", PLAN)
        assert (unknown.exit_code, type(unknown.exception)) == (1, CommandRefused)
        link = sa.and_(_table.c.chain == "region:63.02", _table.c.position == 2)
        tamper(database, sa.update(_table).where(link).values(version=7))
        broken = command()
    assert broken.exit_code == 1
    assert "Broken: region:63.02, link 2 (regions/63.02/agencies/" in broken.stderr
    assert broken.stdout == ""
