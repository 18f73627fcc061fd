"""Formulas of the index (domain, section 7), from published inputs to published figures. Pure.

Each step starts from the published result of the step before, at two decimals, halves up, and computes in whole
numbers. So a client that recomputes a scorecard gets equal digits in any language. A figure without a denominator
is None and has a reason: never 0, never 100.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.convergence.coverage.rules import CoverageCount, compute_percent, pool_counts
from app.convergence.editions.methods.models import Method
from app.convergence.indicators.rules import compute_achievement
from app.convergence.scorecards.index.models import (
    PARTS,
    IndexComponent,
    IndicatorInput,
    Missing,
    NotRanked,
    ScorecardInputs,
    ServiceInput,
    part_over_whole,
)
from app.kit.http.validation import describe_unknown
from app.kit.problems import FieldError

_MILLION = 1_000_000


class IndexValue(NamedTuple):
    """A figure in percent, two decimals, or the reason for its absence."""

    percent: float | None
    missing: Missing | None = None


def round_to_hundredths(value: float) -> int:
    """Return a figure in percent as a whole number of hundredths, halves up."""
    return math.floor(value * 100 + 0.5)


def _divide(part: int, whole: int) -> float:
    """Return part / whole hundredths of a percent as percent: halves up, in whole numbers."""
    return ((2 * part + whole) // (2 * whole)) / 100


def compute_mean(figures: Collection[float]) -> float:
    """Return the arithmetic mean of published percentages, two decimals. `figures` must not be empty."""
    return _divide(sum(map(round_to_hundredths, figures)), len(figures))


# Components


@dataclass(frozen=True)
class Targeting:
    """T and the two shares with T as their mean."""

    total: IndexValue
    budget: IndexValue
    families: IndexValue


def compute_targeting(inputs: ScorecardInputs) -> Targeting:
    """Return T in percent: the mean of budget in loci / budget at villages (rupiah) and H of loci that a funded line
    of each strategy reaches / H of all loci (families). Domain, section 7.

    Without a denominator for one share, T is the other. Without loci, T and both shares have no value.
    """
    at_villages, in_loci = inputs.budget_at_villages, inputs.budget_in_loci
    families, funded = inputs.families_in_loci, inputs.families_in_funded_loci
    if not inputs.loci and not in_loci and not families:
        why = Missing.no_plan if inputs.loci is None else Missing.no_loci
        return Targeting(IndexValue(None, why), IndexValue(None, why), IndexValue(None, why))
    budget = (
        IndexValue(compute_percent(in_loci or 0, at_villages))
        if at_villages
        else IndexValue(None, Missing.no_village_budget)
    )
    reached = (
        IndexValue(compute_percent(funded or 0, families))
        if families
        else IndexValue(None, Missing.no_families)
    )
    defined = [value.percent for value in (budget, reached) if value.percent is not None]
    total = IndexValue(compute_mean(defined)) if defined else IndexValue(None, budget.missing)
    return Targeting(total, budget, reached)


def compute_spending_figure(inputs: ScorecardInputs, method: Method, *, counted: bool = False) -> IndexValue:
    """Return spending in percent of the total budget, weighted by class: 0.50·direct/B + 0.30·indirect/B +
    0.20·supporting/B (shares of the method), without travel. PMK 97/2023 article 3 (3) a and b: `Xi`.

    `counted`: only spending up to the allocation of each line and class, as a method with `fair_yardstick` counts it.
    """
    if inputs.budget is None:
        return IndexValue(None, Missing.no_plan)
    if not inputs.budget:
        return IndexValue(None, Missing.no_budget)
    weighted = spent = 0
    for name in ("direct", "indirect", "supporting"):
        amount = getattr(inputs, f"{'counted' if counted else 'spent'}_{name}") or 0
        weighted += round(getattr(method, f"share_{name}") * _MILLION) * amount
        spent += amount
    if not spent and not inputs.lines_reported:
        return IndexValue(None, Missing.no_report)
    if not spent and inputs.spent:
        return IndexValue(None, Missing.no_classes)
    return IndexValue(_divide(10_000 * weighted, inputs.budget * _MILLION))


def compute_spending(figure: IndexValue, highest: float | None) -> IndexValue:
    """Return X: the spending figure in percent of the highest of its group. PMK 97/2023 article 3 (3) c:
    `Xi × 100 / Xmaks`. Never above 100: a region outside of the group may be the highest itself.
    """
    if figure.percent is None:
        return figure
    if not highest:
        return IndexValue(None, Missing.nobody_spent)
    share = _divide(10_000 * round_to_hundredths(figure.percent), round_to_hundredths(highest))
    return IndexValue(min(share, 100.0))


def compute_outcome(indicators: Sequence[IndicatorInput]) -> IndexValue:
    """Return O: the mean achievement of the indicators, from baseline (0) to target (100 percent), without those that
    have no value or no better target (`indicators.rules.compute_achievement`)."""
    if not indicators:
        return IndexValue(None, Missing.no_targets)
    shares = [share for share in map(measure_achievement, indicators) if share is not None]
    return IndexValue(compute_mean(shares)) if shares else IndexValue(None, Missing.no_observation)


def measure_achievement(indicator: IndicatorInput) -> float | None:
    """Return the achievement of an indicator in percent, two decimals. Returns None without one."""
    if indicator.actual is None:
        return None
    share = compute_achievement(indicator.baseline, indicator.target, indicator.actual, indicator.direction)
    return None if share is None else round_to_hundredths(share) / 100


def compute_coverage(services: Iterable[ServiceInput]) -> IndexValue:
    """Return K in percent: served of eligible families, over all services."""
    total = pool_counts(CoverageCount(service.eligible, service.served) for service in services)
    share = compute_percent(total.served, total.eligible)
    return IndexValue(share, None if share is not None else Missing.nobody_eligible)


# The index


@dataclass(frozen=True)
class Term:
    """A component in the index: its value, its weight, its share of the weights in use, and its points."""

    component: IndexComponent
    value: IndexValue
    weight: float
    weight_used: float
    contribution: float | None


@dataclass(frozen=True)
class Evaluation:
    """Inputs, and everything that a method computes from them."""

    inputs: ScorecardInputs
    method: Method
    terms: dict[IndexComponent, Term]
    targeting: Targeting
    spending_figure: IndexValue
    index: float | None
    index_class: str | None
    index_missing: Missing | None = None
    """Reason for an undefined index beyond those of its components."""

    @property
    def is_complete(self) -> bool:
        return not self.missing

    @property
    def missing(self) -> dict[str, Missing]:
        """Return the reason for each undefined component, and for an undefined part of a defined targeting."""
        reasons = {
            str(term.component): term.value.missing for term in self.terms.values() if term.value.missing
        }
        if "targeting" not in reasons:
            parts = {"targeting.budget": self.targeting.budget, "targeting.families": self.targeting.families}
            reasons |= {name: part.missing for name, part in parts.items() if part.missing}
        if self.index_missing is not None:
            reasons["index"] = self.index_missing
        return reasons


def evaluate(
    inputs: ScorecardInputs, method: Method, *, only_coverage: bool = False, withheld: bool = False
) -> Evaluation:
    """Compute all components, the index IKPK = Σ weight·component / Σ weight over the defined components, and its
    class. `only_coverage`: for districts and villages, which have no plans. `withheld`: without spending and index, as
    long as the yardstick is open.

    With a fair yardstick a region without a plan and any component besides P has no index: steps count without data.
    """
    targeting, figure = (
        compute_targeting(inputs),
        compute_spending_figure(inputs, method, counted=method.fair_yardstick),
    )
    if figure.percent is not None and not method.fair_yardstick:
        top = max(inputs.highest_spending_percent or 0.0, figure.percent)
        inputs = inputs.model_copy(update={"highest_spending_percent": top})
    process = IndexValue(
        inputs.process_percent, None if inputs.process_percent is not None else Missing.no_score
    )
    values = {
        IndexComponent.process: process,
        IndexComponent.coverage: compute_coverage(inputs.services),
        IndexComponent.targeting: targeting.total,
        IndexComponent.spending: compute_spending(figure, inputs.highest_spending_percent),
        IndexComponent.outcome: compute_outcome(inputs.indicators),
    }
    if withheld and figure.percent is not None:
        values[IndexComponent.spending] = IndexValue(None, Missing.yardstick_open)
    if only_coverage:
        undefined = IndexValue(None, Missing.not_at_level)
        values = {
            name: value if name is IndexComponent.coverage else undefined for name, value in values.items()
        }
        targeting, figure = Targeting(undefined, undefined, undefined), undefined
    weights = {name: round(getattr(method, f"weight_{name}") * _MILLION) for name in values}
    defined = {
        name: round_to_hundredths(value.percent)
        for name, value in values.items()
        if value.percent is not None
    }
    index_missing: Missing | None = None
    if withheld:
        index_missing = Missing.yardstick_open
    elif method.fair_yardstick and inputs.budget is None and not defined.keys() - {IndexComponent.process}:
        index_missing = Missing.nothing_measured
    whole = 0 if index_missing else sum(weights[name] for name in defined)
    index = _divide(sum(weights[name] * defined[name] for name in defined), whole) if whole else None
    terms = {
        name: Term(
            name,
            value,
            weights[name] / _MILLION,
            round(weights[name] / whole, 6) if name in defined and whole else 0.0,
            _divide(weights[name] * defined[name], whole) if name in defined and whole else None,
        )
        for name, value in values.items()
    }
    index_class = classify_index(index, method)
    return Evaluation(inputs, method, terms, targeting, figure, index, index_class, index_missing)


def classify_index(index: float | None, method: Method) -> str | None:
    """Return the class of the published index by the names and thresholds of the method: Berdaya from 80, Berkembang
    from 60, Bertumbuh below. Returns None without an index."""
    if index is None:
        return None
    if index >= method.class_high_from:
        return method.class_high
    return method.class_middle if index >= method.class_middle_from else method.class_low


# Ranks


class RankFigures(NamedTuple):
    """The figures of a region that decide its rank."""

    region: str
    ikpk: float | None
    coverage: float | None
    process: float | None
    reach: float | None
    rank_reach: float


def explain_missing_rank(figures: RankFigures) -> NotRanked | None:
    """Return the reason why a region gets no rank: no index, no reach R, or R below the method's 70. Else None."""
    if figures.ikpk is None:
        return NotRanked.no_index
    if figures.reach is None:
        return NotRanked.reach_unknown
    return NotRanked.reach_too_low if figures.reach < figures.rank_reach else None


