"""Regions, nomenclature, funding sources, strategies: tables and wire shapes, each field declared once."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, JsonValue
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import (
    REGION_PATTERN,
    FundingSourceCode,
    RegionCode,
    describe_key,
    show_example,
    split_words,
)
from app.kit.http.pagination import RELEVANCE, PageQuery
from app.kit.http.validation import RuleBroken
from app.kit.problems import Kind

no_words = Kind(
    "no_words",
    id="“{value}” tidak memuat huruf atau angka untuk dicari.",
    en="“{value}” has no letter or digit to search for.",
)


RegionKey = Annotated[str, describe_key("Kemendagri code of the region; `0` is the nation.", "63.02")]
FundingSourceKey = Annotated[str, describe_key("Code of the funding source.", "APBD")]
StrategyKey = Annotated[str, describe_key("Key of the strategy.", "raise_income")]


class RegionLevel(StrEnum):
    """Levels of the region tree, from the top."""

    nation = "nation"
    province = "province"
    regency = "regency"
    district = "district"
    village = "village"


class Timezone(StrEnum):
    """WIB is UTC+7, WITA UTC+8, WIT UTC+9."""

    wib = "WIB"
    wita = "WITA"
    wit = "WIT"


class FundingSourceKind(StrEnum):
    """`official`: a code of the decree. `group`: a word that matrices use, this service's own."""

    official = "official"
    group = "group"


# Editions


class ReferenceEditionFields(BaseModel):
    edition: str = ShapeField(max_length=20, description="Edition's name; part of every code's address.")
    source: str = ShapeField(max_length=500, description="Publisher, and date of the copy.")
    legal_basis: str | None = ShapeField(default=None, max_length=200)
    terms: str = ShapeField(max_length=200, description="Terms for passing it on.")
    sha256: str = ShapeField(max_length=64, description="SHA-256 (hex) of the file.")
    rows: int = ShapeField(description="Number of rows of that file.")
    loaded_at: datetime


class ReferenceEditionRow(ReferenceEditionFields, Table, table=True):
    """The latest loaded version of one file of reference data."""

    __tablename__ = "reference_edition"
    __table_args__ = (sa.PrimaryKeyConstraint("name", "edition"),)

    name: str = Field(max_length=40)
    version: int = Field(description="Number of different files of this edition so far.")


# Regions


class RegionFields(BaseModel):
    code: RegionCode
    name: str = ShapeField(max_length=100)
    level: RegionLevel
    parent_code: str | None = ShapeField(default=None, max_length=13, description="Null for the nation.")
    bps_code: str | None = ShapeField(
        default=None,
        max_length=10,
        description="Code of BPS (regencies and cities only). Often another region's valid Kemendagri code!",
    )
    population: int | None = ShapeField(
        default=None,
        description="Persons, second half of 2024; nation, provinces, regencies and cities only.",
    )
    area_km2: float | None = ShapeField(default=None, description="Square kilometres, where published.")
    timezone: Timezone = ShapeField(description="Zone of the region's deadlines.")
    retired: bool = ShapeField(default=False, description="No longer in the newest edition.")


class RegionRow(RegionFields, Table, table=True):
    """A region by its Kemendagri code; the nation is `0`."""

    __tablename__ = "region"
    __table_args__ = (sa.PrimaryKeyConstraint("code"), sa.Index(None, "name", "code"))

    parent_code: str | None = Field(default=None, max_length=13, index=True)
    bps_code: str | None = Field(default=None, max_length=10, index=True)
    folded: str = Field(max_length=100, description="Folded name, for search and matching.")


_KOTABARU: dict[str, JsonValue] = {
    "code": "63.02",
    "name": "Kabupaten Kotabaru",
    "level": "regency",
    "parent_code": "63",
    "bps_code": "6302",
    "population": 332787,
    "area_km2": 9345.91,
    "timezone": "WITA",
    "retired": False,
    "parent_name": "Kalimantan Selatan",
}


class RegionOut(RegionFields):
    """A region in a list."""

    parent_name: str | None = ShapeField(default=None, description="Distinguishes regions of equal name.")

    model_config = show_example(_KOTABARU)


class RegionName(BaseModel):
    """A region by code and name."""

    code: RegionCode
    name: str
    level: RegionLevel


class RegionCounts(BaseModel):
    """Numbers of regions below, by level."""

    province: int
    regency: int
    district: int
    village: int


class RegionReply(RegionOut):
    """A region with its ancestors and the numbers of regions below it."""

    ancestors: list[RegionName] = ShapeField(description="From the nation down to the parent.")
    below: RegionCounts

    model_config = show_example(
        _KOTABARU,
        ancestors=[
            {"code": "0", "name": "Indonesia", "level": "nation"},
            {"code": "63", "name": "Kalimantan Selatan", "level": "province"},
        ],
        below={"province": 0, "regency": 0, "district": 22, "village": 202},
    )


# Funding sources and strategies


class FundingSourceFields(BaseModel):
    code: FundingSourceCode
    name: str = ShapeField(max_length=300)
    kind: FundingSourceKind
    parent_code: str | None = ShapeField(default=None, max_length=40)
    aliases: list[str] = ShapeField(description="Other spellings that an import accepts.")
    collects: list[str] = ShapeField(description="Official codes that a group covers, with all below them.")
    retired: bool = ShapeField(default=False, description="No longer in the newest edition.")


