"""Strategy balance: lines, money, recipients and coverage of each plan by strategy."""

from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.queries import is_in_region
from app.access.rules import Actor
from app.convergence.coverage.queries import build_percent
from app.convergence.coverage.sums.queries import service_sums
from app.convergence.editions.methods.queries import services
from app.kit.database.engine import get_table
from app.kit.database.json_sql import select_fields, whole_sum
from app.kit.fields import show_example
from app.kit.http.pagination import Listing
from app.kit.periods import Period
from app.kit.tables.columns import column
from app.kit.wording import Text
from app.plans.actions.models import RecipientKind, Strategy
from app.plans.core.queries import plans, regions
from app.reference.models import RegionLevel, StrategyRow
from app.reports.definition import ReportDefinition, build_listing, compute_percent
from app.reports.models import PLAN_EXAMPLE, REVISION_COLUMN, MoneyColumns, PeriodQuery, PlanColumns
from app.tracking.lines.queries import is_visible_plan, select_lines_of_quarter, select_plans_of_quarter
from app.tracking.summaries.queries import sum_money_by_group, sum_recipients_by_group

_strategies = get_table(StrategyRow)


class _OfStrategy(PlanColumns):
    to_quarter: str = column(
        Text("S.d. Triwulan", "To quarter"),
        Text(
            "Triwulan; angka kumulatif s.d. akhir triwulan ini.",
            "Quarter; the figures are cumulative to its end.",
        ),
        width=10,
    )
    strategy: Strategy = column(
        Text("Strategi (Singkat)", "Strategy (short)"),
        Text("Kunci strategi.", "Key of the strategy."),
        width=30,
    )
    strategy_name: str = column(
        Text("Strategi", "Strategy"), Text("Nama strategi.", "Indonesian name of the strategy."), width=40
    )


class StrategyBalance(MoneyColumns, _OfStrategy):
    """Strategy in a plan, with or without lines."""

    share_percent: float | None = column(
        Text("Bagian Alokasi (%)", "Share of allocation (%)"),
        Text(
            "Bagian alokasi rencana, persen; kosong bila rencana tanpa alokasi.",
            "Share of the plan's allocation, percent; null without an allocation.",
        ),
        width=11,
    )
    families: int = column(
        Text("Sasaran Keluarga", "Families"),
        Text("Keluarga sasaran.", "Planned recipients: families."),
        width=11,
    )
    persons: int = column(
        Text("Sasaran Orang", "Persons"), Text("Orang sasaran.", "Planned recipients: persons."), width=11
    )
    groups: int = column(
        Text("Sasaran Kelompok", "Groups"), Text("Kelompok sasaran.", "Planned recipients: groups."), width=11
    )
    villages: int = column(
        Text("Sasaran Desa", "Villages"), Text("Desa sasaran.", "Planned recipients: villages."), width=11
    )
    units: int = column(
        Text("Sasaran Unit", "Units"),
        Text("Unit sasaran, misalnya sekolah.", "Planned recipients: units, such as schools."),
        width=11,
    )
    eligible: int = column(
        Text("Yang Berhak", "Eligible"),
        Text(
            "Jumlah yang berhak atas layanan strategi ini di desa yang melapor.",
            "Eligible for the strategy's services in the villages that report.",
        ),
        width=11,
    )
    served: int = column(
        Text("Yang Terlayani", "Served"),
        Text("Jumlah yang terlayani.", "Served among the eligible."),
        width=11,
    )
    coverage_percent: float | None = column(
        Text("Cakupan Layanan (%)", "Coverage (%)"),
        Text(
            "Cakupan strategi (KD), persen; kosong bila tidak ada yang berhak.",
            "Coverage of the strategy (KD), percent; null without eligible recipients.",
        ),
        width=11,
    )
    revision: int | None = REVISION_COLUMN

    model_config = show_example(
        PLAN_EXAMPLE,
        to_quarter="2026-Q2",
        strategy="raise_income",
        strategy_name="Peningkatan pendapatan masyarakat",
        lines=41,
        allocated=96400000000,
        spent=31812000000,
        absorption_percent=33.0,
        share_percent=15.24,
        families=1200,
        persons=860,
        groups=74,
        villages=12,
        units=0,
        eligible=960,
        served=240,
        coverage_percent=25.0,
        revision=0,
    )


class BalanceQuery(PeriodQuery):
    sort: Literal["region_code", "-region_code", "allocated", "-allocated", "lines", "-lines"] = "region_code"


