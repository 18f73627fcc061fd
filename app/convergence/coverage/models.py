"""Shapes and tables of coverage: villages in a quarter, and sums of regions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import BaseModel, SkipValidation, model_validator
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.convergence.coverage.rules import VillageStatus, compute_percent
from app.kit.database.engine import Table
from app.kit.fields import Batch, Count, Key, Line, RegionCode, Shape, Version, describe_key, show_example
from app.kit.http.pagination import PageQuery
from app.kit.http.validation import RuleBroken, refuse_repeated
from app.kit.periods import PeriodText, Quarter
from app.kit.problems import ErrorShape, Kind
from app.kit.tables.options import SkippedRows, TableOptions
from app.plans.actions.models import RecipientKind
from app.reference.models import RegionLevel

served_over_eligible = Kind(
    "served_over_eligible",
    id="jumlah terlayani “{value}” melebihi jumlah yang berhak ({eligible})",
    en="the number served “{value}” exceeds the number eligible ({eligible})",
)
complete_over_target = Kind(
    "complete_over_target",
    id="jumlah keluarga lengkap “{value}” melebihi jumlah keluarga sasaran ({target})",
    en="the number of complete families “{value}” exceeds that of target families ({target})",
)

QuarterKey = Annotated[str, describe_key("Quarter.", "2026-Q2")]
VillageKey = Annotated[str, describe_key("Kemendagri code of the village.", "63.02.05.2001")]

LARGEST_BATCH = 10_000
"""Villages in a batch: the largest province has 8,563."""


class ServiceCoverageFields(BaseModel):
    """One service in a village, counted in the unit of the service package."""

    service: Key = ShapeField(description="Code of the service in the package of the regency's year.")
    eligible: Count
    served: Count = ShapeField(description="Served among the eligible, so never more.")


class ServiceCoverage(ServiceCoverageFields, Shape):
    @model_validator(mode="after")
    def _check_served(self) -> "ServiceCoverage":
        if self.served > self.eligible:
            raise RuleBroken(
                served_over_eligible,
                at="/served",
                value=self.served,
                allowed=f"≤ {self.eligible}",
                eligible=self.eligible,
            )
        return self


class CoverageFields(BaseModel):
    """Fields of a village's report on a quarter, except its services."""

    target_families: Count
    complete_families: Count | None = ShapeField(
        default=None,
        description="Target families with every service that they are eligible for; null if not counted.",
    )
    source: Line = ShapeField(description="Source of the figures.")
    source_period: PeriodText = ShapeField(description="Period of the source.")


COVERAGE_EXAMPLE = {
    "target_families": 140,
    "complete_families": 35,
    "source": "DTSEN",
    "source_period": "2026-Q1",
    "services": [
        {"service": "health_insurance", "eligible": 140, "served": 126},
        {"service": "livelihood", "eligible": 96, "served": 24},
        {"service": "safe_water", "eligible": 52, "served": 38},
    ],
}


class CoverageIn(CoverageFields, Shape):
    """Coverage of a village in a request; PUT replaces all of it."""

    services: list[ServiceCoverage] = ShapeField(min_length=1, max_length=50)

    model_config = show_example(COVERAGE_EXAMPLE)

    @model_validator(mode="after")
    def _check_consistency(self) -> "CoverageIn":
        refuse_repeated((service.service for service in self.services), at="/services")
        if self.complete_families is not None and self.complete_families > self.target_families:
            raise RuleBroken(
                complete_over_target,
                at="/complete_families",
                value=self.complete_families,
                allowed=f"≤ {self.target_families}",
                target=self.target_families,
            )
        return self


class CoverageItem(CoverageIn):
    """Coverage of a village in a batch."""

    village: RegionCode

    model_config = show_example(COVERAGE_EXAMPLE, village="63.02.05.2001")


