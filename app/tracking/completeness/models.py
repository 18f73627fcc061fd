"""Shapes of completeness: reports of a quarter by region and by agency, and the missing lines."""

from datetime import datetime

from pydantic import BaseModel
from pydantic import Field as ShapeField
from pydantic.config import JsonDict

from app.kit.fields import SOMETIMES, AgencyCode, Key, RegionCode, show_example
from app.reference.models import RegionLevel
from app.tracking.quarters.models import PartFields, QuarterState


class ReportCounts(BaseModel):
    """Numbers of reports."""

    expected: int = ShapeField(description="Lines of the plan: each is reported on in every quarter.")
    reported: int = ShapeField(description="Of these, with a report of the quarter.")
    missing: int = ShapeField(description="Of these, without one.")


class Punctuality(BaseModel):
    """Lateness of a submission."""

    submitted_at: datetime | None = ShapeField(
        description="Null while it is not submitted, or was returned since."
    )
    deadline: datetime | None = ShapeField(
        description="End of the last day in time, in the region's zone, extensions included; null without a plan."
    )
    on_time: bool | None = ShapeField(
        description="Submitted in time; false: late, or the deadline passed; null: there still is time, or no plan."
    )
    late_by_days: int | None = ShapeField(
        description="Whole days after the last day in time: until it was submitted, as judged then, else until today. "
        "0: not late; null: no plan."
    )


class AgencyCompleteness(Punctuality, ReportCounts, PartFields):
    """The lines that an agency leads; where it did not submit its part, the region's submission stands for it."""


class _Region(BaseModel):
    region_code: RegionCode
    region_name: str
    level: RegionLevel
    plan: str | None = ShapeField(
        description="Key of its plan of the year; null: there is none to report on."
    )
    state: QuarterState | None


class RegionCompleteness(Punctuality, ReportCounts, _Region):
    """A province, regency or city: whether it has reported the quarter."""

    verified_at: datetime | None
    frozen_at: datetime | None = ShapeField(description="Of the snapshot in force.")
    agencies: list[AgencyCompleteness] | None = ShapeField(
        default=None,
        description="With `by=agency`: who leads lines of the plan.",
        json_schema_extra=SOMETIMES,
    )


class Totals(ReportCounts):
    """All regions of the reply together."""

    regions: int
    without_plan: int
    submitted: int = ShapeField(description="Regions whose submission stands, whatever came after it.")
    verified: int = ShapeField(description="Of these, those found right by whoever reviews them.")
    frozen: int = ShapeField(description="Regions with a snapshot in force.")
    on_time: int = ShapeField(description="Regions that submitted in time.")
    late: int = ShapeField(
        description="Regions that submitted late, or have not although the deadline passed."
    )


_LATE: JsonDict = {
    "submitted_at": None,
    "deadline": "2026-07-20T23:59:59+08:00",
    "on_time": False,
    "late_by_days": 12,
}
_REPORTS: JsonDict = {"expected": 156, "reported": 120, "missing": 36}


class CompletenessReply(BaseModel):
    """Who has reported a period: the regions that can have a plan, in a region and below it."""

    region_code: RegionCode
    region_name: str
    period: str
    to_quarter: str = ShapeField(description="The quarter that decides: figures are cumulative to its end.")
    totals: Totals
    regions: list[RegionCompleteness] = ShapeField(description="By code; those without a plan too.")

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
                "state": "open",
                "verified_at": None,
                "frozen_at": None,
            }
        ],
    )


class MissingLine(BaseModel):
    """A line without a report of the quarter."""

    plan: str
    action: Key
    title: str
    region_code: RegionCode
    region_name: str
    agency_code: AgencyCode = ShapeField(description="Agency that leads the line.")
    agency_name: str
    first_month: int | None
    last_month: int | None
    latest_report: str | None = ShapeField(
        description="Latest earlier quarter of the year with a report of this line; null: there is none."
    )
    state: QuarterState = ShapeField(description="Of the region's quarter.")
    accepted: bool = ShapeField(
        description="Whether the quarter, or the agency's part, was submitted without it."
    )
    deadline: datetime = ShapeField(description="Of the agency that leads it, extensions included.")
    late_by_days: int = ShapeField(
        description="Whole days after the last day in time: until it was submitted without it, else until today."
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
    )
