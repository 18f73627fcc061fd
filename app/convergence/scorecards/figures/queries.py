"""The figures that scorecards are made of, computed for many regions at once: as many statements for one as
for a whole province.

What is written here of money: a line's allocation counts at each of its locations with the amount stated there;
what it does not state is split evenly over its locations without an amount, in whole rupiah, rounded down.
Spending counts in the class that the report gives it; where it gives none, in the class of the line's
components if they have one only. Of a class that is partly travel, travel is taken to be spent as planned.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.models import Role, TokenScope
from app.access.rules import CONSOLE, Actor, Grant
from app.convergence.coverage.models import CoverageRow
from app.convergence.coverage.queries import regions
from app.convergence.coverage.rules import QUARTERS_BACK, quarters_from
from app.convergence.coverage.sums.queries import region_sums, service_sums
from app.convergence.editions.methods.models import MethodFields
from app.convergence.editions.methods.queries import EDITIONS, methods_of, services
from app.convergence.editions.queries import choices_of
from app.convergence.editions.step_templates.queries import NoTemplate
from app.convergence.indicators.queries import observations, outcome_inputs
from app.convergence.scorecards.models import NO_COVERAGE, SUMS, Content, CoverageContent, ServiceContent
from app.convergence.steps.queries import process_scores
from app.kit.database.engine import table_of
from app.kit.database.json_sql import json_tables, sum_where, whole_sum
from app.plans.actions.models import ComponentRow, LocationRow, RecipientKind, RecipientRow, Strategy
from app.plans.actions.queries import actions
from app.plans.core.models import PriorityLocationRow
from app.plans.core.queries import plans
from app.reference.models import RegionLevel
from app.reference.queries import among
from app.tracking.progress.models import ComponentSpendingRow, ProgressRow
from app.tracking.summaries.queries import lines_of

_components, _locations = table_of(ComponentRow), table_of(LocationRow)
_recipients, _loci = table_of(RecipientRow), table_of(PriorityLocationRow)
_progress, _spent = table_of(ProgressRow), table_of(ComponentSpendingRow)
_coverage = table_of(CoverageRow)

_READER = Actor("reader", "reader", frozenset(TokenScope), (Grant(Role.reader, "0", None),))
"""Whoever sees what is in force everywhere, and no draft."""

P0 = "p0"
"""Code of the indicator by which the poor are counted."""

VILLAGE_LENGTH = 13
"""Characters of a village's code."""


class Computed(NamedTuple):
    """Figures of a region in a quarter, computed anew."""

    region_code: str
    period: str
    sums: dict[str, int]
    in_force: bool
    content: Content


