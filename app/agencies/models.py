"""Agencies: table and wire shapes. Each field has one declaration."""

from enum import StrEnum
from typing import Annotated

import sqlalchemy as sa
from pydantic import BaseModel
from pydantic import Field as ShapeField
from pydantic.config import JsonDict
from sqlmodel import Field

from app.agencies.rules import AgencyVerb
from app.kit.database.engine import Table
from app.kit.fields import AgencyCode, Line, Shape, Version, describe_key, show_example
from app.kit.wording import Text, declare_words
from app.reference.models import NameQuery

AgencyKey = Annotated[str, describe_key("Code of the agency in its region.", "1.06.0.00.0.00.08.0000")]


class AgencyKind(StrEnum):
    """Kinds of agencies; those from `business` on are partners of the government."""

    dinas = "dinas"
    badan = "badan"
    kecamatan = "kecamatan"
    sekretariat = "sekretariat"
    unit = "unit"
    business = "business"
    bank = "bank"
    ngo = "ngo"
    university = "university"
    baznas = "baznas"
    village = "village"
    other = "other"


PARTNER_KINDS = tuple(AgencyKind)[list(AgencyKind).index(AgencyKind.business) :]


class AgencyState(StrEnum):
    """`active` may lead and support; `retired` keeps its past lines; `merged` lives on in another agency."""

    active = "active"
    retired = "retired"
    merged = "merged"


declare_words(
    {
        AgencyState.active: Text("aktif", "active"),
        AgencyState.retired: Text("tidak aktif", "retired"),
        AgencyState.merged: Text("digabung", "merged"),
    }
)


class AgencyFields(BaseModel):
    name: Line = ShapeField(description="Official name.")
    short_name: Line | None = ShapeField(
        default=None,
        max_length=60,
        description="Usual abbreviation (`Dinsos`), which imports and searches know.",
    )
    kind: AgencyKind = ShapeField(
        description="`dinas`, `badan`, `kecamatan`, `sekretariat`, or `unit` for another body of the government "
        "(inspectorate, Satpol PP, hospital); the others are partners."
    )


_DINSOS: JsonDict = {"name": "Dinas Sosial", "short_name": "Dinsos", "kind": "dinas"}


class AgencyIn(AgencyFields, Shape):
    """Names and kind of an agency."""

    model_config = show_example(_DINSOS)


_OUT = {
    **_DINSOS,
    "region_code": "63.02",
    "code": "1.06.0.00.0.00.08.0000",
    "is_partner": False,
    "state": "active",
    "merged_into": None,
    "version": 1,
}


class AgencyOut(AgencyFields):
    """An agency in a list."""

    region_code: str
    code: AgencyCode
    is_partner: bool = ShapeField(
        description="Not of the government: it supports, it does not lead by decree."
    )
    state: AgencyState
    merged_into: AgencyCode | None = ShapeField(description="Code of the agency that took over its lines.")
    version: Version

    model_config = show_example(_OUT)


class AgencyReply(AgencyOut):
    """An agency with the verbs that the caller may use."""

    allowed: list[AgencyVerb] = ShapeField(
        description="`delete` is there only while nothing refers to the agency."
    )

    model_config = show_example(_OUT, allowed=["edit", "retire", "merge"])


class MergeIn(Shape):
    """Target of a merge."""

    into: AgencyCode = ShapeField(description="Code of the active agency that takes over.")

    model_config = show_example(into="2.08.0.00.0.00.05.0000")


class AgencyQuery(NameQuery):
    """Filters and order of the list of agencies; an agency must meet all filters."""

    kind: AgencyKind | None = ShapeField(default=None, description="Only bodies of this kind.")
    state: AgencyState | None = ShapeField(default=None, description="Only agencies in this state.")


class AgencyRow(AgencyFields, Table, table=True):
    """A body of a region; its key is region and code."""

    __tablename__ = "agency"
    __table_args__ = (
        sa.UniqueConstraint("region_code", "code"),
        sa.ForeignKeyConstraint(["region_code", "merged_into"], ["agency.region_code", "agency.code"]),
    )

    id: int | None = Field(default=None, primary_key=True)
    region_code: str = Field(foreign_key="region.code", max_length=13)
    code: str = Field(max_length=40)
    name: str = Field(max_length=500)
    short_name: str | None = Field(default=None, max_length=60)
    state: AgencyState = AgencyState.active
    merged_into: str | None = Field(default=None, max_length=40)
    folded: str = Field(max_length=500, description="Folded name, for search and matching.")
    version: int = 1


def refer_to_agency(column: str = "agency_code") -> tuple[sa.ForeignKeyConstraint, sa.Index]:
    """Return foreign key and index for a table with `region_code` that refers to an agency of that region."""
    return (
        sa.ForeignKeyConstraint(["region_code", column], ["agency.region_code", "agency.code"]),
        sa.Index(None, "region_code", column),
    )
