"""The formulas of the scorecard, on random inputs, and their undefined cases."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.convergence.indicators.models import Direction
from app.convergence.scorecards.index.models import (
    IndexComponent,
    IndicatorInput,
    Missing,
    NotRanked,
    ScorecardInputs,
    ServiceInput,
)
from app.convergence.scorecards.index.rules import (
    Evaluation,
    IndexValue,
    RankFigures,
    apply_changes,
    classify_index,
    compute_mean,
    compute_outcome,
    compute_spending,
    compute_spending_figure,
    compute_targeting,
    evaluate,
    explain_missing_rank,
    list_gains,
    rank_regions,
    round_to_hundredths,
)

METHOD = SimpleNamespace(
    edition="1",
    weight_process=0.25,
    weight_coverage=0.3,
    weight_targeting=0.15,
    weight_spending=0.15,
    weight_outcome=0.15,
    share_direct=0.5,
    share_indirect=0.3,
    share_supporting=0.2,
    class_high="Berdaya",
    class_high_from=80,
    class_middle="Berkembang",
    class_middle_from=60,
    class_low="Bertumbuh",
    rank_reach=70,
    fair_yardstick=False,
)
WEIGHTS = {name: Fraction(str(getattr(METHOD, f"weight_{name}"))) for name in IndexComponent}

percents = st.integers(0, 10_000).map(lambda h: h / 100)
rupiah = st.integers(0, 10**15)
parts = st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)).map(sorted)
service = parts.map(
    lambda two: ServiceInput(
        service="a", strategy="s", eligible=two[1] % 10**6, served=two[0] % (two[1] % 10**6 + 1)
    )
)


def make_indicator(
    baseline: float, target: float, actual: float | None, direction: str = "lower_is_better"
) -> Any:
    return IndicatorInput(
        indicator="p0", direction=Direction(direction), baseline=baseline, target=target, actual=actual
    )


def make_inputs(**values: Any) -> ScorecardInputs:
    """Make inputs that are empty except for these values."""
    nothing: dict[str, Any] = dict.fromkeys(ScorecardInputs.model_fields)
    return ScorecardInputs(**{**nothing, "services": [], "indicators": [], "families_reporting": 0, **values})


PLANNED = {"budget": 0, "budget_at_villages": 0, "budget_in_loci": 0, "loci": 0, "families_in_loci": 0}


@st.composite
def draw_inputs(draw: Any) -> ScorecardInputs:
    """Draw inputs with any combination of known and missing values."""
    values: dict[str, Any] = {"process_percent": draw(st.none() | percents)}
    values["services"] = draw(st.lists(service, max_size=3))
    for n, entry in enumerate(values["services"]):
        entry.service = f"s{n}"
    if draw(st.booleans()):
        in_loci, at_villages = draw(parts)
        funded, families = draw(parts)
        values |= {
            "budget_at_villages": at_villages,
            "budget_in_loci": in_loci,
            "loci": draw(st.integers(0, 9)),
        }
        values |= {"families_in_loci": families, "families_in_funded_loci": funded}
        values |= {"budget": draw(rupiah), "lines_reported": draw(st.integers(0, 3))}
        spent = {f"spent_{name}": draw(rupiah) for name in ("direct", "indirect", "supporting")}
        values |= {**spent, "spent": sum(spent.values())}
        values["highest_spending_percent"] = draw(st.none() | percents)
    figures = st.floats(-50, 50).map(lambda value: round(value, 2))
    values["indicators"] = [
        make_indicator(*draw(st.tuples(figures, figures, st.none() | figures)))
        for _ in range(draw(st.integers(0, 2)))
    ]
    return make_inputs(**values)


@given(draw_inputs())
def test_the_index_is_the_weighted_mean_of_the_defined_components(given_inputs: ScorecardInputs) -> None:
    evaluation = evaluate(given_inputs, METHOD)
    defined = {
        name: term.value.percent for name, term in evaluation.terms.items() if term.value.percent is not None
    }
    assert {name for name, term in evaluation.terms.items() if term.value.missing} == set(
        IndexComponent
    ) - set(defined)
    assert evaluation.is_complete == (not evaluation.missing)
    if not defined:
        assert evaluation.index is None
        assert evaluation.index_class is None
        return
    total_weight = sum(WEIGHTS[name] for name in defined)
    exact = sum(WEIGHTS[name] * Fraction(str(value)) for name, value in defined.items()) / total_weight
    assert evaluation.index is not None
    assert abs(Fraction(str(evaluation.index)) - exact) <= Fraction(1, 200)
    assert min(defined.values()) <= evaluation.index <= max(defined.values())
    assert all(0 <= value <= 100 for value in defined.values())
    assert sum(term.weight_used for term in evaluation.terms.values()) == pytest.approx(1, abs=1e-5)


@given(draw_inputs())
def test_applying_a_gain_gives_the_promised_index(given_inputs: ScorecardInputs) -> None:
    before = evaluate(given_inputs, METHOD)
    gains = list_gains(before, METHOD)
    assert [gain.gain for gain in gains] == sorted((gain.gain for gain in gains), reverse=True)
    for gain in gains:
        tried, errors = apply_changes(given_inputs, gain.step.changes)
        assert not errors
        after = evaluate(tried, METHOD).index
        assert after == gain.ikpk
        assert gain.gain > 0


def get_value(evaluation: Evaluation, name: IndexComponent) -> IndexValue:
    return evaluation.terms[name].value


def test_an_undefined_component_is_not_zero_and_has_a_reason() -> None:
    empty = evaluate(make_inputs(), METHOD)
    assert empty.missing == {
        "process": Missing.no_score,
        "coverage": Missing.nobody_eligible,
        "targeting": Missing.no_plan,
        "spending": Missing.no_plan,
        "outcome": Missing.no_targets,
    }
    planned = evaluate(make_inputs(**PLANNED), METHOD)
    assert (planned.missing["targeting"], planned.missing["spending"]) == (Missing.no_loci, Missing.no_budget)
    silent = make_inputs(**{**PLANNED, "budget": 100, "lines_reported": 0, "spent": 0})
    assert compute_spending_figure(silent, METHOD) == (None, Missing.no_report)
    unclassed = make_inputs(**{**PLANNED, "budget": 100, "lines_reported": 1, "spent": 50})
    assert compute_spending_figure(unclassed, METHOD) == (None, Missing.no_classes)
    nothing = make_inputs(**{**PLANNED, "budget": 100, "lines_reported": 1, "spent": 0})
    assert compute_spending_figure(nothing, METHOD) == (0, None)
    assert compute_spending(IndexValue(0.0), 0.0) == (None, Missing.nobody_spent)
    assert compute_spending(IndexValue(0.0), 10.0) == (0, None)
    assert compute_outcome([make_indicator(5, 4, None)]) == (None, Missing.no_observation)


def test_one_component_alone_is_the_index() -> None:
    evaluation = evaluate(make_inputs(process_percent=61.23), METHOD)
    assert (evaluation.index, evaluation.index_class, evaluation.is_complete) == (61.23, "Berkembang", False)
    assert evaluation.terms[IndexComponent.process].weight_used == 1
    assert evaluation.terms[IndexComponent.process].contribution == 61.23


def test_targeting_uses_the_defined_part_alone() -> None:
    without_budget = make_inputs(
        loci=2, budget_at_villages=0, budget_in_loci=0, families_in_loci=40, families_in_funded_loci=10
    )
    targeting = compute_targeting(without_budget)
    assert (targeting.total, targeting.budget.missing) == ((25, None), Missing.no_village_budget)
    assert evaluate(without_budget, METHOD).missing["targeting.budget"] is Missing.no_village_budget
    without_families = make_inputs(loci=2, budget_at_villages=80, budget_in_loci=20, families_in_loci=0)
    assert (
        compute_targeting(without_families).total,
        compute_targeting(without_families).families.missing,
    ) == (
        (25, None),
        Missing.no_families,
    )
    neither = make_inputs(loci=2, budget_at_villages=0, families_in_loci=0)
    assert compute_targeting(neither).total == (None, Missing.no_village_budget)
    # Without a line in a locus, the value is zero.
    assert compute_targeting(
        make_inputs(loci=1, budget_at_villages=80, budget_in_loci=0, families_in_loci=5)
    ).total == (
        0,
        None,
    )


def test_baselines_and_targets_may_be_negative() -> None:
    assert compute_outcome([make_indicator(-2, -4, -3)]) == (50, None)
    assert compute_outcome([make_indicator(-4, 4, 0, "higher_is_better")]) == (50, None)
    # Beyond the target, and away from it; a target that is not better does not count.
    assert compute_outcome([make_indicator(5, 4, 3), make_indicator(5, 4, 6), make_indicator(4, 5, 3)]) == (
        50,
        None,
    )
    assert compute_outcome([make_indicator(4, 4, 4)]) == (None, Missing.no_observation)


@given(st.lists(percents, min_size=1, max_size=20))
def test_the_highest_spending_gets_100(figures: list[float]) -> None:
    top = max(figures)
    percents_of_top = [compute_spending(IndexValue(figure), top).percent for figure in figures]
    if not top:
        assert set(percents_of_top) == {None}
        return
    for figure, share in zip(figures, percents_of_top, strict=True):
        assert share is not None
        assert abs(Fraction(str(share)) - Fraction(str(figure)) * 100 / Fraction(str(top))) <= Fraction(
            1, 200
        )
        assert (share == 100) >= (figure == top)


@given(st.lists(percents, min_size=1, max_size=9))
def test_the_mean_is_rounded_half_up(figures: list[float]) -> None:
    exact = sum(map(round_to_hundredths, figures)) / Fraction(len(figures))
    assert round_to_hundredths(compute_mean(figures)) == (2 * exact + 1) // 2


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (80, "Berdaya"),
        (79.99, "Berkembang"),
        (60, "Berkembang"),
        (59.99, "Bertumbuh"),
        (0, "Bertumbuh"),
        (None, None),
    ],
)
def test_the_class_follows_the_thresholds(index: float | None, expected: str | None) -> None:
    assert classify_index(index, METHOD) == expected


def make_rank_figures(
    region: str, index: float | None, k: float | None = 50, p: float | None = 50, r: float | None = 70
) -> Any:
    return RankFigures(region, index, k, p, r, 70)


def test_ties_compare_coverage_and_process_and_low_reach_is_not_ranked() -> None:
    group = [
        make_rank_figures("a", 70, k=50, p=60),
        make_rank_figures("b", 90),
        make_rank_figures("c", 70, k=60),
        make_rank_figures("d", 70, k=50, p=60),
        make_rank_figures("e", 70, k=50, p=None),
        make_rank_figures("f", 99, r=69.99),
        make_rank_figures("g", 99, r=None),
        make_rank_figures("h", None),
    ]
    assert rank_regions(group) == {"b": 1, "c": 2, "a": 3, "d": 3, "e": 5}
    assert [explain_missing_rank(figures) for figures in group[5:]] == [
        NotRanked.reach_too_low,
        NotRanked.reach_unknown,
        NotRanked.no_index,
    ]
    assert rank_regions([]) == {}


@given(
    st.lists(st.tuples(percents, percents, percents, st.sampled_from([None, 69.99, 70.0, 100.0])), max_size=8)
)
def test_ranks_follow_the_index_in_any_order(rows: list[Any]) -> None:
    group = [RankFigures(str(n), *first, 70) for n, first in enumerate(rows)]
    ranks = rank_regions(group)
    assert rank_regions(reversed(group)) == ranks
    assert set(ranks) == {first.region for first in group if first.reach is not None and first.reach >= 70}
    for first in group:
        for second in group:
            if first.region in ranks and second.region in ranks and (first.ikpk or 0) > (second.ikpk or 0):
                assert ranks[first.region] < ranks[second.region]
    if ranks:
        assert min(ranks.values()) == 1
