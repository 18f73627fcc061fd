"""Random workbooks, valid and damaged, and the check that our reader agrees with openpyxl.

Our reader may read more than openpyxl (`true` for 1); both agree about the rest. Processor time
and memory stay within one bound for every file of some kilobytes.
"""

import io
import string
import time as clock
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.kit.files.books import Book
from app.kit.files.reader import open_book
from app.kit.files.unreadable import UnreadableFile
from tests.files.parts import FORMATS, assert_same_cells, pack, row, unpack, workbook

MOST_SECONDS = 2.0
MOST_BYTES = 8 * 2**20


def read(data: bytes) -> Book | None:
    """Return a file's book with all its sheets, None if refused, in bounded time and memory."""
    tracemalloc.start()
    started = clock.process_time()
    try:
        book = open_book(data, "a.xlsx")
        sheets = {name: book.sheet(name) for name in book.names}
    except UnreadableFile:
        return None
    finally:
        spent, (_, peak) = clock.process_time() - started, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert spent < MOST_SECONDS
        assert peak < MOST_BYTES
    return Book(book.filename, book.names, book.visible, sheets.__getitem__)


def is_read_by_both(data: bytes) -> bool:
    """Return True if both readers read the file; fail if they read it differently."""
    book = read(data)
    if book is None:
        return False
    try:
        assert_same_cells(book, data)
    except AssertionError:
        raise
    except Exception:  # openpyxl raises many kinds of exceptions
        return False
    return True


