"""Agencies, a plan and actions for the tests of plans and progress, and calls that send them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import httpx2 as httpx
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.access.commands import Write
from app.access.rules import CONSOLE
from app.agencies.commands import put_agency
from app.agencies.models import AgencyIn, AgencyKind, AgencyRow, AgencyState
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import Author
from app.kit.fields import fold_name
from app.plans.copies.commands import copy_plan
from app.plans.core.queries import find_plan

PLAN = "63.02-2026"
AT = f"/v1/plans/{PLAN}"
ANY = {"If-Match": "*"}
SOCIAL = "1.06.0.00.0.00.08.0000"
HEALTH = "1.02.0.00.0.00.02.0000"
WORKS = "1.03.0.00.0.00.03.0000"
PARTNER = "BAZNAS"
AGENCIES = {
    SOCIAL: "Dinas Sosial",
    HEALTH: "Dinas Kesehatan",
    WORKS: "Dinas Pekerjaan Umum",
    PARTNER: "Baznas",
}

ACTION: dict[str, Any] = {
    "title": "Permakanan lanjut usia",
    "strategy": "reduce_spending_burden",
    "lead_agency": SOCIAL,
    "subactivity": "Penyediaan Permakanan",
    "allocation": 250_000_000,
    "components": [
        {"code": "C1", "component_class": "direct", "description": "Paket", "amount": 240_000_000},
        {"code": "C2", "component_class": "supporting", "description": "Verifikasi", "amount": 10_000_000},
    ],
    "budget_lines": [{"funding_source": "APBD", "amount": 250_000_000, "stage": "apbd"}],
    "outputs": [
        {
            "code": "O1",
            "indicator": "Lansia terlayani",
            "unit": "Orang",
            "target": 40,
            "quarterly_targets": [10, 20, 30, 40],
        },
    ],
    "recipients": [{"code": "R1", "kind": "persons", "count": 40, "decile_from": 1, "decile_to": 2}],
    "locations": [{"region_code": "63.02.01.2001"}],
    "milestones": [
        {"code": "M1", "title": "Penetapan", "due": "2026-03-31", "weight": 30},
        {"code": "M2", "title": "Penyaluran", "due": "2026-12-15", "weight": 70},
    ],
}
"""An action with all its parts and one finding: it has no subactivity code (E02)."""

LEAN: dict[str, Any] = {
    "title": "Baris",
    "strategy": "raise_income",
    "lead_agency": HEALTH,
    "subactivity": "Sub kegiatan",
    "allocation": 100,
    "budget_lines": [{"funding_source": "APBD", "amount": 100}],
}
"""A minimal action."""


def furnish(database: Database, region: str = "63.02") -> None:
    """Insert the agencies that a region lacks, bypassing the journal."""
    table = get_table(AgencyRow)
    rows = [
        {
            "region_code": region,
            "code": code,
            "name": name,
            "folded": fold_name(name),
            "kind": AgencyKind.baznas if code == PARTNER else AgencyKind.dinas,
            "state": AgencyState.active,
            "version": 1,
        }
        for code, name in AGENCIES.items()
    ]
    with database.writing() as session:
        present = set(session.scalars(sa.select(table.c.code).where(table.c.region_code == region)))
        if missing := [row for row in rows if row["code"] not in present]:
            session.connection().execute(sa.insert(table), missing)


def furnish_by_command(database: Database, region: str = "63.02") -> None:
    """Write the agencies of a region through their command, which also fills the journal."""
    author = Author("test", datetime.now(UTC))
    with database.writing() as session:
        for code, name in AGENCIES.items():
            kind = AgencyKind.baznas if code == PARTNER else AgencyKind.dinas
            put_agency(Write(session, author, CONSOLE), region, code, AgencyIn(name=name, kind=kind))


def put_plan(client: TestClient, plan: str = PLAN, **changes: Any) -> None:
    reply = client.put(f"/v1/plans/{plan}", json={"title": "RAT Kotabaru", **changes})
    assert reply.status_code == 201, reply.text


def keep_copy(database: Database, *, plan: str = PLAN, number: int, instrument_date: date) -> None:
    """Keep the present lines as those of a revision; the plan stays a draft that tests can change."""
    with database.writing() as session:
        copy_plan(session, find_plan(session, CONSOLE, plan), number=number, instrument_date=instrument_date)


def put(
    client: TestClient, code: str, *, plan: str = PLAN, base: dict[str, Any] = ACTION, **changes: Any
) -> Any:
    """Create or overwrite an action and return the reply's body."""
    address, content = f"/v1/plans/{plan}/actions/{code}", {**base, **changes}
    reply = client.put(address, json=content)
    if reply.status_code == 428:  # the action exists already
        reply = client.put(address, json=content, headers=ANY)
    assert reply.status_code in (200, 201), reply.text
    return reply.json()


def put_many(client: TestClient, items: Sequence[dict[str, Any]], *, plan: str = PLAN) -> Any:
    reply = client.put(f"/v1/plans/{plan}/actions", json={"items": list(items)}, headers=ANY)
    assert reply.status_code == 200, reply.text
    return reply.json()


def report(
    client: TestClient, code: str, quarter: int, *, plan: str = PLAN, basis: str = "", **content: Any
) -> Any:
    """Send a report, overwriting the quarter's earlier one, and return the reply's body."""
    path = f"/v1/plans/{plan}/actions/{code}/progress/{plan[-4:]}-Q{quarter}"
    path += f"?basis={basis}" if basis else ""
    reply = client.put(path, json=content)
    if reply.status_code == 428:
        reply = client.put(path, json=content, headers=ANY)
    assert reply.status_code in (200, 201), reply.text
    return reply.json()


def walk(client: TestClient, path: str) -> Iterator[dict[str, Any]]:
    """Yield the items of a list, page by page."""
    url: str | None = path
    while url is not None:
        reply = client.get(url)
        assert reply.status_code == 200, reply.text
        yield from reply.json()["items"]
        url = reply.links.get("next", {}).get("url")


def refused(reply: httpx.Response, status: int = 422) -> list[tuple[str, str]]:
    """Return (pointer, code) of the errors in a refusal with this status."""
    assert reply.status_code == status, reply.text
    return [(error["pointer"], error["code"]) for error in reply.json()["errors"]]


def read_rows(database: Database, statement: sa.Select[Any]) -> list[Any]:
    with database.read_session() as session:
        return list(session.execute(statement).all())
