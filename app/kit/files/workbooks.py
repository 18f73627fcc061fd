"""Reading .xlsx from strangers.

A workbook is an archive of XML, and both can be weapons: a few kilobytes that unpack to gigabytes,
one cell in the last row that makes a reader allocate the whole grid, one long shared text that a
million cells point to, entities that multiply. So a file is first unpacked by us, piece by piece
and counted, and its XML walked with expat, which stops at any document type; only then does
calamine get it, repacked, with nothing in it but sheets, texts and number formats. Macros, links to
other files, pictures and connections are left behind unread.

Why two readers: calamine turns cells into typed values many times faster than openpyxl, but it gives
a formula's cached value without a word and shows an error cell as blank. The walk, which is
needed for safety anyhow, sees formulas, errors and merged ranges. Measured on the 165-row report: 9 ms
for both (walk 6, calamine 2) where openpyxl takes 36; on 5,000 rows 0.45 s where openpyxl takes 1.34.
"""

import io
import posixpath
import re
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from app.kit.files.books import LARGEST_COLUMN, LARGEST_ROW, Book, ErrorValue, Formula, Sheet, Value
from app.kit.files.unreadable import (
    ARCHIVE_BOMB,
    DAMAGED_WORKBOOK,
    EMPTY_FILE,
    NOT_A_WORKBOOK,
    OLD_WORKBOOK,
    PASSWORD_PROTECTED,
    TOO_MANY_CELLS,
    XML_ENTITIES,
    UnreadableFile,
    unreadable,
)

LARGEST_UNPACKED = 128 * 1024 * 1024
LARGEST_PART = 64 * 1024 * 1024
# Deflate cannot pass 1032; a sheet of equal rows reaches about 60.
LARGEST_RATIO = 250
RATIO_FROM = 4 * 1024 * 1024
MOST_PARTS = 2_000
MOST_CELLS = 600_000
MOST_MERGED = 2_000_000
MOST_TEXT = 64 * 1024 * 1024

_DOCTYPE = tuple("<!DOCTYPE".encode(encoding) for encoding in ("ascii", "utf-16-le", "utf-16-be"))
_RELATIONSHIP = re.compile(r"/(worksheet|sharedStrings|styles)$")


def open_workbook(data: bytes, filename: str, most_rows: int = LARGEST_ROW) -> Book:
    """The worksheets of an .xlsx; raises `UnreadableFile` naming the one cause."""
    parts = _unpacked(data, filename)
    main = _main_part(parts, filename)
    walk = _Index(filename)
    walk.read(parts[main])
    rels_name = posixpath.join(posixpath.dirname(main), "_rels", posixpath.basename(main) + ".rels")
    targets = _targets(parts, rels_name, posixpath.dirname(main), filename)
    keep = {"[Content_Types].xml", "_rels/.rels", main, rels_name}
    keep |= {name for kind, name in targets.values() if _RELATIONSHIP.search(kind)}
    texts = next((name for kind, name in targets.values() if kind.endswith("/sharedStrings")), None)
    sheets = {
        name: targets[rel][1]
        for name, rel in walk.sheets
        if rel in targets and targets[rel][0].endswith("/worksheet") and targets[rel][1] in parts
    }
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(_repacked(parts, keep)))
        found = [m for m in book.sheets_metadata if m.typ is SheetTypeEnum.WorkSheet and m.name in sheets]
    except BaseException as failure:
        raise _failed(failure, filename) from None
    if not found:
        raise unreadable(EMPTY_FILE, filename)
    lengths = _text_lengths(parts[texts], filename) if texts in parts else []

    def read(name: str) -> Sheet:
        return _read_sheet(book, name, parts[sheets[name]], lengths, filename, most_rows)

    visible = tuple(m.name for m in found if m.visible is SheetVisibleEnum.Visible)
    return Book(filename, tuple(m.name for m in found), visible, read)


def _failed(failure: BaseException, filename: str) -> BaseException:
    """What to raise when the reader fails: a panic of its Rust code is no Exception, yet only a bad file."""
    if isinstance(failure, UnreadableFile):
        return failure
    if isinstance(failure, Exception) or type(failure).__name__ == "PanicException":
        return unreadable(DAMAGED_WORKBOOK, filename)
    return failure


