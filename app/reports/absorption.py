"""Absorption: spending of each agency against its allocation, quarter by quarter."""

from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.models import AgencyRow
from app.kit.database.engine import get_table, text_type
from app.kit.database.json_sql import select_fields, whole_sum
from app.kit.fields import AgencyCode, show_example
from app.kit.http.pagination import Listing, match_values
from app.kit.periods import Period
from app.kit.tables.columns import column
from app.kit.wording import Text
from app.plans.core.queries import plans, regions
from app.reports.definition import ReportDefinition, build_listing, compute_percent
from app.reports.models import (
    MERGED_COLUMN,
    PLAN_EXAMPLE,
    REVISION_COLUMN,
    LeadAgencyQuery,
    MoneyColumns,
    PeriodQuery,
    PlanColumns,
)
from app.tracking.lines.queries import is_visible_plan, select_lines_of_quarter, select_plans_of_quarter
from app.tracking.summaries.queries import sum_money_by_group

_agencies = get_table(AgencyRow)


class _OfAgency(PlanColumns):
    agency_code: AgencyCode = column(
        Text("Kode Perangkat Daerah", "Agency code"),
        Text("Kode perangkat daerah.", "Agency that leads the lines."),
        width=24,
    )
    agency_name: str = column(
        Text("Perangkat Daerah", "Agency"), Text("Nama perangkat daerah.", "Name of the agency."), width=36
    )
    period: str = column(
        Text("Triwulan", "Quarter"),
        Text("Triwulan.", "Quarter; the figures are cumulative to its end."),
        width=10,
    )


class AgencyAbsorption(MoneyColumns, _OfAgency):
    """Spending of the lines that an agency leads, to the end of a quarter."""

    reported: int = column(
        Text("Baris Dilaporkan", "Lines reported"),
        Text("Baris yang sudah dilaporkan sampai triwulan itu.", "Lines with a report up to the quarter."),
        width=11,
    )
    revision: int | None = REVISION_COLUMN
    merged_into: AgencyCode | None = MERGED_COLUMN

    model_config = show_example(
        PLAN_EXAMPLE,
        agency_code="1.06.0.00.0.00.08.0000",
        agency_name="Dinas Sosial",
        period="2026-Q2",
        lines=12,
        allocated=4200000000,
        spent=1638000000,
        absorption_percent=39.0,
        reported=11,
        revision=0,
        merged_into=None,
    )


class AbsorptionQuery(LeadAgencyQuery, PeriodQuery):
    sort: Literal[
        "region_code",
        "-region_code",
        "agency_code",
        "-agency_code",
        "allocated",
        "-allocated",
        "spent",
        "-spent",
    ] = "region_code"


def list_absorption(session: Session, actor: Actor, query: AbsorptionQuery, now: datetime) -> Listing:
    """Return a row for every agency and every quarter of the period."""
    period = Period.parse(query.period)
    is_chosen = is_visible_plan(actor, query.region, period.year)
    sums = sa.union_all(*[_sum_by_agency(is_chosen, quarter) for quarter in period.quarters]).subquery("sums")
    leads = sa.and_(_agencies.c.region_code == plans.c.region_code, _agencies.c.code == sums.c.lead_agency)
    columns = {
        "region_code": plans.c.region_code,
        "region_name": regions.c.name,
        "plan": plans.c.code,
        "agency_code": sums.c.lead_agency,
        "agency_name": sa.func.coalesce(_agencies.c.name, sums.c.lead_agency),
        "merged_into": _agencies.c.merged_into,
        "absorption_percent": compute_percent(sums.c.spent, sums.c.allocated),
    }
    rows = sa.select(*select_fields(AgencyAbsorption, sums, **columns)).select_from(
        sums.join(plans, plans.c.id == sums.c.plan_id)
        .join(regions, regions.c.code == plans.c.region_code)
        .outerjoin(_agencies, leads)
    )
    rows = rows.where(*match_values((sums.c.lead_agency, query.agency)))
    sorts = ("region_code", "agency_code", "allocated", "spent")
    return build_listing(AgencyAbsorption, rows, sorts=sorts, key=("region_code", "agency_code", "period"))


def _sum_by_agency(is_chosen: ColumnElement[bool], quarter: str) -> sa.SelectBase:
    """Return the sums by plan and agency to the end of a quarter; summaries compute the same ones."""
    name = quarter[-2:].lower()
    chosen = select_plans_of_quarter(is_chosen, quarter, name=f"plans_{name}")
    lines = select_lines_of_quarter(chosen, quarter, name=f"lines_{name}")
    c = sum_money_by_group(lines).subquery(name).c
    return (
        sa.select(
            c.plan_id,
            c.lead_agency,
            chosen.c.revision,
            sa.cast(quarter, text_type(7)).label("period"),
            whole_sum(c.actions).label("lines"),
            *[whole_sum(c[name]).label(name) for name in ("reported", "allocated", "spent")],
        )
        .join(chosen, chosen.c.plan_id == c.plan_id)
        .group_by(c.plan_id, c.lead_agency, chosen.c.revision)
    )


REPORT = ReportDefinition(
    name="absorption",
    title=Text("Serapan anggaran per perangkat daerah", "Absorption by agency"),
    description=Text(
        "Alokasi dan realisasi kumulatif tiap perangkat daerah per triwulan, dengan persen serapan. Periode tahun "
        "atau semester memuat semua triwulannya.",
        "Allocation and cumulative spending of each agency by quarter, with the absorption in percent. A year or a "
        "semester lists each of its quarters. Money in whole rupiah.",
    ),
    row=AgencyAbsorption,
    asked=AbsorptionQuery,
    rows=list_absorption,
)
