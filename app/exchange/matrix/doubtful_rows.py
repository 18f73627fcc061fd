"""Rows that a person may not have meant: hidden, struck out, or equal to an earlier line."""

from collections.abc import Iterator, Mapping, Sequence

from app.exchange.matrix.cells import write_cell
from app.exchange.matrix.columns import BY_KEY
from app.exchange.matrix.models import MatrixRow
from app.exchange.matrix.rows import AMOUNTS, join_lines
from app.kit.files.books import Sheet
from app.kit.problems import FieldError, Kind
from app.kit.tables.options import Doubt

HIDDEN_ROW = Kind(
    "hidden_row",
    "Baris {rows} tersembunyi atau tersaring, tetapi berisi. Tampilkan barisnya, atau pilih saat mengimpor: "
    "dibaca atau dilewati.",
    "Row {rows} is hidden or filtered out, and has content. Show it, or choose in the import: take it or skip it.",
)
STRUCK_ROW = Kind(
    "struck_row",
    "Baris {rows} dicoret, tetapi berisi. Hapus barisnya, atau pilih saat mengimpor: dibaca atau dilewati.",
    "Row {rows} is struck out, and has content. Delete it, or choose in the import: take it or skip it.",
)
STRUCK_CELL = Kind(
    "struck_cell",
    "“{value}” dicoret. Hapus isi selnya, atau hilangkan coretannya.",
    "“{value}” is struck out. Clear the cell, or remove the line through it.",
)
HIDDEN_COLUMN = Kind(
    "hidden_column",
    "Kolom “{value}” tersembunyi. Isinya tetap dibaca.",
    "The column “{value}” is hidden. The import reads it all the same.",
)
REPEATED_ROW = Kind(
    "repeated_row",
    "Baris ini sama dengan baris {first}: perangkat daerah, sub kegiatan, jumlah, lokasi, dan sasarannya.",
    "This line equals row {first}: its agency, sub-activity, amounts, place and recipients.",
)
CONTINUES_LEFT_OUT = Kind(
    "continues_left_out",
    "Baris ini melanjutkan baris {first}, yang tidak dibaca. Isi sub kegiatannya, atau lewati keduanya.",
    "This row continues row {first}, which the import left out. Enter its sub-activity, or leave out both.",
)
_SAME_LINE = (
    "strategy", "agency", "code", "activity", "subactivity", *AMOUNTS, "location", "recipients",
)  # fmt: skip


def describe_left_out(
    sheet: Sheet, at: Mapping[str, int], asked: Mapping[Doubt, Sequence[int]]
) -> Iterator[FieldError]:
    """Yield an error for each run of neighbouring rows that the caller has to settle."""
    for doubt, listed in asked.items():
        rows = set(listed)
        for first in (r for r in listed if r - 1 not in rows):
            last = next(r for r in range(first, len(sheet.rows) + 1) if r + 1 not in rows)
            c = next(c for c in sorted(at.values()) if sheet.value(first, c) is not None)
            text = str(first + 1) if first == last else f"{first + 1}–{last + 1}"
            kind = HIDDEN_ROW if doubt == "hidden" else STRUCK_ROW
            yield FieldError(kind, cell=sheet.cell(first, c), values={"rows": text})


def describe_hidden_columns(sheet: Sheet, at: Mapping[str, int], r: int) -> Iterator[FieldError]:
    """Yield a warning for each column that is read and hidden, at its cell in a row of the header."""
    for key, c in at.items():
        if c in sheet.hidden_columns:
            yield FieldError(HIDDEN_COLUMN, cell=sheet.cell(r, c), value=BY_KEY[key].labels[0])


def find_repeated(rows: Sequence[MatrixRow]) -> Iterator[tuple[int, FieldError]]:
    """Yield the row of each line that equals an earlier one, with an error that names the earlier row."""
    first: dict[str, MatrixRow] = {}
    for line in join_lines(rows):
        cells = {key: write_cell(BY_KEY[key], line) for key in _SAME_LINE}
        earlier = first.setdefault(str(cells), line)
        if earlier is not line:
            error = FieldError(REPEATED_ROW, cell=line.cell("subactivity"), values={"first": earlier.row})
            yield line.row, error
