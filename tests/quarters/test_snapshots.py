"""Frozen quarters: the same bytes for ever, and corrections beside them."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.access.models import Role, TokenScope
from app.access.rules import Actor, Grant
from app.kit.database.engine import get_table
from app.tracking.quarters.snapshots.models import SnapshotRow
from app.tracking.quarters.snapshots.queries import find_snapshot, read_content
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, LEAN, SOCIAL, WORKS, put, put_many
from tests.quarters.world import A1, Q2, Office, adopt

FIRST = "/v1/snapshots/2026-Q2/63.02"
PLAIN = {"Accept-Encoding": "identity"}


def canonical(value: Any) -> str:
    """RFC 8785 by hand, for what is in a snapshot: names sorted, no spaces, numbers as ECMAScript writes them."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{canonical(k)}:{canonical(value[k])}" for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else repr(value)
    return json.dumps(value, ensure_ascii=False)


def read(client: TestClient, at: str = FIRST) -> bytes:
    reply = client.get(at, headers=PLAIN)
    assert reply.status_code == 200, reply.text
    return reply.content


def test_snapshot_is_canonical_hashed_and_for_ever(office: Office) -> None:
    office.report(
        "A-1", spent=120_000, outputs=[{"code": "O1", "achieved": 12.5}], obstacle="Banjir – dua desa"
    )
    office.move("submit", "verify", "freeze")
    reply = office.secretariat.get(FIRST, headers=PLAIN)
    hashed = hashlib.sha256(reply.content).hexdigest()
    assert reply.headers["ETag"] == f'"{hashed}"'
    assert reply.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    digest = base64.b64encode(hashlib.sha256(reply.content).digest()).decode()
    assert reply.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert reply.content.decode() == canonical(reply.json())
    listed = office.secretariat.get("/v1/snapshots?region=63&period=2026-Q2").json()["items"]
    assert [(one["sha256"], one["address"], one["amendment"]) for one in listed] == [(hashed, FIRST, 0)]
    packed = office.secretariat.get(FIRST, headers={"Accept-Encoding": "gzip"})
    assert packed.content == reply.content
    assert "Content-Encoding" not in packed.headers
    again = office.secretariat.get(FIRST, headers={"If-None-Match": reply.headers["ETag"]})
    assert (again.status_code, again.headers["Cache-Control"]) == (304, reply.headers["Cache-Control"])


def test_snapshot_holds_every_line_with_its_report_or_none(office: Office) -> None:
    office.report("A-1", spent=120_000, outputs=[{"code": "O1", "achieved": 12.5}])
    office.report("A-2", quarter=1, spent=7)
    live = office.secretariat.get(A1).json()
    line = office.secretariat.get(f"{AT}/actions/A-1").json()
    office.move("submit", "verify", "freeze")
    found = json.loads(read(office.secretariat))
    assert (found["plan"], found["revision"], found["amendment"], found["reason"]) == (
        "63.02-2026",
        None,
        0,
        None,
    )
    assert (found["row_count"], found["missing_reason"]) == (2, "Belum mulai")
    assert found["sums"] == {"reported": 1, "allocated": 500_000_000, "spent": 120_000}
    assert found["sums"]["spent"] == sum(row["report"]["spent"] for row in found["rows"] if row["report"])
    assert found["agencies"][1] == {"code": SOCIAL, "name": "Dinas Sosial"}
    first, second = found["rows"]
    assert (first["action"], second["action"], second["report"]) == ("A-1", "A-2", None)
    report = first.pop("report")
    assert report == {name: live[name] for name in report}
    first.pop("action")
    assert first == {name: line[name] for name in first}


def test_a_sum_that_json_cannot_say_exactly_is_left_to_the_reader(office: Office) -> None:
    largest = 2**53 - 1
    whole = {"allocation": largest, "budget_lines": [{"funding_source": "APBD", "amount": largest}]}
    put(office.secretariat, "A-1", components=[], **whole)
    office.freeze()
    found = json.loads(read(office.secretariat))
    assert found["sums"] == {"reported": 2, "allocated": None, "spent": 10}
    assert [row["allocation"] for row in found["rows"]] == [largest, 250_000_000]


def test_bytes_stay_whatever_becomes_of_plan_and_agencies(office: Office, database: OneTransaction) -> None:
    office.freeze()
    before = read(office.secretariat)
    put(
        office.secretariat,
        "A-1",
        title="Judul lain",
        allocation=1,
        components=[],
        budget_lines=[{"funding_source": "APBD", "amount": 1}],
    )
    put(office.secretariat, "A-3")
    renamed = f"/v1/regions/63.02/agencies/{SOCIAL}"
    assert office.secretariat.patch(renamed, json={"name": "Dinas Baru"}, headers=ANY).status_code == 200
    merged = office.secretariat.post(f"{renamed}/merge", json={"into": WORKS}, headers=ANY)
    assert merged.status_code == 200
    assert read(office.secretariat) == before
    office.move("correct")
    assert office.secretariat.patch(A1, json={"spent": 1}, headers=ANY).status_code == 200
    assert read(office.secretariat) == before
    assert "Dinas Baru" not in before.decode()


