"""Figures of a region and of its comparison group. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.convergence.editions.methods.models import Method
from app.convergence.scorecards.models import Content
from app.convergence.scorecards.rules import (
    RegionFigures,
    Subject,
    add_sums,
    build_inputs,
    compute_own_spending,
    parse_method,
)
from app.convergence.scorecards.yardsticks.models import Yardstick
from app.convergence.scorecards.yardsticks.rules import SpendingPlan, choose_yardstick
from app.reference.models import RegionLevel

NATION = "0"


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

    def find_yardstick(self, period: str, method: Method) -> Yardstick:
        """Return the yardstick for a region that the method measures: the settled one, else that of the plans in force.

        They are those of the province's regencies; for the nation, of its provinces, each pooled with its regencies.
        A method without a fair yardstick takes all of them.
        """
        province = self.own[:2]
        if method.fair_yardstick and (province, period) in self.settled:
            return self.settled[province, period]
        plans = self._pool_provinces(period, method) if self.own == NATION else self._list_plans(period)
        if not method.fair_yardstick:
            return choose_yardstick(
                [plan._replace(fair_method=None, has_open_errors=False) for plan in plans], None
            )
        chosen = choose_yardstick(plans, self.get(province, period).fair_method)
        instants = [
            row.settled_at
            for plan in chosen.counted
            if (row := self.settled.get((plan.region_code, period))) and row.settled_at
        ]
        if not instants or len(instants) < len(chosen.counted):
            return chosen
        # The nation's, of provinces that are all settled: no key of a regency is in `settled`.
        return chosen.model_copy(update={"settled_at": max(instants)})

    def _list_plans(self, period: str) -> list[SpendingPlan]:
        return [
            SpendingPlan(
                figures.region_code,
                figures.spending_percent,
                figures.uncapped_percent,
                figures.fair_method,
                bool(figures.open_errors),
            )
            for figures in self.list_regencies(period)
            if figures.in_force
        ]

    def _pool_provinces(self, period: str, method: Method) -> list[SpendingPlan]:
        by_province: dict[str, list[RegionFigures]] = {}
        for figures in (*self._list_level(RegionLevel.province, period), *self.list_regencies(period)):
            by_province.setdefault(figures.region_code[:2], []).append(figures)
        pooled = {province: add_sums(group) for province, group in by_province.items()}
        return [
            SpendingPlan(
                province,
                compute_own_spending(sums, method, counted=method.fair_yardstick),
                compute_own_spending(sums, method, counted=False),
                method.edition,
                has_open_errors=False,
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

    def pool_sums(self, period: str) -> dict[str, int]:
        below = (*self._list_level(RegionLevel.province, period), *self.list_regencies(period))
        return add_sums(below)
