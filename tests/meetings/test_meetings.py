"""Coordination meetings: planned, held, found again, kept while something was promised there."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.changes.feed import follow, now, told
from tests.database import OneTransaction
from tests.meetings.world import EVER, HOME, MEETING, R1, Clock, codes, commit, put_meeting
from tests.pages import walk
from tests.plans.world import ANY, HEALTH, SOCIAL, WORKS, refused

Connect = Callable[..., TestClient]


def test_a_meeting_is_planned_held_and_read_back(client: TestClient, clock: Clock) -> None:
    whole = {
        **MEETING,
        "place": "Aula Bappeda",
        "agenda": ["Lokus", "Data"],
        "minutes_url": "https://berkas.example/1.pdf",
        "document_number": "400.9/21",
        "note": "Daring",
    }
    made = client.put(R1, json={**whole, "agencies_present": []}, headers={"If-None-Match": "*"})
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
    held = client.patch(R1, json={"agencies_present": [HEALTH, SOCIAL]}, headers={"If-Match": '"1"'})
    assert (held.json()["state"], held.json()["version"]) == ("held", 2)
    assert held.json()["agencies_present"] == [HEALTH, SOCIAL]
    assert client.put(R1, json=whole, headers={"If-Match": '"1"'}).status_code == 412
    again = client.put(R1, json={**whole, "agencies_present": [HEALTH, SOCIAL]}, headers=ANY)
    assert (again.status_code, again.json()["version"]) == (200, 2)


def test_a_day_makes_of_a_planned_meeting_a_held_one_and_the_tag_follows(
    client: TestClient, clock: Clock
) -> None:
    put_meeting(client, "R-1", date="2025-05-03")
    clock.at = "2025-05-02T15:59:00+00:00"  # 23:59 in Kotabaru
    before, listed = client.get(R1), client.get(f"{HOME}/meetings")
    assert before.json()["state"] == listed.json()["items"][0]["state"] == "planned"
    assert client.get(R1, headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
    clock.at = "2025-05-02T16:00:00+00:00"
    for path, tag in ((R1, before.headers["ETag"]), (f"{HOME}/meetings", listed.headers["ETag"])):
        after = client.get(path, headers={"If-None-Match": tag})
        assert after.status_code == 200
    assert client.get(R1).json()["state"] == "held"
    assert (
        client.patch(R1, json={"note": "x"}, headers={"If-Match": before.headers["ETag"]}).json()["version"]
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
def test_what_cannot_be_stored_is_named(
    client: TestClient, change: dict[str, Any], pointer: str, code: str
) -> None:
    assert refused(client.put(R1, json={**MEETING, **change})) == [(pointer, code)]
    assert client.get(R1).status_code == 404


def test_an_unknown_agency_names_the_nearest_and_a_key_follows_its_pattern(client: TestClient) -> None:
    wrong = client.put(R1, json={**MEETING, "agencies_present": ["1.06.0.00.0.00.08.0001"]}).json()
    assert wrong["errors"][0]["nearest"][0] == f"{SOCIAL} Dinas Sosial"
    bad = client.put(f"{HOME}/meetings/R 1", json=MEETING)
    assert (bad.status_code, bad.json()["errors"][0]["parameter"]) == (422, "key")


def test_a_meeting_at_which_something_was_promised_stays(client: TestClient) -> None:
    put_meeting(client, "R-1")
    commit(client, "K-1", meeting="R-1")
    commit(client, "K-2", meeting="R-1")
    read = client.get(R1).json()
    assert (read["commitment_count"], read["allowed"]) == (2, ["edit"])
    kept = client.delete(R1, headers=ANY)
    assert (kept.status_code, kept.json()["code"]) == (409, "meeting_in_use")
    assert "K-1, K-2" in kept.json()["detail"]
    for code in ("K-1", "K-2"):
        client.patch(f"{HOME}/commitments/{code}", json={"meeting": None}, headers=ANY)
    assert client.delete(R1, headers=ANY).status_code == 204
    assert client.get(R1).status_code == 404


def test_lists_of_a_region_and_of_a_province(client: TestClient, connect: Connect, clock: Clock) -> None:
    other = connect(("secretariat", "63.03"), days=EVER)
    put_meeting(client, "R-2", date="2025-01-09", agencies_present=[HEALTH])
    put_meeting(client, "R-1", date="2025-03-11")
    put_meeting(client, "R-3", date="2026-01-01", agencies_present=[])
    put_meeting(other, "R-1", "63.03", date="2024-12-31", agencies_present=[])
    home = f"{HOME}/meetings"
    assert codes(client, home) == ["63.02/R-2", "63.02/R-1", "63.02/R-3"]
    assert codes(client, home, sort="-date", year=2025) == ["63.02/R-1", "63.02/R-2"]
    assert codes(client, home, agency=SOCIAL) == ["63.02/R-1"]
    assert codes(client, home, state="planned") == ["63.02/R-3"]
    province = connect(("reader", "63"), days=EVER)
    everything = ["63.03/R-1", "63.02/R-2", "63.02/R-1", "63.02/R-3"]
    assert codes(province, "/v1/meetings", region="63") == everything
    assert codes(province, "/v1/meetings") == everything
    assert codes(province, "/v1/meetings", region="63.03") == ["63.03/R-1"]
    assert codes(province, "/v1/meetings", region="63", state="held") == ["63.02/R-2", "63.02/R-1"]
    assert codes(client, "/v1/meetings", region="63") == everything[1:]
    for sort in ("date", "-date", "code", "-code"):
        paged = walk(province, f"/v1/meetings?limit=1&sort={sort}")
        found = [f"{one['region_code']}/{one['code']}" for one in paged]
        assert found == codes(province, "/v1/meetings", sort=sort)
    assert other.get(home).status_code == 404
    assert connect(days=EVER).get("/v1/meetings").json()["items"] == []


def test_history_and_feed(client: TestClient, clock: Clock) -> None:
    cursor = now(client)
    put_meeting(client, "R-1")
    client.patch(R1, json={"agencies_present": [SOCIAL]}, headers=ANY)
    client.patch(R1, json={"agencies_present": [SOCIAL]}, headers=ANY)
    client.delete(R1, headers=ANY)
    kinds = ["meeting.created", "meeting.changed", "meeting.deleted"]
    history = client.get(f"{R1}/history").json()["items"]
    assert [one["kind"] for one in history] == kinds
    assert history[1]["changes"] == {"agencies_present": [[SOCIAL, HEALTH], [SOCIAL]]}
    assert [one["sequence"] for one in history] == [1, 2, 3]
    assert told(follow(client, cursor)) == [(kind, "meetings/R-1") for kind in kinds]


def test_a_trial_keeps_nothing(client: TestClient, database: OneTransaction) -> None:
    trial = client.put(f"{R1}?dry_run=true", json=MEETING)
    assert (trial.status_code, trial.json()["code"]) == (201, "R-1")
    assert client.get(R1).status_code == 404
    put_meeting(client, "R-1")
    assert client.delete(f"{R1}?dry_run=true", headers=ANY).status_code == 204
    assert client.get(R1).status_code == 200


def test_a_merged_agency_attended_as_its_successor(client: TestClient) -> None:
    put_meeting(client, "R-1", agencies_present=[WORKS, SOCIAL, HEALTH])
    put_meeting(client, "R-2", agencies_present=[SOCIAL])
    put_meeting(client, "R-3", agencies_present=[HEALTH])
    agency = f"{HOME}/agencies/{SOCIAL}"
    kept = client.delete(agency, headers=ANY)
    assert (kept.status_code, "meetings it attended: 2" in kept.json()["detail"]) == (409, True)
    assert client.post(f"{agency}/merge", json={"into": HEALTH}, headers=ANY).status_code == 200
    found = {one["code"]: one for one in client.get(f"{HOME}/meetings").json()["items"]}
    assert {code: one["agencies_present"] for code, one in found.items()} == {
        "R-1": [WORKS, HEALTH],
        "R-2": [HEALTH],
        "R-3": [HEALTH],
    }
    assert [found[code]["version"] for code in ("R-1", "R-2", "R-3")] == [2, 2, 1]
    last = client.get(f"{R1}/history?sort=-sequence").json()["items"][0]
    assert last["changes"] == {"agencies_present": [[WORKS, SOCIAL, HEALTH], [WORKS, HEALTH]]}
    assert SOCIAL in last["reason"]
    merged = client.put(f"{HOME}/meetings/R-4", json={**MEETING, "agencies_present": [SOCIAL]})
    assert refused(merged) == [("/agencies_present/0", "retired_agency")]
    assert merged.json()["errors"][0]["nearest"] == [HEALTH]
