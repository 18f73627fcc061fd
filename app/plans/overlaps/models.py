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
    """The decision on an overlap."""

    complementary = "complementary"
    duplicate_accepted = "duplicate_accepted"
    will_be_merged = "will_be_merged"


class ExplanationFields(BaseModel):
    """The explanation of an overlap: the verdict on the two lines, and why."""

    verdict: Verdict
    text: Prose = ShapeField(min_length=1, description="Reason of the verdict: “complementary, because …”.")


_EXPLANATION: JsonDict = {
    "verdict": "complementary",
    "text": "A-001 menyediakan permakanan, A-002 melengkapinya dengan pemeriksaan gizi",
}


class ExplanationIn(ExplanationFields, Shape):
    """The fields of an explanation that a client writes."""

    model_config = show_example(_EXPLANATION)


class CommonRecipients(BaseModel):
    """Recipients that two lines have in common."""

    kind: RecipientKind
    decile_from: int
    decile_to: int
    vulnerable_groups: list[str] = ShapeField(description="Empty: all people.")


class Coincidence(BaseModel):
    """The common agencies, benefits, recipients, places and months of two lines."""

    agencies: list[AgencyCode] = ShapeField(description="Lead agencies of the two lines.")
    benefit_forms: list[BenefitForm]
    recipients: list[CommonRecipients]
    places: list[RegionCode] = ShapeField(
        description="Common locations; of a region and a part of it, the part."
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
    """A stored explanation."""

    explained: Coincidence = ShapeField(
        description="Common fields of the lines at the time of the explanation."
    )
    is_stale: bool = ShapeField(
        description="True if the common fields differ by now: the overlap counts as open until a new explanation."
    )
    version: Version
    explained_at: datetime
    explained_by: str = ShapeField(description="Position or service that explained.")


_OUT: JsonDict = {
    **_EXPLANATION,
    "explained": _COINCIDENCE,
    "is_stale": False,
    "version": 1,
    "explained_at": "2026-02-11T03:20:00+00:00",
    "explained_by": "sekretariat-kotabaru",
}


class ExplanationReply(ExplanationOut):
    """An explanation with the caller's verbs."""

    plan: str
    pair: str
    allowed: list[Literal["edit", "delete"]]

    model_config = show_example(_OUT, plan="63.02-2026", pair="A-001~A-002", allowed=["edit", "delete"])


class OverlapSide(BaseModel):
    """One line of an overlap."""

    action: Key
    title: str
    lead_agency: AgencyCode
    agency_name: str | None
    allocation: int = ShapeField(description="Whole rupiah.")


class OverlapOut(BaseModel):
    """Two lines of different agencies with a common benefit, recipients, place and months."""

    pair: str = ShapeField(description="Key of the pair, the smaller line key first.")
    state: Literal["open", "explained", "stale"] = ShapeField(
        description="`stale`: the lines have other common fields than at the time of the explanation."
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

    action: Key | None = ShapeField(default=None, description="Key of one of the lines.")
    agency: AgencyCode | None = ShapeField(default=None, description="Lead agency of one of the lines.")
    explained: bool | None = ShapeField(
        default=None, description="Only overlaps with (`true`) or without (`false`) an explanation."
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
