"""Replies of scorecards, built from figures. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.convergence.coverage.models import StrategyCoverage
from app.convergence.coverage.rules import (
    CoverageCount,
    ReachInput,
    VillageStatus,
    compute_percent,
    compute_reach,
    find_balance,
    pool_by_strategy,
)
from app.convergence.editions.methods.models import Method
from app.convergence.indicators.models import Direction
from app.convergence.scorecards.index.models import (
    IndexComponent,
    IndicatorInput,
    ScorecardInputs,
    ServiceInput,
)
from app.convergence.scorecards.index.rules import (
    Evaluation,
    RankFigures,
    compute_difference,
    compute_spending,
    compute_spending_figure,
    evaluate,
    explain_missing_rank,
    list_gains,
    round_to_hundredths,
)
from app.convergence.scorecards.models import (
    SUMS,
    ChangeOut,
    ClassShare,
    ComponentChange,
    ComponentDifference,
    ComponentOut,
    Content,
    GainOut,
    Incentive,
    MissingOut,
    MoneyOut,
    RankedRegency,
    Scorecard,
    ScorecardCore,
    WhatIf,
)
from app.convergence.scorecards.yardsticks.models import Yardstick
from app.convergence.scorecards.yardsticks.rules import narrow_yardstick
from app.plans.actions.models import ComponentClass
from app.reference.models import RegionLevel

FORMULAS = {
    IndexComponent.process: "P = Σ weight · score of a step / Σ weight",
    IndexComponent.coverage: "K = Σ served / Σ eligible × 100, over services and villages",
    IndexComponent.targeting: "T = mean of budget_in_loci / budget_at_villages × 100 and families_in_funded_loci / "
    "families_in_loci × 100",
    IndexComponent.spending: "X = figure × 100 / highest; figure = (share_direct · spent_direct + share_indirect · "
    "spent_indirect + share_supporting · spent_supporting) / budget × 100",
    IndexComponent.outcome: "O = mean over indicators of clamp((baseline − actual) / (baseline − target), 0, 1) × 100",
}
COUNTED_SPENDING = FORMULAS[IndexComponent.spending].replace("spent_", "counted_")
LEGAL_BASIS = "PMK 97/2023 pasal 3 ayat (3)"
LARGEST_GAINS = 10
"""Number of next units in a scorecard."""

_COUNTED = tuple(f"counted_{name}" for name in ComponentClass)
_OF_PLAN = tuple(name for name in SUMS if name in ScorecardInputs.model_fields)


@dataclass(frozen=True)
class RegionFigures:
    """The figures of a region in a quarter: stored, computed or frozen."""

    region_code: str
    name: str
    level: RegionLevel
    period: str
    sums: Mapping[str, int]
    in_force: bool
    spending_percent: float | None
    uncapped_percent: float | None
    fair_method: str | None
    open_errors: bool | None
    computed_at: datetime
    amendment: int | None = None
    """Number of the newest frozen amendment; None before the first."""
    text: str | None = field(default=None, repr=False)

    @property
    def content(self) -> Content:
        content: Content = json.loads(self.text or "{}")
        return content


@dataclass(frozen=True)
class Subject:
    """The source of a scorecard: a region's own figures, or the pooled figures of the regions below it."""

    figures: RegionFigures
    inputs: ScorecardInputs
    method: Method
    sums: Mapping[str, int] | None
    """None without a plan in force that the caller may see."""
    content: Content
    yardstick: Yardstick | None = None
    """None for districts and villages."""
    only_coverage: bool = False
    status: VillageStatus | None = None
    withheld: bool = False
    """True if spending and index wait for the yardstick."""

    @property
    def shown_yardstick(self) -> Yardstick | None:
        """Return the yardstick of a fair method; for a regency without the plans of others."""
        if self.yardstick is None or not self.method.fair_yardstick:
            return None
        own = self.figures.region_code if self.figures.level is RegionLevel.regency else None
        return narrow_yardstick(self.yardstick, own)

    @property
    def is_provisional(self) -> bool:
        shown = self.shown_yardstick
        return self.withheld or (shown is not None and shown.settled_at is None)

    @property
    def settled_at(self) -> datetime | None:
        """Instant since which no write to another region changes the highest spending figure; None before."""
        if "highest" in self.content:
            return self.figures.computed_at
        shown = self.shown_yardstick
        return shown.settled_at if shown is not None else None

    @property
    def own_content(self) -> Content:
        """Return the content with the sums, from which the subject can be built again."""
        content: Content = {**self.content, "sums": None if self.sums is None else dict(self.sums)}
        content.pop("before", None)
        return content

    def withhold(self) -> "Subject":
        """Return the subject without what depends on other regions."""
        inputs = self.inputs.model_copy(update={"highest_spending_percent": None})
        return replace(self, inputs=inputs, yardstick=None, withheld=True)

    @property
    def revision(self) -> int | None:
        """Return the revision of the plan of a regency; None for other regions."""
        return self.content.get("revision") if self.figures.level is RegionLevel.regency else None

    @property
    def reach(self) -> float | None:
        families, expected = self.inputs.families_reporting, self.inputs.families_expected
        return None if expected is None else compute_reach(ReachInput(families, expected, 1))

    @property
    def strategies(self) -> dict[str, CoverageCount]:
        """Return E and C by strategy."""
        services = self.inputs.services
        counts = {service.service: CoverageCount(service.eligible, service.served) for service in services}
        return pool_by_strategy(counts, {service.service: service.strategy for service in services})

    def evaluate(self) -> Evaluation:
        return evaluate(self.inputs, self.method, only_coverage=self.only_coverage, withheld=self.withheld)


