"""From what was counted to figures, grades and scores (domain, section 6). Pure.

A figure is rounded to two decimals, and graded as it is shown, so that whoever has the inputs gets the same grade.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from app.convergence.coverage.rules import Expected, percent, reach
from app.convergence.editions.step_templates.models import (
    GradesCounted,
    GradeThresholds,
    StepCriterion,
    StepEvidenceKind,
    Template,
    TemplateStep,
)
from app.convergence.editions.step_templates.rules import MEASURES, MeasureName, window_of
from app.convergence.steps.models import (
    AskedEvidence,
    EvidenceOut,
    Grade,
    GradedCriterion,
    NoFigure,
    PanelGrade,
    ProcessScore,
    StepScore,
    StepStanding,
    StepState,
)
from app.kit.periods import end_of

Inputs = Mapping[str, Any]
"""Name → what was counted; whole numbers of rupiah and families, and a rate."""

POINTS = {Grade.a: 4, Grade.b: 3, Grade.c: 2, Grade.d: 1, Grade.none: 0}


class Shown(NamedTuple):
    """Evidence of one kind: how many pieces, the date of the earliest."""

    pieces: int
    first_date: date


@dataclass(frozen=True)
class Facts:
    """What was counted of a region's year: what figures are computed from.

    `counts` by name; a name that is not there was not counted for want of data.
    """

    year: int
    zone: str
    today: date
    has_plan: bool = False
    adopted_on: date | None = None
    counts: Inputs = field(default_factory=dict)
    shown: Mapping[tuple[str, str], Shown] = field(default_factory=dict)
    """(step, kind) → evidence."""
    villages_shown: Mapping[str, int] = field(default_factory=dict)
    """Step → priority locations with evidence of each kind that is given per village."""
    meetings: Mapping[str, Inputs] = field(default_factory=dict)
    """Step → what was counted of the meetings in its window."""

    def count(self, name: str) -> Any:
        return self.counts.get(name) or 0

    def pick(self, *names: str) -> dict[str, Any]:
        """Return counts by name, 0 for what was not counted."""
        return {name: self.count(name) for name in names}


class Measured(NamedTuple):
    """A figure with what it was computed from; without one, why."""

    value: float | None
    inputs: Inputs
    no_figure: NoFigure | None = None
    measured_at: str | None = None
    """The quarter, survey or day that it is of, where there was one to choose."""


def _none(why: NoFigure, inputs: Inputs | None = None) -> Measured:
    return Measured(None, inputs or {}, why)


def _part(part: int, whole: int, why: NoFigure, inputs: Inputs) -> Measured:
    """part / whole × 100; without a whole no figure."""
    return Measured(percent(part, whole), inputs) if whole else _none(why, inputs)


# The measures

Measuring = Callable[[Facts, TemplateStep], Measured]


def _of_plan(measure: Measuring) -> Measuring:
    """The measure where there is a plan; without one no figure."""
    return lambda facts, step: measure(facts, step) if facts.has_plan else _none(NoFigure.no_plan)


def _evidence_given(facts: Facts, step: TemplateStep) -> Measured:
    """Required kinds of which there is evidence / all required kinds."""
    required = [kind.code for kind in step.evidence_kinds if kind.required]
    given = sum((step.code, code) in facts.shown for code in required)
    return Measured(percent(given, len(required)), {"required": len(required), "given": given})


def _loci(name: str, part: Callable[[Facts, TemplateStep], int]) -> Measuring:
    """Priority locations of which something holds / all of the plan."""

    def measure(facts: Facts, step: TemplateStep) -> Measured:
        loci, found = facts.count("priority_locations"), part(facts, step)
        inputs = {"priority_locations": loci, name: found}
        return _part(found, loci, NoFigure.no_priority_locations, inputs)

    return _of_plan(measure)


def _share(part: str, whole: str, why: NoFigure, *beside: str) -> Measuring:
    """One count of a plan / another; `beside` are shown with them."""

    def measure(facts: Facts, step: TemplateStep) -> Measured:
        inputs = facts.pick(whole, *beside, part)
        return _part(inputs[part], inputs[whole], why, inputs)

    return _of_plan(measure)


def _lines(name: str, *beside: str) -> Measuring:
    """Lines of which something holds / all lines of the plan; `beside` are shown with it."""
    return _share(name, "lines", NoFigure.no_lines, *beside)


def _data_age(facts: Facts, step: TemplateStep) -> Measured:
    """Mean of the quarters from the end of the source's period to the end of the plan year's first quarter, over
    the recipients of the lines that name a period."""
    inputs = facts.pick("recipients", "recipients_dated", "quarters_of_age")
    if not inputs["recipients_dated"]:
        return _none(NoFigure.no_recipient_data, inputs)
    return Measured(rounded(Fraction(inputs["quarters_of_age"], inputs["recipients_dated"])), inputs)


def _meetings_held(facts: Facts, step: TemplateStep) -> Measured:
    held = facts.meetings.get(step.code, {}).get("meetings_held") or 0
    return Measured(float(held), {"meetings_held": held})


def _agencies_attending(facts: Facts, step: TemplateStep) -> Measured:
    """Agencies that lead a line and attended a meeting / all that lead a line."""
    told: Inputs = facts.meetings.get(step.code, {})
    names = ("meetings_held", "leading_agencies", "agencies_attending")
    inputs = {name: told.get(name) or 0 for name in names}
    if not inputs["meetings_held"]:
        return _none(NoFigure.no_meetings, inputs)
    return _part(inputs["agencies_attending"], inputs["leading_agencies"], NoFigure.no_lines, inputs)


def _commitments_closed(facts: Facts, step: TemplateStep) -> Measured:
    """Commitments that are done / those that are done or whose last day is over; cancelled ones are left out."""
    told: Inputs = facts.meetings.get(step.code, {})
    inputs = {name: told.get(name) or 0 for name in ("commitments_due", "commitments_done")}
    return _part(inputs["commitments_done"], inputs["commitments_due"], NoFigure.no_commitments_due, inputs)


def _days_before_year(facts: Facts, step: TemplateStep) -> Measured:
    """Days from the instrument's date to 1 January of the plan year; negative after it."""
    start = date(facts.year, 1, 1)
    if facts.adopted_on is None:
        return _none(NoFigure.not_adopted_yet if facts.today < start else NoFigure.not_adopted)
    days = (start - facts.adopted_on).days
    return Measured(float(days), {}, measured_at=facts.adopted_on.isoformat())


