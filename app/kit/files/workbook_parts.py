"""The parts of a workbook that its sheets refer to: relationships, list of sheets, texts and number formats.

Source: ECMA-376 part 1, 18.2 (workbook), 18.4 (shared strings), 18.8 (styles); part 2, 9.3 (relationships).
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.kit.files.archive import Archive
from app.kit.files.bounds import LONGEST_TEXT, MOST_PARTS, MOST_STYLES, MOST_TEXT, Meter, weigh_text
from app.kit.files.number_formats import Shows, classify_builtin, classify_format
from app.kit.files.xml_walk import PACKAGE, RELATIONSHIPS, SKIPPED, Attributes, Element, split_names, walk

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_ESCAPED = re.compile(r"(?:_x[0-9A-Fa-f]{4}_)+")
_BOOLEANS = {"0": False, "false": False, "1": True, "true": True}


def read_index(text: str | None, meter: Meter) -> int:
    """Return an index in plain digits as a number. Raises `UnreadableFile` for any other text."""
    if text is None or not _INDEX.fullmatch(text):
        raise meter.refuse_damaged()
    return int(text)


def read_boolean(text: str, meter: Meter) -> bool:
    """Return an xsd:boolean. Raises `UnreadableFile` for any other text."""
    if text not in _BOOLEANS:
        raise meter.refuse_damaged()
    return _BOOLEANS[text]


def unescape_text(text: str) -> str:
    """Return a text with Excel's escapes (`_x000D_`) decoded; half of a surrogate pair stays escaped."""

    def replace(match: re.Match[str]) -> str:
        try:
            return bytes.fromhex(match[0].replace("_x", "").replace("_", "")).decode("utf-16-be")
        except UnicodeDecodeError:
            return match[0]

    return _ESCAPED.sub(replace, text) if "_x" in text else text


class RichText:
    """The text of a cell, joined from its runs without the guides to pronunciation."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._runs: list[str] = []
        self._length = 0
        run = Element(closes=self._append, has_text=True)
        pronunciation = Element(children={"t": SKIPPED})
        self.children: Mapping[str, Element] = {
            "t": run,
            "r": Element(children={"rPr": SKIPPED, "t": run}),
            "rPh": pronunciation,
            "phoneticPr": SKIPPED,
        }

    def _append(self, run: str) -> None:
        if run:
            self._runs.append(run)
        self._length += len(run)
        if self._length > 7 * LONGEST_TEXT:
            raise self._meter.refuse_damaged()

    def take(self) -> str:
        """Return the text so far and start the next. Raises `UnreadableFile` if it is too long for a cell."""
        text = unescape_text("".join(self._runs))
        self._runs, self._length = [], 0
        if len(text) > LONGEST_TEXT:
            raise self._meter.refuse_damaged()
        return text


@dataclass(frozen=True)
class Relationship:
    """The target of a reference: its kind, such as `worksheet`, and its part, None outside the file."""

    kind: str
    part: str | None


def read_relationships(archive: Archive, part: str, meter: Meter) -> dict[str, Relationship]:
    """Return the relationships of a part by id; for the empty name those of the whole file."""
    folder, name = posixpath.split(part)
    relationships: dict[str, Relationship] = {}

    def add(attributes: Attributes) -> None:
        try:
            key, kind, target = attributes["Id"], attributes["Type"], attributes["Target"]
        except KeyError:
            raise meter.refuse_damaged() from None
        base, _, kind = kind.rpartition("/")
        mode = attributes.get("TargetMode", "Internal")
        if key in relationships or mode not in ("Internal", "External"):
            raise meter.refuse_damaged()
        if len(relationships) >= MOST_PARTS:
            raise meter.refuse_too_large(f"> {MOST_PARTS} entri")
        path = posixpath.normpath(posixpath.join("/" + folder, target)).lstrip("/")
        relationships[key] = Relationship(
            kind if base in RELATIONSHIPS else "", path if mode == "Internal" else None
        )

    known = split_names("Id Type Target TargetMode")
    relationship = Element(opens=add, attributes=known, skips_others=True)
    chunks = archive.unpack(posixpath.join(folder, "_rels", f"{name}.rels"))
    walk(chunks, "Relationships", Element(children={"Relationship": relationship}), meter, PACKAGE)
    return relationships


@dataclass(frozen=True)
class ListedSheet:
    """An entry in the workbook's list of sheets."""

    name: str
    relationship: str
    is_visible: bool


