"""Layout and values of the matrix, declared once for the reader and the writer.

`COLUMNS` is the whole layout: position, header words, meaning of a cell and of a blank one, width. The reader
returns a `Matrix` of `MatrixRow`s, which know the cells of their values, so that a later step can report an error
with sheet, row and column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel
from pydantic import Field as ShapeField

from app.kit.periods import PeriodText
from app.kit.problems import Cell, FieldError, Kind
from app.kit.tables.headers import Factor
from app.kit.tables.options import SkippedRows
from app.kit.wording import Text, declare_words

Parsed = TypeVar("Parsed", covariant=True)

Content = dict[str, Any]
"""An action with the fields of `ActionIn`, in JSON's types."""


class Holds(StrEnum):
    """Meaning of the cells of a column, which decides their reader and writer."""

    ORDINAL = "ordinal"
    STRATEGY = "strategy"
    AGENCY = "agency"
    CODE = "code"
    PROGRAM = "program"
    ACTIVITY = "activity"
    SUBACTIVITY = "subactivity"
    COMPONENTS = "components"
    RUPIAH = "rupiah"
    CHANGE = "change"
    SOURCES = "sources"
    REGULARITY = "regularity"
    PLACES = "places"
    RECIPIENTS = "recipients"
    BENEFIT_AMOUNT = "benefit_amount"
    BENEFIT_FORM = "benefit_form"
    MONTHS = "months"


@dataclass(frozen=True)
class MatrixColumn:
    """One column of the matrix.

    `labels` are the header words; exports use the first. With a `group`, the group's words may be above or before
    them. `inherits`: a blank cell means "as above". `counts_once`: a cell merged over several rows counts in the first
    of them only, because its values add up. `required`: a file without the column is not a matrix.
    """

    number: int
    key: str
    holds: Holds
    labels: tuple[str, ...]
    width: float
    group: str | None = None
    inherits: bool = False
    counts_once: bool = False
    required: bool = False


REAL_ACTIVITY = "Aktifitas Real"
REALISATION = "Realisasi"

# Other spellings of the two group headers.
GROUP_VARIANTS: Mapping[str, tuple[str, ...]] = {
    REAL_ACTIVITY: ("aktivitas real", "aktivitas riil", "aktifitas riil", "aktivitas", "aktifitas"),
    REALISATION: (
        "realisasi anggaran",
        "realisasi keuangan",
        "realisasi rp",
        "realisasi belanja",
        "penyerapan anggaran",
        "serapan anggaran",
    ),
}