def add_sums(figures: Iterable[RegionFigures]) -> dict[str, int]:
    """Add up the sums of the plans in force of several regions."""
    in_force = [row.sums for row in figures if row.in_force]
    return {name: sum(sums[name] for sums in in_force) for name in SUMS}


def complete_sums(stored: Mapping[str, int | None]) -> dict[str, int]:
    """Return stored sums; all spending counts in those of versions that lacked `counted_*`."""
    spent = {name: stored[name.replace("counted_", "spent_")] or 0 for name in SUMS}
    return {name: spent[name] if (value := stored[name]) is None else value for name in SUMS}


def build_inputs(content: Content, sums: Mapping[str, int] | None, highest: float | None) -> ScorecardInputs:
    """Build the published inputs from stored content and sums; `highest`: highest spending figure of the group."""
    unused = () if parse_method(content).fair_yardstick else _COUNTED
    return ScorecardInputs.model_construct(
        None,
        process_percent=content["process_percent"],
        services=[ServiceInput.model_construct(None, **row) for row in content["services"]],
        families_reporting=content["families_reporting"],
        families_expected=content["families_expected"],
        highest_spending_percent=highest,
        indicators=[
            IndicatorInput.model_construct(None, **{**row, "direction": Direction(str(row["direction"]))})
            for row in content["indicators"]
        ],
        **{name: None if sums is None or name in unused else sums[name] for name in _OF_PLAN},
    )


def parse_method(content: Content) -> Method:
    return Method.model_construct(None, **content["method"])


def compute_own_spending(sums: Mapping[str, int], method: Method, *, counted: bool) -> float | None:
    """Return the spending figure of a region's sums in percent, None without a budget or spending data."""
    inputs = ScorecardInputs.model_construct(None, **sums)
    return compute_spending_figure(inputs, method, counted=counted).percent


