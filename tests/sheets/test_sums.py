"""Counts as offices type them, and sums checked against the lines that they may add up."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.kit.files.books import Formula, Value
from app.kit.problems import Cell, Kind
from app.kit.tables.numbers import LARGEST_COUNT, format_thousands, read_count
from app.kit.tables.sums import SumCheck, is_sum

COUNTS = st.integers(0, LARGEST_COUNT)
AT = Cell("S", 1, "A")


@settings(max_examples=50, deadline=None)
@given(COUNTS, st.sampled_from(["{}", "'{}", " {} ", "+{}"]), st.sampled_from([".", ",", " ", "\u00a0", ""]))
def test_a_count_reads_the_same_in_each_spelling(count: int, frame: str, mark: str) -> None:
    assert read_count(frame.format(format_thousands(count).replace(".", mark))) == count
    assert read_count(count) == read_count(float(count)) == read_count(f"{count},0") == count


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, None), ("  ", None), ("-", 0), ("–", 0), ("Nihil", 0), ("1.250", 1250),
        ("36,4", "fraction_of_count"), (0.5, "fraction_of_count"), ("0,500", "fraction_of_count"),
        (-1, "not_a_count"), ("5-", "not_a_count"), ("(12)", "not_a_count"), (True, "not_a_count"),
        ("1.25.000", "not_a_count"), ("1250.000", "not_a_count"), ("12 KK", "not_a_count"), ("9" * 12, "not_a_count"),
        (float("nan"), "not_a_count"), (Formula("=A1"), "formula"), (date(2026, 1, 2), "became_date"),
    ],
)  # fmt: skip
def test_a_count_is_read_or_refused_by_kind(value: Value, read: object) -> None:
    count = read_count(value)
    assert (count.code if isinstance(count, Kind) else count) == read


def test_a_count_takes_the_unit_of_its_column() -> None:
    assert (read_count("2,5", 1000), read_count("2,0005", 1000)) == (2500, read_count(0.5))


@pytest.mark.parametrize(
    "text",
    ["JUMLAH", "Sub Total", "SUB-JUMLAH", "Grand total", "Jumlah Kec. Suoh", "Total:", "JML.", "T O T A L"],
)
def test_sums_are_known_by_their_first_word(text: str) -> None:
    assert is_sum(text)
    assert not is_sum(f"Desa {text}")


def test_names_are_no_sums() -> None:
    assert not any(map(is_sum, ["Sub Mander", "Sub Manggunsi", "Totallang", "Grandong", ""]))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=4), min_size=1, max_size=4), st.data())
def test_a_sum_fits_its_block_or_all_lines(blocks: list[list[int]], data: st.DataObject) -> None:
    check = SumCheck()
    is_above = data.draw(st.booleans())
    wrong = data.draw(st.integers(-1, len(blocks)))  # the sum to change; -1: none
    for n, block in enumerate(blocks):
        check.open_block()
        stated = sum(block) + 10**6 * (n == wrong)
        if is_above:
            check.add_sum({"x": (stated, AT)})
        for figure in block:
            check.add_line({"x": figure, "y": None})
        if not is_above:
            check.add_sum({"x": (stated, AT)})
    check.add_sum({"x": (sum(map(sum, blocks)) + 10**6 * (wrong == len(blocks)), AT), "y": (0, AT)})
    assert [error.kind.code for error in check.find_differences()] == ["total_differs"] * (wrong >= 0)
