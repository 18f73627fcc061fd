"""The formulas of indicators, on random figures."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.convergence.indicators.analyses.rules import (
    Undefined,
    compute_agreement,
    compute_changes,
    compute_correlation,
    compute_percent_change,
    compute_rank,
    compute_speed,
    find_expected_sign,
    find_quadrant,
    find_trend,
    is_faster,
    is_worse,
)
from app.convergence.indicators.commands import read_shipped_indicators
from app.convergence.indicators.models import Direction, Frequency
from app.convergence.indicators.rules import (
    SurveyPeriod,
    compute_achievement,
    find_half,
    find_value_error,
    is_period_of,
    resolve_period,
)

LOWER, HIGHER, NEUTRAL = Direction.lower_is_better, Direction.higher_is_better, Direction.neutral
figures = st.integers(-1_000_000, 1_000_000).map(lambda number: number / 100)
judged = st.sampled_from([LOWER, HIGHER])
pairs = st.lists(st.tuples(figures, figures), max_size=30)


# Achievement


@given(figures, figures, figures, judged)
def test_achievement_is_between_0_at_the_baseline_and_100_at_the_target(
    baseline: float, target: float, actual: float, direction: Direction
) -> None:
    result = compute_achievement(baseline, target, actual, direction)
    is_target = is_worse(baseline, target, direction)
    assert (result is not None) == is_target
    if result is not None:
        assert 0 <= result <= 100
        assert compute_achievement(baseline, target, target, direction) == 100
        assert compute_achievement(baseline, target, baseline, direction) == 0


@given(figures, figures, figures, figures, judged)
def test_a_better_figure_never_lowers_the_achievement(
    baseline: float, target: float, actual: float, other: float, direction: Direction
) -> None:
    result, more = (compute_achievement(baseline, target, figure, direction) for figure in (actual, other))
    assume(result is not None and more is not None)
    if is_worse(actual, other, direction):
        assert result is not None
        assert more is not None
        assert result <= more


@given(figures, figures, figures)
def test_reversed_figures_have_the_same_achievement_in_the_other_direction(
    baseline: float, target: float, actual: float
) -> None:
    assert compute_achievement(baseline, target, actual, LOWER) == compute_achievement(
        -baseline, -target, -actual, HIGHER
    )
    assert compute_achievement(baseline, target, actual, NEUTRAL) is None


@pytest.mark.parametrize(
    ("figures", "direction", "expected"),
    [
        ((14.0, 10.0, 13.0), LOWER, 25.0),
        ((14.0, 10.0, 15.0), LOWER, 0.0),
        ((14.0, 10.0, 9.0), LOWER, 100.0),
        ((60.0, 70.0, 65.0), HIGHER, 50.0),
        ((-4.0, -8.0, -6.0), LOWER, 50.0),
        ((-2.0, 2.0, 0.0), HIGHER, 50.0),
        ((10.0, 10.0, 9.0), LOWER, None),
        ((10.0, 12.0, 11.0), LOWER, None),
        ((10.0, 8.0, 9.0), HIGHER, None),
    ],
)
def test_achievement_by_hand(
    figures: tuple[float, float, float], direction: Direction, expected: float | None
) -> None:
    assert compute_achievement(*figures, direction) == expected


# Position, speed, trend


@given(st.lists(figures, min_size=1, max_size=40), judged)
def test_a_rank_counts_the_better_values(values: list[float], direction: Direction) -> None:
    ranks = [compute_rank(value, values, direction) for value in values]
    assert min(rank or 0 for rank in ranks) == 1
    for value, rank in zip(values, ranks, strict=True):
        assert rank == 1 + sum(is_worse(value, other, direction) for other in values)
        assert compute_rank(value, values, NEUTRAL) is None


def test_equal_values_share_a_rank() -> None:
    assert [compute_rank(v, [9.0, 9.0, 8.0, 12.0], LOWER) for v in (8.0, 9.0, 12.0)] == [1, 2, 4]
    assert [compute_rank(v, [9.0, 9.0, 8.0, 12.0], HIGHER) for v in (8.0, 9.0, 12.0)] == [4, 2, 1]


@given(st.dictionaries(st.integers(2010, 2030), figures, max_size=12))
def test_changes_add_up(series: dict[int, float]) -> None:
    result = compute_changes(series)
    assert all(year - 1 in series for year in result)
    if series and len(result) == len(series) - 1:
        first, last = min(series), max(series)
        assert math.isclose(sum(result.values()), series[last] - series[first], abs_tol=1e-6)


def test_the_yearly_change_needs_both_ends() -> None:
    series = {2015: 14.0, 2018: 12.5, 2021: 13.1}
    assert compute_speed(series, 2015, 2018).value == -0.5
    assert compute_speed(series, 2015, 2019).reason is Undefined.no_observation
    assert compute_speed(series, 2018, 2018).reason is Undefined.too_few
    assert compute_percent_change(8.0, 10.0).value == 25.0
    assert compute_percent_change(-8.0, -10.0).value == -25.0
    assert compute_percent_change(0.0, 10.0).reason is Undefined.zero_base


@given(figures)
def test_a_change_improves_in_one_direction_and_worsens_in_the_other(change: float) -> None:
    assert find_trend(change, NEUTRAL) is None
    if change == 0:
        assert find_trend(change, LOWER) == find_trend(change, HIGHER) == "steady"
    else:
        assert {find_trend(change, LOWER), find_trend(change, HIGHER)} == {"improving", "worsening"}


def test_faster_compares_the_change_in_the_better_direction() -> None:
    assert is_faster(-0.2, -0.5, LOWER) is True
    assert is_faster(-0.2, -0.5, HIGHER) is False
    assert is_faster(0.5, 0.2, LOWER) is True
    assert is_faster(None, 0.2, LOWER) is None
    assert is_faster(0.1, 0.2, NEUTRAL) is None


# Correlation and agreement


@given(pairs)
def test_a_correlation_is_symmetric_and_at_most_1(values: list[tuple[float, float]]) -> None:
    result = compute_correlation(values)
    if result.value is None:
        is_flat = any(len(set(column)) == 1 for column in zip(*values, strict=True))
        assert result.reason is (Undefined.too_few if len(values) < 3 else Undefined.no_variation)
        assert len(values) < 3 or is_flat
        return
    assert -1 <= result.value <= 1
    turned = compute_correlation([(b, a) for a, b in values]).value
    assert turned is not None
    assert math.isclose(turned, result.value, abs_tol=1e-9)
    against = compute_correlation([(a, -b) for a, b in values]).value
    assert against is not None
    assert math.isclose(against, -result.value, abs_tol=1e-9)


@given(st.lists(figures, min_size=3, max_size=20, unique=True), st.integers(1, 9), figures)
def test_the_points_of_a_line_have_correlation_1(values: list[float], slope: int, start: float) -> None:
    result = compute_correlation([(value, start + slope * value) for value in values]).value
    assert result is not None
    assert math.isclose(result, 1, abs_tol=1e-6)


@given(pairs)
def test_agreement_is_100_for_equal_changes_and_0_for_opposite_ones(
    values: list[tuple[float, float]],
) -> None:
    result = compute_agreement(values)
    assert (result.value is None) == (values == [])
    if result.value is not None:
        assert 0 <= result.value <= 100
        assert compute_agreement([(a, a) for a, _ in values]).value == 100
        assert compute_agreement([(a, -a) for a, _ in values if a]).value in (0, None)


def test_the_expected_sign_compares_the_directions() -> None:
    assert find_expected_sign(LOWER, LOWER) == find_expected_sign(HIGHER, HIGHER) == "positive"
    assert find_expected_sign(LOWER, HIGHER) == "negative"
    assert find_expected_sign(LOWER, NEUTRAL) is None


# Quadrants


@given(figures, figures, figures, judged)
def test_the_quadrant_follows_from_position_and_trend(
    before: float, after: float, reference: float, direction: Direction
) -> None:
    result = find_quadrant(before, after, reference, direction).value
    worse, worsening = is_worse(after, reference, direction), is_worse(after, before, direction)
    assert (
        result == {(True, True): 1, (True, False): 2, (False, True): 3, (False, False): 4}[worse, worsening]
    )
    assert find_quadrant(-before, -after, -reference, HIGHER if direction is LOWER else LOWER).value == result


def test_the_quadrant_of_incomplete_figures_is_undefined() -> None:
    assert find_quadrant(None, 9.0, 8.0, LOWER).reason is Undefined.no_observation
    assert find_quadrant(9.0, None, 8.0, LOWER).reason is Undefined.no_observation
    assert find_quadrant(9.0, 9.0, None, LOWER).reason is Undefined.no_reference
    assert find_quadrant(9.0, 9.0, 8.0, NEUTRAL).reason is Undefined.neutral
    assert find_quadrant(8.0, 8.0, 8.0, LOWER).value == 4


# Definitions and periods


def test_shipped_definitions_are_consistent() -> None:
    shipped = read_shipped_indicators()
    assert {
        "p0",
        "p1",
        "p2",
        "poor_population",
        "poverty_line",
        "extreme_poverty",
        "open_unemployment",
    } <= set(shipped)
    assert {"hdi", "mean_years_schooling", "gini", "safe_water", "sanitation"} <= set(shipped)
    for code, indicator in shipped.items():
        assert set(indicator.related) <= shipped.keys() - {code}
        assert indicator.minimum is not None
        assert indicator.maximum is not None
    words = [word for indicator in shipped.values() for word in (indicator.name, *indicator.aliases)]
    assert len(words) == len(set(words))


def test_the_frequency_decides_the_periods() -> None:
    shipped = read_shipped_indicators()
    poverty, unemployment, hdi = shipped["p0"], shipped["open_unemployment"], shipped["hdi"]
    assert hdi.frequency is Frequency.yearly
    year = SurveyPeriod.parse("2021")
    assert [str(resolve_period(indicator, year)) for indicator in (poverty, unemployment, hdi)] == [
        "2021-S1",
        "2021-S2",
        "2021",
    ]
    assert str(resolve_period(hdi, SurveyPeriod.parse("2021-S2"))) == "2021"
    assert [find_half(poverty, month) for month in (3, 9, 4)] == [1, 2, None]
    assert is_period_of(poverty, "2021-S2")
    assert not is_period_of(poverty, "2021")
    assert not is_period_of(hdi, "2021-S1")
    for text in ("21", "2021-Q1", "2021-S3", "2021-S1 ", "1821"):
        with pytest.raises(ValueError, match=text.strip()):
            SurveyPeriod.parse(text)


def test_the_unit_limits_values_and_decimals() -> None:
    poverty, line = (read_shipped_indicators()[code] for code in ("p0", "poverty_line"))
    assert find_value_error(poverty, 13.59) is None
    for value, code in ((100.01, "outside_unit"), (-0.01, "outside_unit"), (13.591, "too_many_decimals")):
        wrong = find_value_error(poverty, value)
        assert wrong is not None
        assert wrong[0].code == code
    assert find_value_error(line, 992426.0) is None
    assert find_value_error(line, 992426.5) is not None
    assert find_value_error(poverty, math.nan) is not None
