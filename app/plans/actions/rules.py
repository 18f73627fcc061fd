"""Rules of actions. Pure."""

from dataclasses import dataclass

from app.plans.actions.models import ActionIn

Gone = dict[str, set[tuple[int, str]]]
"""Items of parts, by the part's name: (action id, item's key)."""


def absorption_percent(spent: int, allocation: int) -> float | None:
    """Spent of the allocation, two decimals, as the database rounds it; None where nothing is allocated."""
    return round(spent * 100 / allocation, 2) if allocation else None


@dataclass(frozen=True)
class Draft:
    """An action as the client wants it, with its place in the request."""

    code: str
    content: ActionIn
    pointer: str = ""
