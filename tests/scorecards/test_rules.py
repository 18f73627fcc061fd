"""The formulas: what holds for any inputs, and what is undefined."""

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


def indicator(
    baseline: float, target: float, actual: float | None, direction: str = "lower_is_better"
) -> Any:
    return IndicatorInput(
        indicator="p0", direction=Direction(direction), baseline=baseline, target=target, actual=actual
    )


def inputs(**given: Any) -> ScorecardInputs:
    """Nothing at all, but for what is given."""
    nothing: dict[str, Any] = dict.fromkeys(ScorecardInputs.model_fields)
    return ScorecardInputs(**{**nothing, "services": [], "indicators": [], "families_reporting": 0, **given})


PLANNED = {"budget": 0, "budget_at_villages": 0, "budget_in_loci": 0, "loci": 0, "families_in_loci": 0}


@st.composite
def some_inputs(draw: Any) -> ScorecardInputs:
    """Any combination of what is there and what is not."""
    found: dict[str, Any] = {"process_percent": draw(st.none() | percents)}
    found["services"] = draw(st.lists(service, max_size=3))
    for n, one in enumerate(found["services"]):
        one.service = f"s{n}"
    if draw(st.booleans()):
        in_loci, at_villages = draw(parts)
        funded, families = draw(parts)
        found |= {
            "budget_at_villages": at_villages,
            "budget_in_loci": in_loci,
            "loci": draw(st.integers(0, 9)),
        }
        found |= {"families_in_loci": families, "families_in_funded_loci": funded}
        found |= {"budget": draw(rupiah), "lines_reported": draw(st.integers(0, 3))}
        spent = {f"spent_{name}": draw(rupiah) for name in ("direct", "indirect", "supporting")}
        found |= {**spent, "spent": sum(spent.values())}
        found["highest_spending_percent"] = draw(st.none() | percents)
    figures = st.floats(-50, 50).map(lambda value: round(value, 2))
    found["indicators"] = [
        indicator(*draw(st.tuples(figures, figures, st.none() | figures)))
        for _ in range(draw(st.integers(0, 2)))
    ]
    return inputs(**found)


@given(some_inputs())
def test_index_is_the_weighted_mean_of_what_is_there(given_inputs: ScorecardInputs) -> None:
    found = evaluate(given_inputs, METHOD)
    there = {name: term.value.percent for name, term in found.terms.items() if term.value.percent is not None}
    assert {name for name, term in found.terms.items() if term.value.missing} == set(IndexComponent) - set(
        there
    )
    assert found.is_complete == (not found.missing)
    if not there:
        assert found.index is None
        assert found.index_class is None
        return
    whole = sum(WEIGHTS[name] for name in there)
    exact = sum(WEIGHTS[name] * Fraction(str(value)) for name, value in there.items()) / whole
    assert found.index is not None
    assert abs(Fraction(str(found.index)) - exact) <= Fraction(1, 200)
    assert min(there.values()) <= found.index <= max(there.values())
    assert all(0 <= value <= 100 for value in there.values())
    assert sum(term.weight_used for term in found.terms.values()) == pytest.approx(1, abs=1e-5)


@given(some_inputs())
def test_what_raises_most_is_what_a_trial_of_it_tells(given_inputs: ScorecardInputs) -> None:
    now = evaluate(given_inputs, METHOD)
    found = list_gains(now, METHOD)
    assert [one.gain for one in found] == sorted((one.gain for one in found), reverse=True)
    for one in found:
        tried, errors = apply_changes(given_inputs, one.step.changes)
        assert not errors
        after = evaluate(tried, METHOD).index
        assert after == one.ikpk
        assert one.gain > 0


def value_of(found: Evaluation, name: IndexComponent) -> IndexValue:
    return found.terms[name].value


def test_undefined_is_never_zero_and_says_why() -> None:
    empty = evaluate(inputs(), METHOD)
    assert empty.missing == {
        "process": Missing.no_score,
        "coverage": Missing.nobody_eligible,
        "targeting": Missing.no_plan,
        "spending": Missing.no_plan,
        "outcome": Missing.no_targets,
    }
    planned = evaluate(inputs(**PLANNED), METHOD)
    assert (planned.missing["targeting"], planned.missing["spending"]) == (Missing.no_loci, Missing.no_budget)
    silent = inputs(**{**PLANNED, "budget": 100, "lines_reported": 0, "spent": 0})
    assert compute_spending_figure(silent, METHOD) == (None, Missing.no_report)
    unclassed = inputs(**{**PLANNED, "budget": 100, "lines_reported": 1, "spent": 50})
    assert compute_spending_figure(unclassed, METHOD) == (None, Missing.no_classes)
    nothing = inputs(**{**PLANNED, "budget": 100, "lines_reported": 1, "spent": 0})
    assert compute_spending_figure(nothing, METHOD) == (0, None)
    assert compute_spending(IndexValue(0.0), 0.0) == (None, Missing.nobody_spent)
    assert compute_spending(IndexValue(0.0), 10.0) == (0, None)
    assert compute_outcome([indicator(5, 4, None)]) == (None, Missing.no_observation)