class CoverageBatch(Batch):
    """A batch of the coverage of up to 10,000 villages."""

    # Commands validate item by item: with `each` a bad item does not refuse the others.
    items: list[SkipValidation[CoverageItem]] = ShapeField(min_length=1, max_length=LARGEST_BATCH)

    model_config = show_example(items=[{"village": "63.02.05.2001", **COVERAGE_EXAMPLE}])


_PERCENT = "two decimals; null without eligible recipients."
Share = Annotated[float | None, ShapeField(description=f"Percent, {_PERCENT}")]


_OUT_EXAMPLE = {
    **COVERAGE_EXAMPLE,
    "village": "63.02.05.2001",
    "village_name": "Sekapung",
    "region_code": "63.02",
    "period": "2026-Q2",
    "service_package": "1",
    "method": "1",
    "eligible": 288,
    "served": 188,
    "coverage_percent": 65.28,
    "balance_percent": 25.0,
    "completeness_percent": 25.0,
    "status": "partial",
    "version": 1,
    "reported_at": "2026-07-08T03:00:00+00:00",
    "reported_by": "sekretariat-kotabaru",
}


class CoverageOut(CoverageIn):
    """Coverage of a village in a reply, with the figures that follow from it."""

    village: RegionCode
    village_name: str
    region_code: RegionCode = ShapeField(description="The regency.")
    period: Quarter
    service_package: str = ShapeField(description="Edition of the services.")
    method: str = ShapeField(description="Edition of the method, whose thresholds give the status.")
    eligible: int = ShapeField(description="Sum over all services.")
    served: int
    coverage_percent: Share = ShapeField(
        description=f"KD: served of eligible, all services pooled; {_PERCENT}"
    )
    balance_percent: Share = ShapeField(
        description="B: the lowest coverage of a strategy, over those with eligible recipients; null without any."
    )
    completeness_percent: float | None = ShapeField(
        description="L: complete of target families; null without a count or without target families."
    )
    status: VillageStatus | None = ShapeField(description="Null without eligible recipients of any service.")
    version: Version
    reported_at: datetime
    reported_by: str = ShapeField(description="Position or service of the latest report.")

    model_config = show_example(_OUT_EXAMPLE)


class StrategyCoverage(BaseModel):
    """The services of one strategy, pooled."""

    strategy: str = ShapeField(description="Key of the strategy, or `base`.")
    eligible: int
    served: int
    coverage_percent: Share

    @classmethod
    def from_counts(cls, strategies: Mapping[str, tuple[int, int]]) -> list["StrategyCoverage"]:
        """Return the figures of strategies from their E and C, in their order."""
        return [
            cls.model_construct(
                strategy=name,
                eligible=eligible,
                served=served,
                coverage_percent=compute_percent(served, eligible),
            )
            for name, (eligible, served) in strategies.items()
        ]


class CoverageReply(CoverageOut):
    """Coverage of a village with figures by strategy and the rights of the caller."""

    by_strategy: list[StrategyCoverage]
    allowed: list[Literal["edit", "delete"]]

    model_config = show_example(
        _OUT_EXAMPLE,
        by_strategy=[{"strategy": "raise_income", "eligible": 96, "served": 24, "coverage_percent": 25.0}],
        allowed=["edit", "delete"],
    )


class CoverageSums(BaseModel):
    """Sums over the villages of a region in a quarter, and the percentages that follow."""

    eligible: int = ShapeField(description="Sum over all services.")
    served: int
    coverage_percent: Share = ShapeField(
        description=f"K: served of eligible, pooled over villages; {_PERCENT}"
    )
    villages_reporting: int
    villages_expected: int = ShapeField(
        description="Villages with a report on the quarter or one of the four quarters before, and priority locations "
        "of the regency's plan."
    )
    villages_without_target: int = ShapeField(
        description="Expected villages without a known number of target families; reach leaves them out."
    )
    families_reporting: int = ShapeField(description="Target families of the villages with a report.")
    families_expected: int = ShapeField(
        description="Target families of the expected villages: from the report, else from the plan, else from the "
        "latest earlier report."
    )
    reach_percent: float | None = ShapeField(
        description="R: target families of villages with a report, of those of expected villages; null if neither a "
        "plan nor an earlier report names a village."
    )
    complete_families: int
    completeness_percent: float | None = ShapeField(
        description="L: complete of target families, over the villages that counted them; null if none did."
    )
    converged: int = ShapeField(description="Converged villages.")
    partial: int
    not_yet: int
    undefined: int = ShapeField(description="Villages with a report but without eligible recipients.")


