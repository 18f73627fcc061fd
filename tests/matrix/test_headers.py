"""Headers of one to three rows, merged or carried, with unknown labels among them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exchange.matrix.headers import LAYOUT
from app.exchange.matrix.models import BY_KEY, COLUMNS, QUARTERS, REALISATION
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
