"""Shapes and tables of service packages and methods."""

from datetime import datetime
from typing import Annotated

import sqlalchemy as sa
from pydantic import BaseModel, model_validator
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.convergence.editions.methods.rules import WEIGHTS, find_wrong_sum
from app.convergence.editions.models import ChoiceState, EditionState, EditionTable, RuleEditionFields
from app.kit.database.engine import Table
from app.kit.fields import Key, Line, Percent, Shape, describe_key, show_example
from app.kit.http.validation import RuleBroken, refuse_repeated
from app.kit.problems import Kind
from app.kit.wording import Text, declare_words
from app.plans.actions.models import RecipientKind

sum_is_not_one = Kind(
    "sum_is_not_one",
    id="jumlah {names} adalah {sum}; jumlahnya harus 1",
    en="{names} sum to {sum}; their sum must be 1",
)
falling_thresholds = Kind(
    "falling_thresholds",
    id="ambang {lower} (“{value}”) harus lebih rendah daripada ambang {upper} ({allowed})",
    en="the threshold of {lower} (“{value}”) must be below the threshold of {upper} ({allowed})",
)
declare_words(
    {
        "component weights": Text("bobot kelima komponen", "the weights of the five components"),
        "class shares": Text("bagian ketiga kelas belanja", "the shares of the three spending classes"),
        "class_middle_from": Text("kelas menengah", "the middle class"),
        "class_high_from": Text("kelas tertinggi", "the highest class"),
        "partial_coverage": Text("desa konvergen sebagian", "partly converged villages"),
        "converged_coverage": Text("desa konvergen", "converged villages"),
    }
)

PackageKey = Annotated[str, describe_key("Edition of the service package.", "2")]
MethodKey = Annotated[str, describe_key("Edition of the method.", "3")]
YearKey = Annotated[str, describe_key("Plan year; all its quarters follow one edition.", "2026")]

Weight = Annotated[float, ShapeField(ge=0, le=1, allow_inf_nan=False, description="Share of 1.")]


class ServiceFields(BaseModel):
    """A service for eligible families."""

    code: Key
    name: Line
    name_english: Line
    strategy: Key = ShapeField(
        description="Key of its strategy; `base` for a service that all strategies rest on."
    )
    unit: RecipientKind = ShapeField(
        default=RecipientKind.families, description="Unit of the counts of eligible and served."
    )


class Service(ServiceFields, Shape): ...


_SERVICES = [
    {
        "code": "health_insurance",
        "name": "Iuran jaminan kesehatan",
        "name_english": "Health-insurance contribution",
        "strategy": "reduce_spending_burden",
        "unit": "families",
    },
    {
        "code": "livelihood",
        "name": "Kerja, pelatihan, atau modal bagi satu anggota usia kerja",
        "name_english": "Work, training or capital for one working-age member",
        "strategy": "raise_income",
        "unit": "families",
    },
]
_PACKAGE = {"name": "Paket layanan dasar", "first_year": 2099, "services": _SERVICES}


class ServicePackageIn(RuleEditionFields, Shape):
    """A service package in a request."""

    services: list[Service] = ShapeField(min_length=1, max_length=50)

    model_config = show_example(_PACKAGE)

    @model_validator(mode="after")
    def _refuse_repeated_services(self) -> "ServicePackageIn":
        refuse_repeated((service.code for service in self.services), at="/services")
        return self


_STORED = {
    "edition": "2",
    "version": 1,
    "in_use": False,
    "updated_at": "2026-01-05T02:00:00+00:00",
}


class ServicePackageOut(ServicePackageIn, EditionState):
    """A service package in a reply."""

    model_config = show_example(_PACKAGE, _STORED)


class ServicePackageRow(EditionTable, table=True):
    __tablename__ = "service_package"


class ServiceRow(ServiceFields, Table, table=True):
    __tablename__ = "service_package_service"

    edition: str = Field(
        primary_key=True, max_length=40, foreign_key="service_package.edition", ondelete="CASCADE"
    )
    code: str = Field(primary_key=True, max_length=40)
    unit: RecipientKind
    position: int


