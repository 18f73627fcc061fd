"""Reader of untrusted .xlsx, with bounds on its own cost.

A few kilobytes may unpack to gigabytes, or one cell in the last row make a reader allocate the whole grid. So the
reader unpacks only the parts that it needs (`archive.py`), walks each chunk by chunk (`xml_walk.py`), counts what it
keeps (`bounds.py`), and trusts no size that the file declares.

One pass both checks and reads, because two readers disagree about the same bytes. The reader refuses any deviation
from the format (`worksheets.py`).
"""

import posixpath

from app.kit.files.archive import Archive
from app.kit.files.books import LARGEST_ROW, Book, Sheet
from app.kit.files.bounds import Meter
from app.kit.files.number_formats import Shows
from app.kit.files.unreadable import EMPTY_FILE, NOT_A_WORKBOOK, refuse_file
from app.kit.files.workbook_parts import (
    Relationship,
    WorkbookIndex,
    read_relationships,
    read_styles,
    read_texts,
)
from app.kit.files.worksheets import SharedParts, read_worksheet


def open_workbook(data: bytes, filename: str, most_rows: int = LARGEST_ROW) -> Book:
    """Return the worksheets of an .xlsx. Raises `UnreadableFile` naming the one cause."""
    meter = Meter(filename, most_rows)
    archive = Archive(data, meter)
    main = _find_main_part(archive, meter)
    index = WorkbookIndex(archive, main, meter)
    related = read_relationships(archive, main, meter)
    parts: dict[str, str] = {}
    for sheet in index.sheets:
        target = related.get(sheet.relationship)
        if target is None or sheet.name in parts:
            raise meter.refuse_damaged()
        if target.kind == "worksheet":
            if target.part is None:
                raise meter.refuse_damaged()
            parts[sheet.name] = target.part
    if not parts:
        raise refuse_file(EMPTY_FILE, filename)
    texts = _find_part(related, "sharedStrings", meter)
    styles = _find_part(related, "styles", meter)
    # A workbook without styles has only the default one.
    listed, struck = read_styles(archive, styles, meter) if styles is not None else ([], set[int]())
    shown: list[Shows] = listed or ["number"]
    shared = SharedParts(
        read_texts(archive, texts, meter) if texts is not None else [],
        {str(i): shows for i, shows in enumerate(shown)},
        frozenset(map(str, struck)),
        index.is_1904,
        index.asks_to_calculate,
    )

    def read(name: str) -> Sheet:
        return read_worksheet(archive, parts[name], name, shared, meter)

    visible = tuple(sheet.name for sheet in index.sheets if sheet.is_visible and sheet.name in parts)
    return Book(filename, tuple(parts), visible, read)


def _find_main_part(archive: Archive, meter: Meter) -> str:
    related = read_relationships(archive, "", meter)
    part = next((target.part for target in related.values() if target.kind == "officeDocument"), None)
    if part is None or part not in archive:
        raise refuse_file(NOT_A_WORKBOOK, meter.filename, "ZIP")
    if posixpath.basename(part) in {"document.xml", "presentation.xml"}:
        raise refuse_file(NOT_A_WORKBOOK, meter.filename, "Word/PowerPoint")
    return part


def _find_part(related: dict[str, Relationship], kind: str, meter: Meter) -> str | None:
    """Return the part of a kind, None if there is none. Raises `UnreadableFile` if there are several."""
    parts = [target.part for target in related.values() if target.kind == kind]
    if len(parts) > 1:
        raise meter.refuse_damaged()
    return parts[0] if parts else None
