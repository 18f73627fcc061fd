"""Costs of workbooks: the reader refuses small files that would grow, in little memory and processor time."""

import gc
import io
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

from app.kit.files import bounds
from app.kit.files.reader import open_book
from app.kit.files.unreadable import UnreadableFile
from tests.files.parts import PACKAGE, RELATIONS, TRANSITIONAL, pack, row, unpack, workbook
from tests.matrix.test_files import find_cause

MOST_SECONDS = 5.0
MOST_BYTES = 24 * 2**20
"""On top of the test's own memory. Only a file that grows reaches 24 MB."""
MEGA = 10**6
ONE = '<c r="A1"><v>1</v></c>'


def measure_cost(data: bytes) -> tuple[str, float, int]:
    """Return the cause of the refusal ("" for none), the processor time and the peak of memory."""
    gc.disable()  # garbage of other tests is no cost of this file
    tracemalloc.start()
    started, before = time.thread_time(), tracemalloc.get_traced_memory()[0]
    cause = ""
    try:
        book = open_book(data, "a.xlsx")
        for name in book.names:
            book.sheet(name)
    except UnreadableFile as failure:
        cause = failure.errors[0].kind.code
    finally:
        spent, peak = time.thread_time() - started, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        gc.enable()
    return cause, spent, peak - before


def sst(items: str) -> dict[str, bytes | str]:
    return {"xl/sharedStrings.xml": f'<sst xmlns="{TRANSITIONAL}">{items}</sst>'}


def styles(content: str) -> dict[str, bytes | str]:
    return {"xl/styles.xml": f'<styleSheet xmlns="{TRANSITIONAL}">{content}</styleSheet>'}