def list_strategy_balance(session: Session, actor: Actor, query: BalanceQuery, now: datetime) -> Listing:
    """Return a row for every visible plan of the period's year and every strategy."""
    period = Period.parse(query.period)
    is_visible = is_visible_plan(actor, query.region, period.year)
    chosen = select_plans_of_quarter(is_visible, period.last_quarter)
    lines = select_lines_of_quarter(chosen, period.last_quarter)
    money, recipients = _sum_money(lines).subquery("money"), _sum_recipients(lines).subquery("aimed")
    coverage = _sum_coverage(query.region, period.last_quarter).subquery("covered")
    totals = sa.select(lines.c.plan_id, whole_sum(lines.c.allocation).label("allocated"))
    total = totals.group_by(lines.c.plan_id).subquery("total")
    strategy = _strategies.c.key

    def is_of_plan(sums: sa.Subquery) -> ColumnElement[bool]:
        return sa.and_(sums.c.plan_id == plans.c.id, sums.c.strategy == strategy)

    counted = {name: sa.func.coalesce(money.c[name], 0) for name in ("lines", "allocated", "spent")}
    columns: dict[str, sa.SQLColumnExpression[object]] = {
        **counted,
        **{kind.value: sa.func.coalesce(recipients.c[kind.value], 0) for kind in RecipientKind},
        "region_name": regions.c.name,
        "plan": plans.c.code,
        "to_quarter": sa.literal(period.last_quarter),
        "strategy": strategy,
        "strategy_name": _strategies.c.name,
        "absorption_percent": compute_percent(counted["spent"], counted["allocated"]),
        "share_percent": compute_percent(counted["allocated"], sa.func.coalesce(total.c.allocated, 0)),
        **{name: sa.func.coalesce(coverage.c[name], 0) for name in ("eligible", "served")},
        "coverage_percent": build_percent(coverage.c.served, coverage.c.eligible),
        "revision": chosen.c.revision,
    }
    rows = (
        sa.select(*select_fields(StrategyBalance, plans, **columns))
        .select_from(
            plans.join(chosen, chosen.c.plan_id == plans.c.id)
            .join(regions, regions.c.code == plans.c.region_code)
            .join(_strategies, sa.true())
            .outerjoin(money, is_of_plan(money))
            .outerjoin(recipients, is_of_plan(recipients))
            .outerjoin(total, total.c.plan_id == plans.c.id)
            .outerjoin(
                coverage,
                sa.and_(coverage.c.region_code == plans.c.region_code, coverage.c.strategy == strategy),
            )
        )
        .where(sa.or_(_strategies.c.retired.is_(False), money.c.lines.is_not(None)))
    )
    sorts = ("region_code", "allocated", "lines")
    return build_listing(StrategyBalance, rows, sorts=sorts, key=("region_code", "strategy"))


def _sum_money(lines: sa.CTE) -> sa.SelectBase:
    c = sum_money_by_group(lines).subquery("by_agency").c
    return sa.select(
        c.plan_id,
        c.strategy,
        whole_sum(c.actions).label("lines"),
        whole_sum(c.allocated).label("allocated"),
        whole_sum(c.spent).label("spent"),
    ).group_by(c.plan_id, c.strategy)


def _sum_recipients(lines: sa.CTE) -> sa.SelectBase:
    c = sum_recipients_by_group(lines).subquery("by_kind").c
    kinds = [
        whole_sum(sa.case((c.kind == kind, c.planned), else_=0)).label(kind.value) for kind in RecipientKind
    ]
    return sa.select(c.plan_id, c.strategy, *kinds).group_by(c.plan_id, c.strategy)


def _sum_coverage(region: str, quarter: str) -> sa.SelectBase:
    """Map (region, strategy) to E and C over all services; a province pools its regencies (domain, section 7)."""
    c = service_sums.c
    is_counted = sa.and_(
        c.period == quarter, c.level == RegionLevel.regency, is_in_region(c.region_code, region)
    )
    of_service = sa.and_(services.c.edition == c.service_package, services.c.code == c.service)
    homes = (c.region_code, sa.func.substr(c.region_code, 1, 2))
    each = [
        sa.select(home.label("region_code"), services.c.strategy, c.eligible, c.served)
        .join_from(service_sums, services, of_service)
        .where(is_counted)
        for home in homes
    ]
    both = sa.union_all(*each).subquery("both")
    sums = [whole_sum(both.c[name]).label(name) for name in ("eligible", "served")]
    return sa.select(both.c.region_code, both.c.strategy, *sums).group_by(both.c.region_code, both.c.strategy)


REPORT = ReportDefinition(
    name="strategy-balance",
    title=Text("Keseimbangan strategi", "Strategy balance"),
    description=Text(
        "Tiap strategi dalam tiap rencana: baris, alokasi, realisasi, penerima yang direncanakan, dan cakupan layanan "
        "strategi itu pada triwulan yang sama bila dilaporkan.",
        "Each strategy in each plan, with or without lines: lines, money in whole rupiah, planned recipients by kind, "
        "and the coverage of the strategy's services in the quarter, if reported.",
    ),
    row=StrategyBalance,
    asked=BalanceQuery,
    rows=list_strategy_balance,
)
