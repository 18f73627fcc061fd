"""Query, resolutions and report of an import."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError, model_validator
from pydantic import Field as ShapeField

from app.exchange.matrix.models import Basis
from app.kit.fields import Prose, Shape, show_example
from app.kit.http.validation import RuleBroken, list_body_errors
from app.kit.problems import CellShape, ErrorShape, Invalid, Kind
from app.plans.core.models import ReasonCategory, ReasonText
from app.plans.findings.models import PlanFinding

code_needed = Kind(
    "resolution_code_needed",
    id="sebutkan kodenya; hanya sub kegiatan yang boleh tanpa kode",
    en="name the code; only a sub-activity may be without one",
)


class Acceptance(StrEnum):
    """What an import may take although it is not right."""

    free_text = "free_text"
    totals = "totals"


class Resolution(Shape):
    """How one name of the file is to be understood, wherever it occurs or in one row."""

    column: Literal["agency", "subactivity", "funding_sources"]
    value: Prose = ShapeField(
        min_length=1, description="The name as the file has it, or the code in its place."
    )
    row: int | None = ShapeField(
        default=None, ge=1, le=1_000_000, description="Only in this row; null: wherever the name occurs."
    )
    code: str | None = ShapeField(
        default=None,
        max_length=40,
        description="The code that is meant; null accepts a sub-activity as free text.",
    )

    model_config = show_example(
        column="subactivity",
        value="Penyediaan Makanan",
        row=None,
        code="1.06.06.2.01.0001",
    )

    @model_validator(mode="after")
    def _is_settled(self) -> "Resolution":
        if self.code is None and self.column != "subactivity":
            raise RuleBroken(code_needed, at="/code")
        return self


_RESOLUTIONS = TypeAdapter(Annotated[list[Resolution], ShapeField(max_length=5_000)])


def parse_resolutions(text: str | bytes) -> list[Resolution]:
    """Parse a JSON list of resolutions. Raises Invalid if it is malformed."""
    try:
        return _RESOLUTIONS.validate_json(text)
    except ValidationError as error:
        raise Invalid(errors=list_body_errors(error, prefix=("resolutions",))) from None


class ImportQuery(BaseModel):
    """Options of an import."""

    category: ReasonCategory | None = ShapeField(
        default=None,
        description="Into an open amendment: why the lines that it changes are changed, in one word.",
    )
    reason: ReasonText | None = ShapeField(
        default=None, description="The same in a sentence; both or none, and none only while it is drafted."
    )

    basis: Basis | None = ShapeField(
        default=None,
        description="What the columns Sem.1 and Sem.2 hold: `cumulative` from January, or `period`, each half-year "
        "alone. Required for a file with 21 columns; stored is always the cumulative figure.",
    )
    accept: list[Acceptance] = ShapeField(
        default_factory=list,
        description="`free_text`: keep sub-activities that no code was found for by their name, with the finding E02 "
        "on the line. `totals`: import although totals contradict the stated basis.",
    )
    new_agencies: Literal["refuse", "create"] = ShapeField(
        default="refuse",
        description="`create` makes agencies that the region does not have, from code and name.",
    )
    sheet: str | None = ShapeField(
        default=None, max_length=100, description="Sheet; the first with the header if not given."
    )


class ImportedProgress(BaseModel):
    """What the realisation columns did to a quarter."""

    period: str
    created: int
    updated: int
    unchanged: int


class ImportFinding(BaseModel):
    """What is to be said of an imported line or its figures."""

    line: str
    cell: CellShape
    code: str
    type: str = ShapeField(description="Address that documents the code.")
    severity: Literal["error", "warning"]
    message: str
    hint: str = ShapeField(description="How to mend it.")


class ImportReport(BaseModel):
    """What an import did, or in a trial run would do."""

    plan: str
    sheet: str
    lines: int
    created: int
    updated: int
    unchanged: int
    absent: list[str] = ShapeField(description="Lines of the plan that the file does not have; they stay.")
    agencies_created: list[str]
    free_text: int = ShapeField(description="Lines whose sub-activity is known by its name alone.")
    allocation: int = ShapeField(description="Whole rupiah of the file's lines.")
    by_strategy: dict[str, int] = ShapeField(description="Lines by strategy.")
    progress: list[ImportedProgress]
    findings: list[ImportFinding]
    plan_findings: list[PlanFinding] = ShapeField(
        description="What is to be said of the plan as it now is: of the whole of it, and of overlaps of its lines."
    )
    warnings: list[ErrorShape] = ShapeField(description="What was understood with a doubt, cell by cell.")

    model_config = show_example(
        plan="63.02-2025",
        sheet="Matriks OPPKPKE",
        lines=156,
        created=156,
        updated=0,
        unchanged=0,
        absent=[],
        agencies_created=[],
        free_text=87,
        allocation=632470087081,
        by_strategy={
            "reduce_spending_burden": 58,
            "raise_income": 42,
            "reduce_poverty_pockets": 56,
        },
        progress=[{"period": "2025-Q2", "created": 156, "updated": 0, "unchanged": 0}],
        findings=[],
        plan_findings=[],
        warnings=[],
    )


# Errors and warnings about a cell of a file, or about a resolution


ambiguous_name = Kind(
    "ambiguous_name",
    id="{value} cocok dengan beberapa: {allowed}; sebutkan kodenya lewat resolutions",
    en="{value} fits several: {allowed}; name the code in resolutions",
)
unresolved_subactivity = Kind(
    "unresolved_subactivity",
    id="sub kegiatan {value} tidak ada pada kegiatannya dalam nomenklatur {edition}; terdekat: {nearest}",
    en="sub-activity {value} is not in its activity in nomenclature {edition}; nearest: {nearest}",
)
unknown_agency = Kind(
    "unknown_agency",
    id="perangkat daerah {value} belum terdaftar; terdekat: {nearest}. "
    "Daftarkan, pakai resolutions, atau new_agencies=create",
    en="agency {value} is not registered; nearest: {nearest}. Register it, use resolutions, or new_agencies=create",
)
cell_required = Kind("cell_required", id="sel ini wajib diisi", en="this cell must be filled")
unresolved_place = Kind(
    "unresolved_place",
    id="lokasi {value} tidak dapat dipastikan di wilayah rencana; teksnya disimpan. Terdekat: {nearest}",
    en="the place {value} could not be told in the plan's region; its words are kept. Nearest: {nearest}",
)
unused_resolution = Kind(
    "unused_resolution",
    id="resolutions untuk {value} tidak cocok dengan sel mana pun",
    en="the resolution for {value} fits no cell",
)
other_name = Kind(
    "other_name",
    id="{value} tidak sama dengan nama kode {code}, yaitu {name}; yang dipakai kodenya",
    en="{value} is not the name of the code {code}, which is {name}; the code was used",
)
other_code = Kind(
    "other_code",
    id="kode {value} tidak dikenal; namanya cocok dengan {code}, itulah yang dipakai",
    en="the code {value} is not known; its name is that of {code}, which was used",
)
merged_agency = Kind(
    "merged_agency",
    id="perangkat daerah {value} sudah digabung; barisnya menjadi milik {code} {name}",
    en="agency {value} was merged; its line belongs to {code} {name}",
)
not_in_force_yet = Kind(
    "not_in_force_yet",
    id="baris ini belum berlaku; realisasinya dapat dilaporkan setelah perubahan rencana ditetapkan",
    en="this line is not in force yet; report its spending once the amendment is adopted",
)
no_amendment = Kind(
    "no_amendment",
    id="alasan hanya untuk perubahan rencana; rencana ini tidak sedang diubah",
    en="a reason belongs to an amendment; this plan is not being amended",
)
basis_required = Kind(
    "basis_required",
    id="nyatakan basis: cumulative atau period; berkas ini memuat kolom realisasi",
    en="state basis: cumulative or period; this file has realisation columns",
)
