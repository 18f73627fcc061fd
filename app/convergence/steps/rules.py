"""Rules from counts to figures, grades and scores (domain, section 6). Pure.

A figure has two decimals, and its grade depends on these, so a client with the inputs computes an equal grade.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from app.convergence.coverage.rules import ReachInput, compute_percent, compute_reach
from app.convergence.editions.step_templates.models import (
    GradesCounted,
    GradeThresholds,
    StepCriterion,
    StepEvidenceKind,
    Template,
    TemplateStep,
)
from app.convergence.editions.step_templates.rules import MEASURES, MeasureName, compute_window
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
from app.kit.periods import get_end_of_day

Inputs = Mapping[str, Any]
"""Counts by name: whole numbers of rupiah and families, and a rate."""

POINTS = {Grade.a: 4, Grade.b: 3, Grade.c: 2, Grade.d: 1, Grade.none: 0}


class EvidenceCount(NamedTuple):
    """Evidence of one kind: number of pieces, date of the earliest."""

    pieces: int
    first_date: date


class VillageEvidence(NamedTuple):
    """Number of priority locations with evidence, the day on which the last of these had its first."""

    loci: int
    last_date: date


ALL_KINDS = ""
"""In place of a kind: all kinds that a step asks for per village."""


@dataclass(frozen=True)
class StepFacts:
    """The counts of a region's year, the source of all figures. `counts` lacks the names that have no data."""

    year: int
    zone: str
    today: date
    has_plan: bool = False
    adopted_on: date | None = None
    counts: Inputs = field(default_factory=dict)
    shown: Mapping[tuple[str, str], EvidenceCount] = field(default_factory=dict)
    """Evidence by step and kind."""
    villages_shown: Mapping[tuple[str, str], VillageEvidence] = field(default_factory=dict)
    """Evidence of priority locations by step and kind, also `ALL_KINDS`."""
    meetings: Mapping[str, Inputs] = field(default_factory=dict)
    """Counts of the meetings in a step's window, by step."""

    def count(self, name: str) -> Any:
        return self.counts.get(name) or 0

    def count_loci_shown(self, step: str, kind: str) -> int:
        """Return the number of priority locations with evidence of a kind."""
        villages = self.villages_shown.get((step, kind))
        return villages.loci if villages else 0

    def find_done_on(self, step: str, kind: StepEvidenceKind) -> date | None:
        """Return the day on which the evidence of a kind was complete: that of the first piece, for a kind per village
        of the last priority location's first. Returns None before it, and without priority locations."""
        if not kind.per_village:
            shown = self.shown.get((step, kind.code))
            return shown.first_date if shown else None
        villages = self.villages_shown.get((step, kind.code))
        if villages is None or villages.loci < self.count("priority_locations"):
            return None
        return villages.last_date

    def pick(self, *names: str) -> dict[str, Any]:
        """Return counts by name, 0 for a missing one."""
        return {name: self.count(name) for name in names}


class MeasuredFigure(NamedTuple):
    """A figure with its inputs, or the reason for its absence."""

    value: float | None
    inputs: Inputs
    no_figure: NoFigure | None = None
    measured_at: str | None = None
    """The quarter, survey or day of the figure, if there was a choice."""


def _omit(why: NoFigure, inputs: Inputs | None = None) -> MeasuredFigure:
    return MeasuredFigure(None, inputs or {}, why)


def _divide(part: int, whole: int, why: NoFigure, inputs: Inputs) -> MeasuredFigure:
    """Return part / whole × 100; without a whole, the reason."""
    return MeasuredFigure(compute_percent(part, whole), inputs) if whole else _omit(why, inputs)


# The measures

MeasureFunction = Callable[[StepFacts, TemplateStep], MeasuredFigure]


def _require_plan(measure: MeasureFunction) -> MeasureFunction:
    """Make a measure give no figure without a plan."""
    return lambda facts, step: measure(facts, step) if facts.has_plan else _omit(NoFigure.no_plan)


