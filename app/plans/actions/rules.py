"""Rules of actions. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.plans.actions.models import ActionIn
from app.reference.rules import folded

Gone = dict[str, set[tuple[int, str]]]
"""Items of parts, by the part's name: (action id, item's key)."""


def absorption_percent(spent: int, allocation: int) -> float | None:
    """Spent of the allocation, two decimals, as the database rounds it; None where nothing is allocated."""
    return round(spent * 100 / allocation, 2) if allocation else None


def action_subject(plan: str, code: str) -> str:
    """Return the address below /v1/ of a plan's line."""
    return f"plans/{plan}/actions/{code}"


def search_text(action: Mapping[str, Any]) -> str:
    """What a search for words looks through: title and names, folded."""
    return folded(
        " ".join(filter(None, (action[n] for n in ("title", "subactivity", "activity", "program"))))
    )


def renamed(action: dict[str, object], patch: dict[str, object]) -> dict[str, object]:
    """An action that is about to be patched: the names are those of the old code, a new one brings its own."""
    if patch.get("subactivity_code") in (None, action["subactivity_code"]):
        return action
    return action | dict.fromkeys(("subactivity", "activity", "program"))


@dataclass(frozen=True)
class Draft:
    """An action as the client wants it, with its place in the request."""

    code: str
    content: ActionIn
    pointer: str = ""
