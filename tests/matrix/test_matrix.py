"""From awkward sheets to rows: headers, blanks, sections, totals, footers."""

import pytest

from app.exchange.matrix.models import COLUMNS, Code, CodeKind, Named
from app.exchange.matrix.rules import read_matrix
from app.kit.files.unreadable import UnreadableFile
from tests.matrix.build import LABELS, S1, S2, S3, codes, line, matrix, only, xlsx

NUMBERS = list(range(1, 22))


def names(found, key="subactivity"):
    return [row[key].name if row[key] else None for row in found.rows]


# -- the header ---------------------------------------------------------------------------------


def test_finds_the_header_by_its_labels_wherever_the_columns_are():
    keys = ["allocation", "subactivity", "agency", "strategy"]
    header = ["x", "Pagu (Rp)", "SUB  KEGIATAN", "OPD", "Strategi", "Program"]
    found = read_matrix(xlsx([["RAT"], [], header, [None, 5, "Sub A", "Dinas Sosial", S1, "P"]]), "a.xlsx")
    (row,) = found.rows
    assert found.titles == ("RAT",)
    assert [row.columns[key] for key in keys] == ["B", "C", "D", "E"]
    assert (row["allocation"], row["subactivity"], row["program"], row.row) == (
        5,
        Named(None, "Sub A"),
        Named(None, "P"),
        4,
    )
    assert codes(found.warnings) == [("unknown_column", 3, "A")]
    assert found.errors == ()


def test_finds_the_header_by_its_numbering_row_alone():
    found = read_matrix(xlsx([[f"?{n}" for n in NUMBERS], NUMBERS, line()]), "a.xlsx")
    assert names(found) == ["Sub A"]
    assert found.has_realisation
    found = read_matrix(xlsx([[None, *(f"({n})" for n in range(1, 19))], [None, *line()[:18]]]), "a.xlsx")
    assert names(found) == ["Sub A"]
    assert found.rows[0].columns["number"] == "B"
    assert not found.has_realisation


def test_a_numbering_row_settles_a_label_nobody_knows():
    header = ["Banyaknya" if label == "Jumlah Sasaran Penerima Manfaat" else label for label in LABELS]
    found = read_matrix(xlsx([header, NUMBERS[:18], line(recipients="5 KK")[:18]]), "a.xlsx")
    assert found.rows[0]["recipients"][0].count == 5
    assert found.warnings == ()


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

    found = read_matrix(
        xlsx([["RAT 2025"], upper, lower, NUMBERS, line(direct="Pelatihan", spent_s1=3)], merge), "a.xlsx"
    )
    (row,) = found.rows
    assert (row["direct"][0].name, row["spent_s1"], row.row) == ("Pelatihan", 3, 5)
    assert (found.errors, found.warnings, found.titles) == ((), (), ("RAT 2025",))


def test_missing_and_double_columns_are_named():
    found = read_matrix(
        xlsx([["No", "Strategi", "Perangkat Daerah", "Program", "Kegiatan", "Lokasi", "Lokasi"], [1]]),
        "a.xlsx",
    )
    assert codes(found.errors) == [
        ("duplicate_column", 1, "G"),
        ("missing_column", 1, "A"),
        ("missing_column", 1, "A"),
    ]
    assert [e.allowed for e in found.errors[1:]] == ["Sub Kegiatan", "Alokasi Anggaran (Rp)"]
    assert found.rows == ()


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
    found = read_matrix(data, "a.xlsx")
    assert (found.sheet, names(found, "agency")) == ("Isi", ["Dinas A"])
    assert [(w.kind.code, w.value) for w in found.warnings] == [("other_sheets", "Lain")]
    assert names(read_matrix(data, "a.xlsx", sheet="Lain"), "agency") == ["Dinas B"]


def test_the_header_again_on_the_next_page_is_no_line():
    header = [c.labels[0] for c in COLUMNS]
    found = matrix(line(), header, NUMBERS, line(subactivity="Sub B"))
    assert names(found) == ["Sub A", "Sub B"]
    assert found.errors == ()


# -- as above -----------------------------------------------------------------------------------


def test_blank_levels_mean_as_above():
    found = matrix(line(), only(number=2, subactivity="Sub B", allocation=5))
    row = found.rows[1]
    assert row["agency"] == Named("1.06.0.00.0.00.08.0000", "Dinas Sosial")
    assert (row["strategy"], row["program"].name, row["activity"].name) == (
        "reduce_spending_burden",
        "Program A",
        "Kegiatan A",
    )
    assert row.inherited == {"strategy", "agency", "program", "activity"}
    assert found.rows[0].inherited == set()
    assert found.errors == ()


