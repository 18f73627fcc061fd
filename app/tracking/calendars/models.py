"""Shapes and table of the reporting calendar: days of a quarter that a region sets for itself and below it."""

from datetime import datetime
from itertools import pairwise
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import BaseModel, model_validator
from pydantic import Field as ShapeField
from pydantic.config import JsonDict
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import Day, Line, RegionCode, Shape, describe_key, show_example
from app.kit.http.validation import RuleBroken
from app.kit.problems import Kind
from app.reference.models import Timezone

CalendarPeriod = Annotated[str, describe_key("Quarter; 404 for another value.", "2026-Q2")]

days_out_of_order = Kind(
    "days_out_of_order",
    id="{value} mendahului {before}. Urutannya: hari buka, tenggat, hari tutup.",
    en="{value} is before {before}. The order is: opening day, due day, closing day.",
)


class CalendarFields(BaseModel):
    """Days of a quarter, in the zone of the region that reports."""

    opens_on: Day = ShapeField(description="First day on which the quarter can be reported.")
    due_on: Day = ShapeField(description="Last day in time; it ends at midnight in the region's zone.")
    closes_on: Day | None = ShapeField(default=None, description="Last day of reports; null: never closes.")
    issued_by: Line = ShapeField(description="Office that set these days.")
    legal_basis: Line | None = None


_JULY: JsonDict = {
    "opens_on": "2026-04-01",
    "due_on": "2026-07-15",
    "closes_on": None,
    "issued_by": "Sekretariat TKPK Provinsi Kalimantan Selatan",
    "legal_basis": "Surat Edaran Gubernur 460/2026",
}


class CalendarIn(CalendarFields, Shape):
    """Days of a quarter to set."""

    model_config = show_example(_JULY)

    @model_validator(mode="after")
    def _check_order(self) -> "CalendarIn":
        days = [("opens_on", self.opens_on), ("due_on", self.due_on), ("closes_on", self.closes_on)]
        dated = [(name, day) for name, day in days if day is not None]
        for (_, before), (name, day) in pairwise(dated):
            if day < before:
                raise RuleBroken(days_out_of_order, at=f"/{name}", value=str(day), before=str(before))
        return self


_OUT: JsonDict = {
    **_JULY,
    "region_code": "63.02",
    "period": "2026-Q2",
    "timezone": "WITA",
    "set_by": "63",
    "edition": None,
    "status": "set",
    "version": 0,
}


class CalendarOut(CalendarFields):
    """Days of a quarter that apply to a region, with their source."""

    region_code: RegionCode
    period: str
    timezone: Timezone
    set_by: RegionCode | None = ShapeField(
        description="Region that set them: itself or the nearest above; null: the shipped edition."
    )
    edition: str | None = ShapeField(description="Edition of the shipped calendar, if it applies.")
    status: Literal["proposal", "decreed", "set"] = ShapeField(
        description="`set` by a region; `decreed` or `proposal`: status of the shipped edition."
    )
    version: int = ShapeField(description="Version of the region's own days; 0: none, send no `If-Match`.")

    model_config = show_example(_OUT)


class CalendarReply(CalendarOut):
    """Days of a quarter, with the operations that the caller may use."""

    allowed: list[Literal["edit", "delete"]]

    model_config = show_example(_OUT, set_by="63.02", version=1, allowed=["edit", "delete"])


class CalendarRow(CalendarFields, Table, table=True):
    __tablename__ = "calendar"
    __table_args__ = (sa.PrimaryKeyConstraint("region_code", "period"),)

    region_code: str = Field(foreign_key="region.code", max_length=13)
    period: str = Field(max_length=7)
    issued_by: str = Field(max_length=500)
    legal_basis: str | None = Field(default=None, max_length=500)
    version: int = 1
    updated_at: datetime
