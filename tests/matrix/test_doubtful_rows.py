"""Rows that a person may not have meant: hidden, struck out, repeated."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.styles import Font

from app.exchange.matrix.columns import COLUMNS
from app.exchange.matrix.models import Matrix
from app.exchange.matrix.rules import read_matrix
from app.kit.files.reader import open_book
from app.kit.tables.options import LineOptions
from tests.matrix.build import line, list_codes, partial_line, xlsx

HEADER = [column.labels[0] for column in COLUMNS]
STRIKE = Font(strike=True)


def read(rows: list[list[Any]], change: Any = lambda sheet: None, **options: Any) -> Matrix:
    return read_matrix(xlsx([HEADER, *rows], change), "a.xlsx", options=LineOptions(**options))


def hide(*rows: int) -> Any:
    def change(sheet: Any) -> None:
        for row in rows:
            sheet.row_dimensions[row].hidden = True

    return change


def strike(*rows: int, letters: str = "ABCDEFGK") -> Any:
    def change(sheet: Any) -> None:
        for row in rows:
            for letter in letters:
                sheet[f"{letter}{row}"].font = STRIKE

    return change


def list_runs(rows: set[int]) -> list[str]:
    starts = sorted(row for row in rows if row - 1 not in rows)
    ends = sorted(row for row in rows if row + 1 not in rows)
    return [str(a) if a == b else f"{a}–{b}" for a, b in zip(starts, ends, strict=True)]


@given(st.sets(st.integers(2, 9)), st.sampled_from([("hidden", hide), ("struck", strike)]))
def test_such_rows_are_asked_about_then_skipped_or_taken(rows, way):
    doubt, make = way
    lines = [line(subactivity=f"Sub {n}", allocation=n) for n in range(2, 10)]
    asked = read(lines, make(*rows))
    assert [error.values["rows"] for error in asked.errors] == list_runs(rows)
    assert {error.kind.code for error in asked.errors} <= {f"{doubt}_row"}
    taken = read(lines, make(*rows), **{f"{doubt}_rows": "take"})
    assert ([row.row for row in taken.rows], taken.errors) == (list(range(2, 10)), ())
    if len(rows) == 8:
        return
    skipped = read(lines, make(*rows), **{f"{doubt}_rows": "skip"})
    assert ([row.row for row in skipped.rows], skipped.errors) == (
        [n for n in range(2, 10) if n not in rows],
        (),
    )
    assert [(item.reason, item.rows) for item in skipped.skipped] == [(doubt, sorted(rows))] * bool(rows)


def test_the_reader_sees_each_way_to_hide_and_strike():
    def change(sheet: Any) -> None:
        sheet.auto_filter.ref = "A1:B9"
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["B"].hidden = True
        sheet["A4"].font = STRIKE
        sheet["B4"].font = Font(strike=False)

    sheet = open_book(xlsx([[1, 2], [1, 2], [1, 2], [1, 2]], change), "a.xlsx").sheet("Sheet")
    assert (sheet.hidden_rows, sheet.hidden_columns, sheet.struck) == ({2}, {1}, {(3, 0)})


def test_a_line_inherits_from_one_that_is_left_out():
    rows = [
        line(agency="Dinas A"),
        line(agency="Dinas B", program="Q"),
        partial_line(number=3, subactivity="C", allocation=5),
    ]
    result = read(rows, hide(3), hidden_rows="skip")
    assert [(row["agency"].name, row["program"].name) for row in result.rows] == [
        ("Dinas A", "Program A"),
        ("Dinas B", "Q"),
    ]
    rows.append(partial_line(funding_sources="DAK", allocation=1))
    assert read(rows, hide(3), hidden_rows="skip").errors == ()
    rows[2:] = [partial_line(funding_sources="DAK", allocation=1)]
    result = read(rows, hide(3), hidden_rows="skip")
    assert list_codes(result.errors) == [("continues_left_out", 4, "G")]


def test_a_struck_cell_of_a_line():
    result = read([line()], strike(2, letters="K"))
    assert list_codes(result.errors) == [("struck_cell", 2, "K")]
    assert read([line()], strike(2, letters="K"), struck_rows="take").errors == ()
    assert read([line()], strike(2, letters="V")).errors == ()


def test_a_hidden_column_is_read_with_a_warning():
    def change(sheet: Any) -> None:
        sheet.column_dimensions["K"].hidden = True

    result = read([line(allocation=7)], change)
    assert (result.rows[0]["allocation"], list_codes(result.warnings)) == (7, [("hidden_column", 1, "K")])


@pytest.mark.parametrize(
    ("option", "rows"), [("take", [2, 3, 4, 5]), ("skip", [2, 4]), ("refuse", [2, 3, 4, 5])]
)
def test_a_repeated_line(option, rows):
    lines = [line(), line(number=7), line(allocation=5), line(number="8", direct="Rapat")]
    result = read(lines, repeated_rows=option)
    assert [row.row for row in result.rows] == rows
    found = result.errors if option == "refuse" else result.warnings
    assert [(e.kind.code, e.cell.row, e.values["first"]) for e in found] == [
        ("repeated_row", 3, 2),
        ("repeated_row", 5, 2),
    ]
    assert [(item.reason, item.rows) for item in result.skipped] == [("repeated", [3, 5])] * (
        option == "skip"
    )


def test_a_total_row_is_never_asked_about():
    result = read([line(), partial_line(agency="Jumlah", allocation=1000)], hide(3))
    assert (result.errors, result.warnings) == ((), ())
