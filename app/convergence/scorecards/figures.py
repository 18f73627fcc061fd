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
from types import SimpleNamespace
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.models import Role, TokenScope
from app.access.rules import CONSOLE, Actor, Grant
from app.convergence.coverage.aggregate_sql import whole_sum
from app.convergence.coverage.aggregates import region_sums, service_sums
from app.convergence.coverage.models import CoverageRow
from app.convergence.coverage.queries import regions
from app.convergence.coverage.rules import QUARTERS_BACK, quarters_from
from app.convergence.editions.methods.models import MethodFields
from app.convergence.editions.methods.queries import EDITIONS, methods_of, services
from app.convergence.editions.queries import choices_of
from app.convergence.editions.step_templates.queries import NoTemplate
from app.convergence.indicators.queries import observations, outcome_inputs
from app.convergence.scorecards.models import SUMS
from app.convergence.steps.queries import process_scores
from app.kit.database.engine import table_of
from app.kit.database.json_sql import json_rows
from app.plans.actions.models import (
    ComponentRow,
    LocationRow,
    RecipientKind,
    RecipientRow,
    Strategy,
)
from app.plans.actions.queries import actions
from app.plans.core.models import PriorityLocationRow
from app.plans.core.queries import plans
from app.reference.models import RegionLevel
from app.reference.queries import among
from app.tracking.progress.aggregates import lines_of
from app.tracking.progress.models import ComponentSpendingRow, ProgressRow

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

Rows = Iterable[Any]


