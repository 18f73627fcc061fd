"""Shapes and tables of definitions, observations and targets of outcome indicators."""

from enum import StrEnum
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import BaseModel, SkipValidation, model_validator
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import (
    Batch,
    Figure,
    Line,
    Month,
    RegionCode,
    Shape,
    Version,
    Year,
    describe_key,
    show_example,
)
from app.kit.http.pagination import PageQuery
from app.kit.http.validation import RuleBroken, refuse_repeated
from app.kit.problems import ErrorShape, Kind
from app.kit.tables.factors import Factor
from app.kit.tables.options import SkippedRows, TableOptions
from app.kit.wording import Text, declare_words
from app.reference.models import RegionLevel

wrong_months = Kind(
    "wrong_months",
    id="“{value}” tidak sesuai frekuensi. Indikator tengah tahunan memiliki satu bulan di tiap semester, salah satunya "
    "bulan tabel tahunan; indikator tahunan memiliki paling banyak satu bulan",
    en="“{value}” does not fit the frequency. A half-yearly indicator has one month in each half of the year, one of "
    "them the month of yearly tables; a yearly indicator has at most one month",
)
empty_range = Kind(
    "empty_range",
    id="batas atas “{value}” harus lebih besar daripada batas bawah",
    en="the maximum “{value}” must be above the minimum",
)
value_or_symbol = Kind(
    "value_or_symbol",
    id="isi salah satu saja: angka atau simbol",
    en="give either a number or a symbol",
)

INDICATOR_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
OBSERVED_PATTERN = r"^(19|20)[0-9]{2}(-S[12])?$"
declare_words(
    {
        INDICATOR_PATTERN: Text(
            "huruf kecil, angka, dan garis bawah, misalnya p0",
            "lower-case letters, digits and underscores, such as p0",
        ),
        OBSERVED_PATTERN: Text(
            "tahun atau tengah tahun, misalnya 2021 atau 2021-S1",
            "a year or a half-year, such as 2021 or 2021-S1",
        ),
    },
    form="format",
)

IndicatorKey = Annotated[str, describe_key("Code of the indicator.", "p0")]
ObservedKey = Annotated[
    str,
    describe_key(
        "Year `2021` of a yearly indicator, `2021-S1` or `2021-S2` of a half-yearly one.", "2021-S1"
    ),
]
TargetYearKey = Annotated[str, describe_key("Year of the target.", "2026")]

IndicatorCode = Annotated[
    str, ShapeField(pattern=INDICATOR_PATTERN, max_length=40, description="Code of an indicator (`p0`).")
]
ObservedPeriod = Annotated[
    str,
    ShapeField(
        pattern=OBSERVED_PATTERN,
        max_length=7,
        description="Year `2021`, or half-year: `2021-S1` is the survey of the indicator's first month (March for "
        "poverty), `2021-S2` that of its second (September).",
    ),
]


class Direction(StrEnum):
    """Direction in which an indicator improves; `neutral` has none."""

    lower_is_better = "lower_is_better"
    higher_is_better = "higher_is_better"
    neutral = "neutral"


class Frequency(StrEnum):
    yearly = "yearly"
    half_yearly = "half_yearly"


class Symbol(StrEnum):
    """Symbol that a publisher (BPS) prints instead of a number; never a zero."""

    not_available = "..."
    none = "-"
    not_shown = "NA"


class Flag(StrEnum):
    """Flag that a publisher (BPS) prints behind a number."""

    estimate = "e"
    revised = "r"
    preliminary = "*"
    very_preliminary = "**"