def test_one_component_alone_is_the_index() -> None:
    found = evaluate(inputs(process_percent=61.23), METHOD)
    assert (found.index, found.index_class, found.is_complete) == (61.23, "Berkembang", False)
    assert found.terms[IndexComponent.process].weight_used == 1
    assert found.terms[IndexComponent.process].contribution == 61.23


def test_targeting_stands_on_one_part_where_the_other_is_undefined() -> None:
    one = inputs(
        loci=2, budget_at_villages=0, budget_in_loci=0, families_in_loci=40, families_in_funded_loci=10
    )
    found = compute_targeting(one)
    assert (found.total, found.budget.missing) == ((25, None), Missing.no_village_budget)
    assert evaluate(one, METHOD).missing["targeting.budget"] is Missing.no_village_budget
    other = inputs(loci=2, budget_at_villages=80, budget_in_loci=20, families_in_loci=0)
    assert (compute_targeting(other).total, compute_targeting(other).families.missing) == (
        (25, None),
        Missing.no_families,
    )
    neither = inputs(loci=2, budget_at_villages=0, families_in_loci=0)
    assert compute_targeting(neither).total == (None, Missing.no_village_budget)
    # No line works in a locus: that is a zero.
    assert compute_targeting(
        inputs(loci=1, budget_at_villages=80, budget_in_loci=0, families_in_loci=5)
    ).total == (
        0,
        None,
    )


def test_negative_baselines_and_targets_are_figures_like_others() -> None:
    assert compute_outcome([indicator(-2, -4, -3)]) == (50, None)
    assert compute_outcome([indicator(-4, 4, 0, "higher_is_better")]) == (50, None)
    # Further than the target, and away from it; a target that is no better is left out.
    assert compute_outcome([indicator(5, 4, 3), indicator(5, 4, 6), indicator(4, 5, 3)]) == (50, None)
    assert compute_outcome([indicator(4, 4, 4)]) == (None, Missing.no_observation)


@given(st.lists(percents, min_size=1, max_size=20))
def test_x_is_a_hundred_for_the_highest_alone(figures: list[float]) -> None:
    top = max(figures)
    found = [compute_spending(IndexValue(one), top).percent for one in figures]
    if not top:
        assert set(found) == {None}
        return
    for one, share in zip(figures, found, strict=True):
        assert share is not None
        assert abs(Fraction(str(share)) - Fraction(str(one)) * 100 / Fraction(str(top))) <= Fraction(1, 200)
        assert (share == 100) >= (one == top)


@given(st.lists(percents, min_size=1, max_size=9))
def test_mean_is_rounded_half_up(figures: list[float]) -> None:
    exact = sum(map(round_to_hundredths, figures)) / Fraction(len(figures))
    assert round_to_hundredths(compute_mean(figures)) == (2 * exact + 1) // 2


@pytest.mark.parametrize(
    ("index", "classed"),
    [
        (80, "Berdaya"),
        (79.99, "Berkembang"),
        (60, "Berkembang"),
        (59.99, "Bertumbuh"),
        (0, "Bertumbuh"),
        (None, None),
    ],
)
def test_class(index: float | None, classed: str | None) -> None:
    assert classify_index(index, METHOD) == classed


def standing(
    region: str, index: float | None, k: float | None = 50, p: float | None = 50, r: float | None = 70
) -> Any:
    return RankFigures(region, index, k, p, r, 70)


def test_ranks() -> None:
    group = [
        standing("a", 70, k=50, p=60),
        standing("b", 90),
        standing("c", 70, k=60),
        standing("d", 70, k=50, p=60),
        standing("e", 70, k=50, p=None),
        standing("f", 99, r=69.99),
        standing("g", 99, r=None),
        standing("h", None),
    ]
    assert rank_regions(group) == {"b": 1, "c": 2, "a": 3, "d": 3, "e": 5}
    assert [explain_missing_rank(one) for one in group[5:]] == [
        NotRanked.reach_too_low,
        NotRanked.reach_unknown,
        NotRanked.no_index,
    ]
    assert rank_regions([]) == {}


@given(
    st.lists(st.tuples(percents, percents, percents, st.sampled_from([None, 69.99, 70.0, 100.0])), max_size=8)
)
def test_ranks_follow_the_index_whatever_the_order(told: list[Any]) -> None:
    group = [RankFigures(str(n), *one, 70) for n, one in enumerate(told)]
    found = rank_regions(group)
    assert rank_regions(reversed(group)) == found
    assert set(found) == {one.region for one in group if one.reach is not None and one.reach >= 70}
    for one in group:
        for other in group:
            if one.region in found and other.region in found and (one.ikpk or 0) > (other.ikpk or 0):
                assert found[one.region] < found[other.region]
    if found:
        assert min(found.values()) == 1
