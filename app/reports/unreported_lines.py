"""Unreported lines: the list of `/v1/completeness/missing` as a report."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.http.pagination import Listing
from app.kit.wording import Text
from app.reports.definition import ReportDefinition
from app.reports.models import LeadAgencyQuery, LineColumns, PeriodQuery
from app.tracking.completeness.models import MissingLine
from app.tracking.completeness.queries import MissingQuery, list_missing


class UnreportedLine(LineColumns, MissingLine):
    """Line without a report of the quarter. The Indonesian titles are those of `MissingLine`."""

    model_config = ConfigDict(json_schema_extra=MissingLine.model_config["json_schema_extra"])


class UnreportedQuery(LeadAgencyQuery, PeriodQuery):
    accepted: bool | None = Field(
        default=None,
        description="Only lines that a submission accepts without a report (`true`) or not (`false`).",
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
        "Baris rencana tanpa laporan untuk triwulan terakhir periode, dengan perangkat daerah pengampu dan jumlah hari "
        "terlambat.",
        "Lines without a report of the period's last quarter, with their agencies and days late, as in completeness.",
    ),
    row=UnreportedLine,
    asked=UnreportedQuery,
    rows=list_unreported_lines,
)