class IndicatorFields(BaseModel):
    """Definition of an indicator: unit, publisher, frequency."""

    name: Line = ShapeField(description="Indonesian name.")
    name_english: Line
    unit: Line = ShapeField(max_length=60, description="Unit of every value: `percent`, `thousand_persons`.")
    direction: Direction
    publisher: Line = ShapeField(max_length=200)
    frequency: Frequency = ShapeField(
        description="`yearly`: periods such as `2021`; `half_yearly`: `2021-S1`, `2021-S2`."
    )
    months: list[Month] = ShapeField(
        default_factory=list,
        max_length=2,
        description="Months of its surveys: two for a half-yearly indicator, one or none for a yearly one.",
    )
    annual_month: Month | None = ShapeField(
        default=None,
        description="For a half-yearly indicator: the survey of tables that give only the year.",
    )
    decimals: int = ShapeField(ge=0, le=4, description="Largest number of decimals.")
    minimum: Figure | None = ShapeField(default=None, description="Least possible value.")
    maximum: Figure | None = ShapeField(default=None, description="Largest possible value.")
    aliases: list[Line] = ShapeField(
        default_factory=list, max_length=30, description="Other column headers that an import recognises."
    )
    related: list[IndicatorCode] = ShapeField(
        default_factory=list, max_length=5, description="Indicators of the linkage analysis."
    )
    legal_basis: Line | None = ShapeField(default=None, max_length=200)
    edition: Line = ShapeField(max_length=20, description="Edition of this definition.")
    retired: bool = ShapeField(default=False, description="True if the publisher has ended it.")


INDICATOR_EXAMPLE = {
    "name": "Persentase penduduk miskin (P0)",
    "name_english": "Poverty headcount rate (P0)",
    "unit": "percent",
    "direction": "lower_is_better",
    "publisher": "BPS, Susenas",
    "frequency": "half_yearly",
    "months": [3, 9],
    "annual_month": 3,
    "decimals": 2,
    "minimum": 0,
    "maximum": 100,
    "aliases": ["p0_percent", "Persentase Penduduk Miskin"],
    "related": ["mean_years_schooling", "open_unemployment"],
    "legal_basis": "UU 16/1997",
    "edition": "1",
}


class IndicatorIn(IndicatorFields, Shape):
    """A definition in a request; PUT replaces all of it."""

    model_config = show_example(INDICATOR_EXAMPLE)

    @model_validator(mode="after")
    def _check_consistency(self) -> "IndicatorIn":
        first, second = [*self.months, 0, 0][:2]
        if self.frequency is Frequency.half_yearly:
            if not (len(self.months) == 2 and first <= 6 < second):
                raise RuleBroken(wrong_months, at="/months", value=self.months, allowed="[1–6, 7–12]")
            if self.annual_month not in self.months:
                raise RuleBroken(
                    wrong_months, at="/annual_month", value=self.annual_month, allowed=self.months
                )
        elif len(self.months) > 1 or self.annual_month is not None:
            raise RuleBroken(
                wrong_months, at="/months", value=self.months, allowed="[] / [1–12]; annual_month null"
            )
        if self.minimum is not None and self.maximum is not None and self.maximum <= self.minimum:
            raise RuleBroken(empty_range, at="/maximum", value=self.maximum)
        refuse_repeated(self.related, at="/related")
        return self


class IndicatorOut(IndicatorFields):
    """A definition in a list."""

    code: IndicatorCode
    shipped: bool = ShapeField(description="True as shipped; false after a write by an administrator.")
    version: Version

    model_config = show_example(INDICATOR_EXAMPLE, code="p0", shipped=True, version=1)


class IndicatorReply(IndicatorOut):
    """A definition with the rights of the caller."""

    allowed: list[Literal["edit"]]

    model_config = show_example(INDICATOR_EXAMPLE, code="p0", shipped=True, version=1, allowed=["edit"])


class IndicatorRow(IndicatorFields, Table, table=True):
    __tablename__ = "indicator"

    code: str = Field(primary_key=True, max_length=40)
    months: list[int] = Field(sa_type=sa.JSON)
    aliases: list[str] = Field(sa_type=sa.JSON)
    related: list[str] = Field(sa_type=sa.JSON)
    shipped: bool
    version: int