def _open_overlaps(facts: Facts, step: TemplateStep) -> Measured:
    """Pairs of lines that overlap and that nobody explained, for each hundred lines that can be compared: those
    that say where, to whom and in which form."""
    inputs = facts.pick("lines_comparable", "overlaps", "overlaps_explained")
    open_ones = inputs["overlaps"] - inputs["overlaps_explained"]
    return _part(open_ones, inputs["lines_comparable"], NoFigure.no_comparable_lines, inputs)


def _service_coverage(facts: Facts, step: TemplateStep) -> Measured:
    """K of the latest quarter of the plan year that was reported (domain, section 7)."""
    period = facts.counts.get("coverage_period")
    if period is None:
        return _none(NoFigure.no_coverage)
    inputs = facts.pick("eligible", "served")
    found = _part(inputs["served"], inputs["eligible"], NoFigure.nobody_eligible, inputs)
    return found._replace(measured_at=period)


def _coverage_reach(facts: Facts, step: TemplateStep) -> Measured:
    """R of the same quarter."""
    period = facts.counts.get("coverage_period")
    if period is None:
        return _none(NoFigure.no_coverage)
    inputs = facts.pick("families_reporting", "families_expected", "villages_foreseen")
    found = reach(Expected(*inputs.values()))
    return Measured(found, inputs, None if found is not None else NoFigure.nobody_expected, period)


def _target_achievement(facts: Facts, step: TemplateStep) -> Measured:
    """Mean over the outputs with a target and a report of achieved / target, at most 1, as last reported."""
    inputs = facts.pick("outputs", "outputs_reported", "achieved_of_targets_percent")
    if not inputs["outputs_reported"]:
        return _none(NoFigure.no_reports, inputs)
    return Measured(round(inputs["achieved_of_targets_percent"] / inputs["outputs_reported"], 2), inputs)


