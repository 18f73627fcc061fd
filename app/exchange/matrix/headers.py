"""Finder of the header in a sheet: by labels, by the row that numbers the columns, or both.

Labels decide where there are any, since people read them; columns may then be in any order, or missing. The
numbering row (1, 2, 3, …) decides for columns with an unknown label, and for a table without any known label if it
numbers exactly 18 or 21 columns.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rapidfuzz import fuzz, process

from app.exchange.matrix.cells import read_ordinal
from app.exchange.matrix.models import BY_KEY, COLUMNS, GROUP_VARIANTS, PLANNING
from app.kit.files.books import Sheet
from app.kit.files.cells import render_text
from app.kit.problems import FieldError, Kind

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

# A header is near the top; rows below this are data.
DEEPEST_HEADER = 60
# No label is longer, but names of sub-activities often are, and the search looks at every row.
LONGEST_LABEL = 60
# Fewer known labels than this are a coincidence, not a header.
FEWEST_LABELS = 5


@dataclass(frozen=True)
class Header:
    """Position of a table: column index by key, first data row (both from 0), titles above it."""

    first_row: int
    data_row: int
    columns: Mapping[str, int]
    titles: tuple[str, ...]
    errors: tuple[FieldError, ...]
    warnings: tuple[FieldError, ...]


def _normalise_label(label: str) -> str:
    if len(label) > LONGEST_LABEL:
        return ""
    text = re.sub(r"\(.*?\)", " ", label.casefold())
    return " ".join(re.findall(r"[a-z0-9]+", text))


def _index_labels() -> dict[str, str]:
    known: dict[str, str] = {}
    for column in COLUMNS:
        labels = {_normalise_label(label) for label in column.labels}
        # "Total" and "Jumlah" alone are too common to identify a header; see `_match_labels`.
        known |= dict.fromkeys(labels, column.key)
        if column.group:
            groups = (_normalise_label(column.group), *GROUP_VARIANTS[column.group])
            known |= {f"{group} {label}": column.key for group in groups for label in labels}
    return known


LABELS = _index_labels()
_GROUPS = {_normalise_label(group) for group in GROUP_VARIANTS} | {
    v for variants in GROUP_VARIANTS.values() for v in variants
}


def find_header(sheet: Sheet) -> Header | None:
    """Find the header of the matrix in a sheet. Returns None if the sheet has none."""
    for r in range(min(len(sheet.rows), DEEPEST_HEADER)):
        labelled = _match_labels(sheet, r)
        if len(labelled) >= FEWEST_LABELS:
            return _make_header(sheet, r)
    for r in range(min(len(sheet.rows), DEEPEST_HEADER)):
        numbered = read_numbering(sheet, r)
        if len(numbered) in (len(PLANNING), len(COLUMNS)):
            columns = {COLUMNS[n - 1].key: c for c, n in numbered.items()}
            return Header(r, r + 1, columns, _collect_titles(sheet, r), (), ())
    return None


def read_numbering(sheet: Sheet, r: int) -> dict[int, int]:
    """Return column index → number if the row only numbers its columns 1, 2, 3, …; else {}."""
    cells = [(c, value) for c, value in enumerate(sheet.rows[r]) if value is not None]
    if len(cells) < FEWEST_LABELS:
        return {}
    numbers = [read_ordinal(value).value for _, value in cells]
    if numbers != list(range(1, len(cells) + 1)) or len(cells) > len(COLUMNS):
        return {}
    return {c: number for (c, _), number in zip(cells, numbers, strict=True) if number is not None}


def is_header_again(sheet: Sheet, r: int) -> bool:
    """Return whether a row repeats the header, as offices do on every printed page."""
    return (
        bool(read_numbering(sheet, r))
        or len(_match_labels(sheet, r)) >= FEWEST_LABELS
        or _is_second_row(sheet, r)
    )


def _read_label(sheet: Sheet, r: int, c: int) -> str:
    value = sheet.value(r, c) if r < len(sheet.rows) else None
    return render_text(value) if isinstance(value, str) else ""


def _match_labels(sheet: Sheet, r: int) -> dict[int, str]:
    keys = {
        c: LABELS[plain]
        for c in range(len(sheet.rows[r]))
        if (plain := _normalise_label(_read_label(sheet, r, c))) in LABELS
    }
    return keys if len(set(keys.values())) >= FEWEST_LABELS else {}


def _is_second_row(sheet: Sheet, r: int) -> bool:
    """Return whether a row is the lower one of a header: only labels, at least two of them of grouped columns."""
    texts = [
        plain for c in range(len(sheet.rows[r])) if (plain := _normalise_label(_read_label(sheet, r, c)))
    ]
    grouped = [text for text in texts if text in LABELS and BY_KEY[LABELS[text]].group]
    return len(grouped) >= 2 and all(text in LABELS for text in texts)


def _make_header(sheet: Sheet, r: int) -> Header:
    top = r
    # The labels may be in the lower of two rows, with only the group's words above them.
    if r > 0 and any(_normalise_label(_read_label(sheet, r - 1, c)) in _GROUPS for c in range(sheet.width)):
        top = r - 1
    bottom = r
    if r + 1 < len(sheet.rows) and _is_second_row(sheet, r + 1):
        bottom = r + 1
    numbered: dict[int, int] = {}
    data_row = bottom + 1
    if data_row < len(sheet.rows) and (numbered := read_numbering(sheet, data_row)):
        data_row += 1
    columns: dict[str, int] = {}
    errors: list[FieldError] = []
    unknown: list[tuple[int, int, str]] = []
    for c in range(sheet.width):
        words = [(row, text) for row in range(top, bottom + 1) if (text := _read_label(sheet, row, c))]
        # The lower label is the narrower one: "Langsung" below "Aktifitas Real".
        keys = [LABELS[plain] for _, text in reversed(words) if (plain := _normalise_label(text)) in LABELS]
        if not keys:
            if words and not all(_normalise_label(text) in _GROUPS for _, text in words):
                unknown.append((c, *words[-1]))
            continue
        if keys[0] in columns:
            errors.append(FieldError(DUPLICATE_COLUMN, cell=sheet.cell(words[-1][0], c), value=words[-1][1]))
            continue
        columns[keys[0]] = c
    for c, number in numbered.items():
        key = COLUMNS[number - 1].key
        if (
            key not in columns
            and c not in columns.values()
            and len(numbered) in (len(PLANNING), len(COLUMNS))
        ):
            columns[key] = c
    labels = [column.labels[0] for column in COLUMNS]
    warnings = [
        FieldError(
            UNKNOWN_COLUMN,
            cell=sheet.cell(row, c),
            value=text,
            nearest=[label for label, _, _ in process.extract(text, labels, scorer=fuzz.WRatio, limit=2)],
        )
        for c, row, text in unknown
        if c not in columns.values()
    ]
    errors += [
        FieldError(MISSING_COLUMN, cell=sheet.cell(bottom, 0), allowed=column.labels[0])
        for column in COLUMNS
        if column.required and column.key not in columns
    ]
    return Header(top, data_row, columns, _collect_titles(sheet, top), tuple(errors), tuple(warnings))


def _collect_titles(sheet: Sheet, before: int) -> tuple[str, ...]:
    titles = []
    for r in range(before):
        texts = dict.fromkeys(text for c in range(len(sheet.rows[r])) if (text := _read_label(sheet, r, c)))
        if texts:
            titles.append(" ".join(texts))
    return tuple(titles)