class ObservationFields(BaseModel):
    """A number or a symbol instead of it, as published."""

    value: Figure | None = ShapeField(
        default=None, description="In the indicator's unit; null if there is a symbol."
    )
    symbol: Symbol | None = ShapeField(
        default=None,
        description="`...` not available, `-` none, `NA` not shown; never a zero. Null if there is a value.",
    )
    flags: list[Flag] = ShapeField(
        default_factory=list,
        max_length=4,
        description="`e` estimate, `r` revised, `*` preliminary, `**` very preliminary.",
    )
    source: Line | None = ShapeField(
        default=None, description="Table of the publisher, with its edition or date."
    )


_OBSERVED: dict[str, object] = {
    "value": 4.56,
    "symbol": None,
    "flags": [],
    "source": "BPS, Data dan Informasi Kemiskinan Kabupaten/Kota 2021",
}
_PLACE = {"region_code": "63.02", "indicator": "p0", "period": "2021-S1"}


class ObservationIn(ObservationFields, Shape):
    """An observation in a request: either a value or a symbol."""

    model_config = show_example(_OBSERVED)

    @model_validator(mode="after")
    def _check_value_or_symbol(self) -> "ObservationIn":
        if (self.value is None) == (self.symbol is None):
            raise RuleBroken(
                value_or_symbol, at="/value", value=self.value, allowed=[symbol.value for symbol in Symbol]
            )
        refuse_repeated(self.flags, at="/flags")
        return self


class ObservationItem(ObservationIn):
    """An observation in a batch."""

    region_code: RegionCode
    indicator: IndicatorCode
    period: ObservedPeriod

    model_config = show_example(_PLACE, _OBSERVED)


class ObservationBatch(Batch):
    """A batch of up to 5,000 observations: the service writes all of them or none."""

    items: list[SkipValidation[ObservationItem]] = ShapeField(min_length=1, max_length=5000)

    model_config = show_example(items=[{**_PLACE, **_OBSERVED}])


class ObservationOut(ObservationFields):
    """An observation in a list."""

    region_code: RegionCode
    region_name: str
    indicator: IndicatorCode
    period: ObservedPeriod
    version: Version

    model_config = show_example(_PLACE, _OBSERVED, region_name="Kabupaten Kotabaru", version=1)


class ObservationReply(ObservationOut):
    """An observation with the rights of the caller."""

    allowed: list[Literal["edit", "delete"]]

    model_config = show_example(
        _PLACE, _OBSERVED, region_name="Kabupaten Kotabaru", version=1, allowed=["edit", "delete"]
    )


class SeriesWritten(BaseModel):
    """Outcome of a batch for one indicator and period."""

    indicator: IndicatorCode
    period: ObservedPeriod
    created: int
    updated: int
    unchanged: int
    symbols: int = ShapeField(
        description="Observations of these three counts with a symbol instead of a value."
    )


_WRITTEN: dict[str, object] = {
    "created": 514,
    "updated": 0,
    "unchanged": 0,
    "series": [
        {
            "indicator": "p0",
            "period": "2021-S1",
            "created": 514,
            "updated": 0,
            "unchanged": 0,
            "symbols": 0,
        }
    ],
}


class ObservationsWritten(BaseModel):
    """Outcome of a batch of observations."""

    created: int
    updated: int
    unchanged: int
    series: list[SeriesWritten]

    model_config = show_example(_WRITTEN)


class ObservationsImported(ObservationsWritten):
    """Outcome of an import of a table."""

    factors: list[Factor] = ShapeField(
        description="Columns whose numbers the import multiplied, by the unit of a heading or a title."
    )
    skipped_rows: list[SkippedRows] = ShapeField(description="Rows that the query leaves out, by reason.")
    warnings: list[ErrorShape] = ShapeField(description="Doubts about cells that the import could use.")

    model_config = show_example(
        _WRITTEN,
        factors=[{"column": "C", "unit": "Jumlah Penduduk Miskin (Juta Jiwa)", "times": 1000}],
        skipped_rows=[{"reason": "hidden", "rows": [12, 13]}],
        warnings=[],
    )


class ObservationRow(ObservationFields, Table, table=True):
    __tablename__ = "observation"
    __table_args__ = (sa.Index(None, "indicator", "period", "region_code"),)

    region_code: str = Field(primary_key=True, foreign_key="region.code", max_length=13)
    indicator: str = Field(primary_key=True, foreign_key="indicator.code", max_length=40)
    period: str = Field(primary_key=True, max_length=7)
    flags: list[Flag] = Field(sa_type=sa.JSON)
    source: str | None = Field(default=None, max_length=500)
    version: int


