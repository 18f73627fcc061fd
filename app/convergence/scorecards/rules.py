"""Replies of scorecards, built from figures. Pure."""

from collections.abc import Mapping

from app.convergence.coverage.models import StrategyCoverage
from app.convergence.coverage.rules import compute_percent, find_balance
from app.convergence.scorecards.groups.rules import Subject
from app.convergence.scorecards.index.models import IndexComponent
from app.convergence.scorecards.index.rules import (
    Evaluation,
    RankFigures,
    compute_difference,
    compute_spending,
    compute_spending_figure,
    explain_missing_rank,
    list_gains,
    round_to_hundredths,
)
from app.convergence.scorecards.models import (
    ChangeOut,
    ClassShare,
    ComponentChange,
    ComponentDifference,
    ComponentOut,
    GainOut,
    Incentive,
    MissingOut,
    MoneyOut,
    RankedRegency,
    Scorecard,
    ScorecardCore,
    WhatIf,
)
from app.plans.actions.models import ComponentClass

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
