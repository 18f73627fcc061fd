"""An overlap of two lines and its explanation: table and wire shapes."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import BaseModel
from pydantic import Field as ShapeField
from pydantic.config import JsonDict
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import AgencyCode, Key, Prose, RegionCode, Shape, Version, describe_key, show_example
from app.kit.http.pagination import PageQuery
from app.plans.actions.models import BenefitForm, RecipientKind

PairKey = Annotated[
    str, describe_key("Keys of the two lines with `~` between them, in any order.", "A-001~A-002")
]


class Verdict(StrEnum):
    """What was decided of an overlap."""

    complementary = "complementary"
    duplicate_accepted = "duplicate_accepted"
    will_be_merged = "will_be_merged"


class ExplanationFields(BaseModel):
    """The explanation of an overlap: the verdict on the two lines, and why."""

    verdict: Verdict
    text: Prose = ShapeField(min_length=1, description="“Complementary, because …”")


_EXPLANATION: JsonDict = {
    "verdict": "complementary",
    "text": "A-001 menyediakan permakanan, A-002 melengkapinya dengan pemeriksaan gizi",
}


class ExplanationIn(ExplanationFields, Shape):
    """An explanation as it is written."""

    model_config = show_example(_EXPLANATION)


class CommonRecipients(BaseModel):
    """Whom both lines aim at."""

    kind: RecipientKind
    decile_from: int
    decile_to: int
    vulnerable_groups: list[str] = ShapeField(description="Empty: everybody.")


class Coincidence(BaseModel):
    """What two lines have in common."""

    agencies: list[AgencyCode] = ShapeField(description="Who leads them.")
    benefit_forms: list[BenefitForm]
    recipients: list[CommonRecipients]
    places: list[RegionCode] = ShapeField(
        description="Where both work; where one names a region and the other a part of it, that part."
    )
    first_month: int
    last_month: int


_COINCIDENCE: JsonDict = {
    "agencies": ["1.02.0.00.0.00.02.0000", "1.06.0.00.0.00.08.0000"],
    "benefit_forms": ["goods"],
    "recipients": [{"kind": "families", "decile_from": 1, "decile_to": 2, "vulnerable_groups": []}],
    "places": ["63.02.05.2001"],
    "first_month": 3,
    "last_month": 12,
}


class ExplanationOut(ExplanationFields):
    """An explanation on record."""

    explained: Coincidence = ShapeField(description="What coincided when it was explained.")
    is_stale: bool = ShapeField(
        description="Something else coincides now: the overlap counts as open until it is explained anew."
    )
    version: Version
    explained_at: datetime
    explained_by: str = ShapeField(description="Name of the token that explained.")


_OUT: JsonDict = {
    **_EXPLANATION,
    "explained": _COINCIDENCE,
    "is_stale": False,
    "version": 1,
    "explained_at": "2026-02-11T03:20:00+00:00",
    "explained_by": "sekretariat-kotabaru",
}


class ExplanationReply(ExplanationOut):
    """An explanation, with what the caller may do with it."""

    plan: str
    pair: str
    allowed: list[Literal["edit", "delete"]]

    model_config = show_example(_OUT, plan="63.02-2026", pair="A-001~A-002", allowed=["edit", "delete"])


class OverlapSide(BaseModel):
    """One of the two lines."""

    action: Key
    title: str
    lead_agency: AgencyCode
    agency_name: str | None
    allocation: int = ShapeField(description="Whole rupiah.")


class OverlapOut(BaseModel):
    """Two lines of different agencies that bring the same kind of benefit to the same recipients, in the
    same place and months."""

    pair: str = ShapeField(description="Key of the pair, the smaller line key first.")
    state: Literal["open", "explained", "stale"] = ShapeField(
        description="`stale`: explained, but something else coincides by now."
    )
    first: OverlapSide
    second: OverlapSide
    coincides: Coincidence
    explanation: ExplanationOut | None

    model_config = show_example(
        pair="A-001~A-002",
        state="explained",
        first={
            "action": "A-001",
            "title": "Bantuan permakanan lanjut usia",
            "lead_agency": "1.06.0.00.0.00.08.0000",
            "agency_name": "Dinas Sosial",
            "allocation": 250000000,
        },
        second={
            "action": "A-002",
            "title": "Pemberian makanan tambahan lanjut usia",
            "lead_agency": "1.02.0.00.0.00.02.0000",
            "agency_name": "Dinas Kesehatan",
            "allocation": 80000000,
        },
        coincides=_COINCIDENCE,
        explanation=_OUT,
    )


class OverlapQuery(PageQuery):
    """Filters of overlaps; an overlap matches all of them."""

    action: Key | None = ShapeField(default=None, description="Of this line with others.")
    agency: AgencyCode | None = ShapeField(
        default=None, description="One of the lines is led by this agency."
    )
    explained: bool | None = ShapeField(
        default=None, description="Only those with (`true`) or without (`false`) an explanation on record."
    )
    sort: Literal["first", "-first"] = "first"


class OverlapExplanationRow(ExplanationFields, Table, table=True):
    """An explanation. It has the keys of the lines, not their ids, so it survives the deletion of a line."""

    __tablename__ = "overlap_explanation"

    plan_id: int = Field(foreign_key="plan.id", primary_key=True, ondelete="CASCADE")
    first_action: str = Field(primary_key=True, max_length=40)
    second_action: str = Field(primary_key=True, max_length=40)
    explained: dict[str, object] = Field(sa_type=sa.JSON)
    version: int = 1
    explained_at: datetime
    explained_by: str = Field(max_length=80)
