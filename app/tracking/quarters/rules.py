"""Transitions of a quarter and of its parts, as two tables; and the agencies that cannot report now. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from app.access.rules import Actor, name_reviewer
from app.kit.periods import get_end_of_day, get_local_date
from app.kit.problems import FieldError, Kind, Problem
from app.kit.wording import Text, declare_words
from app.reference.models import Timezone
from app.tracking.progress.models import ReportableLine
from app.tracking.quarters.models import PartState, PartVerb, QuarterState, QuarterVerb

REPORTING = frozenset({QuarterState.open, QuarterState.correcting})
"""States in which agencies can write progress of the quarter."""


class QuarterClosed(Problem):
    status = 409
    code = "quarter_closed"
    title = Text("Triwulan tertutup", "The quarter is closed")
    detail = Text(
        "Laporan triwulan {period} wilayah {region} sekarang tidak dapat diubah; rinciannya di bawah.",
        "The reports of quarter {period} of region {region} cannot be changed now; details below.",
    )


class QuarterStateProblem(Problem):
    status = 409
    code = "quarter_state"
    title = Text("Tidak dapat dilakukan dalam status ini", "Not possible in this state")
    detail = Text(
        "{noun:subject} {period} wilayah {region} berstatus {state} dan sekarang tidak dapat {verb:passive}. "
        "Yang dapat Anda lakukan: {allowed:possible}.",
        "{noun:subject} {period} of region {region} is {state} and cannot be {verb:passive} now. "
        "What you can do: {allowed:possible}.",
    )


class QuarterNotReady(Problem):
    status = 409
    code = "quarter_not_ready"
    title = Text("Belum siap", "Not ready")
    detail = Text(
        "{noun:subject} {period} wilayah {region} belum dapat {verb:passive}; rinciannya di bawah.",
        "{noun:subject} {period} of region {region} cannot be {verb:passive} yet; details below.",
    )


not_yet_open = Kind(
    "quarter_not_yet_open",
    id="Triwulan {value} baru dibuka pada {opens_on}.",
    en="Quarter {value} opens on {opens_on}.",
)
being_verified = Kind(
    "quarter_being_verified",
    id="Triwulan {value} sudah diajukan. Minta {reviewer} mengembalikannya.",
    en="Quarter {value} is submitted already. Ask {reviewer} to return it.",
)
already_frozen = Kind(
    "quarter_frozen",
    id="Triwulan {value} sudah dibekukan. Minta sekretariat TKPK membuka koreksi.",
    en="Quarter {value} is frozen. Ask the TKPK secretariat to open a correction.",
)
past_closing = Kind(
    "quarter_past_closing",
    id="Triwulan {value} ditutup pada {closes_on}. Minta perpanjangan waktu.",
    en="Quarter {value} closed on {closes_on}. Ask for an extension.",
)
part_submitted = Kind(
    "part_submitted",
    id="Perangkat daerah {agency} sudah mengajukan bagiannya. Minta sekretariat TKPK mengembalikannya.",
    en="Agency {agency} has submitted its part already. Ask the TKPK secretariat to return it.",
)
nothing_to_submit = Kind(
    "nothing_to_submit",
    id="Tidak ada baris rencana untuk dilaporkan.",
    en="The plan has no line to report on.",
)
line_not_reported = Kind(
    "line_not_reported",
    id="Baris {value} belum dilaporkan. Laporkan baris itu, atau ajukan tanpa laporan itu dengan alasan.",
    en="Line {value} has no report. Report it, or submit without the report and give a reason.",
)
report_outside = Kind(
    "report_outside",
    id="Baris {value} dilaporkan, padahal tidak berlaku menurut revisi rencana triwulan ini. Hapus laporannya.",
    en="Line {value} has a report that the quarter's revision of the plan does not expect. Delete the report first.",
)
location_not_covered = Kind(
    "location_not_covered",
    id="Lokasi prioritas {value} belum memiliki cakupan triwulan ini. Isi cakupannya, atau ajukan tanpa cakupan "
    "itu dengan alasan.",
    en="Priority location {value} has no coverage of this quarter. Enter it, or submit without it and give a reason.",
)
coverage_of_regencies = Kind(
    "coverage_of_regencies",
    id="hanya untuk kabupaten dan kota; provinsi tidak mengisi cakupan",
    en="is only for regencies and cities; a province has no coverage of its own",
)
line_has_error = Kind(
    "line_has_error",
    id="Laporan baris {value} memuat kesalahan pada {part:report}: {finding:finding}. Perbaiki lebih dahulu.",
    en="The report of line {value} has an error in {part:report}: {finding:finding}. Correct it first.",
)

declare_words(
    {
        "quarter": Text("Triwulan", "Quarter"),
        "quarter_part": Text("Bagian perangkat daerah untuk triwulan", "The agency's part of quarter"),
    },
    form="subject",
)


class Extension(NamedTuple):
    """More time until the end of a day, for one agency or, with None, for the whole region."""

    agency: str | None
    until: date


@dataclass(frozen=True)
class QuarterStatus:
    """A region's quarter at an instant: state, days, extensions and submitted parts."""

    region: str
    period: str
    state: QuarterState
    zone: Timezone
    opens_on: date
    due_on: date
    closes_on: date | None
    today: date
    version: int = 0
    amendment: int | None = None
    copy_id: int | None = None
    """Copy of the plan that the figures compare with; None: the plan's present lines."""
    keeps_copy: bool = False
    """True from the submission on, in a correction too: no later adoption and no merge of agencies changes it."""
    revision: int | None = None
    """Number of the revision that keeps the copy."""
    extensions: Sequence[Extension] = ()
    submitted_parts: frozenset[str] = frozenset()

    @property
    def is_corrected(self) -> bool:
        return self.state == QuarterState.correcting

    def choose_part(self, line: ReportableLine) -> str:
        """Return the agency whose part of the quarter has a line."""
        return line.named_agency if self.keeps_copy else line.lead_agency

    def extend(self, day: date, agency: str | None) -> date:
        """Return the later of a day and the last day of the extensions of the region and of the agency."""
        return max([day, *(e.until for e in self.extensions if e.agency in (None, agency))])

    def deadline(self, agency: str | None = None) -> datetime:
        """Return the last second at which a report is in time."""
        return get_end_of_day(self.extend(self.due_on, agency), self.zone)

    def late_by_days(self, at: datetime, agency: str | None = None) -> int:
        """Return whole days from the due day, with extensions, to `at` in the region's zone; 0: in time."""
        return max(0, (get_local_date(at, self.zone) - self.extend(self.due_on, agency)).days)

    def is_past_closing(self, agency: str | None = None) -> bool:
        """Return True after the closing day and its extensions. A correction ignores the calendar."""
        if self.is_corrected or self.closes_on is None:
            return False
        return self.today > self.extend(self.closes_on, agency)

    def find_submission(self) -> FieldError | None:
        """Return why the figures of a submitted quarter cannot change now. Returns None if they can."""
        kinds = {
            QuarterState.submitted: being_verified,
            QuarterState.verified: being_verified,
            QuarterState.frozen: already_frozen,
        }
        kind = kinds.get(self.state)
        values = {"reviewer": name_reviewer(self.region)}
        return FieldError(kind, parameter="period", value=self.period, values=values) if kind else None

    def find_closing_reason(self, agency: str | None, *, compiles: bool) -> FieldError | None:
        """Return why the lines of an agency accept no progress now. Returns None if they do.

        With `compiles` (the secretariat), submitted parts accept progress too.
        """
        if submission := self.find_submission():
            return submission
        kind = not_yet_open if self.state == QuarterState.not_yet_open else None
        if kind is None and self.is_past_closing(agency):
            kind = past_closing
        if kind is None and agency in self.submitted_parts and not compiles:
            kind = part_submitted
        if kind is None:
            return None
        values = {"opens_on": self.opens_on, "closes_on": self.closes_on, "agency": agency}
        return FieldError(kind, parameter="period", value=self.period, values=values)


