"""Rules of moves: one table of transitions, their conditions, and the states that take writes. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from app.access.rules import Actor
from app.kit.problems import FieldError, Kind, Problem
from app.kit.wording import Text, declare_words
from app.plans.core.models import PlanState
from app.plans.core.rules import is_editable

# Refusals


class TransitionRefused(Problem):
    status = 409
    code = "transition_refused"
    title = Text("Tidak dapat pada status ini", "Not possible in this state")
    detail = Text(
        "Rencana {plan} berstatus {state}. Rencana hanya dapat {verb:passive} bila berstatus {from_states:or}. Yang "
        "dapat Anda lakukan: {allowed:right}.",
        "Plan {plan} is {state}. It can be {verb:passive} only if it is {from_states:or}. What you can do: "
        "{allowed:right}.",
    )


class AlreadyMoved(Problem):
    status = 409
    code = "already_moved"
    title = Text("Sudah dilakukan dengan isi lain", "Done already with other content")
    detail = Text(
        "Rencana sudah {verb:passive} oleh “{actor}” dengan isi lain. Isi permintaan ini tidak disimpan.",
        "“{actor}” has {verb:passive} the plan already, with other content. This request was not stored.",
    )


class ConditionFailed(Problem):
    status = 422
    code = "condition_failed"
    title = Text("Syarat belum terpenuhi", "A condition is not met")
    detail = Text(
        "Rencana belum dapat {verb:passive}; rinciannya di bawah. Tidak ada yang berubah.",
        "The plan cannot be {verb:passive} yet; details below. Nothing has changed.",
    )


# Conditions


@dataclass(frozen=True)
class PlanStatus:
    """A plan's status for the conditions of a move; `today` in the region's time zone."""

    plan: str
    state: PlanState
    revision: int | None
    year: int
    action_count: int
    is_kept: bool
    """True if a submitted quarter keeps its lines, so that the plan must stay."""
    takes_reports: bool
    today: date
    errors: Sequence[FieldError] = ()
    """Findings that block the move; empty if the caller did not check."""


Condition = Callable[[PlanStatus], Iterable[FieldError]]

empty_plan = Kind("empty_plan", id="rencana belum memuat satu baris pun", en="the plan has no line yet")
year_not_over = Kind(
    "year_not_over",
    id="tahun {value} belum berakhir di wilayah rencana; rencana dapat ditutup mulai {allowed}",
    en="the year {value} is not over in the plan's region; the plan can be closed from {allowed}",
)


def check_lines(plan: PlanStatus) -> Iterable[FieldError]:
    if plan.action_count == 0:
        yield FieldError(empty_plan, pointer="/actions")


def check_errors(plan: PlanStatus) -> Iterable[FieldError]:
    yield from plan.errors


def check_year_over(plan: PlanStatus) -> Iterable[FieldError]:
    if plan.today.year <= plan.year:
        yield FieldError(
            year_not_over, parameter="plan", value=plan.year, allowed=date(plan.year + 1, 1, 1).isoformat()
        )


# The table


class Transition(NamedTuple):
    """A verb from some states to another. The right to it has the verb's name."""

    verb: str
    from_states: tuple[PlanState, ...]
    to_state: PlanState
    kind: str
    """Kind of the journal entry."""
    conditions: tuple[Condition, ...] = ()


_S = PlanState

TRANSITIONS = (
    Transition(
        "submit", (_S.draft, _S.returned), _S.submitted, "plan.submitted", (check_lines, check_errors)
    ),
    # From endorsed too: until the adoption, the province can return a plan with an error.
    Transition("return", (_S.submitted, _S.endorsed), _S.returned, "plan.returned"),
    Transition("endorse", (_S.submitted,), _S.endorsed, "plan.endorsed"),
    Transition("adopt", (_S.endorsed,), _S.adopted, "plan.adopted"),
    Transition("amend", (_S.adopted,), _S.draft, "plan.amended"),
    Transition("close", (_S.adopted,), _S.closed, "plan.closed", (check_year_over,)),
)
BY_VERB = {transition.verb: transition for transition in TRANSITIONS}

declare_words(
    {
        "submit": Text("diajukan", "submitted"),
        "return": Text("dikembalikan", "returned"),
        "endorse": Text("disetujui", "endorsed"),
        "adopt": Text("ditetapkan", "adopted"),
        "amend": Text("dibuka perubahannya", "amended"),
        "close": Text("ditutup", "closed"),
    },
    form="passive",
)
declare_words({"edit": Text("mengubah", "edit"), "delete": Text("menghapus", "delete")})
declare_words({"": Text("tidak ada", "nothing")}, form="right")


def is_done(transition: Transition, plan: PlanStatus) -> bool:
    """Return whether this verb moved the plan to its state; a first draft is no amended plan."""
    return plan.state == transition.to_state and (transition.verb != "amend" or plan.revision is not None)


def find_failures(transition: Transition, plan: PlanStatus) -> list[FieldError]:
    """Return the errors of all conditions that the plan does not meet."""
    return [error for condition in transition.conditions for error in condition(plan)]


# Next steps of a caller

WRITES: dict[str, tuple[str, Callable[[PlanStatus], bool]]] = {
    "edit": ("write_plan", lambda plan: is_editable(plan.state, plan.revision)),
    "delete": (
        "write_plan",
        lambda plan: is_editable(plan.state, plan.revision) and plan.action_count == 0 and not plan.is_kept,
    ),
    "write_actions": ("write_actions", lambda plan: is_editable(plan.state, plan.revision)),
    "report_progress": ("report_progress", lambda plan: plan.takes_reports),
    "import_matrix": ("import_matrix", lambda plan: is_editable(plan.state, plan.revision)),
}
"""Write to a plan, transitions aside → (the right that it needs, predicate: the plan takes it now)."""

VERBS = [*WRITES, *BY_VERB]


def list_allowed_verbs(actor: Actor, region: str, plan: PlanStatus) -> list[str]:
    """Return the verbs that the actor may use on the plan now. Findings can still block `submit`."""
    writes = [verb for verb, (right, takes) in WRITES.items() if takes(plan) and actor.may(right, region)]
    moves = [
        transition.verb
        for transition in TRANSITIONS
        if plan.state in transition.from_states
        and actor.may(transition.verb, region)
        and not find_failures(transition, plan)
    ]
    return writes + moves


# The instrument

instrument_date_out_of_range = Kind(
    "instrument_date_out_of_range",
    id="tanggal “{value}” di luar batas; isi tanggal dari {first} sampai hari ini ({last}) di wilayah rencana",
    en="the date “{value}” is out of range; give one from {first} to today ({last}) in the plan's region",
)


def check_instrument_date(signed: date, plan: PlanStatus, previous: str | None) -> Iterable[FieldError]:
    """Yield an error if the date is after today, before the last instrument, or over two years before the plan's."""
    first = max(date(plan.year - 2, 1, 1).isoformat(), previous or "")
    if not first <= signed.isoformat() <= plan.today.isoformat():
        span = {"first": first, "last": plan.today.isoformat()}
        yield FieldError(
            instrument_date_out_of_range, pointer="/date", value=signed.isoformat(), allowed=span, values=span
        )
