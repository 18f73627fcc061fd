"""The XML of a workbook, piece by piece: read by ECMA-376, or refused as damaged."""

from datetime import date, datetime, time, timedelta

import pytest

from app.kit.files.books import ErrorValue, Formula, Sheet, Value
from app.kit.files.number_formats import classify_format, read_serial
from app.kit.files.reader import open_book
from tests.files.parts import PACKAGE, RELATIONS, STRICT, TRANSITIONAL, pack, row, unpack, workbook
from tests.matrix.test_files import find_cause

OFFICE_KIND = RELATIONS[TRANSITIONAL]
SHEET = "xl/worksheets/sheet1.xml"
RELATED = "xl/_rels/workbook.xml.rels"


def read(data: bytes) -> Sheet:
    return open_book(data, "a.xlsx").sheet("A")


def read_value(cell: str, **parts: str) -> Value:
    """Return the value of A1; a second cell makes sure that the row exists."""
    return read(workbook(row(cell, '<c r="B1"><v>1</v></c>'), **parts)).rows[0][0]


def make_marked(marks: str, content: str = "<v>1</v>") -> bytes:
    return workbook(f'<row r="1"><c {marks}>{content}</c></row>')


@pytest.mark.parametrize(
    "address",
    ["xfd1048576", "XFD1048576", "XFE1", "AAAA1", "A1048577", "A0", "a1", " A1", "A1 ", "A 1", "$A$1", "A01", "1A",
     "A", "1", "", "A2", "A1:B1", "A１", "А1", "A" * 5000 + "1", "A" + "1" * 5000],
)  # fmt: skip
def test_an_invalid_address_or_one_of_another_row_is_damage(address: str) -> None:
    assert find_cause(make_marked(f'r="{address}"')) == "damaged_workbook"


@pytest.mark.parametrize(
    "marks",
    ['R="A1"', 'x:r="A1" xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"', 'r="A1" T="s"',
     'r="A1" t="S"', 'r="A1" t=""', 'r="A1" t="number"', 'r="A1" s="5"', 'r="A1" s="+0"', 'r="A1" s=" 0"',
     'r="A1" s="00"', 'r="A1" s="-1"', 'r="A1" s=""', 'r="A1" s="1.0"', 'r="A1" style="1"'],
)  # fmt: skip
def test_unknown_attributes_of_a_cell_are_damage(marks: str) -> None:
    assert find_cause(make_marked(marks)) == "damaged_workbook"


