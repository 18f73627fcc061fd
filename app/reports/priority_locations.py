"""Reach of priority locations: strategies and agencies that work in each priority village of a plan."""

from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlmodel import Session

from app.access.queries import can_see_region, is_below_region, is_in_region
from app.access.rules import Actor
from app.kit.database.engine import get_table
from app.kit.database.json_sql import build_json_values, select_fields, whole_sum
from app.kit.fields import RegionCode, show_example
from app.kit.http.pagination import Listing, match_values
from app.kit.tables.columns import column
from app.kit.wording import Text
from app.plans.actions.models import LocationRow, Strategy
from app.plans.actions.queries import actions
from app.plans.core.models import PriorityLocationRow
from app.plans.core.queries import can_see_plan, plans, regions
from app.reference.models import StrategyRow
from app.reports.definition import ReportDefinition, build_listing
from app.reports.models import PLAN_EXAMPLE, PlanColumns, ReportQuery, YearQuery

_priorities, _locations = get_table(PriorityLocationRow), get_table(LocationRow)
_strategies, _places = get_table(StrategyRow), regions.alias("place")


class LocationReach(PlanColumns):
    """Priority location with the lines that reach it."""

    location_code: RegionCode = column(
        Text("Kode Lokasi", "Location code"),
        Text("Kode lokasi prioritas.", "Code of the priority location."),
        width=15,
    )
    location_name: str = column(
        Text("Lokasi Prioritas", "Priority location"),
        Text("Nama lokasi prioritas.", "Name of the location."),
        width=26,
    )
    target_families: int | None = column(
        Text("Keluarga Sasaran", "Target families"),
        Text("Keluarga sasaran menurut rencana.", "Target families in the plan; null: not in the plan."),
        width=11,
    )
    strategies: list[Strategy] = column(
        Text("Strategi yang Menjangkau", "Strategies that reach it"),
        Text(
            "Strategi yang menjangkau lokasi ini: ada baris yang menyebutnya atau tempat di dalamnya.",
            "Strategies with a line that names the location or a place inside it.",
        ),
        width=40,
    )
    missing_strategies: list[Strategy] = column(
        Text("Strategi yang Belum Menjangkau", "Missing strategies"),
        Text("Strategi yang belum menjangkau lokasi ini.", "Strategies without such a line."),
        width=40,
    )
    lines: int = column(
        Text("Jumlah Baris", "Lines"),
        Text("Jumlah baris yang menjangkau lokasi ini.", "Lines that reach the location."),
        width=10,
    )
    agencies: int = column(
        Text("Jumlah Perangkat Daerah", "Agencies"),
        Text("Jumlah perangkat daerah penanggung jawab baris itu.", "Agencies that lead these lines."),
        width=11,
    )
    funded_amount: int = column(
        Text("Anggaran di Lokasi (Rp)", "Amount (Rp)"),
        Text(
            "Anggaran baris untuk lokasi ini, rupiah.", "Amount of the lines for the location, whole rupiah."
        ),
        width=20,
    )
    lines_without_amount: int = column(
        Text("Baris tanpa Anggaran", "Lines without amount"),
        Text("Baris tanpa anggaran untuk lokasi ini.", "Lines without an amount for the location."),
        width=11,
    )
    recipients: int = column(
        Text("Penerima Manfaat", "Recipients"),
        Text("Penerima manfaat yang direncanakan di lokasi ini.", "Recipients of the lines at the location."),
        width=12,
    )

    model_config = show_example(
        PLAN_EXAMPLE,
        location_code="63.02.05.2001",
        location_name="Sekapung",
        target_families=141,
        strategies=["reduce_spending_burden", "raise_income"],
        missing_strategies=["reduce_poverty_pockets"],
        lines=5,
        agencies=3,
        funded_amount=310000000,
        lines_without_amount=1,
        recipients=96,
    )


class ReachQuery(YearQuery, ReportQuery):
    sort: Literal["location_code", "-location_code", "lines", "-lines", "funded_amount", "-funded_amount"] = (
        "location_code"
    )


