"""Awkward sheets and their rows: headers, blanks, sections, totals, footers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exchange.matrix.columns import COLUMNS
from app.exchange.matrix.models import Code, CodeKind, Named
from app.exchange.matrix.rows import join_lines
from app.exchange.matrix.rules import read_matrix
from app.kit.files.books import Formula, Sheet
from app.kit.files.cells import take_results
from app.kit.files.unreadable import UnreadableFile
from app.kit.tables.options import LineOptions
from tests.matrix.build import LABELS, S1, S2, S3, line, list_codes, matrix, partial_line, store_results, xlsx

NUMBERS = list(range(1, 22))


def list_names(result, key="subactivity"):
    return [row[key].name if row[key] else None for row in result.rows]


# -- the header ---------------------------------------------------------------------------------


def test_finds_the_header_by_its_labels_wherever_the_columns_are():
    keys = ["allocation", "subactivity", "agency", "strategy"]
    header = ["x", "Pagu (Rp)", "SUB  KEGIATAN", "OPD", "Strategi", "Program"]
    result = read_matrix(xlsx([["RAT"], [], header, [None, 5, "Sub A", "Dinas Sosial", S1, "P"]]), "a.xlsx")
    (row,) = result.rows
    assert result.titles == ("RAT",)
    assert [row.columns[key] for key in keys] == ["B", "C", "D", "E"]
    assert (row["allocation"], row["subactivity"], row["program"], row.row) == (
        5,
        Named(None, "Sub A"),
        Named(None, "P"),
        4,
    )
    assert list_codes(result.warnings) == [("unknown_column", 3, "A")]
    assert result.errors == ()


def test_finds_the_header_by_its_numbering_row_alone():
    result = read_matrix(xlsx([[f"?{n}" for n in NUMBERS], NUMBERS, line()]), "a.xlsx")
    assert list_names(result) == ["Sub A"]
    assert result.has_realisation
    result = read_matrix(xlsx([[None, *(f"({n})" for n in range(1, 19))], [None, *line()[:18]]]), "a.xlsx")
    assert list_names(result) == ["Sub A"]
    assert result.rows[0].columns["number"] == "B"
    assert not result.has_realisation


def test_a_numbering_row_identifies_an_unknown_label():
    header = ["Banyaknya" if label == "Jumlah Sasaran Penerima Manfaat" else label for label in LABELS]
    result = read_matrix(xlsx([header, NUMBERS[:18], line(recipients="5 KK")[:18]]), "a.xlsx")
    assert result.rows[0]["recipients"][0].count == 5
    assert result.warnings == ()


def test_two_header_rows_with_merged_cells():
    upper = [
        "Aktifitas Real" if c.group == "Aktifitas Real" else "Realisasi" if c.group else c.labels[0]
        for c in COLUMNS
    ]
    lower = [c.labels[0] if c.group else None for c in COLUMNS]

    def merge(sheet):
        sheet.merge_cells("A2:A3")
        sheet.merge_cells("H2:J2")
        sheet.merge_cells("S2:U2")

    result = read_matrix(
        xlsx([["RAT 2025"], upper, lower, NUMBERS, line(direct="Pelatihan", spent_s1=3)], merge), "a.xlsx"
    )
    (row,) = result.rows
    assert (row["direct"][0].name, row["spent_s1"], row.row) == ("Pelatihan", 3, 5)
    assert (result.errors, result.warnings, result.titles) == ((), (), ("RAT 2025",))


def test_missing_and_double_columns_are_named():
    result = read_matrix(
        xlsx([["No", "Strategi", "Perangkat Daerah", "Program", "Kegiatan", "Lokasi", "Lokasi"], [1]]),
        "a.xlsx",
    )
    assert list_codes(result.errors) == [
        ("duplicate_column", 1, "G"),
        ("missing_column", 1, "A"),
        ("missing_column", 1, "A"),
    ]
    assert [e.allowed for e in result.errors[1:]] == ["Sub Kegiatan", "Alokasi Anggaran (Rp)"]
    assert result.rows == ()


def test_a_sheet_without_a_header():
    with pytest.raises(UnreadableFile) as caught:
        read_matrix(xlsx([["Nama", "Umur"], ["a", 1]]), "a.xlsx")
    assert [e.kind.code for e in caught.value.errors] == ["no_header"]


def test_the_first_sheet_with_a_header_is_read_and_another_is_mentioned():
    def more(sheet):
        for name, agency in (("Isi", "Dinas A"), ("Lain", "Dinas B")):
            other = sheet.parent.create_sheet(name)
            other.append([c.labels[0] for c in COLUMNS])
            other.append(line(agency=agency))

    data = xlsx([["sampul"]], more)
    result = read_matrix(data, "a.xlsx")
    assert (result.sheet, list_names(result, "agency")) == ("Isi", ["Dinas A"])
    assert [(w.kind.code, w.value) for w in result.warnings] == [("other_sheets", "Lain")]
    assert list_names(read_matrix(data, "a.xlsx", options=LineOptions(sheet="Lain")), "agency") == ["Dinas B"]


def test_a_repeated_header_is_no_line():
    header = [c.labels[0] for c in COLUMNS]
    result = matrix(line(), header, NUMBERS, line(subactivity="Sub B"))
    assert list_names(result) == ["Sub A", "Sub B"]
    assert result.errors == ()


# -- as above -----------------------------------------------------------------------------------


def test_blank_levels_mean_as_above():
    result = matrix(line(), partial_line(number=2, subactivity="Sub B", allocation=5))
    row = result.rows[1]
    assert row["agency"] == Named("1.06.0.00.0.00.08.0000", "Dinas Sosial")
    assert (row["strategy"], row["program"].name, row["activity"].name) == (
        "reduce_spending_burden",
        "Program A",
        "Kegiatan A",
    )
    assert row.inherited == {"strategy", "agency", "program", "activity"}
    assert result.rows[0].inherited == set()
    assert result.errors == ()


def test_another_agency_inherits_nothing():
    result = matrix(line(), partial_line(agency="Dinas B", subactivity="Sub B", allocation=5))
    row = result.rows[1]
    assert (row["agency"], row["program"], row["activity"]) == (Named(None, "Dinas B"), None, None)


def test_a_repeated_agency_keeps_the_levels_above():
    result = matrix(line(), partial_line(agency="Dinas Sosial", subactivity="Sub B", allocation=5))
    assert result.rows[1]["agency"].code == "1.06.0.00.0.00.08.0000"
    assert result.rows[1]["program"].name == "Program A"


def test_another_programme_resets_the_activity_and_a_dash_means_none():
    result = matrix(
        line(),
        partial_line(program="Program B", subactivity="Sub B", allocation=5),
        partial_line(program="-", subactivity="Sub C", allocation=5),
    )
    assert [(r["program"] and r["program"].name, r["activity"]) for r in result.rows[1:]] == [
        ("Program B", None),
        (None, None),
    ]


def test_amounts_are_never_inherited():
    result = matrix(line(funding_sources="APBD"), partial_line(number=2, subactivity="Sub B"))
    assert (result.rows[1]["allocation"], result.rows[1]["funding_sources"]) == (None, ())


def test_a_row_without_number_and_sub_activity_continues_the_line_above():
    result = matrix(
        line(),
        partial_line(allocation=500, funding_sources="DAK"),
        partial_line(direct="Pelatihan"),
        partial_line(number=2, allocation=7),
    )
    assert list_names(result) == ["Sub A"] * 4
    assert [row.continues for row in result.rows] == [None, 2, 2, None]


@pytest.mark.parametrize("is_of_line", [True, False])
def test_amounts_of_merged_components_and_sources_count_once(is_of_line):
    def merge(sheet):
        for letter in "CDEFGHIL" if is_of_line else "HIL":
            sheet.merge_cells(f"{letter}2:{letter}3")

    first = line(direct="Alat (Rp 600)", indirect="Rapat", funding_sources="APBD (Rp 1.000)")
    second = partial_line(location="Suoh") if is_of_line else line(number=2, subactivity="Sub B")
    result = matrix(first, second, change=merge)
    lines = join_lines(result.rows)
    assert [share.amount for row in lines for key in ("direct", "funding_sources") for share in row[key]] == (
        [600, 1000] if is_of_line else [600, 1000, None, None]
    )
    assert [[share.name for share in row["indirect"]] for row in lines] == [["Rapat"]] * len(lines)
    warned = [] if is_of_line else [("merged_amount", 3, "H"), ("merged_amount", 3, "L")]
    assert list_codes(result.warnings) == warned


def test_merged_levels_repeat_and_merged_amounts_count_once():
    def merge(sheet):
        for letter in "ACDEFGK":
            sheet.merge_cells(f"{letter}2:{letter}3")

    result = matrix(line(), partial_line(funding_sources="DAK"), change=merge)
    first, second = result.rows
    assert second["subactivity"] == first["subactivity"]
    assert second["agency"] == first["agency"]
    assert (first["allocation"], second["allocation"]) == (1000, None)
    assert second.continues == 2
    assert list_codes(result.warnings) == [("merged_amount", 3, "K")]


# -- sections -----------------------------------------------------------------------------------


def test_a_section_row_sets_the_strategy_and_resets_the_levels():
    result = matrix(
        partial_line(number=S1.upper()),
        line(strategy=None),
        partial_line(number="2. Peningkatan Pendapatan"),
        line(strategy=None, agency="B"),
    )
    assert [row["strategy"] for row in result.rows] == ["reduce_spending_burden", "raise_income"]
    result = matrix(
        partial_line(number=S1),
        line(strategy=None),
        partial_line(number=S2),
        partial_line(subactivity="Sub B", allocation=1),
    )
    assert result.rows[1]["agency"] is None
    assert list_codes(result.errors) == [("no_agency", 5, "C")]


def test_a_merged_section_row():
    result = matrix(partial_line(number=S3), line(strategy=None), change=lambda s: s.merge_cells("A2:U2"))
    assert [row["strategy"] for row in result.rows] == ["reduce_poverty_pockets"]
    assert result.errors == result.warnings == ()


def test_another_strategy_in_its_column_begins_a_block():
    result = matrix(
        line(), line(strategy=S2, agency=None, code=None, program=None, activity=None, subactivity="Sub B")
    )
    assert [row["strategy"] for row in result.rows] == ["reduce_spending_burden", "raise_income"]
    assert result.rows[1]["agency"] is None


def test_a_strategy_that_contradicts_its_section():
    result = matrix(partial_line(number=S1), line(strategy=S2))
    assert list_codes(result.errors) == [("strategy_conflict", 3, "B")]


def test_an_unknown_section_is_an_error_only_if_a_line_needs_it():
    result = matrix(partial_line(number="BIDANG SOSIAL"), line(), line(subactivity="B"))
    assert (list_codes(result.warnings), result.errors) == ([("unknown_section", 2, "A")], ())
    rows = [line(strategy=None), line(strategy=None, subactivity="B")]
    result = matrix(partial_line(number="BIDANG SOSIAL"), *rows)
    assert (list_codes(result.errors), result.warnings) == ([("unknown_section", 2, "A")], ())


def test_no_strategy_at_all():
    result = matrix(line(strategy=None))
    assert list_codes(result.errors) == [("no_strategy", 2, "B")]


def test_an_unknown_strategy_is_kept_and_reported():
    result = matrix(line(strategy="Bantuan Umum"))
    assert result.rows[0]["strategy"] is None
    assert result.rows[0].texts["strategy"] == "Bantuan Umum"
    assert list_codes(result.errors) == [("unknown_strategy", 2, "B")]


# -- rows that are no lines ---------------------------------------------------------------------


def test_headings_set_the_levels_below_them():
    result = matrix(
        partial_line(agency="Dinas A"),
        partial_line(program="P"),
        partial_line(activity="K"),
        partial_line(number=1, strategy=S1, subactivity="Sub A", allocation=1),
    )
    (row,) = result.rows
    assert (row["agency"].name, row["program"].name, row["activity"].name) == ("Dinas A", "P", "K")
    assert result.errors == ()


def test_a_heading_that_no_line_takes_is_named():
    result = matrix(
        partial_line(agency="DINAS SOSIAL", program="Program Z"),
        line(),
        partial_line(agency="Dinas B"),
        partial_line(agency="Dinas C"),
        partial_line(program="Program C"),
        partial_line(number=1, strategy=S1, subactivity="Sub C", allocation=1),
        partial_line(program="Lanjutan nama"),
    )
    assert list_codes(result.warnings) == [
        ("heading_alone", 2, "E"),
        ("heading_alone", 4, "C"),
        ("heading_alone", 8, "E"),
    ]


def test_an_amount_on_a_heading_is_an_error():
    result = matrix(line(), partial_line(program="Program B", allocation=99))
    assert list_codes(result.errors) == [("no_subactivity", 3, "G")]


@pytest.mark.parametrize("cells", [{}, {"number": "Keseluruhan"}, {"strategy": S1}, {"spent_s1": 5}])
def test_amounts_alone_do_not_add_to_the_line_above(cells):
    result = matrix(line(allocation=99), partial_line(allocation=99, **cells))
    assert list_codes(result.errors) == [("no_subactivity", 3, "G")]


@pytest.mark.parametrize(
    "cells",
    [{"agency": "Jumlah"}, {"number": "TOTAL"}, {"strategy": S1, "subactivity": "Sub Total Strategi 1"}],
)
def test_totals_are_no_lines_and_are_checked(cells):
    result = matrix(line(), line(subactivity="Sub B"), partial_line(allocation=2000, **cells))
    assert (list_names(result), result.errors, result.warnings) == (["Sub A", "Sub B"], (), ())
    result = matrix(line(), line(subactivity="Sub B"), partial_line(allocation=2001, **cells))
    assert list_codes(result.warnings) == [("total_differs", 4, "K")]
    spent = matrix(line(spent_s1=5), line(subactivity="Sub B"), partial_line(spent_s1=5, spent_s2=1, **cells))
    assert list_codes(spent.warnings) == [("total_differs", 4, "T")]
    result = matrix(line(), partial_line(allocation="=SUM(K2:K2)", **cells))
    assert (result.errors, result.warnings) == ((), ())


def test_the_footer_ends_the_table():
    result = matrix(
        line(),
        [],
        partial_line(number="Keterangan:"),
        partial_line(number=1, strategy="Strategi diisi menurut Inpres"),
        partial_line(location="Kotabaru, 2 Januari"),
    )
    assert (list_names(result), result.errors, result.warnings) == (["Sub A"], (), ())


def test_signatures_below_a_gap_are_reported_and_no_lines():
    result = matrix(
        line(), [], partial_line(location="Kotabaru, 2 Januari 2025"), partial_line(location="Kepala Bappeda")
    )
    assert list_names(result) == ["Sub A"]
    assert list_codes(result.warnings) == [("text_after_table", 4, "N")]


@pytest.mark.parametrize(
    "words", ["Kotabaru, 2 Januari 2025", "Tanjung Selor, ........ 2026", "Liwa, 02-01-2026"]
)
@pytest.mark.parametrize("column", ["direct", "location", "recipients", "benefit_form"])
def test_signatures_right_below_the_lines_are_reported_and_no_part_of_them(words, column):
    result = matrix(line(), partial_line(**{column: words}), partial_line(**{column: "Kepala Bappeda"}))
    assert (list_names(result), result.rows[0][column]) == (["Sub A"], matrix(line()).rows[0][column])
    assert [code for code, *_ in list_codes(result.warnings)] == ["text_after_table"]


@pytest.mark.parametrize(
    "words", ["Rumah, 20 unit", "Pelatihan, tahap 2", "Suoh, Sekincau", "Dinas Sosial, 2026"]
)
def test_parts_of_a_line_are_no_signatures(words):
    result = matrix(line(direct="Alat"), partial_line(direct=words), line(subactivity="Sub B"))
    assert list_names(result)[-1] == "Sub B"
    assert result.warnings == ()


def test_lines_below_the_footer_are_an_error():
    result = matrix(line(), partial_line(number="Keterangan"), line(subactivity="Sub B"))
    assert list_names(result) == ["Sub A"]
    assert list_codes(result.errors) == [("lines_after_end", 4, "G")]


def test_a_gap_in_the_middle_is_no_end():
    result = matrix(line(), [], [], line(subactivity="Sub B"), partial_line(number=3))
    assert list_names(result) == ["Sub A", "Sub B"]


def test_an_office_of_civil_registration_is_no_footer():
    result = matrix(line(), partial_line(agency="Catatan Sipil", subactivity="Sub B", allocation=1))
    assert list_names(result) == ["Sub A", "Sub B"]


def test_a_table_without_lines():
    assert list_codes(matrix().errors) == [("no_lines", 2, "A")]


# -- cells --------------------------------------------------------------------------------------


def test_formulas_are_reported_cell_by_cell():
    result = matrix(line(number="=1+0", allocation="=500*2", spent_total="=S2+T2", location="=A1"))
    assert list_codes(result.errors) == [("formula", 2, "K"), ("formula", 2, "N"), ("formula", 2, "U")]
    assert result.errors[0].value == "=500*2"
    assert result.rows[0]["allocation"] is None


def test_a_stored_result_counts_with_a_warning_for_each_column():
    rows = [line(number="=1+0", allocation="=500*2", spent_total="=S2+T2", location='=IF(A1="","",A1)')]
    rows += [
        line(subactivity="Sub B", allocation="=K2*2"),
        partial_line(agency="Jumlah", allocation="=SUM(K2:K3)"),
    ]
    data = xlsx([[column.labels[0] for column in COLUMNS], *rows])
    results = {"A2": 1, "K2": 1000, "U2": 0, "N2": "", "K3": 2000, "K4": 3001}
    result = read_matrix(store_results(data, results), "a.xlsx")
    assert result.errors == ()
    assert [row["allocation"] for row in result.rows] == [1000, 2000]
    assert (result.rows[0]["spent_total"], result.rows[0]["location"], result.rows[0]["number"]) == (0, (), 1)
    assert [
        (w.kind.code, w.cell.row, w.cell.column, w.value, w.values.get("count")) for w in result.warnings
    ] == [
        ("total_differs", 4, "K", 3001, None),
        ("stored_result", 2, "K", "1000", 2),
        ("stored_result", 2, "U", "0", 1),
    ]


@given(st.text(min_size=1).filter(str.strip))
def test_a_formula_that_quotes_a_text_is_that_text(text):
    quoted = '="' + text.replace('"', '""') + '"'
    sheet = take_results(Sheet("A", [[Formula(quoted), Formula(quoted + "&1"), "=x"]]))
    assert (sheet.rows, sheet.formulas) == ([[text, Formula(quoted + "&1"), "=x"]], frozenset())


def test_all_wrong_cells_are_reported_at_once():
    result = matrix(line(allocation="12a", code="kode?", spent_s1=-1, duration="lama"))
    assert sorted(list_codes(result.errors)) == [
        ("code_unreadable", 2, "D"),
        ("negative_number", 2, "S"),
        ("not_an_amount", 2, "K"),
    ]
    assert list_codes(result.warnings) == [("unread_duration", 2, "R")]
    assert dict(result.rows[0].texts) == {
        "allocation": "12a",
        "code": "kode?",
        "spent_s1": "-1",
        "duration": "lama",
    }


def test_the_code_column_gives_its_code_to_its_level():
    (row,) = matrix(line(code="1.06.05.2.02.0006")).rows
    assert (row["subactivity"], row["agency"], row["code"]) == (
        Named("1.06.05.2.02.0006", "Sub A"),
        Named(None, "Dinas Sosial"),
        None,
    )
    (row,) = matrix(line(code="1.06.05")).rows
    assert row["program"] == Named("1.06.05", "Program A")
    (row,) = matrix(line(code="1.06.05 Program B", program=None)).rows
    assert row["program"] == Named("1.06.05", "Program B")
    (row,) = matrix(line(code="1.06")).rows
    assert row["code"] == Code("1.06", CodeKind.FIELD)


def test_codes_that_contradict_each_other():
    result = matrix(line(code="1.06.05", program="1.06.06 Program A"))
    assert list_codes(result.errors) == [("code_conflict", 2, "D")]
    result = matrix(line(program="1.06.05 P", activity="1.06.06.2.01 K"))
    assert list_codes(result.errors) == [("code_conflict", 2, "F")]


def test_only_a_repayment_in_a_half_year_is_negative():
    result = matrix(line(spent_s1=500, spent_s2="(20)", spent_total=480))
    assert (result.errors, result.rows[0]["spent_s2"]) == ((), -20)
    assert list_codes(matrix(line(spent_s1=-1)).errors) == [("negative_number", 2, "S")]


def test_rounding_names_its_cell():
    result = matrix(line(allocation=29986597.2))
    assert result.rows[0]["allocation"] == 29986597
    assert result.rows[0].rounded == {"allocation"}
    assert list_codes(result.warnings) == [("rounded", 2, "K")]
