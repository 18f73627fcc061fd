"""One write: in which transaction, by whom, with which rights, under which condition."""

from dataclasses import dataclass, replace

from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.journal import Author
from app.kit.http.precondition import UNCONDITIONAL, Precondition


@dataclass(frozen=True, slots=True)
class Write:
    """What every command that writes takes first."""

    session: Session
    author: Author
    """As the journal names the actor, with the instant and the request."""
    actor: Actor
    """Whose rights decide."""
    precondition: Precondition = UNCONDITIONAL

    def unconditional(self) -> "Write":
        """Return the same write without its condition: for what follows from a write that was checked."""
        return replace(self, precondition=UNCONDITIONAL)
