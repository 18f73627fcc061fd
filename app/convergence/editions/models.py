"""Editions: rules as data with a status and a legal basis, never constants in code."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import Line, Prose, Version, Year


class EditionStatus(StrEnum):
    """`proposal`: without official status; `official`: its legal basis says so."""

    proposal = "proposal"
    official = "official"


class RuleEditionFields(BaseModel):
    """Fields of every edition."""

    name: Line
    status: EditionStatus = EditionStatus.proposal
    legal_basis: Line | None = ShapeField(
        default=None, description="Decree, article; null where there is none."
    )
    first_year: Year = ShapeField(
        description="First plan year that it is for. A year is measured by the edition with the latest first year "
        "not after it, unless another was chosen; of equal ones by the last by name."
    )
    note: Prose = ""


class EditionTable(RuleEditionFields, Table):
    """Columns of every edition's table."""

    edition: str = Field(primary_key=True, max_length=40)
    status: EditionStatus
    version: int
    updated_at: datetime


class EditionState(BaseModel):
    """Fields that the service adds to an edition in a reply."""

    edition: str
    version: Version
    in_use: bool = ShapeField(
        description="Some region's year is measured by it: it is not changed any more, only superseded by another."
    )
    updated_at: datetime