def test_another_agency_takes_nothing_from_the_one_above():
    found = matrix(line(), only(agency="Dinas B", subactivity="Sub B", allocation=5))
    row = found.rows[1]
    assert (row["agency"], row["program"], row["activity"]) == (Named(None, "Dinas B"), None, None)


def test_the_same_agency_named_again_keeps_what_is_above():
    found = matrix(line(), only(agency="Dinas Sosial", subactivity="Sub B", allocation=5))
    assert found.rows[1]["agency"].code == "1.06.0.00.0.00.08.0000"
    assert found.rows[1]["program"].name == "Program A"


def test_another_programme_forgets_the_activity_and_a_dash_says_none():
    found = matrix(
        line(),
        only(program="Program B", subactivity="Sub B", allocation=5),
        only(program="-", subactivity="Sub C", allocation=5),
    )
    assert [(r["program"] and r["program"].name, r["activity"]) for r in found.rows[1:]] == [
        ("Program B", None),
        (None, None),
    ]


def test_amounts_are_never_taken_from_above():
    found = matrix(line(funding_sources="APBD"), only(number=2, subactivity="Sub B"))
    assert (found.rows[1]["allocation"], found.rows[1]["funding_sources"]) == (None, ())


def test_a_row_without_number_and_sub_activity_continues_the_line_above():
    found = matrix(
        line(),
        only(allocation=500, funding_sources="DAK"),
        only(direct="Pelatihan"),
        only(number=2, allocation=7),
    )
    assert names(found) == ["Sub A"] * 4
    assert [row.continues for row in found.rows] == [None, 2, 2, None]


def test_merged_levels_are_as_above_and_merged_amounts_count_once():
    def merge(sheet):
        for letter in "ACDEFGK":
            sheet.merge_cells(f"{letter}2:{letter}3")

    found = matrix(line(), only(funding_sources="DAK"), change=merge)
    first, second = found.rows
    assert second["subactivity"] == first["subactivity"]
    assert second["agency"] == first["agency"]
    assert (first["allocation"], second["allocation"]) == (1000, None)
    assert second.continues == 2
    assert codes(found.warnings) == [("merged_amount", 3, "K")]


# -- sections -----------------------------------------------------------------------------------


def test_a_section_row_sets_the_strategy_and_forgets_what_was_above():
    found = matrix(
        only(number=S1.upper()),
        line(strategy=None),
        only(number="2. Peningkatan Pendapatan"),
        line(strategy=None, agency="B"),
    )
    assert [row["strategy"] for row in found.rows] == ["reduce_spending_burden", "raise_income"]
    found = matrix(
        only(number=S1), line(strategy=None), only(number=S2), only(subactivity="Sub B", allocation=1)
    )
    assert found.rows[1]["agency"] is None
    assert codes(found.errors) == [("no_agency", 5, "C")]


def test_a_merged_section_row():
    found = matrix(only(number=S3), line(strategy=None), change=lambda s: s.merge_cells("A2:U2"))
    assert [row["strategy"] for row in found.rows] == ["reduce_poverty_pockets"]
    assert found.errors == found.warnings == ()


def test_another_strategy_in_its_column_begins_a_block():
    found = matrix(
        line(), line(strategy=S2, agency=None, code=None, program=None, activity=None, subactivity="Sub B")
    )
    assert [row["strategy"] for row in found.rows] == ["reduce_spending_burden", "raise_income"]
    assert found.rows[1]["agency"] is None


def test_a_strategy_that_contradicts_its_section():
    found = matrix(only(number=S1), line(strategy=S2))
    assert codes(found.errors) == [("strategy_conflict", 3, "B")]


def test_a_section_that_is_no_strategy_is_an_error_only_where_a_line_needs_it():
    found = matrix(only(number="BIDANG SOSIAL"), line(), line(subactivity="B"))
    assert (codes(found.warnings), found.errors) == ([("unknown_section", 2, "A")], ())
    found = matrix(only(number="BIDANG SOSIAL"), line(strategy=None), line(strategy=None))
    assert (codes(found.errors), found.warnings) == ([("unknown_section", 2, "A")], ())


def test_no_strategy_at_all():
    found = matrix(line(strategy=None))
    assert codes(found.errors) == [("no_strategy", 2, "B")]


def test_an_unknown_strategy_is_kept_and_reported():
    found = matrix(line(strategy="Bantuan Umum"))
    assert found.rows[0]["strategy"] is None
    assert found.rows[0].texts["strategy"] == "Bantuan Umum"
    assert codes(found.errors) == [("unknown_strategy", 2, "B")]


# -- rows that are no lines ---------------------------------------------------------------------


