"""Shapes that reports share: fields of rows, first columns, query parameters; and the shapes of the catalogue."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from app.kit.fields import AgencyCode, Key, RegionCode, show_example
from app.kit.periods import PeriodText
from app.kit.server.documentation import Both
from app.tracking.quarters.models import REVISION


def column(id: str, en: str, **more: Any) -> Any:
    """Return a field of a row. The OpenAPI document shows the English description, the catalogue both."""
    return Field(title=id, description=en, **more)


REVISION_COLUMN: Any = column(
    "Nomor revisi rencana yang dibandingkan; kosong: rencana saat triwulan diajukan, sebelumnya rencana saat ini.",
    REVISION,
)
MERGED_COLUMN: Any = column(
    "Kode perangkat daerah yang mengambil alih barisnya; kosong bila tidak digabung.",
    "Code of the agency that took over its lines; null: none did.",
)


class PlanColumns(BaseModel):
    """Columns of a row about a plan."""

    region_code: RegionCode = column("Kode wilayah (Kemendagri).", "Kemendagri code of the plan's region.")
    region_name: str = column("Nama wilayah.", "Name of the region.")
    plan: str = column("Kunci rencana: wilayah dan tahun.", "Key of the plan: region and year.")


PLAN_EXAMPLE = {"region_code": "63.02", "region_name": "Kabupaten Kotabaru", "plan": "63.02-2026"}


class LineColumns(PlanColumns):
    """Columns of a row about a line of a plan."""

    action: Key = column("Kunci baris rencana.", "Key of the line.")
    title: str = column("Judul baris rencana.", "Title of the line.")
    agency_code: AgencyCode = column("Kode perangkat daerah penanggung jawab.", "Agency that leads the line.")
    agency_name: str = column("Nama perangkat daerah.", "Name of the agency.")


class MoneyColumns(BaseModel):
    """Money columns: sums of the lines to the end of a quarter."""

    lines: int = column("Jumlah baris rencana.", "Lines of the plan.")
    allocated: int = column("Alokasi, rupiah.", "Their allocation for the year, whole rupiah.")
    spent: int = column(
        "Realisasi kumulatif s.d. akhir triwulan, rupiah, menurut laporan terakhir tiap baris.",
        "Spent, cumulative to the end of the quarter, whole rupiah, by each line's latest report.",
    )
    absorption_percent: float | None = column(
        "Serapan: realisasi dari alokasi, persen; kosong tanpa alokasi.",
        "Absorption: spent of allocated, percent; null without an allocation.",
    )


class ReportQuery(BaseModel):
    region: RegionCode = Field(description="This region and everything below it; `0` is the nation.")


class PeriodQuery(ReportQuery):
    period: PeriodText


class LeadAgencyQuery(BaseModel):
    agency: AgencyCode | None = Field(default=None, description="Only lines that this agency leads.")


class YearQuery(BaseModel):
    year: int | None = Field(default=None, ge=2015, le=2100, description="Only plans of this year.")


class ColumnKind(StrEnum):
    """Kind of the values of a column. CSV joins the items of a list in one cell with `; `."""

    text = "text"
    integer = "integer"
    number = "number"
    boolean = "boolean"
    date = "date"
    instant = "instant"
    list = "list"


class ReportColumn(BaseModel):
    """Column of a report: a field of its JSON, a column of its CSV."""

    name: str
    kind: ColumnKind
    nullable: bool = Field(description="True if a value can be missing: null in JSON, an empty cell in CSV.")
    description: Both


class ReportParameter(BaseModel):
    """Query parameter of a report, for JSON and CSV."""

    name: str
    required: bool


class ReportOut(BaseModel):
    """Report with its addresses, parameters and columns."""

    report: str
    json_address: str
    csv_address: str
    title: Both
    description: Both
    parameters: list[ReportParameter]
    sorts: list[str] = Field(description="Values of `sort`, the default first.")
    columns: list[ReportColumn] = Field(description="In the order of the CSV.")


class Catalogue(BaseModel):
    """List of the reports."""

    reports: list[ReportOut]

    model_config = show_example(
        reports=[
            {
                "report": "absorption",
                "json_address": "/v1/reports/absorption",
                "csv_address": "/v1/reports/absorption.csv",
                "title": {"id": "Serapan anggaran", "en": "Absorption"},
                "description": {"id": "Serapan per perangkat daerah.", "en": "Absorption by agency."},
                "parameters": [{"name": "region", "required": True}],
                "sorts": ["region_code", "-region_code"],
                "columns": [
                    {
                        "name": "lines",
                        "kind": "integer",
                        "nullable": False,
                        "description": {"id": "Jumlah baris rencana.", "en": "Lines of the plan."},
                    }
                ],
            }
        ]
    )