class FundingSourceRow(FundingSourceFields, Table, table=True):
    """A source of the money of budget lines: an official code or a group of codes."""

    __tablename__ = "funding_source"
    __table_args__ = (sa.PrimaryKeyConstraint("code"),)

    aliases: list[str] = Field(sa_type=sa.JSON)
    collects: list[str] = Field(sa_type=sa.JSON)
    folded: str = Field(max_length=1000, description="Code, name and aliases, folded for search.")


class FundingSourceOut(FundingSourceFields):
    """A funding source: an official code, or a word that matrices use for several."""

    model_config = show_example(
        code="DAK-FISIK",
        name="Dana Alokasi Khusus Fisik",
        kind="group",
        parent_code="DAK",
        aliases=["DAK Fisik", "Dana Transfer Khusus-Dana Alokasi Khusus Fisik"],
        collects=["2.02.01.01.03"],
        retired=False,
    )


class FundingSourceRef(NamedTuple):
    """A funding source as other areas refer to it."""

    code: str
    name: str
    kind: FundingSourceKind
    parent_code: str | None
    aliases: list[str]
    retired: bool


class StrategyFields(BaseModel):
    key: str = ShapeField(max_length=40)
    number: str = ShapeField(max_length=4, description="`S1`, `S2`, `S3`.")
    name: str = ShapeField(max_length=200, description="Indonesian name.")
    name_english: str = ShapeField(max_length=200)
    aliases: list[str] = ShapeField(description="Other spellings that an import accepts.")
    legal_basis: list[str]
    retired: bool = ShapeField(default=False, description="No longer in the newest edition.")


class StrategyRow(StrategyFields, Table, table=True):
    """A strategy of poverty reduction, as the presidential instruction in force names them."""

    __tablename__ = "strategy"
    __table_args__ = (sa.PrimaryKeyConstraint("key"),)

    aliases: list[str] = Field(sa_type=sa.JSON)
    legal_basis: list[str] = Field(sa_type=sa.JSON)


class StrategyOut(StrategyFields):
    """A strategy of poverty reduction."""

    model_config = show_example(
        key="raise_income",
        number="S2",
        name="Peningkatan pendapatan masyarakat",
        name_english="Raising the income of households",
        aliases=["Peningkatan pendapatan"],
        legal_basis=["Inpres 4/2022", "Inpres 8/2025"],
        retired=False,
    )


# The reporting calendar


class ReportingCalendarRow(Table, table=True):
    """Default days on which a quarter of any year opens, is due and closes, unless a region has set its own."""

    __tablename__ = "reporting_calendar"
    __table_args__ = (sa.PrimaryKeyConstraint("quarter"),)

    quarter: str = Field(max_length=2, description="`Q1` to `Q4`.")
    opens: str = Field(max_length=5, description="Month and day.")
    opens_years_later: int = Field(description="Than the quarter's year; 0 is that year itself.")
    due: str = Field(max_length=5)
    due_years_later: int
    closes: str | None = Field(default=None, max_length=5, description="Null: it never closes.")
    closes_years_later: int
    edition: str = Field(max_length=20)
    status: str = Field(max_length=20, description="`proposal` while no decree says these days.")
    source: str = Field(max_length=500)
    legal_basis: str | None = Field(default=None, max_length=200)
    retired: bool = False


# Queries


def _check_words(text: str) -> str:
    if not split_words(text):
        raise RuleBroken(no_words, value=text)
    return text


Words = Annotated[str, ShapeField(min_length=1, max_length=200), AfterValidator(_check_words)]
"""Words to search for, in any order; case, punctuation and repeated spaces do not matter."""


class NameQuery(PageQuery):
    """Search in a list of names, and its order."""

    q: Words | None = ShapeField(
        default=None,
        description="Names with all these words or beginnings of them; if there are none, names that are almost like "
        "them.",
    )
    sort: Literal["code", "-code", "name", "-name", "relevance"] = ShapeField(
        default="code", description="With `q` and without `sort`: `relevance`. Without `q` it is `code`."
    )

    @property
    def order(self) -> str:
        if self.q is None:
            return "code" if self.sort == RELEVANCE else self.sort
        return self.sort if "sort" in self.model_fields_set else RELEVANCE


RETIRED = "Only codes that left the newest edition (`true`) or are in it (`false`, the default)."


class RegionSearchQuery(NameQuery):
    """Filter of regions; all conditions apply together."""

    level: RegionLevel | None = ShapeField(default=None, description="Only regions of this level.")
    parent: str | None = ShapeField(
        default=None, pattern=REGION_PATTERN, description="Only the children of this region."
    )
    within: str | None = ShapeField(
        default=None, pattern=REGION_PATTERN, description="Only this region and everything below it."
    )
    bps_code: str | None = ShapeField(
        default=None,
        pattern="^[0-9]{4}$",
        description="Exactly this BPS code of a regency or city: `1802` is Tanggamus (18.06), **not** 18.02.",
    )
    retired: bool = ShapeField(default=False, description=RETIRED)


class FundingSourceQuery(NameQuery):
    """Filter of funding sources; all conditions apply together."""

    kind: FundingSourceKind | None = ShapeField(default=None, description="Official codes or groups only.")
    parent: str | None = ShapeField(
        default=None, max_length=40, description="Only the children of this code."
    )
    retired: bool = ShapeField(default=False, description=RETIRED)
