"""Awkward files, made in memory."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import xlsxwriter
from openpyxl import Workbook

from app.exchange.matrix.models import COLUMNS, PLANNING, Matrix
from app.exchange.matrix.rules import read_matrix

LABELS = [column.labels[0] for column in PLANNING]
S1 = "Pengurangan Beban Pengeluaran Masyarakat"
S2 = "Peningkatan Pendapatan Masyarakat"
S3 = "Penurunan Jumlah Kantong-Kantong Kemiskinan"


def line(**cells: Any) -> list[Any]:
    """A row of the 21 columns with these cells; a line that is complete unless told otherwise."""
    full = {
        "number": 1,
        "strategy": S1,
        "agency": "Dinas Sosial",
        "code": "1.06.0.00.0.00.08.0000",
        "program": "Program A",
        "activity": "Kegiatan A",
        "subactivity": "Sub A",
        "allocation": 1000,
    }
    full |= cells
    return [full.get(column.key) for column in COLUMNS]


def only(**cells: Any) -> list[Any]:
    """A row with nothing but these cells."""
    return [cells.get(column.key) for column in COLUMNS]


def xlsx(rows: Sequence[Sequence[Any]], change: Callable[[Any], None] = lambda sheet: None) -> bytes:
    """A workbook of one sheet; `change` may do more to the openpyxl sheet."""
    book = Workbook()
    for row in rows:
        book.active.append(list(row))
    change(book.active)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def matrix(*rows: Sequence[Any], change: Callable[[Any], None] = lambda sheet: None) -> Matrix:
    """What is read of these rows below a one-row header of all 21 columns; data begins in row 2."""
    header = [column.labels[0] for column in COLUMNS]
    return read_matrix(xlsx([header, *rows], change), "matriks.xlsx")


def codes(found: Sequence[Any]) -> list[tuple[str, int, str]]:
    """(code, row, column) of errors or warnings."""
    return [(error.kind.code, error.cell.row, error.cell.column) for error in found]


def raw_xlsx(write: Callable[[Any, Any], None]) -> bytes:
    """A workbook written by xlsxwriter."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        write(book, book.add_worksheet("A"))
    return out.getvalue()
