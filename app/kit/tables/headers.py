"""Finder of the header of a table in a sheet: by labels, by the row that numbers the columns, or both.

Labels decide where there are any, since people read them; columns may then be in any order, or missing. A header has
one to three rows: groups above labels, and labels or units below. A lower row belongs to it by its place, not because
every label in it is known, so an unknown label is a column that the reader names. In CSV the words of a group are in
the first of its columns and reach over the blank cells to the right.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rapidfuzz import fuzz, process

from app.kit.files.books import Sheet, name_column
from app.kit.files.cells import render_text
from app.kit.problems import ColumnShape, FieldError, Kind
from app.kit.tables.candidates import NEAR_NAME
from app.kit.tables.choices import JOINT, ColumnChoice, HeadingIndex, Headings, check_alone, match_choices
from app.kit.tables.contents import ColumnContents, list_labels, read_label
from app.kit.tables.factors import Factors, describe_factors, find_factors
from app.kit.tables.layouts import LONGEST_LABEL, TableField, TableLayout, fold_heading
from app.kit.tables.proposals import list_proposals, propose_fields

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
DOUBTFUL_COLUMN = Kind(
    "doubtful_column",
    "Kolom “{value}” mungkin berisi “{label}”. Pilih isinya, atau pilih agar kolom itu tidak dibaca.",
    "The column “{value}” may be “{label}”. Choose its field, or choose to skip the column.",
)
# A header is near the top; rows below this are data.
DEEPEST_HEADER = 60
_YEARS = range(1990, 2100)


@dataclass(frozen=True)
class TableHeader:
    """Position of a table: column index by key, first row and first data row (from 0), titles above it.

    `factors` has, by key, the unit of a column whose numbers are not in ones, and whether a title names it.
    """

    first_row: int
    data_row: int
    columns: Mapping[str, int]
    titles: tuple[str, ...]
    factors: Factors
    headings: Mapping[str, tuple[str, ...]]
    """Folded headings of each column by key, the lowest first."""
    texts: Mapping[str, Sequence[tuple[int, str]]]
    """(row, text) of these headings, as the sheet has them."""
    errors: tuple[FieldError, ...] = ()
    warnings: tuple[FieldError, ...] = ()
    parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The columns of each field that several columns hold together; `columns` has the first of them."""
    proposal: tuple[ColumnShape, ...] = ()
    """The choices of the caller, and those that it may add for columns without a field."""
    is_unclear: bool = False
    """Whether headings are the reason of an error."""


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
            errors = match_choices(choices, layout, HeadingIndex({})).errors
            factors = find_factors(sheet, layout, r, columns, {}, errors)
            titles, warnings = _collect_titles(sheet, r), describe_factors(sheet, r, columns, factors)
            return TableHeader(r, r + 1, columns, titles, factors, {}, {}, tuple(errors), tuple(warnings))
    return None


def propose_table(
    sheet: Sheet, layout: TableLayout, choices: Sequence[ColumnChoice] = ()
) -> TableHeader | None:
    """Read the likeliest header of a sheet in which `find_table` finds none: the row with most short texts above data.

    Its proposal lists every column. Returns None if no row has several texts.
    """
    last = max((r for r, row in enumerate(sheet.rows) if any(value is not None for value in row)), default=0)
    rows = range(min(last, DEEPEST_HEADER))
    texts = {r: len({t for t in list_labels(sheet, r).values() if fold_heading(t)}) for r in rows}
    likeliest = max(texts, key=texts.__getitem__, default=0)
    if texts.get(likeliest, 0) < 2:
        return None
    return _HeaderReader(sheet, layout, likeliest, choices).read(lists_all=True)


def has_labels(sheet: Sheet, r: int, layout: TableLayout, choices: Sequence[ColumnChoice] = ()) -> bool:
    """Return whether a row names enough fields for a header."""
    chosen = {choice.field for choice in _list_chosen(sheet, r, choices) if choice.field}
    if layout.compose is None:
        named = _list_named(sheet, r, layout)
    else:
        named = {key for text in list_labels(sheet, r).values() if (key := layout.find_key([text]))}
    return len(named | chosen) >= layout.fewest


def _list_named(sheet: Sheet, r: int, layout: TableLayout) -> set[str]:
    """Return the keys of the fields that labels in a row name."""
    labels = list_labels(sheet, r).values()
    return {item.key for text in labels if (item := layout.by_label.get(fold_heading(text)))}