def _unpacked(data: bytes, filename: str) -> dict[str, bytes]:
    """The XML parts of the archive; counted while unpacking, since what an archive declares may be a lie."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
    # all that the archive reader raises over a damaged list of entries, an unknown version or a name in no encoding
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, UnicodeDecodeError):
        raise unreadable(DAMAGED_WORKBOOK, filename) from None
    names = {entry.filename for entry in entries}
    if any(entry.flag_bits & 0x1 for entry in entries):
        raise unreadable(PASSWORD_PROTECTED, filename)
    if len(entries) > MOST_PARTS:
        raise unreadable(ARCHIVE_BOMB, filename, f"{len(entries)} entri")
    if len(names) != len(entries):
        raise unreadable(DAMAGED_WORKBOOK, filename)
    declared = sum(entry.file_size for entry in entries)
    if declared > LARGEST_UNPACKED:
        raise unreadable(ARCHIVE_BOMB, filename, f"{declared // 1024**2} MB")
    if "[Content_Types].xml" not in names:
        value = ".ods" if "content.xml" in names else "arsip ZIP"
        raise unreadable(OLD_WORKBOOK if value == ".ods" else NOT_A_WORKBOOK, filename, value)
    if any(name.endswith("workbook.bin") for name in names):
        raise unreadable(OLD_WORKBOOK, filename, ".xlsb")
    parts: dict[str, bytes] = {}
    total = 0
    for entry in entries:
        if not entry.filename.lower().endswith((".xml", ".rels")):
            continue
        part = _unpack(archive, entry, LARGEST_UNPACKED - total, filename)
        total += len(part)
        if any(mark in part for mark in _DOCTYPE):
            raise unreadable(XML_ENTITIES, filename)
        parts[entry.filename.lstrip("/")] = part
    return parts


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int, filename: str) -> bytes:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise unreadable(DAMAGED_WORKBOOK, filename)
    bound = min(left, LARGEST_PART)
    chunks: list[bytes] = []
    size = 0
    try:
        with archive.open(entry) as stream:
            while chunk := stream.read(1 << 20):
                size += len(chunk)
                ratio = size / max(entry.compress_size, 1)
                if size > bound or (size > RATIO_FROM and ratio > LARGEST_RATIO):
                    raise unreadable(ARCHIVE_BOMB, filename, f"{entry.filename}: {ratio:.0f} : 1")
                chunks.append(chunk)
    # all that it raises over a damaged entry; RuntimeError: it is encrypted though its flags deny it
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError):
        raise unreadable(DAMAGED_WORKBOOK, filename) from None
    return b"".join(chunks)


def _repacked(parts: dict[str, bytes], keep: set[str]) -> bytes:
    """An archive of our own making, so that calamine cannot find another one hidden in the upload."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(keep & parts.keys()):
            archive.writestr(name, parts[name])
    return out.getvalue()


class _Walk:
    """A walk over one XML part with expat, which refuses a document type and so every entity."""

    def __init__(self, filename: str) -> None:
        self.filename = filename

    def read(self, part: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = lambda name, attributes: self.start(name.rpartition(":")[2], attributes)
        parser.EndElementHandler = lambda name: self.end(name.rpartition(":")[2])
        parser.CharacterDataHandler = self.text
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(part, True)
        except (expat.ExpatError, ValueError):
            raise unreadable(DAMAGED_WORKBOOK, self.filename) from None

    def _doctype(self, *_: Any) -> None:
        raise unreadable(XML_ENTITIES, self.filename)

    def start(self, name: str, attributes: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...

    def text(self, data: str) -> None: ...


class _Index(_Walk):
    """(sheet name, relationship id) of a workbook, in its order."""

    def __init__(self, filename: str) -> None:
        super().__init__(filename)
        self.sheets: list[tuple[str, str]] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            rel = next((value for key, value in attributes.items() if key.rpartition(":")[2] == "id"), "")
            self.sheets.append((attributes.get("name", ""), rel))


class _Relationships(_Walk):
    """id → (type, target) of the internal relationships."""

    def __init__(self, filename: str) -> None:
        super().__init__(filename)
        self.found: dict[str, tuple[str, str]] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            self.found[attributes.get("Id", "")] = (attributes.get("Type", ""), attributes.get("Target", ""))


def _targets(parts: dict[str, bytes], rels: str, folder: str, filename: str) -> dict[str, tuple[str, str]]:
    if rels not in parts:
        raise unreadable(DAMAGED_WORKBOOK, filename)
    walk = _Relationships(filename)
    walk.read(parts[rels])
    return {
        key: (kind, posixpath.normpath(posixpath.join("/" + folder, target)).lstrip("/"))
        for key, (kind, target) in walk.found.items()
    }


def _main_part(parts: dict[str, bytes], filename: str) -> str:
    found = [
        name
        for kind, name in _targets(parts, "_rels/.rels", "", filename).values()
        if kind.endswith("/officeDocument")
    ]
    if not found or found[0] not in parts:
        raise unreadable(NOT_A_WORKBOOK, filename, "dokumen lain")
    if posixpath.basename(found[0]) in {"document.xml", "presentation.xml"}:
        raise unreadable(NOT_A_WORKBOOK, filename, "dokumen Word atau PowerPoint")
    return found[0]


class _TextLengths(_Walk):
    def __init__(self, filename: str) -> None:
        super().__init__(filename)
        self.lengths: list[int] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "si":
            self.lengths.append(0)

    def text(self, data: str) -> None:
        if self.lengths:
            self.lengths[-1] += len(data)


def _text_lengths(part: bytes, filename: str) -> list[int]:
    walk = _TextLengths(filename)
    walk.read(part)
    return walk.lengths


@dataclass
class _Cells:
    """What the walk over a sheet finds, positions from 0."""

    formulas: dict[tuple[int, int], str] = field(default_factory=dict)
    failures: dict[tuple[int, int], str] = field(default_factory=dict)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    shared: Counter[str] = field(default_factory=Counter)
    used: int = 0


class _SheetWalk(_Walk):
    """Formulas, error cells, merged ranges and the bounds of a sheet; stops at the first one exceeded."""

    def __init__(self, filename: str, most_rows: int) -> None:
        super().__init__(filename)
        self._most_rows = most_rows
        self.cells = _Cells()
        self._row = self._column = -1
        self._type = ""
        self._words: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._type = attributes.get("t", "")
            self._row, self._column = _position(attributes.get("r"), self._row, self._column + 1)
        elif name in ("v", "f", "is"):
            self._use()
            if name == "f" or self._type in ("s", "e"):
                self._words = []
        elif name == "row":
            number = attributes.get("r", "")
            self._row, self._column = (int(number) - 1 if number.isdigit() else self._row + 1), -1
        elif name == "mergeCell":
            self._merge(attributes.get("ref", ""))

    def text(self, data: str) -> None:
        if self._words is not None:
            self._words.append(data)

    def end(self, name: str) -> None:
        if self._words is None or name not in ("v", "f"):
            return
        words, self._words = "".join(self._words), None
        here = (self._row, self._column)
        if name == "f":
            self.cells.formulas[here] = "=" + words
        elif self._type == "e":
            self.cells.failures[here] = words
        else:
            self.cells.shared[words] += 1

    def _use(self) -> None:
        self.cells.used += 1
        if (
            not 0 <= self._row < self._most_rows
            or not 0 <= self._column < LARGEST_COLUMN
            or self.cells.used > max(MOST_CELLS, 10 * self._most_rows)
        ):
            raise unreadable(TOO_MANY_CELLS, self.filename, rows=self._most_rows, columns=LARGEST_COLUMN)

    def _merge(self, ref: str) -> None:
        first, _, last = ref.replace("$", "").partition(":")
        top, left = _position(first, -1, -1)
        bottom, right = _position(last or first, -1, -1)
        if 0 <= top <= bottom and 0 <= left <= right:
            self.cells.merged.append((top, left, bottom, right))


_ADDRESS = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})")


