"""Shapes that reports share: fields of rows, first columns, query parameters; and the shapes of the catalogue."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from app.kit.fields import AgencyCode, Key, RegionCode, show_example
from app.kit.periods import PeriodText
from app.kit.server.documentation import Both
from app.kit.tables.columns import column
from app.kit.wording import Text
from app.tracking.quarters.models import REVISION

REVISION_COLUMN: Any = column(
    Text("Revisi Rencana", "Revision"),
    Text(
        "Nomor revisi rencana yang dibandingkan; kosong: rencana saat triwulan diajukan, sebelumnya rencana saat ini.",
        REVISION,
    ),
    width=10,
)
MERGED_COLUMN: Any = column(
    Text("Digabung ke", "Merged into"),
    Text(
        "Kode perangkat daerah yang mengambil alih barisnya; kosong bila tidak digabung.",
        "Code of the agency that took over its lines; null: none did.",
    ),
    width=24,
)


class PlanColumns(BaseModel):
    """Columns of a row about a plan."""

    region_code: RegionCode = column(
        Text("Kode Wilayah", "Region code"),
        Text("Kode wilayah (Kemendagri).", "Kemendagri code of the plan's region."),
        width=13,
    )
    region_name: str = column(
        Text("Wilayah", "Region"), Text("Nama wilayah.", "Name of the region."), width=28
    )
    plan: str = column(
        Text("Rencana", "Plan"),
        Text("Kunci rencana: wilayah dan tahun.", "Key of the plan: region and year."),
        width=13,
    )


PLAN_EXAMPLE = {"region_code": "63.02", "region_name": "Kabupaten Kotabaru", "plan": "63.02-2026"}


class LineColumns(PlanColumns):
    """Columns of a row about a line of a plan."""

    action: Key = column(
        Text("Kode Baris", "Line"), Text("Kunci baris rencana.", "Key of the line."), width=12
    )
    title: str = column(
        Text("Uraian Baris", "Title"), Text("Judul baris rencana.", "Title of the line."), width=48
    )
    agency_code: AgencyCode = column(
        Text("Kode Perangkat Daerah", "Agency code"),
        Text("Kode perangkat daerah penanggung jawab.", "Agency that leads the line."),
        width=24,
    )
    agency_name: str = column(
        Text("Perangkat Daerah", "Agency"), Text("Nama perangkat daerah.", "Name of the agency."), width=36
    )


class MoneyColumns(BaseModel):
    """Money columns: sums of the lines to the end of a quarter."""

    lines: int = column(
        Text("Jumlah Baris", "Lines"), Text("Jumlah baris rencana.", "Lines of the plan."), width=10
    )
    allocated: int = column(
        Text("Alokasi (Rp)", "Allocated (Rp)"),
        Text("Alokasi, rupiah.", "Their allocation for the year, whole rupiah."),
        width=20,
    )
    spent: int = column(
        Text("Realisasi (Rp)", "Spent (Rp)"),
        Text(
            "Realisasi kumulatif s.d. akhir triwulan, rupiah, menurut laporan terakhir tiap baris.",
            "Spent, cumulative to the end of the quarter, whole rupiah, by each line's latest report.",
        ),
        width=20,
    )
    absorption_percent: float | None = column(
        Text("Serapan (%)", "Absorption (%)"),
        Text(
            "Serapan: realisasi dari alokasi, persen; kosong tanpa alokasi.",
            "Absorption: spent of allocated, percent; null without an allocation.",
        ),
        width=11,
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
    """Kind of the values of a column. Files join the items of a list in one cell with `; `."""

    text = "text"
    integer = "integer"
    number = "number"
    boolean = "boolean"
    date = "date"
    instant = "instant"
    list = "list"


class ReportColumn(BaseModel):
    """Column of a report: a field of its JSON, a column of its files."""

    name: str
    kind: ColumnKind
    nullable: bool = Field(
        description="True if a value can be missing: null in JSON, an empty cell in files."
    )
    has_codes: bool = Field(
        description="True if values are codes, which XLSX and CSV for spreadsheets show as words."
    )
    heading: Both = Field(
        description="Heading of XLSX and of CSV for spreadsheets; CSV for programs has `name`."
    )
    description: Both


class ReportParameter(BaseModel):
    """Query parameter of a report, for JSON and files."""

    name: str
    required: bool


class ReportOut(BaseModel):
    """Report with its addresses, parameters and columns."""

    report: str
    json_address: str
    xlsx_address: str
    csv_address: str
    title: Both
    description: Both
    parameters: list[ReportParameter]
    sorts: list[str] = Field(description="Values of `sort`, the default first.")
    columns: list[ReportColumn] = Field(description="In the order of the files.")


class Catalogue(BaseModel):
    """List of the reports."""

    reports: list[ReportOut]

    model_config = show_example(
        reports=[
            {
                "report": "absorption",
                "json_address": "/v1/reports/absorption",
                "xlsx_address": "/v1/reports/absorption.xlsx",
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
                        "has_codes": False,
                        "heading": {"id": "Jumlah Baris", "en": "Lines"},
                        "description": {"id": "Jumlah baris rencana.", "en": "Lines of the plan."},
                    }
                ],
            }
        ]
    )
