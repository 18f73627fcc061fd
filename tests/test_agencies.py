"""The agencies of a region, from creation to merger."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.access.commands import Write
from app.access.models import Membership
from app.access.rules import CONSOLE
from app.agencies import commands, queries
from app.agencies.models import AgencyIn, AgencyKind
from app.kit.database.engine import get_table
from app.kit.database.journal import Author, JournalRow
from app.kit.wording import Text
from tests.common import ConnectAs
from tests.database import OneTransaction

pytestmark = pytest.mark.one_engine

BASE = "/v1/regions/63.02/agencies"
DINSOS, DINKES = "1.06.0.00.0.00.08.0000", "1.02.0.00.0.00.02.0000"
SOCIAL = {"name": "Dinas Sosial", "kind": "dinas"}
ANY = {"If-Match": "*"}


@pytest.fixture
def dinsos(secretariat: TestClient) -> str:
    """The address of an existing agency."""
    assert secretariat.put(f"{BASE}/{DINSOS}", json=SOCIAL).status_code == 201
    return f"{BASE}/{DINSOS}"


@pytest.fixture
def dinkes(secretariat: TestClient) -> str:
    assert (
        secretariat.put(f"{BASE}/{DINKES}", json={"name": "Dinas Kesehatan", "kind": "dinas"}).status_code
        == 201
    )
    return f"{BASE}/{DINKES}"


def read_journal(database: OneTransaction) -> list[Any]:
    table = get_table(JournalRow)
    with database.read_session() as session:
        return list(
            session.execute(
                sa.select(table).where(table.c.chain == "region:63.02").order_by(table.c.position)
            )
        )


def test_an_agency_is_created_read_and_replaced(secretariat: TestClient, database: OneTransaction) -> None:
    made = secretariat.put(f"{BASE}/{DINSOS}", json=SOCIAL, headers={"If-None-Match": "*"})
    assert (made.status_code, made.headers["location"]) == (201, f"{BASE}/{DINSOS}")
    assert made.json() == {
        **SOCIAL,
        "short_name": None,
        "region_code": "63.02",
        "code": DINSOS,
        "is_partner": False,
        "state": "active",
        "merged_into": None,
        "version": 1,
        "allowed": ["edit", "retire", "merge", "delete"],
    }
    read = secretariat.get(f"{BASE}/{DINSOS}")
    assert (read.json(), read.headers["etag"]) == (made.json(), made.headers["etag"])
    new = {"name": "Dinas Sosial dan Pemberdayaan", "kind": "badan"}
    changed = secretariat.put(f"{BASE}/{DINSOS}", json=new, headers={"If-Match": read.headers["etag"]})
    assert (changed.status_code, changed.json()["version"], changed.json()["name"]) == (200, 2, new["name"])
    first, second = read_journal(database)
    assert (first.kind, first.subject, first.changes["name"]) == (
        "agency.created",
        f"regions/63.02/agencies/{DINSOS}",
        [None, "Dinas Sosial"],
    )
    assert (second.kind, second.version) == ("agency.changed", 2)
    assert second.changes == {"name": [SOCIAL["name"], new["name"]], "kind": ["dinas", "badan"]}
    assert second.actor.startswith("secretariat-63.02")


def test_a_write_without_a_change_makes_no_version(
    secretariat: TestClient, dinsos: str, database: OneTransaction
) -> None:
    rows = read_journal(database)
    for reply in (
        secretariat.put(dinsos, json=SOCIAL, headers=ANY),
        secretariat.patch(dinsos, json={}, headers=ANY),
    ):
        assert (reply.status_code, reply.json()["version"]) == (200, 1)
    assert read_journal(database) == rows


def test_the_kind_decides_whether_an_agency_is_a_partner(secretariat: TestClient) -> None:
    made = secretariat.put(f"{BASE}/BAZNAS", json={"name": "Baznas Kotabaru", "kind": "baznas"})
    assert made.json()["is_partner"] is True
    refused = secretariat.put(f"{BASE}/X", json={"name": "X", "kind": "bazmas"})
    assert (refused.status_code, refused.json()["errors"][0]["nearest"][0]) == (422, "baznas")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"kind": "dinas"}, "/name", "missing"),
        ({**SOCIAL, "state": "retired"}, "/state", "unknown_field"),
        ({**SOCIAL, "name": "  "}, "/name", "wrong_length"),
        ({**SOCIAL, "name": "a\x00b"}, "/name", "control_character"),
    ],
)
def test_an_invalid_body_is_refused_with_its_pointer(
    secretariat: TestClient, body: dict[str, str], pointer: str, code: str, database: OneTransaction
) -> None:
    refused = secretariat.put(f"{BASE}/{DINSOS}", json=body)
    assert refused.status_code == 422
    assert [(e["pointer"], e["code"]) for e in refused.json()["errors"]] == [(pointer, code)]
    assert read_journal(database) == []


def test_a_code_follows_the_pattern(secretariat: TestClient) -> None:
    for code in ("dinsos", "A B", "A" * 41):
        refused = secretariat.put(f"{BASE}/{code}", json=SOCIAL)
        assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (422, "agency"), code


def test_a_patch_is_validated_like_a_put(secretariat: TestClient, dinsos: str) -> None:
    tag = secretariat.get(dinsos).headers["etag"]
    changed = secretariat.patch(
        dinsos,
        content=b'{"kind": "badan"}',
        headers={"If-Match": tag, "Content-Type": "application/merge-patch+json"},
    )
    assert (changed.status_code, changed.json()["kind"], changed.json()["name"]) == (
        200,
        "badan",
        "Dinas Sosial",
    )
    for patch, code in (
        ({"name": None}, "missing"),
        ({"version": 9}, "unknown_field"),
        ({"kind": 3}, "not_allowed"),
    ):
        refused = secretariat.patch(dinsos, json=patch, headers=ANY)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, code)
    assert secretariat.patch(dinsos, json=["x"], headers=ANY).status_code == 422
    assert secretariat.patch(f"{BASE}/NONE", json={}, headers=ANY).status_code == 404


def test_a_write_to_an_existing_agency_needs_its_version(secretariat: TestClient, dinsos: str) -> None:
    calls = [
        ("PUT", dinsos, SOCIAL),
        ("PATCH", dinsos, {"kind": "badan"}),
        ("DELETE", dinsos, None),
        ("POST", f"{dinsos}/retire", None),
        ("POST", f"{dinsos}/merge", {"into": DINKES}),
        ("POST", f"{dinsos}/restore", None),
    ]
    for method, path, body in calls:
        assert secretariat.request(method, path, json=body).status_code == 428, (method, path)
        for stale in ('"9"', '"9-abc"'):
            refused = secretariat.request(method, path, json=body, headers={"If-Match": stale})
            assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed"), (
                method,
                path,
            )
    assert secretariat.put(dinsos, json=SOCIAL, headers={"If-None-Match": "*"}).status_code == 412
    assert secretariat.put(f"{BASE}/NEW", json=SOCIAL, headers=ANY).status_code == 412
    assert (
        secretariat.patch(dinsos, json={"kind": "badan"}, headers={"If-Match": '"1"'}).json()["version"] == 2
    )


def test_agencies_of_an_invisible_region_are_404(
    connect: ConnectAs, stranger: TestClient, dinsos: str
) -> None:
    neighbour = connect(("secretariat", "63.03"))
    for client in (stranger, neighbour):
        for method, path, body in (
            ("GET", BASE, None),
            ("GET", dinsos, None),
            ("PUT", dinsos, SOCIAL),
            ("PUT", f"{BASE}/NEW", SOCIAL),
            ("PATCH", dinsos, {}),
            ("DELETE", dinsos, None),
            ("POST", f"{dinsos}/retire", None),
            ("POST", f"{dinsos}/restore", None),
            ("POST", f"{dinsos}/merge", {"into": DINKES}),
        ):
            assert client.request(method, path, json=body, headers=ANY).status_code == 404, (method, path)


@pytest.mark.parametrize(
    "role", [("reader", "63"), ("operator", "63.02", DINSOS), ("chair", "63.02"), ("reviewer", "63")]
)
def test_roles_that_read_alone_cannot_write(connect: ConnectAs, dinsos: str, role: tuple[str, ...]) -> None:
    client = connect(role)
    assert client.get(dinsos).json()["allowed"] == []
    for method, path, body in (
        ("PUT", f"{BASE}/NEW", SOCIAL),
        ("PUT", dinsos, SOCIAL),
        ("PATCH", dinsos, {}),
        ("DELETE", dinsos, None),
        ("POST", f"{dinsos}/retire", None),
        ("POST", f"{dinsos}/merge", {"into": DINKES}),
    ):
        refused = client.request(method, path, json=body, headers=ANY)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), (method, path)


def test_only_provinces_and_regencies_have_agencies(connect: ConnectAs) -> None:
    administrator = connect(("administrator", "0"))
    assert administrator.put(f"/v1/regions/63/agencies/{DINSOS}", json=SOCIAL).status_code == 201
    for region in ("0", "63.02.05", "99", "63.99", "abc"):
        assert administrator.put(f"/v1/regions/{region}/agencies/{DINSOS}", json=SOCIAL).status_code == 404, (
            region
        )
        assert administrator.get(f"/v1/regions/{region}/agencies").status_code == 404, region


def test_the_list_is_filtered_sorted_and_paged(secretariat: TestClient, dinsos: str, dinkes: str) -> None:
    for n in range(7):
        secretariat.put(f"{BASE}/7.01.{n}", json={"name": f"Kecamatan Pulau {9 - n}", "kind": "kecamatan"})
    secretariat.post(f"{dinkes}/retire", headers=ANY)

    def list_codes(**params: Any) -> list[str]:
        return [item["code"] for item in secretariat.get(BASE, params=params).json()["items"]]

    assert list_codes(kind="kecamatan", sort="name") == [f"7.01.{n}" for n in reversed(range(7))]
    assert list_codes(q="SOSIAL dinas") == [DINSOS]
    assert list_codes(state="retired") == [DINKES]
    assert list_codes(state="active", kind="dinas") == [DINSOS]
    seen: list[str] = []
    url: str | None = f"{BASE}?limit=2&sort=-name&count=exact"
    while url:
        page = secretariat.get(url)
        assert page.json()["count"] == 9
        seen += [item["code"] for item in page.json()["items"]]
        url = page.links.get("next", {}).get("url")
    assert len(seen) == len(set(seen)) == 9
    assert secretariat.get(BASE, params={"kinds": "dinas"}).status_code == 400
    tag = secretariat.get(BASE).headers["etag"]
    assert secretariat.get(BASE, headers={"If-None-Match": tag}).status_code == 304
    secretariat.patch(dinsos, json={"name": "Dinas Sosial Baru"}, headers=ANY)
    assert secretariat.get(BASE, headers={"If-None-Match": tag}).status_code == 200


def test_a_dry_run_validates_and_keeps_nothing(
    secretariat: TestClient, dinsos: str, dinkes: str, database: OneTransaction
) -> None:
    rows = read_journal(database)
    tag = secretariat.get(dinsos).headers["etag"]
    trial = {"dry_run": "true"}
    assert secretariat.put(f"{BASE}/NEW", json=SOCIAL, params=trial).status_code == 201
    merged = secretariat.post(f"{dinsos}/merge", json={"into": DINKES}, headers=ANY, params=trial)
    assert (merged.status_code, merged.json()["merged_into"]) == (200, DINKES)
    assert secretariat.delete(dinsos, headers=ANY, params=trial).status_code == 204
    assert secretariat.delete(dinsos, params=trial).status_code == 428
    assert secretariat.get(f"{BASE}/NEW").status_code == 404
    assert secretariat.get(dinsos).headers["etag"] == tag
    assert read_journal(database) == rows


def test_a_post_with_the_same_key_returns_the_first_reply(
    secretariat: TestClient, dinsos: str, database: OneTransaction
) -> None:
    headers = {"If-Match": '"1"', "Idempotency-Key": "retire-1"}
    first = secretariat.post(f"{dinsos}/retire", headers=headers)
    again = secretariat.post(f"{dinsos}/retire", headers=headers)
    assert (first.status_code, first.json()["state"], first.json()["version"]) == (200, "retired", 2)
    assert (again.status_code, again.content, again.headers["etag"]) == (
        200,
        first.content,
        first.headers["etag"],
    )
    assert again.headers["idempotency-replayed"] == "true"
    assert [row.kind for row in read_journal(database)] == ["agency.created", "agency.retired"]
    other = secretariat.post(f"{dinsos}/restore", headers={**headers, "If-Match": '"2"'})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_retired_agency_is_kept_and_can_be_restored(secretariat: TestClient, dinsos: str) -> None:
    retired = secretariat.post(f"{dinsos}/retire", headers=ANY).json()
    assert (retired["state"], retired["allowed"]) == ("retired", ["edit", "restore", "merge", "delete"])
    again = secretariat.post(f"{dinsos}/retire", headers=ANY)
    assert (again.status_code, again.json()["code"]) == (409, "agency_state")
    restored = secretariat.post(f"{dinsos}/restore", headers=ANY).json()
    assert (restored["state"], restored["version"]) == ("active", 3)
    assert secretariat.post(f"{dinsos}/restore", headers=ANY).status_code == 409


def test_a_merger_moves_all_references_to_the_agency(
    secretariat: TestClient,
    connect: ConnectAs,
    dinsos: str,
    dinkes: str,
    database: OneTransaction,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(("operator", "63.02", DINSOS))
    both = connect(("operator", "63.02", DINSOS), ("operator", "63.02", DINKES))
    secretariat.put(f"{BASE}/OLD", json={"name": "Dinas Lama", "kind": "dinas"})
    secretariat.post(f"{BASE}/OLD/merge", json={"into": DINSOS}, headers=ANY)
    moved: list[tuple[str, str, str]] = []
    monkeypatch.setattr(commands, "MERGE_HOOKS", [lambda write, *arguments: moved.append(arguments)])
    merged = secretariat.post(f"{dinsos}/merge", json={"into": DINKES}, headers={"If-Match": '"1"'}).json()
    assert (merged["state"], merged["merged_into"], merged["version"]) == ("merged", DINKES, 2)
    assert merged["allowed"] == ["delete"]
    assert moved == [("63.02", DINSOS, DINKES)]
    old = secretariat.get(f"{BASE}/OLD").json()
    assert (old["merged_into"], old["version"]) == (DINKES, 3)
    with database.read_session() as session:
        table = get_table(Membership)
        kept = session.scalars(sa.select(table.c.agency_code).where(table.c.agency_code != "")).all()
    assert kept == [DINKES, DINKES]
    assert [m["agency_code"] for m in both.get("/v1/me").json()["memberships"]] == [DINKES]
    assert [row.kind for row in read_journal(database)][-2:] == ["agency.merged", "agency.merged"]
    assert secretariat.put(dinsos, json=SOCIAL, headers=ANY).status_code == 409
    assert secretariat.post(f"{dinsos}/merge", json={"into": DINKES}, headers=ANY).status_code == 409


def test_a_merger_needs_an_active_agency_of_the_region(
    secretariat: TestClient, dinsos: str, dinkes: str
) -> None:
    def refuse_merge(into: str) -> dict[str, Any]:
        reply = secretariat.post(f"{dinsos}/merge", json={"into": into}, headers=ANY)
        assert reply.status_code == 422
        (error,) = reply.json()["errors"]
        assert error["pointer"] == "/into"
        return dict(error)

    assert refuse_merge(DINSOS)["code"] == "merged_into_itself"
    unknown = refuse_merge("1.02.0.00.0.00.02.0001")
    assert (unknown["code"], unknown["nearest"]) == ("unknown_reference", [f"{DINKES} Dinas Kesehatan"])
    secretariat.post(f"{dinkes}/retire", headers=ANY)
    assert refuse_merge(DINKES)["code"] == "agency_not_active"
    assert secretariat.get(dinsos).json()["state"] == "active"


def test_an_agency_in_use_is_not_deleted(
    secretariat: TestClient,
    connect: ConnectAs,
    dinsos: str,
    dinkes: str,
    database: OneTransaction,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(("operator", "63.02", DINKES))
    held = secretariat.delete(dinkes, headers=ANY)
    assert (held.status_code, held.json()["code"]) == (409, "agency_in_use")
    assert "masih dirujuk: peran (1)." in held.json()["detail"]
    assert "delete" not in secretariat.get(dinkes).json()["allowed"]
    lines = queries.Referrer(Text("baris rencana", "lines of plans"), lambda session, region, code: 3)
    with monkeypatch.context() as patch:
        patch.setattr(queries, "REFERRERS", [lines])
        assert "masih dirujuk: baris rencana (3)." in secretariat.delete(dinsos, headers=ANY).json()["detail"]
    gone = secretariat.delete(dinsos, headers={"If-Match": '"1"'})
    assert (gone.status_code, gone.content) == (204, b"")
    assert secretariat.get(dinsos).status_code == 404
    assert secretariat.delete(dinsos, headers=ANY).status_code == 404
    last = read_journal(database)[-1]
    assert (last.kind, last.version, last.changes["name"]) == ("agency.deleted", 2, ["Dinas Sosial", None])


# Look-ups


@pytest.fixture
def session(database: OneTransaction) -> Iterator[Session]:
    author = Author("test", datetime.now(UTC))
    with database.writing() as session:
        for code, name in (("A", "Dinas Sosial"), ("B", "DINAS  SOSIAL"), ("C", "Dinas Kesehatan")):
            content = AgencyIn(name=name, kind=AgencyKind.dinas)
            commands.put_agency(Write(session, author, CONSOLE), "63.02", code, content)
        commands.merge_agency(Write(session, author, CONSOLE), "63.02", "B", "A")
    with database.read_session() as session:
        yield session


def test_agencies_are_found_by_code_and_by_name(database: OneTransaction, session: Session) -> None:
    database.statements.clear()
    by_code = queries.find_agencies_by_code(session, "63.02", ["A", "B", "Z"])
    assert {code: (agency.state, agency.merged_into) for code, agency in by_code.items()} == {
        "A": ("active", None),
        "B": ("merged", "A"),
    }
    named = queries.find_agencies_by_name(session, "63.02", ["dinas sosial", "Dinas  Kesehatan", "Dinas"])
    assert {name: [agency.code for agency in agencies] for name, agencies in named.items()} == {
        "dinas sosial": ["A"],
        "Dinas  Kesehatan": ["C"],
    }
    assert len(database.statements) == 2
    assert queries.find_agencies_by_code(session, "63.03", ["A"]) == {}
    assert queries.read_agency_names(session, "63.02") == {
        "A": "Dinas Sosial",
        "B": "DINAS  SOSIAL",
        "C": "Dinas Kesehatan",
    }
