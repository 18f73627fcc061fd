"""Editions: rules as data with a status and a legal basis, never constants in code."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import Line, Prose, RegionCode, Version, Year


class EditionStatus(StrEnum):
    """Status of an edition: `proposal` has no official status; `official` has a legal basis for it."""

    proposal = "proposal"
    official = "official"


class RuleEditionFields(BaseModel):
    """Fields of every edition."""

    name: Line
    status: EditionStatus = EditionStatus.proposal
    legal_basis: Line | None = ShapeField(default=None, description="Decree and article; null without one.")
    first_year: Year = ShapeField(
        description="First plan year of the edition. Without a choice, a year follows the edition with the latest "
        "first year up to it; of several, the last by name."
    )
    note: Prose = ""


class EditionTable(RuleEditionFields, Table):
    """Columns of every edition's table."""

    edition: str = Field(primary_key=True, max_length=40)
    status: EditionStatus
    version: int
    updated_at: datetime


class EditionState(BaseModel):
    """Fields of an edition in a reply, from the service."""

    edition: str
    version: Version
    in_use: bool = ShapeField(
        description="True if a region's year follows the edition; it then cannot change, only a new one can follow it."
    )
    updated_at: datetime


class ChoiceState(BaseModel):
    """Fields of a region's choice of editions in a reply, from the service."""

    region_code: RegionCode
    year: int
    version: Version | None = ShapeField(
        description="Null without a choice and without data: a newer edition would replace the default."
    )
    in_use: bool = ShapeField(
        description="True if data of the year follow the choice, which then cannot change."
    )
    allowed: list[Literal["edit"]]