@pytest.mark.parametrize(
    ("kind", "content"),
    [("s", text) for text in ("+0", " 0", "0 ", "00", "0x0", "1e0", "-1", "2", "0.0", "٠", "9" * 5000)]
    + [
        ("n", text)
        for text in ("nan", "INF", "1e999", "1_0", "0x10", " 5", "5 ", "1,5", "--1", ".", "1e", "٣")
    ]
    + [("b", text) for text in ("2", "TRUE", "yes", " 1", "01")]
    + [
        ("d", text)
        for text in ("2025-02-30", "junk", "2025-1-1", "24:00:00", "45000", "2025-06-01 10:00:00", "Z")
    ]
    + [("str", "x" * 32_768), ("e", "#" * 32_768)],
)
def test_content_of_another_type_is_damage(kind: str, content: str) -> None:
    assert find_cause(make_marked(f'r="A1" t="{kind}"', f"<v>{content}</v>")) == "damaged_workbook"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('<c r="A1"><v>5</v></c>', 5),
        ('<c r="A1" t="n"><v>1.5E+3</v></c>', 1500),
        ('<c r="A1"><v>-.5</v></c>', -0.5),
        ('<c r="A1"><v>9007199254740993</v></c>', 9007199254740992.0),
        ('<c r="A1" t="s"><v>1</v></c>', "dua"),
        ('<c r="A1" t="b"><v>true</v></c>', True),
        ('<c r="A1" t="b"><v>0</v></c>', False),
        ('<c r="A1" t="e"><v>#REF!</v></c>', ErrorValue("#REF!")),
        ('<c r="A1" t="d"><v>2025-06-01</v></c>', date(2025, 6, 1)),
        ('<c r="A1" t="d"><v>2025-06-01T10:20:30.5Z</v></c>', datetime(2025, 6, 1, 10, 20, 30, 500_000)),  # noqa: DTZ001
        ('<c r="A1" t="d"><v>10:20:30</v></c>', time(10, 20, 30)),
        ('<c r="A1" t="str"><v xml:space="preserve"> a </v></c>', " a "),
        ('<c r="A1" t="str"><v>  </v></c>', None),
        ('<c r="A1" t="s"><v></v></c>', None),
        ('<c r="A1"><v/></c>', None),
        ('<c r="A1" s="3"/>', None),
        ('<c r="A1" t="inlineStr"><is><t>a</t></is></c>', "a"),
        ('<c r="A1" t="inlineStr"><is><r><rPr><b/></rPr><t>a </t></r><r><t>b</t></r></is></c>', "a b"),
        ('<c r="A1" t="inlineStr"><is><t>東</t><rPh sb="0" eb="1"><t>ひがし</t></rPh><phoneticPr/></is></c>', "東"),
        ('<c r="A1" t="inlineStr"/>', None),
        ('<c r="A1" cm="1" vm="1"><v>1</v><extLst><ext uri="x"/></extLst></c>', 1),
        ('<c r="A1"><v><![CDATA[1]]><!-- satu --></v></c>', 1),
        # as Excel escapes characters outside XML; half of a pair stays
        ('<c r="A1" t="str"><v>a_x000D_b_x005F_x000D_</v></c>', "a\rb_x000D_"),
        ('<c r="A1" t="str"><v>_xD83D__xDE00__xd83d_</v></c>', "_xD83D__xDE00__xd83d_"),
        ('<c r="A1" t="str"><v>_xD83D__xDE00_ _x00e9_</v></c>', "😀 é"),
    ],
)  # fmt: skip
def test_a_cell_has_this_value(cell: str, expected: Value) -> None:
    result = read_value(cell)
    assert (result, type(result)) == (expected, type(expected))


@pytest.mark.parametrize(
    "cell",
    [
        "<v>1</v><v>2</v>", "<f>1</f><f>2</f>", "<v>1<v>2</v></v>", "<v>1<b/>2</v>", "<is><t>a</t></is>", "<t>a</t>",
        '<x:v xmlns:x="urn:x">1</x:v>', "<c><v>1</v></c>", "<V>1</V>", "<extLst><c><v>1</v></c></extLst>",
        '<v xmlns="http://purl.oclc.org/ooxml/spreadsheetml/main">1</v>',
    ],
)  # fmt: skip
def test_impossible_content_is_damage(cell: str) -> None:
    assert find_cause(make_marked('r="A1"', cell)) == "damaged_workbook"
    assert find_cause(make_marked('r="A1" t="inlineStr"', "<v>a</v>")) == "damaged_workbook"


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="2"/><row r="1"/>', '<row r="1"/><row r="1"/>', '<row r="1048576"/><row/>', '<row r="1048577"/>',
        '<row r="0"/>', '<row r="-1"/>', '<row r=""/>', '<row r=" 1"/>', '<row r="01"/>', '<row r="1.0"/>',
        '<row R="1"/>', '<row r="9999999999"/>', "<Row/>", '<x:row xmlns:x="urn:x"/>', "<c/>",
        '<row r="1"><c r="B1"/><c r="A1"/></row>', '<row r="1"><c r="A1"/><c r="A1"/></row>',
        '<row r="1"><c r="XFD1"/><c/></row>', '<row r="1"><c r="B1"/><c/><c r="C1"/></row>',
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"/>',
    ],
)  # fmt: skip
def test_unordered_rows_are_damage(rows: str) -> None:
    assert find_cause(workbook(rows)) == "damaged_workbook"


