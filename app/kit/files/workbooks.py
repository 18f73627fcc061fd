"""Reading .xlsx from strangers, with one reader that bounds itself.

A workbook is an archive of XML, and both can be weapons: a few kilobytes that unpack to gigabytes,
one cell in the last row that makes a reader allocate the whole grid, one long shared text that a
million cells point to, entities that multiply. So only the parts that are needed are unpacked
(`archive.py`), expat walks each piece by piece (`xml_walk.py`), and the walk counts what it keeps
(`bounds.py`). Nothing that the file says about its own size is believed.
The reader never unpacks macros, links to other files, pictures and connections.

One reader, because two disagree: what a check takes for no address, the reader behind it may take for
the last cell of a sheet. What is not exactly as the format says is refused (`worksheets.py`).
"""

import posixpath

from app.kit.files.archive import Archive
from app.kit.files.books import LARGEST_ROW, Book, Sheet
from app.kit.files.bounds import Meter
from app.kit.files.number_formats import Shows
from app.kit.files.unreadable import EMPTY_FILE, NOT_A_WORKBOOK, unreadable
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
    main = _main_part(archive, meter)
    index = WorkbookIndex(archive, main, meter)
    related = read_relationships(archive, main, meter)
    parts: dict[str, str] = {}
    for sheet in index.sheets:
        target = related.get(sheet.relationship)
        if target is None or sheet.name in parts:
            raise meter.damaged()
        if target.kind == "worksheet":
            if target.part is None:
                raise meter.damaged()
            parts[sheet.name] = target.part
    if not parts:
        raise unreadable(EMPTY_FILE, filename)
    texts = _one_part(related, "sharedStrings", meter)
    styles = _one_part(related, "styles", meter)
    # A workbook without styles has the one that cells without a style have.
    listed = read_styles(archive, styles, meter) if styles is not None else []
    shown: list[Shows] = listed or ["number"]
    shared = SharedParts(
        read_texts(archive, texts, meter) if texts is not None else [],
        {str(i): shows for i, shows in enumerate(shown)},
        index.is_1904,
        index.asks_to_calculate,
    )

    def read(name: str) -> Sheet:
        return read_worksheet(archive, parts[name], name, shared, meter)

    visible = tuple(sheet.name for sheet in index.sheets if sheet.is_visible and sheet.name in parts)
    return Book(filename, tuple(parts), visible, read)


def _main_part(archive: Archive, meter: Meter) -> str:
    related = read_relationships(archive, "", meter)
    part = next((one.part for one in related.values() if one.kind == "officeDocument"), None)
    if part is None or part not in archive:
        raise unreadable(NOT_A_WORKBOOK, meter.filename, "dokumen lain")
    if posixpath.basename(part) in {"document.xml", "presentation.xml"}:
        raise unreadable(NOT_A_WORKBOOK, meter.filename, "dokumen Word atau PowerPoint")
    return part


def _one_part(related: dict[str, Relationship], kind: str, meter: Meter) -> str | None:
    """Return the one part of a kind, None if there is none."""
    found = [one.part for one in related.values() if one.kind == kind]
    if len(found) > 1:
        raise meter.damaged()
    return found[0] if found else None
