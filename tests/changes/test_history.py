"""The history of a resource: actor, instant, old and new values, reason; also of deleted resources."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.pages import walk
from tests.plans.world import ANY, AT, LEAN, PARTNER, SOCIAL, WORKS, put, put_many, report

pytestmark = pytest.mark.one_engine

A1 = f"{AT}/actions/A-1"
Q1 = f"{A1}/progress/2026-Q1"
SOCIAL_AT = f"/v1/regions/63.02/agencies/{SOCIAL}"


def read_history(client: TestClient, path: str, **query: Any) -> list[dict[str, Any]]:
    reply = client.get(f"{path}/history", params=query)
    assert reply.status_code == 200, reply.text
    items: list[dict[str, Any]] = reply.json()["items"]
    return items


def list_kinds(client: TestClient, path: str, **query: Any) -> list[str]:
    return [entry["kind"] for entry in read_history(client, path, **query)]


def test_a_report_corrected_twice(secretariat: TestClient) -> None:
    put(secretariat, "A-1")
    report(secretariat, "A-1", 1, spent=60_000_000)
    id = {"X-Request-Id": "correction-1"}
    secretariat.patch(Q1, json={"spent": 58_000_000, "obstacle": "Salah catat"}, headers={**ANY, **id})
    report(secretariat, "A-1", 1, spent=58_500_000, obstacle="Salah catat")
    first, second, third = read_history(secretariat, Q1)
    assert [entry["kind"] for entry in (first, second, third)] == [
        "progress.created",
        *["progress.changed"] * 2,
    ]
    assert [entry["version"] for entry in (first, second, third)] == [1, 2, 3]
    assert first["changes"]["spent"] == [None, 60_000_000]
    assert second["changes"]["spent"] == [60_000_000, 58_000_000]
    assert second["changes"]["obstacle"] == ["", "Salah catat"]
    assert second["changes"]["spending"] == [
        [{"funding_source": "APBD", "amount": 60_000_000}], [{"funding_source": "APBD", "amount": 58_000_000}]
    ]  # fmt: skip
    assert set(third["changes"]) == {"spent", "spending"}
    assert (second["subject"], second["request_id"], second["reason"]) == (Q1[4:], "correction-1", None)
    assert second["actor"].startswith("secretariat-63.02")
    assert first["at"] < second["at"] < third["at"]
    assert list_kinds(secretariat, Q1, sort="-sequence") == [
        "progress.changed",
        "progress.changed",
        "progress.created",
    ]


def test_a_plans_history_includes_or_omits_its_actions(secretariat: TestClient) -> None:
    put(secretariat, "A-1")
    put(secretariat, "A-10", base=LEAN)
    report(secretariat, "A-1", 1, spent=5)
    secretariat.patch(AT, json={"title": "Baru"}, headers=ANY)
    assert list_kinds(secretariat, AT) == [
        "plan.created", "action.created", "action.created", "progress.created", "plan.changed"
    ]  # fmt: skip
    assert [entry["sequence"] for entry in read_history(secretariat, AT)] == [1, 2, 3, 4, 5]
    assert list_kinds(secretariat, AT, kind="plan") == ["plan.created", "plan.changed"]
    assert list_kinds(secretariat, AT, kind=["plan.changed", "progress"]) == [
        "progress.created",
        "plan.changed",
    ]
    assert list_kinds(secretariat, A1) == ["action.created", "progress.created"]
    assert list_kinds(secretariat, A1, kind="action") == ["action.created"]
    assert list_kinds(secretariat, f"{AT}/actions/A-10") == ["action.created"]
    assert read_history(secretariat, AT, kind="plan", sort="-sequence")[0]["changes"] == {
        "title": ["RAT Kotabaru", "Baru"]
    }


def test_a_deleted_resource_keeps_its_history(secretariat: TestClient) -> None:
    put(secretariat, "A-1")
    report(secretariat, "A-1", 1, spent=5)
    for path in (Q1, A1, AT):
        assert secretariat.delete(path, headers=ANY).status_code == 204
        assert secretariat.get(path).status_code == 404
        assert (
            list_kinds(secretariat, path)[-1]
            == f"{ {Q1: 'progress', A1: 'action', AT: 'plan'}[path] }.deleted"
        )
    deleted = read_history(secretariat, A1, kind="action.deleted")[0]
    assert (deleted["version"], deleted["changes"]["title"]) == (2, ["Permakanan lanjut usia", None])
    assert secretariat.put(AT, json={"title": "Lagi"}).status_code == 201
    assert list_kinds(secretariat, AT, kind="plan") == ["plan.created", "plan.deleted", "plan.created"]


def test_an_agencys_history_and_the_reason_of_a_merger(secretariat: TestClient) -> None:
    put(secretariat, "A-1", lead_agency=WORKS)
    secretariat.patch(f"/v1/regions/63.02/agencies/{WORKS}", json={"name": "Dinas PU"}, headers=ANY)
    secretariat.post(f"/v1/regions/63.02/agencies/{WORKS}/merge", json={"into": PARTNER}, headers=ANY)
    history = read_history(secretariat, f"/v1/regions/63.02/agencies/{WORKS}")
    assert [entry["kind"] for entry in history] == ["agency.created", "agency.changed", "agency.merged"]
    assert history[1]["changes"] == {"name": ["Dinas Pekerjaan Umum", "Dinas PU"]}
    assert history[2]["changes"] == {"state": ["active", "merged"], "merged_into": [None, PARTNER]}
    moved = read_history(secretariat, A1)[-1]
    assert (moved["kind"], moved["reason"]) == ("action.changed", f"merge {WORKS} → {PARTNER}")
    assert moved["changes"]["lead_agency"] == [WORKS, PARTNER]


def test_a_history_is_as_visible_as_its_resource(
    secretariat: TestClient, connect: Callable[..., TestClient], stranger: TestClient
) -> None:
    put(secretariat, "A-1")
    report(secretariat, "A-1", 1, spent=5)
    paths = (AT, A1, Q1, SOCIAL_AT)

    def read_without_token(client: TestClient, path: str) -> list[dict[str, Any]]:
        return [{**entry, "token": None} for entry in read_history(client, path)]

    for reader in (
        connect(("reviewer", "63")),
        connect(("operator", "63.02", SOCIAL)),
        connect(("administrator", "0")),
    ):
        for path in paths:
            assert read_without_token(reader, path) == read_history(secretariat, path)
    for other in (stranger, connect(("secretariat", "63.03")), connect(("secretariat", "63"))):
        for path in paths:
            hidden = other.get(f"{path}/history")
            missing = other.get(f"{path.replace('63.02', '63.09')}/history")
            assert hidden.status_code == missing.status_code == 404
            assert hidden.json()["detail"] == missing.json()["detail"]
    for path in (
        f"{AT}/actions/A-2",
        f"{A1}/progress/2026-Q2",
        f"{AT}/actions/A",
        "/v1/plans/x",
        f"{AT}/actions/%25",
    ):
        assert secretariat.get(f"{path}/history").status_code == 404


@pytest.mark.parametrize("sort", ["sequence", "-sequence"])
def test_pages_miss_nothing(secretariat: TestClient, sort: str) -> None:
    put_many(secretariat, [{"code": f"A-{n}", **LEAN} for n in range(5)])
    whole = read_history(secretariat, AT, sort=sort)
    for limit in (1, 2, 3):
        assert list(walk(secretariat, f"{AT}/history?sort={sort}&limit={limit}")) == whole
    counted = secretariat.get(f"{AT}/history?count=exact&limit=1&kind=action").json()
    assert (counted["count"], len(counted["items"])) == (5, 1)
    cursor = secretariat.get(f"{AT}/history?limit=1").json()["next"]
    assert secretariat.get(f"{AT}/history?after={cursor}&kind=plan").status_code == 400
    assert secretariat.get(f"{A1}/history?after={cursor}").status_code in (400, 404)


def test_304_and_number_of_statements(secretariat: TestClient, database: OneTransaction) -> None:
    put_many(secretariat, [{"code": f"A-{n}", **LEAN} for n in range(100)])
    first = secretariat.get(f"{AT}/history?limit=500")
    tag = {"If-None-Match": first.headers["ETag"]}
    assert secretariat.get(f"{AT}/history?limit=500", headers=tag).status_code == 304
    for path in (f"{AT}/history?limit=500", f"{AT}/history?limit=1", f"{AT}/actions/A-1/history"):
        database.statements.clear()
        assert secretariat.get(path).status_code == 200
        assert len(database.statements) == 3, path
    put(secretariat, "A-1", base=LEAN, title="Lain")
    assert secretariat.get(f"{AT}/history?limit=500", headers=tag).status_code == 200
