"""Awkward files, built in memory."""

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import xlsxwriter
from openpyxl import Workbook

from app.exchange.matrix.columns import COLUMNS, PLANNING
from app.exchange.matrix.models import Matrix
from app.exchange.matrix.rules import read_matrix

LABELS = [column.labels[0] for column in PLANNING]
S1 = "Pengurangan Beban Pengeluaran Masyarakat"
S2 = "Peningkatan Pendapatan Masyarakat"
S3 = "Penurunan Jumlah Kantong-Kantong Kemiskinan"


def line(**cells: Any) -> list[Any]:
    """Return a row of the 21 columns: a complete line except for these cells."""
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


def partial_line(**cells: Any) -> list[Any]:
    """Return a row of these cells alone."""
    return [cells.get(column.key) for column in COLUMNS]


def xlsx(rows: Sequence[Sequence[Any]], change: Callable[[Any], None] = lambda sheet: None) -> bytes:
    """Build a workbook of one sheet; `change` edits the openpyxl sheet."""
    book = Workbook()
    for row in rows:
        book.active.append(list(row))
    change(book.active)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def store_results(data: bytes, results: dict[str, Any]) -> bytes:
    """Return a workbook of openpyxl with the stored results of its formulas, as a spreadsheet saves them."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name).decode()
            for cell, result in results.items() if name.startswith("xl/worksheets/") else ():
                kind = ' t="str"' if isinstance(result, str) else ""
                found = re.compile(rf'<c r="{cell}"( s="\d+")?><f>([^<]*)</f>(?:<v ?/>|<v></v>)</c>')
                text, count = found.subn(rf'<c r="{cell}"\1{kind}><f>\2</f><v>{result}</v></c>', text)
                assert count == 1, cell
            new.writestr(name, text.replace('fullCalcOnLoad="1"', ""))
    return out.getvalue()


def matrix(*rows: Sequence[Any], change: Callable[[Any], None] = lambda sheet: None) -> Matrix:
    """Read these rows below a one-row header of all 21 columns; data begins in row 2."""
    header = [column.labels[0] for column in COLUMNS]
    return read_matrix(xlsx([header, *rows], change), "matriks.xlsx")


def list_codes(problems: Sequence[Any]) -> list[tuple[str, int, str]]:
    """Return (code, row, column) of errors or warnings."""
    return [(error.kind.code, error.cell.row, error.cell.column) for error in problems]


def raw_xlsx(write: Callable[[Any, Any], None]) -> bytes:
    """Build a workbook with xlsxwriter."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        write(book, book.add_worksheet("A"))
    return out.getvalue()