def rank_regions(group: Iterable[RankFigures]) -> dict[str, int]:
    """Rank regions by the index, ties by K, then P. Equals in all three share a rank; the next stays free."""

    def key(figures: RankFigures) -> tuple[float, float, float]:
        return (figures.ikpk or 0.0, _fill_gap(figures.coverage), _fill_gap(figures.process))

    ranking = sorted(
        (figures for figures in group if explain_missing_rank(figures) is None), key=key, reverse=True
    )
    ranked: dict[str, int] = {}
    for rank, figures in enumerate(ranking, start=1):
        is_tied = rank > 1 and key(ranking[rank - 2]) == key(figures)
        ranked[figures.region] = ranked[ranking[rank - 2].region] if is_tied else rank
    return ranked


def _fill_gap(value: float | None) -> float:
    return -1.0 if value is None else value


# Hypothetical inputs


def apply_changes(
    inputs: ScorecardInputs, changes: Mapping[str, Any]
) -> tuple[ScorecardInputs, list[FieldError]]:
    """Apply `ScorecardChanges` (without nulls) to inputs. Return the result, with an error for each unknown service or
    indicator and each part above its whole."""
    values = dict(changes)
    errors: list[FieldError] = []
    given: dict[str, object] = {}
    for name, key in (("services", "service"), ("indicators", "indicator")):
        known = {getattr(row, key): row for row in getattr(inputs, name)}
        for n, item in enumerate(values.pop(name, ())):
            if item[key] not in known:
                pointer = f"/{name}/{n}/{key}"
                errors.append(
                    describe_unknown(item[key], name, known, allowed=sorted(known), pointer=pointer)
                )
                continue
            known[item[key]] = known[item[key]].model_copy(update=item)
        given[name] = list(known.values())
    result = inputs.model_copy(update={**values, **given})
    for part, whole in PARTS:
        value, limit = getattr(result, part), getattr(result, whole)
        if value is not None and limit is not None and value > limit:
            errors.append(
                FieldError(
                    part_over_whole,
                    pointer=f"/{part if part in values else whole}",
                    value=value,
                    allowed=f"≤ {limit}",
                    values={"whole": whole, "limit": limit},
                )
            )
    return result, errors


