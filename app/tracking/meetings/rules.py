"""Contents of meetings and commitments, and the transitions of a commitment as one table. Pure."""

from enum import StrEnum
from typing import Literal, NamedTuple, TypedDict

from app.access.rules import Actor
from app.kit.wording import Text, declare_words

CommitmentVerb = Literal["edit", "delete", "note", "start", "complete", "cancel", "reopen"]


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
    """States of a commitment. Only `reopen` leads out of `done` and `cancelled`."""

    open = "open"
    in_progress = "in_progress"
    done = "done"
    cancelled = "cancelled"


declare_words(
    {
        CommitmentState.open: Text("terbuka", "open"),
        CommitmentState.in_progress: Text("berjalan", "in progress"),
        CommitmentState.done: Text("selesai", "done"),
        CommitmentState.cancelled: Text("dibatalkan", "cancelled"),
    }
)
declare_words(
    {
        "edit": Text("mengubah", "edit"),
        "delete": Text("menghapus", "delete"),
        "note": Text("menambah catatan", "add a note"),
        "start": Text("memulai", "start"),
        "complete": Text("menyelesaikan", "complete"),
        "cancel": Text("membatalkan", "cancel"),
        "reopen": Text("membuka kembali", "reopen"),
    }
)
declare_words(
    {
        "edit": Text("diubah", "edited"),
        "delete": Text("dihapus", "deleted"),
        "note": Text("diberi catatan", "noted"),
        "start": Text("dimulai", "started"),
        "complete": Text("diselesaikan", "completed"),
        "cancel": Text("dibatalkan", "cancelled"),
        "reopen": Text("dibuka kembali", "reopened"),
    },
    form="passive",
)
declare_words({"": Text("tidak ada", "nothing")}, form="possible")

PENDING = (CommitmentState.open, CommitmentState.in_progress)
"""States of a commitment that is not closed and can be overdue."""

_CLOSED = (CommitmentState.done, CommitmentState.cancelled)


class CommitmentStep(NamedTuple):
    """Transition: verb, states before and after, right. `to_state` None keeps the state or deletes the row."""

    verb: CommitmentVerb
    from_states: frozenset[CommitmentState]
    to_state: CommitmentState | None
    right: Literal["write_meetings", "follow_up"]
    kind: str = ""
    """Kind of the journal entry of a step of the follow-up."""


COMMITMENT_STEPS: dict[CommitmentVerb, CommitmentStep] = {
    step.verb: step
    for step in (
        CommitmentStep("edit", frozenset(PENDING), None, "write_meetings"),
        CommitmentStep("delete", frozenset(PENDING), None, "write_meetings"),
        CommitmentStep("note", frozenset(CommitmentState), None, "follow_up", "commitment.noted"),
        CommitmentStep(
            "start",
            frozenset({CommitmentState.open}),
            CommitmentState.in_progress,
            "follow_up",
            "commitment.started",
        ),
        CommitmentStep(
            "complete", frozenset(PENDING), CommitmentState.done, "follow_up", "commitment.completed"
        ),
        CommitmentStep(
            "cancel", frozenset(PENDING), CommitmentState.cancelled, "write_meetings", "commitment.cancelled"
        ),
        CommitmentStep(
            "reopen", frozenset(_CLOSED), CommitmentState.open, "write_meetings", "commitment.reopened"
        ),
    )
}
"""Only the secretariat cancels and reopens: one agency alone cannot revoke a joint commitment."""


def list_allowed_verbs(
    actor: Actor, region: str, agency: str, state: CommitmentState
) -> list[CommitmentVerb]:
    """Return the verbs that the actor may use on a commitment of a region, responsible agency and state."""
    return [
        step.verb
        for step in COMMITMENT_STEPS.values()
        if state in step.from_states and actor.may(step.right, region, agency)
    ]


def meetings_chain(region: str) -> str:
    """Return the journal's chain for the meetings and commitments of a region.

    A write to the region's own chain would invalidate all replies with agencies, and a note must not. Lock order: the
    region's chain, those of its plans, this one, as in a merger of agencies.
    """
    return f"meetings:{region}"
