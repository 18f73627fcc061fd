"""Unreported lines: the list of `/v1/completeness/missing` as a report."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.http.pagination import Listing
from app.kit.wording import Text
from app.reports.definition import ReportDefinition
from app.reports.models import LeadAgencyQuery, LineColumns, PeriodQuery, column
from app.tracking.completeness.models import MissingLine
from app.tracking.completeness.queries import MissingQuery, list_missing
from app.tracking.quarters.models import QuarterState


class UnreportedLine(LineColumns, MissingLine):
    """A line without a report of the quarter."""

    first_month: int | None = column("Bulan mulai.", "First month.")
    last_month: int | None = column("Bulan selesai.", "Last month.")
    latest_report: str | None = column(
        "Triwulan terakhir sebelumnya yang dilaporkan.",
        "Latest earlier quarter of the year with a report; null: none.",
    )
    state: QuarterState = column("Status triwulan wilayah.", "Of the region's quarter.")
    accepted: bool = column(
        "Triwulan, atau bagian perangkat daerah, diajukan tanpa laporan ini.",
        "Whether the quarter, or the agency's part, was submitted without it.",
    )
    deadline: datetime = column(
        "Batas waktu perangkat daerah, termasuk perpanjangan.",
        "Of the agency that leads it, extensions included.",
    )
    late_by_days: int = column(
        "Hari keterlambatan: sampai diajukan tanpa laporan ini, atau sampai hari ini.",
        "Whole days after the last day in time: until it was submitted without it, else until today.",
    )

    model_config = ConfigDict(json_schema_extra=MissingLine.model_config["json_schema_extra"])


class UnreportedQuery(LeadAgencyQuery, PeriodQuery):
    accepted: bool | None = Field(
        default=None, description="Whether a submission has accepted that the line has no report."
    )
    sort: Literal["plan", "-plan", "agency_code", "-agency_code"] = "plan"


def list_unreported_lines(session: Session, actor: Actor, query: UnreportedQuery, now: datetime) -> Listing:
    """Return the missing lines as completeness defines them."""
    parameters = query.model_dump(include=set(UnreportedQuery.model_fields))
    return list_missing(actor, MissingQuery(**parameters), now)


REPORT = ReportDefinition(
    name="unreported-lines",
    title=Text("Baris yang belum dilaporkan", "Unreported lines"),
    description=Text(
        "Baris rencana tanpa laporan untuk triwulan terakhir periode: milik siapa dan berapa hari terlambat.",
        "The lines without a report of the period's last quarter: whose they are and by how many days they are late, "
        "as completeness lists them.",
    ),
    row=UnreportedLine,
    asked=UnreportedQuery,
    rows=list_unreported_lines,
)