def _measure_evidence(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    """Measure required kinds with evidence / all required kinds."""
    required = [kind.code for kind in step.evidence_kinds if kind.required]
    given = sum((step.code, code) in facts.shown for code in required)
    return MeasuredFigure(compute_percent(given, len(required)), {"required": len(required), "given": given})


def _make_loci(name: str, part: Callable[[StepFacts, TemplateStep], int]) -> MeasureFunction:
    """Build the measure: priority locations that fulfil a condition / all of the plan."""

    def measure(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
        total, count = facts.count("priority_locations"), part(facts, step)
        inputs = {"priority_locations": total, name: count}
        return _divide(count, total, NoFigure.no_priority_locations, inputs)

    return _require_plan(measure)


def _make_share(part: str, whole: str, why: NoFigure, *others: str) -> MeasureFunction:
    """Build the measure: one count of a plan / another. `others`: further counts among the inputs."""

    def measure(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
        inputs = facts.pick(whole, *others, part)
        return _divide(inputs[part], inputs[whole], why, inputs)

    return _require_plan(measure)


def _make_lines(name: str, *others: str) -> MeasureFunction:
    """Build the measure: lines that fulfil a condition / all lines of the plan."""
    return _make_share(name, "lines", NoFigure.no_lines, *others)


def _measure_data_age(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    """Measure the mean age of recipient data with a period: quarters from the end of the source's period to the end of
    the plan year's first quarter."""
    inputs = facts.pick("recipients", "recipients_dated", "quarters_of_age")
    if not inputs["recipients_dated"]:
        return _omit(NoFigure.no_recipient_data, inputs)
    return MeasuredFigure(
        round_score(Fraction(inputs["quarters_of_age"], inputs["recipients_dated"])), inputs
    )


def _count_meetings(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    count = facts.meetings.get(step.code, {}).get("meetings_held") or 0
    return MeasuredFigure(float(count), {"meetings_held": count})


def _measure_attendance(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    """Measure lead agencies that attended a meeting / all lead agencies."""
    counts: Inputs = facts.meetings.get(step.code, {})
    names = ("meetings_held", "leading_agencies", "agencies_attending")
    inputs = {name: counts.get(name) or 0 for name in names}
    if not inputs["meetings_held"]:
        return _omit(NoFigure.no_meetings, inputs)
    return _divide(inputs["agencies_attending"], inputs["leading_agencies"], NoFigure.no_lines, inputs)


def _measure_commitments(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    """Measure done commitments / done or overdue commitments, without cancelled ones."""
    counts: Inputs = facts.meetings.get(step.code, {})
    inputs = {name: counts.get(name) or 0 for name in ("commitments_due", "commitments_done")}
    return _divide(inputs["commitments_done"], inputs["commitments_due"], NoFigure.no_commitments_due, inputs)


def _count_days_before_year(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    """Count the days from the instrument's date to 1 January of the plan year; negative after it."""
    start = date(facts.year, 1, 1)
    if facts.adopted_on is None:
        return _omit(NoFigure.not_adopted_yet if facts.today < start else NoFigure.not_adopted)
    days = (start - facts.adopted_on).days
    return MeasuredFigure(float(days), {}, measured_at=facts.adopted_on.isoformat())


def _measure_overlaps(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    """Measure the unexplained overlaps per hundred comparable lines: lines with location, recipients and form."""
    inputs = facts.pick("lines_comparable", "overlaps", "overlaps_explained")
    open_ones = inputs["overlaps"] - inputs["overlaps_explained"]
    return _divide(open_ones, inputs["lines_comparable"], NoFigure.no_comparable_lines, inputs)


def _measure_coverage(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    """Measure K of the latest quarter of the plan year with coverage reports (domain, section 7)."""
    period = facts.counts.get("coverage_period")
    if period is None:
        return _omit(NoFigure.no_coverage)
    inputs = facts.pick("eligible", "served")
    measured = _divide(inputs["served"], inputs["eligible"], NoFigure.nobody_eligible, inputs)
    return measured._replace(measured_at=period)


def _measure_reach(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    """Measure R of the latest quarter of the plan year with coverage reports (domain, section 7)."""
    period = facts.counts.get("coverage_period")
    if period is None:
        return _omit(NoFigure.no_coverage)
    inputs = facts.pick("families_reporting", "families_expected", "villages_foreseen")
    share = compute_reach(ReachInput(*inputs.values()))
    return MeasuredFigure(share, inputs, None if share is not None else NoFigure.nobody_expected, period)


def _measure_achievement(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    """Measure the mean of achieved / target, at most 1, in the latest report of each output with a target."""
    inputs = facts.pick("outputs", "outputs_reported", "achieved_of_targets_percent")
    if not inputs["outputs_reported"]:
        return _omit(NoFigure.no_reports, inputs)
    return MeasuredFigure(
        round(inputs["achieved_of_targets_percent"] / inputs["outputs_reported"], 2), inputs
    )


def _measure_absorption(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    """Measure spending in the latest reports / allocation of all lines."""
    inputs = facts.pick("lines_reported", "spent", "allocation")
    if not inputs["lines_reported"]:
        return _omit(NoFigure.no_reports, inputs)
    return _divide(inputs["spent"], inputs["allocation"], NoFigure.no_lines, inputs)


def _measure_poverty_change(facts: StepFacts, step: TemplateStep) -> MeasuredFigure:
    """Measure P0 of the plan year less P0 of the year before, by the same survey, in points."""
    survey = facts.counts.get("observed")
    if survey is None:
        return _omit(NoFigure.no_observations)
    inputs = facts.pick("p0", "p0_before")
    return MeasuredFigure(round(inputs["p0"] - inputs["p0_before"], 2), inputs, measured_at=survey)


FIGURES: Mapping[MeasureName, MeasureFunction] = {
    MeasureName.evidence_given: _measure_evidence,
    MeasureName.loci_with_evidence: _make_loci(
        "with_evidence", lambda facts, step: facts.count_loci_shown(step.code, ALL_KINDS)
    ),
    MeasureName.loci_with_fresh_data: _make_loci(
        "with_fresh_data", lambda facts, step: facts.count("loci_with_fresh_data")
    ),
    MeasureName.loci_by_all_strategies: _make_loci(
        "by_all_strategies", lambda facts, step: facts.count("loci_by_all_strategies")
    ),
    MeasureName.complete_lines: _make_lines(
        "complete",
        "with_code",
        "with_output",
        "with_target",
        "with_location",
        "with_deciles",
        "with_source",
    ),
    MeasureName.lines_with_usable_places: _make_lines("with_usable_place"),
    MeasureName.data_age: _require_plan(_measure_data_age),
    MeasureName.meetings_held: _count_meetings,
    MeasureName.agencies_attending: _require_plan(_measure_attendance),
    MeasureName.commitments_closed: _measure_commitments,
    MeasureName.days_before_year: _require_plan(_count_days_before_year),
    # quarters submitted in time / quarters submitted or past the deadline
    MeasureName.quarters_on_time: _make_share("quarters_on_time", "quarters_due", NoFigure.no_quarter_due),
    MeasureName.open_overlaps: _require_plan(_measure_overlaps),
    MeasureName.service_coverage: _measure_coverage,
    MeasureName.coverage_reach: _measure_reach,
    MeasureName.target_achievement: _require_plan(_measure_achievement),
    MeasureName.absorption: _require_plan(_measure_absorption),
    MeasureName.poverty_change: _measure_poverty_change,
}


# Grades


def grade_figure(
    measured: MeasuredFigure, thresholds: GradeThresholds, *, less_is_better: bool
) -> Grade | None:
    """Return the first grade whose threshold the figure reaches. Returns None without a figure, except that a plan
    without adoption in its own year gets the grade `none`."""
    if measured.no_figure is NoFigure.not_adopted:
        return Grade.none
    if measured.value is None:
        return None
    for grade, threshold in zip(POINTS, thresholds.model_dump().values(), strict=False):
        if measured.value <= threshold if less_is_better else measured.value >= threshold:
            return grade
    return Grade.none


def choose_grade(machine: Grade | None, panel: Grade | None, counts: GradesCounted) -> Grade | None:
    """Return the grade that counts: by the template's order, the other one if the first is missing."""
    first, second = (panel, machine) if counts is GradesCounted.panel_first else (machine, panel)
    return first if first is not None else second


# Scores


def round_score(value: Fraction) -> float:
    """Round to two decimals, halves up."""
    return (value * 100 + Fraction(1, 2)).__floor__() / 100


def compute_step_score(graded: Iterable[tuple[int, Grade | None]]) -> float | None:
    """Return Σ w·grade/4 × 100 / Σ w over the criteria (weight, grade) with a grade. Returns None if none has one."""
    pairs = [(weight, POINTS[grade]) for weight, grade in graded if grade is not None]
    if not pairs:
        return None
    points = sum(weight * point for weight, point in pairs)
    return round_score(Fraction(points * 100, 4 * sum(weight for weight, _ in pairs)))


def compute_process_score(scores: Iterable[tuple[int, float | None]]) -> float | None:
    """Return P, 0 to 100: the weighted mean of the step scores (weight, score). Returns None if no step has a score."""
    pairs = [(weight, Fraction(round(score * 100), 100)) for weight, score in scores if score is not None]
    if not pairs:
        return None
    return round_score(
        sum((weight * score for weight, score in pairs), Fraction()) / sum(w for w, _ in pairs)
    )


# Steps


def derive_state(opens_on: date, due_on: date, today: date, done_on: date | None) -> StepState:
    if done_on is not None:
        return StepState.done
    if today < opens_on:
        return StepState.not_open
    return StepState.late if today > due_on else StepState.open


def describe_steps(
    template: Template,
    facts: StepFacts,
    panel: Mapping[str, PanelGrade],
    evidence: Mapping[str, Sequence[EvidenceOut]],
) -> list[StepStanding]:
    """Return a region's state on each step; `panel` by criterion, `evidence` by step."""
    return [
        _describe_step(number, step, template.grades_counted, facts, panel, evidence.get(step.code, ()))
        for number, step in enumerate(template.steps, 1)
    ]


def _describe_step(
    number: int,
    step: TemplateStep,
    counts: GradesCounted,
    facts: StepFacts,
    panel: Mapping[str, PanelGrade],
    evidence: Sequence[EvidenceOut],
) -> StepStanding:
    window = compute_window(facts.year, step.opens_month, step.due_month)
    is_open = facts.today >= window.opens_on
    criteria = [_grade_criterion(item, step, counts, facts, panel, is_open=is_open) for item in step.criteria]
    days = [facts.find_done_on(step.code, kind) for kind in step.evidence_kinds if kind.required]
    done_on = None if None in days else max(day for day in days if day is not None)
    return StepStanding.model_construct(
        step=step.code,
        number=number,
        name=step.name,
        name_english=step.name_english,
        weight=step.weight,
        opens_on=window.opens_on,
        due_on=window.due_on,
        deadline=get_end_of_day(window.due_on, facts.zone),
        state=derive_state(window.opens_on, window.due_on, facts.today, done_on),
        done_on=done_on,
        deadline_missed=facts.today > window.due_on and (done_on is None or done_on > window.due_on),
        criteria=criteria,
        evidence_kinds=[_describe_evidence(kind, step.code, facts) for kind in step.evidence_kinds],
        evidence=list(evidence),
        machine_score=compute_step_score((item.weight, item.machine_grade) for item in criteria),
        panel_score=compute_step_score(
            (item.weight, item.panel.grade if item.panel else None) for item in criteria
        ),
        score=compute_step_score((item.weight, item.grade) for item in criteria),
    )


def _describe_evidence(kind: StepEvidenceKind, step: str, facts: StepFacts) -> AskedEvidence:
    count, first_date = facts.shown.get((step, kind.code)) or (0, None)
    return AskedEvidence.model_construct(
        **dict(kind),
        count=count,
        first_date=first_date,
        loci=facts.count("priority_locations") if kind.per_village else None,
        loci_with_evidence=facts.count_loci_shown(step, kind.code) if kind.per_village else None,
    )


def _grade_criterion(
    criterion: StepCriterion,
    step: TemplateStep,
    counts: GradesCounted,
    facts: StepFacts,
    panel: Mapping[str, PanelGrade],
    *,
    is_open: bool,
) -> GradedCriterion:
    name, machine = criterion.measure, None
    if not is_open:
        measured = _omit(NoFigure.not_open)
    elif name is None:
        measured = _omit(NoFigure.panel_only)
    else:
        measured = FIGURES[name](facts, step)
        less = MEASURES[name].less_is_better
        if criterion.thresholds is not None:
            machine = grade_figure(measured, criterion.thresholds, less_is_better=less)
    panel_grade = panel.get(criterion.code) if is_open else None
    return GradedCriterion.model_construct(
        **dict(criterion),
        value=measured.value,
        unit=MEASURES[name].unit if name else None,
        inputs=dict(measured.inputs),
        measured_at=measured.measured_at,
        no_figure=measured.no_figure,
        machine_grade=machine,
        panel=panel_grade,
        grade=choose_grade(machine, panel_grade.grade if panel_grade else None, counts),
    )


def score_process(template: Template, steps: Sequence[StepStanding]) -> ProcessScore:
    """Return P of a region's steps, with the scores of the steps and the criteria without a grade."""
    return ProcessScore.model_construct(
        template=template.edition,
        score=compute_process_score((step.weight, step.score) for step in steps),
        steps=[
            StepScore.model_construct(**{name: getattr(step, name) for name in StepScore.model_fields})
            for step in steps
        ],
        missing=[
            criterion.code
            for step in steps
            for criterion in step.criteria
            if criterion.grade is None and criterion.no_figure is not NoFigure.not_open
        ],
    )