class ClosedAgencies(NamedTuple):
    """Agencies that cannot report a quarter, with the reasons."""

    status: QuarterStatus
    by_agency: dict[str, FieldError]

    def problem(self) -> QuarterClosed:
        """Return the problem with each reason once."""
        status = self.status
        # A quarter that is closed for all agencies has one reason for all of them.
        errors = {error.kind.code: error for error in self.by_agency.values()}
        if status.state not in REPORTING and not errors:
            reason = status.find_closing_reason(None, compiles=True)
            errors = {"": reason} if reason else {}
        return QuarterClosed(period=status.period, region=status.region, errors=errors.values())


def find_closed_agencies(status: QuarterStatus, agencies: Iterable[str], actor: Actor) -> ClosedAgencies:
    """Return the agencies for which the actor cannot report now, with the reasons."""
    compiles = actor.may("return_part", status.region)
    errors = {agency: status.find_closing_reason(agency, compiles=compiles) for agency in set(agencies)}
    return ClosedAgencies(
        status, {agency: error for agency, error in sorted(errors.items()) if error is not None}
    )


@dataclass(frozen=True)
class QuarterFacts:
    """Facts that the conditions of a step read."""

    status: QuarterStatus
    agency: str | None = None
    merged_into: str | None = None
    """Agency that took over the lines of `agency` and acts for it."""
    lines: int = 0
    reported: Sequence[str] = ()
    missing: Sequence[str] = ()
    errors: Sequence[tuple[str, str, str]] = ()
    """(line, finding, part of the report) of errors in reports."""
    outside: Sequence[str] = ()
    """Lines with a report of the quarter that it does not have."""
    accept_missing: bool = False
    uncovered: Sequence[str] = ()
    """Priority locations without coverage of the quarter."""
    accept_without_coverage: bool = False

    @property
    def names(self) -> dict[str, Any]:
        """Names of the quarter or of the agency's part, for the sentences of problems."""
        noun = "quarter_part" if self.agency else "quarter"
        return {"noun": noun, "region": self.status.region, "period": self.status.period}