def test_rows_and_cells_without_numbers_follow_those_before() -> None:
    rows = '<row><c><v>1</v></c></row><row r="3"><c r="B3"><v>2</v></c><c><v>3</v></c></row><row><c><v>4</v></c></row>'
    assert read(workbook(rows)).rows == [[1], [], [None, 2, 3], [4]]


def test_blank_cells_far_away_are_no_cells() -> None:
    rows = (
        row('<c r="A1"><v>1</v></c>', '<c r="XFD1" s="1"/>')
        + '<row r="1048576"><c r="XFD1048576"><v/></c></row>'
    )
    assert read(workbook(rows)).rows == [[1]]
    assert find_cause(workbook(row('<c r="CW1"><v>1</v></c>'))) == "too_many_cells"
    assert find_cause(workbook(row('<c r="A20001"><v>1</v></c>', number=20_001))) == "too_many_cells"


@pytest.mark.parametrize(
    "ranges",
    [["A1:B2", "B2:C3"], ["A1:B2", "A1:B2"], ["A1", "A1"], ["B2:A1"], ["$A$1:B2"], ["a1:b2"], ["A1:"], [":A1"], [""],
     ["A1:B2:C3"], ["A0:B1"], ["A1:XFE2"], ["A1:B1048577"], ["A1 B2"], ["A:B"], ["A1:" + "B" * 9999]],
)  # fmt: skip
def test_invalid_or_overlapping_merged_ranges_are_damage(ranges: list[str]) -> None:
    merges = "".join(f'<mergeCell ref="{ref}"/>' for ref in ranges)
    rows = row('<c r="C3"><v>1</v></c>', number=3)
    assert find_cause(workbook(rows, after=f"<mergeCells>{merges}</mergeCells>")) == "damaged_workbook"


@pytest.mark.parametrize(
    "after",
    ["<mergeCells/><mergeCells/>", "<sheetData/>", "<x><row/></x>", '<x:x xmlns:x="urn:x"><c/></x:x>',
     '<mergeCells><mergeCell REF="A1"/></mergeCells>', "<mergeCells><mergeCell/></mergeCells>"],
)  # fmt: skip
def test_misplaced_cells_and_ranges_are_damage(after: str) -> None:
    assert find_cause(workbook(row('<c r="A1"><v>1</v></c>'), after=after)) == "damaged_workbook"


def test_parts_outside_the_table_are_skipped() -> None:
    after = (
        '<mc:AlternateContent xmlns:mc="urn:mc"><mc:Choice Requires="x14"><controls><control/></controls></mc:Choice>'
        '</mc:AlternateContent><drawing/><extLst><ext xmlns:x="urn:x"><x:c r="Z9"><x:v>1</x:v></x:c></ext></extLst>'
    )
    assert read(
        workbook(row('<c r="A1"><v>1</v></c>'), after=after, head="<?xml version='1.0'?><?mso x?>")
    ).rows == [[1]]


FORMULA = "<f>A1*2</f>"


@pytest.mark.parametrize(
    ("cell", "result"),
    [
        (f'<c r="A1">{FORMULA}<v>3</v></c>', 3),
        (f'<c r="A1" s="2">{FORMULA}<v>45000</v></c>', date(2023, 3, 15)),
        (f'<c r="A1" t="str">{FORMULA}<v>a</v></c>', "a"),
        (f'<c r="A1" t="b">{FORMULA}<v>1</v></c>', True),
        (f'<c r="A1" t="s">{FORMULA}<v>0</v></c>', "satu"),
        (f'<c r="A1" t="str">{FORMULA}<v></v></c>', ""),
        (f'<c r="A1" t="str">{FORMULA}<v> </v></c>', ""),
        (f'<c r="A1" t="e">{FORMULA}<v>#REF!</v></c>', None),
        (f'<c r="A1">{FORMULA}</c>', None),
        (f'<c r="A1">{FORMULA}<v/></c>', None),
    ],
)
def test_the_stored_result_of_a_formula(cell: str, result: Value) -> None:
    for asks, is_kept in (("", True), ("0", True), ("false", True), ("1", False), ("true", False)):
        calculation = f'<calcPr calcId="1" fullCalcOnLoad="{asks}"/>' if asks else ""
        assert read_value(cell, calculation=calculation) == Formula("=A1*2", result if is_kept else None)