def _list_chosen(sheet: Sheet, r: int, choices: Sequence[ColumnChoice]) -> list[ColumnChoice]:
    """Return the choices that name a heading in a row."""
    labels = list_labels(sheet, r).values() if choices else ()
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
    # Composed headings do not count: a line can have an indicator and a year too.
    if read_numbering(sheet, r, layout) or len(_list_named(sheet, r, layout)) >= layout.fewest:
        return True
    texts = list_labels(sheet, r)
    return len(texts) > 1 and any(
        texts == list_labels(sheet, other) for other in range(header.first_row, header.data_row)
    )


def _collect_titles(sheet: Sheet, before: int) -> tuple[str, ...]:
    titles = (" ".join(dict.fromkeys(list_labels(sheet, r).values())) for r in range(before))
    return tuple(title for title in titles if title)


def _group_parts(fields: Mapping[int, str | None]) -> dict[str, tuple[int, ...]]:
    """Return the columns of each field that has several, from left to right."""
    parts: dict[str, list[int]] = {}
    for c, key in sorted(fields.items()):
        if key is not None:
            parts.setdefault(key, []).append(c)
    return {key: tuple(columns) for key, columns in parts.items() if len(columns) > 1}


class _HeaderReader:
    """The rows of a header around the row that has the labels."""

    def __init__(
        self, sheet: Sheet, layout: TableLayout, r: int, choices: Sequence[ColumnChoice] = ()
    ) -> None:
        self.sheet, self.layout, self.choices = sheet, layout, choices
        self.top = self.bottom = r
        most_above = 1 if layout.compose is None else layout.most_rows - 1
        while self.top > max(0, r - most_above) and self._is_upper_row(self.top - 1):
            self.top -= 1
        while self.bottom - self.top + 1 < layout.most_rows and self._is_lower_row(self.bottom + 1):
            self.bottom += 1

    def _is_upper_row(self, r: int) -> bool:
        """Return whether a row belongs to the header below it: it has words of groups, chosen ones, or some labels."""
        texts = {*list_labels(self.sheet, r).values()}
        is_chosen = any(
            JOINT in choice.heading or not _list_chosen(self.sheet, r + 1, [choice])
            for choice in _list_chosen(self.sheet, r, self.choices)
        )
        if is_chosen or any(map(self._is_composed, texts)):
            return True
        # A lone label above a header is a title, such as "Provinsi Lampung".
        names = self.layout.groups if self.layout.compose is None else self.layout.by_label
        return len(texts) > (self.layout.compose is not None) and any(
            fold_heading(text) in names for text in texts
        )

    def read(self, *, lists_all: bool = False) -> TableHeader:
        """Match the headings with the choices, then with the labels, then with the numbers of the columns.

        `lists_all`: the proposal lists the columns that labels name too.
        """
        sheet, layout = self.sheet, self.layout
        headings = {c: list(self._list_headings(c)) for c in range(sheet.width)}
        data_row = self.bottom + 1
        numbered = read_numbering(sheet, data_row, layout) if data_row < len(sheet.rows) else {}
        data_row += bool(numbered)
        contents = ColumnContents(sheet, data_row, headings)
        index = HeadingIndex(headings)
        chosen = match_choices(self.choices, layout, index)
        fields = chosen.fields | self._find_parts(headings, contents, chosen.fields)
        columns = {key: c for c, key in sorted(fields.items(), reverse=True) if key}
        repeated, unknown = self._match_labels(headings, fields, columns)
        if len(numbered) in layout.lengths:
            for c, number in numbered.items():
                if layout.order[number - 1] not in columns and c not in {*columns.values(), *fields}:
                    columns[layout.order[number - 1]] = c
        unknown = [c for c in unknown if c not in columns.values()]
        taken = {key: c for key, c in columns.items() if key not in repeated}
        unread = [*(c for columns_of in repeated.values() for c in columns_of), *unknown]
        proposals = propose_fields(layout, {c: headings[c] for c in unread}, taken, contents)
        doubtful = {
            c: item
            for c, item in proposals.asked.items()
            if item.key not in columns and contents.is_filled(c)
        }
        errors = [
            *chosen.errors,
            *check_alone(self.choices, layout, columns),
            *self._list_unclear(index, columns, repeated, doubtful),
        ]
        is_unclear = bool(errors)
        # In a composed heading any of the rows may have the word that is unknown.
        texts = {c: headings[c][0][1] if layout.compose is None else index.paths[c] for c in unknown}
        warnings = [self._warn_unknown(headings[c][0][0], texts[c], c) for c in unknown if c not in doubtful]
        bare = [c for c, rows in headings.items() if not rows and c not in {*columns.values(), *fields}]
        warnings += [
            FieldError(UNKNOWN_COLUMN, cell=sheet.cell(data_row - 1, c), value=name_column(c))
            for c in bare
            if contents.has_rows(c)
        ]
        headings_of = {key: headings[c] for key, c in columns.items()}
        factors = find_factors(sheet, layout, self.top, columns, headings_of, errors)
        warnings += describe_factors(sheet, self.bottom, columns, factors)
        proposed = {c: item.key if (item := proposals.best.get(c)) else None for c in sorted(unread)}
        if lists_all:
            named = {c: key for key, c in columns.items()} | fields
            proposed = {c: key for c, key in named.items() if c not in chosen.fields} | proposed
        return TableHeader(
            first_row=self.top,
            data_row=data_row,
            columns=columns,
            titles=_collect_titles(sheet, self.top),
            factors=factors,
            headings={key: tuple(fold_heading(t) for _, t in rows) for key, rows in headings_of.items()},
            texts=headings_of,
            errors=tuple(errors),
            warnings=tuple(warnings),
            parts=_group_parts(fields),
            proposal=list_proposals(chosen.valid, proposed, index),
            is_unclear=is_unclear,
        )

    def _find_parts(
        self, headings: Headings, contents: ColumnContents, chosen: Mapping[int, str | None]
    ) -> dict[int, str]:
        """Return the columns that hold a field together, unless the caller chose its columns."""
        free = {c: rows for c, rows in headings.items() if c not in chosen}
        return {
            c: item.key
            for item in self.layout.fields
            if item.most_parts and item.key not in chosen.values()
            for c in contents.find_parts(item, self.layout, free)
        }

    def _match_labels(
        self, headings: Headings, fields: Mapping[int, str | None], columns: dict[str, int]
    ) -> tuple[dict[str, list[int]], list[int]]:
        """Add the columns that labels name. Return the columns of each field that has several, and unknown columns."""
        labelled: dict[str, list[int]] = {}
        unknown: list[int] = []
        for c, rows in headings.items():
            if c in fields or not rows:
                continue
            key = self.layout.find_key([text for _, text in rows])
            if key is None or key in fields.values():
                unknown.append(c)
            else:
                labelled.setdefault(key, []).append(c)
        for item in self.layout.fields:
            if item.key in labelled and self._stands_alone(item, labelled, headings):
                unknown += labelled.pop(item.key)
        columns |= {key: listed[0] for key, listed in labelled.items()}
        return {key: listed for key, listed in labelled.items() if len(listed) > 1}, unknown

    def _stands_alone(
        self, item: TableField, labelled: Mapping[str, Sequence[int]], headings: Headings
    ) -> bool:
        """Return whether columns have a label such as "Jumlah" without a group, in a table without others of it."""
        words = {fold_heading(label) for label in item.beside_group}
        texts = {fold_heading(text) for c in labelled[item.key] for _, text in headings[c]}
        others = (other for other in self.layout.fields if other.key in labelled and other is not item)
        return texts <= words and not any({*other.groups} & {*item.groups} for other in others)

    def _list_unclear(
        self,
        index: HeadingIndex,
        columns: Mapping[str, int],
        repeated: Mapping[str, Sequence[int]],
        doubtful: Mapping[int, TableField],
    ) -> Iterator[FieldError]:
        """Yield an error for each column that repeats a field or may have one, and for each required field without."""
        for c in (c for columns_of in repeated.values() for c in columns_of[1:]):
            r, text = index.headings[c][0]
            yield FieldError(DUPLICATE_COLUMN, cell=self.sheet.cell(r, c), value=text)
        for c, item in doubtful.items():
            cell, values = self.sheet.cell(index.headings[c][0][0], c), {"label": item.name}
            yield FieldError(DOUBTFUL_COLUMN, cell=cell, value=index.paths[c], values=values)
        for item in self.layout.list_missing(columns):
            if item not in doubtful.values():
                yield FieldError(MISSING_COLUMN, cell=self.sheet.cell(self.bottom, 0), allowed=item.labels[0])

    def _warn_unknown(self, r: int, text: str, c: int) -> FieldError:
        labels = [item.labels[0] for item in self.layout.fields]
        near = [
            label
            for label, _, _ in process.extract(
                text, labels, scorer=fuzz.ratio, score_cutoff=NEAR_NAME, limit=2
            )
        ]
        return FieldError(UNKNOWN_COLUMN, cell=self.sheet.cell(r, c), value=text, nearest=near)

    def _list_headings(self, c: int) -> Iterator[tuple[int, str]]:
        """Yield (row, text) of the headings of a column, the lowest first; without a group's own words none."""
        is_below = False
        for r in range(self.bottom, self.top - 1, -1):
            if self._is_merged_down(r, c, self.top):
                continue  # its first row has the text
            text = read_label(self.sheet, r, c)
            if not text and is_below:
                text = self._find_group(r, c)
            if text:
                yield r, text
                is_below = True

    def _find_group(self, r: int, c: int) -> str:
        """Return the words of the group to the left of a blank cell, "" if none reaches over it."""
        for left in range(c - 1, -1, -1):
            if text := read_label(self.sheet, r, left):
                has_lower = any(read_label(self.sheet, row, left) for row in range(r + 1, self.bottom + 1))
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
        is_row = sum(value is not None for value in self.sheet.rows[r]) > 1
        words_above = {text for row in range(self.top, r) for text in list_labels(self.sheet, row).values()}
        for c, value in enumerate(self.sheet.rows[r]):
            if value is None or self._is_merged_down(r, c, self.top):
                continue
            if not isinstance(value, str) and not (isinstance(value, int) and value in _YEARS):
                return False
            text = render_text(value)
            folded = fold_heading(text)
            texts = [read_label(self.sheet, row, c) for row in range(self.top, r)]
            above = [fold_heading(other) for other in texts]
            is_unit = not folded and any(letter.isalpha() for letter in text)
            is_chosen = any(
                choice.has_part(r, text) and (choice.row is not None or text not in words_above)
                for choice in self.choices
            )
            if len(text) > LONGEST_LABEL and not is_chosen:
                return False
            named, is_below = self.layout.by_label.get(folded), self._is_below_group(r, c)
            is_below_span = self.layout.compose is None and self._is_below_span(r, c)
            # Digits below "Kode" are a code, below "Tahun" a year.
            around = reversed(texts) if self._names_field(above) else ()
            is_named = is_unit or is_chosen or is_below_span or self._is_composed(text, *around)
            if not is_named and folded not in above and self._names_field(above):
                return False
            if not is_named and self.layout.compose and (text[:1].isdigit() or not (named or is_below)):
                return False
            # A lone text below a group is the section row above the first lines.
            is_heading |= is_named or bool(named and named.groups) or (is_below and is_row)
        return is_heading

    def _is_below_span(self, r: int, c: int) -> bool:
        """Return whether a heading above reaches over several columns, each with words of its own here."""

        def has_words(column: int) -> bool:
            return any(letter.isalpha() for letter in read_label(self.sheet, r, column))

        def is_blank(column: int) -> bool:
            return not any(read_label(self.sheet, row, column) for row in range(self.top, r))

        span = self.sheet.merged.get((r - 1, c), (r - 1, c))
        is_merged = any(
            self.sheet.merged.get((r - 1, near), (r - 1, near)) == span and has_words(near)
            for near in (c - 1, c + 1)
        )
        return has_words(c) and (is_merged or (not is_blank(c) and is_blank(c + 1) and has_words(c + 1)))

    def _is_below_group(self, r: int, c: int) -> bool:
        """Return whether the next text in a row above, at a cell or to its left, is the words of a group."""
        for row in range(self.top, r):
            text = next(
                (text for left in range(c, -1, -1) if (text := read_label(self.sheet, row, left))), ""
            )
            if fold_heading(text) in self.layout.groups or self._is_composed(text):
                return True
        return False

    def _is_composed(self, *texts: str) -> bool:
        """Return whether headings of a column, the lowest first, have a key together."""
        headings = list(filter(None, texts))
        return (
            bool(headings) and self.layout.compose is not None and self.layout.compose(headings) is not None
        )

    def _names_field(self, above: Sequence[str]) -> bool:
        fields = (self.layout.by_label.get(text) for text in above)
        return any(item and not item.groups and not item.is_measured for item in fields)
