"""Totals compared with the stated basis: a cumulative file looks like one of periods."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.exchange.matrix.models import MatrixLine, MatrixRow
from app.exchange.matrix.spending import accumulate_spending, check_totals, split_spending
from tests.matrix.build import line, list_codes, matrix


def make_spent(*halves, **cells):
    s1, s2, total = halves
    return line(spent_s1=s1, spent_s2=s2, spent_total=total, **cells)


@pytest.mark.parametrize(
    ("halves", "period", "cumulative"),
    [
        ((300, 400, 700), True, False),
        ((300, 700, 700), False, True),
        ((0, 400, 400), True, True),
        ((None, 400, 400), True, True),
        ((300, None, 300), True, True),
        ((300, 400, 500), False, False),
        ((300, 400, None), True, True),
        ((None, None, None), True, True),
        ((None, None, 0), True, True),
    ],
)
def test_a_total_fits_a_basis_or_not(halves, period, cumulative):
    rows = matrix(make_spent(*halves)).rows
    assert check_totals(rows, "period") == [] or not period
    assert check_totals(rows, "cumulative") == [] or not cumulative
    for basis, fits in (("period", period), ("cumulative", cumulative)):
        errors = check_totals(rows, basis)
        assert list_codes(errors) == ([] if fits else [("total_contradicts_basis", 2, "U")])


def test_a_contradiction_gives_the_right_total():
    (error,) = check_totals(matrix(make_spent(300_000, 400_000, 700_000)).rows, "cumulative")
    assert error.render("en").message == (
        "The total Rp 700.000 contradicts figures cumulative from January. It should be Rp 400.000."
    )


def test_a_total_alone_is_not_guessed():
    assert list_codes(check_totals(matrix(make_spent(None, None, 700)).rows, "period")) == [
        ("total_alone", 2, "U")
    ]


def test_a_lost_fraction_is_no_contradiction():
    rows = matrix(make_spent(28218345.2, 138269891.48, 166488236.68)).rows
    assert rows[0]["spent_s1"] + rows[0]["spent_s2"] != rows[0]["spent_total"]
    assert check_totals(rows, "period") == []
    rows = matrix(make_spent(28218345, 138269891, 166488237)).rows
    assert list_codes(check_totals(rows, "period")) == [("total_contradicts_basis", 2, "U")]


@pytest.mark.parametrize(
    ("halves", "basis", "expected"),
    [
        ((300, 400, 700), "period", {"spent_s1": 300, "spent_s2": 700}),
        ((300, 700, 700), "cumulative", {"spent_s1": 300, "spent_s2": 700}),
        ((300, None, 300), "period", {"spent_s1": 300}),
        ((None, 400, 400), "period", {"spent_s2": 400}),
        ((0, 0, 0), "period", {"spent_s1": 0, "spent_s2": 0}),
        ((None, None, None), "cumulative", {}),
    ],
)
def test_cumulative_values(halves, basis, expected):
    assert accumulate_spending(matrix(make_spent(*halves)).rows[0], basis) == expected


@pytest.mark.parametrize(
    ("halves", "basis", "expected", "total"),
    [
        ((None, 400), "period", {"spent_s2": 700}, 700),
        ((100, 400), "period", {"spent_s1": 100, "spent_s2": 500}, 500),
        ((None, None), "period", {}, None),
        ((None, 400), "cumulative", {"spent_s2": 400}, 400),
    ],
)
def test_a_blank_first_half_year_has_its_stored_spending(halves, basis, expected, total):
    (row,) = matrix(make_spent(*halves, total)).rows
    assert accumulate_spending(row, basis, {"Q2": 300}) == expected
    assert check_totals([row], basis, {row.row: {"Q2": 300}}) == []
    wrong = matrix(make_spent(*halves, 701)).rows
    assert [code for code, *_ in list_codes(check_totals(wrong, basis, {row.row: {"Q2": 300}}))] != []


FIGURE = some.none() | some.integers(0, 10)


@given(first=FIGURE, total=FIGURE, basis=some.sampled_from(["period", "cumulative"]), is_new=some.booleans())
def test_figures_of_quarters_are_read_as_they_were_written(first, total, basis, is_new):
    """A total that is missing, or that repeats the first half-year, leaves the second blank."""
    cells = split_spending(first, total, basis, is_of_second_half=is_new)
    second = total if is_new or total != first else None
    expected = {"spent_s1": first, "spent_s2": second}
    read = accumulate_spending(MatrixLine(cells), basis)
    assert read == {key: figure for key, figure in expected.items() if figure is not None}
    assert cells["spent_total"] == total


KEYS = ("spent_q1", "spent_q2", "spent_q3", "spent_q4")


@given(some.lists(some.integers(0, 100), min_size=4, max_size=4), some.sets(some.sampled_from(range(4))))
def test_quarters_add_up_whatever_is_blank(figures, blank):
    """A blank quarter has its stored spending, so each given one is the same sum since January."""
    sums = [sum(figures[: n + 1]) for n in range(4)]
    stored = {f"Q{n + 1}": total for n, total in enumerate(sums)}
    given_sums = {key: sums[n] for n, key in enumerate(KEYS) if n not in blank}
    alone = MatrixLine({key: figures[n] for n, key in enumerate(KEYS) if n not in blank})
    assert accumulate_spending(alone, "period", stored) == given_sums
    assert accumulate_spending(MatrixLine(given_sums), "cumulative") == given_sums


def test_a_half_year_and_its_quarters_agree_or_are_named():
    cells = {"spent_q1": 3, "spent_s1": 10, "spent_q2": 7, "spent_q3": 1, "spent_s2": 5, "spent_q4": 4}
    row = MatrixRow(
        cells | {"spent_total": 15}, sheet="A", row=2, columns=dict(zip(cells, "ABCDEF", strict=True))
    )
    assert check_totals([row], "period") == []
    wrong = replace(row, values=cells | {"spent_q2": 6, "spent_total": 15})
    assert list_codes(check_totals([wrong], "period")) == [("quarters_disagree", 2, "C")]
