"""Administrators manage services, positions and tokens: within their regions and their own rights."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.access.models import TokenScope
from app.access.rules import find_common_region
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from tests.access.people import ANY, PeopleApp, check_taken
from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.plans.world import AT, PARTNER, SOCIAL, furnish, put_plan

pytestmark = pytest.mark.one_engine

AT_DASHBOARD = "/v1/principals/dasbor"
READER: dict[str, Any] = {
    "region_code": "63.02",
    "subject": None,
    "memberships": [{"role": "reader", "region_code": "63.02"}],
}
READING: dict[str, Any] = {"scopes": ["read"]}


@pytest.fixture
def dashboard(provincial_administrator: TestClient) -> TestClient:
    """The administrator, after creating a service that reads Kotabaru."""
    assert provincial_administrator.put(AT_DASHBOARD, json=READER).status_code == 201
    return provincial_administrator


def connect_with(app: FastAPI, secret: str) -> TestClient:
    return TestClient(app, headers={"Authorization": f"Bearer {secret}"})


def find_errors(reply: Any) -> dict[str, str]:
    assert reply.status_code == 422, reply.text
    return {error["pointer"]: error["code"] for error in reply.json()["errors"]}


@pytest.mark.both_engines
def test_a_token_works_and_ends_at_once(dashboard: TestClient, app: FastAPI) -> None:
    made = dashboard.put(f"{AT_DASHBOARD}/tokens/dasbor-2026", json=READING)
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")
    service = connect_with(app, made.json()["secret"])
    assert service.get("/v1/me").json()["memberships"][0]["rights"] == ["read"]
    again = dashboard.get(f"{AT_DASHBOARD}/tokens/dasbor-2026")
    assert "secret" not in again.json()
    assert made.json()["secret"] not in dashboard.get(f"{AT_DASHBOARD}/history").text
    for _ in range(2):
        revoked = dashboard.post(f"{AT_DASHBOARD}/tokens/dasbor-2026/revoke")
        assert (revoked.status_code, revoked.json()["version"]) == (200, 2)
        assert service.get("/v1/me").status_code == 401
    gone = dashboard.put(f"{AT_DASHBOARD}/tokens/dasbor-2026", json=READING, headers=ANY)
    assert (gone.status_code, gone.json()["code"]) == (409, "token_revoked")
    kinds = [entry["kind"] for entry in dashboard.get(f"{AT_DASHBOARD}/history").json()["items"]]
    assert kinds == ["principal.created", "token.created", "token.revoked"]


def test_a_secret_is_only_in_the_reply_that_created_it(
    dashboard: TestClient, app: FastAPI, database: OneTransaction
) -> None:
    headers = {"Idempotency-Key": "once", "If-None-Match": "*"}
    address = f"{AT_DASHBOARD}/tokens/dasbor-2026"
    trial = dashboard.put(f"{address}?dry_run=true", json=READING, headers=headers)
    assert (trial.status_code, "secret" in trial.json()) == (201, False)
    secret = dashboard.put(address, json=READING, headers=headers).json()["secret"]
    repeated = dashboard.put(address, json=READING, headers=headers)
    assert (repeated.status_code, secret in repeated.text) == (412, False)
    for name in sa.inspect(database.connection).get_table_names():
        rows = database.connection.execute(sa.text(f'SELECT * FROM "{name}"')).all()
        assert secret not in repr(rows), name
    assert connect_with(app, secret).get("/v1/me").status_code == 200


def test_the_limits_of_a_token_change_without_a_new_secret(dashboard: TestClient, app: FastAPI) -> None:
    address = f"{AT_DASHBOARD}/tokens/dasbor-2026"
    secret = dashboard.put(address, json=READING).json()["secret"]
    changed = dashboard.put(
        address, json={**READING, "networks": ["192.0.2.7", "2001:db8::/32"]}, headers={"If-Match": '"1"'}
    )
    assert (changed.status_code, changed.json()["networks"]) == (200, ["192.0.2.7/32", "2001:db8::/32"])
    for client, status in (("192.0.2.7", 200), ("2001:db8::5", 200), ("192.0.2.8", 401)):
        caller = TestClient(app, headers={"Authorization": f"Bearer {secret}"}, client=(client, 50000))
        assert caller.get("/v1/me").status_code == status, client
    soon = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    assert dashboard.put(address, json={**READING, "expires_at": soon}, headers=ANY).json()["version"] == 3
    assert connect_with(app, secret).get("/v1/me").json()["expires_at"][:10] == soon[:10]
    assert dashboard.put(address, json={**READING, "expires_at": soon}, headers=ANY).json()["version"] == 3
    listed = dashboard.get(f"{AT_DASHBOARD}/tokens").json()["items"]
    assert [token["name"] for token in listed] == ["dasbor-2026"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"/expires_at": "expiry_out_of_range"}),
        ({"expires_at": "2090-01-01T00:00:00Z"}, {"/expires_at": "expiry_out_of_range"}),
        ({"expires_at": "2027-01-01T00:00:00"}, {"/expires_at": "malformed_date"}),
        ({"networks": ["10.0.0.0/33"]}, {"/networks/0": "malformed_network"}),
        ({"networks": ["10.0.0.1/8"]}, {"/networks/0": "malformed_network"}),
        ({"networks": ["10.0.0.7", "10.0.0.7/32"]}, {"/networks/1": "duplicate_key"}),
        ({"scopes": []}, {"/scopes": "wrong_length"}),
        ({"scopes": ["read", "read"]}, {"/scopes/1": "duplicate_key"}),
    ],
)
def test_invalid_tokens_are_refused(
    dashboard: TestClient, body: dict[str, Any], expected: dict[str, str]
) -> None:
    reply = dashboard.put(f"{AT_DASHBOARD}/tokens/dasbor-2026", json={**READING, **body})
    assert find_errors(reply) == expected
    assert dashboard.get(f"{AT_DASHBOARD}/tokens").json()["items"] == []


def test_an_administrator_cannot_give_a_scope_that_its_token_lacks(connect: ConnectAs) -> None:
    limited = connect(("administrator", "63"), scopes=(TokenScope.administer, TokenScope.read))
    assert limited.put(AT_DASHBOARD, json=READER).status_code == 201
    reply = limited.put(f"{AT_DASHBOARD}/tokens/t", json={"scopes": ["read", "write", "approve"]})
    assert find_errors(reply) == {"/scopes/1": "scope_beyond_own", "/scopes/2": "scope_beyond_own"}
    assert limited.put(f"{AT_DASHBOARD}/tokens/t", json=READING).status_code == 201
    without = connect(("administrator", "63"), scopes=(TokenScope.read, TokenScope.write, TokenScope.approve))
    for method, path in (
        ("GET", AT_DASHBOARD), ("PUT", AT_DASHBOARD), ("DELETE", AT_DASHBOARD), ("PUT", f"{AT_DASHBOARD}/tokens/t"),
        ("POST", f"{AT_DASHBOARD}/tokens/t/revoke"), ("GET", f"{AT_DASHBOARD}/history"),
    ):  # fmt: skip
        body = READER if path == AT_DASHBOARD else READING
        reply = without.request(method, path, json=body if method == "PUT" else None, headers=ANY)
        assert reply.status_code == 404, (method, path)


def test_an_administrator_appoints_within_its_regions(
    connect: ConnectAs, provincial_administrator: TestClient
) -> None:
    for body, expected in (
        ({**READER, "region_code": "73"}, {"/region_code": "region_not_administered"}),
        ({**READER, "region_code": "0"}, {"/region_code": "region_not_administered"}),
        ({**READER, "region_code": "63.99"}, {"/region_code": "unknown_reference"}),
        (
            {**READER, "memberships": [{"role": "reader", "region_code": at} for at in ("63.02", "63.03", "0")]},
            {"/memberships/1/region_code": "outside_home", "/memberships/2/region_code": "outside_home"},
        ),
        (
            {**READER, "memberships": [{"role": "chair", "region_code": "63.02", "agency_code": SOCIAL}]},
            {"/memberships/0/agency_code": "agency_of_operator"},
        ),
        ({**READER, "memberships": READER["memberships"] * 2}, {"/memberships/1": "duplicate_key"}),
        ({**READER, "subject": "abc"}, {"/subject": "no_issuer"}),
    ):  # fmt: skip
        reply = provincial_administrator.put(AT_DASHBOARD, json=body)
        errors = find_errors(reply)
        assert {pointer: errors.get(pointer) for pointer in expected} == expected, body
    assert provincial_administrator.get(AT_DASHBOARD).status_code == 404
    whole = {**READER, "region_code": "63", "memberships": [{"role": "chair", "region_code": "63.03"}]}
    assert provincial_administrator.put(AT_DASHBOARD, json=whole).status_code == 201
    moved = provincial_administrator.put(AT_DASHBOARD, json=READER, headers=ANY)
    assert find_errors(moved)["/region_code"] == "home_stays"


def test_another_regions_administrator_sees_nothing_and_takes_no_name(
    dashboard: TestClient, connect: ConnectAs
) -> None:
    dashboard.put(f"{AT_DASHBOARD}/tokens/dasbor-2026", json=READING)
    neighbour = connect(("administrator", "63.03"))
    for path in ("", "/tokens", "/tokens/dasbor-2026", "/history"):
        assert neighbour.get(AT_DASHBOARD + path).status_code == 404, path
    names = {item["name"] for item in neighbour.get("/v1/principals").json()["items"]}
    assert not any("dasbor" in name for name in names)
    elsewhere = {"region_code": "63.03", "memberships": []}
    assert neighbour.put("/v1/principals/lain", json=elsewhere).status_code == 201
    for headers in ({}, ANY, {"If-None-Match": "*"}):
        check_taken(neighbour.put(AT_DASHBOARD, json=elsewhere, headers=headers))
        taken = neighbour.put("/v1/principals/lain/tokens/dasbor-2026", json=READING, headers=headers)
        check_taken(taken)
    for method, path in (("DELETE", ""), ("POST", "/tokens/dasbor-2026/revoke")):
        assert neighbour.request(method, AT_DASHBOARD + path, headers=ANY).status_code == 404


@pytest.mark.both_engines
def test_lists_are_narrowed_by_region_and_role(dashboard: TestClient) -> None:
    for name, role, region in (("a-1", "chair", "63.02"), ("a-2", "operator", "63.03")):
        body = {"region_code": region, "memberships": [{"role": role, "region_code": region}]}
        assert dashboard.put(f"/v1/principals/{name}", json=body).status_code == 201

    def find_names(**query: str) -> set[str]:
        items = dashboard.get("/v1/principals", params=query).json()["items"]
        return {item["name"] for item in items} & {"a-1", "a-2", "dasbor"}

    assert find_names() == {"a-1", "a-2", "dasbor"}
    assert find_names(region="63.02") == {"a-1", "dasbor"}
    assert find_names(role="operator") == {"a-2"}
    assert find_names(region="73") == set()


def test_the_feed_reports_changed_memberships(dashboard: TestClient, app: FastAPI) -> None:
    secret = dashboard.put(f"{AT_DASHBOARD}/tokens/dasbor-2026", json=READING).json()["secret"]
    service = connect_with(app, secret)
    start = service.get("/v1/changes?after=now").json()["next"]
    dashboard.put(AT_DASHBOARD, json={**READER, "memberships": []}, headers=ANY)
    (change,) = service.get("/v1/changes", params={"after": start, "changes": "true"}).json()["items"]
    assert (change["kind"], change["region_code"]) == ("scope.changed", "63.02")
    assert change["changes"] == {"sees": ["below", None]}


def test_deleting_ends_every_token_and_leaves_the_history(dashboard: TestClient, app: FastAPI) -> None:
    secret = dashboard.put(f"{AT_DASHBOARD}/tokens/dasbor-2026", json=READING).json()["secret"]
    assert dashboard.delete(AT_DASHBOARD, headers=ANY).status_code == 204
    assert connect_with(app, secret).get("/v1/me").status_code == 401
    assert dashboard.get(AT_DASHBOARD).status_code == 404
    last = dashboard.get(f"{AT_DASHBOARD}/history").json()["items"][-1]
    assert (last["kind"], last["changes"]["tokens"]) == ("principal.deleted", [["dasbor-2026"], None])


def test_a_successor_takes_the_position_and_the_journal_names_neither_person(
    people: PeopleApp, database: OneTransaction
) -> None:
    people.enrol(subject="5d0c1f52")
    reply = people.enrol(subject="e81b07aa")
    assert (reply.json()["subject"], reply.json()["issuer"]) == ("e81b07aa", people.real.address)
    twice = people.administrator.put(
        "/v1/principals/lain", json={"region_code": "63", "subject": "e81b07aa", "memberships": []}
    )
    assert find_errors(twice) == {"/subject": "taken_subject"}
    rows = database.connection.execute(sa.select(get_table(JournalRow))).all()
    assert "5d0c1f52" not in repr(rows)
    assert "e81b07aa" not in repr(rows)
    change = people.administrator.get("/v1/principals/kepala-bappeda-kotabaru/history?sort=-sequence").json()
    before, after = change["items"][0]["changes"]["identity"]
    assert before != after
    assert before.startswith("sha256:")


def test_a_merged_agency_makes_an_edit_of_its_operators_stale(
    provincial_administrator: TestClient, database: OneTransaction, connect: ConnectAs
) -> None:
    furnish(database)
    body = {
        "region_code": "63.02",
        "memberships": [{"role": "operator", "region_code": "63.02", "agency_code": SOCIAL}],
    }
    tag = provincial_administrator.put(AT_DASHBOARD, json=body).headers["ETag"]
    merge = f"/v1/regions/63.02/agencies/{SOCIAL}/merge"
    secretariat = connect(("secretariat", "63.02"))
    put_plan(secretariat)
    assert secretariat.get(AT).status_code == 200
    assert secretariat.post(merge, json={"into": PARTNER}, headers=ANY).status_code == 200
    assert provincial_administrator.put(AT_DASHBOARD, json=body, headers={"If-Match": tag}).status_code == 412
    assert provincial_administrator.get(AT_DASHBOARD).json()["memberships"][0]["agency_code"] == PARTNER


@pytest.mark.parametrize(
    ("regions", "home"),
    [
        ([], "0"),
        (["0", "63"], "0"),
        (["63.02"], "63.02"),
        (["63.02", "63.02"], "63.02"),
        (["63.02", "63.03"], "63"),
        (["63.02", "63.02.01.2001"], "63.02"),
        (["63.02", "73.22"], "0"),
        (["6", "63"], "0"),
    ],
)
def test_home_is_the_smallest_enclosing_region(regions: list[str], home: str) -> None:
    assert find_common_region(regions) == home
