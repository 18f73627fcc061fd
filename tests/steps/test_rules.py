"""Grades at their thresholds, scores, windows, and states by day."""

from collections.abc import Mapping
from datetime import date, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.convergence.editions.step_templates.models import GradesCounted, GradeThresholds, TemplateStep
from app.convergence.editions.step_templates.rules import MEASURES, MeasureName, compute_window
from app.convergence.steps.models import Grade, NoFigure, StepState
from app.convergence.steps.rules import (
    FIGURES,
    POINTS,
    MeasuredFigure,
    StepFacts,
    choose_grade,
    compute_process_score,
    compute_step_score,
    derive_state,
    grade_figure,
)

GRADES = list(Grade)
PERCENT = GradeThresholds(a=90, b=75, c=50, d=25)
AGE = GradeThresholds(a=2, b=4, c=6, d=8)
STEP = TemplateStep.model_validate(
    {
        "code": "s",
        "name": "S",
        "name_english": "S",
        "opens_month": 0,
        "due_month": 0,
        "evidence_kinds": [{"code": "k", "name": "K", "name_english": "K", "per_village": True}],
        "criteria": [{"code": "c", "name": "C", "name_english": "C"}],
    }
)


@pytest.mark.parametrize(
    ("value", "grade"),
    [(100, "A"), (90, "A"), (89.99, "B"), (75, "B"), (74.99, "C"), (50, "C"), (25, "D"), (24.99, "none")],
)
def test_grades_of_figures_where_more_is_better(value: float, grade: str) -> None:
    assert grade_figure(MeasuredFigure(value, {}), PERCENT, less_is_better=False) == grade


@pytest.mark.parametrize(
    ("value", "grade"), [(0, "A"), (2, "A"), (2.01, "B"), (4, "B"), (6, "C"), (8, "D"), (8.01, "none")]
)
def test_grades_of_figures_where_less_is_better(value: float, grade: str) -> None:
    assert grade_figure(MeasuredFigure(value, {}), AGE, less_is_better=True) == grade


def test_a_missing_figure_has_no_grade_except_for_a_plan_without_adoption() -> None:
    def grade_missing_figure(why: NoFigure) -> Grade | None:
        return grade_figure(MeasuredFigure(None, {}, why), PERCENT, less_is_better=False)

    assert grade_missing_figure(NoFigure.no_plan) is None
    assert grade_missing_figure(NoFigure.not_adopted_yet) is None
    assert grade_missing_figure(NoFigure.not_adopted) is Grade.none


def test_the_preference_decides_between_machine_and_panel() -> None:
    for preference, expected, machine_alone, panel_alone in (
        (GradesCounted.panel_first, Grade.d, Grade.a, Grade.d),
        (GradesCounted.machine_first, Grade.a, Grade.a, Grade.d),
    ):
        assert choose_grade(Grade.a, Grade.d, preference) is expected
        assert choose_grade(Grade.a, None, preference) is machine_alone
        assert choose_grade(None, Grade.d, preference) is panel_alone
    assert choose_grade(None, Grade.none, GradesCounted.machine_first) is Grade.none, "none is a grade"


def test_the_score_of_a_step_weights_its_grades() -> None:
    # (60·4 + 40·2) / 4 × 100 / 100 = 80; without the ungraded criterion: 60·4/4 × 100 / 60 = 100.
    assert compute_step_score([(60, Grade.a), (40, Grade.c)]) == 80
    assert compute_step_score([(60, Grade.a), (40, None)]) == 100
    assert compute_step_score([(60, Grade.none), (40, Grade.none)]) == 0
    assert compute_step_score([(60, None)]) is None
    assert compute_step_score([(1, Grade.a), (1, Grade.a), (1, Grade.none)]) == 66.67


def test_the_process_score_weights_the_steps() -> None:
    # (1·80 + 3·60) / 4 = 65; a step without a score does not count, nor does its weight.
    assert compute_process_score([(1, 80), (3, 60)]) == 65
    assert compute_process_score([(1, 80), (3, None)]) == 80
    assert compute_process_score([(1, None)]) is None
    assert compute_process_score([(1, 0.01), (1, 0.0)]) == 0.01, "halves up"


