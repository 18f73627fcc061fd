"""Sub-activities: table and wire shapes, each field declared once."""

from enum import StrEnum
from typing import Annotated

import sqlalchemy as sa
from pydantic import BaseModel, JsonValue
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import describe_key, show_example
from app.reference.models import RETIRED, NameQuery, ReferenceEditionFields


class GovernmentLevel(StrEnum):
    """Levels of government with programmes in a nomenclature."""

    province = "province"
    regency = "regency"


EditionKey = Annotated[str, describe_key("Edition of the programme codes.", "2027")]
LevelKey = Annotated[GovernmentLevel, describe_key("Level of government of the programmes.", "regency")]
SubactivityKey = Annotated[str, describe_key("Official code of the sub-activity.", "1.06.04.2.01.0001")]


class NomenclatureOut(ReferenceEditionFields):
    """One edition of the official programme codes."""

    model_config = show_example(
        edition="2027",
        source="Export of the national planning system, 2026-01-23, update for 2027",
        legal_basis="Permendagri 90/2019; Kepmendagri 900.1.15.5 series",
        terms="annex of a ministerial decree: no copyright (UU 28/2014 art. 42)",
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        rows=7581,
        loaded_at="2026-11-21T04:00:00+00:00",
    )


class SubactivityName(BaseModel):
    """A sub-activity by code and name."""

    code: str
    name: str


class SubactivityFields(BaseModel):
    edition: str = ShapeField(max_length=20)
    government_level: GovernmentLevel
    code: str = ShapeField(max_length=20, description="Six groups of digits: `1.06.05.2.02.0006`.")
    name: str = ShapeField(max_length=500)
    field_code: str = ShapeField(max_length=10, description="Field of government (urusan).")
    field_name: str = ShapeField(max_length=200)
    program_code: str = ShapeField(max_length=12)
    program_name: str = ShapeField(max_length=300)
    activity_code: str = ShapeField(max_length=16)
    activity_name: str = ShapeField(max_length=500)
    performance: str | None = ShapeField(default=None, max_length=1000, description="Achievement (kinerja).")
    indicator: str | None = ShapeField(
        default=None, max_length=1000, description="Quantity that the output counts."
    )
    unit: str | None = ShapeField(default=None, max_length=100, description="Unit of the indicator.")
    spm: bool = ShapeField(description="Serves a minimum service standard (SPM).")
    kind: str = ShapeField(max_length=20, description="As published: `Layanan`, `Aktifitas`.")
    tags: list[str] = ShapeField(description="Policy tags, as published.")
    predecessor_code: str | None = ShapeField(
        default=None, max_length=20, description="Code that this one replaces; mostly of an earlier edition."
    )
    predecessor_name: str | None = ShapeField(default=None, max_length=500)
    retired: bool = ShapeField(default=False, description="No longer in the newest file of this edition.")


class SubactivityRow(SubactivityFields, Table, table=True):
    """A sub-activity of one edition and level of government."""

    __tablename__ = "subactivity"
    __table_args__ = (
        sa.PrimaryKeyConstraint("edition", "government_level", "code"),
        sa.Index(None, "edition", "government_level", "folded_name"),
        sa.Index(None, "edition", "predecessor_code"),
    )

    tags: list[str] = Field(sa_type=sa.JSON)
    folded_name: str = Field(max_length=500)
    folded_activity: str = Field(max_length=500)
    folded: str = Field(max_length=1500, description="Name, activity and programme, folded for search.")


_SUBACTIVITY: dict[str, JsonValue] = {
    "edition": "2027",
    "government_level": "regency",
    "code": "1.01.02.2.01.0029",
    "name": "Pengelolaan Dana BOS Sekolah Dasar",
    "field_code": "1.01",
    "field_name": "URUSAN PEMERINTAHAN BIDANG PENDIDIKAN",
    "program_code": "1.01.02",
    "program_name": "PROGRAM PENGELOLAAN PENDIDIKAN",
    "activity_code": "1.01.02.2.01",
    "activity_name": "Pengelolaan Pendidikan Sekolah Dasar",
    "performance": "Terlaksananya Pengelolaan Dana BOS Sekolah Dasar",
    "indicator": "Jumlah Sekolah Dasar yang Mengelola Dana BOS",
    "unit": "Satuan Pendidikan",
    "spm": True,
    "kind": "Aktifitas",
    "tags": ["ANGGARAN RESPONSIF GENDER (ASTACITA)", "KESPRO"],
    "predecessor_code": None,
    "predecessor_name": None,
    "retired": False,
}


class SubactivityOut(SubactivityFields):
    """A sub-activity with the activity, programme and field it belongs to."""

    model_config = show_example(_SUBACTIVITY)


class SubactivityReply(SubactivityFields):
    """A sub-activity with its successors."""

    successors: list[SubactivityName] = ShapeField(
        description="Sub-activities of this edition and level that name this code as their predecessor."
    )

    model_config = show_example(_SUBACTIVITY, successors=[])


class SubactivityQuery(NameQuery):
    """Filter of sub-activities; all conditions apply together."""

    government_level: GovernmentLevel | None = ShapeField(
        default=None, description="Programmes of this level."
    )
    field: str | None = ShapeField(default=None, max_length=10, description="Code of the field (`1.06`).")
    program: str | None = ShapeField(
        default=None, max_length=12, description="Code of the programme (`1.06.05`)."
    )
    activity: str | None = ShapeField(
        default=None, max_length=16, description="Code of the activity (`1.06.05.2.02`)."
    )
    predecessor: str | None = ShapeField(
        default=None,
        max_length=20,
        description="Only successors of this code, which this edition may no longer have.",
    )
    retired: bool = ShapeField(default=False, description=RETIRED)
