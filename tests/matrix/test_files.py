"""Files that are empty, locked, deceptive, truncated or hostile: one clear problem each."""

import io
import struct
import zipfile
from datetime import datetime

import openpyxl
import pytest

from app.kit.files import bounds, reader
from app.kit.files.books import ErrorValue, Formula
from app.kit.files.delimited import escape_formula, unescape_formula
from app.kit.files.reader import open_book
from app.kit.files.unreadable import UnreadableFile
from app.kit.problems import TooLarge
from tests.matrix.build import raw_xlsx, xlsx

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)
SMALL = xlsx([["a", "b"], [1, 2]])
WITH_TEXTS = raw_xlsx(lambda _, sheet: sheet.write_row(0, 0, ["a", 1]))


def find_cause(data: bytes, filename: str = "matriks.xlsx", sheet: str | None = None) -> str:
    """Return the one cause of a file's refusal, by name or by sheet."""

    def read() -> None:
        book = open_book(data, filename)
        for name in [sheet] if sheet else book.names:
            book.sheet(name)

    with pytest.raises(UnreadableFile) as caught:
        read()
    (error,) = caught.value.errors
    assert caught.value.status == 422
    assert error.pointer == "/file"
    for language in ("id", "en"):
        assert len(error.render(language).message) > 20
    return error.kind.code


