"""Workbooks assembled part by part, and the comparison of openpyxl with our reader."""

import io
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl

from app.kit.files.books import Book, ErrorValue, Formula, Sheet, Value

TRANSITIONAL = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
RELATIONS = {
    TRANSITIONAL: "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    STRICT: "http://purl.oclc.org/ooxml/officeDocument/relationships",
}
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
OFFICE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
FORMATS = ("General", "yyyy-mm-dd hh:mm", "[h]:mm", '"day"0')
TEXTS = "<si><t>satu</t></si><si><r><rPr><b/></rPr><t>du</t></r><r><t>a</t></r></si>"


def workbook(
    rows: str = "",
    *,
    after: str = "",
    texts: str | None = TEXTS,
    formats: Sequence[str] = FORMATS,
    namespace: str = TRANSITIONAL,
    head: str = "",
    properties: str = "",
    calculation: str = "",
    sheets: str = '<sheet name="A" sheetId="1" r:id="rId1"/>',
    target: str = "worksheets/sheet1.xml",
    changes: Mapping[str, bytes | str] | None = None,
) -> bytes:
    """Return a workbook of one sheet `A` with these pieces of XML; style n+1 uses `formats[n]`."""
    relations = RELATIONS[namespace]
    styles = "".join(
        f'<numFmt numFmtId="{164 + i}" formatCode="{code.replace(chr(34), "&quot;")}"/>'
        for i, code in enumerate(formats)
    )
    cells = "".join(f'<xf numFmtId="{164 + i}"/>' for i in range(len(formats)))
    related = [("rId1", "worksheet", target), ("rId2", "styles", "styles.xml")]
    related += [("rId3", "sharedStrings", "sharedStrings.xml")] if texts is not None else []
    kinds = {"workbook": "sheet.main", "worksheets/sheet1": "worksheet", "styles": "styles"}
    kinds |= {"sharedStrings": "sharedStrings"} if texts is not None else {}
    parts: dict[str, bytes | str] = {
        "[Content_Types].xml": f'<Types xmlns="{TYPES}"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        + "".join(
            f'<Override PartName="/xl/{name}.xml" ContentType="{OFFICE}.{kind}+xml"/>'
            for name, kind in kinds.items()
        )
        + "</Types>",
        "_rels/.rels": _write_relationships([("rId1", "officeDocument", "xl/workbook.xml")], relations),
        "xl/workbook.xml": f'<workbook xmlns="{namespace}" xmlns:r="{relations}">{properties}'
        f"<sheets>{sheets}</sheets>{calculation}</workbook>",
        "xl/_rels/workbook.xml.rels": _write_relationships(related, relations),
        "xl/styles.xml": f'<styleSheet xmlns="{namespace}"><numFmts>{styles}</numFmts>'
        f"<fonts><font/></fonts><fills><fill><patternFill/></fill></fills><borders><border/></borders><cellStyleXfs><xf/></cellStyleXfs>"
        f'<cellXfs><xf numFmtId="0"/>{cells}</cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f'{head}<worksheet xmlns="{namespace}"><sheetData>{rows}</sheetData>{after}'
        "</worksheet>",
    }
    if texts is not None:
        parts["xl/sharedStrings.xml"] = f'<sst xmlns="{namespace}">{texts}</sst>'
    return pack({**parts, **(changes or {})})


def _write_relationships(entries: Sequence[tuple[str, str, str]], base: str) -> str:
    return (
        f'<Relationships xmlns="{PACKAGE}">'
        + "".join(f'<Relationship Id="{i}" Type="{base}/{kind}" Target="{to}"/>' for i, kind, to in entries)
        + "</Relationships>"
    )


def pack(parts: Mapping[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return out.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def row(*cells: str, number: int = 1) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


FARTHEST = 12
"""Limits of the comparison cell by cell; the reader refuses most generated cells beyond."""


def read_by_openpyxl(data: bytes, *, results: bool) -> openpyxl.Workbook:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openpyxl.load_workbook(io.BytesIO(data), data_only=results)


def assert_same_cells(book: Book, data: bytes) -> None:
    """Fail unless each sheet in openpyxl has the cells, formulas, results and ranges of `book`."""
    typed, calculated = (read_by_openpyxl(data, results=results) for results in (False, True))
    assert [sheet.title for sheet in typed.worksheets] == list(book.names)
    for name in book.names:
        sheet = book.sheet(name)
        _assert_same_ranges(sheet, typed[name])
        for r in range(FARTHEST):
            for c in range(FARTHEST):
                if (r, c) not in sheet.merged:
                    ours = sheet.rows[r][c] if r < len(sheet.rows) and c < len(sheet.rows[r]) else None
                    cell, other = typed[name].cell(r + 1, c + 1), calculated[name].cell(r + 1, c + 1)
                    assert_same_value(ours, cell, other)


def _assert_same_ranges(sheet: Sheet, other: Any) -> None:
    height, width = len(sheet.rows), sheet.width
    expected = {
        (r, c): (area.min_row - 1, area.min_col - 1)
        for area in other.merged_cells.ranges
        for r in range(area.min_row - 1, min(area.max_row, height))
        for c in range(area.min_col - 1, min(area.max_col, width))
        if (r, c) != (area.min_row - 1, area.min_col - 1)
    }
    assert dict(sheet.merged) == expected
    for (r, c), (top, left) in sheet.merged.items():
        first = sheet.rows[top][left] if left < len(sheet.rows[top]) else None
        assert sheet.rows[r][c] == first


def assert_same_value(ours: Value, typed: Any, calculated: Any) -> None:
    if isinstance(ours, Formula):
        assert typed.data_type == "f", (ours, typed.value)
        text = typed.value if isinstance(typed.value, str) else (typed.value.text or "=")
        # Only the first cell of a shared formula has its text; openpyxl derives the others.
        assert ours.text in ("=", text)
        result = None if calculated.data_type == "e" else calculated.value
        assert ours.result is None or _is_same(ours.result, result), (ours, result)
        return
    assert typed.data_type != "f", (ours, typed.value)
    if isinstance(ours, ErrorValue):
        assert (typed.data_type, typed.value) == ("e", ours.text)
    elif typed.data_type == "e":
        # A number outside the calendar: openpyxl shows an error, we show the number.
        assert (typed.value, type(ours)) in (("#VALUE!", int), ("#VALUE!", float)), (ours, typed.value)
    else:
        assert _is_same(ours, typed.value), (ours, typed.value)


def _is_same(ours: Any, other: Any) -> bool:
    # Excel has no date before 1900: openpyxl counts back, we show the number.
    is_before_1900 = isinstance(ours, int | float) and ours < 0 and isinstance(other, date)
    return is_before_1900 or normalise(ours) == normalise(other)


def normalise(value: Any) -> Any:
    """Return a form of a value that two readers share: type, and dates to a few milliseconds."""
    if isinstance(value, str):
        return ("text", value) if value.strip() else None
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return ("number", float(value))
    if isinstance(value, time):
        return (
            "time",
            round((value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6), 2),
        )
    if isinstance(value, timedelta):
        return ("elapsed", round(value.total_seconds(), 2))
    assert isinstance(value, date)
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    return ("moment", round((moment - datetime(1900, 1, 1)).total_seconds(), 2))  # noqa: DTZ001
