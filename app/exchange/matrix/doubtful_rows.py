"""Rows that a person may not have meant: hidden, struck out, or equal to an earlier line."""

from collections.abc import Iterator, Sequence

from app.exchange.matrix.cells import write_cell
from app.exchange.matrix.columns import BY_KEY
from app.exchange.matrix.models import MatrixRow
from app.exchange.matrix.rows import AMOUNTS, join_lines
from app.kit.problems import FieldError, Kind

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


def find_repeated(rows: Sequence[MatrixRow]) -> Iterator[tuple[int, FieldError]]:
    """Yield the row of each line that equals an earlier one, with an error that names the earlier row."""
    first: dict[str, MatrixRow] = {}
    for line in join_lines(rows):
        cells = {key: write_cell(BY_KEY[key], line) for key in _SAME_LINE}
        earlier = first.setdefault(str(cells), line)
        if earlier is not line:
            error = FieldError(REPEATED_ROW, cell=line.cell("subactivity"), values={"first": earlier.row})
            yield line.row, error