def _absorption(facts: Facts, step: TemplateStep) -> Measured:
    """Spent, as last reported / allocation of all lines."""
    inputs = facts.pick("lines_reported", "spent", "allocation")
    if not inputs["lines_reported"]:
        return _none(NoFigure.no_reports, inputs)
    return _part(inputs["spent"], inputs["allocation"], NoFigure.no_lines, inputs)


def _poverty_change(facts: Facts, step: TemplateStep) -> Measured:
    """P0 of the plan year less that of the year before, by the same survey, in points."""
    survey = facts.counts.get("observed")
    if survey is None:
        return _none(NoFigure.no_observations)
    inputs = facts.pick("p0", "p0_before")
    return Measured(round(inputs["p0"] - inputs["p0_before"], 2), inputs, measured_at=survey)


FIGURES: Mapping[MeasureName, Measuring] = {
    MeasureName.evidence_given: _evidence_given,
    MeasureName.loci_with_evidence: _loci(
        "with_evidence", lambda facts, step: facts.villages_shown.get(step.code, 0)
    ),
    MeasureName.loci_with_fresh_data: _loci(
        "with_fresh_data", lambda facts, step: facts.count("loci_with_fresh_data")
    ),
    MeasureName.loci_by_all_strategies: _loci(
        "by_all_strategies", lambda facts, step: facts.count("loci_by_all_strategies")
    ),
    MeasureName.complete_lines: _lines(
        "complete",
        "with_code",
        "with_output",
        "with_target",
        "with_location",
        "with_deciles",
        "with_source",
    ),
    MeasureName.lines_with_usable_places: _lines("with_usable_place"),
    MeasureName.data_age: _of_plan(_data_age),
    MeasureName.meetings_held: _meetings_held,
    MeasureName.agencies_attending: _of_plan(_agencies_attending),
    MeasureName.commitments_closed: _commitments_closed,
    MeasureName.days_before_year: _of_plan(_days_before_year),
    # submitted in time / submitted, or the deadline is over
    MeasureName.quarters_on_time: _share("quarters_on_time", "quarters_due", NoFigure.no_quarter_due),
    MeasureName.open_overlaps: _of_plan(_open_overlaps),
    MeasureName.service_coverage: _service_coverage,
    MeasureName.coverage_reach: _coverage_reach,
    MeasureName.target_achievement: _of_plan(_target_achievement),
    MeasureName.absorption: _of_plan(_absorption),
    MeasureName.poverty_change: _poverty_change,
}


# Grades


def grade_of(measured: Measured, thresholds: GradeThresholds, *, less_is_better: bool) -> Grade | None:
    """The first grade whose threshold the figure reaches; None without a figure. A plan that is still not adopted
    in its own year has no figure, and no grade to hope for either."""
    if measured.no_figure is NoFigure.not_adopted:
        return Grade.none
    if measured.value is None:
        return None
    for grade, threshold in zip(POINTS, thresholds.model_dump().values(), strict=False):
        if measured.value <= threshold if less_is_better else measured.value >= threshold:
            return grade
    return Grade.none


def counted(machine: Grade | None, panel: Grade | None, counts: GradesCounted) -> Grade | None:
    """The grade that counts: the one that the template puts first, where there is none the other."""
    first, second = (panel, machine) if counts is GradesCounted.panel_first else (machine, panel)
    return first if first is not None else second


# Scores


def rounded(value: Fraction) -> float:
    """Two decimals, halves up."""
    return (value * 100 + Fraction(1, 2)).__floor__() / 100


def step_score(graded: Iterable[tuple[int, Grade | None]]) -> float | None:
    """Σ w·grade/4 × 100 / Σ w over the criteria (weight, grade) that have a grade; None where none has."""
    found = [(weight, POINTS[grade]) for weight, grade in graded if grade is not None]
    if not found:
        return None
    points = sum(weight * point for weight, point in found)
    return rounded(Fraction(points * 100, 4 * sum(weight for weight, _ in found)))


def process_score(scores: Iterable[tuple[int, float | None]]) -> float | None:
    """P: mean of the step scores (weight, score) by their weights, over the steps that have one; from 0 to 100."""
    found = [(weight, Fraction(round(score * 100), 100)) for weight, score in scores if score is not None]
    if not found:
        return None
    return rounded(sum((weight * score for weight, score in found), Fraction()) / sum(w for w, _ in found))


