"""Rules for cells of any column: the text of a cell, the result of a formula, and the reasons to refuse a cell."""

import re
from dataclasses import replace
from datetime import date, time, timedelta

from app.kit.files.books import ErrorValue, Formula, Sheet, Value
from app.kit.problems import Kind

FORMULA = Kind(
    "formula",
    "Sel berisi rumus “{value}” tanpa hasil tersimpan yang dapat dipakai. Buka berkasnya dalam aplikasi lembar kerja, "
    "simpan, lalu kirim lagi; atau tempel sebagai nilai (Paste Special › Values).",
    "The cell has the formula “{value}” without a stored result that the import can use. Open the file in a "
    "spreadsheet, save it and send it again; or paste the cell as values.",
)
STORED_RESULT = Kind(
    "stored_result",
    "Kolom ini memuat rumus di {count} sel. Impor memakai hasil yang tersimpan; yang pertama “{value}”.",
    "This column has formulas in {count} cells. The import uses the stored results; the first is “{value}”.",
)
CELL_ERROR = Kind(
    "cell_error",
    "Sel menampilkan galat “{value}”. Isi nilainya.",
    "The cell shows the error “{value}”. Enter its value.",
)
BECAME_DATE = Kind(
    "became_date",
    "Aplikasi lembar kerja mengubah isi sel menjadi tanggal “{value}”. Format sel sebagai teks, lalu isi ulang.",
    "The spreadsheet has turned the content into the date “{value}”. Format the cell as text and enter it again.",
)
# Control characters other than tab and line feed, zero-width space, byte order mark.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\ufeff]")


# A formula that only quotes a text, as systems write codes into CSV so that a spreadsheet keeps their zeros.
_QUOTED = re.compile(r'="((?:[^"]|"")*)"')


def take_results(sheet: Sheet) -> Sheet:
    """Return a sheet with the stored results of its formulas; `formulas` names their cells.

    A formula that only quotes a text is that text. One without a stored result stays a formula: nothing computes it.
    """
    if not any(isinstance(value, Formula) for row in sheet.rows for value in row):
        return sheet
    formulas: set[tuple[int, int]] = set()
    rows = [list(row) for row in sheet.rows]
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            if not isinstance(value, Formula):
                continue
            if quoted := _QUOTED.fullmatch(value.text):
                row[c] = quoted[1].replace('""', '"')
            elif value.result is not None:
                row[c] = None if value.result == "" else value.result
                formulas.add((r, c))
    return replace(sheet, rows=rows, formulas=frozenset(formulas))


def clean_text(value: str) -> str:
    """Return a text without control characters, outer and double spaces; line breaks stay."""
    if value.isprintable() and "  " not in value:
        return value.strip()  # nearly every cell: the plain space is its only invisible character
    text = _INVISIBLE.sub("", value.replace("\r\n", "\n").replace("\r", "\n"))
    text = "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
    return re.sub(r"\n{3,}", "\n\n", text)


def find_refusal(value: Value) -> Kind | None:
    """Return why no column takes a cell: it has a formula, an error, a date or a time. Returns None if it is usable."""
    if isinstance(value, Formula):
        return FORMULA
    if isinstance(value, ErrorValue):
        return CELL_ERROR
    if isinstance(value, (date, time, timedelta)):
        return BECAME_DATE
    return None


def render_text(value: Value) -> str:
    """Return a usable cell as the text that a person sees; blank is the empty string."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return repr(value)
    return clean_text(str(value))
