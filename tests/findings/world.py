"""Lines without findings, and changes of them."""

from typing import Any

from fastapi.testclient import TestClient

from app.plans.actions.models import ActionIn
from app.plans.actions.rules import ActionContent
from app.plans.findings.rules import LineFacts
from tests.plans.world import ACTION, AT, HEALTH, SOCIAL

CODE = "1.06.04.2.01.0001"
FACTS = LineFacts("63.02", 2026)
VILLAGE, NEXT_VILLAGE, DISTRICT = "63.02.01.2001", "63.02.01.2002", "63.02.01"

CLEAN: dict[str, Any] = {
    **ACTION,
    "subactivity_code": CODE,
    "nomenclature_edition": "2027",
    "benefit_forms": ["goods"],
    "recipients": [{"code": "R1", "kind": "families", "count": 40, "decile_from": 1, "decile_to": 2}],
}
OTHER: dict[str, Any] = {**CLEAN, "title": "Makanan tambahan", "lead_agency": HEALTH}
"""A line that overlaps with the clean one."""
assert CLEAN["lead_agency"] == SOCIAL


def make_line(base: dict[str, Any] = CLEAN, **change: Any) -> ActionContent:
    """Return a line in the form that the rules take."""
    return ActionIn.model_validate({**base, **change}).model_dump(mode="json")


def make_recipients(**change: Any) -> dict[str, Any]:
    return {"recipients": [{**CLEAN["recipients"][0], **change}]}


def make_locations(*places: str, **counts: int) -> dict[str, Any]:
    return {"locations": [{"region_code": place, **counts} for place in places]}


def get_findings(client: TestClient, language: str = "id", **params: Any) -> Any:
    """Get the plan's findings."""
    reply = client.get(f"{AT}/findings", params=params, headers={"Accept-Language": language})
    assert reply.status_code == 200, reply.text
    return reply.json()


def list_codes(client: TestClient, **params: Any) -> list[tuple[str, str | None]]:
    """Return (code, line) of the plan's findings."""
    return [(item["code"], item.get("action")) for item in get_findings(client, **params)["items"]]