COLUMNS: tuple[MatrixColumn, ...] = (
    MatrixColumn(1, "number", Holds.ORDINAL, ("No", "Nomor", "No Urut"), 5),
    MatrixColumn(
        2,
        "strategy",
        Holds.STRATEGY,
        ("Strategi OPPKPKE", "Strategi", "Strategi PPKE", "Strategi Penanggulangan Kemiskinan"),
        24,
        inherits=True,
    ),
    MatrixColumn(
        3,
        "agency",
        Holds.AGENCY,
        (
            "Perangkat Daerah",
            "OPD",
            "SKPD",
            "Perangkat Daerah (OPD)",
            "Nama OPD",
            "Perangkat Daerah/Mitra",
            "Perangkat Daerah Pelaksana",
            "OPD Pelaksana",
            "Instansi",
            "Pelaksana",
        ),
        28,
        inherits=True,
        required=True,
    ),
    MatrixColumn(
        4, "code", Holds.CODE, ("Kode", "Kode Rekening", "Kode Program", "Kode OPD"), 24, inherits=True
    ),
    MatrixColumn(5, "program", Holds.PROGRAM, ("Program", "Nama Program"), 30, inherits=True),
    MatrixColumn(6, "activity", Holds.ACTIVITY, ("Kegiatan", "Nama Kegiatan"), 30, inherits=True),
    MatrixColumn(
        7,
        "subactivity",
        Holds.SUBACTIVITY,
        ("Sub Kegiatan", "Subkegiatan", "Sub-Kegiatan", "Nama Sub Kegiatan"),
        34,
        inherits=True,
        required=True,
    ),
    MatrixColumn(8, "direct", Holds.COMPONENTS, ("Langsung",), 24, group=REAL_ACTIVITY),
    MatrixColumn(
        9, "indirect", Holds.COMPONENTS, ("Tidak Langsung", "Tak Langsung"), 24, group=REAL_ACTIVITY
    ),
    MatrixColumn(10, "supporting", Holds.COMPONENTS, ("Penunjang", "Pendukung"), 24, group=REAL_ACTIVITY),
    MatrixColumn(
        11,
        "allocation",
        Holds.RUPIAH,
        ("Alokasi Anggaran (Rp)", "Alokasi Anggaran", "Anggaran", "Pagu Anggaran", "Pagu", "Alokasi"),
        20,
        counts_once=True,
        required=True,
    ),
    MatrixColumn(
        12,
        "funding_sources",
        Holds.SOURCES,
        ("Sumber Pembiayaan", "Sumber Dana", "Sumber Pendanaan", "Sumber Anggaran"),
        18,
    ),
    MatrixColumn(13, "regularity", Holds.REGULARITY, ("Sifat Bantuan", "Sifat"), 14),
    MatrixColumn(14, "location", Holds.PLACES, ("Lokasi", "Lokasi Kegiatan", "Lokasi Sasaran"), 26),
    MatrixColumn(
        15,
        "recipients",
        Holds.RECIPIENTS,
        (
            "Jumlah Sasaran Penerima Manfaat",
            "Jumlah Sasaran",
            "Sasaran Penerima Manfaat",
            "Jumlah Penerima Manfaat",
            "Penerima Manfaat",
            "Sasaran",
        ),
        20,
        counts_once=True,
    ),
    MatrixColumn(
        16,
        "benefit_amount",
        Holds.BENEFIT_AMOUNT,
        ("Besaran Manfaat", "Besaran Bantuan", "Nilai Manfaat"),
        18,
    ),
    MatrixColumn(17, "benefit_form", Holds.BENEFIT_FORM, ("Jenis Bantuan", "Bentuk Bantuan"), 16),
    MatrixColumn(
        18,
        "duration",
        Holds.MONTHS,
        ("Durasi Pemberian Bantuan", "Durasi", "Durasi Bantuan", "Jangka Waktu"),
        16,
    ),
    MatrixColumn(
        19,
        "spent_s1",
        Holds.RUPIAH,
        ("Sem.1", "Sem 1", "Semester 1", "Smt 1", "Sem I", "Semester I", "Smt I", "s.d. Semester 1"),
        20,
        group=REALISATION,
        counts_once=True,
    ),
    MatrixColumn(
        20,
        "spent_s2",
        Holds.CHANGE,
        ("Sem.2", "Sem 2", "Semester 2", "Smt 2", "Sem II", "Semester II", "Smt II", "s.d. Semester 2"),
        20,
        group=REALISATION,
        counts_once=True,
    ),
    MatrixColumn(
        21,
        "spent_total",
        Holds.RUPIAH,
        ("Total", "Total Realisasi", "Jumlah", "Jumlah Realisasi"),
        20,
        group=REALISATION,
        counts_once=True,
    ),
)

_NUMERALS = ("I", "II", "III", "IV")
QUARTERS = tuple(
    MatrixColumn(
        0,
        f"spent_q{n}",
        Holds.RUPIAH if n == 1 else Holds.CHANGE,
        tuple(
            f"{before}{word} {number}"
            for before in ("", "s.d. ")
            for word in ("Triwulan", "TW", "Trw", "Triw")
            for number in (numeral, str(n))
        ),
        20,
        group=REALISATION,
        counts_once=True,
    )
    for n, numeral in enumerate(_NUMERALS, 1)
)
"""Columns that a report may have instead of half-years, or with them. Exports have half-years."""

BY_KEY: Mapping[str, MatrixColumn] = {column.key: column for column in (*COLUMNS, *QUARTERS)}
PLANNING = tuple(column for column in COLUMNS if column.group != REALISATION)
SPENT = tuple(column for column in BY_KEY.values() if column.group == REALISATION)

Strategy = Literal["reduce_spending_burden", "raise_income", "reduce_poverty_pockets"]
Regularity = Literal["routine", "incidental"]
BenefitForm = Literal["cash", "goods", "service", "subsidy", "access"]
RecipientKind = Literal["families", "persons", "groups", "villages", "units"]
PlaceLevel = Literal["village", "district", "regency", "province"]
Basis = Literal["cumulative", "period"]
declare_words(
    {
        "cumulative": Text("kumulatif sejak Januari", "cumulative from January"),
        "period": Text("per semester", "of each half-year alone"),
    },
    form="basis",
)


class CodeKind(StrEnum):
    """Kind of a code, given by the number and the widths of its groups."""

    FIELD = "field"
    PROGRAM = "program"
    ACTIVITY = "activity"
    SUBACTIVITY = "subactivity"
    AGENCY = "agency"