def test_headings_set_the_levels_below_them():
    found = matrix(
        only(agency="Dinas A"),
        only(program="P"),
        only(activity="K"),
        only(number=1, strategy=S1, subactivity="Sub A", allocation=1),
    )
    (row,) = found.rows
    assert (row["agency"].name, row["program"].name, row["activity"].name) == ("Dinas A", "P", "K")
    assert found.errors == ()


def test_an_amount_on_a_heading_is_not_guessed_to_be_a_subtotal():
    found = matrix(line(), only(program="Program B", allocation=99))
    assert codes(found.errors) == [("no_subactivity", 3, "G")]


@pytest.mark.parametrize(
    "cells",
    [{"agency": "Jumlah"}, {"number": "TOTAL"}, {"strategy": S1, "subactivity": "Sub Total Strategi 1"}],
)
def test_totals_are_no_lines_and_are_checked(cells):
    found = matrix(line(), line(subactivity="Sub B"), only(allocation=2000, **cells))
    assert (names(found), found.errors, found.warnings) == (["Sub A", "Sub B"], (), ())
    found = matrix(line(), line(subactivity="Sub B"), only(allocation=2001, **cells))
    assert codes(found.warnings) == [("total_differs", 4, "K")]
    found = matrix(line(), only(allocation="=SUM(K2:K2)", **cells))
    assert (found.errors, found.warnings) == ((), ())


def test_the_footer_ends_the_table():
    found = matrix(
        line(),
        [],
        only(number="Keterangan:"),
        only(number=1, strategy="Strategi diisi menurut Inpres"),
        only(location="Kotabaru, 2 Januari"),
    )
    assert (names(found), found.errors, found.warnings) == (["Sub A"], (), ())


def test_signatures_below_a_gap_are_no_lines_and_are_mentioned():
    found = matrix(line(), [], only(location="Kotabaru, 2 Januari 2025"), only(location="Kepala Bappeda"))
    assert names(found) == ["Sub A"]
    assert codes(found.warnings) == [("text_after_table", 4, "N")]


def test_lines_below_the_footer_are_not_lost_silently():
    found = matrix(line(), only(number="Keterangan"), line(subactivity="Sub B"))
    assert names(found) == ["Sub A"]
    assert codes(found.errors) == [("lines_after_end", 4, "G")]


def test_a_gap_in_the_middle_is_no_end():
    found = matrix(line(), [], [], line(subactivity="Sub B"), only(number=3))
    assert names(found) == ["Sub A", "Sub B"]


def test_an_office_of_civil_registration_is_no_footer():
    found = matrix(line(), only(agency="Catatan Sipil", subactivity="Sub B", allocation=1))
    assert names(found) == ["Sub A", "Sub B"]


def test_a_table_without_lines():
    assert codes(matrix().errors) == [("no_lines", 2, "A")]


# -- cells --------------------------------------------------------------------------------------


def test_formulas_are_reported_cell_by_cell():
    found = matrix(line(number="=1+0", allocation="=500*2", spent_total="=S2+T2", location="=A1"))
    assert codes(found.errors) == [("formula", 2, "K"), ("formula", 2, "N"), ("formula", 2, "U")]
    assert found.errors[0].value == "=500*2"
    assert found.rows[0]["allocation"] is None


def test_every_wrong_cell_is_named_at_once():
    found = matrix(line(allocation="12a", code="kode?", spent_s1=-1, duration="lama"))
    assert sorted(codes(found.errors)) == [
        ("code_unreadable", 2, "D"),
        ("negative_number", 2, "S"),
        ("not_an_amount", 2, "K"),
    ]
    assert codes(found.warnings) == [("unread_duration", 2, "R")]
    assert dict(found.rows[0].texts) == {
        "allocation": "12a",
        "code": "kode?",
        "spent_s1": "-1",
        "duration": "lama",
    }


def test_the_code_column_gives_its_code_to_the_level_it_belongs_to():
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
    found = matrix(line(code="1.06.05", program="1.06.06 Program A"))
    assert codes(found.errors) == [("code_conflict", 2, "D")]
    found = matrix(line(program="1.06.05 P", activity="1.06.06.2.01 K"))
    assert codes(found.errors) == [("code_conflict", 2, "F")]


def test_money_that_came_back_in_a_half_year_is_below_zero_there_only():
    found = matrix(line(spent_s1=500, spent_s2="(20)", spent_total=480))
    assert (found.errors, found.rows[0]["spent_s2"]) == ((), -20)
    assert codes(matrix(line(spent_s1=-1)).errors) == [("negative_number", 2, "S")]


def test_rounding_names_its_cell():
    found = matrix(line(allocation=29986597.2))
    assert found.rows[0]["allocation"] == 29986597
    assert found.rows[0].rounded == {"allocation"}
    assert codes(found.warnings) == [("rounded", 2, "K")]
