"""Overdue milestones: due before a day and not done by it."""

from datetime import date, datetime
from typing import Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.models import AgencyRow
from app.kit.database.engine import get_table
from app.kit.database.json_sql import DaysBetween, select_fields
from app.kit.fields import AgencyCode, Day, Key, show_example
from app.kit.http.pagination import Listing, match_values
from app.kit.tables.columns import column
from app.kit.wording import Text, declare_words
from app.plans.actions.models import MilestoneRow
from app.plans.actions.queries import actions
from app.plans.copies.queries import select_lines, select_part
from app.plans.core.queries import plans, regions
from app.reports.definition import ReportDefinition, build_listing
from app.reports.models import (
    MERGED_COLUMN,
    PLAN_EXAMPLE,
    REVISION_COLUMN,
    LeadAgencyQuery,
    LineColumns,
    ReportQuery,
    YearQuery,
)
from app.tracking.calendars.queries import bind_today, select_today
from app.tracking.lines.queries import is_visible_plan, replace_leads, select_plans_of_quarter
from app.tracking.progress.models import MilestoneProgressRow, MilestoneState

declare_words(
    {
        "unreported": Text("tidak dilaporkan", "not reported"),
        "pending": Text("belum selesai", "not done"),
    },
    form="cell",
)
_agencies = get_table(AgencyRow)
_reached = get_table(MilestoneProgressRow)


class OverdueMilestone(LineColumns):
    """Milestone due before a day and not done by then."""

    milestone: Key = column(
        Text("Kode Tonggak", "Milestone"), Text("Kunci tonggak.", "Key of the milestone."), width=12
    )
    milestone_title: str = column(
        Text("Tonggak", "Milestone title"), Text("Nama tonggak.", "Title of the milestone."), width=36
    )
    weight: float | None = column(
        Text("Bobot (%)", "Weight (%)"),
        Text(
            "Bobot dalam baris, persen; kosong tanpa bobot.",
            "Share of the line's work, percent; null: no weight.",
        ),
        width=10,
    )
    due: date = column(Text("Jatuh Tempo", "Due"), Text("Jatuh tempo.", "Last day in time."), width=12)
    as_of: date = column(
        Text("Tanggal Penilaian", "Compared on"),
        Text("Hari penilaian, menurut zona waktu wilayah.", "Day of the comparison, in the region's zone."),
        width=12,
    )
    days_overdue: int = column(
        Text("Terlambat (Hari)", "Days overdue"),
        Text("Jumlah hari terlambat pada hari penilaian.", "Whole days after the last day in time."),
        width=11,
    )
    state: Literal["unreported", "pending", "done"] = column(
        Text("Status", "State"),
        Text(
            "Status menurut laporan terakhir: tidak dilaporkan, belum selesai, atau selesai sesudah hari penilaian.",
            "State in the latest report: not reported, not done, or done after the day of the comparison.",
        ),
        width=18,
    )
    reported_in: str | None = column(
        Text("Laporan Terakhir", "Latest report"),
        Text(
            "Triwulan laporan terakhir baris; kosong bila belum ada.",
            "Quarter of the line's latest report; null: no report.",
        ),
        width=11,
    )
    revision: int | None = REVISION_COLUMN
    merged_into: AgencyCode | None = MERGED_COLUMN

    model_config = show_example(
        PLAN_EXAMPLE,
        action="A-014",
        title="Bantuan permakanan lanjut usia",
        agency_code="1.06.0.00.0.00.08.0000",
        agency_name="Dinas Sosial",
        milestone="M1",
        milestone_title="Penetapan penerima",
        weight=30.0,
        due="2026-03-31",
        as_of="2026-07-01",
        days_overdue=92,
        state="pending",
        reported_in="2026-Q1",
        revision=0,
        merged_into=None,
    )


class OverdueQuery(LeadAgencyQuery, YearQuery, ReportQuery):
    on: Day | None = Field(
        default=None, description="Day of the comparison; default: today in the zone of each region."
    )
    sort: Literal["due", "-due", "region_code", "-region_code", "agency_code", "-agency_code"] = "due"