text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12).filter(
    lambda text: "_x" not in text and not text.lstrip().startswith(("=", "{"))
)
moment = st.datetimes(datetime(1900, 3, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001
    lambda value: value.replace(microsecond=0)
)
plain = st.one_of(
    st.none(),
    text,
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    moment,
    st.dates(date(1900, 3, 1), date(2100, 1, 1)),
    st.times().map(lambda value: value.replace(microsecond=0)),
    st.timedeltas(timedelta(0), timedelta(100)).map(
        lambda value: timedelta(seconds=value // timedelta(seconds=1))
    ),
)
table = st.lists(st.lists(plain, max_size=5), min_size=1, max_size=6)


def write_by_openpyxl(rows: Sequence[Sequence[Any]]) -> bytes:
    book = openpyxl.Workbook()
    for r, cells in enumerate(rows):
        for c, value in enumerate(cells):
            book.active.cell(r + 1, c + 1).value = value
    book.active["F1"] = "=SUM(A1:B1)"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def write_by_xlsxwriter(rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_urls": False}) as book:
        sheet = book.add_worksheet("A")
        shown = {
            kind: book.add_format({"num_format": code})
            for kind, code in (
                (datetime, "yyyy-mm-dd hh:mm:ss"),
                (date, "d.m.yyyy"),
                (time, "hh:mm:ss"),
                (timedelta, "[h]:mm:ss"),
            )
        }
        for r, cells in enumerate(rows):
            for c, value in enumerate(cells):
                sheet.write(r, c, value, shown.get(type(value)))
        sheet.write_formula("F1", "=SUM(A1:B1)", None, 3)
        sheet.merge_range("G2:H3", "gabung")
    return out.getvalue()


def assert_same(data: bytes) -> None:
    """Fail unless both readers read the same from the file."""
    assert is_read_by_both(data)


def assert_same_or_refused(data: bytes) -> None:
    """Fail if both readers read the file and disagree about a cell."""
    is_read_by_both(data)


# Written by hand: read alike, or refused

right_value = {
    "n": st.one_of(
        st.integers(-9, 60_000).map(str),
        st.floats(0, 60_000).map(lambda number: repr(round(number, 5))),
        st.just("1.5E+3"),
    ),
    "s": st.sampled_from(["0", "1"]),
    "b": st.sampled_from(["0", "1"]),
    "str": st.text(string.ascii_letters + " -", max_size=6),
    "inlineStr": st.text(string.ascii_letters + " -", max_size=6),
    "e": st.sampled_from(["#REF!", "#N/A", "#DIV/0!"]),
    "d": st.sampled_from(["2025-06-01", "2025-06-01T10:20:30", "10:20:30"]),
}
odd_value = st.sampled_from(
    ["+0", " 0", "0 ", "0x0", "1e0", "00", "-1", "2", "99999999999", "1_0", "nan", "INF", "1e999", "٣", "true",
     "TRUE", "junk", "", ".", "1.", ".5", "2025-02-30", "24:00:00", "#", "&#10;1"]
)  # fmt: skip
odd_address = st.sampled_from(
    ["xfd1048576", "XFD1048576", "XFE1", "AAAA1", "A1048577", "A0", "a1", " A1", "A1 ", "A 1", "$A$1", "A01", "1A",
     "A", "1", "", "R1C1", "A1:B1", "Á1", "A１", "CV1", "CW1", "A20000", "A20001", "B2"]
)  # fmt: skip


@st.composite
def cell(draw: Any, r: int, c: int, odd: Any) -> str:
    """Return a cell of row `r` and column `c`; `odd` draws True for a wrong attribute."""
    kind = draw(st.sampled_from(sorted(right_value)))
    value = draw(odd_value) if draw(odd) else draw(right_value[kind])
    address = draw(odd_address) if draw(odd) else f"{chr(ord('A') + c)}{r + 1}"
    marks = [f'r="{address}"', f't="{kind}"', f's="{draw(st.integers(0, len(FORMATS)))}"']
    if kind == "n" and draw(st.booleans()):
        marks.pop(1)
    if draw(odd):
        i = draw(st.integers(0, len(marks) - 1))
        change = draw(st.sampled_from(["upper", "prefixed", "drop", "twice", "other"]))
        name, _, rest = marks[i].partition("=")
        marks[i] = {
            "upper": f"{name.upper()}={rest}",
            "prefixed": f"x:{name}={rest}",
            "drop": "",
            "twice": f"{marks[i]} {marks[i]}",
            "other": f'{name}="{draw(odd_value)}"',
        }[change]
    inner = f"<is><t>{value}</t></is>" if kind == "inlineStr" else f"<v>{value}</v>"
    inner = draw(st.sampled_from(["", "", "", "<f>A1+1</f>", "<f/>"])) + inner
    if draw(odd):
        inner = draw(
            st.sampled_from(
                [inner * 2, f"<x:v>7</x:v>{inner}", f"<x:c>{inner}</x:c>", "<v>1<v>2</v></v>", "<v><!-- -->1</v>",
                 "<v><![CDATA[1]]></v>", "<is><t>a</t></is>", "<is><t>a</t><rPh><t>b</t></rPh></is>", "<t>a</t>",
                 f"<extLst><ext>{inner}</ext></extLst>", "<is><x:t>a</x:t></is>", "<f>1</f><f>2</f>"]
            )
        )  # fmt: skip
    tag = draw(st.sampled_from(["x:c", "C", "row"])) if draw(odd) else "c"
    return f"<{tag} {' '.join(marks)}>{inner}</{tag}>"


@st.composite
def sheet_rows(draw: Any, odd: Any) -> str:
    rows = []
    for r in range(draw(st.integers(1, 4))):
        cells = [draw(cell(r, c, odd)) for c in range(draw(st.integers(0, 4)))]
        number = draw(odd_value | st.integers(-1, 6).map(str)) if draw(odd) else str(r + 1)
        opening = (
            draw(st.sampled_from(["<row>", "<x:row>", '<row R="1">'])) if draw(odd) else f'<row r="{number}">'
        )
        closing = "</x:row>" if opening == "<x:row>" else "</row>"
        rows.append(opening + "".join(cells) + closing)
    if draw(odd):
        rows = draw(st.permutations(rows))
    if draw(odd):
        rows.append(rows[0])
    return "".join(rows)


ranges = st.lists(
    st.sampled_from(
        ["A1:B2", "C1:C3", "B2:C2", "D4", "A1", "E1:F2", "B2:A1", "$A$1:B2", "a1:b2", "A1:B", "A0:B1", ""]
    ),
    max_size=3,
)
properties = st.sampled_from(["", '<workbookPr date1904="1"/>', '<workbookPr date1904="0"/>'])
calculation = st.sampled_from(["", '<calcPr calcId="1"/>', '<calcPr fullCalcOnLoad="1"/>'])


@st.composite
def handmade(draw: Any, odd: Any) -> bytes:
    merges = "".join(f'<mergeCell ref="{ref}"/>' for ref in draw(ranges)) if draw(odd) else ""
    made = workbook(
        draw(sheet_rows(odd)),
        after=f"<mergeCells>{merges}</mergeCells>" if merges else "",
        properties=draw(properties),
        calculation=draw(calculation),
    )
    parts = unpack(made)
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b"<worksheet ", b'<worksheet xmlns:x="urn:lain" ', 1)
    return pack(parts)


GOOD = unpack(
    workbook(
        row(
            '<c r="A1" t="s"><v>0</v></c>',
            '<c r="B1" s="2"><v>45000.5</v></c>',
            '<c r="C1" t="b"><v>1</v></c>',
        )
        + row('<c r="A2"><f>B1</f><v>2</v></c>', '<c r="D2" t="inlineStr"><is><t>x</t></is></c>', number=2),
    )
)
WHOLE = pack(GOOD)
snippet = st.sampled_from(
    [b"", b"\x00", b"<", b">", b'"', b"/", b"&lt;", b"0", b"9", b"A", b"r", b" ", b"x:", b"<c/>"]
)


@st.composite
def edited_parts(draw: Any) -> bytes:
    """Return a workbook with up to three changed bytes in one part."""
    name = draw(st.sampled_from(sorted(GOOD)))
    part = bytearray(GOOD[name])
    for _ in range(draw(st.integers(1, 3))):
        at = int(draw(st.floats(0, 1)) * len(part))
        part[at : at + draw(st.integers(0, 3))] = draw(snippet)
    return pack({**GOOD, name: bytes(part)})


@st.composite
def edited_archives(draw: Any) -> bytes:
    """Return an archive with up to three changed bytes, or truncated."""
    data = bytearray(WHOLE)
    for _ in range(draw(st.integers(1, 3))):
        at, put = int(draw(st.floats(0, 1)) * len(data)), draw(st.binary(max_size=4))
        data[at : at + len(put)] = put
    end = int(draw(st.floats(0, 1)) * len(data)) if draw(st.sampled_from([True] + [False] * 7)) else len(data)
    return b"PK" + bytes(data)[2:end]


CHECKS: dict[str, tuple[st.SearchStrategy[bytes], Callable[[bytes], None]]] = {
    "written by openpyxl": (table.map(write_by_openpyxl), assert_same),
    "written by xlsxwriter": (table.map(write_by_xlsxwriter), assert_same),
    "made as the format says": (handmade(st.just(False)), assert_same),
    "made nearly as the format says": (
        handmade(st.sampled_from([False] * 7 + [True])),
        assert_same_or_refused,
    ),
    "parts with other bytes": (edited_parts(), assert_same_or_refused),
    "archives with other bytes": (edited_archives(), assert_same_or_refused),
}


def check_by_chance(name: str, examples: int) -> None:
    """Run one of `CHECKS` over so many random workbooks."""
    strategy, check = CHECKS[name]
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    settings(max_examples=examples, deadline=None, suppress_health_check=slow)(given(strategy)(check))()
