"""Contents of meetings and commitments, and the steps of a commitment as one table. Pure."""

from enum import StrEnum
from typing import Literal, NamedTuple, TypedDict

from app.access.rules import Actor

Verb = Literal["edit", "delete", "note", "start", "complete", "cancel", "reopen"]


class MeetingContent(TypedDict):
    """A meeting (`MeetingIn`) as JSON has it: the keys that commands read."""

    agencies_present: list[str]


class LinkContent(TypedDict):
    """A linked line (`LinkedAction`)."""

    plan: str
    action: str


class CommitmentContent(TypedDict):
    """A commitment (`CommitmentIn`) as JSON has it: the keys that commands read."""

    meeting: str | None
    responsible_agency: str
    supporting_agencies: list[str]
    linked_actions: list[LinkContent]


class CommitmentState(StrEnum):
    """`done` and `cancelled` are closed: kept as they are until somebody reopens them."""

    open = "open"
    in_progress = "in_progress"
    done = "done"
    cancelled = "cancelled"


PENDING = (CommitmentState.open, CommitmentState.in_progress)
"""States in which a commitment is still to be kept, and can be overdue."""

_CLOSED = (CommitmentState.done, CommitmentState.cancelled)


class Step(NamedTuple):
    """From which states a verb leads where, and the right it takes; None: the state stays, or it goes."""

    verb: Verb
    from_states: frozenset[CommitmentState]
    to_state: CommitmentState | None
    right: Literal["write_meetings", "follow_up"]
    kind: str = ""
    """Of the journal's entry, where the step is one of the follow-up."""


STEPS: dict[Verb, Step] = {
    step.verb: step
    for step in (
        Step("edit", frozenset(PENDING), None, "write_meetings"),
        Step("delete", frozenset(PENDING), None, "write_meetings"),
        Step("note", frozenset(CommitmentState), None, "follow_up", "commitment.noted"),
        Step(
            "start",
            frozenset({CommitmentState.open}),
            CommitmentState.in_progress,
            "follow_up",
            "commitment.started",
        ),
        Step("complete", frozenset(PENDING), CommitmentState.done, "follow_up", "commitment.completed"),
        Step(
            "cancel", frozenset(PENDING), CommitmentState.cancelled, "write_meetings", "commitment.cancelled"
        ),
        Step("reopen", frozenset(_CLOSED), CommitmentState.open, "write_meetings", "commitment.reopened"),
    )
}
"""What was signed together is not taken back by one agency alone: to cancel and to reopen is the secretariat's."""


def allowed(actor: Actor, region: str, agency: str, state: CommitmentState) -> list[Verb]:
    """What the actor may do with a commitment of that region, responsible agency and state."""
    return [
        step.verb
        for step in STEPS.values()
        if state in step.from_states and actor.may(step.right, region, agency)
    ]


def meetings_chain(region: str) -> str:
    """Chain of the journal in which the meetings and commitments of a region are written.

    Not the region's own: what shows agencies hangs on that one, and need not be read again for a note. A merger
    holds the region's chain, then those of its plans, then this one; nobody takes them the other way round.
    """
    return f"meetings:{region}"
