"""Amounts as offices type them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exchange.matrix.amounts import read_change, read_rupiah
from app.kit.files.books import ErrorValue, Formula
from app.kit.tables.numbers import LARGEST, format_thousands


@pytest.mark.parametrize(
    ("text", "rupiah"),
    [
        ("Rp 1.250.000,00", 1_250_000),
        ("Rp1.250.000", 1_250_000),
        ("Rp. 1.250.000,-", 1_250_000),
        ("1.250.000,- ", 1_250_000),
        ("IDR 1,250,000.00", 1_250_000),
        ("1,250,000", 1_250_000),
        ("1.250.000", 1_250_000),
        ("1250000.0", 1_250_000),
        ("1250000,00", 1_250_000),
        ("1 250 000", 1_250_000),
        ("1\u00a0250\u00a0000,00", 1_250_000),
        ("1250000", 1_250_000),
        ("1.250", 1_250),
        ("1,250", 1_250),
        ("12.250", 12_250),
        ("1.250.000 rupiah", 1_250_000),
        (1_250_000, 1_250_000),
        (1_250_000.0, 1_250_000),
        ("-", 0),
        (" -   ", 0),
        ("Rp -", 0),
        ("nihil", 0),
        (0, 0),
        ("0", 0),
        ("", None),
        ("   ", None),
        (None, None),
    ],
)
def test_reads_an_amount(text, rupiah):
    reading = read_rupiah(text)
    assert (reading.value, reading.remarks) == (rupiah, ())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("-5", "negative_number"),
        ("(1.250.000)", "negative_number"),
        ("Rp -5.000", "negative_number"),
        ("-Rp 5.000", "negative_number"),
        (-5, "negative_number"),
        ("1,25 juta", "not_an_amount"),
        ("12a", "not_an_amount"),
        ("12%", "not_an_amount"),
        ("lihat lampiran", "not_an_amount"),
        (True, "not_an_amount"),
        (float("nan"), "not_an_amount"),
        (float("inf"), "not_an_amount"),
        ("1250.000", "ambiguous_number"),
        ("1.25.000", "ambiguous_number"),
        ("1.250,000,00", "ambiguous_number"),
        ("1.250.00", "ambiguous_number"),
        ("6,32E+11", "lost_digits"),
        ("6.32470E+11", "lost_digits"),
        (2.0**53, "lost_digits"),
        ("9007199254740993", "lost_digits"),
        (date(2025, 6, 1), "became_date"),
        (Formula("=1+1"), "formula"),
        (ErrorValue("#REF!"), "cell_error"),
    ],
)
def test_refuses_unclear_amounts(text, kind):
    reading = read_rupiah(text)
    assert reading.value is None
    assert [(remark.kind.code, remark.blocking) for remark in reading.remarks] == [(kind, True)]
    assert reading.text  # keeps the text


@pytest.mark.parametrize(
    ("text", "rupiah"),
    [
        (29986597.2, 29986597),
        (1000.5, 1001),
        ("1.250.000,49", 1_250_000),
        ("1250,5", 1251),
        (725.2533333, 725),
    ],
)
def test_rounds_half_up_and_reports_it(text, rupiah):
    reading = read_rupiah(text)
    assert reading.value == rupiah
    assert [(r.kind.code, r.blocking, r.values) for r in reading.remarks] == [
        ("rounded", False, {"rounded": rupiah})
    ]


@given(st.integers(1, 999_999), st.sampled_from([1, -1]))
def test_thousands_that_a_spreadsheet_took_for_a_fraction_are_refused(thousandths, sign):
    number = sign * thousandths / 1000
    reading = read_change(number)
    if thousandths % 1000 == 0:
        assert (reading.value, reading.remarks) == (number, ())
        return
    (remark,) = reading.remarks
    assert (reading.value, remark.kind.code, remark.blocking) == (None, "fraction_of_rupiah", True)
    assert (format_thousands(sign * thousandths) in remark.nearest) == (thousandths > 1000)


@given(st.integers(0, LARGEST), st.sampled_from(["{}", "Rp {}", "Rp {},00", "{},-"]))
def test_every_amount_survives_writing(amount, form):
    assert read_rupiah(form.format(format_thousands(amount))).value == amount
    assert read_rupiah(form.format(format_thousands(amount))).remarks == ()


@given(st.text(alphabet="0123456789.,-() Rp", max_size=16))
def test_any_text_gives_a_value_or_a_remark(text):
    reading = read_rupiah(text)
    assert reading.value is not None or reading.remarks or not text.strip()
