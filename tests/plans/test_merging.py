"""Lines follow their agency when it merges into another."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from tests.database import OneTransaction
from tests.plans.world import (
    ACTION,
    ANY,
    AT,
    HEALTH,
    LEAN,
    PARTNER,
    SOCIAL,
    WORKS,
    put,
    put_plan,
    read_rows,
    report,
)

pytestmark = pytest.mark.one_engine

AGENCY = "/v1/regions/63.02/agencies"


def test_lines_move_with_their_reports_and_each_leaves_a_journal_row(
    secretariat: TestClient, database: OneTransaction
) -> None:
    put_plan(secretariat, "63.02-2027")
    put(secretariat, "A-1")
    put(secretariat, "A-2", base=LEAN, supporting_agencies=[PARTNER, SOCIAL, WORKS])
    put(secretariat, "A-3", base=LEAN, supporting_agencies=[SOCIAL, HEALTH, WORKS])
    put(secretariat, "A-4", base=LEAN, supporting_agencies=[PARTNER])
    put(secretariat, "A-5", supporting_agencies=[HEALTH, WORKS])
    put(secretariat, "B-1", plan="63.02-2027")
    report(secretariat, "A-1", 1, spent=5, outputs=[{"code": "O1", "achieved": 4}])
    tag = secretariat.get(f"{AT}/actions").headers["ETag"]
    reply = secretariat.post(f"{AGENCY}/{SOCIAL}/merge", json={"into": HEALTH}, headers=ANY)
    assert reply.status_code == 200, reply.text
    lines = {line["code"]: line for line in secretariat.get(f"{AT}/actions").json()["items"]}
    assert {code: (line["lead_agency"], line["supporting_agencies"]) for code, line in lines.items()} == {
        "A-1": (HEALTH, []),
        # An agency does not support what it leads.
        "A-2": (HEALTH, [PARTNER, WORKS]),
        "A-3": (HEALTH, [WORKS]),
        "A-4": (HEALTH, [PARTNER]),
        "A-5": (HEALTH, [WORKS]),
    }
    assert {code: line["version"] for code, line in lines.items()} == {
        "A-1": 2,
        "A-2": 2,
        "A-3": 2,
        "A-4": 1,
        "A-5": 2,
    }
    assert (lines["A-1"]["spent"], lines["A-1"]["title"]) == (5, ACTION["title"])
    assert secretariat.get("/v1/plans/63.02-2027/actions/B-1").json()["lead_agency"] == HEALTH
    assert secretariat.get(f"{AT}/actions").headers["ETag"] != tag
    assert (
        secretariat.patch(f"{AT}/actions/A-1", json={"note": "x"}, headers={"If-Match": '"1"'}).status_code
        == 412
    )
    journal = get_table(JournalRow)
    query = sa.select(journal.c.subject, journal.c.version, journal.c.reason, journal.c.changes).where(
        journal.c.kind == "action.changed"
    )
    moved = {row.subject: row for row in read_rows(database, query)}
    changed = {f"plans/63.02-2026/actions/{code}" for code in ("A-1", "A-2", "A-3", "A-5")}
    assert set(moved) == changed | {"plans/63.02-2027/actions/B-1"}
    assert {row.version for row in moved.values()} == {2}
    assert moved["plans/63.02-2026/actions/A-1"].changes == {"lead_agency": [SOCIAL, HEALTH]}
    assert moved["plans/63.02-2026/actions/A-2"].changes == {
        "supporting_agencies": [[PARTNER, SOCIAL, WORKS], [PARTNER, WORKS]]
    }
    assert SOCIAL in moved["plans/63.02-2026/actions/A-1"].reason


def test_an_agency_with_lines_cannot_be_deleted(secretariat: TestClient) -> None:
    put(secretariat, "A-1", supporting_agencies=[PARTNER])
    for agency in (SOCIAL, PARTNER):
        reply = secretariat.delete(f"{AGENCY}/{agency}", headers=ANY)
        assert (reply.status_code, reply.json()["code"]) == (409, "agency_in_use")
    secretariat.delete(f"{AT}/actions/A-1", headers=ANY)
    assert secretariat.delete(f"{AGENCY}/{PARTNER}", headers=ANY).status_code == 204


def test_a_dry_run_moves_nothing(secretariat: TestClient) -> None:
    put(secretariat, "A-1")
    assert (
        secretariat.post(
            f"{AGENCY}/{SOCIAL}/merge?dry_run=true", json={"into": HEALTH}, headers=ANY
        ).status_code
        == 200
    )
    assert secretariat.get(f"{AT}/actions/A-1").json()["lead_agency"] == SOCIAL