def repack(change: dict[str, bytes], drop: tuple[str, ...] = (), of: bytes = SMALL) -> bytes:
    """Build a workbook with some of its parts replaced, added or left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(of)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        parts = {name: source.read(name) for name in source.namelist() if name not in drop} | change
        for name, part in parts.items():
            target.writestr(name, part)
    return out.getvalue()


def sheet_xml(rows: str, rest: str = "", head: str = "") -> bytes:
    ns = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    body = f'<worksheet xmlns="{ns}"><sheetData>{rows}</sheetData>{rest}</worksheet>'
    return f'<?xml version="1.0"?>{head}{body}'.encode()


def pack_sheet(rows: str, rest: str = "", head: str = "") -> bytes:
    return repack({"xl/worksheets/sheet1.xml": sheet_xml(rows, rest, head)})


@pytest.mark.parametrize(
    ("data", "filename", "kind"),
    [
        (b"", "matriks.xlsx", "empty_file"),
        (b"\xef\xbb\xbf \r\n", "matriks.csv", "empty_file"),
        (b",,,\r\n,,\r\n", "matriks.csv", "empty_file"),
        (PNG, "matriks.xlsx", "not_a_workbook"),
        (PNG, "matriks.csv", "not_a_table"),
        (b"<html><table></table></html>", "matriks.xls", "not_a_workbook"),
        (OLE, "matriks.xls", "old_workbook"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "matriks.xlsx", "password_protected"),
        (SMALL[: len(SMALL) // 2], "matriks.xlsx", "damaged_workbook"),
        (SMALL[:-30], "matriks.xlsx", "damaged_workbook"),
        (b'a,b\r\n"c,d\r\n', "matriks.csv", "damaged_csv"),
        (b"a," + b"x" * 200_000 + b"\r\n", "matriks.csv", "damaged_csv"),
        (b"a," * 200 + b"\r\n", "matriks.csv", "too_many_cells"),
        (b"a,b\r\n" * 20_001, "matriks.csv", "too_many_cells"),
        (b"\xff\xfea", "matriks.csv", "not_a_table"),
    ],
)
def test_each_bad_file_has_its_own_cause(data, filename, kind):
    assert find_cause(data, filename) == kind


def test_a_picture_is_named_by_its_format():
    with pytest.raises(UnreadableFile) as caught:
        open_book(PNG, "matriks.xlsx")
    assert "PNG" in caught.value.errors[0].render("id").message


def test_more_than_twenty_megabytes(monkeypatch):
    monkeypatch.setattr(reader, "LARGEST_FILE", len(SMALL) - 1)
    with pytest.raises(TooLarge):
        open_book(SMALL, "matriks.xlsx")


def test_other_archives():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert find_cause(out.getvalue()) == "not_a_workbook"
    assert find_cause(repack({"content.xml": b"<a/>"}, drop=("[Content_Types].xml",))) == "old_workbook"
    assert find_cause(repack({"xl/workbook.bin": b""})) == "old_workbook"
    assert find_cause(repack({}, drop=("xl/workbook.xml",))) == "not_a_workbook"
    assert find_cause(repack({}, drop=("xl/_rels/workbook.xml.rels",))) == "damaged_workbook"


def test_an_encrypted_archive():
    data = bytearray(SMALL)
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.find(signature)
        data[at + offset] |= 1
    assert find_cause(bytes(data)) == "password_protected"


def test_damage_within_a_part():
    assert find_cause(pack_sheet('<row r="1"><c r="A1"><v>1</v>')) == "damaged_workbook"
    data = bytearray(SMALL)
    with zipfile.ZipFile(io.BytesIO(SMALL)) as archive:
        info = archive.getinfo("xl/worksheets/sheet1.xml")
    name, extra = struct.unpack("<HH", SMALL[info.header_offset + 26 : info.header_offset + 30])
    start = info.header_offset + 30 + name + extra
    data[start + 20 : start + 40] = bytes(20)
    assert find_cause(bytes(data)) == "damaged_workbook"


def test_a_bomb_that_declares_its_size():
    assert find_cause(repack({"xl/media/big.xml": bytes(129 * 1024 * 1024)})) == "archive_bomb"


def test_a_bomb_that_lies_about_its_size():
    bomb = repack({"xl/worksheets/sheet1.xml": sheet_xml(" " * (40 * 1024 * 1024))})
    data = bytearray(bomb)
    at = 0
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        if data[at + 46 :].startswith(b"xl/worksheets/sheet1.xml"):
            data[at + 24 : at + 28] = struct.pack("<I", 100)
        at += 4
    # Python's reader stops at the declared size and then reports a wrong checksum.
    assert find_cause(bytes(data)) in {"archive_bomb", "damaged_workbook"}


def test_an_extreme_ratio_is_refused():
    assert find_cause(pack_sheet(" " * (8 * 1024 * 1024))) == "archive_bomb"


def test_too_many_parts():
    assert find_cause(repack({f"xl/x{n}.bin": b"" for n in range(2_001)})) == "archive_bomb"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "part", ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml", "xl/workbook.xml"]
)
def test_no_entity_is_ever_expanded(part, encoding):
    attack = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]><x>&b;&c;</x>'
    assert find_cause(repack({part: attack.encode(encoding)}, of=WITH_TEXTS)) == "xml_entities"


def test_a_document_type_in_another_encoding_is_refused_too():
    attack = (
        sheet_xml("", head='<!DOCTYPE x [<!ENTITY a "a">]>')
        .decode()
        .replace('"1.0"', '"1.0" encoding="utf-16"')
    )
    assert find_cause(repack({"xl/worksheets/sheet1.xml": attack.encode("utf-16")})) == "xml_entities"


def test_one_cell_in_the_last_corner_allocates_nothing():
    assert find_cause(pack_sheet('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')) == "too_many_cells"
    assert find_cause(pack_sheet('<row r="1"><c r="CX1"><v>1</v></c></row>')) == "too_many_cells"


def test_a_long_text_shared_by_many_cells_is_refused(monkeypatch):
    monkeypatch.setattr(bounds, "MOST_TEXT", 50_000)
    assert find_cause(raw_xlsx(lambda _, sheet: sheet.write_row(0, 0, ["x" * 10_000] * 6))) == "archive_bomb"
    allowed = raw_xlsx(lambda _, sheet: sheet.write_row(0, 0, ["x" * 10_000] * 4))
    assert open_book(allowed, "a.xlsx").sheet("A").width == 4


def test_merged_ranges(monkeypatch):
    corner = '<row r="3"><c r="C3"><v>1</v></c></row>'
    merges = '<mergeCells><mergeCell ref="A1:C2"/><mergeCell ref="A3:B3"/></mergeCells>'
    assert open_book(pack_sheet(corner, merges), "a.xlsx").sheet("Sheet").rows[2][2] == 1
    for bound in (7, 1):  # cells, then ranges
        monkeypatch.setattr(bounds, "MOST_MERGED", bound)
        assert find_cause(pack_sheet(corner, merges)) == "too_many_cells"
    # A range beyond the used area costs nothing.
    sheet = open_book(
        pack_sheet(
            '<row r="1"><c r="A1"><v>1</v></c></row>',
            '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>',
        ),
        "a.xlsx",
    ).sheet("Sheet")
    assert sheet.rows == [[1]]


def test_macros_links_and_pictures_are_ignored():
    rel = (
        b'<Relationships><Relationship Id="r" Type="http://x/externalLinkPath" '
        b'Target="file:///etc/passwd" TargetMode="External"/></Relationships>'
    )
    data = repack(
        {
            "xl/vbaProject.bin": OLE,
            "xl/media/image1.png": PNG,
            "xl/externalLinks/_rels/externalLink1.xml.rels": rel,
        }
    )
    assert open_book(data, "matriks.xlsm").sheet("Sheet").rows == [["a", "b"], [1, 2]]


def test_cells_are_typed_and_formulas_never_show_their_cached_value():
    def write(book, sheet):
        sheet.write_row("A1", ["text", 1250000, 1.5, True])
        sheet.write_formula("A2", "=1+1", None, 2)
        sheet.write_formula("B2", '="x"', None, "x")
        sheet.write_array_formula("C2:C3", "{=A1:A2}", None, 5)
        sheet.write_formula("D2", "=1/0", None, "#DIV/0!")
        sheet.write_datetime("B3", datetime(2025, 6, 1), book.add_format({"num_format": "d.mm"}))  # noqa: DTZ001
        sheet.write_string("A3", "  ")

    data = raw_xlsx(write)
    # xlsxwriter writes no error cell without a formula; make one of the number 1.5.
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        part = archive.read("xl/worksheets/sheet1.xml")
    part = part.replace(b'<c r="C1"><v>1.5</v>', b'<c r="C1" t="e"><v>#REF!</v>')
    sheet = open_book(repack({"xl/worksheets/sheet1.xml": part}, of=data), "a.xlsx").sheet("A")
    assert sheet.rows[0] == ["text", 1250000, ErrorValue("#REF!"), True]
    assert isinstance(sheet.rows[0][1], int)
    assert sheet.rows[1] == [Formula("=1+1"), Formula('="x"'), Formula("=A1:A2"), Formula("=1/0")]
    assert sheet.rows[2][0] is None
    assert str(sheet.rows[2][1]).startswith("2025-06-01")


def test_shared_formulas_are_seen_in_every_cell():
    rows = (
        '<row r="1"><c r="A1"><f t="shared" ref="A1:A2" si="0">B1</f><v>1</v></c></row>'
        '<row r="2"><c r="A2"><f t="shared" si="0"/><v>1</v></c></row>'
    )
    assert open_book(pack_sheet(rows), "a.xlsx").sheet("Sheet").rows == [[Formula("=B1")], [Formula("=")]]


def test_every_cell_of_a_merged_range_shows_its_value():
    sheet = open_book(
        xlsx([["x", None, 1], [None, None, 2]], lambda s: s.merge_cells("A1:B2")), "a.xlsx"
    ).sheet("Sheet")
    assert sheet.rows == [["x", "x", 1], ["x", "x", 2]]
    assert sheet.merged == {(0, 1): (0, 0), (1, 0): (0, 0), (1, 1): (0, 0)}


def test_cells_and_rows_without_addresses():
    assert open_book(pack_sheet("<row><c><v>1</v></c><c><f>A1</f><v>2</v></c></row>"), "a.xlsx").sheet(
        "Sheet"
    ).rows == [[1, Formula("=A1")]]


def test_an_unknown_sheet_lists_the_existing_ones():
    with pytest.raises(UnreadableFile) as caught:
        open_book(SMALL, "a.xlsx").sheet("Lembar1")
    (error,) = caught.value.errors
    assert (error.kind.code, error.allowed) == ("unknown_sheet", ["Sheet"])


def test_hidden_sheets_are_read_only_by_name():
    book = openpyxl.Workbook()
    book.active.append([1])
    book.create_sheet("Rahasia").append([2])
    book["Rahasia"].sheet_state = "hidden"
    out = io.BytesIO()
    book.save(out)
    opened = open_book(out.getvalue(), "a.xlsx")
    assert (opened.names, opened.visible) == (("Sheet", "Rahasia"), ("Sheet",))
    assert opened.sheet("Rahasia").rows == [[2]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_csv_dialects(separator, encoding):
    text = f'Kode{separator}Nama\r\n1.06{separator}"Café, é; ""x"""\r\n'
    sheet = open_book(text.encode(encoding), "data desa.csv").sheet("data desa")
    assert sheet.rows == [["Kode", "Nama"], ["1.06", 'Café, é; "x"']]


def test_csv_bytes_outside_windows_1252():
    assert open_book(b"a,b\r\n\x81,\xe9\r\n", "a.csv").sheet("a").rows[1] == ["\x81", "é"]


def test_csv_with_a_separator_line_keeps_its_row_numbers():
    sheet = open_book(b"sep=;\r\na;b\r\n", "a.csv").sheet("a")
    assert sheet.rows == [[], ["a", "b"]]
    assert sheet.cell(1, 1) == ("a", 2, "B")


def test_csv_formulas_are_seen():
    rows = open_book(b"a,b\r\n=1+1, =A1\r\n'=x,-5\r\n", "a.csv").sheet("a").rows
    assert rows[1] == [Formula("=1+1"), Formula("=A1")]
    assert rows[2] == ["=x", "-5"]


@pytest.mark.parametrize(
    "text", ["=1", "+62", "-", "@x", "\tx", "'=1", "''=1", " =1", "' =1", "＝1", "'", "x=1", "'a", ""]
)
def test_live_formulas_are_defused_and_read_back(text):
    assert not escape_formula(text).lstrip().startswith(("=", "+", "-", "@", "＝"))
    assert unescape_formula(escape_formula(text)) == text