class WorkbookIndex:
    """The sheets of a workbook in order, its system of dates, and whether it asks its reader to recalculate."""

    def __init__(self, archive: Archive, part: str, meter: Meter) -> None:
        self.sheets: list[ListedSheet] = []
        self.is_1904 = self.asks_to_calculate = False
        self._meter = meter
        sheet = Element(opens=self._add_sheet, attributes=_SHEET, skips_others=True)
        children = {
            "workbookPr": Element(opens=self._set_dates, attributes=_WORKBOOK, skips_others=True),
            "sheets": Element(children={"sheet": sheet}),
            "calcPr": Element(opens=self._set_calculation, attributes=_CALCULATION, skips_others=True),
        }
        root = Element(children=children, skips_others=True)
        walk(archive.unpack(part), "workbook", root, meter, nowhere_else=frozenset(children) | {"sheet"})

    def _add_sheet(self, attributes: Attributes) -> None:
        keys = [f"{namespace} id" for namespace in RELATIONSHIPS]
        relationship = next((attributes[key] for key in keys if key in attributes), None)
        name = unescape_text(attributes.get("name", ""))
        state = attributes.get("state", "visible")
        if (
            relationship is None
            or not name
            or state not in ("visible", "hidden", "veryHidden")
            or len(name) > LONGEST_TEXT
            or len(self.sheets) >= MOST_PARTS
        ):
            raise self._meter.refuse_damaged()
        self.sheets.append(ListedSheet(name, relationship, state == "visible"))

    def _set_dates(self, attributes: Attributes) -> None:
        self.is_1904 = read_boolean(attributes.get("date1904", "0"), self._meter)

    def _set_calculation(self, attributes: Attributes) -> None:
        self.asks_to_calculate = read_boolean(attributes.get("fullCalcOnLoad", "0"), self._meter)


_SHEET = split_names("name sheetId state")
_WORKBOOK = split_names(
    "date1904 dateCompatibility showObjects showBorderUnselectedObjects filterPrivacy promptedSolutions "
    "showInkAnnotation backupFile saveExternalLinkValues updateLinks codeName hidePivotFieldList "
    "showPivotChartFilter allowRefreshQuery publishItems checkCompatibility autoCompressPictures "
    "refreshAllConnections defaultThemeVersion"
)
_CALCULATION = split_names(
    "calcId calcMode fullCalcOnLoad refMode iterate iterateCount iterateDelta fullPrecision calcCompleted "
    "calcOnSave concurrentCalc concurrentManualCount forceFullCalc"
)


# Bytes that Python adds to the characters of a text.
_TEXT_OVERHEAD = 64


def read_texts(archive: Archive, part: str, meter: Meter) -> list[str]:
    """Return the shared texts in order."""
    texts: list[str] = []
    rich = RichText(meter)
    memory = 0

    def close(_: str) -> None:
        nonlocal memory
        text = rich.take()
        memory += _TEXT_OVERHEAD + weigh_text(text)
        if memory > MOST_TEXT:
            raise meter.refuse_too_large(f"{memory // 1024**2} MB teks")
        texts.append(text)

    item = Element(closes=close, children=rich.children)
    root = Element(children={"si": item}, skips_others=True)
    walk(archive.unpack(part), "sst", root, meter, nowhere_else=frozenset(("si",)))
    return texts


class _Styles:
    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._formats: dict[int, Shows] = {}
        self.cells: list[int] = []
        self._last_font = -1
        self._struck_fonts: set[int] = set()
        self._font_of: list[int] = []
        strike = Element(opens=self._strike, skips_others=True)
        font = Element(opens=self._open_font, children={"strike": strike}, skips_others=True)
        self.root = Element(
            children={
                "fonts": Element(children={"font": font}, skips_others=True),
                "numFmts": Element(children={"numFmt": Element(opens=self._add_format, attributes=_FORMAT)}),
                "cellXfs": Element(
                    children={"xf": Element(opens=self._add_cell, attributes=_CELL, skips_others=True)}
                ),
            },
            skips_others=True,
        )

    def _open_font(self, _: Attributes) -> None:
        self._last_font += 1

    def _strike(self, attributes: Attributes) -> None:
        if read_boolean(attributes.get("val", "1"), self._meter):
            if len(self._struck_fonts) >= MOST_STYLES:
                raise self._meter.refuse_damaged()
            self._struck_fonts.add(self._last_font)

    def _add_format(self, attributes: Attributes) -> None:
        number, code = read_index(attributes.get("numFmtId"), self._meter), attributes.get("formatCode")
        if code is None or number in self._formats or len(self._formats) >= MOST_STYLES:
            raise self._meter.refuse_damaged()
        self._formats[number] = classify_format(unescape_text(code))

    def _add_cell(self, attributes: Attributes) -> None:
        if len(self.cells) >= MOST_STYLES:
            raise self._meter.refuse_damaged()
        self._font_of.append(read_index(attributes.get("fontId", "0"), self._meter))
        self.cells.append(read_index(attributes.get("numFmtId", "0"), self._meter))

    def list_struck(self) -> set[int]:
        return {style for style, font in enumerate(self._font_of) if font in self._struck_fonts}

    def list_kinds(self) -> list[Shows]:
        return [self._formats.get(number) or classify_builtin(number) for number in self.cells]


_FORMAT = split_names("numFmtId formatCode")
_CELL = split_names(
    "numFmtId fontId fillId borderId xfId quotePrefix pivotButton applyNumberFormat applyFont applyFill "
    "applyBorder applyAlignment applyProtection"
)


def read_styles(archive: Archive, part: str, meter: Meter) -> tuple[list[Shows], set[int]]:
    """Return the kind of value that each cell style shows, in order, and the styles with a struck-out font."""
    styles = _Styles(meter)
    outside = frozenset(("numFmts", "cellXfs"))
    walk(archive.unpack(part), "styleSheet", styles.root, meter, nowhere_else=outside)
    return styles.list_kinds(), styles.list_struck()
