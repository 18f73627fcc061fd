"""Finder of the header of a table in a sheet: by labels, by the row that numbers the columns, or both.

Labels decide where there are any, since people read them; columns may then be in any order, or missing. A header has
one to three rows: groups above labels, and labels or units below. A lower row belongs to it by its place, not because
every label in it is known, so an unknown label is a column that the reader names. In CSV the words of a group are in
the first of its columns and reach over the blank cells to the right.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field
from rapidfuzz import fuzz, process

from app.kit.files.books import Sheet, name_column
from app.kit.files.cells import render_text
from app.kit.problems import FieldError, Kind
from app.kit.tables.choices import ColumnChoice, match_choices
from app.kit.tables.layouts import LONGEST_LABEL, TableLayout, fold_heading
from app.kit.tables.units import find_heading_scales, find_title_scales

MISSING_COLUMN = Kind(
    "missing_column",
    "Kolom “{allowed}” tidak ditemukan pada baris judul.",
    "The header has no column “{allowed}”.",
)
DUPLICATE_COLUMN = Kind(
    "duplicate_column",
    "Kolom “{value}” muncul lebih dari satu kali pada baris judul.",
    "The column “{value}” occurs more than once in the header.",
)
UNKNOWN_COLUMN = Kind(
    "unknown_column",
    "Kolom “{value}” tidak dikenal. Isinya tidak dibaca.",
    "The column “{value}” is unknown. The import did not read it.",
)

NEAR_HEADING = Kind(
    "near_heading",
    "Judul “{value}” mirip dengan “{nearest}”. Perbaiki judulnya, atau pilih kolomnya saat mengimpor.",
    "The heading “{value}” is almost “{nearest}”. Correct it, or choose its column in the import.",
)
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

# A header is near the top; rows below this are data.
DEEPEST_HEADER = 60
MOST_ROWS = 3
_YEARS = range(1990, 2100)


class Factor(BaseModel):
    """The unit of a column, by which the import multiplied its numbers."""

    column: str = Field(description="Column letter.")
    unit: str = Field(description="The heading or title that names the unit.")
    times: int


@dataclass(frozen=True)
class TableHeader:
    """Position of a table: column index by key, first row and first data row (from 0), titles above it.

    `factors` has, by key, the unit of a column whose numbers are not in ones, and whether a title names it.
    """

    first_row: int
    data_row: int
    columns: Mapping[str, int]
    titles: tuple[str, ...]
    factors: Mapping[str, tuple[Factor, bool]]
    headings: Mapping[str, tuple[str, ...]]
    """Folded headings of each column by key, the lowest first."""
    errors: tuple[FieldError, ...] = ()
    warnings: tuple[FieldError, ...] = ()


def find_table(sheet: Sheet, layout: TableLayout, choices: Sequence[ColumnChoice] = ()) -> TableHeader | None:
    """Find the table of a layout in a sheet, by its labels and the headings that the caller chose.

    Returns None if no row names enough of its fields, and none has a chosen heading.
    """
    rows = range(min(len(sheet.rows), DEEPEST_HEADER))
    for r in rows:
        if has_labels(sheet, r, layout, choices):
            return _HeaderReader(sheet, layout, r, choices).read()
    chosen = {r: len(_list_chosen(sheet, r, choices)) for r in rows}
    if any(chosen.values()):
        return _HeaderReader(sheet, layout, max(chosen, key=chosen.__getitem__), choices).read()
    for r in rows:
        numbered = read_numbering(sheet, r, layout)
        if len(numbered) in layout.lengths:
            columns = {layout.order[n - 1]: c for c, n in numbered.items()}
            errors: list[FieldError] = []
            factors = _find_factors(sheet, layout, r, columns, {}, errors)
            titles, warnings = _collect_titles(sheet, r), _describe_factors(sheet, r, columns, factors)
            return TableHeader(r, r + 1, columns, titles, factors, {}, tuple(errors), tuple(warnings))
    return None


def has_labels(sheet: Sheet, r: int, layout: TableLayout, choices: Sequence[ColumnChoice] = ()) -> bool:
    """Return whether a row names enough fields for a header."""
    labels = _list_labels(sheet, r).values()
    named = {item.key for text in labels if (item := layout.by_label.get(fold_heading(text)))}
    chosen = {choice.field for choice in _list_chosen(sheet, r, choices) if choice.field}
    return len(named | chosen) >= layout.fewest


def _list_chosen(sheet: Sheet, r: int, choices: Sequence[ColumnChoice]) -> list[ColumnChoice]:
    """Return the choices that name a heading in a row."""
    labels = _list_labels(sheet, r).values() if choices else ()
    return [choice for choice in choices if any(choice.has_part(r, text) for text in labels)]


def read_numbering(sheet: Sheet, r: int, layout: TableLayout) -> dict[int, int]:
    """Return column index → number if the row only numbers its columns 1, 2, 3, …; else {}."""
    cells = [(c, value) for c, value in enumerate(sheet.rows[r]) if value is not None]
    # Without official numbers the row has one for most columns, so that it is no line.
    fewest = layout.fewest if layout.order else max(3, sheet.width // 2 + 1)
    if not fewest <= len(cells) <= (len(layout.order) or sheet.width):
        return {}
    texts = [
        render_text(value).strip("()") if isinstance(value, str | int | float) else "" for _, value in cells
    ]
    if [text.removesuffix(".0") for text in texts] != [str(n + 1) for n in range(len(cells))]:
        return {}
    return {c: n for n, (c, _) in enumerate(cells, 1)}


def is_header_again(sheet: Sheet, r: int, header: TableHeader, layout: TableLayout) -> bool:
    """Return whether a row repeats the header or a row of it, as offices do on every printed page."""
    if read_numbering(sheet, r, layout) or has_labels(sheet, r, layout):
        return True
    texts = _list_labels(sheet, r)
    return len(texts) > 1 and any(
        texts == _list_labels(sheet, other) for other in range(header.first_row, header.data_row)
    )


def _read_label(sheet: Sheet, r: int, c: int) -> str:
    value = sheet.value(r, c)
    return render_text(value) if isinstance(value, str) else ""


def _list_labels(sheet: Sheet, r: int) -> dict[int, str]:
    return {c: text for c in range(len(sheet.rows[r])) if (text := _read_label(sheet, r, c))}


def _collect_titles(sheet: Sheet, before: int) -> tuple[str, ...]:
    titles = (" ".join(dict.fromkeys(_list_labels(sheet, r).values())) for r in range(before))
    return tuple(title for title in titles if title)


Factors = Mapping[str, tuple[Factor, bool]]


def _find_factors(
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
        for c, text in _list_labels(sheet, r).items():
            scales = find_title_scales(text)
            if len(scales | by_title.keys()) > 1 and (r, c) not in sheet.merged:
                errors.append(FieldError(UNCLEAR_UNIT, cell=sheet.cell(r, c), value=text))
            by_title |= dict.fromkeys(scales, text)
    factors: dict[str, tuple[Factor, bool]] = {}
    for item in layout.fields:
        if item.key not in columns:
            continue
        c = columns[item.key]
        own: dict[int, tuple[int, str]] = {}
        for row, text in headings.get(item.key, ()):
            own |= dict.fromkeys(find_heading_scales(text), (row, text))
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


def _describe_factors(sheet: Sheet, r: int, columns: Mapping[str, int], factors: Factors) -> list[FieldError]:
    return [
        FieldError(
            MULTIPLIED,
            cell=sheet.cell(r, columns[key]),
            value=factor.unit,
            values={"times": f"{factor.times:,}".replace(",", "."), "unit": factor.unit},
        )
        for key, (factor, _) in factors.items()
    ]


class _HeaderReader:
    """The rows of a header around the row that has the labels."""

    def __init__(
        self, sheet: Sheet, layout: TableLayout, r: int, choices: Sequence[ColumnChoice] = ()
    ) -> None:
        self.sheet, self.layout, self.choices = sheet, layout, choices
        # The labels may be in the lower of two rows, with only the words of groups above them.
        has_groups = r > 0 and (
            any(fold_heading(text) in layout.groups for text in _list_labels(sheet, r - 1).values())
            or bool(_list_chosen(sheet, r - 1, choices))
        )
        self.top, self.bottom = r - has_groups, r
        while self.bottom - self.top + 1 < MOST_ROWS and self._is_lower_row(self.bottom + 1):
            self.bottom += 1

    def read(self) -> TableHeader:
        sheet, layout = self.sheet, self.layout
        data_row = self.bottom + 1
        numbered = read_numbering(sheet, data_row, layout) if data_row < len(sheet.rows) else {}
        all_headings = {c: list(self._list_headings(c)) for c in range(sheet.width)}
        chosen = match_choices(self.choices, layout, all_headings)
        columns: dict[str, int] = {key: c for c, key in chosen.fields.items() if key}
        errors = list(chosen.errors)
        unknown: list[tuple[int, int, str]] = []
        for c, headings in all_headings.items():
            if c in chosen.fields:
                continue
            found = layout.match([fold_heading(text) for _, text in headings])
            if found is None or found.key in chosen.fields.values():
                unknown += [(c, *headings[0])] if headings else []
            elif found.key in columns:
                row, text = headings[0]
                errors.append(FieldError(DUPLICATE_COLUMN, cell=sheet.cell(row, c), value=text))
            else:
                columns[found.key] = c
        if len(numbered) in layout.lengths:
            for c, number in numbered.items():
                if layout.order[number - 1] not in columns and c not in {*columns.values(), *chosen.fields}:
                    columns[layout.order[number - 1]] = c
        unknown = [item for item in unknown if item[0] not in columns.values()]
        for c, row, text in unknown if layout.asks_near else ():
            near = layout.find_near([fold_heading(text) for _, text in all_headings[c]], columns)
            if near is not None and any(
                sheet.value(r, c) is not None for r in range(data_row, len(sheet.rows))
            ):
                cell, label = sheet.cell(row, c), near.labels[0]
                errors.append(FieldError(NEAR_HEADING, cell=cell, value=text, nearest=[label]))
        asked = {error.cell for error in errors}
        labels = [item.labels[0] for item in layout.fields]
        warnings = [
            FieldError(
                UNKNOWN_COLUMN,
                cell=sheet.cell(row, c),
                value=text,
                nearest=[label for label, _, _ in process.extract(text, labels, scorer=fuzz.WRatio, limit=2)],
            )
            for c, row, text in unknown
            if sheet.cell(row, c) not in asked
        ]
        errors += [
            FieldError(MISSING_COLUMN, cell=sheet.cell(self.bottom, 0), allowed=item.labels[0])
            for item in layout.fields
            if item.is_required and item.key not in columns
        ]
        titles = _collect_titles(sheet, self.top)
        headings_of = {key: all_headings[c] for key, c in columns.items()}
        factors = _find_factors(sheet, layout, self.top, columns, headings_of, errors)
        warnings += _describe_factors(sheet, self.bottom, columns, factors)
        folded = {key: tuple(fold_heading(text) for _, text in rows) for key, rows in headings_of.items()}
        return TableHeader(
            self.top,
            data_row + bool(numbered),
            columns,
            titles,
            factors,
            folded,
            tuple(errors),
            tuple(warnings),
        )

    def _list_headings(self, c: int) -> Iterator[tuple[int, str]]:
        """Yield (row, text) of the headings of a column, the lowest first; without a group's own words none."""
        is_below = False
        for r in range(self.bottom, self.top - 1, -1):
            if self._is_merged_down(r, c, self.top):
                continue  # its first row has the text
            text = _read_label(self.sheet, r, c)
            if not text and is_below:
                text = self._find_group(r, c)
            if text:
                yield r, text
                is_below = True

    def _find_group(self, r: int, c: int) -> str:
        """Return the words of the group to the left of a blank cell, "" if none reaches over it."""
        for left in range(c - 1, -1, -1):
            if text := _read_label(self.sheet, r, left):
                has_lower = any(_read_label(self.sheet, row, left) for row in range(r + 1, self.bottom + 1))
                is_own = self.sheet.merged.get((r, left), (r, left)) == (r, left)
                return text if is_own and (has_lower or fold_heading(text) in self.layout.groups) else ""
        return ""

    def _is_merged_down(self, r: int, c: int, top: int) -> bool:
        return top <= self.sheet.merged.get((r, c), (r, c))[0] < r

    def _is_lower_row(self, r: int) -> bool:
        """Return whether a row continues the header: it has headings below groups or units, and no data.

        A line has a number, or a text below a heading that names a field by itself.
        """
        if r >= len(self.sheet.rows) or read_numbering(self.sheet, r, self.layout):
            return False
        is_heading = False
        for c, value in enumerate(self.sheet.rows[r]):
            if value is None or self._is_merged_down(r, c, self.top):
                continue
            if not isinstance(value, str) and not (isinstance(value, int) and value in _YEARS):
                return False
            text = render_text(value)
            folded = fold_heading(text)
            above = [fold_heading(_read_label(self.sheet, row, c)) for row in range(self.top, r)]
            is_unit = not folded and any(letter.isalpha() for letter in text)
            is_chosen = any(choice.has_part(r, text) for choice in self.choices)
            if len(text) > LONGEST_LABEL and not is_chosen:
                return False
            if not is_unit and not is_chosen and folded not in above and self._names_field(above):
                return False
            named = self.layout.by_label.get(folded)
            is_heading |= is_unit or is_chosen or bool(named and named.groups) or self._is_below_group(r, c)
        return is_heading

    def _is_below_group(self, r: int, c: int) -> bool:
        """Return whether the next text in a row above, at a cell or to its left, is the words of a group."""
        for row in range(self.top, r):
            text = next(
                (text for left in range(c, -1, -1) if (text := _read_label(self.sheet, row, left))), ""
            )
            if fold_heading(text) in self.layout.groups:
                return True
        return False

    def _names_field(self, above: Sequence[str]) -> bool:
        fields = (self.layout.by_label.get(text) for text in above)
        return any(item and not item.groups for item in fields)