def make_noise(size: int) -> str:
    """Return digits that pack badly, so that the ratio does not refuse them."""
    return "".join(str(n) for n in range(size // 6))


def make_many_entries() -> bytes:
    """Return an archive whose directory has 300,000 entries. Python would read all."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"")
    data = out.getvalue()
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = data[at:end] * 300_000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(entries), at, 0)
    return data[:at] + entries + tail


HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "deep nesting": ("damaged_workbook", lambda: workbook(after="<a>" * MEGA)),
    "many attributes": (
        "archive_bomb",
        lambda: workbook(after="<a " + " ".join(f'b{n}="{n}"' for n in range(200_000)) + "/>"),
    ),
    "a long attribute": ("archive_bomb", lambda: workbook(after=f'<a b="{make_noise(MEGA)}"/>')),
    "a long comment": ("archive_bomb", lambda: workbook(after=f"<!--{make_noise(MEGA)}-->")),
    "a long instruction": ("archive_bomb", lambda: workbook(after=f"<?a {make_noise(MEGA)}?>")),
    "a long name": ("archive_bomb", lambda: workbook(after=f"<a{make_noise(MEGA)}/>")),
    "a long namespace": (
        "damaged_workbook",
        lambda: workbook(after=f'<x xmlns:a="{make_noise(100_000)}">' + "<a:b/>" * 100_000 + "</x>"),
    ),
    "many names of elements": (
        "archive_bomb",
        lambda: workbook(after="<x>" + "".join(f"<b{n}/>" for n in range(20_000)) + "</x>"),
    ),
    "many names of attributes": (
        "archive_bomb",
        lambda: workbook(after="<x>" + "".join(f'<b c{n}=""/>' for n in range(20_000)) + "</x>"),
    ),
    "many prefixes": (
        "archive_bomb",
        lambda: workbook(after="<x>" + "".join(f'<b xmlns:c{n}="d"/>' for n in range(20_000)) + "</x>"),
    ),
    "a long address": ("damaged_workbook", lambda: workbook(row(f'<c r="{make_noise(200_000)}"/>'))),
    "a long number": ("damaged_workbook", lambda: workbook(row(f"<c><v>{make_noise(MEGA)}</v></c>"))),
    "a long text": ("damaged_workbook", lambda: workbook(row(f'<c t="str"><v>{make_noise(MEGA)}</v></c>'))),
    "a long formula": ("damaged_workbook", lambda: workbook(row(f"<c><f>{make_noise(MEGA)}</f></c>"))),
    "many runs": (
        "damaged_workbook",
        lambda: workbook(changes=sst("<si>" + "<r><t>abcdefgh</t></r>" * 40_000 + "</si>")),
    ),
    "many escapes": (
        "damaged_workbook",
        lambda: workbook(row('<c t="str"><v>' + "_x0041_" * 40_000 + "</v></c>")),
    ),
    "many styles": (
        "damaged_workbook",
        lambda: workbook(changes=styles("<cellXfs>" + '<xf numFmtId="14"/>' * 70_000 + "</cellXfs>")),
    ),
    "many relationships": (
        "archive_bomb",
        lambda: workbook(
            changes={
                "_rels/.rels": f'<Relationships xmlns="{PACKAGE}">'
                + "".join(f'<Relationship Id="r{n}" Type="t" Target="x{n}"/>' for n in range(50_000))
                + "</Relationships>"
            }
        ),
    ),
    "many sheets": (
        "damaged_workbook",
        lambda: workbook(sheets="".join(f'<sheet name="{n}" r:id="rId1"/>' for n in range(50_000))),
    ),
    "many entries": ("archive_bomb", make_many_entries),
    "a merged range over all": (
        "too_many_cells",
        lambda: workbook(
            row('<c r="CV20000"><v>1</v></c>', number=20_000),
            after='<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>',
        ),
    ),
    "a long text merged over many cells": (
        "archive_bomb",
        lambda: workbook(
            row(f'<c r="A1" t="str"><v>{make_noise(30_000)}</v></c>')
            + row('<c r="CV900"><v>1</v></c>', number=900),
            after='<mergeCells><mergeCell ref="A1:CV900"/></mergeCells>',
        ),
    ),
    "a long text in many cells": (
        "archive_bomb",
        lambda: workbook(
            "".join(row(*['<c t="s"><v>0</v></c>'] * 100, number=n + 1) for n in range(60)),
            texts=f"<si><t>{make_noise(32_000)}</t></si>",
        ),
    ),
    "one cell in the last corner": ("", lambda: workbook(row('<c r="CV20000"><v>1</v></c>', number=20_000))),
    "brackets in a format": ("", lambda: workbook(row(ONE), formats=["[" * 100_000, "\\" * 99_999])),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_would_grow_are_refused(name: str) -> None:
    expected, make = HOSTILE[name]
    cause, spent, peak = measure_cost(make())
    assert cause == expected
    assert spent < MOST_SECONDS, f"{spent:.1f} s"
    assert peak < MOST_BYTES, f"{peak // 2**20} MiB"


@pytest.mark.parametrize(
    "after",
    ["<a/>" * 2000, "<a><b/></a>" * 1000, '<a b="1" c="2"/>' * 700, '<a xmlns:b="urn:b"/>' * 1000],
)
def test_elements_attributes_and_namespaces_are_counted(after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = workbook(row(ONE), after=after)
    assert measure_cost(data)[0] == ""
    monkeypatch.setattr(bounds, "MOST_NODES", 2000)
    assert find_cause(data) == "archive_bomb"


def test_bounds_hold_over_all_sheets_of_a_workbook(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = row(*['<c t="s"><v>0</v></c>'] * 10)
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{RELATIONS[TRANSITIONAL]}/{kind}" Target="{target}"/>'
        for n, kind, target in (
            (1, "worksheet", "worksheets/sheet1.xml"),
            (2, "worksheet", "worksheets/sheet2.xml"),
            (3, "sharedStrings", "sharedStrings.xml"),
        )
    )
    parts = unpack(workbook(cells, sheets='<sheet name="A" r:id="rId1"/><sheet name="B" r:id="rId2"/>'))
    parts["xl/worksheets/sheet2.xml"] = parts["xl/worksheets/sheet1.xml"]
    parts["xl/_rels/workbook.xml.rels"] = (
        f'<Relationships xmlns="{PACKAGE}">{related}</Relationships>'.encode()
    )
    data = pack(parts)
    for name in ("MOST_TEXT", "MOST_NODES", "LARGEST_UNPACKED"):
        with monkeypatch.context() as patched:

            def is_read(bound: int, name: str = name) -> bool:
                patched.setattr(bounds, name, bound)
                return measure_cost(data)[0] == ""

            enough = next(bound for bound in range(40, 10_000, 40) if is_read(bound))
            patched.setattr(bounds, name, enough - 40)
            book = open_book(data, "a.xlsx")
            assert len(book.sheet("A").rows[0]) == 10
            with pytest.raises(UnreadableFile) as caught:
                book.sheet("B")
            assert caught.value.errors[0].kind.code == "archive_bomb", name


def test_cells_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_CELLS", 20)
    for cells, is_read in ((10, True), (11, False)):
        data = workbook("".join(row(*["<c><v>1</v></c>"] * cells, number=n + 1) for n in range(2)))
        book = open_book(data, "a.xlsx", most_rows=2)
        if is_read:
            assert book.sheet("A").width == cells
            continue
        with pytest.raises(UnreadableFile) as caught:
            book.sheet("A")
        assert caught.value.errors[0].kind.code == "too_many_cells"


def test_the_cost_is_linear_in_the_cells() -> None:
    """Twice the rows take at most two and a half times the memory and three times the processor time."""

    def table(rows: int) -> bytes:
        return workbook(
            "".join(
                row(*['<c t="s"><v>1</v></c>', f"<c><v>{n}.5</v></c>"] * 5, number=n + 1) for n in range(rows)
            )
        )

    small, large = table(200), table(400)
    measure_cost(small)
    assert measure_cost(large)[2] < 2.5 * measure_cost(small)[2]
    assert min(measure_cost(large)[1] for _ in range(3)) < 3 * min(measure_cost(small)[1] for _ in range(3))


def test_overlapping_or_oversized_entries_are_refused() -> None:
    data = bytearray(workbook(row(ONE)))
    at = data.index(b"PK\x01\x02")
    data[at + 20 : at + 24] = struct.pack("<I", len(data))
    assert find_cause(bytes(data)) == "damaged_workbook"
