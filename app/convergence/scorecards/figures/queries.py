"""Queries that compute the figures of scorecards, with as many statements for a province as for one region.

Money: a line's allocation counts at each of its locations with the amount stated there; the remainder splits evenly
over its locations without an amount, in whole rupiah, rounded down. Spending counts in the class that the report
gives; without one, in the only class of the line's components. In a class with travel and other costs, travel takes
its planned share of the spending.
"""

import json
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.models import Role, TokenScope
from app.access.rules import CONSOLE, Actor, Grant
from app.convergence.coverage.models import CoverageRow, ExpectedCoverageRow
from app.convergence.coverage.queries import regions
from app.convergence.coverage.rules import QUARTERS_BACK, VILLAGE_LENGTH, add_quarters
from app.convergence.coverage.sums.queries import region_sums, service_sums
from app.convergence.editions.methods.models import MethodFields
from app.convergence.editions.methods.queries import EDITIONS, read_methods, services
from app.convergence.editions.queries import read_choices
from app.convergence.editions.step_templates.queries import NoTemplate
from app.convergence.indicators.queries import POVERTY_RATE, observations, read_outcome_inputs
from app.convergence.scorecards.figures.spending.queries import ClassSpending, add_spending, select_spending
from app.convergence.scorecards.models import NO_COVERAGE, SUMS, Content, CoverageContent, ServiceContent
from app.convergence.steps.queries import compute_process_scores
from app.kit.database.engine import get_table
from app.kit.database.json_sql import select_json_tables, sum_where, whole_sum
from app.plans.actions.models import ComponentRow, LocationRow, RecipientKind, RecipientRow, Strategy
from app.plans.copies.queries import select_part, select_priority_locations
from app.plans.core.queries import plans
from app.reference.models import RegionLevel
from app.reference.queries import is_among
from app.tracking.lines.queries import is_report, select_lines_of_quarter, select_plans_of_quarter
from app.tracking.progress.models import ProgressRow
from app.tracking.progress.queries import find_falling_regions

_components, _locations = get_table(ComponentRow), get_table(LocationRow)
_recipients, _progress = get_table(RecipientRow), get_table(ProgressRow)
_coverage, _expected = get_table(CoverageRow), get_table(ExpectedCoverageRow)

_READER = Actor("reader", "reader", frozenset(TokenScope), (Grant(Role.reader, "0", None),))
"""Reader of all plans in force, and of no draft."""


class ComputedFigures(NamedTuple):
    """The computed figures of a region in a quarter."""

    region_code: str
    period: str
    sums: dict[str, int]
    in_force: bool
    open_errors: bool
    """True if a report of the quarter falls (E06)."""
    content: Content


def compute_figures(
    session: Session, codes: Collection[str], period: str, now: datetime
) -> dict[str, ComputedFigures]:
    """Return the own figures of provinces, regencies and the nation in a quarter, by region code: of the plan, of the
    coverage (regencies only), of the steps and of the targets. No rights apply here; the reply applies them."""
    if not codes:
        return {}
    year = int(period[:4])
    plan_sums = _sum_plans(session, codes, period)
    coverages = _sum_coverage(session, codes, period)
    poverties = _read_poverty(session, codes, year)
    process = _read_process(session, _READER, codes, year, now)
    drafts = [code for code, plan in plan_sums.items() if not plan.in_force]
    of_drafts = _read_process(session, CONSOLE, drafts, year, now)
    editions = read_choices(session, EDITIONS, codes, year)
    methods = read_methods(session, {choice.method for choice in editions.values()})
    falling = (
        find_falling_regions(session, codes, period)
        if any(method.fair_yardstick for method in methods.values())
        else set[str]()
    )
    indicators: dict[str, list[dict[str, object]]] = defaultdict(list)
    for row in read_outcome_inputs(session, codes, year):
        names = ("indicator", "direction", "baseline", "target", "actual")
        indicators[row.region_code].append({name: getattr(row, name) for name in names})
    figures = {}
    for code in codes:
        plan = plan_sums.get(code)
        method, poverty = methods[editions[code].method], poverties.get(code, _Poverty(None, None, None))
        coverage = coverages.get(code, NO_COVERAGE)
        content: Content = {
            "has_plan": plan is not None,
            "revision": plan.revision if plan else None,
            "process_percent": process.get(code),
            "process_draft_percent": of_drafts.get(code, process.get(code)),
            "indicators": indicators[code],
            "method": {name: getattr(method, name) for name in ("edition", *MethodFields.model_fields)},
            "services": coverage["services"],
            "families_reporting": coverage["families_reporting"],
            "families_expected": coverage["families_expected"],
            "p0_percent": poverty.value,
            "p0_period": poverty.period,
            "population": poverty.population,
        }
        sums, in_force = plan.sums if plan else dict.fromkeys(SUMS, 0), plan is not None and plan.in_force
        figures[code] = ComputedFigures(code, period, sums, in_force, code in falling, content)
    return figures