@pytest.mark.parametrize(
    ("marks", "is_hidden"),
    [('hidden="1"', True), ('hidden="true" ht="15"', True), ('ht="0" customHeight="1"', True), ('hidden="0"', False),
     ('ht="15" customHeight="1"', False), ("", False)],
)  # fmt: skip
def test_a_hidden_row(marks: str, is_hidden: bool) -> None:
    sheet = read(
        workbook(f'<row r="1"><c r="A1"><v>1</v></c></row><row r="2" {marks}><c r="A2"><v>1</v></c></row>')
    )
    assert sheet.hidden_rows == ({1} if is_hidden else set())
    assert find_cause(workbook('<row r="1" hidden="yes"><c r="A1"><v>1</v></c></row>')) == "damaged_workbook"


def test_a_damaged_result_is_damage() -> None:
    assert find_cause(make_marked('r="A1"', f"{FORMULA}<v>junk</v>")) == "damaged_workbook"
    for wrong in ('fullCalcOnLoad="yes"', 'FullCalcOnLoad="1"', 'fullCalcOnLoad=""'):
        assert find_cause(workbook(calculation=f"<calcPr {wrong}/>")) == "damaged_workbook"


# Number formats and dates


@pytest.mark.parametrize(
    ("code", "shows"),
    [
        ("General", "number"), ("0.00E+00", "number"), ("@", "number"), ("#,##0", "number"), ('"day"0', "number"),
        (r"\d0", "number"), ("_d0", "number"), ("*d0", "number"), ("[Red]0", "number"), ("[$Rp-421]#,##0", "number"),
        ("0;d", "number"), ('"d;"0;d', "number"), ('0"', "number"), ("[", "number"), ("\\", "number"), ("", "number"),
        ("d.mm", "date"), ("YYYY", "date"), ("[$-421]dd mmmm yyyy", "date"), ("hh AM/PM", "date"), ('"a;b"d', "date"),
        ("mm:ss.0", "date"), ("d;0", "date"), ("[h]:mm", "elapsed"), ("[MM]:ss", "elapsed"), ("[s]", "elapsed"),
        ('"[h]"0', "number"), (r"\[h]0", "date"),
    ],
)  # fmt: skip
def test_a_number_format_shows_this_kind(code: str, shows: str) -> None:
    assert classify_format(code) == shows


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ('#,##0" juta"', "60 juta"), ('0.0 "jt"', "60jt"), ('"Rp"#,##0",000"', "60,000"), ('0\\ "ribu"', "60ribu"),
        ('0.0,,"juta"', 60), ('#,##0,"rb"', 60), ('0" KK"', 60), ('"juta"0', 60), ('0" jutawan"', 60),
    ],
)  # fmt: skip
def test_a_scale_behind_a_number_is_part_of_it(code: str, text: object) -> None:
    shows = classify_format(code)
    assert (read_serial(60, shows, False), read_serial(0, shows, False)) == (text, 0)


