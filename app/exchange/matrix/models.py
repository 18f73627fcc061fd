"""Values of the matrix for the reader and the writer.

The reader returns a `Matrix` of `MatrixRow`s, which know the cells of their values, so that a later step can report an
error with sheet, row and column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel
from pydantic import Field as ShapeField

from app.kit.periods import PeriodText
from app.kit.problems import Cell, ColumnShape, FieldError, Kind
from app.kit.tables.factors import Factor
from app.kit.tables.options import CsvOptions, SkippedRows
from app.kit.wording import Text, declare_words

Parsed = TypeVar("Parsed", covariant=True)

Content = dict[str, Any]
"""An action with the fields of `ActionIn`, in JSON's types."""


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
    | stage | stage of budgeting that the heading of the allocation names, or None |
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
        """Return the cell of a column, else that of the sub-activity, else that of the code."""
        keys = (key, "subactivity", "code")
        letters = (letter for name in keys if (letter := self.columns.get(name)))
        return Cell(self.sheet, self.row, next(letters, "A"))


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
    columns: tuple[ColumnShape, ...] = ()
    """Proposed fields of columns, if headings are the reason of an error."""
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


class MatrixCsvQuery(MatrixQuery, CsvOptions):
    """Layout of an export as CSV."""