class NextUnit(NamedTuple):
    """The next unit of an input, as the changes for `what-if`. `of`: the service, the indicator or the input."""

    component: IndexComponent
    of: str | None
    changes: dict[str, object]


def list_next_units(inputs: ScorecardInputs) -> Iterator[NextUnit]:
    """Yield the next unit of each input that can still rise: one percent of its whole, at least one family or rupiah,
    at most the remainder. The unit of the process is one point of its score."""
    if inputs.process_percent is not None and inputs.process_percent < 100:
        raised = min(100.0, round(inputs.process_percent + 1, 2))
        yield NextUnit(IndexComponent.process, None, {"process_percent": raised})
    for service in inputs.services:
        if service.served < service.eligible:
            served = service.served + _size_unit(service.eligible, service.eligible - service.served)
            change = {"service": service.service, "eligible": service.eligible, "served": served}
            yield NextUnit(IndexComponent.coverage, service.service, {"services": [change]})
    for part, whole in PARTS:
        value, limit = getattr(inputs, part), getattr(inputs, whole)
        if limit and (value or 0) < limit:
            raised = (value or 0) + _size_unit(limit, limit - (value or 0))
            yield NextUnit(IndexComponent.targeting, part, {part: raised})
    counted = (inputs.counted_direct, inputs.counted_indirect, inputs.counted_supporting)
    is_all_counted = counted[0] is None
    spent = inputs.spent or 0 if is_all_counted else sum(amount or 0 for amount in counted)
    if inputs.budget and spent < inputs.budget:
        name = "spent_direct" if is_all_counted else "counted_direct"
        more = _size_unit(inputs.budget, inputs.budget - spent)
        yield NextUnit(IndexComponent.spending, name, {name: (getattr(inputs, name) or 0) + more})
    for indicator in inputs.indicators:
        share = measure_achievement(indicator)
        if share is not None and share < 100 and indicator.actual is not None:
            point = (indicator.target - indicator.baseline) / 100
            actual = round(indicator.actual + point, 6)
            change = {"indicator": indicator.indicator, "actual": actual}
            yield NextUnit(IndexComponent.outcome, indicator.indicator, {"indicators": [change]})


def _size_unit(whole: int, left: int) -> int:
    """Return one percent of the whole, rounded up, at most the remainder."""
    return min(-(-whole // 100), left)


class Gain(NamedTuple):
    step: NextUnit
    ikpk: float
    gain: float


def list_gains(now: Evaluation, method: Method) -> list[Gain]:
    """Return the gain of each next unit in points of the index, largest first, without gains below two decimals."""
    if now.index is None:
        return []
    result = []
    for step in list_next_units(now.inputs):
        inputs, _ = apply_changes(now.inputs, step.changes)
        after = evaluate(inputs, method).index
        if after is not None and after > now.index:
            result.append(Gain(step, after, _subtract(after, now.index)))
    return sorted(result, key=lambda gain: -gain.gain)


def _subtract(after: float, before: float) -> float:
    return (round_to_hundredths(after) - round_to_hundredths(before)) / 100


def compute_difference(after: float | None, before: float | None) -> float | None:
    """Return the percentage points from one figure to another. Returns None without both."""
    return None if after is None or before is None else _subtract(after, before)