def _read_process(
    session: Session, actor: Actor, codes: Collection[str], year: int, now: datetime
) -> dict[str, float | None]:
    """Return P by region, as the actor sees it; empty for a year without steps."""
    if not codes:
        return {}
    try:
        scores = compute_process_scores(session, actor, codes, year, now)
    except NoTemplate:
        return {}
    return {code: None if score.score is None else round(score.score, 2) for code, score in scores.items()}


# Plans


class _PlanSums(NamedTuple):
    """`SumFields` of a plan in a quarter."""

    sums: dict[str, int]
    in_force: bool
    revision: int | None
    """Number of the revision that the sums are of."""


def _sum_plans(session: Session, codes: Collection[str], period: str) -> dict[str, _PlanSums]:
    """Return the sums of each region with a plan of the year."""
    is_chosen = sa.and_(plans.c.year == int(period[:4]), is_among(session, plans.c.region_code, codes))
    chosen = select_plans_of_quarter(is_chosen, period)
    lines = select_lines_of_quarter(chosen, period)
    components, places_of_lines = select_part(lines, _components), select_part(lines, _locations)
    loci_of_plans = select_priority_locations(chosen)
    queries: dict[str, sa.SelectBase] = {
        "plans": sa.select(
            plans.c.id,
            plans.c.region_code,
            plans.c.revision.is_not(None).label("in_force"),
            chosen.c.revision,
        ).join_from(chosen, plans, plans.c.id == chosen.c.plan_id),
        "money": _select_money(lines),
        "planned": _select_planned(lines, components),
        **select_spending(lines, components),
        "places": _sum_located(lines, places_of_lines, loci_of_plans),
        "loci": _sum_loci(chosen, lines, places_of_lines, loci_of_plans, period),
        "recipients": _sum_recipients(lines, select_part(lines, _recipients)),
    }
    row = session.execute(select_json_tables(queries)).one()
    plan_rows, money, planned, whole, divided, places, loci, recipients = map(json.loads, row)
    by_plan: dict[int, dict[str, int]] = {plan["id"]: dict.fromkeys(SUMS, 0) for plan in plan_rows}
    for sums in (*money, *places, *loci):
        by_plan[sums.pop("plan_id")].update(sums)
    for amount in planned:
        by_plan[amount["plan_id"]][f"planned_{amount['component_class']}"] = amount["amount"]
    add_spending(by_plan, [ClassSpending(**item) for item in (*whole, *divided)])
    for aimed in recipients:
        by_plan[aimed["plan_id"]][f"recipients_{aimed['kind']}"] = aimed["recipients"]
        by_plan[aimed["plan_id"]][f"budget_{aimed['kind']}"] = aimed["budget"]
    return {
        plan["region_code"]: _PlanSums(by_plan[plan["id"]], bool(plan["in_force"]), plan["revision"])
        for plan in plan_rows
    }


def _select_money(lines: sa.CTE) -> sa.SelectBase:
    return (
        sa.select(
            lines.c.plan_id,
            sa.func.count().label("lines"),
            sa.func.count(_progress.c.period).label("lines_reported"),
            whole_sum(lines.c.allocation).label("budget"),
            whole_sum(_progress.c.spent).label("spent"),
        )
        .select_from(lines.outerjoin(_progress, is_report(lines, _progress)))
        .group_by(lines.c.plan_id)
    )


