"""Reader of uploaded files: turns untrusted bytes into sheets of typed cells.

The first bytes decide the format, never the name alone. `workbooks.py` reads .xlsx, `delimited.py`
reads text. `UnreadableFile` names the one cause and its remedy.
"""

from pathlib import PurePath

from app.kit.files.books import LARGEST_ROW, Book
from app.kit.files.delimited import read_delimited
from app.kit.files.unreadable import EMPTY_FILE, NOT_A_WORKBOOK, OLD_WORKBOOK, PASSWORD_PROTECTED, refuse_file
from app.kit.files.workbooks import open_workbook
from app.kit.problems import TooLarge

LARGEST_FILE = 20 * 1024 * 1024


def open_book(data: bytes, filename: str, *, most_rows: int = LARGEST_ROW) -> Book:
    """Return the sheets of an .xlsx (or .xlsm, without its macros) or CSV file, each of at most `most_rows` rows.

    Raises `TooLarge` above 20 MB and `UnreadableFile` for any other format.
    """
    filename = PurePath(filename.replace("\\", "/")).name or "-"
    if len(data) > LARGEST_FILE:
        raise TooLarge(allowed="20 MB")
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf"):
        raise refuse_file(EMPTY_FILE, filename)
    if data.startswith(b"PK"):
        return open_workbook(data, filename, most_rows)
    if data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        # An encrypted workbook is an OLE container with this stream; names in it are UTF-16.
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise refuse_file(PASSWORD_PROTECTED, filename)
        raise refuse_file(OLD_WORKBOOK, filename, ".xls")
    if PurePath(filename).suffix.lower() in {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"}:
        raise refuse_file(NOT_A_WORKBOOK, filename, _name_format(data))
    sheet = read_delimited(data, filename, most_rows)
    return Book(filename, (sheet.name,), (sheet.name,), lambda _: sheet)


_SIGNATURES = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"%PDF", "PDF"),
    (b"Rar!", "RAR"),
    (b"7z\xbc\xaf", "7z"),
    (b"<", "HTML/XML"),
)


def _name_format(data: bytes) -> str:
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    return next((name for signature, name in _SIGNATURES if start.startswith(signature)), "data")