Condition = Callable[[QuarterFacts], list[FieldError]]


def check_reporting(facts: QuarterFacts) -> list[FieldError]:
    """Require that the calendar has opened the quarter and the region has not submitted it."""
    if facts.status.state in REPORTING:
        return []
    error = facts.status.find_closing_reason(None, compiles=True)
    return [error] if error else []


def check_not_closed(facts: QuarterFacts) -> list[FieldError]:
    """Require that the calendar has not closed the quarter, or that an extension runs."""
    status = facts.status
    if not status.is_past_closing(facts.agency):
        return []
    values = {"closes_on": status.closes_on}
    return [FieldError(past_closing, parameter="period", value=status.period, values=values)]


def check_lines(facts: QuarterFacts) -> list[FieldError]:
    """Require a line to report on."""
    value = " ".join(filter(None, (facts.status.region, facts.status.period, facts.agency)))
    return [] if facts.lines else [FieldError(nothing_to_submit, pointer="", value=value)]


def check_complete(facts: QuarterFacts) -> list[FieldError]:
    """Require a report on every line, or a reason to accept the missing ones."""
    if facts.accept_missing:
        return []
    return [FieldError(line_not_reported, pointer="/accept_missing", value=line) for line in facts.missing]


def check_reports(facts: QuarterFacts) -> list[FieldError]:
    """Require reports without errors, on lines of the quarter alone."""
    errors = [
        FieldError(line_has_error, pointer="", value=line, values={"finding": finding, "part": part})
        for line, finding, part in facts.errors
    ]
    return errors + [FieldError(report_outside, pointer="", value=line) for line in facts.outside]