_SUMS = {
    "eligible": 288,
    "served": 188,
    "coverage_percent": 65.28,
    "villages_reporting": 1,
    "villages_expected": 2,
    "villages_without_target": 0,
    "families_reporting": 140,
    "families_expected": 200,
    "reach_percent": 70.0,
    "complete_families": 35,
    "completeness_percent": 25.0,
    "converged": 0,
    "partial": 1,
    "not_yet": 0,
    "undefined": 0,
}


class RegionSums(CoverageSums):
    """The coverage of a region in a list; zeros and nulls without reports."""

    region_code: RegionCode
    name: str
    level: RegionLevel

    model_config = show_example(_SUMS, region_code="63.02.05", name="Pulau Sebuku", level="district")


class ServiceSums(BaseModel):
    """One service over the villages of a region."""

    service: str
    name: str
    name_english: str
    unit: RecipientKind
    strategy: str
    eligible: int
    served: int
    coverage_percent: Share


class RegionCoverage(CoverageSums):
    """Coverage of a region in a quarter, with all its inputs."""

    region_code: RegionCode
    period: Quarter
    balance_percent: Share = ShapeField(
        description="B: the lowest coverage of a strategy, over those with eligible recipients."
    )
    lowest_strategy: str | None = ShapeField(description="Strategy with the lowest coverage.")
    undefined_strategies: list[str] = ShapeField(description="Strategies without eligible recipients.")
    is_rankable: bool = ShapeField(description="True if reach is at least the method's minimum for a rank.")
    by_strategy: list[StrategyCoverage]
    by_service: list[ServiceSums]
    service_packages: list[str] = ShapeField(description="Editions of the regencies' coverage.")
    methods: list[str] = ShapeField(description="Editions of the thresholds for the villages' status.")
    method: str = ShapeField(description="Edition of the region itself.")

    model_config = show_example(
        _SUMS,
        region_code="63.02",
        period="2026-Q2",
        balance_percent=25.0,
        lowest_strategy="raise_income",
        undefined_strategies=[],
        is_rankable=True,
        by_strategy=[{"strategy": "raise_income", "eligible": 96, "served": 24, "coverage_percent": 25.0}],
        by_service=[
            {
                "service": "livelihood",
                "name": "Kerja, pelatihan, atau modal bagi satu anggota usia kerja",
                "name_english": "Work, training or capital for one working-age member",
                "unit": "families",
                "strategy": "raise_income",
                "eligible": 96,
                "served": 24,
                "coverage_percent": 25.0,
            }
        ],
        service_packages=["1"],
        methods=["1"],
        method="1",
    )


class CoverageListQuery(PageQuery):
    """Filter and order of the list of villages."""

    region: RegionCode = ShapeField(description="This region and everything below it.")
    sort: Literal["village", "-village", "reported_at", "-reported_at"] = "village"


class FiguresQuery(BaseModel):
    period: Quarter


class ChildrenQuery(PageQuery, FiguresQuery):
    sort: Literal["region_code", "-region_code"] = "region_code"


class CoverageImportQuery(TableOptions):
    """Options of an import."""

    code_system: Literal["kemendagri", "bps"] = ShapeField(
        description="System of the village codes in the file. With `bps` the code gives only the regency; the names of "
        "district and village give the village."
    )
    region: RegionCode | None = ShapeField(
        default=None,
        description="Regency or city within which the import reads the names of villages that have no code.",
    )
    source: Line | None = ShapeField(default=None, description="Source for rows without one.")
    source_period: PeriodText | None = ShapeField(
        default=None, description="Period of the source for rows without one."
    )
    each: bool = ShapeField(
        default=False,
        description="Write the villages without errors and refuse the others, instead of all or none.",
    )