def _select_planned(lines: sa.CTE, components: sa.Subquery) -> sa.SelectBase:
    c = components.c
    return (
        sa.select(lines.c.plan_id, c.component_class, whole_sum(c.amount).label("amount"))
        .select_from(lines.join(components, c.action_id == lines.c.id))
        .group_by(lines.c.plan_id, c.component_class)
    )


def _list_places(code: ColumnElement[str]) -> list[sa.SQLColumnExpression[object]]:
    """Return the codes of a region and of the district and the regency that contain it."""
    return [code, sa.func.substr(code, 1, 8), sa.func.substr(code, 1, 5)]


def _sum_located(lines: sa.CTE, places: sa.Subquery, loci: sa.Subquery) -> sa.SelectBase:
    """Select for each plan its budget at villages, and the part of it in priority locations."""
    c = places.c
    stated = (
        sa.select(
            c.action_id,
            (sa.func.count() - sa.func.count(c.amount)).label("open"),
            whole_sum(c.amount).label("amount"),
        )
        .group_by(c.action_id)
        .subquery("stated")
    )
    unstated = lines.c.allocation - stated.c.amount
    share = sa.case((unstated > 0, unstated // sa.func.nullif(stated.c.open, 0)), else_=0)
    placed = sa.func.coalesce(c.amount, share)
    is_locus = sa.exists().where(
        loci.c.plan_id == lines.c.plan_id, loci.c.region_code.in_(_list_places(c.region_code))
    )
    return (
        sa.select(
            lines.c.plan_id,
            whole_sum(placed).label("budget_at_villages"),
            sum_where(is_locus.correlate(lines, places), placed).label("budget_in_loci"),
        )
        .select_from(
            lines.join(places, c.action_id == lines.c.id).join(stated, stated.c.action_id == lines.c.id)
        )
        .where(sa.func.length(c.region_code) == VILLAGE_LENGTH)
        .group_by(lines.c.plan_id)
    )


def _sum_loci(
    chosen: sa.CTE, lines: sa.CTE, places: sa.Subquery, loci: sa.Subquery, period: str
) -> sa.SelectBase:
    """Select for each plan its priority locations, their families, and the families of those where each strategy has a
    funded line that names the location or a place in it (as finding W04)."""
    c = places.c
    reached = (
        sa.select(loci.c.plan_id, loci.c.region_code)
        .select_from(
            lines.join(places, c.action_id == lines.c.id).join(
                loci,
                sa.and_(
                    loci.c.plan_id == lines.c.plan_id, loci.c.region_code.in_(_list_places(c.region_code))
                ),
            )
        )
        .where(lines.c.allocation > 0)
        .group_by(loci.c.plan_id, loci.c.region_code)
        .having(sa.func.count(lines.c.strategy.distinct()) == len(Strategy))
        .subquery("reached")
    )
    families = sa.func.coalesce(
        _read_families(loci, _coverage, [period]),
        loci.c.target_families,
        # A submitted quarter keeps them; the earlier reports themselves may change.
        sa.case(
            (chosen.c.is_closed, _read_families(loci, _expected, [period])),
            else_=_read_families(
                loci, _coverage, [add_quarters(period, -back) for back in range(1, QUARTERS_BACK + 1)]
            ),
        ),
    )
    locus = (
        sa.select(
            loci.c.plan_id, families.label("families"), reached.c.region_code.is_not(None).label("funded")
        )
        .select_from(
            loci.join(chosen, chosen.c.plan_id == loci.c.plan_id).outerjoin(
                reached,
                sa.and_(reached.c.plan_id == loci.c.plan_id, reached.c.region_code == loci.c.region_code),
            )
        )
        .subquery("locus")
    )
    return sa.select(
        locus.c.plan_id,
        sa.func.count().label("loci"),
        (sa.func.count() - sa.func.count(locus.c.families)).label("loci_without_target"),
        whole_sum(locus.c.families).label("families_in_loci"),
        sum_where(locus.c.funded, locus.c.families).label("families_in_funded_loci"),
    ).group_by(locus.c.plan_id)


def _read_families(loci: sa.Subquery, table: sa.Table, periods: list[str]) -> sa.SQLColumnExpression[object]:
    """Select the latest target families of each locus in these quarters, of a table by village and quarter."""
    return (
        sa.select(table.c.target_families)
        .where(table.c.village == loci.c.region_code, table.c.period.in_(periods))
        .order_by(table.c.period.desc())
        .limit(1)
        .correlate(loci)
        .scalar_subquery()
    )


def _sum_recipients(lines: sa.CTE, recipients: sa.Subquery) -> sa.SelectBase:
    """Select by plan the recipients and the budget of lines with families only, and of lines with persons only."""
    c = recipients.c
    of_line = (
        sa.select(c.action_id, sa.func.min(c.kind).label("kind"), whole_sum(c["count"]).label("recipients"))
        .group_by(c.action_id)
        .having(sa.func.min(c.kind) == sa.func.max(c.kind), sa.func.coalesce(sa.func.sum(c["count"]), 0) > 0)
        .subquery("of_line")
    )
    kinds = [RecipientKind.families.value, RecipientKind.persons.value]
    return (
        sa.select(
            lines.c.plan_id,
            of_line.c.kind,
            whole_sum(of_line.c.recipients).label("recipients"),
            whole_sum(lines.c.allocation).label("budget"),
        )
        .select_from(lines.join(of_line, of_line.c.action_id == lines.c.id))
        .where(sa.cast(of_line.c.kind, sa.Text).in_(kinds))
        .group_by(lines.c.plan_id, of_line.c.kind)
    )


# Coverage and poverty


def _sum_coverage(session: Session, codes: Collection[str], period: str) -> dict[str, CoverageContent]:
    """Return the services and the families of each regency with coverage in the quarter."""
    s, r = service_sums.c, region_sums.c
    of_services = (
        sa.select(
            s.region_code,
            s.service,
            services.c.strategy,
            whole_sum(s.eligible).label("eligible"),
            whole_sum(s.served).label("served"),
        )
        .select_from(
            service_sums.join(
                services, sa.and_(services.c.edition == s.service_package, services.c.code == s.service)
            )
        )
        .where(s.period == period, s.level == RegionLevel.regency, is_among(session, s.region_code, codes))
        .group_by(s.region_code, s.service, services.c.strategy)
        .order_by(s.region_code, sa.func.min(services.c.position), s.service)
    )
    result: dict[str, CoverageContent] = {}
    families = sa.select(r.region_code, r.families_reporting, r.families_expected, r.villages_foreseen).where(
        r.period == period, r.level == RegionLevel.regency, is_among(session, r.region_code, codes)
    )
    for region, reporting, expected, foreseen in session.execute(families):
        result[region] = CoverageContent(
            services=[], families_reporting=reporting, families_expected=expected if foreseen else None
        )
    for region, service, strategy, eligible, served in session.execute(of_services):
        if region in result:
            counts = ServiceContent(service=service, strategy=strategy, eligible=eligible, served=served)
            result[region]["services"].append(counts)
    return result


class _Poverty(NamedTuple):
    """The newest P0 up to a year, its period, and the population."""

    value: float | None
    period: str | None
    population: int | None


def _read_poverty(session: Session, codes: Collection[str], year: int) -> dict[str, _Poverty]:
    o = observations.c
    newest = (
        sa.select(sa.func.max(o.period))
        .where(
            o.region_code == regions.c.code,
            o.indicator == POVERTY_RATE,
            o.value.is_not(None),
            o.period < str(year + 1),
        )
        .correlate(regions)
        .scalar_subquery()
    )
    value = observations.alias("value")
    is_newest = sa.and_(
        value.c.region_code == regions.c.code, value.c.indicator == POVERTY_RATE, value.c.period == newest
    )
    query = (
        sa.select(regions.c.code, value.c.value, value.c.period, regions.c.population)
        .select_from(regions.outerjoin(value, is_newest))
        .where(is_among(session, regions.c.code, codes))
    )
    return {code: _Poverty(*poverty) for code, *poverty in session.execute(query)}