class TargetFields(BaseModel):
    """Target of a region for a year, and its baseline."""

    value: Figure = ShapeField(description="In the indicator's unit.")
    baseline: Figure = ShapeField(
        description="Value of the region in the baseline year, in the indicator's unit."
    )
    baseline_year: Year
    document: Line | None = ShapeField(default=None, description="The document that sets the target.")


_TARGET = {
    "value": 3.9,
    "baseline": 4.56,
    "baseline_year": 2021,
    "document": "RPKD Kabupaten Kotabaru 2025-2029",
}
_TARGET_PLACE = {"region_code": "63.02", "indicator": "p0", "year": 2026}


class TargetIn(TargetFields, Shape):
    """A target in a request."""

    model_config = show_example(_TARGET)


class TargetOut(TargetFields):
    """A target in a list."""

    region_code: RegionCode
    indicator: IndicatorCode
    year: int
    version: Version

    model_config = show_example(_TARGET_PLACE, _TARGET, version=1)


class TargetReply(TargetOut):
    """A target with the rights of the caller."""

    allowed: list[Literal["edit", "delete"]]

    model_config = show_example(_TARGET_PLACE, _TARGET, version=1, allowed=["edit", "delete"])


class TargetRow(TargetFields, Table, table=True):
    __tablename__ = "indicator_target"

    region_code: str = Field(primary_key=True, foreign_key="region.code", max_length=13)
    indicator: str = Field(primary_key=True, foreign_key="indicator.code", max_length=40)
    year: int = Field(primary_key=True)
    document: str | None = Field(default=None, max_length=500)
    version: int


class IndicatorQuery(PageQuery):
    """Filter of the list of definitions."""

    retired: bool = ShapeField(
        default=False, description="True: indicators that the publisher has ended; false: all others."
    )


class ObservationQuery(PageQuery):
    """Filters of the list of observations, joined by AND."""

    region: RegionCode | None = ShapeField(default=None, description="This region and everything below it.")
    level: RegionLevel | None = ShapeField(default=None, description="Only regions of this level.")
    indicator: IndicatorCode | None = None
    period: ObservedPeriod | None = ShapeField(
        default=None, description="`2021`: everything of that year; `2021-S1`: only that half-year."
    )
    sort: Literal["region_code", "-region_code", "period", "-period"] = "region_code"


class TargetQuery(PageQuery):
    """Filters of the list of targets, joined by AND."""

    region: RegionCode | None = ShapeField(default=None, description="This region and everything below it.")
    indicator: IndicatorCode | None = None
    year: int | None = ShapeField(default=None, ge=2015, le=2100, description="Year of the target.")
    sort: Literal["region_code", "-region_code", "year", "-year"] = "region_code"


class CodeSystem(StrEnum):
    """System of the region codes in a file."""

    bps = "bps"
    kemendagri = "kemendagri"


class TableQuery(TableOptions):
    """Options of an import of a publisher's table."""

    code_system: CodeSystem = ShapeField(
        description="System of the file's region codes. They differ for 199 of 514 regencies: BPS 1802 is Tanggamus, "
        "Kemendagri 18.02 Lampung Tengah."
    )
    period: ObservedPeriod | None = ShapeField(
        default=None, description="Period of the observations if no column, heading or title gives it."
    )
    indicator: IndicatorCode | None = ShapeField(
        default=None, description="Indicator of the observations if no column or heading gives it."
    )
    source: Line | None = ShapeField(
        default=None,
        description="Table of the publisher, with its edition or date; by default the file's name.",
    )
    province: RegionCode | None = ShapeField(
        default=None,
        description="Province within which the import reads the names of regencies and cities that have no code.",
    )
    skip: list[Line] = ShapeField(
        default_factory=list, max_length=100, description="Header of a column to skip; repeatable."
    )
