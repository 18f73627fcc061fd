"""Versions continue after a deletion: the kit's count, and any sequence of client requests."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from app.kit.database.engine import get_table
from app.kit.database.journal import (
    Author,
    Entry,
    JournalRow,
    append,
    assign_version,
    assign_versions,
    lock_chain,
)
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, LEAN, PLAN

journal = get_table(JournalRow)


class Row(NamedTuple):
    version: int


def write(session: Any, subject: str, *versions: int) -> None:
    entries = [Entry("thing.changed", "0", subject, version, None, {"n": version}) for version in versions]
    append(session, lock_chain(session, "things"), Author("test", datetime.now(UTC)), entries)


def test_a_subject_without_a_row_continues_from_its_highest_version_in_the_journal(
    database: OneTransaction,
) -> None:
    with database.writing() as session:
        write(session, "things/fell", 1, 2, 6, 1, 2)
        write(session, "things/other", 9)
    with database.writing() as session:
        write(session, "things/now", 4)  # of this transaction, without a sequence number yet
        subjects = {name: f"things/{name}" for name in ("fell", "now", "new", "there")}
        assert assign_versions(session, subjects, {"there": Row(3), "unasked": Row(8)}) == {
            "fell": 7,
            "now": 5,
            "new": 1,
            "there": 4,
        }
        assert [assign_version(session, "things/fell", stored) for stored in (None, 0, 2)] == [7, 1, 3]
        assert assign_versions(session, {}, {}) == {}


def test_many_subjects_take_one_statement_and_existing_rows_none(
    database: OneTransaction,
) -> None:
    for count in (1, 10, 1000):
        subjects = {n: f"things/{n}" for n in range(count)}
        with database.writing() as session:
            for stored, statements in ({}, 1), ({n: Row(1) for n in subjects}, 0):
                database.statements.clear()
                assert len(assign_versions(session, subjects, stored)) == count
                assert len(database.statements) == statements


def test_the_look_up_takes_the_index_of_subjects(database: OneTransaction) -> None:
    with database.writing() as session:
        database.statements.clear()
        assign_version(session, "things/1", None)
        (statement,) = database.statements
    connection = database.connection
    if not database.is_sqlite:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    records = '[{"subject": "things/1"}]'
    bound: Any = ("$.subject", records) if database.is_sqlite else {"records": records}
    plan = connection.exec_driver_sql(f"{explain} {statement}", bound)
    assert "ix_journal_subject_sequence" in str(plan.all())


@pytest.mark.parametrize("number", [10, 1000])
def test_creating_many_again_takes_as_many_statements_as_one(
    secretariat: TestClient, database: OneTransaction, number: int
) -> None:
    def send(what: str, items: list[dict[str, Any]]) -> tuple[int, int, set[int]]:
        """Return the counts of statements and of look-ups in the journal, and the versions."""
        database.statements.clear()
        done = secretariat.put(f"{AT}/{what}", json={"items": items}, headers=ANY)
        assert done.status_code == 200, done.text
        looked = sum("max(journal.version)" in statement for statement in database.statements)
        return len(database.statements), looked, {item["version"] for item in done.json()["items"]}

    codes = [f"A-{n:04}" for n in range(number)]
    lines = [{"code": code, **LEAN} for code in codes]
    reports = [{"action": code, "spent": 1} for code in codes]
    first = send("actions", lines), send("progress/2026-Q1", reports)
    assert [counts[1:] for counts in first] == [(1, {1}), (1, {1})]
    for code in codes[:2]:
        secretariat.delete(f"{AT}/actions/{code}/progress/2026-Q1", headers=ANY)
        secretariat.delete(f"{AT}/actions/{code}", headers=ANY)
    again = send("actions", lines[:2]), send("progress/2026-Q1", reports[:2])
    assert again == tuple((count, 1, {3}) for count, _, _ in first)
    changed = [{**line, "note": "x"} for line in lines], [{**report, "spent": 2} for report in reports]
    assert send("actions", changed[0])[1] == send("progress/2026-Q1", changed[1])[1] == 0


CODES, QUARTERS = ("A-1", "A-2"), ("2026-Q1", "2026-Q2")
code, quarter, spent = st.sampled_from(CODES), st.sampled_from(QUARTERS), st.integers(1, 4)


class Writers(RuleBasedStateMachine):
    """Clients that write, delete and write again, and keep every tag that they ever read."""

    def __init__(self, client: TestClient, database: OneTransaction) -> None:
        super().__init__()
        self.client, self.database = client, database
        self.tags: dict[str, list[str]] = {}
        self.saved = database.connection.begin_nested()

    def teardown(self) -> None:
        self.saved.rollback()

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        reply = self.client.request(method, f"/v1/{path}", json=body, headers=headers or ANY)
        if reply.status_code == 412 and not headers:
            reply = self.client.request(method, f"/v1/{path}", json=body)
        self.keep(path)
        return reply

    def keep(self, path: str) -> None:
        reply = self.client.get(f"/v1/{path}")
        if reply.status_code == 200:
            self.tags.setdefault(path, []).append(reply.headers["ETag"])

    @staticmethod
    def line(code: str) -> str:
        return f"plans/{PLAN}/actions/{code}"

    @rule(code=code, spent=spent)
    def put_line(self, code: str, spent: int) -> None:
        assert self.send("PUT", self.line(code), {**LEAN, "note": str(spent)}).status_code in (200, 201)

    @rule(code=code, spent=spent)
    def patch_line(self, code: str, spent: int) -> None:
        assert self.send("PATCH", self.line(code), {"note": str(spent)}).status_code in (200, 404)

    @rule(code=code)
    def delete_line(self, code: str) -> None:
        assert self.send("DELETE", self.line(code)).status_code in (204, 404, 409)

    @rule(spent=spent)
    def put_lines(self, spent: int) -> None:
        items = [{"code": code, **LEAN, "note": str(spent)} for code in CODES]
        assert self.client.put(f"{AT}/actions", json={"items": items}, headers=ANY).status_code == 200
        for code in CODES:
            self.keep(self.line(code))

    @rule(code=code, quarter=quarter, spent=spent)
    def put_report(self, code: str, quarter: str, spent: int) -> None:
        done = self.send("PUT", f"{self.line(code)}/progress/{quarter}", {"spent": spent})
        assert done.status_code in (200, 201, 404)

    @rule(code=code, quarter=quarter, spent=spent)
    def patch_report(self, code: str, quarter: str, spent: int) -> None:
        done = self.send("PATCH", f"{self.line(code)}/progress/{quarter}", {"spent": spent})
        assert done.status_code in (200, 404)

    @rule(code=code, quarter=quarter)
    def delete_report(self, code: str, quarter: str) -> None:
        assert self.send("DELETE", f"{self.line(code)}/progress/{quarter}").status_code in (204, 404)

    @rule(quarter=quarter, spent=spent)
    def put_reports(self, quarter: str, spent: int) -> None:
        items = [{"action": code, "spent": spent} for code in CODES]
        done = self.client.put(f"{AT}/progress/{quarter}?each=true", json={"items": items}, headers=ANY)
        assert done.status_code == 200
        for code in CODES:
            self.keep(f"{self.line(code)}/progress/{quarter}")

    @rule()
    def delete_everything(self) -> None:
        for code in CODES:
            for quarter in QUARTERS:
                self.client.delete(f"{AT}/actions/{code}/progress/{quarter}", headers=ANY)
            self.client.delete(f"{AT}/actions/{code}", headers=ANY)
        assert self.client.delete(AT, headers=ANY).status_code == 204
        assert self.client.put(AT, json={"title": "RAT Kotabaru"}).status_code == 201

    @rule(data=st.data(), method=st.sampled_from(["PUT", "PATCH", "DELETE"]))
    def come_late(self, data: st.DataObject, method: str) -> None:
        """Write with the tag of a deleted resource: never a success."""
        if not self.tags:
            return
        path = data.draw(st.sampled_from(sorted(self.tags)))
        reply = self.client.get(f"/v1/{path}")
        now = reply.headers["ETag"].partition("-")[0] if reply.status_code == 200 else None
        if stale := [tag for tag in self.tags[path] if tag.partition("-")[0] != now]:
            body = None if method == "DELETE" else {"spent": 4} if "/progress/" in path else LEAN
            tag = data.draw(st.sampled_from(stale))
            for sent in (tag, tag.partition("-")[0] + '"'):
                late = self.client.request(method, f"/v1/{path}", json=body, headers={"If-Match": sent})
                assert late.status_code in ((412,) if now else (404, 412)), f"{method} {path} {sent}"

    @invariant()
    def versions_rise(self) -> None:
        rows = self.database.connection.execute(
            sa.select(journal.c.subject, journal.c.version, journal.c.kind)
            .where(journal.c.chain == f"plan:{PLAN}")
            .order_by(journal.c.position)
        )
        last: dict[str, int] = {}
        for subject, version, kind in rows:
            assert version == last.get(subject, 0) + 1, f"{kind} of {subject}"
            last[subject] = version


@pytest.mark.one_engine
def test_no_old_tag_ever_writes_and_versions_only_rise(
    secretariat: TestClient, database: OneTransaction, connect: Callable[..., TestClient]
) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Writers(secretariat, database),
        settings=settings(
            max_examples=6,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
