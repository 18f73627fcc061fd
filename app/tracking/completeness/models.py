"""Shapes of completeness: reports of a quarter by region and by agency, and the missing lines."""

from datetime import datetime

from pydantic import BaseModel
from pydantic import Field as ShapeField
from pydantic.config import JsonDict

from app.kit.fields import SOMETIMES, AgencyCode, Key, RegionCode, show_example
from app.kit.tables.columns import column
from app.kit.wording import Text
from app.reference.models import RegionLevel
from app.tracking.quarters.models import REVISION, PartFields, QuarterState


class ReportCounts(BaseModel):
    """Numbers of expected and missing reports."""

    expected: int = ShapeField(description="Lines of the plan on which a report of the quarter is due.")
    reported: int = ShapeField(description="Lines with a report of the quarter.")
    missing: int = ShapeField(description="Expected lines without a report of the quarter.")


class Punctuality(BaseModel):
    """Lateness of a submission."""

    submitted_at: datetime | None = ShapeField(description="Null without a submission, and after a return.")
    deadline: datetime | None = ShapeField(
        description="End of the last day in time, in the region's zone, extensions included; null without a plan."
    )
    on_time: bool | None = ShapeField(
        description="True: submitted in time; false: late, or past the deadline; null: before the deadline, or no plan."
    )
    late_by_days: int | None = ShapeField(
        description="Whole days after the last day in time, to the submission, by the calendar of that day, else to "
        "today. 0: not late; null: no plan."
    )


class AgencyCompleteness(Punctuality, ReportCounts, PartFields):
    """Lines that an agency leads. Without a submission of its part, that of the region counts.

    In a submitted quarter it is the agency that the revision of the plan names.
    """


class _Region(BaseModel):
    region_code: RegionCode
    region_name: str
    level: RegionLevel
    plan: str | None = ShapeField(description="Key of its plan of the year; null: no plan to report on.")
    revision: int | None = ShapeField(description=REVISION)
    state: QuarterState | None


class RegionCompleteness(Punctuality, ReportCounts, _Region):
    """Province, regency or city with its reports of the quarter."""

    verified_at: datetime | None
    frozen_at: datetime | None = ShapeField(description="Time of the snapshot in force.")
    agencies: list[AgencyCompleteness] | None = ShapeField(
        default=None,
        description="With `by=agency`: the agencies that lead lines of the plan.",
        json_schema_extra=SOMETIMES,
    )


class Totals(ReportCounts):
    """Sums over all regions of the reply."""

    regions: int
    without_plan: int
    submitted: int = ShapeField(description="Regions that have submitted, including those verified since.")
    verified: int = ShapeField(description="Regions with a verified quarter or a snapshot in force.")
    frozen: int = ShapeField(description="Regions with a snapshot in force.")
    on_time: int = ShapeField(description="Regions that submitted in time.")
    late: int = ShapeField(description="Regions that submitted late or are past the deadline.")


_LATE: JsonDict = {
    "submitted_at": None,
    "deadline": "2026-07-20T23:59:59+08:00",
    "on_time": False,
    "late_by_days": 12,
}
_REPORTS: JsonDict = {"expected": 156, "reported": 120, "missing": 36}


class CompletenessReply(BaseModel):
    """Completeness of a period: the regions that can have a plan, in a region and below it."""

    region_code: RegionCode
    region_name: str
    period: str
    to_quarter: str = ShapeField(description="Last quarter: the figures are cumulative to its end.")
    totals: Totals
    regions: list[RegionCompleteness] = ShapeField(description="By code, including those without a plan.")

    model_config = show_example(
        region_code="63.02",
        region_name="Kabupaten Kotabaru",
        period="2026-S1",
        to_quarter="2026-Q2",
        totals={
            **_REPORTS,
            "regions": 1,
            "without_plan": 0,
            "submitted": 0,
            "verified": 0,
            "frozen": 0,
            "on_time": 0,
            "late": 1,
        },
        regions=[
            {
                **_LATE,
                **_REPORTS,
                "region_code": "63.02",
                "region_name": "Kabupaten Kotabaru",
                "level": "regency",
                "plan": "63.02-2026",
                "revision": 0,
                "state": "open",
                "verified_at": None,
                "frozen_at": None,
            }
        ],
    )


class MissingLine(BaseModel):
    """Line without a report of the quarter."""

    plan: str
    action: Key
    title: str
    region_code: RegionCode
    region_name: str
    agency_code: AgencyCode = ShapeField(description="Agency that leads the line.")
    agency_name: str
    first_month: int | None = column(
        Text("Bulan Mulai", "First month"), Text("Bulan mulai.", "First month."), width=9
    )
    last_month: int | None = column(
        Text("Bulan Selesai", "Last month"), Text("Bulan selesai.", "Last month."), width=9
    )
    latest_report: str | None = column(
        Text("Laporan Terakhir", "Latest report"),
        Text(
            "Triwulan terakhir sebelumnya yang dilaporkan.",
            "Latest earlier quarter of the year with a report of this line; null: none.",
        ),
        width=11,
    )
    state: QuarterState = column(
        Text("Status Triwulan", "State of the quarter"),
        Text("Status triwulan wilayah.", "State of the region's quarter."),
    )
    accepted: bool = column(
        Text("Diajukan tanpa Laporan", "Submitted without report"),
        Text(
            "Triwulan, atau bagian perangkat daerah, diajukan tanpa laporan ini.",
            "True if the region or the agency submitted without the report.",
        ),
        width=12,
    )
    deadline: datetime = column(
        Text("Tenggat", "Deadline"),
        Text(
            "Tenggat perangkat daerah, termasuk perpanjangan.", "Deadline of the agency, extensions included."
        ),
        width=17,
    )
    late_by_days: int = column(
        Text("Terlambat (Hari)", "Days late"),
        Text(
            "Jumlah hari terlambat: sampai diajukan tanpa laporan ini, atau sampai hari ini.",
            "Whole days after the last day in time, to the submission without the report, else to today.",
        ),
        width=11,
    )
    revision: int | None = column(
        Text("Revisi Rencana", "Revision"),
        Text("Revisi rencana; kosong bila tanpa revisi.", REVISION),
        width=10,
    )

    model_config = show_example(
        plan="63.02-2026",
        action="A-014",
        title="Bantuan permakanan lanjut usia",
        region_code="63.02",
        region_name="Kabupaten Kotabaru",
        agency_code="1.06.0.00.0.00.08.0000",
        agency_name="Dinas Sosial",
        first_month=3,
        last_month=11,
        latest_report="2026-Q1",
        state="open",
        accepted=False,
        deadline="2026-07-20T23:59:59+08:00",
        late_by_days=12,
        revision=0,
    )
