"""Frozen quarters: immutable bytes, and numbered corrections."""

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


def dump_as_rfc_8785(value: Any) -> str:
    """Dump as RFC 8785 asks, independently of the service: sorted names, no spaces, numbers as in ECMAScript."""
    if isinstance(value, dict):
        return (
            "{" + ",".join(f"{dump_as_rfc_8785(k)}:{dump_as_rfc_8785(value[k])}" for k in sorted(value)) + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(dump_as_rfc_8785, value)) + "]"
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else repr(value)
    return json.dumps(value, ensure_ascii=False)


def read_bytes(client: TestClient, path: str = FIRST) -> bytes:
    reply = client.get(path, headers=PLAIN)
    assert reply.status_code == 200, reply.text
    return reply.content


def test_a_snapshot_is_canonical_json_with_its_hash_and_never_changes(office: Office) -> None:
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
    assert reply.content.decode() == dump_as_rfc_8785(reply.json())
    entries = office.secretariat.get("/v1/snapshots?region=63&period=2026-Q2").json()["items"]
    assert [(entry["sha256"], entry["address"], entry["amendment"]) for entry in entries] == [
        (hashed, FIRST, 0)
    ]
    packed = office.secretariat.get(FIRST, headers={"Accept-Encoding": "gzip"})
    assert packed.content == reply.content
    assert "Content-Encoding" not in packed.headers
    unchanged = office.secretariat.get(FIRST, headers={"If-None-Match": reply.headers["ETag"]})
    assert (unchanged.status_code, unchanged.headers["Cache-Control"]) == (
        304,
        reply.headers["Cache-Control"],
    )


def test_a_snapshot_has_all_lines_with_their_reports(office: Office) -> None:
    office.report("A-1", spent=120_000, outputs=[{"code": "O1", "achieved": 12.5}])
    office.report("A-2", quarter=1, spent=7)
    live = office.secretariat.get(A1).json()
    line = office.secretariat.get(f"{AT}/actions/A-1").json()
    office.move("submit", "verify", "freeze")
    snapshot = json.loads(read_bytes(office.secretariat))
    assert (snapshot["plan"], snapshot["revision"], snapshot["amendment"], snapshot["reason"]) == (
        "63.02-2026",
        None,
        0,
        None,
    )
    assert (snapshot["row_count"], snapshot["missing_reason"]) == (2, "Belum mulai")
    assert snapshot["sums"] == {"reported": 1, "allocated": 500_000_000, "spent": 120_007}
    summary = office.secretariat.get(f"{AT}/summary?period=2026-Q2").json()
    assert snapshot["sums"]["spent"] == summary["spent"], "the earlier report on A-2 counts"
    assert snapshot["agencies"][1] == {"code": SOCIAL, "name": "Dinas Sosial"}
    first, second = snapshot["rows"]
    assert (first["action"], second["action"], second["report"]) == ("A-1", "A-2", None)
    assert second["carried"] == {"period": "2026-Q1", "spent": 7, "physical_percent": 0}
    assert first.pop("carried") is None
    report = first.pop("report")
    assert report == {name: live[name] for name in report}
    first.pop("action")
    assert first == {name: line[name] for name in first}


def test_a_sum_beyond_the_exact_numbers_of_json_is_null(office: Office) -> None:
    largest = 2**53 - 1
    amounts = {"allocation": largest, "budget_lines": [{"funding_source": "APBD", "amount": largest}]}
    put(office.secretariat, "A-1", components=[], **amounts)
    office.freeze()
    snapshot = json.loads(read_bytes(office.secretariat))
    assert snapshot["sums"] == {"reported": 2, "allocated": None, "spent": 10}
    assert [row["allocation"] for row in snapshot["rows"]] == [largest, 250_000_000]


def test_later_changes_of_plan_and_agencies_do_not_touch_a_snapshot(
    office: Office, database: OneTransaction
) -> None:
    office.freeze()
    before = read_bytes(office.secretariat)
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
    assert read_bytes(office.secretariat) == before
    office.move("correct")
    assert office.secretariat.patch(A1, json={"spent": 1}, headers=ANY).status_code == 200
    assert read_bytes(office.secretariat) == before
    assert "Dinas Baru" not in before.decode()


