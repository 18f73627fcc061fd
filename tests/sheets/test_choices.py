"""Choices of columns: a heading of any row names a column, and beats the labels."""

from functools import partial
from typing import Any

import pytest

from app.kit.files.books import Sheet
from app.kit.problems import Invalid
from app.kit.tables.choices import ColumnChoice, parse_columns
from app.kit.tables.headers import TableHeader, find_table
from app.kit.tables.layouts import TableField, TableLayout
from app.kit.tables.resolutions import parse_resolutions
from app.reference.places.areas.models import AREA_RESOLUTIONS

LAYOUT = TableLayout(
    [
        TableField("village", ("Desa",), is_required=True),
        TableField("families", ("Keluarga",)),
        TableField("served", ("Terlayani",), ("Air Minum",)),
        TableField("note", ("Catatan",)),
    ],
    fewest=2,
)
HEADER = [["Nama", "Keluarga", "Air", None, "Sanitasi", None], [None, None, "Ada", "Sisa", "Ada", "Sisa"]]
LINE = ["Suka Marga", 1, 2, 3, 4, 5]


def choose(*choices: tuple[str, str | None] | tuple[str, str | None, int]) -> list[ColumnChoice]:
    return [
        ColumnChoice(heading=heading, field=key, row=row[0] if row else None)
        for heading, key, *row in choices
    ]


def find(rows: list[list[Any]], *choices: Any) -> TableHeader:
    header = find_table(Sheet("A", [["Rekap"], [], *rows]), LAYOUT, choose(*choices))
    assert header is not None
    return header


def list_errors(header: TableHeader) -> list[tuple[str, str | None]]:
    return [(error.kind.code, error.pointer) for error in header.errors if error.pointer]


def test_any_heading_may_name_a_column():
    header = find([*HEADER, LINE], ("nama", "village"), ("Air / Ada", "served"), ("Sanitasi / Sisa", None))
    assert dict(header.columns) == {"village": 0, "families": 1, "served": 2}
    assert (header.first_row, header.data_row, list_errors(header)) == (2, 4, [])
    assert [(warning.cell.column, warning.cell.row) for warning in header.warnings if warning.cell] == [
        ("D", 4),
        ("E", 4),
    ]


def test_a_chosen_heading_beats_the_labels():
    header = find([["Nama", "Desa", "Keluarga"], ["Suka Marga", "x", 1]], ("Nama", "village"))
    assert (dict(header.columns), header.errors) == ({"village": 0, "families": 2}, ())
    assert [(warning.kind.code, warning.value) for warning in header.warnings] == [("unknown_column", "Desa")]


def test_chosen_headings_alone_make_a_header():
    rows = [["Nama", "Jiwa"], ["Suka Marga", 1]]
    assert find_table(Sheet("A", rows), LAYOUT) is None
    assert dict(find(rows, ("Nama", "village")).columns) == {"village": 0}


def test_the_row_tells_equal_headings_apart():
    rows = [["Desa", "Keluarga", "Ada", "Air"], [None, None, "Air", "Ada"], ["Suka Marga", 1, 2, 3]]
    assert find(rows, ("Ada", "note", 3)).columns["note"] == 2
    assert find(rows, ("Ada", "note", 4)).columns["note"] == 3
    assert list_errors(find(rows, ("Ada", "note", 5))) == [("no_such_heading", "/columns/0/heading")]


@pytest.mark.parametrize(
    ("choices", "errors"),
    [
        ([("Nama", "vilage")], [("unknown_value", "/columns/0/field")]),
        ([("Name", "village")], [("no_such_heading", "/columns/0/heading")]),
        ([("Ada", "served")], [("shared_heading", "/columns/0/heading")]),
        ([("Ada", None)], [("shared_heading", "/columns/0/heading")]),
        ([("Nama", "village"), ("NAMA", "note")], [("duplicate_key", "/columns/1/heading")]),
        ([("Air / Ada", "note"), ("Air / Sisa", "note")], [("field_chosen_twice", "/columns/1/field")]),
    ],
)
def test_choices_that_fit_no_column(choices, errors):
    assert list_errors(find([*HEADER, LINE], ("Keluarga", "families"), *choices)) == [
        (code, pointer.replace(pointer[9], str(int(pointer[9]) + 1))) for code, pointer in errors
    ]


def test_columns_with_equal_headings_can_only_be_skipped():
    rows = [["Desa", "Keluarga", "Ket", "Ket"], ["Suka Marga", 1, 2, 3]]
    assert list_errors(find(rows, ("Ket", "note"))) == [("shared_heading", "/columns/0/heading")]
    header = find(rows, ("Ket", None))
    assert (header.errors, header.warnings) == ((), ())


def test_malformed_choices():
    assert parse_columns('[{"heading": "Nama", "field": null}]') == choose(("Nama", None))
    with pytest.raises(Invalid) as refusal:
        parse_columns('[{"field": "village"}, {"heading": "", "field": "village", "row": 0}]')
    assert [error.pointer for error in refusal.value.errors] == [
        "/columns/0/heading",
        "/columns/1/heading",
        "/columns/1/row",
    ]


@pytest.mark.parametrize("parse", [parse_columns, partial(parse_resolutions, AREA_RESOLUTIONS)])
def test_a_syntax_error_names_the_part_of_the_form(parse):
    with pytest.raises(Invalid) as caught:
        parse('[{"x"')
    (error,) = caught.value.errors
    assert error.kind.code == "malformed_json"
    assert error.pointer in ("/columns", "/resolutions")