@pytest.mark.parametrize(
    ("number", "style", "in_1900", "in_1904"),
    [
        ("45000.25", 1, datetime(2023, 3, 15, 6), datetime(2027, 3, 16, 6)),  # noqa: DTZ001
        ("45000", 1, date(2023, 3, 15), date(2027, 3, 16)),
        ("0.5", 1, time(12), time(12)),
        ("0", 1, time(0), time(0)),
        ("1", 1, date(1900, 1, 1), date(1904, 1, 2)),
        ("59", 1, date(1900, 2, 28), date(1904, 2, 29)),
        ("60", 1, date(1900, 2, 28), date(1904, 3, 1)),
        ("61", 1, date(1900, 3, 1), date(1904, 3, 2)),
        ("2958465", 1, date(9999, 12, 31), 2958465),
        ("2958466", 1, 2958466, 2958466),
        ("-1", 1, -1, -1),
        ("1e300", 1, 1e300, 1e300),
        ("1.5", 2, timedelta(days=1.5), timedelta(days=1.5)),
        ("-1.5", 2, timedelta(days=-1.5), timedelta(days=-1.5)),
        ("1e10", 2, 10**10, 10**10),
        ("45000", 3, 45000, 45000),
    ],
)
def test_dates_in_both_systems(number: str, style: int, in_1900: Value, in_1904: Value) -> None:
    cell = f'<c r="A1" s="{style}"><v>{number}</v></c>'
    assert read_value(cell, formats=("d.m.yyyy", "[h]:mm", '"d"0')) == in_1900
    properties = '<workbookPr date1904="true"/>'
    assert read_value(cell, formats=("d.m.yyyy", "[h]:mm", '"d"0'), properties=properties) == in_1904


def test_formats_that_have_a_number_only() -> None:
    styles = "".join(f'<xf numFmtId="{number}"/>' for number in range(60))
    data = {"xl/styles.xml": f'<styleSheet xmlns="{TRANSITIONAL}"><cellXfs>{styles}</cellXfs></styleSheet>'}
    cells = row(*(f'<c s="{number}"><v>45000.5</v></c>' for number in range(60)))
    items = read(workbook(cells, changes=data)).rows[0]
    dates = {number for number, item in enumerate(items) if isinstance(item, datetime)}
    assert dates == {*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)}
    assert [number for number, item in enumerate(items) if isinstance(item, timedelta)] == [46]
    # a cell without a style has the first
    first = data["xl/styles.xml"].replace('numFmtId="0"', 'numFmtId="14"')
    cells = row('<c r="A1"><v>45000</v></c>')
    assert read(workbook(cells, changes={"xl/styles.xml": first})).rows == [[date(2023, 3, 15)]]


@pytest.mark.parametrize(
    "styles",
    ['<numFmts><numFmt numFmtId="+164" formatCode="d"/></numFmts>', '<numFmts><numFmt numFmtId="164"/></numFmts>',
     '<numFmts><numFmt numFmtId="9" formatCode="d"/><numFmt numFmtId="9" formatCode="0"/></numFmts>',
     '<cellXfs><xf numFmtId="x"/></cellXfs>', '<cellXfs><xf NumFmtId="1"/></cellXfs>', "<x><cellXfs/></x>"],
)  # fmt: skip
def test_damaged_styles_are_refused(styles: str) -> None:
    part = f'<styleSheet xmlns="{TRANSITIONAL}">{styles}</styleSheet>'
    assert find_cause(workbook(changes={"xl/styles.xml": part})) == "damaged_workbook"


# Parts


def test_the_strict_form_is_read_too() -> None:
    rows = row(
        '<c r="A1" t="s"><v>1</v></c>', '<c r="B1" s="2"><v>45000</v></c>', '<c t="d"><v>2025-06-01</v></c>'
    )
    assert read(workbook(rows, namespace=STRICT)).rows == [["dua", date(2023, 3, 15), date(2025, 6, 1)]]


def test_elements_of_another_namespace_are_ignored() -> None:
    parts = unpack(workbook(row('<c r="A1"><v>1</v></c>')))
    whole = parts[SHEET].decode()
    prefixed = whole.replace("<", "<a:").replace("<a:/", "</a:").replace("xmlns=", "xmlns:a=")
    assert read(pack({**parts, SHEET: prefixed})).rows == [[1]]
    for other in ("urn:lain", "", TRANSITIONAL.upper(), PACKAGE):
        assert find_cause(pack({**parts, SHEET: whole.replace(TRANSITIONAL, other)})) == "damaged_workbook"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    parts = unpack(workbook(row('<c r="A1" t="str"><v>é😀</v></c>')))
    sheet = parts[SHEET].decode()
    assert read(pack({**parts, SHEET: sheet.encode(encoding)})).rows == [["é😀"]]
    for other in ("latin-1", "utf-7", "x", "utf-16" if encoding == "utf-8" else "us-ascii"):
        wrong = f'<?xml version="1.0" encoding="{other}"?>{sheet}'.encode(encoding)
        assert find_cause(pack({**parts, SHEET: wrong})) == "damaged_workbook"
    half = sheet.encode("utf-16").replace("😀".encode("utf-16-le"), b"\x00\xde")
    assert find_cause(pack({**parts, SHEET: half})) == "damaged_workbook"


