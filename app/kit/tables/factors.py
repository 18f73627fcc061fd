"""Units of columns: the factor that a heading or a title gives to the numbers of a column."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from app.kit.files.books import Sheet, name_column
from app.kit.problems import FieldError, Kind
from app.kit.tables.contents import list_labels
from app.kit.tables.layouts import TableLayout
from app.kit.tables.units import find_heading_scales, find_title_scales, names_other_unit

UNCLEAR_UNIT = Kind(
    "unclear_unit",
    "“{value}” menyebut satuan yang tidak jelas bagi angkanya. Tulis satu satuan saja, misalnya “(Rp)”.",
    "“{value}” names a unit that is unclear for the numbers. Write one unit, for example “(Rp)”.",
)
MULTIPLIED = Kind(
    "multiplied",
    "Angka di kolom ini dikalikan {times}, menurut “{unit}”.",
    "The import multiplied the numbers of this column by {times}, as “{unit}” says.",
)


class Factor(BaseModel):
    """The unit of a column, by which the import multiplied its numbers."""

    column: str = Field(description="Column letter.")
    unit: str = Field(description="The heading or title that names the unit.")
    times: int


Factors = Mapping[str, tuple[Factor, bool]]


def find_factors(
    sheet: Sheet,
    layout: TableLayout,
    top: int,
    columns: Mapping[str, int],
    headings: Mapping[str, Sequence[tuple[int, str]]],
    errors: list[FieldError],
) -> Factors:
    """Return the factors of columns: by the unit of the heading, else by that of the titles for money."""
    by_title: dict[int, str] = {}
    for r in range(top):
        for c, text in list_labels(sheet, r).items():
            scales = find_title_scales(text)
            if len(scales | by_title.keys()) > 1 and (r, c) not in sheet.merged:
                errors.append(FieldError(UNCLEAR_UNIT, cell=sheet.cell(r, c), value=text))
            by_title |= dict.fromkeys(scales, text)
    factors: dict[str, tuple[Factor, bool]] = {}
    for item in layout.fields:
        if item.key not in columns or item.is_measured:
            continue
        c = columns[item.key]
        own: dict[int, tuple[int, str]] = {}
        rows = headings.get(item.key, ())
        # A composed heading has the title above it too, whose unit is that of the figures.
        for row, text in rows if layout.compose is None else rows[:1]:
            own |= dict.fromkeys(find_heading_scales(text), (row, text))
            if item.is_money and names_other_unit(text):
                errors.append(FieldError(UNCLEAR_UNIT, cell=sheet.cell(row, c), value=text))
        if own and (len(own) > 1 or not item.is_money):
            row, text = next(iter(own.values()))
            errors.append(FieldError(UNCLEAR_UNIT, cell=sheet.cell(row, c), value=text))
        elif own:
            ((times, (_, text)),) = own.items()
            factors[item.key] = Factor(column=name_column(c), unit=text, times=times), False
        elif by_title and item.is_money:
            times, text = next(iter(by_title.items()))
            factors[item.key] = Factor(column=name_column(c), unit=text, times=times), True
    return factors


def describe_factors(sheet: Sheet, r: int, columns: Mapping[str, int], factors: Factors) -> list[FieldError]:
    """Return a warning for each column whose numbers the import multiplies."""
    return [
        FieldError(
            MULTIPLIED,
            cell=sheet.cell(r, columns[key]),
            value=factor.unit,
            values={"times": f"{factor.times:,}".replace(",", "."), "unit": factor.unit},
        )
        for key, (factor, _) in factors.items()
    ]