def check_coverage(facts: QuarterFacts) -> list[FieldError]:
    """Require the coverage of every priority location, or a reason to submit without it; a correction needs neither."""
    if facts.accept_without_coverage or facts.status.is_corrected:
        return []
    at = "/accept_without_coverage"
    return [FieldError(location_not_covered, pointer=at, value=village) for village in facts.uncovered]


State = TypeVar("State", QuarterState, PartState)
Verb = TypeVar("Verb", QuarterVerb, PartVerb)


@dataclass(frozen=True)
class QuarterStep(Generic[State, Verb]):
    """A transition: verb, states before and after, right, conditions."""

    verb: Verb
    from_states: frozenset[State]
    to_state: State
    right: str
    conditions: tuple[Condition, ...] = field(default=())
    """Conditions on calendar and states; `allowed` checks them too."""
    content: tuple[Condition, ...] = field(default=())
    """Conditions on the reports; only the step itself checks them."""


_open, _submitted = QuarterState.open, QuarterState.submitted
_verified, _frozen, _correcting = QuarterState.verified, QuarterState.frozen, QuarterState.correcting
_CONTENT: tuple[Condition, ...] = (check_complete, check_reports)

QUARTER_STEPS: tuple[QuarterStep[QuarterState, QuarterVerb], ...] = (
    QuarterStep(
        "submit",
        frozenset({_open, _correcting}),
        _submitted,
        "submit_quarter",
        (check_not_closed, check_lines),
        (*_CONTENT, check_coverage),
    ),
    QuarterStep("return", frozenset({_submitted, _verified}), _open, "verify_quarter"),
    QuarterStep("verify", frozenset({_submitted}), _verified, "verify_quarter"),
    QuarterStep("freeze", frozenset({_verified}), _frozen, "verify_quarter"),
    QuarterStep("correct", frozenset({_frozen}), _correcting, "correct_quarter"),
)

PART_STEPS: tuple[QuarterStep[PartState, PartVerb], ...] = (
    QuarterStep(
        "submit",
        frozenset({PartState.open}),
        PartState.submitted,
        "submit_part",
        (check_reporting, check_not_closed, check_lines),
        _CONTENT,
    ),
    QuarterStep(
        "return", frozenset({PartState.submitted}), PartState.open, "return_part", (check_reporting,)
    ),
)


def find_next_state(step: QuarterStep[QuarterState, QuarterVerb], amendment: int | None) -> QuarterState:
    """Return the state after a step; a quarter with a snapshot returns to `correcting`, not to `open`."""
    return _correcting if step.to_state == _open and amendment is not None else step.to_state


def list_possible_verbs(
    steps: Sequence[QuarterStep[State, Verb]], state: State, facts: QuarterFacts, actor: Actor
) -> list[Verb]:
    """Return the verbs that the actor may use now. The content of the reports does not count."""
    return [
        step.verb
        for step in steps
        if state in step.from_states
        and actor.may(step.right, facts.status.region, facts.merged_into or facts.agency)
        and not any(condition(facts) for condition in step.conditions)
    ]


def find_step(
    steps: Sequence[QuarterStep[State, Verb]], verb: Verb, state: State, facts: QuarterFacts, actor: Actor
) -> QuarterStep[State, Verb]:
    """Return the step of a verb.

    Raises QuarterStateProblem if it does not begin in this state, QuarterNotReady if a condition fails.
    """
    step = next(step for step in steps if step.verb == verb)
    if state not in step.from_states:
        allowed = list_possible_verbs(steps, state, facts, actor) or ""
        raise QuarterStateProblem(**facts.names, state=state, verb=verb, allowed=allowed)
    check_conditions(step, step.conditions, facts)
    return step


def check_conditions(
    step: QuarterStep[State, Verb], conditions: Sequence[Condition], facts: QuarterFacts
) -> None:
    """Raise QuarterNotReady with the errors of all conditions."""
    errors = [error for condition in conditions for error in condition(facts)]
    if errors:
        raise QuarterNotReady(**facts.names, verb=step.verb, errors=errors)
