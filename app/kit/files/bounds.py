"""Bounds on the cost of reading a workbook. The reader counts; it trusts no size that the file declares."""

from app.kit.files.books import LARGEST_COLUMN, LONGEST_CELL
from app.kit.files.unreadable import (
    ARCHIVE_BOMB,
    DAMAGED_WORKBOOK,
    TOO_MANY_CELLS,
    UnreadableFile,
    refuse_file,
)

LARGEST_UNPACKED = 128 * 1024 * 1024
LARGEST_PART = 64 * 1024 * 1024
# Deflate cannot pass 1032; a sheet of equal rows reaches about 60.
LARGEST_RATIO = 250
RATIO_FROM = 4 * 1024 * 1024
MOST_PARTS = 2_000
# Excel keeps at most 65,490.
MOST_STYLES = 65_536
# An attribute or a namespace counts one, an element two, by their share of time: a cell with inline text eleven.
MOST_NODES = 8_000_000
MOST_CELLS = 600_000
MOST_MERGED = 100_000
MOST_TEXT = 64 * 1024 * 1024
LONGEST_TEXT = LONGEST_CELL


class Meter:
    """The cost of reading one workbook so far, over all its parts. Raises `UnreadableFile` above a bound."""

    def __init__(self, filename: str, most_rows: int) -> None:
        self.filename, self.most_rows = filename, most_rows
        self._nodes = self._unpacked = self._cells = self._text = 0

    def refuse_damaged(self) -> UnreadableFile:
        """Return the refusal of a workbook that violates the format."""
        return refuse_file(DAMAGED_WORKBOOK, self.filename)

    def refuse_too_large(self, value: str) -> UnreadableFile:
        """Return the refusal of a workbook with far more content than its size suggests."""
        return refuse_file(ARCHIVE_BOMB, self.filename, value)

    def refuse_too_many_cells(self) -> UnreadableFile:
        """Return the refusal of a sheet with too many cells, or with one beyond the largest row or column."""
        return refuse_file(TOO_MANY_CELLS, self.filename, rows=self.most_rows, columns=LARGEST_COLUMN)

    def count_nodes(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            raise self.refuse_too_large("XML")

    def count_unpacked(self, size: int) -> None:
        self._unpacked += size
        if self._unpacked > LARGEST_UNPACKED:
            raise self.refuse_too_large(f"{self._unpacked // 1024**2} MB")

    def count_cell(self) -> None:
        self._cells += 1
        if self._cells > max(MOST_CELLS, 10 * self.most_rows):
            raise self.refuse_too_many_cells()

    def count_text(self, size: int) -> None:
        self._text += size
        if self._text > MOST_TEXT:
            raise self.refuse_too_large(f"{self._text // 1024**2} MB teks")


def weigh_text(text: str) -> int:
    """Return an upper bound of a text's bytes in memory: four per character as soon as one is not ASCII."""
    return len(text) if text.isascii() else 4 * len(text)
