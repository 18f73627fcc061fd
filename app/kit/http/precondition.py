"""The conditions that a write bears, as a value: `If-Match` and `If-None-Match` (RFC 9110, section 13).

`If-Match` of one resource compares its version alone, of a list the state of its journal chains: the part of their
tags before the dash. The fields are read when they are checked, after rights: a malformed one reveals nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

from sqlmodel import Session
from starlette.requests import Request

from app.kit.database.journal import Versioned, stamp
from app.kit.http.etags import STATE, check_condition, check_list_condition
from app.kit.problems import NotFound

Existing = TypeVar("Existing", bound=Versioned)


@dataclass(frozen=True, slots=True)
class Precondition:
    """What the client says of the state that its write is meant for."""

    match: str | None
    """`If-Match` as sent."""
    none_match: str | None
    """`If-None-Match` as sent."""
    is_of_list: bool = False
    """Whether the tag is that of a list, so a write of many."""
    is_required: bool = True
    """Whether a write to something that exists is refused without one (428)."""

    @classmethod
    def of(cls, request: Request, *, is_of_list: bool = False) -> "Precondition":
        """Return the precondition of a request."""
        headers = request.headers
        return cls(headers.get("if-match"), headers.get("if-none-match"), is_of_list)

    def check(self, version: int | None) -> None:
        """Hold a write of one resource to the version in force; None: it does not exist.

        Raises PreconditionFailed (412) if that is another, PreconditionRequired (428) if it exists and no condition
        was sent, BadRequest if a field is malformed.
        """
        if self.is_required:
            check_condition(self.match, self.none_match, version)

    def check_existing(self, stored: Existing | None) -> Existing:
        """Return what the write changes. Raises NotFound if there is nothing, and as `check` does."""
        if stored is None:
            raise NotFound()
        self.check(stored.version)
        return stored

    def check_many(self, session: Session, versions: Collection[int], *chains: str) -> None:
        """Hold a write of many to the state of the chains, given the versions of those that exist.

        A write of one resource by the same way is held to its version. Raises as `check` does.
        """
        if not self.is_of_list:
            self.check(next(iter(versions), None))
        elif self.is_required:
            self.check_state(stamp(session, *chains), exists=bool(versions))

    def check_state(self, state: str, *, exists: bool) -> None:
        """Hold a write of many to the state of a list; raises as `check` does."""
        if self.is_required:
            check_list_condition(self.match, self.none_match, state[:STATE], exists=exists)


UNCONDITIONAL = Precondition(None, None, is_required=False)
"""Of a write that no request bears, and of one that was checked already."""
