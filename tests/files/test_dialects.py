"""CSV in each dialect: what the writer wrote comes back, and no spreadsheet finds a formula in it."""

import csv
import io
import itertools
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.kit.files.books import Formula
from app.kit.files.delimited import (
    Dialect,
    escape_cells,
    escape_formula,
    read_delimited,
    unescape_cells,
    write_delimited,
)

SEPARATORS = (",", ";", "\t")
DIALECTS = [Dialect(separator, decimal) for separator, decimal in itertools.product(SEPARATORS, ".,")]
SIGNS = tuple("=+-@＝＋－＠")

# Texts of the signs that matter, and any other text.
texts = st.one_of(
    st.text(st.sampled_from(list("=+-@'\";,\t\r\n a1＝")), max_size=12),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
)
rows = st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=5)


def parse(data: bytes, separator: str) -> list[list[str]]:
    """Return the cells that a spreadsheet with this separator would show."""
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=separator))


@pytest.mark.parametrize("dialect", DIALECTS, ids=repr)
@given(rows=rows)
@example(rows=[(";;;;", "x;=1", 'a\n"=1"')])
@example(rows=[("'\t'=1", "\r\n-1", ";'\"@a")])
@settings(max_examples=50, deadline=None)
def test_reading_returns_what_was_written(dialect: Dialect, rows: list[tuple[str, ...]]) -> None:
    header = ("Kode", "Nama", "Alamat")
    sheet = read_delimited(write_delimited([header, *rows], dialect), "x.csv")
    read = [
        tuple(cell if isinstance(cell, str) and cell.strip() else "" for cell in row) for row in sheet.rows
    ]
    assert read == [header, *[tuple(cell if cell.strip() else "" for cell in row) for row in rows]]


@pytest.mark.parametrize("dialect", DIALECTS, ids=repr)
@given(rows=rows)
@settings(max_examples=50, deadline=None)
def test_no_spreadsheet_finds_a_formula(dialect: Dialect, rows: list[tuple[str, ...]]) -> None:
    data = write_delimited(rows, dialect)
    for separator in SEPARATORS:
        cells = [cell for row in parse(data, separator) for cell in row]
        assert [cell for cell in cells if cell.lstrip().startswith(SIGNS)] == []


@given(rows=rows)
@settings(max_examples=50, deadline=None)
def test_programs_get_each_text_unchanged(rows: list[tuple[str, ...]]) -> None:
    data = write_delimited(rows, Dialect(is_machine=True))
    assert not data.startswith(b"\xef\xbb\xbf")
    assert [tuple(row) for row in parse(data, ",")] == rows


@given(texts, st.sampled_from(SEPARATORS))
@settings(max_examples=50, deadline=None)
def test_escaping_is_undone(text: str, separator: str) -> None:
    assert unescape_cells(escape_cells(text, separator), separator) == text


def test_numbers_take_the_decimal_sign() -> None:
    row = [1_250_000, 7.25, "7.25", -0.5]
    assert write_delimited([row], Dialect(";", ",")) == b"\xef\xbb\xbf1250000;7,25;7.25;-0,5\r\n"
    assert write_delimited([row], Dialect(is_machine=True)) == b"1250000,7.25,7.25,-0.5\r\n"


def test_amounts_with_a_dash_stay_as_they_are_in_a_file_with_commas() -> None:
    assert escape_cells("Rp 1.000,- per KK") == "Rp 1.000,- per KK"
    assert escape_cells("Rp 1.000,- per KK", ";") == "Rp 1.000,'- per KK"
    assert escape_formula("a;=1") == "a;=1"


@pytest.mark.parametrize(
    "text", ["\n" * 130_000, "'\"" * 65_000, ";" * 130_000, ";=" * 65_000, "\n=" * 65_000]
)
def test_escaping_takes_linear_time(text: str) -> None:
    start = time.process_time()
    assert unescape_cells(escape_cells(text)) == text
    assert time.process_time() - start < 2


def test_a_formula_of_another_program_is_still_named() -> None:
    assert read_delimited(b"a,b\r\n=1+1,2\r\n", "x.csv").rows[1] == [Formula("=1+1"), "2"]
