"""Cells of a publisher's table, as typed by people or changed by spreadsheets."""

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.convergence.indicators.files.cells import (
    UnreadableCell,
    find_decimal_mark,
    looks_like_fractions,
    looks_like_times,
    parse_readings,
    read_figure,
)
from app.kit.files.books import ErrorValue, Formula


@pytest.mark.parametrize(
    ("cell", "mark", "expected"),
    [
        ("13,59", None, 13.59),
        ("13.59", None, 13.59),
        ("1.463,67", None, 1463.67),
        ("1,463.67", None, 1463.67),
        ("992 426", None, 992426),
        ("1.250", ",", 1250),
        ("1.250", ".", 1.25),
        ("0,385", None, 0.385),
        ("-2,5", None, -2.5),
        (13.59, None, 13.59),
        (8180, None, 8180),
    ],
)
def test_figures_with_either_decimal_mark_are_read(cell: Any, mark: str | None, expected: float) -> None:
    reading = read_figure(cell, mark)
    assert reading is not None
    assert (reading.value, reading.symbol, reading.flags) == (expected, None, ())


@pytest.mark.parametrize(
    ("cell", "value", "symbol", "flags"),
    [
        ("...", None, "...", []),
        ("…", None, "...", []),
        ("-", None, "-", []),
        ("–", None, "-", []),
        ("NA", None, "NA", []),
        ("n.a.", None, "NA", []),
        ("13,59e", 13.59, None, ["e"]),
        ("13,59 r", 13.59, None, ["r"]),
        ("13.59*", 13.59, None, ["*"]),
        ("13.59 **", 13.59, None, ["**"]),
        ("13.59 (r)*", 13.59, None, ["r", "*"]),
    ],
)
def test_symbols_and_flags_are_kept(
    cell: str, value: float | None, symbol: str | None, flags: list[str]
) -> None:
    reading = read_figure(cell, None)
    assert reading is not None
    assert (reading.value, reading.symbol, list(reading.flags)) == (value, symbol, flags)


@given(st.sampled_from(["...", "…", "-", "–", "—", "NA", "na", "n/a"]), st.sampled_from(["", " ", "e", " *"]))
def test_a_symbol_never_becomes_a_number(symbol: str, flag: str) -> None:
    try:
        reading = read_figure(symbol + flag, ".")
    except UnreadableCell:
        return
    assert reading is not None
    assert reading.value is None


@pytest.mark.parametrize(
    ("cell", "candidates"),
    [
        ("8:18:00", ["8.18"]),
        ("13:59", ["13.59"]),
        ("13:04:00", ["13.4", "13.04"]),
        ("08:18:59", []),
        ("8.18.00", ["8.18"]),
        (time(13, 59), ["13.59"]),
        (time(8, 18, 59), []),
        (timedelta(hours=37, minutes=20), ["37.20"]),
        (datetime(1900, 1, 18, 23, 31, 12), ["18.98"]),  # noqa: DTZ001
        (date(2021, 5, 13), ["13.5", "13.05"]),
        (datetime(1998, 1, 1), ["1.98", "1.1", "1.01"]),  # noqa: DTZ001
        ("13-Mei", ["13.5", "13.05"]),
        ("Mei-98", ["5.98"]),
        ("2021-05-13", []),
    ],
)
def test_times_and_dates_are_refused_with_the_probable_figures(cell: Any, candidates: list[str]) -> None:
    with pytest.raises(UnreadableCell) as refused:
        read_figure(cell, None)
    assert (refused.value.kind.code, refused.value.candidates) == ("became_time", candidates)


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("1.250", "unclear_decimal_mark"),
        ("tiga", "not_a_figure"),
        ("13.59.1", "not_a_figure"),
        ("1e5", "not_a_figure"),
        ("9" * 400, "not_a_figure"),
        (True, "not_a_figure"),
        (Formula("=A1"), "formula"),
        (ErrorValue("#REF!"), "cell_error"),
    ],
)
def test_unreadable_cells_are_refused(cell: Any, code: str) -> None:
    with pytest.raises(UnreadableCell) as refused:
        read_figure(cell, None)
    assert refused.value.kind.code == code


def test_a_blank_cell_has_no_reading() -> None:
    assert read_figure(None, None) is None
    assert read_figure(" \u200b ", None) is None


def test_a_column_shows_its_decimal_mark() -> None:
    assert find_decimal_mark(["851.59", "1.250", None, 7]) == "."
    assert find_decimal_mark(["851,59", "1.250"]) == ","
    assert find_decimal_mark(["1.250", "...", "2.500"]) is None
    assert find_decimal_mark(["851.59", "851,59"]) is None
    assert find_decimal_mark(["13,59e", "-"]) == ","


@given(st.integers(-99_999_999, 99_999_999), st.sampled_from([".", ","]), st.booleans())
def test_formatted_figures_are_read_back(hundredths: int, mark: str, grouped: bool) -> None:
    units, decimals = divmod(abs(hundredths), 100)
    separator = "," if mark == "." else "."
    text = f"{units:,}".replace(",", separator) if grouped else str(units)
    text = f"{'-' if hundredths < 0 else ''}{text}{mark}{decimals:02}"
    assert {float(number) for number in parse_readings(text).values()} == {hundredths / 100}
    reading = read_figure(text, None)
    assert reading is not None
    assert reading.value == hundredths / 100


def test_columns_changed_by_a_spreadsheet_are_recognised() -> None:
    honest = [n + (n * 37 % 100) / 100 for n in range(1, 22)] * 2
    assert not looks_like_times(honest)
    times = [n % 24 + (n * 7 % 60) / 100 for n in range(1, 45)]
    assert looks_like_times(times)
    assert not looks_like_times(times[:25])
    assert not looks_like_times([0.11, 0.25, 1.3, 2.45] * 10), "an index of severity is that small"
    assert looks_like_fractions([0.1359] * 30)
    assert not looks_like_fractions([0.0] * 30)
    assert not looks_like_fractions([0.13, 1.5] * 20)