def build_core(subject: Subject, now: Evaluation) -> ScorecardCore:
    return ScorecardCore.model_construct(
        index_percent=now.index,
        index_class=now.index_class,
        complete=now.is_complete,
        missing=_list_missing(now),
        components=[
            ComponentOut.model_construct(
                None,
                **{**vars(term), "value": term.value.percent},
                missing=term.value.missing,
                formula=COUNTED_SPENDING
                if term.component is IndexComponent.spending and now.method.fair_yardstick
                else FORMULAS[term.component],
            )
            for term in now.terms.values()
        ],
        targeting_budget_percent=now.targeting.budget.percent,
        targeting_families_percent=now.targeting.families.percent,
        spending_figure_percent=now.spending_figure.percent,
        provisional=subject.is_provisional,
        inputs=now.inputs,
    )


def _list_missing(evaluated: Evaluation) -> list[MissingOut]:
    return [MissingOut.model_construct(of=name, reason=why) for name, why in evaluated.missing.items()]


def explain_scorecard(
    subject: Subject, before: Evaluation | None, before_period: str, *, frozen: int | None
) -> Scorecard:
    """Build the scorecard of a region, compared with the quarter before. `frozen`: number of the amendment."""
    now, figures, sums = subject.evaluate(), subject.figures, subject.sums
    strategies = subject.strategies
    lowest = find_balance(strategies)
    return Scorecard.model_construct(
        **dict(build_core(subject, now)),
        region_code=figures.region_code,
        name=figures.name,
        level=figures.level,
        period=figures.period,
        method=subject.method.edition,
        frozen=frozen is not None,
        amendment=frozen,
        computed_at=figures.computed_at,
        revision=subject.revision,
        balance_percent=lowest.percent,
        lowest_strategy=lowest.strategy,
        by_strategy=StrategyCoverage.from_counts(strategies),
        reach_percent=subject.reach,
        is_rankable=explain_missing_rank(build_rank_figures(subject, now)) is None,
        status=subject.status,
        change=_build_change(now, before, before_period)
        if before is not None and not subject.withheld
        else None,
        raise_most=[
            GainOut.model_construct(None, **gain.step._asdict(), index_percent=gain.ikpk, gain=gain.gain)
            for gain in list_gains(now, subject.method)[:LARGEST_GAINS]
        ],
        money=_build_money(subject, now) if sums is not None else None,
        lines=sums["lines"] if sums is not None else None,
        loci_without_target=sums["loci_without_target"] if sums is not None else None,
        spent_travel=sums["spent_travel"] if sums is not None else None,
        spent_unclassified=_compute_unclassified(sums) if sums is not None else None,
        yardstick=subject.shown_yardstick,
    )


def _build_change(now: Evaluation, before: Evaluation, period: str) -> ChangeOut:
    return ChangeOut.model_construct(
        period=period,
        index_before=before.index,
        difference=compute_difference(now.index, before.index),
        components=[
            ComponentChange.model_construct(
                component=name,
                before=before.terms[name].value.percent,
                difference=compute_difference(term.value.percent, before.terms[name].value.percent),
            )
            for name, term in now.terms.items()
        ],
    )


def _compute_unclassified(sums: Mapping[str, int]) -> int:
    classed = sum(sums[f"spent_{name}"] for name in ComponentClass)
    return sums["spent"] - classed - sums["spent_travel"]


def _build_money(subject: Subject, now: Evaluation) -> MoneyOut:
    sums, content = subject.sums or {}, subject.content
    p0, population = content["p0_percent"], content["population"]
    poor = (
        None if p0 is None or population is None else (round_to_hundredths(p0) * population + 5_000) // 10_000
    )
    budget = sums["budget"]
    return MoneyOut.model_construct(
        budget=budget,
        budget_at_villages=sums["budget_at_villages"],
        budget_in_loci=sums["budget_in_loci"],
        in_loci_percent=compute_percent(sums["budget_in_loci"], sums["budget_at_villages"]),
        p0_percent=p0,
        p0_period=content["p0_period"],
        population=population,
        poor=poor,
        per_poor=_divide_money(budget, poor),
        families=sums["recipients_families"],
        per_family=_divide_money(sums["budget_families"], sums["recipients_families"]),
        persons=sums["recipients_persons"],
        per_person=_divide_money(sums["budget_persons"], sums["recipients_persons"]),
        by_class=_share_by_class(sums),
        incentive=_build_incentive(subject, now),
    )


