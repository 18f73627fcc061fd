"""Coordination meetings: planned, held, listed, and protected while a commitment refers to them."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.changes.feed import follow, now, told
from tests.database import OneTransaction
from tests.meetings.world import HOME, MEETING, R1, Clock, commit, list_codes, put_meeting
from tests.pages import walk
from tests.plans.world import ANY, HEALTH, SOCIAL, WORKS, refused

pytestmark = pytest.mark.one_engine

Connect = Callable[..., TestClient]


def test_a_meeting_is_planned_held_and_read_back(secretariat: TestClient, clock: Clock) -> None:
    whole = {
        **MEETING,
        "place": "Aula Bappeda",
        "agenda": ["Lokus", "Data"],
        "minutes_url": "https://berkas.example/1.pdf",
        "document_number": "400.9/21",
        "note": "Daring",
    }
    made = secretariat.put(R1, json={**whole, "agencies_present": []}, headers={"If-None-Match": "*"})
    assert (made.status_code, made.headers["Location"]) == (201, R1)
    assert made.json() == {
        **whole,
        "agencies_present": [],
        "region_code": "63.02",
        "region_name": "Kabupaten Kotabaru",
        "code": "R-1",
        "state": "unconfirmed",
        "commitment_count": 0,
        "version": 1,
        "updated_at": "2025-05-02T03:00:00.123456+00:00",
        "allowed": ["edit", "delete"],
    }
    changed = secretariat.patch(R1, json={"agencies_present": [HEALTH, SOCIAL]}, headers={"If-Match": '"1"'})
    assert (changed.json()["state"], changed.json()["version"]) == ("held", 2)
    assert changed.json()["agencies_present"] == [HEALTH, SOCIAL]
    assert secretariat.put(R1, json=whole, headers={"If-Match": '"1"'}).status_code == 412
    again = secretariat.put(R1, json={**whole, "agencies_present": [HEALTH, SOCIAL]}, headers=ANY)
    assert (again.status_code, again.json()["version"]) == (200, 2)


def test_a_planned_meeting_and_its_tag_change_with_the_day(secretariat: TestClient, clock: Clock) -> None:
    put_meeting(secretariat, "R-1", date="2025-05-03")
    clock.at = "2025-05-02T15:59:00+00:00"  # 23:59 in Kotabaru
    before, listed = secretariat.get(R1), secretariat.get(f"{HOME}/meetings")
    assert before.json()["state"] == listed.json()["items"][0]["state"] == "planned"
    assert secretariat.get(R1, headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
    clock.at = "2025-05-02T16:00:00+00:00"
    for path, tag in ((R1, before.headers["ETag"]), (f"{HOME}/meetings", listed.headers["ETag"])):
        after = secretariat.get(path, headers={"If-None-Match": tag})
        assert after.status_code == 200
    assert secretariat.get(R1).json()["state"] == "held"
    assert (
        secretariat.patch(R1, json={"note": "x"}, headers={"If-Match": before.headers["ETag"]}).json()[
            "version"
        ]
        == 2
    ), "a day that passes does not make an edit stale"


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"agencies_present": ["1.06.0.00.0.00.08.9999"]}, "/agencies_present/0", "unknown_reference"),
        ({"agencies_present": [SOCIAL, SOCIAL]}, "/agencies_present/1", "duplicate_key"),
        ({"minutes_url": "http://berkas.example/1.pdf"}, "/minutes_url", "wrong_pattern"),
        ({"date": "11-03-2025"}, "/date", "malformed_date"),
        ({"date": None}, "/date", "malformed_date"),
        ({"state": "held"}, "/state", "unknown_field"),
        ({"title": " "}, "/title", "wrong_length"),
    ],
)
def test_invalid_values_are_named(
    secretariat: TestClient, change: dict[str, Any], pointer: str, code: str
) -> None:
    assert refused(secretariat.put(R1, json={**MEETING, **change})) == [(pointer, code)]
    assert secretariat.get(R1).status_code == 404


def test_an_unknown_agency_names_the_nearest_and_a_key_follows_its_pattern(secretariat: TestClient) -> None:
    wrong = secretariat.put(R1, json={**MEETING, "agencies_present": ["1.06.0.00.0.00.08.0001"]}).json()
    assert wrong["errors"][0]["nearest"][0] == f"{SOCIAL} Dinas Sosial"
    bad = secretariat.put(f"{HOME}/meetings/R 1", json=MEETING)
    assert (bad.status_code, bad.json()["errors"][0]["parameter"]) == (422, "key")


def test_a_meeting_with_commitments_cannot_be_deleted(secretariat: TestClient) -> None:
    put_meeting(secretariat, "R-1")
    commit(secretariat, "K-1", meeting="R-1")
    commit(secretariat, "K-2", meeting="R-1")
    read = secretariat.get(R1).json()
    assert (read["commitment_count"], read["allowed"]) == (2, ["edit"])
    refused = secretariat.delete(R1, headers=ANY)
    assert (refused.status_code, refused.json()["code"]) == (409, "meeting_in_use")
    assert "K-1, K-2" in refused.json()["detail"]
    for code in ("K-1", "K-2"):
        secretariat.patch(f"{HOME}/commitments/{code}", json={"meeting": None}, headers=ANY)
    assert secretariat.delete(R1, headers=ANY).status_code == 204
    assert secretariat.get(R1).status_code == 404


def test_lists_of_a_region_and_of_a_province(secretariat: TestClient, connect: Connect, clock: Clock) -> None:
    other = connect(("secretariat", "63.03"))
    put_meeting(secretariat, "R-2", date="2025-01-09", agencies_present=[HEALTH])
    put_meeting(secretariat, "R-1", date="2025-03-11")
    put_meeting(secretariat, "R-3", date="2026-01-01", agencies_present=[])
    put_meeting(other, "R-1", "63.03", date="2024-12-31", agencies_present=[])
    home = f"{HOME}/meetings"
    assert list_codes(secretariat, home) == ["63.02/R-2", "63.02/R-1", "63.02/R-3"]
    assert list_codes(secretariat, home, sort="-date", year=2025) == ["63.02/R-1", "63.02/R-2"]
    assert list_codes(secretariat, home, agency=SOCIAL) == ["63.02/R-1"]
    assert list_codes(secretariat, home, state="planned") == ["63.02/R-3"]
    province = connect(("reader", "63"))
    everything = ["63.03/R-1", "63.02/R-2", "63.02/R-1", "63.02/R-3"]
    assert list_codes(province, "/v1/meetings", region="63") == everything
    assert list_codes(province, "/v1/meetings") == everything
    assert list_codes(province, "/v1/meetings", region="63.03") == ["63.03/R-1"]
    assert list_codes(province, "/v1/meetings", region="63", state="held") == ["63.02/R-2", "63.02/R-1"]
    assert list_codes(secretariat, "/v1/meetings", region="63") == everything[1:]
    for sort in ("date", "-date", "code", "-code"):
        paged = walk(province, f"/v1/meetings?limit=1&sort={sort}")
        order = [f"{item['region_code']}/{item['code']}" for item in paged]
        assert order == list_codes(province, "/v1/meetings", sort=sort)
    assert other.get(home).status_code == 404
    assert connect().get("/v1/meetings").json()["items"] == []


def test_history_and_feed(secretariat: TestClient, clock: Clock) -> None:
    cursor = now(secretariat)
    put_meeting(secretariat, "R-1")
    secretariat.patch(R1, json={"agencies_present": [SOCIAL]}, headers=ANY)
    secretariat.patch(R1, json={"agencies_present": [SOCIAL]}, headers=ANY)
    secretariat.delete(R1, headers=ANY)
    kinds = ["meeting.created", "meeting.changed", "meeting.deleted"]
    history = secretariat.get(f"{R1}/history").json()["items"]
    assert [entry["kind"] for entry in history] == kinds
    assert history[1]["changes"] == {"agencies_present": [[SOCIAL, HEALTH], [SOCIAL]]}
    assert [entry["sequence"] for entry in history] == [1, 2, 3]
    assert told(follow(secretariat, cursor)) == [(kind, "meetings/R-1") for kind in kinds]


def test_a_dry_run_keeps_nothing(secretariat: TestClient, database: OneTransaction) -> None:
    trial = secretariat.put(f"{R1}?dry_run=true", json=MEETING)
    assert (trial.status_code, trial.json()["code"]) == (201, "R-1")
    assert secretariat.get(R1).status_code == 404
    put_meeting(secretariat, "R-1")
    assert secretariat.delete(f"{R1}?dry_run=true", headers=ANY).status_code == 204
    assert secretariat.get(R1).status_code == 200


def test_meetings_of_a_merged_agency_name_its_successor(secretariat: TestClient) -> None:
    put_meeting(secretariat, "R-1", agencies_present=[WORKS, SOCIAL, HEALTH])
    put_meeting(secretariat, "R-2", agencies_present=[SOCIAL])
    put_meeting(secretariat, "R-3", agencies_present=[HEALTH])
    agency = f"{HOME}/agencies/{SOCIAL}"
    kept = secretariat.delete(agency, headers=ANY)
    assert (kept.status_code, "rapat yang dihadirinya (2)" in kept.json()["detail"]) == (409, True)
    assert secretariat.post(f"{agency}/merge", json={"into": HEALTH}, headers=ANY).status_code == 200
    meetings = {meeting["code"]: meeting for meeting in secretariat.get(f"{HOME}/meetings").json()["items"]}
    assert {code: meeting["agencies_present"] for code, meeting in meetings.items()} == {
        "R-1": [WORKS, HEALTH],
        "R-2": [HEALTH],
        "R-3": [HEALTH],
    }
    assert [meetings[code]["version"] for code in ("R-1", "R-2", "R-3")] == [2, 2, 1]
    last = secretariat.get(f"{R1}/history?sort=-sequence").json()["items"][0]
    assert last["changes"] == {"agencies_present": [[WORKS, SOCIAL, HEALTH], [WORKS, HEALTH]]}
    assert SOCIAL in last["reason"]
    merged = secretariat.put(f"{HOME}/meetings/R-4", json={**MEETING, "agencies_present": [SOCIAL]})
    assert refused(merged) == [("/agencies_present/0", "retired_agency")]
    assert merged.json()["errors"][0]["nearest"] == [HEALTH]
