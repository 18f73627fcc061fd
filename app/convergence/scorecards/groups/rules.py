"""Figures of a region and of its comparison group, and the subjects of scorecards that follow from them. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.convergence.coverage.rules import (
    CoverageCount,
    ReachInput,
    VillageStatus,
    compute_reach,
    pool_by_strategy,
)
from app.convergence.editions.methods.models import Method
from app.convergence.indicators.models import Direction
from app.convergence.scorecards.index.models import IndicatorInput, ScorecardInputs, ServiceInput
from app.convergence.scorecards.index.rules import Evaluation, compute_spending_figure, evaluate
from app.convergence.scorecards.models import SUMS, Content
from app.convergence.scorecards.yardsticks.models import Yardstick
from app.convergence.scorecards.yardsticks.rules import SpendingPlan, choose_yardstick, narrow_yardstick
from app.plans.actions.models import ComponentClass
from app.reference.models import RegionLevel

NATION = "0"

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
    plan: SpendingPlan
    computed_at: datetime
    amendment: int | None = None
    """Number of the newest frozen amendment; None before the first."""
    revision: int | None = None
    """Revision of the plan that a frozen quarter has; None before the first freeze."""
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
        figures = self.figures
        is_of_plan = figures.level is RegionLevel.regency
        return self.content.get("revision", figures.revision) if is_of_plan else None

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


@dataclass(frozen=True)
class RegionGroup:
    """The figures of a region and of its comparison group, by region and quarter."""

    own: str
    figures: dict[tuple[str, str], RegionFigures]
    settled: dict[tuple[str, str], Yardstick]
    """Settled yardsticks by province and quarter."""

    def get(self, region: str, period: str) -> RegionFigures:
        return self.figures[region, period]

    def list_regencies(self, period: str) -> list[RegionFigures]:
        return self._list_level(RegionLevel.regency, period)

    def _list_level(self, level: RegionLevel, period: str) -> list[RegionFigures]:
        return [row for (_, quarter), row in self.figures.items() if quarter == period and row.level is level]

    def list_below(self, period: str) -> list[RegionFigures]:
        """Return the provinces and the regencies of the group."""
        return [*self._list_level(RegionLevel.province, period), *self.list_regencies(period)]

    def find_yardstick(self, period: str, method: Method) -> Yardstick:
        """Return the yardstick for a region that the method measures: the settled one, else that of the plans in force.

        They are those of the province's regencies; for the nation, of its provinces, each pooled with its regencies.
        A method without a fair yardstick takes all of them.
        """
        province = self.own[:2]
        if method.fair_yardstick and (province, period) in self.settled:
            return self.settled[province, period]
        if self.own == NATION:
            plans = self._pool_provinces(period, method)
        else:
            plans = [figures.plan for figures in self.list_regencies(period) if figures.in_force]
        if not method.fair_yardstick:
            return choose_yardstick(
                [plan._replace(fair_method=None, open_errors=False) for plan in plans], None
            )
        chosen = choose_yardstick(plans, self.get(province, period).plan.fair_method)
        instants = [
            row.settled_at
            for plan in chosen.counted
            if (row := self.settled.get((plan.region_code, period))) and row.settled_at
        ]
        if not instants or len(instants) < len(chosen.counted):
            return chosen
        # The nation's, of provinces that are all settled: no key of a regency is in `settled`.
        return chosen.model_copy(update={"settled_at": max(instants)})

    def _pool_provinces(self, period: str, method: Method) -> list[SpendingPlan]:
        by_province: dict[str, list[RegionFigures]] = {}
        for figures in self.list_below(period):
            by_province.setdefault(figures.region_code[:2], []).append(figures)
        pooled = {province: add_sums(group) for province, group in by_province.items()}
        return [
            SpendingPlan(
                province,
                compute_own_spending(sums, method, counted=method.fair_yardstick),
                compute_own_spending(sums, method, counted=False),
                method.edition,
                open_errors=False,
            )
            for province, sums in pooled.items()
        ]

    def make_subject(
        self, figures: RegionFigures, content: Content, sums: Mapping[str, int] | None
    ) -> Subject:
        """Make a subject with the yardstick of its quarter; older frozen content has its own highest figure."""
        method = parse_method(content)
        yardstick = self.find_yardstick(figures.period, method)
        if "highest" in content:
            own = dict.fromkeys(("highest_percent", "highest_uncapped_percent"), content["highest"])
            yardstick = yardstick.model_copy(update=own)
        inputs = build_inputs(content, sums, yardstick.highest_percent)
        return Subject(figures, inputs, method, sums, content, yardstick)