def test_corrections_are_numbered_and_all_snapshots_stay_readable(office: Office) -> None:
    office.freeze()
    bodies = [read_bytes(office.secretariat)]
    for number in (1, 2):
        reason = f"Koreksi ke-{number}"
        opened = office.secretariat.post(f"{Q2}/correct", json={"reason": reason}, headers=ANY)
        assert opened.json()["state"] == "correcting"
        office.report("A-1", spent=5 + number)
        assert office.secretariat.get(FIRST).status_code == 200
        assert office.secretariat.get(f"{FIRST}/amendments/{number}").status_code == 404
        quarter = office.move("submit", "verify", "freeze").json()
        assert (quarter["state"], quarter["amendment"]) == ("frozen", number)
        bodies.append(read_bytes(office.secretariat, f"{FIRST}/amendments/{number}"))
        amended = json.loads(bodies[-1])
        assert (amended["amendment"], amended["reason"], amended["sums"]["spent"]) == (
            number,
            reason,
            10 + number,
        )
    for number, body in enumerate(bodies):
        path = f"{FIRST}/amendments/{number}" if number else FIRST
        assert read_bytes(office.secretariat, path) == body
    corrections = office.secretariat.get(f"{FIRST}/amendments").json()["items"]
    assert [(entry["amendment"], entry["reason"]) for entry in corrections] == [
        (1, "Koreksi ke-1"),
        (2, "Koreksi ke-2"),
    ]
    assert [entry["sha256"] for entry in corrections] == [
        hashlib.sha256(body).hexdigest() for body in bodies[1:]
    ]
    link = office.secretariat.get(FIRST).links["version-history"]["url"]
    assert office.secretariat.get(link).json()["items"] == corrections
    feed = office.province.get("/v1/changes?region=63.02&kind=snapshot").json()["items"]
    assert [entry["subject"] for entry in feed] == [
        "snapshots/2026-Q2/63.02",
        "snapshots/2026-Q2/63.02/amendments/1",
        "snapshots/2026-Q2/63.02/amendments/2",
    ]
    history = office.secretariat.get(f"{FIRST}/history").json()["items"]
    assert [entry["reason"] for entry in history] == [None, "Koreksi ke-1", "Koreksi ke-2"]
    assert [entry["changes"]["sha256"][1] for entry in history[1:]] == [
        entry["sha256"] for entry in corrections
    ]


def test_only_callers_who_see_the_region_read_its_snapshots(
    office: Office, connect: Callable[..., TestClient]
) -> None:
    office.freeze()
    assert read_bytes(connect(("reader", "63"))) == read_bytes(office.secretariat)
    for caller in (connect(), connect(("secretariat", "63.03")), connect(("reader", "73"))):
        for path in (FIRST, f"{FIRST}/amendments", f"{FIRST}/amendments/1"):
            assert caller.get(path).status_code == 404
        assert caller.get("/v1/snapshots").json()["items"] == []
    for nowhere in ("2026-Q1/63.02", "2026-S1/63.02", "2026-Q2/63.03", "x/y"):
        assert office.administrator.get(f"/v1/snapshots/{nowhere}").status_code == 404
    for number in ("0", "-1", "x", "1" * 30):
        assert office.administrator.get(f"{FIRST}/amendments/{number}").status_code == 404


def test_a_reader_sees_snapshots_but_no_quarters_of_a_draft(
    office: Office, connect: Callable[..., TestClient], database: OneTransaction
) -> None:
    office.freeze()
    reader = connect(("reader", "63"))
    assert reader.get(Q2).status_code == 404
    assert reader.get("/v1/quarters").json()["items"] == []
    assert reader.get(f"{Q2}/history").status_code == 404
    feed = reader.get("/v1/changes?region=63.02&kind=quarter&kind=snapshot").json()["items"]
    assert [entry["kind"] for entry in feed] == ["snapshot.created"]
    assert reader.get(FIRST).status_code == 200
    adopt(database)
    assert reader.get(Q2).json()["state"] == "frozen"


def test_a_semester_has_the_state_of_its_last_quarter(office: Office) -> None:
    path = "/v1/regions/63.02/semesters/2026-S1"
    before = office.secretariat.get(path).json()
    assert (before["state"], before["to_quarter"], before["snapshot"]) == ("open", "2026-Q2", None)
    office.freeze()
    semester = office.secretariat.get(path).json()
    assert (semester["state"], semester["snapshot"]) == ("frozen", FIRST)
    assert [(entry["period"], entry["state"]) for entry in semester["quarters"]] == [
        ("2026-Q1", "open"),
        ("2026-Q2", "frozen"),
    ]
    office.move("correct", "submit", "verify", "freeze")
    assert office.secretariat.get(path).json()["snapshot"] == f"{FIRST}/amendments/1"


def test_other_areas_read_a_snapshot_by_its_key(office: Office, database: OneTransaction) -> None:
    office.freeze()
    reader = Actor("r", "r", frozenset(TokenScope), (Grant(Role.reader, "63", None),))
    with database.read_session() as session:
        key = find_snapshot(session, reader, "63.02", "2026-Q2")
        content = read_content(session, key)
    assert hashlib.sha256(content).hexdigest() == key.sha256


def test_a_dry_run_freezes_nothing(office: Office, database: OneTransaction) -> None:
    office.report("A-1", "A-2", spent=5)
    office.move("submit", "verify")
    trial = office.province.post(f"{Q2}/freeze?dry_run=true", headers=ANY)
    assert (trial.status_code, trial.json()["state"]) == (200, "frozen")
    assert office.secretariat.get(FIRST).status_code == 404
    with database.read_session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(get_table(SnapshotRow))) == 0


def test_freezing_a_large_plan_costs_as_many_statements_as_a_small_one(
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
