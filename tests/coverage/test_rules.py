"""The formulas of coverage, on random counts, and their undefined cases."""

from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.convergence.coverage.rules import (
    CoverageCount,
    ReachInput,
    VillageStatus,
    add_quarters,
    choose_target,
    compute_percent,
    compute_reach,
    find_balance,
    find_status,
    pool_by_strategy,
    pool_counts,
)

METHOD = SimpleNamespace(converged_coverage=80, converged_balance=60, partial_coverage=50)
COUNT = st.integers(0, 10_000).flatmap(
    lambda eligible: st.builds(CoverageCount, st.just(eligible), st.integers(0, eligible))
)
COUNTS = st.lists(COUNT, max_size=12)
STRATEGY_OF = {"a": "one", "b": "one", "c": "two", "d": "base"}
BY_SERVICE = st.dictionaries(st.sampled_from(sorted(STRATEGY_OF)), COUNT)


@given(COUNTS)
def test_the_pooled_share_lies_between_the_extremes(counts: list[CoverageCount]) -> None:
    shares = [Fraction(c.served, c.eligible) for c in counts if c.eligible]
    total = pool_counts(counts)
    if not shares:
        assert compute_percent(total.served, total.eligible) is None
    else:
        assert min(shares) <= Fraction(total.served, total.eligible) <= max(shares)


@given(COUNTS, st.randoms(use_true_random=False))
def test_pooling_does_not_depend_on_the_order(counts: list[CoverageCount], random: object) -> None:
    shuffled = list(counts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types it as an object
    assert pool_counts(shuffled) == pool_counts(counts)


@given(COUNTS, COUNT)
def test_adding_a_served_family_never_lowers_k(counts: list[CoverageCount], count: CoverageCount) -> None:
    before = pool_counts([*counts, count])
    for more in (
        CoverageCount(count.eligible + 1, count.served + 1),
        CoverageCount(count.eligible, min(count.served + 1, count.eligible)),
    ):
        after = pool_counts([*counts, more])
        if before.eligible:
            assert Fraction(after.served, after.eligible) >= Fraction(before.served, before.eligible)


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_percentage_is_rounded_to_two_decimals(part: int, whole: int) -> None:
    result = compute_percent(part, whole)
    assert result is not None
    assert abs(Fraction(str(result)) - Fraction(100 * part, whole)) <= Fraction(1, 200)


def test_a_percentage_of_nothing_is_undefined() -> None:
    assert compute_percent(0, 0) is None
    assert compute_percent(0, 7) == 0
    assert compute_percent(1, 8) == 12.5
    assert compute_percent(1, 3200) == 0.03  # 0.03125
    assert compute_percent(1, 800) == 0.13  # 0.125, halves up


@given(BY_SERVICE)
def test_the_balance_is_the_lowest_defined_share(counts: dict[str, CoverageCount]) -> None:
    strategies = pool_by_strategy(counts, STRATEGY_OF)
    assert list(strategies) == ["one", "two", "base"]
    result = find_balance(strategies)
    shares = {
        name: Fraction(c.served, c.eligible)
        for name, c in strategies.items()
        if c.eligible and name != "base"
    }
    assert set(result.undefined) == {"one", "two"} - shares.keys()
    assert result.strategy == min(shares, key=lambda name: shares[name], default=None)
    assert pool_counts(strategies.values()) == pool_counts(counts.values())


@given(BY_SERVICE)
def test_the_status_follows_from_exact_shares(counts: dict[str, CoverageCount]) -> None:
    total, balance = pool_counts(counts.values()), find_balance(pool_by_strategy(counts, STRATEGY_OF))
    status = find_status(total, balance, METHOD)
    if not total.eligible:
        assert status is None
        return
    share = Fraction(100 * total.served, total.eligible)
    lowest = balance.lowest and Fraction(100 * balance.lowest.served, balance.lowest.eligible)
    if lowest is not None and share >= 80 and lowest >= 60:
        assert status is VillageStatus.converged
    else:
        assert status is (VillageStatus.partial if share >= 50 else VillageStatus.not_yet)


def test_thresholds_compare_unrounded_shares() -> None:
    just_below = CoverageCount(100_000, 79_999)  # rounds to 80.00
    assert compute_percent(just_below.served, just_below.eligible) == 80
    assert find_status(just_below, find_balance({"one": just_below}), METHOD) is VillageStatus.partial
    exact = CoverageCount(10, 8)
    assert find_status(exact, find_balance({"one": exact}), METHOD) is VillageStatus.converged


def test_base_services_alone_do_not_converge() -> None:
    base = find_balance({"one": CoverageCount(0, 0), "base": CoverageCount(10, 10)})
    assert (base.percent, base.strategy, base.undefined) == (None, None, ("one",))
    assert find_status(CoverageCount(10, 10), base, METHOD) is VillageStatus.partial


def test_the_reach_is_undefined_without_expected_villages() -> None:
    assert compute_reach(ReachInput(140, 200, 2)) == 70
    assert (
        compute_reach(ReachInput(140, 140, 0)) is None
    )  # the reporting villages would be compared with themselves
    assert compute_reach(ReachInput(0, 0, 3)) is None
    assert compute_reach(ReachInput(0, 50, 1)) == 0


@pytest.mark.parametrize(
    ("sources", "target"),
    [
        ((5, 7, [9]), 5),
        ((None, 7, [9]), 7),
        ((None, None, [9, 8]), 9),
        ((None, None, []), None),
        ((0, 7, []), 0),
    ],
)
def test_the_target_comes_from_the_first_source_that_has_one(
    sources: tuple[int | None, int | None, list[int]], target: int | None
) -> None:
    assert choose_target(*sources) == target


@given(st.integers(2000, 2090), st.integers(1, 4), st.integers(-12, 12))
def test_adding_quarters_crosses_years(year: int, quarter: int, steps: int) -> None:
    move: Callable[[str], str] = lambda period: add_quarters(period, steps)  # noqa: E731
    assert add_quarters(move(f"{year}-Q{quarter}"), -steps) == f"{year}-Q{quarter}"
    assert add_quarters("2026-Q3", 2) == "2027-Q1"
    assert add_quarters("2026-Q1", -1) == "2025-Q4"