def list_overdue_milestones(session: Session, actor: Actor, query: OverdueQuery, now: datetime) -> Listing:
    """Return the milestones that the latest report of each line does not show as done in time.

    They are those of the plan in the quarter that contains the day, before its year in the first, after it in the last.
    A milestone due after the line has ended is not overdue: no report can show it as done.
    """
    day: ColumnElement[str] = (
        sa.literal(query.on.isoformat(), sa.Text) if query.on else select_today(regions.c.timezone)
    )
    of_plan = sa.select(day).where(regions.c.code == plans.c.region_code).correlate(plans).scalar_subquery()
    chosen = select_plans_of_quarter(
        is_visible_plan(actor, query.region, query.year), _select_quarter(of_plan)
    )
    names = ("id", "code", "title", "lead_agency", "ends_after")
    lines = replace_leads(select_lines(chosen, *names).subquery("line_of_plan")).cte("lines")
    milestones = select_part(lines, get_table(MilestoneRow))
    state, done_on = sa.cast(_reached.c.state, sa.Text), sa.cast(_reached.c.done_on, sa.Text)
    due = sa.cast(milestones.c.due, sa.Text)
    quarter = (sa.cast(sa.func.substr(due, 6, 2), sa.Integer) + 2) // 3
    due_in = sa.func.substr(due, 1, 4) + "-Q" + sa.cast(quarter, sa.Text)
    is_open = sa.or_(state.is_(None), state != MilestoneState.done.value, done_on > day)
    reported = sa.and_(
        _reached.c.action_id == actions.c.id,
        _reached.c.period == actions.c.progress_period,
        _reached.c.code == milestones.c.code,
    )
    leads = sa.and_(_agencies.c.region_code == lines.c.plan_region, _agencies.c.code == lines.c.lead_agency)
    columns: dict[str, sa.SQLColumnExpression[object]] = {
        "region_code": plans.c.region_code,
        "region_name": regions.c.name,
        "plan": plans.c.code,
        "action": lines.c.code,
        "title": lines.c.title,
        "agency_code": lines.c.lead_agency,
        "agency_name": sa.func.coalesce(_agencies.c.name, lines.c.lead_agency),
        "milestone": milestones.c.code,
        "milestone_title": milestones.c.title,
        "as_of": day,
        "days_overdue": DaysBetween(due, day),
        "state": sa.func.coalesce(state, "unreported"),
        "reported_in": actions.c.progress_period,
        "revision": lines.c.revision,
        "merged_into": _agencies.c.merged_into,
    }
    rows = (
        sa.select(*select_fields(OverdueMilestone, milestones, **columns))
        .select_from(
            milestones.join(lines, lines.c.id == milestones.c.action_id)
            .join(plans, plans.c.id == lines.c.plan_id)
            .join(regions, regions.c.code == plans.c.region_code)
            .outerjoin(_agencies, leads)
            .outerjoin(actions, actions.c.id == lines.c.id)
            .outerjoin(_reached, reported)
        )
        .where(
            due < day,
            is_open,
            sa.or_(lines.c.ends_after.is_(None), due_in <= lines.c.ends_after),
            *match_values((lines.c.lead_agency, query.agency)),
        )
    )
    return build_listing(
        OverdueMilestone,
        rows if query.on else rows.params(bind_today(now)),
        sorts=("due", "region_code", "agency_code"),
        key=("plan", "action", "milestone"),
    )


def _select_quarter(day: ColumnElement[str]) -> ColumnElement[str]:
    """Return the quarter of a plan that contains a day; before its year the first, after it the last."""
    year, month = sa.cast(plans.c.year, sa.Text), sa.func.substr(day, 6, 2)
    quarters = [(month <= f"{3 * number:02}", f"-Q{number}") for number in range(1, 4)]
    is_before, is_after = sa.func.substr(day, 1, 4) < year, sa.func.substr(day, 1, 4) > year
    return year + sa.case((is_before, "-Q1"), (is_after, "-Q4"), *quarters, else_="-Q4")


REPORT = ReportDefinition(
    name="overdue-milestones",
    title=Text("Tonggak yang terlambat", "Overdue milestones"),
    description=Text(
        "Tonggak yang jatuh tempo sebelum suatu hari dan belum selesai pada hari itu, menurut laporan terakhir tiap "
        "baris. Tanpa pilihan hari, yang berlaku adalah hari ini menurut zona waktu wilayah.",
        "Milestones due before a day and not done by then, by each line's latest report. The default day is today in "
        "the zone of each region, so the rows change with the days too.",
    ),
    row=OverdueMilestone,
    asked=OverdueQuery,
    rows=list_overdue_milestones,
)
