"""What the tests of steps share: evidence and grades sent, and steps looked at on stated days."""

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
"""Every step of 2026 is over."""
REVIEWER = Actor("panel", "panel", frozenset(TokenScope), (Grant(Role.reviewer, "63", None),))
READER = Actor("reader", "reader", frozenset(TokenScope), (Grant(Role.reader, "63", None),))
DECREE: dict[str, Any] = {
    "kind": "team_decree",
    "title": "Keputusan Bupati tentang TKPK",
    "date": "2025-02-03",
    "document_number": "188.45/71/KUM/2025",
}


def show(client: TestClient, kind: str, step: str, key: str | None = None, **changes: Any) -> Any:
    """A document shown for a step, as the reply has it."""
    body = {**DECREE, "kind": kind, **changes}
    done = client.put(f"{AT}/{step}/evidence/{key or kind}", json=body)
    assert done.status_code == 201, done.text
    return done.json()


def grade(panel: TestClient, step: str, criterion: str, letter: str) -> Any:
    """The panel's grade, created or overwritten, as the reply shows it."""
    at = f"{AT}/{step}/criteria/{criterion}/grade"
    headers = ANY if panel.get(at).status_code == 200 else {}
    done = panel.put(at, json={"grade": letter, "reason": "Menurut panel"}, headers=headers)
    assert done.status_code in (200, 201), done.text
    return done.json()


def look(
    database: Database, at: datetime = OVER, actor: Actor = REVIEWER, region: str = "63.02", year: int = 2026
) -> dict[str, Any]:
    """The steps of a region by code, as they are at an instant."""
    with database.read_session() as session:
        found = read_region_steps(session, actor, region, year, at).model_dump(mode="json")
    return {step["step"]: step for step in found["steps"]}


def score(database: Database, at: datetime = OVER, actor: Actor = REVIEWER, region: str = "63.02") -> Any:
    with database.read_session() as session:
        return compute_process_scores(session, actor, [region], 2026, at)[region]


def criterion(steps: dict[str, Any], code: str) -> dict[str, Any]:
    (found,) = [one for step in steps.values() for one in step["criteria"] if one["code"] == code]
    return found


def told(steps: dict[str, Any], code: str) -> tuple[Any, str | None]:
    """(figure, the machine's grade) of a criterion; without a figure why."""
    one = criterion(steps, code)
    return (one["value"] if one["no_figure"] is None else one["no_figure"]), one["machine_grade"]