@given(st.lists(st.tuples(st.integers(1, 100), st.sampled_from([None, *GRADES]))))
def test_a_score_follows_its_formula(graded: list[tuple[int, Grade | None]]) -> None:
    score = compute_step_score(graded)
    points = [(weight, POINTS[grade]) for weight, grade in graded if grade is not None]
    if not points:
        assert score is None
        return
    exact = Fraction(sum(w * p for w, p in points), sum(w for w, _ in points)) * 25
    assert score is not None
    assert 0 <= score <= 100
    assert abs(Fraction(score) - exact) <= Fraction(1, 199)


@pytest.mark.parametrize(
    ("opens", "due", "first", "last"),
    [
        (-12, -11, "2025-01-01", "2025-02-28"),
        (-12, -1, "2025-01-01", "2025-12-31"),
        (0, 5, "2026-01-01", "2026-06-30"),
        (12, 14, "2027-01-01", "2027-03-31"),
        (-24, 25, "2024-01-01", "2028-02-29"),
    ],
)
def test_windows_count_months_from_january_of_the_plan_year(
    opens: int, due: int, first: str, last: str
) -> None:
    assert compute_window(2026, opens, due) == (date.fromisoformat(first), date.fromisoformat(last))


def test_the_state_follows_from_the_day() -> None:
    opens, due = date(2026, 1, 1), date(2026, 6, 30)
    days = [date(2025, 12, 31), opens, due, date(2026, 7, 1)]
    states = [derive_state(opens, due, day, None) for day in days]
    assert states == [StepState.not_open, StepState.open, StepState.open, StepState.late]
    assert {derive_state(opens, due, day, opens) for day in days} == {StepState.done}


def make_facts(**counts: int) -> StepFacts:
    return StepFacts(2026, "WITA", date(2026, 12, 31), has_plan=True, counts=counts)


def test_all_measures_have_a_formula_and_a_reason_for_a_missing_figure() -> None:
    assert FIGURES.keys() == MEASURES.keys() == set(MeasureName)
    without_plan, empty = StepFacts(2026, "WITA", date(2026, 12, 31)), make_facts()
    true_zeros = {MeasureName.evidence_given, MeasureName.meetings_held}
    for name, measure in FIGURES.items():
        for step_facts in (without_plan, empty):
            figure = measure(step_facts, STEP)
            if name in true_zeros:
                assert (figure.value, figure.no_figure) == (0, None), name
            else:
                assert figure.value is None, name
                assert figure.no_figure is not None, name


EXAMPLES: Mapping[str, tuple[dict[str, int], float]] = {
    "complete_lines": ({"lines": 3, "complete": 2}, 66.67),
    "lines_with_usable_places": ({"lines": 8, "with_usable_place": 1}, 12.5),
    "loci_with_fresh_data": ({"priority_locations": 4, "loci_with_fresh_data": 3}, 75),
    "loci_by_all_strategies": ({"priority_locations": 4, "loci_by_all_strategies": 0}, 0),
    "data_age": ({"recipients_dated": 3, "quarters_of_age": 7}, 2.33),
    "quarters_on_time": ({"quarters_due": 4, "quarters_on_time": 3}, 75),
    "open_overlaps": ({"lines_comparable": 40, "overlaps": 3, "overlaps_explained": 1}, 5),
    "absorption": ({"lines_reported": 1, "spent": 391, "allocation": 1000}, 39.1),
    "target_achievement": ({"outputs_reported": 2, "achieved_of_targets_percent": 150}, 75),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_figures_equal_those_computed_by_hand(name: str) -> None:
    counts, value = EXAMPLES[name]
    assert FIGURES[MeasureName(name)](make_facts(**counts), STEP).value == value


def test_days_before_the_year() -> None:
    def measure_days(adopted: str | None, today: str = "2026-02-01") -> MeasuredFigure:
        adopted_on = date.fromisoformat(adopted) if adopted else None
        step_facts = StepFacts(
            2026, "WITA", datetime.fromisoformat(today).date(), has_plan=True, adopted_on=adopted_on
        )
        return FIGURES[MeasureName.days_before_year](step_facts, STEP)

    assert measure_days("2025-12-31").value == 1
    assert measure_days("2026-01-01").value == 0
    assert measure_days("2026-01-31").value == -30
    assert measure_days(None, "2025-12-31").no_figure is NoFigure.not_adopted_yet
    assert measure_days(None, "2026-01-01").no_figure is NoFigure.not_adopted
