"""Unreported lines: the list of `/v1/completeness/missing` as a report."""

from datetime import datetime

from pydantic import ConfigDict
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.http.pagination import Listing
from app.kit.wording import Text
from app.reports.definition import ReportDefinition
from app.reports.models import LineColumns
from app.tracking.completeness.models import MissingLine
from app.tracking.completeness.queries import MissingFilters, list_missing


class UnreportedLine(LineColumns, MissingLine):
    """Line without a report of the quarter. The Indonesian titles are those of `MissingLine`."""

    model_config = ConfigDict(json_schema_extra=MissingLine.model_config["json_schema_extra"])


def list_unreported_lines(session: Session, actor: Actor, query: MissingFilters, now: datetime) -> Listing:
    """Return the missing lines as completeness defines them."""
    return list_missing(actor, query, now)


REPORT = ReportDefinition(
    name="unreported-lines",
    title=Text("Baris yang belum dilaporkan", "Unreported lines"),
    description=Text(
        "Baris rencana tanpa laporan untuk triwulan terakhir periode, dengan perangkat daerah dan hari terlambat.",
        "Lines without a report of the period's last quarter, with their agencies and days late, as in completeness.",
    ),
    row=UnreportedLine,
    asked=MissingFilters,
    rows=list_unreported_lines,
)
