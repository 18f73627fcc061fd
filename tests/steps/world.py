"""Calls that send evidence and grades, and that read steps at stated instants."""

from datetime import UTC, datetime
from typing import Any

from fastapi.testclient import TestClient

from app.access.models import Role, TokenScope
from app.access.rules import Actor, Grant
from app.convergence.steps.queries import compute_process_scores, read_region_steps
from app.kit.database.engine import Database

AT = "/v1/regions/63.02/steps/2026"
ANY = {"If-Match": "*"}
OVER = datetime(2027, 4, 1, 5, tzinfo=UTC)
"""An instant after all steps of 2026."""
REVIEWER = Actor("panel", "panel", frozenset(TokenScope), (Grant(Role.reviewer, "63", None),))
READER = Actor("reader", "reader", frozenset(TokenScope), (Grant(Role.reader, "63", None),))
DECREE: dict[str, Any] = {
    "kind": "team_decree",
    "title": "Keputusan Bupati tentang TKPK",
    "date": "2025-02-03",
    "document_number": "188.45/71/KUM/2025",
}


def show(client: TestClient, kind: str, step: str, key: str | None = None, **changes: Any) -> Any:
    """Send a document as evidence of a step and return the reply's body."""
    body = {**DECREE, "kind": kind, **changes}
    reply = client.put(f"{AT}/{step}/evidence/{key or kind}", json=body)
    assert reply.status_code == 201, reply.text
    return reply.json()


def grade(panel: TestClient, step: str, criterion: str, letter: str) -> Any:
    """Create or overwrite the panel's grade and return the reply's body."""
    path = f"{AT}/{step}/criteria/{criterion}/grade"
    headers = ANY if panel.get(path).status_code == 200 else {}
    reply = panel.put(path, json={"grade": letter, "reason": "Menurut panel"}, headers=headers)
    assert reply.status_code in (200, 201), reply.text
    return reply.json()


def read_steps(
    database: Database,
    instant: datetime = OVER,
    actor: Actor = REVIEWER,
    region: str = "63.02",
    year: int = 2026,
) -> dict[str, Any]:
    """Return the steps of a region by code at an instant."""
    with database.read_session() as session:
        result = read_region_steps(session, actor, region, year, instant).model_dump(mode="json")
    return {step["step"]: step for step in result["steps"]}


def compute_score(
    database: Database, instant: datetime = OVER, actor: Actor = REVIEWER, region: str = "63.02"
) -> Any:
    with database.read_session() as session:
        return compute_process_scores(session, actor, [region], 2026, instant)[region]


def find_criterion(steps: dict[str, Any], code: str) -> dict[str, Any]:
    (result,) = [item for step in steps.values() for item in step["criteria"] if item["code"] == code]
    return result


def get_figure_and_grade(steps: dict[str, Any], code: str) -> tuple[Any, str | None]:
    """Return the figure of a criterion, or why there is none, and the machine's grade."""
    item = find_criterion(steps, code)
    return (item["value"] if item["no_figure"] is None else item["no_figure"]), item["machine_grade"]