def list_priority_locations(session: Session, actor: Actor, query: ReachQuery, now: datetime) -> Listing:
    """Return the priority locations. Finding W04 uses the same rule of reach; a test compares the two."""
    reach = _list_reach(actor, query).subquery("reach")
    of_priority = sa.and_(
        reach.c.plan_id == _priorities.c.plan_id, reach.c.place == _priorities.c.region_code
    )
    is_reached = sa.exists().where(of_priority, reach.c.strategy == _strategies.c.key)
    strategies = sa.select(_strategies.c.key).order_by(_strategies.c.number)
    reached = strategies.where(is_reached.correlate(_priorities, _strategies))
    missing = strategies.where(
        _strategies.c.retired.is_(False), ~is_reached.correlate(_priorities, _strategies)
    )
    sums = (
        sa.select(
            reach.c.plan_id,
            reach.c.place,
            sa.func.count().label("lines"),
            sa.func.count(reach.c.lead_agency.distinct()).label("agencies"),
            whole_sum(reach.c.amount).label("funded_amount"),
            sa.func.count().filter(reach.c.amount.is_(None)).label("lines_without_amount"),
            whole_sum(reach.c.recipients).label("recipients"),
        )
        .group_by(reach.c.plan_id, reach.c.place)
        .subquery("sums")
    )
    counted = ("lines", "agencies", "funded_amount", "lines_without_amount", "recipients")
    columns: dict[str, sa.SQLColumnExpression[object]] = {
        **{name: sa.func.coalesce(sums.c[name], 0) for name in counted},
        "region_code": plans.c.region_code,
        "region_name": regions.c.name,
        "plan": plans.c.code,
        "location_code": _priorities.c.region_code,
        "location_name": _places.c.name,
        "strategies": build_json_values(reached.correlate(_priorities), name="reached"),
        "missing_strategies": build_json_values(missing.correlate(_priorities), name="missing"),
    }
    of_sums = sa.and_(sums.c.plan_id == _priorities.c.plan_id, sums.c.place == _priorities.c.region_code)
    rows = (
        sa.select(*select_fields(LocationReach, _priorities, **columns))
        .select_from(
            _priorities.join(plans, plans.c.id == _priorities.c.plan_id)
            .join(regions, regions.c.code == plans.c.region_code)
            .join(_places, _places.c.code == _priorities.c.region_code)
            .outerjoin(sums, of_sums)
        )
        .where(
            can_see_plan(actor),
            is_in_region(_priorities.c.region_code, query.region),
            *match_values((plans.c.year, query.year)),
        )
    )
    sorts = ("location_code", "lines", "funded_amount")
    return build_listing(LocationReach, rows, sorts=sorts, key=("location_code", "plan"))


def _list_reach(actor: Actor, query: ReachQuery) -> sa.SelectBase:
    """Map (plan, priority location, line) to strategy, agency, and the money and recipients of the line there."""
    place, named = _priorities.c.region_code, _locations.c.region_code
    rows = (
        sa.select(
            _priorities.c.plan_id,
            place.label("place"),
            actions.c.id,
            actions.c.strategy,
            actions.c.lead_agency,
            sa.func.sum(_locations.c.amount).label("amount"),
            sa.func.sum(_locations.c.recipients).label("recipients"),
        )
        .select_from(
            _priorities.join(actions, actions.c.plan_id == _priorities.c.plan_id).join(
                _locations,
                sa.and_(
                    _locations.c.action_id == actions.c.id,
                    sa.or_(named == place, is_below_region(named, place)),
                ),
            )
        )
        .where(can_see_region(actor, actions.c.region_code), is_in_region(place, query.region))
        .group_by(_priorities.c.plan_id, place, actions.c.id, actions.c.strategy, actions.c.lead_agency)
    )
    return rows if query.year is None else rows.where(actions.c.year == query.year)


REPORT = ReportDefinition(
    name="priority-locations",
    title=Text("Keterjangkauan lokasi prioritas", "Reach of priority locations"),
    description=Text(
        "Tiap lokasi prioritas: strategi yang sudah dan belum menjangkaunya, perangkat daerah, anggaran di lokasi "
        "itu, dan keluarga sasaran.",
        "Each priority location with the strategies that reach it and those that do not, agencies, amount in whole "
        "rupiah and target families. A line reaches a location if it names the location or a place inside it.",
    ),
    row=LocationReach,
    asked=ReachQuery,
    rows=list_priority_locations,
)
