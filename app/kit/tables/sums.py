"""Rows of sums: the words that name them, and the check of each column that adds up."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from app.kit.problems import Cell, FieldError, Kind
from app.kit.tables.numbers import format_thousands

TOTAL_DIFFERS = Kind(
    "total_differs",
    "Baris jumlah menyebut {total}, padahal baris yang dijumlahkannya berjumlah {sum}.",
    "The total row has {total}, but the lines that it adds up sum to {sum}.",
)
# No name of a region or of the nomenclature begins with these words.
_SUM = re.compile(
    r"((sub|grand)\s*-?\s*)?(jumlah|jml|jlh|total|j\s+u\s+m\s+l\s+a\s+h|t\s+o\s+t\s+a\s+l)\b", re.IGNORECASE
)


def is_sum(text: str) -> bool:
    """Return whether a text names a sum: `JUMLAH`, `Sub Total`, `T O T A L`, `Jml. Kec. Suoh`."""
    return bool(_SUM.match(text))


class _StatedSum(NamedTuple):
    """The figures of a sum row by column, each with its cell; `row` and `block` count the lines before."""

    row: int
    block: int
    figures: Mapping[str, tuple[int, Cell]]


class SumCheck:
    """The lines of a table in their order, and its sums. A sum may follow or precede its lines."""

    def __init__(self) -> None:
        self._lines: list[Mapping[str, int | None]] = []
        self._stated: list[_StatedSum] = []
        self._block = 0

    def add_line(self, figures: Mapping[str, int | None]) -> None:
        self._lines.append(figures)

    def open_block(self) -> None:
        """Begin a block, such as a section or a district."""
        self._block = len(self._lines)

    def add_sum(self, figures: Mapping[str, tuple[int, Cell]]) -> None:
        self._stated.append(_StatedSum(len(self._lines), self._block, figures))

    def find_differences(self) -> Iterator[FieldError]:
        """Yield a warning for each figure that is no sum: since the last sum, of the block, to the next, or of all."""
        end = len(self._lines)
        columns = {key for stated in self._stated for key in stated.figures}
        until = {key: self._accumulate(key) for key in columns}
        edges = [stated.row for stated in self._stated]
        for n, (row, block, figures) in enumerate(self._stated):
            last, following = edges[n - 1] if n else 0, edges[n + 1] if n + 1 < len(edges) else end
            runs = [(last, row), (block, row), (0, row), (row, following), (row, end), (0, end)]
            for key, (figure, cell) in figures.items():
                sums = [until[key][to] - until[key][since] for since, to in runs]
                if figure not in sums:
                    _, nearest = min((abs(number - figure), number) for number in sums[:3])
                    values = {"total": format_thousands(figure), "sum": format_thousands(nearest)}
                    yield FieldError(TOTAL_DIFFERS, cell=cell, value=figure, values=values)

    def _accumulate(self, key: str) -> list[int]:
        """Return the sum of a column before each line, and that of all."""
        sums = [0]
        for figures in self._lines:
            sums.append(sums[-1] + (figures.get(key) or 0))
        return sums