def compute_figures(
    session: Session, codes: Collection[str], period: str, now: datetime
) -> dict[str, Computed]:
    """Region → its own figures in a quarter, of provinces and regencies, and of the nation: those of its plan, of
    its own coverage (regencies), steps and targets. Nobody is asked for; who may see which part is decided where
    they are shown."""
    if not codes:
        return {}
    year = int(period[:4])
    money = _sums_of_plans(session, codes, period)
    covered = _coverage_of(session, codes, period)
    poor = _poor(session, codes, year)
    process = _process(session, _READER, codes, year, now)
    drafts = [code for code, (_, in_force) in money.items() if not in_force]
    of_drafts = _process(session, CONSOLE, drafts, year, now)
    editions = choices_of(session, EDITIONS, codes, year)
    methods = methods_of(session, {one.method for one in editions.values()})
    indicators: dict[str, list[dict[str, object]]] = defaultdict(list)
    for one in outcome_inputs(session, codes, year):
        told = ("indicator", "direction", "baseline", "target", "actual")
        indicators[one.region_code].append({name: getattr(one, name) for name in told})
    found = {}
    for code in codes:
        sums, in_force = money.get(code, (dict.fromkeys(SUMS, 0), None))
        method, poverty = methods[editions[code].method], poor.get(code, _Poverty(None, None, None))
        coverage = covered.get(code, NO_COVERAGE)
        content: Content = {
            "has_plan": in_force is not None,
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
        found[code] = Computed(code, period, sums, bool(in_force), content)
    return found


def _process(
    session: Session, actor: Actor, codes: Collection[str], year: int, now: datetime
) -> dict[str, float | None]:
    """Region → P as the actor sees it; empty for a year that has no steps."""
    if not codes:
        return {}
    try:
        found = process_scores(session, actor, codes, year, now)
    except NoTemplate:
        return {}
    return {code: None if one.score is None else round(one.score, 2) for code, one in found.items()}


# Plans


def _sums_of_plans(
    session: Session, codes: Collection[str], period: str
) -> dict[str, tuple[dict[str, int], bool]]:
    """Region → (`SumFields`, whether its plan is in force), of those that have a plan of the year."""
    chosen = (
        sa.select(plans.c.id, plans.c.region_code, plans.c.revision)
        .where(plans.c.year == int(period[:4]), among(session, plans.c.region_code, codes))
        .cte("chosen")
    )
    lines = lines_of(actions.c.plan_id.in_(sa.select(chosen.c.id)), period)
    classes = _classes(lines)
    spending = _spending(lines, classes)
    queries: dict[str, sa.SelectBase] = {
        "plans": sa.select(chosen.c.id, chosen.c.region_code, chosen.c.revision),
        "money": _money(lines),
        "planned": _planned(lines),
        "spent": _spent_by_class(spending, classes),
        "travel": _partly_travel(spending, classes),
        "places": _at_places(lines),
        "loci": _loci_reached(chosen, lines, period),
        "recipients": _recipients_of_one_kind(lines),
    }
    row = session.execute(json_tables(queries)).one()
    found, money, planned, spent, travel, places, loci, recipients = map(json.loads, row)
    by_plan: dict[int, dict[str, int]] = {one["id"]: dict.fromkeys(SUMS, 0) for one in found}
    for sums in (*money, *places, *loci):
        by_plan[sums.pop("plan_id")].update(sums)
    for amount in planned:
        by_plan[amount["plan_id"]][f"planned_{amount['component_class']}"] = amount["amount"]
    _add_spending(by_plan, [_Spending(**one) for one in spent], [_PartlyTravel(**one) for one in travel])
    for aimed in recipients:
        by_plan[aimed["plan_id"]][f"recipients_{aimed['kind']}"] = aimed["recipients"]
        by_plan[aimed["plan_id"]][f"budget_{aimed['kind']}"] = aimed["budget"]
    return {one["region_code"]: (by_plan[one["id"]], one["revision"] is not None) for one in found}


class _Spending(NamedTuple):
    """Money spent on a class of components of a plan, and how much of it was all travel."""

    plan_id: int
    component_class: str
    spent: int
    travel: int


class _PartlyTravel(NamedTuple):
    """Money spent on a class of a line, with the amounts planned of that: for travel, and in all."""

    plan_id: int
    component_class: str
    spent: int
    travel: int
    amount: int


def _add_spending(
    by_plan: Mapping[int, dict[str, int]], spent: Iterable[_Spending], mixed: Iterable[_PartlyTravel]
) -> None:
    for one in spent:
        by_plan[one.plan_id][f"spent_{one.component_class}"] += one.spent - one.travel
        by_plan[one.plan_id]["spent_travel"] += one.travel
    for part in mixed:
        travel = part.spent * part.travel // part.amount
        by_plan[part.plan_id][f"spent_{part.component_class}"] -= travel
        by_plan[part.plan_id]["spent_travel"] += travel


def _reported(lines: sa.CTE, table: sa.Table) -> ColumnElement[bool]:
    return sa.and_(table.c.action_id == lines.c.id, table.c.period == lines.c.period)


def _money(lines: sa.CTE) -> sa.SelectBase:
    return (
        sa.select(
            lines.c.plan_id,
            sa.func.count().label("lines"),
            sa.func.count(_progress.c.period).label("lines_reported"),
            whole_sum(lines.c.allocation).label("budget"),
            whole_sum(_progress.c.spent).label("spent"),
        )
        .select_from(lines.outerjoin(_progress, _reported(lines, _progress)))
        .group_by(lines.c.plan_id)
    )


def _planned(lines: sa.CTE) -> sa.SelectBase:
    c = _components.c
    return (
        sa.select(lines.c.plan_id, c.component_class, whole_sum(c.amount).label("amount"))
        .select_from(lines.join(_components, c.action_id == lines.c.id))
        .group_by(lines.c.plan_id, c.component_class)
    )


def _classes(lines: sa.CTE) -> sa.CTE:
    """(line, class) → its amount, how much of that is travel, and whether it is nothing but travel."""
    c = _components.c
    amount = sa.func.coalesce(c.amount, 0)
    return (
        sa.select(
            c.action_id,
            c.component_class,
            whole_sum(amount).label("amount"),
            sum_where(c.is_travel, amount).label("travel"),
            sa.func.min(sa.case((c.is_travel, 1), else_=0)).label("all_travel"),
        )
        .where(c.action_id.in_(sa.select(lines.c.id)))
        .group_by(c.action_id, c.component_class)
        .cte("classes")
    )


def _spending(lines: sa.CTE, classes: sa.CTE) -> sa.CTE:
    """(plan, line, class) → spent: as the report splits it; else, of a line of one class, all of it."""
    split = sa.select(
        lines.c.plan_id, lines.c.id, _spent.c.component_class, _spent.c.amount.label("spent")
    ).select_from(lines.join(_spent, _reported(lines, _spent)))
    alone = (
        sa.select(classes.c.action_id, sa.func.min(classes.c.component_class).label("component_class"))
        .group_by(classes.c.action_id)
        .having(sa.func.count() == 1)
        .subquery("alone")
    )
    is_split = sa.exists().where(_reported(lines, _spent)).correlate(lines)
    whole = (
        sa.select(
            lines.c.plan_id,
            lines.c.id,
            sa.type_coerce(alone.c.component_class, _spent.c.component_class.type),
            _progress.c.spent,
        )
        .select_from(
            lines.join(_progress, _reported(lines, _progress)).join(alone, alone.c.action_id == lines.c.id)
        )
        .where(sa.not_(is_split))
    )
    return sa.union_all(split, whole).cte("spending")


def _spent_by_class(one: sa.CTE, classes: sa.CTE) -> sa.SelectBase:
    """(plan, class) → spent, and what of it is travel because all of the line's class is."""
    of = sa.and_(classes.c.action_id == one.c.id, classes.c.component_class == one.c.component_class)
    return (
        sa.select(
            one.c.plan_id,
            one.c.component_class,
            whole_sum(one.c.spent).label("spent"),
            sum_where(classes.c.all_travel == 1, one.c.spent).label("travel"),
        )
        .select_from(one.outerjoin(classes, of))
        .group_by(one.c.plan_id, one.c.component_class)
    )


def _partly_travel(one: sa.CTE, classes: sa.CTE) -> sa.SelectBase:
    """Spending on classes of lines that are travel in part, for arithmetic in whole numbers of any size."""
    of = sa.and_(classes.c.action_id == one.c.id, classes.c.component_class == one.c.component_class)
    return (
        sa.select(one.c.plan_id, one.c.component_class, one.c.spent, classes.c.travel, classes.c.amount)
        .select_from(one.join(classes, of))
        .where(classes.c.travel > 0, classes.c.all_travel == 0)
    )


def _places(code: ColumnElement[str]) -> list[sa.SQLColumnExpression[object]]:
    """A region's code and those of the district and the regency that it lies in."""
    return [code, sa.func.substr(code, 1, 8), sa.func.substr(code, 1, 5)]


def _at_places(lines: sa.CTE) -> sa.SelectBase:
    """plan → budget placed at villages, and of that in priority locations."""
    c = _locations.c
    stated = (
        sa.select(
            c.action_id,
            (sa.func.count() - sa.func.count(c.amount)).label("open"),
            whole_sum(c.amount).label("amount"),
        )
        .where(c.action_id.in_(sa.select(lines.c.id)))
        .group_by(c.action_id)
        .subquery("stated")
    )
    rest = lines.c.allocation - stated.c.amount
    share = sa.case((rest > 0, rest // sa.func.nullif(stated.c.open, 0)), else_=0)
    placed = sa.func.coalesce(c.amount, share)
    is_locus = sa.exists().where(
        _loci.c.plan_id == lines.c.plan_id, _loci.c.region_code.in_(_places(c.region_code))
    )
    return (
        sa.select(
            lines.c.plan_id,
            whole_sum(placed).label("budget_at_villages"),
            sum_where(is_locus.correlate(lines, _locations), placed).label("budget_in_loci"),
        )
        .select_from(
            lines.join(_locations, c.action_id == lines.c.id).join(stated, stated.c.action_id == lines.c.id)
        )
        .where(sa.func.length(c.region_code) == VILLAGE_LENGTH)
        .group_by(lines.c.plan_id)
    )


def _loci_reached(chosen: sa.CTE, lines: sa.CTE, period: str) -> sa.SelectBase:
    """plan → its priority locations, their families, and those of loci that a funded line of each strategy names
    or works inside of (as W04 judges it)."""
    c = _locations.c
    reached = (
        sa.select(_loci.c.plan_id, _loci.c.region_code)
        .select_from(
            lines.join(_locations, c.action_id == lines.c.id).join(
                _loci,
                sa.and_(_loci.c.plan_id == lines.c.plan_id, _loci.c.region_code.in_(_places(c.region_code))),
            )
        )
        .where(lines.c.allocation > 0)
        .group_by(_loci.c.plan_id, _loci.c.region_code)
        .having(sa.func.count(lines.c.strategy.distinct()) == len(Strategy))
        .subquery("reached")
    )
    families = sa.func.coalesce(
        _reported_families(_loci.c.region_code, [period]),
        _loci.c.target_families,
        _reported_families(
            _loci.c.region_code, [quarters_from(period, -back) for back in range(1, QUARTERS_BACK + 1)]
        ),
    )
    one = (
        sa.select(
            _loci.c.plan_id, families.label("families"), reached.c.region_code.is_not(None).label("funded")
        )
        .select_from(
            _loci.join(chosen, chosen.c.id == _loci.c.plan_id).outerjoin(
                reached,
                sa.and_(reached.c.plan_id == _loci.c.plan_id, reached.c.region_code == _loci.c.region_code),
            )
        )
        .subquery("one")
    )
    return sa.select(
        one.c.plan_id,
        sa.func.count().label("loci"),
        (sa.func.count() - sa.func.count(one.c.families)).label("loci_without_target"),
        whole_sum(one.c.families).label("families_in_loci"),
        sum_where(one.c.funded, one.c.families).label("families_in_funded_loci"),
    ).group_by(one.c.plan_id)


def _reported_families(village: ColumnElement[str], periods: list[str]) -> sa.SQLColumnExpression[object]:
    """Target families as a village reported them latest in these quarters."""
    return (
        sa.select(_coverage.c.target_families)
        .where(_coverage.c.village == village, _coverage.c.period.in_(periods))
        .order_by(_coverage.c.period.desc())
        .limit(1)
        .correlate(_loci)
        .scalar_subquery()
    )


def _recipients_of_one_kind(lines: sa.CTE) -> sa.SelectBase:
    """(plan, kind) → recipients and budget of the lines that aim at that kind alone, of families and of persons."""
    c = _recipients.c
    of_line = (
        sa.select(c.action_id, sa.func.min(c.kind).label("kind"), whole_sum(c["count"]).label("recipients"))
        .where(c.action_id.in_(sa.select(lines.c.id)))
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


# Coverage, and who is poor


def _coverage_of(session: Session, codes: Collection[str], period: str) -> dict[str, CoverageContent]:
    """Regency → its services and the families that reach is computed from, of those that have any."""
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
        .where(s.period == period, s.level == RegionLevel.regency, among(session, s.region_code, codes))
        .group_by(s.region_code, s.service, services.c.strategy)
        .order_by(s.region_code, sa.func.min(services.c.position), s.service)
    )
    found: dict[str, CoverageContent] = {}
    families = sa.select(r.region_code, r.families_reporting, r.families_expected, r.villages_foreseen).where(
        r.period == period, r.level == RegionLevel.regency, among(session, r.region_code, codes)
    )
    for region, reporting, expected, foreseen in session.execute(families):
        found[region] = CoverageContent(
            services=[], families_reporting=reporting, families_expected=expected if foreseen else None
        )
    for region, service, strategy, eligible, served in session.execute(of_services):
        if region in found:
            counts = ServiceContent(service=service, strategy=strategy, eligible=eligible, served=served)
            found[region]["services"].append(counts)
    return found


class _Poverty(NamedTuple):
    """Newest P0 published up to a year, its period, and the population."""

    value: float | None
    period: str | None
    population: int | None


def _poor(session: Session, codes: Collection[str], year: int) -> dict[str, _Poverty]:
    o = observations.c
    newest = (
        sa.select(sa.func.max(o.period))
        .where(
            o.region_code == regions.c.code,
            o.indicator == P0,
            o.value.is_not(None),
            o.period < str(year + 1),
        )
        .correlate(regions)
        .scalar_subquery()
    )
    value = observations.alias("value")
    here = sa.and_(value.c.region_code == regions.c.code, value.c.indicator == P0, value.c.period == newest)
    found = (
        sa.select(regions.c.code, value.c.value, value.c.period, regions.c.population)
        .select_from(regions.outerjoin(value, here))
        .where(among(session, regions.c.code, codes))
    )
    return {code: _Poverty(*poverty) for code, *poverty in session.execute(found)}