def test_corrections_are_numbered_with_their_reasons_and_all_stay_readable(office: Office) -> None:
    office.freeze()
    bodies = [read(office.secretariat)]
    for number in (1, 2):
        reason = f"Koreksi ke-{number}"
        opened = office.secretariat.post(f"{Q2}/correct", json={"reason": reason}, headers=ANY)
        assert opened.json()["state"] == "correcting"
        office.report("A-1", spent=5 + number)
        assert office.secretariat.get(FIRST).status_code == 200
        assert office.secretariat.get(f"{FIRST}/amendments/{number}").status_code == 404
        done = office.move("submit", "verify", "freeze").json()
        assert (done["state"], done["amendment"]) == ("frozen", number)
        bodies.append(read(office.secretariat, f"{FIRST}/amendments/{number}"))
        amended = json.loads(bodies[-1])
        assert (amended["amendment"], amended["reason"], amended["sums"]["spent"]) == (
            number,
            reason,
            10 + number,
        )
    for number, body in enumerate(bodies):
        at = f"{FIRST}/amendments/{number}" if number else FIRST
        assert read(office.secretariat, at) == body
    listed = office.secretariat.get(f"{FIRST}/amendments").json()["items"]
    assert [(one["amendment"], one["reason"]) for one in listed] == [(1, "Koreksi ke-1"), (2, "Koreksi ke-2")]
    assert [one["sha256"] for one in listed] == [hashlib.sha256(body).hexdigest() for body in bodies[1:]]
    link = office.secretariat.get(FIRST).links["version-history"]["url"]
    assert office.secretariat.get(link).json()["items"] == listed
    feed = office.province.get("/v1/changes?region=63.02&kind=snapshot").json()["items"]
    assert [one["subject"] for one in feed] == [
        "snapshots/2026-Q2/63.02",
        "snapshots/2026-Q2/63.02/amendments/1",
        "snapshots/2026-Q2/63.02/amendments/2",
    ]
    history = office.secretariat.get(f"{FIRST}/history").json()["items"]
    assert [one["reason"] for one in history] == [None, "Koreksi ke-1", "Koreksi ke-2"]
    assert [one["changes"]["sha256"][1] for one in history[1:]] == [one["sha256"] for one in listed]


def test_whoever_sees_the_region_reads_its_snapshots_and_nobody_else(
    office: Office, connect: Callable[..., TestClient]
) -> None:
    office.freeze()
    assert read(connect(("reader", "63"))) == read(office.secretariat)
    for caller in (connect(), connect(("secretariat", "63.03")), connect(("reader", "73"))):
        for at in (FIRST, f"{FIRST}/amendments", f"{FIRST}/amendments/1"):
            assert caller.get(at).status_code == 404
        assert caller.get("/v1/snapshots").json()["items"] == []
    for nowhere in ("2026-Q1/63.02", "2026-S1/63.02", "2026-Q2/63.03", "x/y"):
        assert office.administrator.get(f"/v1/snapshots/{nowhere}").status_code == 404
    for number in ("0", "-1", "x", "1" * 30):
        assert office.administrator.get(f"{FIRST}/amendments/{number}").status_code == 404


def test_quarters_of_a_draft_are_not_a_readers_but_what_was_frozen_is(
    office: Office, connect: Callable[..., TestClient], database: OneTransaction
) -> None:
    office.freeze()
    reader = connect(("reader", "63"))
    assert reader.get(Q2).status_code == 404
    assert reader.get("/v1/quarters").json()["items"] == []
    assert reader.get(f"{Q2}/history").status_code == 404
    feed = reader.get("/v1/changes?region=63.02&kind=quarter&kind=snapshot").json()["items"]
    assert [one["kind"] for one in feed] == ["snapshot.created"]
    assert reader.get(FIRST).status_code == 200
    adopt(database)
    assert reader.get(Q2).json()["state"] == "frozen"


def test_a_semester_is_its_last_quarter(office: Office) -> None:
    at = "/v1/regions/63.02/semesters/2026-S1"
    before = office.secretariat.get(at).json()
    assert (before["state"], before["to_quarter"], before["snapshot"]) == ("open", "2026-Q2", None)
    office.freeze()
    found = office.secretariat.get(at).json()
    assert (found["state"], found["snapshot"]) == ("frozen", FIRST)
    assert [(one["period"], one["state"]) for one in found["quarters"]] == [
        ("2026-Q1", "open"),
        ("2026-Q2", "frozen"),
    ]
    office.move("correct", "submit", "verify", "freeze")
    assert office.secretariat.get(at).json()["snapshot"] == f"{FIRST}/amendments/1"


def test_a_snapshot_for_other_areas(office: Office, database: OneTransaction) -> None:
    office.freeze()
    reader = Actor("r", "r", frozenset(TokenScope), (Grant(Role.reader, "63", None),))
    with database.read_session() as session:
        key = find_snapshot(session, reader, "63.02", "2026-Q2")
        content = read_content(session, key)
    assert hashlib.sha256(content).hexdigest() == key.sha256


def test_a_trial_freezes_nothing(office: Office, database: OneTransaction) -> None:
    office.report("A-1", "A-2", spent=5)
    office.move("submit", "verify")
    trial = office.province.post(f"{Q2}/freeze?dry_run=true", headers=ANY)
    assert (trial.status_code, trial.json()["state"]) == (200, "frozen")
    assert office.secretariat.get(FIRST).status_code == 404
    with database.read_session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(get_table(SnapshotRow))) == 0


def test_a_large_plan_freezes_in_as_many_statements_as_a_small_one(
    office: Office, database: OneTransaction
) -> None:
    counts = []
    for lines in (0, 60):
        items = [{**LEAN, "code": f"L-{n}"} for n in range(lines)]
        if items:
            office.move("correct")
            put_many(office.secretariat, items)
        office.move("submit", "verify")
        database.statements.clear()
        office.move("freeze")
        counts.append(len(database.statements))
    assert counts[0] == counts[1]
