"""A file's bytes become sheets of typed cells, whatever the file is and whoever made it.

What a file is, is told by its first bytes and never by its name alone. An .xlsx goes through
`workbooks.py`, which trusts nothing in it; everything that is text goes through `delimited.py`. A
file that cannot be read raises `UnreadableFile` with the one cause, in words that say what to do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from app.exchange.models import Value
from app.kit.problems import Cell, FieldError, Kind, Problem, Text, TooLarge

LARGEST_FILE = 20 * 1024 * 1024


class UnreadableFile(Problem):
    status = 422
    code = "unreadable_file"
    title = Text("Berkas tidak dapat dibaca", "The file cannot be read")
    detail = Text(
        "Berkas {filename} tidak dapat dibaca; lihat errors. Tidak ada yang disimpan.",
        "The file {filename} cannot be read; see errors. Nothing was stored.",
    )


EMPTY_FILE = Kind("empty_file", "Berkas kosong. Kirim berkas yang berisi matriks.", "The file is empty. Send one with a matrix.")
PASSWORD_PROTECTED = Kind(
    "password_protected",
    "Buku kerja dilindungi kata sandi. Hapus kata sandinya (Berkas › Info › Proteksi), simpan, kirim lagi.",
    "The workbook is protected by a password. Remove it (File › Info › Protect), save, and send again.",
)
OLD_WORKBOOK = Kind(
    "old_workbook",
    "Berkas berformat lama atau lain ({value}). Buka lalu simpan sebagai Excel Workbook (.xlsx).",
    "The file has an old or another format ({value}). Open it and save it as an Excel Workbook (.xlsx).",
)
NOT_A_WORKBOOK = Kind(
    "not_a_workbook",
    "Isi berkas bukan buku kerja Excel, melainkan {value}. Mengganti akhiran nama tidak mengubah isinya.",
    "The content is not an Excel workbook but {value}. Renaming a file does not change what it is.",
)
NOT_A_TABLE = Kind(
    "not_a_table",
    "Isi berkas bukan teks, jadi bukan CSV. Kirim .xlsx atau CSV.",
    "The content is not text, so it is no CSV. Send .xlsx or CSV.",
)
UNKNOWN_SHEET = Kind(
    "unknown_sheet",
    "Lembar {value} tidak ada. Yang ada: {allowed}.",
    "There is no sheet {value}. There are: {allowed}.",
)


def unreadable(kind: Kind, filename: str, value: object = None, **values: object) -> UnreadableFile:
    """The problem for one cause, with the file as its place."""
    error = FieldError(kind, pointer="/file", value=value, allowed=values.pop("allowed", None), values=values)
    return UnreadableFile(errors=[error], filename=filename)


def column_letter(c: int) -> str:
    """The letters of a column counted from 0: 0 → A, 26 → AA."""
    letters = ""
    c += 1
    while c:
        c, rest = divmod(c - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


@dataclass(frozen=True)
class Sheet:
    """A sheet's cells from A1 on, row by row.

    Every cell of a merged range shows the range's value; `merged` tells, for each of them but the
    first, the (row, column) of the first, from 0. Blank cells are None. Numbers without a fraction
    are int. A cell with a formula holds a `Formula`, never its cached value.
    """

    name: str
    rows: Sequence[Sequence[Value]]
    merged: Mapping[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return max((len(row) for row in self.rows), default=0)

    def cell(self, r: int, c: int) -> Cell:
        """The address of a cell that is counted from 0."""
        return Cell(self.name, r + 1, column_letter(c))


@dataclass(frozen=True)
class Book:
    """The sheets of a file, each read when asked for. `visible` leaves out hidden ones."""

    filename: str
    names: tuple[str, ...]
    visible: tuple[str, ...]
    read: Callable[[str], Sheet]

    def sheet(self, name: str) -> Sheet:
        """A sheet by its name; raises `UnreadableFile` (`unknown_sheet`) if there is none."""
        if name not in self.names:
            raise unreadable(UNKNOWN_SHEET, self.filename, name, allowed=list(self.names))
        return self.read(name)


def open_book(data: bytes, filename: str) -> Book:
    """The sheets of an .xlsx (or .xlsm, its macros unread) or CSV file.

    Raises `TooLarge` above 20 MB and `UnreadableFile` for everything that is no such file.
    """
    from app.exchange.delimited import read_delimited
    from app.exchange.workbooks import open_workbook

    filename = PurePath(filename.replace("\\", "/")).name or "-"
    if len(data) > LARGEST_FILE:
        raise TooLarge(allowed="20 MB")
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf"):
        raise unreadable(EMPTY_FILE, filename)
    if data.startswith(b"PK"):
        return open_workbook(data, filename)
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        # An encrypted workbook is an OLE container with this stream; names in it are UTF-16.
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise unreadable(PASSWORD_PROTECTED, filename)
        raise unreadable(OLD_WORKBOOK, filename, ".xls")
    if PurePath(filename).suffix.lower() in {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"}:
        raise unreadable(NOT_A_WORKBOOK, filename, _what(data))
    sheet = read_delimited(data, filename)
    return Book(filename, (sheet.name,), (sheet.name,), lambda _: sheet)


_SIGNATURES = (
    (b"\x89PNG", "gambar PNG"),
    (b"\xff\xd8\xff", "gambar JPEG"),
    (b"GIF8", "gambar GIF"),
    (b"%PDF", "PDF"),
    (b"Rar!", "arsip RAR"),
    (b"7z\xbc\xaf", "arsip 7z"),
    (b"<", "HTML/XML"),
)


def _what(data: bytes) -> str:
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    return next((name for signature, name in _SIGNATURES if start.startswith(signature)), "data lain")
