"""Contents of meetings and commitments, and the transitions of a commitment as one table. Pure."""

from enum import StrEnum
from typing import Literal, NamedTuple, TypedDict

from app.access.rules import Actor

Verb = Literal["edit", "delete", "note", "start", "complete", "cancel", "reopen"]


class MeetingContent(TypedDict):
    """JSON of a meeting (`MeetingIn`): the keys that commands read."""

    agencies_present: list[str]


class LinkContent(TypedDict):
    """JSON of a linked line (`LinkedAction`)."""

    plan: str
    action: str


class CommitmentContent(TypedDict):
    """JSON of a commitment (`CommitmentIn`): the keys that commands read."""

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
"""States of a commitment that is not closed and can be overdue."""

_CLOSED = (CommitmentState.done, CommitmentState.cancelled)


class Step(NamedTuple):
    """A transition: verb, states before and after, right. `to_state` None keeps the state or deletes the row."""

    verb: Verb
    from_states: frozenset[CommitmentState]
    to_state: CommitmentState | None
    right: Literal["write_meetings", "follow_up"]
    kind: str = ""
    """Kind of the journal entry of a step of the follow-up."""


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
"""Only the secretariat cancels and reopens: one agency alone cannot revoke a joint commitment."""


def allowed(actor: Actor, region: str, agency: str, state: CommitmentState) -> list[Verb]:
    """Return the verbs that the actor may use on a commitment of a region, responsible agency and state."""
    return [
        step.verb
        for step in STEPS.values()
        if state in step.from_states and actor.may(step.right, region, agency)
    ]


def meetings_chain(region: str) -> str:
    """Return the journal's chain for the meetings and commitments of a region.

    It is not the region's chain: that one invalidates all replies with agencies, and a note must not. Lock order: the
    region's chain, those of its plans, this one, as a merger of agencies does.
    """
    return f"meetings:{region}"
