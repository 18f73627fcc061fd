"""Table and shapes of yardsticks: the highest spending figure of a province's quarter, settled once."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import BaseModel
from pydantic import Field as ShapeField
from pydantic.config import JsonDict
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import Key, RegionCode, describe_key, show_example
from app.kit.http.pagination import PageQuery
from app.kit.periods import Quarter

ProvinceKey = Annotated[str, describe_key("Code of a province.", "63")]
YardstickPeriod = Annotated[str, describe_key("Quarter of a settled yardstick.", "2027-Q2")]


class LeftOut(StrEnum):
    """Reason why a plan in force does not count in the yardstick."""

    open_errors = "open_errors"
    other_method = "other_method"
    not_frozen = "not_frozen"


class CountedPlan(BaseModel):
    """A plan that counts in the yardstick."""

    region_code: RegionCode
    spending_percent: float


class LeftOutPlan(BaseModel):
    """A plan that does not count in the yardstick."""

    region_code: RegionCode
    reason: LeftOut = ShapeField(
        description="`open_errors`: a report of the quarter falls (E06); `other_method`: another edition measures the "
        "plan; `not_frozen`: the quarter was not frozen by its closing day."
    )


class YardstickFields(BaseModel):
    """The highest spending figure of a group in a quarter, with the plans that count."""

    method: Key | None = ShapeField(description="Edition that measures the plans; null without a plan.")
    highest_percent: float | None = ShapeField(
        description="Highest spending figure, the basis of X; null without one."
    )
    highest_uncapped_percent: float | None = ShapeField(
        description="Highest figure of all spending of all plans in force: `Xmaks` of PMK 97/2023."
    )
    counted: list[CountedPlan] = ShapeField(
        description="Plans that count. A regency's scorecard has only its own."
    )
    left_out: list[LeftOutPlan] = ShapeField(description="Plans with spending that do not count; likewise.")
    settled_at: datetime | None = ShapeField(description="Null while the figures are provisional.")


_YARDSTICK: JsonDict = {
    "method": "2",
    "highest_percent": 26.0,
    "highest_uncapped_percent": 31.5,
    "counted": [{"region_code": "63.02", "spending_percent": 26.0}],
    "left_out": [{"region_code": "63.03", "reason": "open_errors"}],
    "settled_at": "2027-09-12T03:00:00+00:00",
}


class Yardstick(YardstickFields):
    """The yardstick of a group in a quarter, settled or provisional."""

    model_config = show_example(_YARDSTICK)


class YardstickOut(YardstickFields):
    """The settled yardstick of a province's quarter."""

    region_code: RegionCode
    period: Quarter

    model_config = show_example(_YARDSTICK, region_code="63", period="2027-Q2")


class YardsticksQuery(PageQuery):
    """Filters of yardsticks; a yardstick must meet all of them."""

    region: RegionCode | None = ShapeField(default=None, description="A province, or the nation.")
    period: Quarter | None = ShapeField(default=None, description="Only those of this quarter.")
    sort: Literal["region_code", "-region_code", "period", "-period"] = "region_code"


class YardstickRow(YardstickFields, Table, table=True):
    """A settled yardstick, written once."""

    __tablename__ = "spending_yardstick"
    __table_args__ = (sa.PrimaryKeyConstraint("region_code", "period"),)

    region_code: str = Field(foreign_key="region.code", max_length=13)
    period: str = Field(max_length=7)
    method: str | None = Field(max_length=40)
    counted: list[CountedPlan] = Field(sa_type=sa.JSON)
    left_out: list[LeftOutPlan] = Field(sa_type=sa.JSON)
    settled_at: datetime
