"""Rules of actions: what becomes of a draft. Pure."""

from dataclasses import dataclass
from typing import Any, Literal

from app.kit.problems import FieldError
from app.plans.actions.models import ActionIn


@dataclass(frozen=True)
class Draft:
    """An action as somebody wants it, and where in the request it stands."""

    code: str
    content: ActionIn
    pointer: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one draft."""

    code: str
    status: Literal["created", "updated", "unchanged", "refused"]
    version: int | None = None
    content: dict[str, Any] | None = None
    """As it is stored, unless refused."""
    errors: tuple[FieldError, ...] = ()