class Computed(NamedTuple):
    """Figures of a region in a quarter, computed anew."""

    region_code: str
    period: str
    sums: dict[str, int]
    in_force: bool
    content: dict[str, object]


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
        method = methods[editions[code].method]
        content = {
            "has_plan": in_force is not None,
            "process_percent": process.get(code),
            "process_draft_percent": of_drafts.get(code, process.get(code)),
            "indicators": indicators[code],
            "method": {name: getattr(method, name) for name in ("edition", *MethodFields.model_fields)},
            **covered.get(code, {"services": [], "families_reporting": 0, "families_expected": None}),
            **poor.get(code, {"p0_percent": None, "p0_period": None, "population": None}),
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
    queries = {
        "plans": sa.select(chosen.c.id, chosen.c.region_code, chosen.c.revision),
        "money": _money(lines),
        "planned": _planned(lines),
        "spent": _spent_by_class(spending, classes),
        "travel": _partly_travel(spending, classes),
        "places": _at_places(lines),
        "loci": _loci_reached(chosen, lines, period),
        "recipients": _recipients_of_one_kind(lines),
    }
    parts = [sa.cast(json_rows(query, name=f"{name}_row"), sa.Text) for name, query in queries.items()]
    row = session.execute(sa.select(*parts)).one()
    texts = dict(zip(queries, row, strict=True))
    rows = {
        name: json.loads(text, object_hook=lambda fields: SimpleNamespace(**fields))
        for name, text in texts.items()
    }
    by_plan: dict[int, dict[str, int]] = {one.id: dict.fromkeys(SUMS, 0) for one in rows["plans"]}
    _fill(by_plan, rows)
    return {one.region_code: (by_plan[one.id], one.revision is not None) for one in rows["plans"]}


def _fill(by_plan: Mapping[int, dict[str, int]], rows: Mapping[str, Rows]) -> None:
    for one in rows["money"]:
        by_plan[one.plan_id].update(
            lines=one.lines, lines_reported=one.reported, budget=one.budget, spent=one.spent
        )
    for one in rows["planned"]:
        by_plan[one.plan_id][f"planned_{one.component_class}"] = one.amount
    for one in rows["spent"]:
        by_plan[one.plan_id][f"spent_{one.component_class}"] += one.spent - one.travel
        by_plan[one.plan_id]["spent_travel"] += one.travel
    for one in rows["travel"]:
        travel = one.spent * one.travel // one.amount
        by_plan[one.plan_id][f"spent_{one.component_class}"] -= travel
        by_plan[one.plan_id]["spent_travel"] += travel
    for one in rows["places"]:
        by_plan[one.plan_id].update(budget_at_villages=one.at_villages, budget_in_loci=one.in_loci)
    for one in rows["loci"]:
        by_plan[one.plan_id].update(
            loci=one.loci,
            loci_without_target=one.without_target,
            families_in_loci=one.families,
            families_in_funded_loci=one.funded,
        )
    for one in rows["recipients"]:
        by_plan[one.plan_id][f"recipients_{one.kind}"] = one.recipients
        by_plan[one.plan_id][f"budget_{one.kind}"] = one.budget


def _whole(value: object) -> sa.SQLColumnExpression[object]:
    return sa.func.coalesce(whole_sum(value), 0)


def _reported(lines: sa.CTE, table: sa.Table) -> ColumnElement[bool]:
    return sa.and_(table.c.action_id == lines.c.id, table.c.period == lines.c.period)


def _money(lines: sa.CTE) -> Select[Any]:
    return (
        sa.select(
            lines.c.plan_id,
            sa.func.count().label("lines"),
            sa.func.count(_progress.c.period).label("reported"),
            _whole(lines.c.allocation).label("budget"),
            _whole(_progress.c.spent).label("spent"),
        )
        .select_from(lines.outerjoin(_progress, _reported(lines, _progress)))
        .group_by(lines.c.plan_id)
    )


def _planned(lines: sa.CTE) -> Select[Any]:
    c = _components.c
    return (
        sa.select(lines.c.plan_id, c.component_class, _whole(c.amount).label("amount"))
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
            whole_sum(sa.case((c.is_travel, amount), else_=0)).label("travel"),
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


def _spent_by_class(one: sa.CTE, classes: sa.CTE) -> Select[Any]:
    """(plan, class) → spent, and what of it is travel because all of the line's class is."""
    of = sa.and_(classes.c.action_id == one.c.id, classes.c.component_class == one.c.component_class)
    return (
        sa.select(
            one.c.plan_id,
            one.c.component_class,
            _whole(one.c.spent).label("spent"),
            _whole(sa.case((classes.c.all_travel == 1, one.c.spent), else_=0)).label("travel"),
        )
        .select_from(one.outerjoin(classes, of))
        .group_by(one.c.plan_id, one.c.component_class)
    )


def _partly_travel(one: sa.CTE, classes: sa.CTE) -> Select[Any]:
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


def _at_places(lines: sa.CTE) -> Select[Any]:
    """plan → budget placed at villages, and of that in priority locations."""
    c = _locations.c
    stated = (
        sa.select(
            c.action_id,
            (sa.func.count() - sa.func.count(c.amount)).label("open"),
            _whole(c.amount).label("amount"),
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
            _whole(placed).label("at_villages"),
            _whole(sa.case((is_locus.correlate(lines, _locations), placed), else_=0)).label("in_loci"),
        )
        .select_from(
            lines.join(_locations, c.action_id == lines.c.id).join(stated, stated.c.action_id == lines.c.id)
        )
        .where(sa.func.length(c.region_code) == VILLAGE_LENGTH)
        .group_by(lines.c.plan_id)
    )


def _loci_reached(chosen: sa.CTE, lines: sa.CTE, period: str) -> Select[Any]:
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
        (sa.func.count() - sa.func.count(one.c.families)).label("without_target"),
        _whole(one.c.families).label("families"),
        _whole(sa.case((one.c.funded, one.c.families), else_=0)).label("funded"),
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


def _recipients_of_one_kind(lines: sa.CTE) -> Select[Any]:
    """(plan, kind) → recipients and budget of the lines that aim at that kind alone, of families and of persons."""
    c = _recipients.c
    of_line = (
        sa.select(c.action_id, sa.func.min(c.kind).label("kind"), _whole(c["count"]).label("recipients"))
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
            _whole(of_line.c.recipients).label("recipients"),
            _whole(lines.c.allocation).label("budget"),
        )
        .select_from(lines.join(of_line, of_line.c.action_id == lines.c.id))
        .where(sa.cast(of_line.c.kind, sa.Text).in_(kinds))
        .group_by(lines.c.plan_id, of_line.c.kind)
    )


# Coverage, and who is poor


def _coverage_of(session: Session, codes: Collection[str], period: str) -> dict[str, dict[str, object]]:
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
    found: dict[str, dict[str, Any]] = {}
    families = sa.select(r.region_code, r.families_reporting, r.families_expected, r.villages_foreseen).where(
        r.period == period, r.level == RegionLevel.regency, among(session, r.region_code, codes)
    )
    for row in session.execute(families):
        expected = row.families_expected if row.villages_foreseen else None
        found[row.region_code] = {
            "services": [],
            "families_reporting": row.families_reporting,
            "families_expected": expected,
        }
    for row in session.execute(of_services):
        told = {name: getattr(row, name) for name in ("service", "strategy", "eligible", "served")}
        if row.region_code in found:
            found[row.region_code]["services"].append(told)
    return found


def _poor(session: Session, codes: Collection[str], year: int) -> dict[str, dict[str, object]]:
    """Region → newest P0 published up to the year, its period, and the population."""
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
    return {
        row.code: {"p0_percent": row.value, "p0_period": row.period, "population": row.population}
        for row in session.execute(found)
    }