def _position(address: str | None, row: int, column: int) -> tuple[int, int]:
    """(row, column) from 0 of an address like `B7`; the given ones when a cell has no address."""
    found = _ADDRESS.fullmatch(address or "")
    if found is None:
        return row, column
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return int(found[2]) - 1, number - 1


def _read_sheet(
    book: CalamineWorkbook, name: str, part: bytes, lengths: list[int], filename: str, most_rows: int
) -> Sheet:
    walk = _SheetWalk(filename, most_rows)
    walk.read(part)
    cells = walk.cells
    text = sum(lengths[int(i)] * n for i, n in cells.shared.items() if i.isdigit() and int(i) < len(lengths))
    if text > MOST_TEXT:
        raise unreadable(ARCHIVE_BOMB, filename, f"{text // 1024**2} MB teks")
    try:
        grid = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except BaseException as failure:
        raise _failed(failure, filename) from None
    rows: list[list[Value]] = [[_value(cell) for cell in row] for row in grid]
    for found, kind in ((cells.failures, ErrorValue), (cells.formulas, Formula)):
        for (r, c), words in found.items():
            while len(rows) <= r:
                rows.append([])
            rows[r].extend([None] * (c + 1 - len(rows[r])))
            rows[r][c] = kind(words)
    return Sheet(name, rows, _spread(rows, cells.merged, filename))


def _value(cell: Any) -> Value:
    if cell == "" or (isinstance(cell, str) and not cell.strip()):
        return None
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    value: Value = cell
    return value


def _spread(
    rows: list[list[Value]], ranges: list[tuple[int, int, int, int]], filename: str
) -> dict[tuple[int, int], tuple[int, int]]:
    """Show each merged range's value in all its cells within the used area; returns cell → first cell."""
    width = max((len(row) for row in rows), default=0)
    merged: dict[tuple[int, int], tuple[int, int]] = {}
    filled = 0
    for top, left, bottom, right in ranges:
        if top >= len(rows) or left >= width:
            continue
        bottom, right = min(bottom, len(rows) - 1), min(right, width - 1)
        filled += (bottom - top + 1) * (right - left + 1)
        if filled > MOST_MERGED:
            raise unreadable(TOO_MANY_CELLS, filename, rows=LARGEST_ROW, columns=LARGEST_COLUMN)
        value = rows[top][left] if left < len(rows[top]) else None
        for r in range(top, bottom + 1):
            rows[r].extend([None] * (right + 1 - len(rows[r])))
            for c in range(left, right + 1):
                if (r, c) != (top, left):
                    rows[r][c] = value
                    merged[r, c] = (top, left)
    return merged
