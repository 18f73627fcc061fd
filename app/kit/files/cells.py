"""Rules for cells of any column: the text of a cell, and the reasons to refuse one."""

import re
from datetime import date, time, timedelta

from app.kit.files.books import ErrorValue, Formula, Value
from app.kit.problems import Kind

FORMULA = Kind(
    "formula",
    "Sel berisi rumus “{value}”. Salin lalu tempel sebagai nilai (Paste Special › Values), kirim lagi.",
    "The cell has the formula “{value}”. Copy it, paste it as values, and send the file again.",
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