class CoverageImportReport(BaseModel):
    """Outcome of an import, or of its trial run."""

    period: Quarter
    sheet: str
    layout: Literal["wide", "long"]
    villages: int
    created: int
    updated: int
    unchanged: int
    refused: int
    skipped_rows: list[SkippedRows] = ShapeField(description="Rows that the query leaves out, by reason.")
    errors: list[ErrorShape] = ShapeField(description="With `each`: the errors, cell by cell.")
    warnings: list[ErrorShape] = ShapeField(description="Doubts about cells that the import could use.")

    model_config = show_example(
        period="2026-Q2",
        sheet="Cakupan",
        layout="wide",
        villages=198,
        created=198,
        updated=0,
        unchanged=0,
        refused=0,
        skipped_rows=[{"reason": "hidden", "rows": [12, 13]}],
        errors=[],
        warnings=[],
    )


class CoverageRow(CoverageFields, Table, table=True):
    """A village in a quarter, with totals and status that follow from its services."""

    __tablename__ = "coverage"
    __table_args__ = (sa.Index(None, "region_code", "period"), sa.Index(None, "district_code", "period"))

    period: str = Field(primary_key=True, max_length=7)
    village: str = Field(primary_key=True, max_length=13, foreign_key="region.code")
    region_code: str = Field(max_length=13, description="The regency; a key to distribute the table by.")
    district_code: str = Field(max_length=13)
    year: int = Field(description="A key to partition the table by.")
    eligible: int
    served: int
    balance_percent: float | None
    status: VillageStatus | None
    version: int
    reported_at: datetime
    reported_by: str = Field(max_length=80)


class ExpectedCoverageRow(Table, table=True):
    """A village that a submitted quarter expects by its plan or by earlier reports, as they were at the submission."""

    __tablename__ = "coverage_expected"
    __table_args__ = (sa.Index(None, "region_code", "period"),)

    period: str = Field(primary_key=True, max_length=7)
    village: str = Field(primary_key=True, max_length=13, foreign_key="region.code")
    region_code: str = Field(max_length=13, description="The regency.")
    target_families: int | None = None


class ServiceCoverageRow(ServiceCoverageFields, Table, table=True):
    """A service in a village in a quarter."""

    __tablename__ = "coverage_service"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["period", "village"], ["coverage.period", "coverage.village"], ondelete="CASCADE"
        ),
    )

    period: str = Field(primary_key=True, max_length=7)
    village: str = Field(primary_key=True, max_length=13)
    service: str = Field(primary_key=True, max_length=40)
    position: int


class CoverageRegionRow(Table, table=True):
    """Sums over the villages of a district or a regency; each write updates them, requests read them."""

    __tablename__ = "coverage_region"

    period: str = Field(primary_key=True, max_length=7)
    level: RegionLevel = Field(primary_key=True)
    region_code: str = Field(primary_key=True, max_length=13)
    eligible: int
    served: int
    villages_reporting: int
    villages_expected: int
    villages_foreseen: int = Field(description="Expected villages that the plan or an earlier report names.")
    villages_without_target: int
    families_reporting: int
    families_expected: int
    complete_families: int
    families_counted: int = Field(
        description="Target families of the villages that counted complete families."
    )
    converged: int
    partial: int
    not_yet: int
    undefined: int


class CoverageTotalRow(Table, table=True):
    """Sums of one service over the villages of a district or a regency."""

    __tablename__ = "coverage_total"

    period: str = Field(primary_key=True, max_length=7)
    level: RegionLevel = Field(primary_key=True)
    region_code: str = Field(primary_key=True, max_length=13)
    service: str = Field(primary_key=True, max_length=40)
    service_package: str = Field(primary_key=True, max_length=40)
    eligible: int
    served: int
