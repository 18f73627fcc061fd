"""The formulas of the index (domain, section 7), from published inputs to published figures. Pure.

Each step starts from what the step before publishes, at two decimals, halves up, and works in whole
numbers: whoever recomputes from a scorecard meets the same digits, by hand or in any language. What has no
denominator is undefined (None) with the reason why: never 0, never 100.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.convergence.coverage.rules import Count, percent, pooled
from app.convergence.editions.methods.models import Method
from app.convergence.indicators.rules import achievement
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


class Value(NamedTuple):
    """A figure in percent, two decimals; or why there is none."""

    percent: float | None
    missing: Missing | None = None


def hundredths(value: float) -> int:
    """A figure in percent as a whole number of hundredths, halves up."""
    return math.floor(value * 100 + 0.5)


def _quotient(part: int, whole: int) -> float:
    """part / whole hundredths of a percent as percent: halves up, in whole numbers."""
    return ((2 * part + whole) // (2 * whole)) / 100


def mean(figures: Collection[float]) -> float:
    """Arithmetic mean of published percentages, two decimals; there must be one."""
    return _quotient(sum(map(hundredths, figures)), len(figures))


# Components


@dataclass(frozen=True)
class Targeting:
    """T and what it is the mean of."""

    total: Value
    budget: Value
    families: Value


def targeting(inputs: ScorecardInputs) -> Targeting:
    """T in percent: the mean of budget in loci / budget at villages (rupiah) and H of loci that a funded line of
    each strategy reaches / H of all loci (families). Domain, section 7.

    Where one of the two is undefined, T is the other; where no locus is named, both are.
    """
    at_villages, in_loci = inputs.budget_at_villages, inputs.budget_in_loci
    families, funded = inputs.families_in_loci, inputs.families_in_funded_loci
    if not inputs.loci and not in_loci and not families:
        why = Missing.no_plan if inputs.loci is None else Missing.no_loci
        return Targeting(Value(None, why), Value(None, why), Value(None, why))
    budget = (
        Value(percent(in_loci or 0, at_villages)) if at_villages else Value(None, Missing.no_village_budget)
    )
    reached = Value(percent(funded or 0, families)) if families else Value(None, Missing.no_families)
    defined = [one.percent for one in (budget, reached) if one.percent is not None]
    total = Value(mean(defined)) if defined else Value(None, budget.missing)
    return Targeting(total, budget, reached)


def spending_figure(inputs: ScorecardInputs, method: Method) -> Value:
    """What is spent of the total budget in percent, weighted by class: 0.50·direct/B + 0.30·indirect/B +
    0.20·supporting/B (the shares are the method's), travel left out. PMK 97/2023 article 3 (3) a and b: `Xi`.
    """
    if inputs.budget is None:
        return Value(None, Missing.no_plan)
    if not inputs.budget:
        return Value(None, Missing.no_budget)
    weighted = spent = 0
    for share, amount in (
        (method.share_direct, inputs.spent_direct),
        (method.share_indirect, inputs.spent_indirect),
        (method.share_supporting, inputs.spent_supporting),
    ):
        weighted += round(share * _MILLION) * (amount or 0)
        spent += amount or 0
    if not spent and not inputs.lines_reported:
        return Value(None, Missing.no_report)
    if not spent and inputs.spent:
        return Value(None, Missing.no_classes)
    return Value(_quotient(10_000 * weighted, inputs.budget * _MILLION))


def spending(figure: Value, highest: float | None) -> Value:
    """X: the spending figure in percent of the highest of its group. PMK 97/2023 article 3 (3) c: `Xi × 100 / Xmaks`.

    Never above 100: a region outside of the group is measured by itself where it is higher.
    """
    if figure.percent is None:
        return figure
    top = max(highest or 0.0, figure.percent)
    if not top:
        return Value(None, Missing.nobody_spent)
    return Value(_quotient(10_000 * hundredths(figure.percent), hundredths(top)))


def outcome(indicators: Sequence[IndicatorInput]) -> Value:
    """O: the mean over the indicators of the share of the way from baseline to target that was made, in percent
    (`indicators.rules.achievement`). Indicators without a value, or whose target is no better, are left out."""
    if not indicators:
        return Value(None, Missing.no_targets)
    made = [one for one in map(achieved, indicators) if one is not None]
    return Value(mean(made)) if made else Value(None, Missing.no_observation)


def achieved(one: IndicatorInput) -> float | None:
    """Share of the way that one indicator made, in percent, two decimals; None where it is undefined."""
    if one.actual is None:
        return None
    made = achievement(one.baseline, one.target, one.actual, one.direction)
    return None if made is None else hundredths(made) / 100


def coverage(services: Iterable[ServiceInput]) -> Value:
    """K in percent: served of eligible families, all services pooled."""
    total = pooled(Count(one.eligible, one.served) for one in services)
    found = percent(total.served, total.eligible)
    return Value(found, None if found is not None else Missing.nobody_eligible)


# The index


@dataclass(frozen=True)
class Term:
    """A component in the index: its value, its weight among those that are there, and what the two give."""

    component: IndexComponent
    value: Value
    weight: float
    weight_used: float
    contribution: float | None


@dataclass(frozen=True)
class Evaluated:
    """Inputs with everything that follows from them by a method."""

    inputs: ScorecardInputs
    terms: dict[IndexComponent, Term]
    targeting: Targeting
    spending_figure: Value
    index: float | None
    classed: str | None

    @property
    def is_complete(self) -> bool:
        return not self.missing

    @property
    def missing(self) -> dict[str, Missing]:
        """What is undefined → why: components, and the part of targeting that the other stands in for."""
        found = {str(one.component): one.value.missing for one in self.terms.values() if one.value.missing}
        if "targeting" not in found:
            parts = {"targeting.budget": self.targeting.budget, "targeting.families": self.targeting.families}
            found |= {name: part.missing for name, part in parts.items() if part.missing}
        return found


def evaluate(inputs: ScorecardInputs, method: Method, *, only_coverage: bool = False) -> Evaluated:
    """Every component, the index IKPK = Σ weight·component / Σ weight over the components that are there, and its
    class. `only_coverage`: of a district or a village, for which nobody plans."""
    places, figure = targeting(inputs), spending_figure(inputs, method)
    if figure.percent is not None:
        top = max(inputs.highest_spending_percent or 0.0, figure.percent)
        inputs = inputs.model_copy(update={"highest_spending_percent": top})
    process = Value(inputs.process_percent, None if inputs.process_percent is not None else Missing.no_score)
    values = {
        IndexComponent.process: process,
        IndexComponent.coverage: coverage(inputs.services),
        IndexComponent.targeting: places.total,
        IndexComponent.spending: spending(figure, inputs.highest_spending_percent),
        IndexComponent.outcome: outcome(inputs.indicators),
    }
    if only_coverage:
        nowhere = Value(None, Missing.not_at_level)
        values = {
            name: value if name is IndexComponent.coverage else nowhere for name, value in values.items()
        }
        places, figure = Targeting(nowhere, nowhere, nowhere), nowhere
    weights = {name: round(getattr(method, f"weight_{name}") * _MILLION) for name in values}
    there = {name: hundredths(one.percent) for name, one in values.items() if one.percent is not None}
    whole = sum(weights[name] for name in there)
    index = _quotient(sum(weights[name] * there[name] for name in there), whole) if whole else None
    terms = {
        name: Term(
            name,
            value,
            weights[name] / _MILLION,
            round(weights[name] / whole, 6) if name in there and whole else 0.0,
            _quotient(weights[name] * there[name], whole) if name in there and whole else None,
        )
        for name, value in values.items()
    }
    return Evaluated(inputs, terms, places, figure, index, class_of(index, method))


def class_of(index: float | None, method: Method) -> str | None:
    """Berdaya from 80, Berkembang from 60, Bertumbuh below (names and thresholds are the method's), judged on
    the published index."""
    if index is None:
        return None
    if index >= method.class_high_from:
        return method.class_high
    return method.class_middle if index >= method.class_middle_from else method.class_low


# Ranks


class Standing(NamedTuple):
    """What a rank is decided by."""

    region: str
    ikpk: float | None
    coverage: float | None
    process: float | None
    reach: float | None
    rank_reach: float


def not_ranked(one: Standing) -> NotRanked | None:
    """Why a region gets no rank: reach R below the method's 70, or nothing to measure it by."""
    if one.ikpk is None:
        return NotRanked.no_index
    if one.reach is None:
        return NotRanked.reach_unknown
    return NotRanked.reach_too_low if one.reach < one.rank_reach else None


def ranks(group: Iterable[Standing]) -> dict[str, int]:
    """Region → rank by the index, ties by K, then P; equal in all three is the same rank, and the next is left out."""

    def key(one: Standing) -> tuple[float, float, float]:
        return (one.ikpk or 0.0, _or_below(one.coverage), _or_below(one.process))

    found = sorted((one for one in group if not_ranked(one) is None), key=key, reverse=True)
    ranked: dict[str, int] = {}
    for place, one in enumerate(found, start=1):
        is_tied = place > 1 and key(found[place - 2]) == key(one)
        ranked[one.region] = ranked[found[place - 2].region] if is_tied else place
    return ranked


def _or_below(value: float | None) -> float:
    return -1.0 if value is None else value


# What is tried out


def changed(inputs: ScorecardInputs, changes: Mapping[str, Any]) -> tuple[ScorecardInputs, list[FieldError]]:
    """The inputs with others in their place (`ScorecardChanges`, without nulls), and what cannot be tried: an unknown
    service or indicator, a part above its whole."""
    told = dict(changes)
    errors: list[FieldError] = []
    given: dict[str, object] = {}
    for name, key in (("services", "service"), ("indicators", "indicator")):
        known = {getattr(one, key): one for one in getattr(inputs, name)}
        for n, item in enumerate(told.pop(name, ())):
            if item[key] not in known:
                place, source = f"/{name}/{n}/{key}", f"inputs.{name}"
                errors.append(
                    describe_unknown(item[key], source, known, allowed=sorted(known), pointer=place)
                )
                continue
            known[item[key]] = known[item[key]].model_copy(update=item)
        given[name] = list(known.values())
    found = inputs.model_copy(update={**told, **given})
    for part, whole in PARTS:
        value, limit = getattr(found, part), getattr(found, whole)
        if value is not None and limit is not None and value > limit:
            errors.append(
                FieldError(
                    part_over_whole,
                    pointer=f"/{part if part in told else whole}",
                    value=value,
                    allowed=f"≤ {limit}",
                    values={"whole": whole, "limit": limit},
                )
            )
    return found, errors


class Step(NamedTuple):
    """A unit that a region can achieve next: what changes in the inputs, and which one of several."""

    component: IndexComponent
    of: str | None
    changes: dict[str, object]


def next_steps(inputs: ScorecardInputs) -> Iterator[Step]:
    """The next unit of every input that can still rise: one percent of what is not reached yet counts as one, at
    least one family or rupiah, at most what is left; of the steps one point of their score."""
    if inputs.process_percent is not None and inputs.process_percent < 100:
        raised = min(100.0, round(inputs.process_percent + 1, 2))
        yield Step(IndexComponent.process, None, {"process_percent": raised})
    for one in inputs.services:
        if one.served < one.eligible:
            served = one.served + _unit(one.eligible, one.eligible - one.served)
            change = {"service": one.service, "eligible": one.eligible, "served": served}
            yield Step(IndexComponent.coverage, one.service, {"services": [change]})
    for part, whole in PARTS:
        value, limit = getattr(inputs, part), getattr(inputs, whole)
        if limit and (value or 0) < limit:
            raised = (value or 0) + _unit(limit, limit - (value or 0))
            yield Step(IndexComponent.targeting, part, {part: raised})
    if inputs.budget and (inputs.spent or 0) < inputs.budget:
        more = _unit(inputs.budget, inputs.budget - (inputs.spent or 0))
        yield Step(
            IndexComponent.spending, "spent_direct", {"spent_direct": (inputs.spent_direct or 0) + more}
        )
    for indicator in inputs.indicators:
        made = achieved(indicator)
        if made is not None and made < 100 and indicator.actual is not None:
            way = (indicator.target - indicator.baseline) / 100
            actual = round(indicator.actual + way, 6)
            change = {"indicator": indicator.indicator, "actual": actual}
            yield Step(IndexComponent.outcome, indicator.indicator, {"indicators": [change]})


def _unit(whole: int, left: int) -> int:
    """One percent of the whole, rounded up, at most what is left."""
    return min(-(-whole // 100), left)


class Gain(NamedTuple):
    step: Step
    ikpk: float
    gain: float


def gains(now: Evaluated, method: Method) -> list[Gain]:
    """What each next unit would add to the index, most first; those that add nothing at two decimals are left out."""
    if now.index is None:
        return []
    found = []
    for step in next_steps(now.inputs):
        inputs, _ = changed(now.inputs, step.changes)
        after = evaluate(inputs, method).index
        if after is not None and after > now.index:
            found.append(Gain(step, after, _difference(after, now.index)))
    return sorted(found, key=lambda one: -one.gain)


def _difference(after: float, before: float) -> float:
    return (hundredths(after) - hundredths(before)) / 100


def difference(after: float | None, before: float | None) -> float | None:
    """Percentage points from one figure to another; None where one of them is undefined."""
    return None if after is None or before is None else _difference(after, before)
