"""Headers of one to three rows, merged or carried, with unknown labels among them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exchange.matrix.columns import BY_KEY, COLUMNS, QUARTERS, REALISATION
from app.exchange.matrix.headers import LAYOUT
from app.exchange.matrix.rules import read_matrix
from app.kit.files.books import Sheet
from app.kit.tables.headers import find_table
from tests.matrix.build import S1, line, list_codes, xlsx

GROUPED = [column.key for column in (*COLUMNS, *QUARTERS) if column.group]
PLAIN = [column.key for column in COLUMNS if not column.group]
UNITS = st.sampled_from(
    ["", " (Rp)", " (dalam Rp)", " TA 2026", " Tahun Anggaran 2026", " 2026", " (OPD/Mitra)"]
)
UNKNOWN = st.sampled_from(["Sisa", "Fisik %", "Keterangan Sisa", "Bobot", "TW V"])


@st.composite
def headers(draw: st.DrawFn) -> tuple[list[list[Any]], dict[str, int], list[int], list[tuple[int, int]]]:
    """A header in any order and spelling: its rows, the columns by key, the unknown columns, the merged ranges."""
    keys = draw(st.permutations(PLAIN))
    blocks: list[list[str | None]] = [[key] for key in keys if draw(st.booleans()) or BY_KEY[key].required]
    for group in ("Aktifitas Real", REALISATION):
        members = [key for key in GROUPED if BY_KEY[key].group == group]
        chosen: list[str | None] = draw(st.lists(st.sampled_from(members), unique=True, max_size=4))
        if chosen:
            chosen += [None] * draw(st.integers(0, 2))  # unknown columns of the group
            blocks.insert(draw(st.integers(0, len(blocks))), draw(st.permutations(chosen)))
    upper: list[str | None] = []
    lower: list[str | None] = []
    columns: dict[str, int] = {}
    unknown: list[int] = []
    merged: list[tuple[int, int]] = []
    for block in blocks:
        first = block[0] if len(block) == 1 else None
        if first is not None and first in PLAIN:
            columns[first] = len(upper)
            upper.append(draw(st.sampled_from(BY_KEY[first].labels)) + draw(UNITS))
            lower.append(draw(st.sampled_from([None, "(Rp)"])))
            continue
        group = next(BY_KEY[key].group for key in block if key)
        merged.append((len(upper), len(upper) + len(block) - 1))
        upper += [group, *[None] * (len(block) - 1)]
        for key in block:
            (columns.__setitem__(key, len(lower)) if key else unknown.append(len(lower)))
            lower.append(draw(st.sampled_from(BY_KEY[key].labels)) if key else draw(UNKNOWN))
    return [upper, lower], columns, unknown, merged


@given(headers(), st.booleans(), st.booleans())
def test_any_header_reads_to_the_same_columns(header, is_merged, has_titles):
    (upper, lower), columns, unknown, merged = header
    rows = [["RENCANA AKSI TAHUNAN"], []] * has_titles + [upper, lower]
    top = len(rows) - 2
    spread = {}
    if is_merged:
        for left, right in merged:
            for c in range(left, right + 1):
                rows[top][c] = upper[left]
                if c > left:
                    spread[top, c] = (top, left)
    sheet = Sheet("A", [*rows, [None] * len(upper)], spread)
    table = find_table(sheet, LAYOUT)
    if len({key for key, c in columns.items() if BY_KEY[key].group is None}) < LAYOUT.fewest:
        return
    assert table is not None
    assert (dict(table.columns), table.errors) == (columns, ())
    assert (table.first_row, table.data_row) == (top, top + (2 if any(lower) else 1))
    assert list_codes(table.warnings) == [
        ("unknown_column", top + 2, sheet.cell(0, c).column) for c in sorted(unknown)
    ]


@pytest.mark.parametrize("lowest", ["Keuangan", "(Rp)", "Anggaran", None])
def test_three_rows(lowest):
    labels = ["No", "Strategi", "OPD", "Program", "Sub Kegiatan", "Pagu"]
    rows = [
        [*labels, "Realisasi", None, None, None],
        [None] * 6 + ["Triwulan I", None, "Triwulan II", None],
        [None] * 6 + [lowest, "Fisik", lowest, "Fisik"],
        [1, S1, "Dinas Sosial", "P", "Sub A", 100, 5, 10, 7, 20],
    ]
    result = read_matrix(xlsx(rows), "a.xlsx")
    assert [(row["spent_q1"], row["spent_q2"], row.row) for row in result.rows] == [(5, 7, 4)]
    assert list_codes(result.warnings) == [("unknown_column", 3, "H"), ("unknown_column", 3, "J")]


PLAN_LABELS = ["No", "Strategi", "OPD", "Program", "Sub Kegiatan", "Pagu"]
LINE = [1, S1, "Dinas Sosial", "P", "Sub A", 100]


@pytest.mark.parametrize("group", ["Target Kinerja", "Realisasi Fisik", None])
def test_quarters_of_something_else_are_no_spending(group):
    rows = [
        ["No", "Strategi", "OPD", "Program", "Sub Kegiatan", "Pagu", group or "TW I", None],
        [None] * 6 + (["TW I", "TW II"] if group else [None, None]),
        [1, S1, "Dinas Sosial", "P", "Sub A", 100, 5, 7],
    ]
    result = read_matrix(xlsx(rows), "a.xlsx")
    assert (result.spent, len(result.rows), result.errors) == ((), 1, ())
    assert {code for code, *_ in list_codes(result.warnings)} == {"unknown_column"}


def test_a_column_with_content_and_no_heading_is_named_once():
    rows = [[*PLAN_LABELS, None, None], [*LINE, None, "lebih"], [*LINE, None, 5], ["JUMLAH", *[None] * 6, 5]]
    result = read_matrix(xlsx(rows), "a.xlsx")
    assert list_codes(result.warnings) == [("unknown_column", 1, "H"), ("repeated_row", 3, "E")]


@pytest.mark.parametrize("unit", ["(USD)", "(Rp M)", "(US$)", "(dalam T)"])
def test_a_currency_or_scale_that_no_reader_knows_is_refused(unit):
    rows = [[*PLAN_LABELS[:-1], f"Pagu {unit}"], LINE]
    assert list_codes(read_matrix(xlsx(rows), "a.xlsx").errors) == [("unclear_unit", 1, "F")]


def test_a_share_is_no_amount():
    header = ["No", "Strategi", "OPD", "Program", "Sub Kegiatan", "Pagu", "Sem.1 (%)", "Realisasi Sem.1"]
    result = read_matrix(xlsx([header, [1, S1, "Dinas Sosial", "P", "Sub A", 100, 45, 7]]), "a.xlsx")
    assert result.rows[0]["spent_s1"] == 7
    assert list_codes(result.warnings) == [("unknown_column", 1, "G")]


def test_the_first_line_is_no_header():
    header = [column.labels[0] for column in COLUMNS]
    result = read_matrix(xlsx([header, line(number=None, allocation=None), line()]), "a.xlsx")
    assert [row.row for row in result.rows] == [2, 3]


def test_the_lower_row_again_is_no_line():
    header = [
        ["No", "Strategi", "OPD", "Sub Kegiatan", "Pagu", "Realisasi", None],
        [None] * 5 + ["Sem.1", "Sisa"],
    ]
    rows = [*header, [1, S1, "A", "Sub A", 1, 2, 3], *header, [2, S1, "A", "Sub B", 1, 2, 3]]
    result = read_matrix(xlsx(rows), "a.xlsx")
    assert [row["spent_s1"] for row in result.rows] == [2, 2]
    assert result.errors == ()


SCALES = {1_000: "Ribu", 1_000_000: "Juta", 1_000_000_000: "Miliar"}
HEADING_UNITS = ["({} Rp)", "(dalam {}an Rp)", "Rp. {}", "(Rp {})", "({} Rupiah)", "dalam {}an rupiah"]
TITLE_UNITS = ["Satuan: {} rupiah", "(dalam {}an Rp)", "Angka dalam {}an", "MATRIKS RAT (Rp. {})"]


@given(
    st.integers(1, 9_000),
    st.sampled_from(sorted(SCALES)),
    st.sampled_from([*HEADING_UNITS, "(x Rp1.000)", "(Rp.000)", "(000 Rp)"]),
    st.sampled_from(TITLE_UNITS),
    st.sampled_from(["heading", "group", "below", "title"]),
)
def test_a_unit_multiplies_and_is_named(amount, times, unit, title, place):
    if "{}" in unit:
        unit = unit.format(SCALES[times])
    elif place != "title":
        times = 1_000
    heading = f"Pagu {unit}" if place == "heading" else "Pagu"
    rows = [
        [title.format(SCALES[times])] if place == "title" else ["RAT"],
        ["No", "Strategi", "OPD", "Sub Kegiatan", heading, f"Realisasi {unit if place == 'group' else ''}", None],
        [None] * 4 + [unit if place == "below" else None, "Sem.1", "Sem.2"],
        ["1", S1, "Dinas Sosial", "Sub A", amount, str(amount), amount + 1],
        [None, "Jumlah", None, None, amount, None, None],
    ]  # fmt: skip
    result = read_matrix(xlsx(rows), "a.xlsx")
    of = {"heading": "E", "group": "FG", "below": "E", "title": "EFG"}[place]
    (row,) = result.rows
    wanted = [("E", "allocation", amount), ("F", "spent_s1", amount), ("G", "spent_s2", amount + 1)]
    assert [row[key] for _, key, _ in wanted] == [
        n * (times if letter in of else 1) for letter, _, n in wanted
    ]
    assert [(factor.column, factor.times) for factor in result.factors] == [(letter, times) for letter in of]
    assert [(w.kind.code, w.cell.column) for w in result.warnings] == [
        ("multiplied", letter) for letter in of
    ]
    assert result.errors == ()


LABELLED = ["No", "Strategi", "OPD", "Sub Kegiatan", "Pagu", "Jumlah Sasaran", "Besaran Manfaat"]


@pytest.mark.parametrize(
    ("title", "changes", "cells", "errors"),
    [
        ("Dalam ribuan rupiah", {4: "Pagu (Rp Juta)"}, {}, []),
        ("Dalam ribuan Rp / dalam jutaan Rp", {}, {}, [("unclear_unit", 1, "A")]),
        ("RAT", {4: "Pagu (Ribu Rp) (Juta)"}, {}, [("unclear_unit", 2, "E")]),
        ("RAT", {5: "Jumlah Sasaran (ribu jiwa)"}, {}, [("unclear_unit", 2, "F")]),
        ("RAT", {4: "Pagu (Ribu Rp)"}, {4: "Rp 60.000"}, [("other_unit", 3, "E")]),
        ("Dalam ribuan Rp", {}, {4: "Rp 60.000"}, [("other_unit", 3, "E")]),
        ("Dalam ribuan Rp", {}, {6: "Rp 60.000"}, []),
        ("RAT", {6: "Besaran Manfaat (Ribu Rp)"}, {6: "Rp 60.000"}, [("other_unit", 3, "G")]),
    ],
)
def test_units_that_disagree(title, changes, cells, errors):
    header = [changes.get(c, label) for c, label in enumerate(LABELLED)]
    row = [cells.get(c, value) for c, value in enumerate([1, S1, "A", "Sub A", 5, "5 KK", 7])]
    result = read_matrix(xlsx([[title], header, row]), "a.xlsx")
    assert list_codes(result.errors) == errors
    if not errors and 6 in cells:
        assert result.rows[0]["benefit_amount"] == 60_000


def test_a_unit_in_a_note_below_the_table():
    rows = [LABELLED, [1, S1, "A", "Sub A", 5, None, None], [], ["Keterangan: dalam ribuan rupiah"]]
    assert list_codes(read_matrix(xlsx(rows), "a.xlsx").errors) == [("unclear_unit", 4, "A")]


def test_a_mark_that_is_the_decimal_one_in_its_column():
    header = [*LABELLED[:4], "Pagu (Rp Juta)", *LABELLED[5:]]
    rows = [header, [1, S1, "A", "Sub A", "1,5", None, None], [2, S1, "A", "Sub B", "1,250", None, None]]
    assert list_codes(read_matrix(xlsx(rows), "a.xlsx").errors) == [("ambiguous_number", 3, "E")]
    rows[1][4] = "1.250.000"
    assert [row["allocation"] for row in read_matrix(xlsx(rows[:2]), "a.xlsx").rows] == [1_250_000 * 10**6]


@pytest.mark.parametrize("label", ["Jumlah", "Total (Rp)"])
def test_a_sum_without_spending_beside_it_is_no_spending(label):
    beside = read_matrix(xlsx([[*PLAN_LABELS, label], [*LINE, 7]]), "a.xlsx")
    assert (beside.spent, list_codes(beside.warnings)) == ((), [("unknown_column", 1, "G")])
    alone = read_matrix(xlsx([[*PLAN_LABELS[:-1], label], LINE]), "a.xlsx")
    assert list_codes(alone.errors) == [("doubtful_column", 1, "F")]
    assert [(item.heading, item.field) for item in alone.columns] == [(label, "allocation")]
    spent = read_matrix(xlsx([[*PLAN_LABELS, "Sem.1", label], [*LINE, 7, 7]]), "a.xlsx")
    assert spent.spent == ("spent_s1", "spent_total")