declare_words(
    {
        CodeKind.FIELD: Text("urusan pemerintahan", "fields of government"),
        CodeKind.PROGRAM: Text("program", "programmes"),
        CodeKind.ACTIVITY: Text("kegiatan", "activities"),
        CodeKind.SUBACTIVITY: Text("sub kegiatan", "sub-activities"),
        CodeKind.AGENCY: Text("perangkat daerah", "agencies"),
    },
    form="level",
)


@dataclass(frozen=True)
class Code:
    """A code in its full width: `1.06.05.2.02.0006`, an agency's `1.06.0.00.0.00.08.0000`."""

    text: str
    kind: CodeKind


@dataclass(frozen=True)
class Named:
    """A name and its code; at least one of the two."""

    code: str | None
    name: str | None


@dataclass(frozen=True)
class Share:
    """A funding source of a line (`DAK`) or a component (`Pelatihan 20 kelompok`), with its whole rupiah if the cell
    has them. The amounts in the cell let a line with several sources survive an export and an import."""

    name: str
    amount: int | None = None


@dataclass(frozen=True)
class RecipientCount:
    """`count` of `unit` in the cell's words; `kind` is None if the word is unknown."""

    count: int
    unit: str
    kind: RecipientKind | None


@dataclass(frozen=True)
class Remark:
    """An error or warning about a cell; `blocking` if the cell has no usable value."""

    kind: Kind
    blocking: bool = False
    allowed: object = None
    nearest: Sequence[str] = ()
    values: Mapping[str, object] = field(default_factory=dict)

    def build_error(self, cell: Cell, value: object) -> FieldError:
        shown = None if value is None else str(value)
        return FieldError(
            self.kind,
            cell=cell,
            value=shown,
            allowed=self.allowed,
            nearest=tuple(self.nearest),
            values=dict(self.values),
        )


@dataclass(frozen=True)
class Reading(Generic[Parsed]):
    """Result of reading a cell: its value, its text if the value does not hold all of it, and remarks."""

    value: Parsed
    text: str = ""
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class MatrixLine:
    """The values of one line by column key.

    | key | value |
    |---|---|
    | number | int or None |
    | strategy | Strategy or None |
    | agency, program, activity, subactivity | Named or None |
    | code | Code or None: only what is neither an agency's nor a level's code, which go to `Named.code` |
    | direct, indirect, supporting, funding_sources | tuple of Share |
    | allocation, spent_s1, spent_s2, spent_total | whole rupiah or None |
    | regularity | Regularity or None |
    | location | tuple of texts |
    | recipients | tuple of RecipientCount |
    | benefit_amount | whole rupiah per recipient, or None |
    | benefit_form | tuple of BenefitForm |
    | duration | months or None |

    `texts` holds, by key, the cell's text if the value does not hold all of it. An export writes this text instead of
    the value, so that nothing is lost.
    """

    values: Mapping[str, object]
    texts: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.values.get(key)


@dataclass(frozen=True)
class MatrixRow(MatrixLine):
    """A line of a file, with the position of each of its cells.

    `row` counts from 1 as in the spreadsheet. `inherited` are the keys with a value from above, `rounded` those with a
    rounded amount. `continues` is the first row of the line to which this row belongs, if it has no number and no
    sub-activity of its own (a second funding source, more activities).
    """

    sheet: str = ""
    row: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    inherited: frozenset[str] = frozenset()
    rounded: frozenset[str] = frozenset()
    continues: int | None = None

    def cell(self, key: str) -> Cell:
        """Return the cell of a column, or that of the sub-activity if the file has no such column."""
        return Cell(self.sheet, self.row, self.columns.get(key) or self.columns.get("subactivity") or "A")


@dataclass(frozen=True)
class Matrix:
    """A matrix as the reader returns it, with its names not yet looked up.

    The rows are usable only without `errors`; `warnings` name cells that the reader doubts or ignored.
    """

    sheet: str
    titles: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    spent: tuple[str, ...]
    """Keys of the columns of realisation that the file has."""
    factors: tuple[Factor, ...] = ()
    """Units of columns whose numbers are not in ones."""
    skipped: tuple[SkippedRows, ...] = ()
    errors: tuple[FieldError, ...] = ()
    warnings: tuple[FieldError, ...] = ()

    @property
    def has_realisation(self) -> bool:
        return bool(self.spent)


class MatrixQuery(BaseModel):
    """Layout of an export."""

    period: PeriodText | None = ShapeField(
        default=None, description="A semester (`2026-S1`) or the year: adds the three columns of realisation."
    )
    basis: Basis = ShapeField(
        default="period",
        description="Content of Sem.1 and Sem.2: each half-year alone, or cumulative from January.",
    )
