"""Query, resolutions and report of an import."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, TypeAdapter, model_validator
from pydantic import Field as ShapeField

from app.exchange.matrix.models import Basis
from app.kit.fields import SOMETIMES, show_example
from app.kit.http.validation import RuleBroken
from app.kit.problems import CellShape, ErrorShape, Kind
from app.kit.tables.factors import Factor
from app.kit.tables.options import LineOptions, SkippedRows
from app.kit.tables.resolutions import MOST_RESOLUTIONS, CellResolution
from app.plans.core.models import ReasonCategory, ReasonText
from app.plans.findings.models import PlanFinding

code_needed = Kind(
    "resolution_code_needed",
    id="Sebutkan kodenya. Hanya sub kegiatan dan lokasi yang boleh tanpa kode.",
    en="Give the code. Only a sub-activity or a location may be without one.",
)


class Acceptance(StrEnum):
    """Defects that an import accepts."""

    free_text = "free_text"
    totals = "totals"


class Resolution(CellResolution):
    """The code for one name of the file, in one row or wherever the name occurs."""

    column: Literal["agency", "subactivity", "funding_sources", "location"]
    code: str | None = ShapeField(
        default=None,
        max_length=40,
        description="Code for the name; null accepts a sub-activity as free text, and keeps a location as text.",
    )

    model_config = show_example(
        column="subactivity",
        value="Penyediaan Makanan",
        row=None,
        code="1.06.06.2.01.0001",
    )

    @model_validator(mode="after")
    def _is_settled(self) -> "Resolution":
        if self.code is None and self.column not in ("subactivity", "location"):
            raise RuleBroken(code_needed, at="/code")
        return self


RESOLUTIONS = TypeAdapter(Annotated[list[Resolution], ShapeField(max_length=MOST_RESOLUTIONS)])


class ImportQuery(LineOptions):
    """Options of an import."""

    category: ReasonCategory | None = ShapeField(
        default=None,
        description="For an open amendment: category of the reason for the changed lines.",
    )
    reason: ReasonText | None = ShapeField(
        default=None,
        description="The reason in a sentence; both or none, and none only for a drafted amendment.",
    )

    basis: Basis | None = ShapeField(
        default=None,
        description="Content of the columns of realisation, half-years or quarters: `cumulative` from January, or "
        "`period`, each alone. Required for a file with such columns; the service stores the cumulative figure. With "
        "`period` a blank column counts with the stored spending to its end.",
    )
    accept: list[Acceptance] = ShapeField(
        default_factory=list,
        description="`free_text`: keep sub-activities without a code by their name, with the finding E02 on "
        "the line. `totals`: import although totals contradict the stated basis.",
    )
    new_agencies: Literal["refuse", "create"] = ShapeField(
        default="refuse",
        description="`create` registers agencies that the region does not have, by name and code; without a code "
        "in the file it makes one of the name.",
    )


class ImportedProgress(BaseModel):
    """Reports of a quarter from the realisation columns."""

    period: str
    created: int
    updated: int
    unchanged: int


class ImportFinding(BaseModel):
    """A finding on an imported line or its figures."""

    line: str
    cell: CellShape
    code: str
    type: str = ShapeField(description="Address that documents the code.")
    severity: Literal["error", "warning"]
    message: str
    hint: str = ShapeField(description="Advice for the correction.")


class VersionBefore(BaseModel):
    """A line that an import wrote, with its version before."""

    line: str
    version: int | None = ShapeField(
        description="Version before the import; missing if the import created the line.",
        json_schema_extra=SOMETIMES,
    )


class ImportReport(BaseModel):
    """Result of an import, or of a trial run."""

    plan: str
    sheet: str
    lines: int
    created: int
    updated: int
    unchanged: int
    of_quarters: int = ShapeField(
        description="Unchanged lines that equal the plan of a reported quarter, not the newer plan or its amendment."
    )
    absent: list[str] = ShapeField(description="Lines of the plan that the file does not have; they stay.")
    agencies_created: list[str]
    free_text: int = ShapeField(description="Lines whose sub-activity is known by its name alone.")
    allocation: int = ShapeField(description="Whole rupiah of the file's lines.")
    by_strategy: dict[str, int] = ShapeField(description="Lines by strategy.")
    factors: list[Factor] = ShapeField(
        description="Columns whose numbers the import multiplied, by the unit of the heading or a title."
    )
    skipped_rows: list[SkippedRows] = ShapeField(description="Rows that the query leaves out, by reason.")
    progress: list[ImportedProgress]
    findings: list[ImportFinding]
    plan_findings: list[PlanFinding] = ShapeField(
        description="Findings on the plan after the import: on the whole of it, and on overlaps of its lines."
    )
    warnings: list[ErrorShape] = ShapeField(description="Doubts about cells that the import could use.")
    import_number: int | None = ShapeField(
        description="Number of the import among those of the plan; missing if it changed nothing.",
        json_schema_extra=SOMETIMES,
    )
    before: list[VersionBefore] = ShapeField(
        description="Lines that the import wrote: their histories have the contents, to take the import back."
    )

    model_config = show_example(
        plan="63.02-2025",
        sheet="Matriks OPPKPKE",
        lines=156,
        created=156,
        updated=0,
        unchanged=0,
        of_quarters=0,
        absent=[],
        agencies_created=[],
        free_text=87,
        allocation=632470087081,
        by_strategy={
            "reduce_spending_burden": 58,
            "raise_income": 42,
            "reduce_poverty_pockets": 56,
        },
        factors=[{"column": "K", "unit": "Alokasi Anggaran (Ribu Rp)", "times": 1000}],
        skipped_rows=[{"reason": "hidden", "rows": [12, 13]}],
        progress=[{"period": "2025-Q2", "created": 156, "updated": 0, "unchanged": 0}],
        findings=[],
        plan_findings=[],
        warnings=[],
        import_number=1,
        before=[{"line": "A-001"}, {"line": "A-002", "version": 3}],
    )


# Errors and warnings about a cell of a file, or about a resolution


ambiguous_name = Kind(
    "ambiguous_name",
    id="“{value}” belum pasti: {allowed}. Tulis kodenya di sel, atau pilih kodenya saat mengimpor.",
    en="“{value}” is not clear: {allowed}. Write its code into the cell, or choose it in the import.",
)
unresolved_subactivity = Kind(
    "unresolved_subactivity",
    id="Kegiatan ini dalam nomenklatur {edition} tidak memuat sub kegiatan “{value}”. Terdekat: {nearest}.",
    en="The activity has no sub-activity “{value}” in nomenclature {edition}. Nearest: {nearest}.",
)
unknown_agency = Kind(
    "unknown_agency",
    id="Perangkat daerah “{value}” belum terdaftar; terdekat: {nearest}. Pilih kodenya saat mengimpor, "
    "atau biarkan impor mendaftarkannya.",
    en="Agency “{value}” is not registered; nearest: {nearest}. Choose its code when you import, or let "
    "the import register it.",
)
agency_two_codes = Kind(
    "agency_two_codes",
    id="Berkas memuat “{value}” dengan beberapa kode: {nearest}. Samakan kodenya, atau pilih untuk baris ini.",
    en="The file has “{value}” with several codes: {nearest}. Give it one code, or choose one for this row.",
)
agency_code_made = Kind(
    "agency_code_made",
    id="“{value}” tidak berkode. Impor mendaftarkannya dengan kode {code}.",
    en="“{value}” has no code. The import registers it with the code {code}.",
)
cell_required = Kind("cell_required", id="Sel ini wajib diisi.", en="This cell is required.")
unresolved_place = Kind(
    "unresolved_place",
    id="Lokasi “{value}” disimpan sebagai teks, tanpa kode wilayah.",
    en="The place “{value}” stays text, without the code of a region.",
)
ambiguous_place = Kind(
    "ambiguous_place",
    id="Lokasi “{value}” belum pasti: {nearest}. Pilih kodenya saat mengimpor, atau simpan teksnya saja.",
    en="The place “{value}” is not clear: {nearest}. Choose its code when you import, or keep its text alone.",
)
outside_place = Kind(
    "outside_place",
    id="Lokasi “{value}” di luar wilayah rencana: {nearest}. Perbaiki selnya, atau pilih kodenya saat mengimpor.",
    en="The place “{value}” is outside the plan's region: {nearest}. Correct it, or choose a code in the import.",
)
all_places = Kind(
    "all_places",
    id="“{value}” mencakup semua tempat di tingkat itu. Impor menyimpan wilayah di atasnya.",
    en="“{value}” means every place of that level. The import stores the region around them.",
)
other_name = Kind(
    "other_name",
    id="“{value}” berbeda dari nama kode {code}, yaitu {name}. Impor memakai kodenya.",
    en="“{value}” differs from the name of the code {code}, which is {name}. The import uses the code.",
)
other_code = Kind(
    "other_code",
    id="Kode “{value}” tidak dikenal. Impor memakai {code}, yang namanya cocok.",
    en="The code “{value}” is unknown. The import uses {code}, which has that name.",
)
merged_agency = Kind(
    "merged_agency",
    id="Perangkat daerah “{value}” sudah digabung. Barisnya menjadi milik {code} {name}.",
    en="Agency “{value}” has merged. Its line belongs to {code} {name}.",
)
not_in_force_yet = Kind(
    "not_in_force_yet",
    id="Baris ini belum berlaku. Laporkan realisasinya setelah perubahan rencana ditetapkan.",
    en="This line is not in force yet. Report its spending after the adoption of the amendment.",
)
line_has_ended = Kind(
    "line_has_ended",
    id="Baris {value} sudah diakhiri. Impor mengubah isinya, tetapi tidak memberlakukannya lagi.",
    en="Line {value} has ended. The import changes its content but does not bring it back.",
)
quarter_without_line = Kind(
    "quarter_without_line",
    id="Rencana untuk triwulan {period} tidak memuat baris ini. Kosongkan sel realisasinya.",
    en="The plan of quarter {period} does not have this line. Leave the cell of its spending blank.",
)
left_plan = Kind(
    "line_left_plan",
    id="Baris ini sudah dihapus dari rencana, jadi isinya tidak dapat diubah. Kembalikan isi semula, atau impor "
    "baris barunya dari berkas tanpa kolom realisasi.",
    en="This line has left the plan, so nothing of it can change. Restore its cells, or import the new line from a "
    "file without the columns of spending.",
)
no_amendment = Kind(
    "no_amendment",
    id="Alasan hanya untuk perubahan rencana yang sedang terbuka. Kosongkan alasannya.",
    en="A reason belongs to an open amendment, and this plan has none. Leave the reason out.",
)
basis_required = Kind(
    "basis_required",
    id="Nyatakan isi kolom realisasi dalam berkas ini: kumulatif sejak Januari atau per semester.",
    en="State the content of the realisation columns: cumulative from January, or each half-year alone.",
)