@pytest.mark.parametrize(
    "target",
    [
        "worksheets/sheet1.xml",
        "/xl/worksheets/sheet1.xml",
        "../xl/worksheets/sheet1.xml",
        "Worksheets/Sheet1.XML",
    ],
)
def test_targets(target: str) -> None:
    assert read(workbook(row('<c r="A1"><v>1</v></c>'), target=target)).rows == [[1]]
    assert find_cause(workbook(target="worksheets/sheet2.xml")) == "damaged_workbook"


def test_a_workbook_without_shared_texts_or_styles() -> None:
    assert read(workbook(row('<c r="A1"><v>1</v></c>'), texts=None)).rows == [[1]]
    assert find_cause(workbook(row('<c r="A1" t="s"><v>0</v></c>'), texts=None)) == "damaged_workbook"
    parts = unpack(workbook(row('<c r="A1" s="0"><v>1</v></c>')))
    without = parts[RELATED].replace(b"relationships/styles", b"relationships/theme")
    assert read(pack({**parts, RELATED: without})).rows == [[1]]
    assert (
        find_cause(pack({**parts, RELATED: without, SHEET: parts[SHEET].replace(b's="0"', b's="1"')}))
        == "damaged_workbook"
    )


@pytest.mark.parametrize(
    "sheets",
    ['<sheet name="A" sheetId="1"/>', '<sheet name="A" sheetId="1" r:id="rId9"/>', '<sheet sheetId="1" r:id="rId1"/>',
     '<sheet name="A" id="rId1"/>', '<sheet name="A" r:id="rId1" state="gone"/>', '<sheet NAME="A" r:id="rId1"/>',
     '<sheet name="A" r:id="rId1"/><sheet name="A" r:id="rId1"/>', '<x:sheet xmlns:x="urn:x" name="A" r:id="rId1"/>'],
)  # fmt: skip
def test_a_wrong_list_of_sheets_is_damage(sheets: str) -> None:
    assert find_cause(workbook(sheets=sheets)) == "damaged_workbook"


@pytest.mark.parametrize(
    "related",
    [f'<Relationship Id="rId1" Type="{OFFICE_KIND}/worksheet"/>',
     f'<Relationship Id="rId1" Type="{OFFICE_KIND}/worksheet" Target="worksheets/sheet1.xml"/>' * 2,
     f'<Relationship Id="rId1" Type="{OFFICE_KIND}/worksheet" Target="http://x" TargetMode="External"/>',
     f'<Relationship Id="rId1" Type="{OFFICE_KIND}/worksheet" Target="worksheets/sheet1.xml" TargetMode="internal"/>',
     f'<Relationship ID="rId1" Type="{OFFICE_KIND}/worksheet" Target="worksheets/sheet1.xml"/>'],
)  # fmt: skip
def test_damaged_relationships_are_refused(related: str) -> None:
    part = f'<Relationships xmlns="{PACKAGE}">{related}</Relationships>'
    assert find_cause(workbook(changes={RELATED: part})) == "damaged_workbook"


def test_a_workbook_of_charts_only_is_empty() -> None:
    related = '<Relationship Id="rId1" Type="urn:x/worksheet" Target="a.xml"/>'
    part = f'<Relationships xmlns="{PACKAGE}">{related}</Relationships>'
    assert find_cause(workbook(changes={RELATED: part})) == "empty_file"