def _divide_money(amount: int, heads: int | None) -> int | None:
    """Return the whole rupiah per head, halves up; None without heads."""
    return (2 * amount + heads) // (2 * heads) if heads else None


def _share_by_class(sums: Mapping[str, int]) -> list[ClassShare]:
    budget = sums["budget"]
    rows: list[tuple[ComponentClass | None, int, int]] = [
        (name, sums[f"planned_{name}"], sums[f"spent_{name}"]) for name in ComponentClass
    ]
    planned = budget - sum(row[1] for row in rows)
    unclassified = _compute_unclassified(sums)
    if planned or unclassified:
        rows.append((None, planned, unclassified))
    return [
        ClassShare.model_construct(
            component_class=name,
            planned=amount,
            planned_percent=compute_percent(amount, budget) if amount >= 0 else None,
            spent=spent,
            spent_percent=compute_percent(spent, budget) if spent >= 0 else None,
        )
        for name, amount, spent in rows
    ]


def _build_incentive(subject: Subject, now: Evaluation) -> Incentive:
    sums, method = subject.sums or {}, subject.method
    figure = compute_spending_figure(now.inputs, method)
    of_group = subject.yardstick.highest_uncapped_percent if subject.yardstick is not None else None
    shares = [of_group, figure.percent]
    highest = max((share for share in shares if share is not None and not subject.withheld), default=None)
    return Incentive.model_construct(
        None,
        legal_basis=LEGAL_BASIS,
        **{
            f"{name}_percent": compute_percent(sums[f"spent_{name}"], sums["budget"])
            for name in ComponentClass
        },
        **{f"share_{name}": getattr(method, f"share_{name}") for name in ComponentClass},
        travel=sums["spent_travel"],
        figure_percent=figure.percent,
        highest_percent=highest,
        standardised_percent=compute_spending(figure, highest).percent,
    )


def build_rank_figures(subject: Subject, now: Evaluation) -> RankFigures:
    return RankFigures(
        subject.figures.region_code,
        now.index,
        now.terms[IndexComponent.coverage].value.percent,
        now.terms[IndexComponent.process].value.percent,
        subject.reach,
        subject.method.rank_reach,
    )


def build_ranked_regency(subject: Subject, now: Evaluation, rank: int | None) -> RankedRegency:
    figures = subject.figures
    lowest = find_balance(subject.strategies)
    return RankedRegency.model_construct(
        None,
        region_code=figures.region_code,
        name=figures.name,
        rank=rank,
        not_ranked=explain_missing_rank(build_rank_figures(subject, now)),
        index_percent=now.index,
        index_class=now.index_class,
        complete=now.is_complete,
        missing=_list_missing(now),
        **{f"{name}_percent": term.value.percent for name, term in now.terms.items()},
        balance_percent=lowest.percent,
        reach_percent=subject.reach,
        method=subject.method.edition,
        frozen=figures.amendment is not None,
        amendment=figures.amendment,
        provisional=subject.is_provisional,
        computed_at=figures.computed_at,
        revision=subject.revision,
    )


def compare_scorecards(subject: Subject, now: Evaluation, changed: Evaluation) -> WhatIf:
    return WhatIf.model_construct(
        region_code=subject.figures.region_code,
        period=subject.figures.period,
        revision=subject.revision,
        method=subject.method.edition,
        now=build_core(subject, now),
        then=build_core(subject, changed),
        difference=compute_difference(changed.index, now.index),
        components=[
            ComponentDifference.model_construct(
                component=name,
                difference=compute_difference(term.value.percent, now.terms[name].value.percent),
            )
            for name, term in changed.terms.items()
        ],
    )
