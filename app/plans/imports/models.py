"""Imports of a plan: the file, the caller's choices, and the row of each line that they wrote."""

from datetime import datetime
from typing import Annotated

import sqlalchemy as sa
from pydantic import BaseModel
from pydantic import Field as ShapeField
from sqlmodel import Field

from app.kit.database.engine import Table
from app.kit.fields import Key, describe_key, show_example

_IMPORT = {
    "number": 2,
    "at": "2026-03-02T02:11:09.481516+00:00",
    "actor": "sekretariat-kotabaru",
    "file_name": "matriks-rat-2026.xlsx",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "sheet": "Matriks",
    "is_amendment": False,
    "choices": {"accept": ["free_text"], "new_agencies": "refuse", "columns": [], "resolutions": []},
}


ImportNumber = Annotated[str, describe_key("Number of the import, from 1.", "1")]


class ImportedFrom(BaseModel):
    """The row of a file that a line came from."""

    import_number: int = ShapeField(description="Number of the import among those of the plan.")
    sheet: str
    row: int = ShapeField(description="Row number as the spreadsheet shows it, from 1.")


class PlanImportFields(BaseModel):
    """An import that changed a plan, its amendment or its reports."""

    number: int = ShapeField(description="Number among the plan's imports, from 1.")
    at: datetime
    actor: str = ShapeField(description="Position or service, never a person.")
    file_name: str
    sha256: str = ShapeField(description="SHA-256 (hex) of the file.")
    sheet: str
    is_amendment: bool = ShapeField(description="Whether its lines went into the amendment.")
    choices: dict[str, object] = ShapeField(
        description="Options, chosen columns and resolutions of the call."
    )


class PlanImport(PlanImportFields):
    """An import in a list."""

    model_config = show_example(_IMPORT)


class ImportedLine(BaseModel):
    """A line that an import wrote."""

    line: Key
    row: int
    version: int = ShapeField(description="Version of the line that the import wrote.")


class PlanImportReply(PlanImport):
    """An import with its lines."""

    lines: list[ImportedLine]

    model_config = show_example(_IMPORT, lines=[{"line": "A-001", "row": 12, "version": 3}])


class PlanImportRow(PlanImportFields, Table, table=True):
    __tablename__ = "plan_import"

    plan_id: int = Field(foreign_key="plan.id", primary_key=True, ondelete="CASCADE")
    number: int = Field(primary_key=True)
    actor: str = Field(max_length=200)
    file_name: str = Field(max_length=200)
    sha256: str = Field(max_length=64)
    sheet: str = Field(max_length=100)
    choices: dict[str, object] = Field(sa_type=sa.JSON)


class ImportedLineRow(Table, table=True):
    """A line at the version that an import wrote; a later version of the line has no row of that import."""

    __tablename__ = "imported_line"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["plan_id", "number"], ["plan_import.plan_id", "plan_import.number"], ondelete="CASCADE"
        ),
        sa.Index(None, "plan_id", "code", "version"),
    )

    plan_id: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    code: str = Field(primary_key=True, max_length=40)
    version: int
    row: int