# Where a region stands


def state_of(opens_on: date, due_on: date, today: date, done_on: date | None) -> StepState:
    if done_on is not None:
        return StepState.done
    if today < opens_on:
        return StepState.not_open
    return StepState.late if today > due_on else StepState.open


def standings(
    template: Template,
    facts: Facts,
    panel: Mapping[str, PanelGrade],
    evidence: Mapping[str, Sequence[EvidenceOut]],
) -> list[StepStanding]:
    """Where a region stands on each step; `panel` by criterion, `evidence` by step."""
    return [
        _standing(number, step, template.grades_counted, facts, panel, evidence.get(step.code, ()))
        for number, step in enumerate(template.steps, 1)
    ]


def _standing(
    number: int,
    step: TemplateStep,
    counts: GradesCounted,
    facts: Facts,
    panel: Mapping[str, PanelGrade],
    evidence: Sequence[EvidenceOut],
) -> StepStanding:
    window = window_of(facts.year, step.opens_month, step.due_month)
    is_open = facts.today >= window.opens_on
    criteria = [_graded(one, step, counts, facts, panel, is_open=is_open) for one in step.criteria]
    first = [facts.shown.get((step.code, kind.code)) for kind in step.evidence_kinds if kind.required]
    done_on = None if None in first else max(one.first_date for one in first if one is not None)
    return StepStanding.model_construct(
        step=step.code,
        number=number,
        name=step.name,
        name_english=step.name_english,
        weight=step.weight,
        opens_on=window.opens_on,
        due_on=window.due_on,
        deadline=end_of(window.due_on, facts.zone),
        state=state_of(window.opens_on, window.due_on, facts.today, done_on),
        done_on=done_on,
        deadline_missed=facts.today > window.due_on and (done_on is None or done_on > window.due_on),
        criteria=criteria,
        evidence_kinds=[
            _asked(kind, facts.shown.get((step.code, kind.code))) for kind in step.evidence_kinds
        ],
        evidence=list(evidence),
        machine_score=step_score((one.weight, one.machine_grade) for one in criteria),
        panel_score=step_score((one.weight, one.panel.grade if one.panel else None) for one in criteria),
        score=step_score((one.weight, one.grade) for one in criteria),
    )


def _asked(kind: StepEvidenceKind, shown: Shown | None) -> AskedEvidence:
    count, first_date = shown or (0, None)
    return AskedEvidence.model_construct(**dict(kind), count=count, first_date=first_date)


def _graded(
    criterion: StepCriterion,
    step: TemplateStep,
    counts: GradesCounted,
    facts: Facts,
    panel: Mapping[str, PanelGrade],
    *,
    is_open: bool,
) -> GradedCriterion:
    name, machine = criterion.measure, None
    if not is_open:
        measured = _none(NoFigure.not_open)
    elif name is None:
        measured = _none(NoFigure.panel_only)
    else:
        measured = FIGURES[name](facts, step)
        less = MEASURES[name].less_is_better
        if criterion.thresholds is not None:
            machine = grade_of(measured, criterion.thresholds, less_is_better=less)
    given = panel.get(criterion.code) if is_open else None
    return GradedCriterion.model_construct(
        **dict(criterion),
        value=measured.value,
        unit=MEASURES[name].unit if name else None,
        inputs=dict(measured.inputs),
        measured_at=measured.measured_at,
        no_figure=measured.no_figure,
        machine_grade=machine,
        panel=given,
        grade=counted(machine, given.grade if given else None, counts),
    )


def scored(template: Template, found: Sequence[StepStanding]) -> ProcessScore:
    """P of those steps, each as it stands."""
    return ProcessScore.model_construct(
        template=template.edition,
        score=process_score((one.weight, one.score) for one in found),
        steps=[
            StepScore.model_construct(**{name: getattr(one, name) for name in StepScore.model_fields})
            for one in found
        ],
        missing=[
            criterion.code
            for one in found
            for criterion in one.criteria
            if criterion.grade is None and criterion.no_figure is not NoFigure.not_open
        ],
    )
