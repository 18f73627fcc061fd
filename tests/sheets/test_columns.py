"""Headings of a matrix that no label names: asked about, proposed, and read as the caller chose."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.exchange.matrix.columns import BY_KEY, COLUMNS, PLANNING
from app.exchange.matrix.headers import LAYOUT
from app.exchange.matrix.models import Matrix
from app.exchange.matrix.rules import read_matrix
from app.kit.files.books import Sheet
from app.kit.files.unreadable import UnreadableFile
from app.kit.tables.choices import ColumnChoice
from app.kit.tables.headers import find_table, propose_table
from app.kit.tables.layouts import fold_heading
from app.kit.tables.proposals import is_near
from tests.exchange.office import Office, list_places
from tests.matrix.build import S1, list_codes, xlsx
from tests.matrix.test_headers import headers
from tests.sheets.conftest import Send
from tests.sheets.test_matrix_cases import bring, list_refusal, read_lines

CELLS: dict[str, Any] = {
    "number": 1,
    "strategy": S1,
    "agency": "Dinas Sosial",
    "code": "1.06.05.2.02.0006",
    "program": "Program A",
    "activity": "Kegiatan A",
    "subactivity": "Sub A",
    "direct": "Pelatihan",
    "indirect": "Pendampingan",
    "supporting": "Rapat",
    "allocation": 1000,
    "funding_sources": "APBD",
    "regularity": "Rutin",
    "location": "Desa A",
    "recipients": "40 KK",
    "benefit_amount": 5000,
    "benefit_form": "Uang",
    "duration": "3 bulan",
    "spent_s1": 10,
    "spent_s2": 20,
    "spent_total": 30,
}


def read(*changes: tuple[str, str], columns: Any = (), drop: str = "") -> Matrix:
    """Read one line below a header with these headings instead of the labels."""
    kept = [column for column in COLUMNS if column.key != drop]
    header = [dict(changes).get(column.key, column.labels[0]) for column in kept]
    rows = [header, [CELLS.get(column.key) for column in kept]]
    choices = [ColumnChoice.model_validate(dict(column)) for column in columns]
    return read_matrix(xlsx(rows), "a.xlsx", choices=choices)


def read_line(result: Matrix) -> dict[str, Any]:
    assert result.errors == ()
    (row,) = result.rows
    return dict(row.values)


WHOLE = read_line(read())


@given(st.sampled_from([column.key for column in COLUMNS]), st.from_regex("Zq[a-z]{3,9}", fullmatch=True))
@settings(max_examples=50, deadline=None)
def test_any_heading_can_be_chosen(key: str, word: str) -> None:
    result = read((key, word))
    place = (1, chr(ord("A") + BY_KEY[key].number - 1))
    if result.errors:
        assert list_codes(result.errors) in ([("missing_column", 1, "A")], [("no_strategy", 2, "G")])
        assert [column.heading for column in result.columns] == [word]
    elif key == "subactivity":
        assert result.rows[0]["subactivity"].name is None
    else:
        assert ("unknown_column", *place) in list_codes(result.warnings)
    chosen = read((key, word), columns=[{"heading": word, "field": key}])
    assert (read_line(chosen), chosen.warnings) == (WHOLE, ())
    skipped = read((key, word), columns=[{"heading": word}])
    assert "unknown_column" not in {code for code, *_ in list_codes(skipped.warnings)}


@pytest.mark.parametrize(
    ("key", "heading"),
    [
        (column.key, text)
        for column in COLUMNS
        for text in column.doubtful
        # Beside spending it is the sum of that.
        if text not in BY_KEY["spent_total"].labels
    ],
)
def test_a_doubtful_heading_is_asked_about(key: str, heading: str) -> None:
    result = read((key, heading))
    assert list_codes(result.errors) == [("doubtful_column", 1, chr(ord("A") + BY_KEY[key].number - 1))]
    assert [(column.heading, column.field) for column in result.columns] == [(heading, key)]
    assert read_line(read((key, heading), columns=result.columns)) == WHOLE


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_heading_a_letter_off_is_asked_about(data: st.DataObject) -> None:
    column = data.draw(st.sampled_from(COLUMNS))
    label = data.draw(st.sampled_from(column.labels))
    place = data.draw(st.integers(0, len(label) - 1))
    heading = label[:place] + label[place + 1 :]
    assume(
        is_near(fold_heading(heading), fold_heading(label)) and LAYOUT.match([fold_heading(heading)]) is None
    )
    result = read((column.key, heading))
    assert ("doubtful_column", 1, chr(ord("A") + column.number - 1)) in list_codes(result.errors)
    assert [(item.heading, item.field) for item in result.columns] == [(heading, column.key)]
    assert read_line(read((column.key, heading), columns=result.columns)) | {"stage": None} == WHOLE


@pytest.mark.parametrize("heading", ["TW V", "Sem.3", "Semester 3", "Keterangan", "Sisa", "Bobot"])
def test_other_headings_stay_a_warning(heading: str) -> None:
    result = read(("duration", heading))
    assert list_codes(result.errors) == []
    assert ("unknown_column", 1, "R") in list_codes(result.warnings)


def test_a_column_without_values_is_not_asked_about() -> None:
    header = [column.labels[0] for column in PLANNING]
    rows = [[*header, "Satuan"], [CELLS.get(column.key) for column in PLANNING]]
    assert list_codes(read_matrix(xlsx(rows), "a.xlsx").errors) == []


def test_a_sheet_without_a_known_header_is_proposed_whole() -> None:
    header = ["Nomer", "Strategy", "Dinas", "Kode Nomenklatur", "Uraian Kegiatan", "Total Anggaran", "Ket"]
    row = [1, S1, "Dinas Sosial", "1.06.05.2.02.0006", "Sub A", 1000, "x"]
    rows = [["RENCANA AKSI"], [], header, row, [2, *row[1:4], "Sub B", 2000, "y"]]
    with pytest.raises(UnreadableFile) as refusal:
        read_matrix(xlsx(rows), "a.xlsx")
    columns = refusal.value.columns
    assert [column.field for column in columns] == [
        "number", "strategy", "agency", "code", "subactivity", "allocation", None,
    ]  # fmt: skip
    choices = [ColumnChoice.model_validate(dict(column)) for column in columns]
    result = read_matrix(xlsx(rows), "a.xlsx", choices=choices)
    assert [(row["number"], row["allocation"]) for row in result.rows] == [(1, 1000), (2, 2000)]
    assert (result.errors, result.warnings) == ((), ())
    choices[0] = ColumnChoice(heading="Nomor Urut", field="number")
    with pytest.raises(UnreadableFile) as refusal:
        read_matrix(xlsx([["RENCANA AKSI"], [], ["Nomer", "A", "B"], row]), "a.xlsx", choices=choices[:1])
    assert [(error.kind.code, error.pointer) for error in refusal.value.errors] == [
        ("no_header", "/file"),
        ("no_such_heading", "/columns/0/heading"),
    ]


def test_a_column_twice_is_proposed_once() -> None:
    result = read(("duration", "Pagu Indikatif"))
    assert list_codes(result.errors) == [("duplicate_column", 1, "R")]
    assert [(column.heading, column.field) for column in result.columns] == [
        ("Alokasi Anggaran (Rp)", "allocation"),
        ("Pagu Indikatif", None),
    ]
    assert read_line(read(("duration", "Pagu Indikatif"), columns=result.columns)) == WHOLE | {
        "duration": None
    }


def test_a_proposal_keeps_what_the_caller_chose() -> None:
    columns = [{"heading": "Bobot"}, {"heading": "Nilai Pagu", "field": "alocation"}]
    result = read(("duration", "Bobot"), ("allocation", "Nilai Pagu"), columns=columns)
    assert [(error.kind.code, error.pointer) for error in result.errors] == [
        ("unknown_value", "/columns/1/field"),
        ("missing_column", None),
    ]
    assert [(column.heading, column.field) for column in result.columns] == [
        ("Bobot", None),
        ("Nilai Pagu", "allocation"),
    ]


HEADINGS = st.sampled_from(
    [
        *(text for column in COLUMNS for text in (*column.labels[:2], *column.doubtful[:2])),
        *(label for column in COLUMNS if (label := column.labels[0][:-2])),
        "Realisasi", "Aktifitas Real", "Target", "Kode", "Volume", "Satuan", "Ket", "Bobot", "(Rp)", "TW I",
    ]
)  # fmt: skip


LOWER = st.sampled_from(
    [None, None, "Langsung", "Sem.1", "Sem.2", "TW I", "Volume", "Satuan", "Urusan", "Ket"]
)


@given(st.lists(HEADINGS, min_size=4, max_size=14, unique=True), st.data())
@settings(max_examples=50, deadline=None)
def test_a_proposal_sent_back_settles_every_heading(upper: list[str], data: st.DataObject) -> None:
    lower = data.draw(st.one_of(st.none(), st.lists(LOWER, min_size=len(upper), max_size=len(upper))))
    cells = st.sampled_from([None, 5, "40", "x", "0018"])
    lines = data.draw(
        st.lists(st.lists(cells, min_size=len(upper), max_size=len(upper)), min_size=2, max_size=2)
    )
    lines[0][0] = 5
    sheet = Sheet("A", [["RENCANA"], upper, *([lower] if lower else []), *lines])
    header = find_table(sheet, LAYOUT) or propose_table(sheet, LAYOUT)
    assert header is not None
    choices = [ColumnChoice.model_validate(dict(column)) for column in header.proposal]
    again = find_table(sheet, LAYOUT, choices)
    if again is None:
        assert not choices
        return
    assert not [error for error in again.errors if error.pointer]
    proposed = {column.field for column in header.proposal if column.field}
    assert proposed <= again.columns.keys()
    if header.is_unclear:
        missing = {item.name for item in LAYOUT.list_missing([*header.columns, *proposed])}
        codes = {error.kind.code for error in again.errors} - {"unclear_unit"}
        assert codes <= ({"missing_column"} if missing else set()) | (
            {"duplicate_column"} if len(set(upper)) < len(upper) or lower else set()
        )


@given(headers(), st.data())
@settings(max_examples=50, deadline=None)
def test_any_heading_of_two_rows_can_be_chosen(
    header: tuple[list[list[Any]], dict[str, int], Any, Any], data: st.DataObject
) -> None:
    (upper, lower), columns, _, _ = header
    before = find_table(Sheet("A", [upper, lower, [None] * len(upper)]), LAYOUT)
    assume(before is not None)
    key = data.draw(st.sampled_from(sorted(columns)))
    row = lower if BY_KEY[key].group else upper
    row[columns[key]] = "Zqxyz"
    choice = ColumnChoice(
        heading="ZQXYZ", row=data.draw(st.sampled_from([None, 1 + (row is lower)])), field=key
    )
    after = find_table(Sheet("A", [upper, lower, [None] * len(upper)]), LAYOUT, [choice])
    assert before is not None
    assert after is not None
    assert (dict(after.columns), after.errors) == (dict(before.columns), ())
    assert (after.first_row, after.data_row) == (before.first_row, before.data_row)


def test_choices_fit_no_heading_of_a_table_with_numbers_alone() -> None:
    rows = [[*range(1, 19)], [CELLS.get(column.key) for column in PLANNING]]
    assert len(read_matrix(xlsx(rows), "a.xlsx").rows) == 1
    choices = [ColumnChoice(heading="Pagu", field="allocation")]
    errors = read_matrix(xlsx(rows), "a.xlsx", choices=choices).errors
    assert [(error.kind.code, error.pointer) for error in errors] == [
        ("no_such_heading", "/columns/0/heading")
    ]


# Counts and their units in two columns


def read_counts(*cells: tuple[Any, Any], **changes: Any) -> Matrix:
    header = ["No", "Strategi", "OPD", "Sub Kegiatan", "Pagu", "Volume", "Satuan"]
    rows = [header, *([n, S1, "Dinas Sosial", f"Sub {n}", 5, *pair] for n, pair in enumerate(cells, 1))]
    columns = [("Volume", "recipients"), ("Satuan", "recipient_unit")]
    choices = [ColumnChoice(heading=heading, field=changes.get(heading, key)) for heading, key in columns]
    return read_matrix(xlsx(rows), "a.xlsx", choices=choices)


@given(
    st.integers(1, 10**6),
    st.sampled_from(["KK", "UMKM", "orang", "liter", "gerobak", "paket"]),
    st.sampled_from([str, int, lambda count: f"{count:,}".replace(",", ".")]),
)
@settings(max_examples=30, deadline=None)
def test_a_count_and_its_unit_read_as_one_cell(count: int, unit: str, write: Any) -> None:
    apart = read_counts((write(count), unit))
    together = read(("recipients", "Sasaran"))  # the layout of a single column
    assert together.errors == ()
    rows = [
        ["No", "Strategi", "OPD", "Sub Kegiatan", "Pagu", "Sasaran"],
        [1, S1, "Dinas Sosial", "Sub 1", 5, ""],
    ]
    rows[1][5] = f"{write(count)} {unit}"
    whole = read_matrix(xlsx(rows), "a.xlsx")
    assert apart.rows[0]["recipients"] == whole.rows[0]["recipients"]
    assert apart.rows[0].texts == whole.rows[0].texts
    assert list_codes(apart.warnings) == list_codes(whole.warnings)


def test_cells_that_are_no_count_and_unit() -> None:
    result = read_counts(("banyak", "KK"), (None, "KK"), (40, None), ("-", "-"), (None, None))
    assert result.errors == ()
    assert [row.texts.get("recipients") for row in result.rows] == ["banyak KK", "KK", None, None, None]
    assert [[item.count for item in row["recipients"]] for row in result.rows] == [[], [], [40], [], []]
    assert list_codes(result.warnings) == [
        ("unread_recipients", 2, "F"),
        ("unread_recipients", 3, "F"),
        ("unknown_recipient_unit", 4, "F"),
    ]


def test_a_unit_needs_its_counts() -> None:
    result = read_counts((40, "KK"), Volume=None)
    assert [(error.kind.code, error.pointer) for error in result.errors] == [
        ("field_alone", "/columns/1/field")
    ]


def test_a_unit_next_to_counts_with_units_is_no_unit_of_theirs() -> None:
    header = [column.labels[0] for column in PLANNING]
    rows = [[*header, "Satuan"], [*(CELLS.get(column.key) for column in PLANNING), "paket"]]
    result = read_matrix(xlsx(rows), "a.xlsx")
    assert (list_codes(result.errors), list_codes(result.warnings)) == ([], [("unknown_column", 1, "S")])


# Codes in several columns

PARTS = ["Urusan", "Bidang", "Program", "Kegiatan", "Sub Kegiatan"]


def read_parts(
    header: list[list[Any]], *lines: list[Any], columns: Any = (), change: Any = lambda sheet: None
) -> Matrix:
    """Read lines with a code in five columns behind number, strategy and agency."""
    rows = [*header, *([n, S1, "Dinas Koperasi", *parts, f"Sub {n}", 5] for n, parts in enumerate(lines, 1))]
    choices = [ColumnChoice.model_validate(column) for column in columns]
    return read_matrix(xlsx(rows, change), "a.xlsx", choices=choices)


def list_subactivities(result: Matrix) -> list[str | None]:
    assert result.errors == (), list_codes(result.errors)
    return [row["subactivity"].code for row in result.rows]


BEFORE, AFTER = ["No", "Strategi", "OPD"], ["Nama Sub Kegiatan", "Pagu"]
WORDS = [[*BEFORE, *PARTS, *AFTER]]
GROUP = [[*BEFORE, "Kode Rekening", None, None, None, None, *AFTER], [*[None] * 3, *PARTS, None, None]]
OVER_ALL = [[*BEFORE, "Kode", None, None, None, None, *AFTER]]
OWN = [[*BEFORE, "A1", "A2", "A3", "A4", "A5", *AFTER]]
CHOSEN = [{"heading": f"A{n}", "field": "code"} for n in range(1, 6)]


def merge(sheet: Any) -> None:
    sheet.merge_cells("D1:H1")


@pytest.mark.parametrize(
    ("header", "columns", "change"),
    [
        (WORDS, [], None),
        (GROUP, [], None),
        (GROUP, [], merge),
        (OVER_ALL, [], None),
        (OVER_ALL, [], merge),
        (OVER_ALL, [{"heading": "Kode", "field": "code"}], merge),
        (OWN, CHOSEN, None),
    ],
)
def test_a_code_in_five_columns(header: Any, columns: Any, change: Any) -> None:
    lines = [
        ["2", "17", "07", "2.01", "0018"],
        [None, None, None, None, "0019"],
        [None, None, None, "2.02", "0001"],
        [2, 17, 7, 2.01, 18],
    ]
    how = {"columns": columns} | ({"change": change} if change else {})
    result = read_parts(header, *lines, **how)
    assert list_subactivities(result) == [
        "2.17.07.2.01.0018",
        "2.17.07.2.01.0019",
        "2.17.07.2.02.0001",
        "2.17.07.2.01.0018",
    ]
    top = len(header)
    assert list_codes(result.warnings) == [("code_padded", top + 4, "D")]


def test_parts_that_are_unclear_are_named() -> None:
    lines = [
        ["2", "17", None, "2.01", "0018"],
        ["2", "17", "07", 2.1, "0018"],
        ["2", "17", "07", "2.01", "x"],
    ]
    result = read_parts(OWN, *lines, columns=CHOSEN)
    assert list_codes(result.errors) == [
        ("code_part_missing", 2, "F"),
        ("code_lost_zeros", 3, "G"),
        ("code_unreadable", 4, "D"),
    ]


def test_another_agency_inherits_no_parts() -> None:
    rows = [
        *WORDS,
        [1, S1, "Dinas Koperasi", "2", "17", "07", "2.01", "0018", "Sub 1", 5],
        [2, S1, "Dinas Sosial", None, None, None, None, "0018", "Sub 2", 5],
    ]
    assert list_codes(read_matrix(xlsx(rows), "a.xlsx").errors) == [("code_part_missing", 3, "D")]


def test_whole_codes_in_the_columns_of_names_are_no_parts() -> None:
    header = [*BEFORE, "Program", "Kegiatan", "Sub Kegiatan", "Pagu"]
    row = [1, S1, "Dinas Koperasi", "2.17.07", "2.17.07.2.01", "2.17.07.2.01.0018", 5]
    assert list_subactivities(read_matrix(xlsx([header, row]), "a.xlsx")) == ["2.17.07.2.01.0018"]


def test_rows_of_headings_have_the_upper_parts() -> None:
    rows = [
        *WORDS,
        [None, None, "Dinas Koperasi", "2", "17", "07", None, None, "PROGRAM A", None],
        [None, None, None, None, None, None, "2.01", None, "Kegiatan A", None],
        [1, S1, None, None, None, None, None, "0018", "Sub A", 5],
    ]
    result = read_matrix(xlsx(rows), "a.xlsx")
    assert [row["subactivity"].code for row in result.rows if row["allocation"]] == ["2.17.07.2.01.0018"]


def test_totals_are_no_parts() -> None:
    rows = [
        *[row[3:] for row in WORDS],
        ["2", "17", "07", "2.01", "0018", "Sub A", 5],
        ["JUMLAH", None, None, None, None, None, 5],
    ]
    for row, more in zip(rows, [["Strategi", "OPD"], [S1, "Dinas Koperasi"], []], strict=True):
        row += more
    assert list_subactivities(read_matrix(xlsx(rows), "a.xlsx")) == ["2.17.07.2.01.0018"]


def test_a_group_a_letter_off_is_asked_about_with_its_words() -> None:
    rows = [
        ["No", "Strategi", "OPD", "Sub Kegiatan", "Pagu", "Realisai", None],
        [None] * 5 + ["Sem.1", "Sem.2"],
        [1, S1, "Dinas Sosial", "Sub A", 5, 1, 2],
    ]
    result = read_matrix(xlsx(rows), "a.xlsx")
    assert list_codes(result.errors) == [("doubtful_column", 2, "F"), ("doubtful_column", 2, "G")]
    sentence = result.errors[0].render("id").message
    assert "“Realisai / Sem.1” mungkin berisi “Realisasi Sem.1”" in sentence
    choices = [ColumnChoice.model_validate(dict(column)) for column in result.columns]
    assert read_matrix(xlsx(rows), "a.xlsx", choices=choices).rows[0]["spent_s2"] == 2


def test_hidden_rows_and_columns_of_parts_are_named() -> None:
    def hide(sheet: Any) -> None:
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["E"].hidden = True

    rows = [
        ["No", "Strategi", "OPD", "Urusan", "Bidang", "Program", "Kegiatan", "Sub Kegiatan", "Pagu"],
        [1, S1, "Dinas Koperasi", "2", "17", "07", "2.01", "0018", 5],
        [None, None, None, None, None, None, None, "0019", None],
    ]
    result = read_matrix(xlsx(rows, hide), "a.xlsx")
    assert list_codes(result.errors) == [("hidden_row", 3, "H")]
    assert list_codes(result.warnings) == [("hidden_column", 1, "E")]


# A table without names of sub-activities


def read_codes(*rows: list[Any]) -> Matrix:
    header = ["No", "Strategi", "OPD", "Kode Sub Kegiatan", "Pagu", "Lokasi"]
    return read_matrix(xlsx([header, *rows]), "a.xlsx")


def test_a_code_stands_for_the_name() -> None:
    code = "2.17.07.2.01.0018"
    result = read_codes(
        [1, S1, "Dinas Koperasi", code, 5, "Desa A"],
        [2, None, None, code, 6, "Desa B"],
        [3, None, None, code],
    )
    assert result.errors == ()
    assert [(row["subactivity"].code, row["allocation"]) for row in result.rows] == [
        (code, 5), (code, 6), (code, None),
    ]  # fmt: skip


def test_codes_of_agencies_stand_for_no_names() -> None:
    result = read_codes([1, S1, "Dinas Sosial", "1.06.0.00.0.00.08.0000", 5, "Desa A"])
    assert list_codes(result.errors) == [("missing_column", 1, "A")]


# The cases, by the call


@pytest.mark.one_engine
def test_the_case_of_a_code_in_five_columns(send_case: Send, office: Office) -> None:
    report = bring(send_case("code_in_five_columns.csv"))
    assert [line["subactivity_code"] for line in read_lines(office)] == ["2.17.07.2.01.0018"]
    assert {code for code, _ in list_places(report["warnings"])} == {"agency_code_made", "other_name"}


@pytest.mark.one_engine
def test_the_case_of_volume_and_unit(send_case: Send, office: Office) -> None:
    refusal = send_case("volume_and_unit.csv")
    assert list_refusal(refusal) == [("doubtful_column", "F1"), ("doubtful_column", "G1")]
    columns = refusal.json()["columns"]
    assert columns == [
        {"heading": "Volume", "field": "recipients"},
        {"heading": "Satuan", "field": "recipient_unit"},
    ]
    bring(send_case("volume_and_unit.csv", columns=columns))
    (line,) = read_lines(office)
    assert [(item["count"], item["unit"]) for item in line["recipients"]] == [(40, "UMKM")]
    assert (line["allocation"], line["title"][:22]) == (60_000_000, "Peningkatan Kompetensi")
    (entry,) = office.client.get(f"{office.url}/imports").json()["items"]
    assert entry["choices"]["columns"] == [column | {"row": None} for column in columns]
    named = [*columns, {"heading": "Anggaran", "field": "allocation"}]
    assert bring(send_case("volume_and_unit.csv", columns=named))["unchanged"] == 1
    assert office.bring(office.export())["unchanged"] == 1
    assert list_refusal(send_case("volume_and_unit.csv", columns=[{"heading": "x", "field": "y"}]))[0] == (
        "unknown_value",
        "/columns/0/field",
    )