class MethodFields(RuleEditionFields):
    """Weights, shares and thresholds of the convergence index (domain, section 7)."""

    weight_process: Weight
    weight_coverage: Weight
    weight_targeting: Weight
    weight_spending: Weight
    weight_outcome: Weight
    share_direct: Weight
    share_indirect: Weight
    share_supporting: Weight
    class_high: Line
    class_high_from: Percent = ShapeField(description="Least index of the highest class.")
    class_middle: Line
    class_middle_from: Percent
    class_low: Line
    converged_coverage: Percent = ShapeField(description="Least coverage of a converged village.")
    converged_balance: Percent = ShapeField(description="Least balance of a converged village.")
    partial_coverage: Percent = ShapeField(description="Least coverage of a partly converged village.")
    rank_reach: Percent = ShapeField(description="Least reach of a region with a rank.")
    fair_yardstick: bool = ShapeField(
        default=False,
        description="True: spending counts up to the allocation of each line and class, and the highest spending "
        "figure of a province's quarter is settled once.",
    )


_METHOD = {
    "name": "Indeks konvergensi",
    "first_year": 2099,
    "weight_process": 0.25,
    "weight_coverage": 0.3,
    "weight_targeting": 0.15,
    "weight_spending": 0.15,
    "weight_outcome": 0.15,
    "share_direct": 0.5,
    "share_indirect": 0.3,
    "share_supporting": 0.2,
    "class_high": "Berdaya",
    "class_high_from": 80,
    "class_middle": "Berkembang",
    "class_middle_from": 60,
    "class_low": "Bertumbuh",
    "converged_coverage": 80,
    "converged_balance": 60,
    "partial_coverage": 50,
    "rank_reach": 70,
}


class Method(MethodFields):
    """A method with its edition, for calculations."""

    edition: str


class MethodIn(MethodFields, Shape):
    """A method in a request."""

    model_config = show_example(_METHOD)

    @model_validator(mode="after")
    def _check_consistency(self) -> "MethodIn":
        for group, names in WEIGHTS.items():
            total = find_wrong_sum([getattr(self, name) for name in names])
            if total is not None:
                raise RuleBroken(sum_is_not_one, at=f"/{names[0]}", names=group, sum=total, allowed=1)
        for lower, upper in (
            ("class_middle_from", "class_high_from"),
            ("partial_coverage", "converged_coverage"),
        ):
            below, above = getattr(self, lower), getattr(self, upper)
            if below >= above:
                raise RuleBroken(
                    falling_thresholds, at=f"/{lower}", lower=lower, upper=upper, value=below, allowed=above
                )
        return self


class MethodOut(MethodIn, EditionState):
    """A method in a reply."""

    model_config = show_example(_METHOD, _STORED, edition="3")


class MethodRow(EditionTable, MethodFields, table=True):
    __tablename__ = "convergence_method"

    fair_yardstick: bool = Field(default=False, sa_column_kwargs={"server_default": sa.false()})


class RegionEditionFields(BaseModel):
    """The editions of a region's year."""

    service_package: Key
    method: Key
    legal_basis: Line | None = ShapeField(default=None, description="Legal basis of the choice.")


_CHOICE = {"service_package": "1", "method": "1", "legal_basis": "Keputusan Gubernur"}


class RegionEditionIn(RegionEditionFields, Shape):
    """The choice of editions for a region's year."""

    model_config = show_example(_CHOICE)


class RegionEditionReply(ChoiceState, RegionEditionFields):
    """The editions of a region's year, chosen or by default."""

    model_config = show_example(
        _CHOICE, region_code="63.02", year=2026, version=1, in_use=True, allowed=["edit"]
    )


class RegionEditionRow(RegionEditionFields, Table, table=True):
    __tablename__ = "region_edition"
    __table_args__ = (
        sa.Index(None, "service_package"),
        sa.Index(None, "method"),
    )

    region_code: str = Field(primary_key=True, max_length=13, foreign_key="region.code")
    year: int = Field(primary_key=True)
    service_package: str = Field(max_length=40, foreign_key="service_package.edition")
    method: str = Field(max_length=40, foreign_key="convergence_method.edition")
    version: int
    updated_at: datetime
