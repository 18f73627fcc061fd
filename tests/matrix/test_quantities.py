"""Counts of recipients: products, second counts, measures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exchange.matrix.models import RecipientCount
from app.exchange.matrix.quantities import _MEASURES, find_recipient_kind, read_recipients, write_recipients
from app.kit.tables.numbers import format_thousands

PEOPLE = st.sampled_from(
    ["KK", "KPM", "orang", "jiwa", "siswa", "ibu hamil", "rumah tangga", "KK miskin", "UMKM"]
)
PLACES = st.sampled_from(
    ["desa", "pekon", "kelurahan", "kampung", "kelompok", "sekolah", "dusun", "kecamatan"]
)
COUNTS = st.integers(1, 999_999)


@st.composite
def numbers(draw: st.DrawFn) -> tuple[int, str]:
    """A count and one of its spellings."""
    count = draw(COUNTS)
    text = format_thousands(count)
    return count, draw(st.sampled_from([str(count), text, text.replace(".", ","), text.replace(".", " ")]))


PRODUCTS = st.sampled_from(
    [
        "{a} {unit}/{place} ({b} {place})", "{a} {unit} / {place} x {b} {place}",
        "{a} {unit} per {place} di {b} {place}",
        "{a} {unit} x {b} {place}", "{b} {place} × {a} {unit}", "{b} x {a} {unit}",
        "{a} {unit} tiap {place} ({b} {place})",
        "{b}x{a} {unit}", "{b} {place} * {a} {unit}",
    ]
)  # fmt: skip


@given(numbers(), numbers(), PEOPLE, PLACES, PRODUCTS)
def test_a_product_is_one_count_with_a_warning(a, b, unit, place, form):
    text = form.format(a=a[1], b=b[1], unit=unit, place=place)
    reading = read_recipients(text)
    assert reading.value == (RecipientCount(a[0] * b[0], unit, find_recipient_kind(unit)),), text
    assert [(r.kind.code, r.blocking) for r in reading.remarks] == [("read_as_product", False)]
    assert read_recipients(write_recipients(reading.value)).value == reading.value


@given(numbers(), PEOPLE, PLACES, st.sampled_from(["{a} {unit}/{p}", "{a} {unit} per {p}", "{a} {unit} setiap {p}",
       "{a} {unit} masing-masing {p}", "{a} {unit} @ {p}", "{a} {unit} per {p} ({a})"]))  # fmt: skip
def test_a_count_for_each_place_alone_counts_nothing(a, unit, place, form):
    reading = read_recipients(text := form.format(a=a[1], unit=unit, p=place))
    assert (reading.value, reading.text) == ((), text)
    assert [r.kind.code for r in reading.remarks] == ["unread_recipients"]


@given(
    numbers(), st.sampled_from(sorted(_MEASURES)), st.sampled_from(["{}", "{} beras", "{} untuk KK", "{}/KK"])
)
def test_a_measure_of_goods_counts_no_recipients(a, word, form):
    for text in (f"{a[1]} {form.format(word)}", f"5 KK; {a[1]} {word}"):
        reading = read_recipients(text)
        assert (reading.value, reading.text) == ((), text)
        assert [r.blocking for r in reading.remarks] == [False]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("120 KK (480 jiwa)", [(120, "KK", "families"), (480, "jiwa", "persons")]),
        ("480 jiwa (120 KK)", [(480, "jiwa", "persons"), (120, "KK", "families")]),
        ("500 KK (desil 1-2)", [(500, "KK (desil 1-2)", "families")]),
        ("500 KK desil 1 s.d. 4", [(500, "KK desil 1 s.d. 4", "families")]),
        ("500 KK di 3 desa", [(500, "KK di 3 desa", "families")]),
        ("12 desa/kelurahan", [(12, "desa/kelurahan", "villages")]),
        ("40 KK/KPM", [(40, "KK/KPM", "families")]),
        ("12 RT/RW", [(12, "RT/RW", None)]),
        ("1 250 KK dan 2 kelompok", [(1250, "KK", "families"), (2, "kelompok", "groups")]),
    ],
)
def test_counts_that_are_no_product(text, counts):
    reading = read_recipients(text)
    assert reading.value == tuple(RecipientCount(*count) for count in counts)
    assert read_recipients(write_recipients(reading.value)).value == reading.value


@pytest.mark.parametrize(
    "text",
    ["90 %", "80% KK", "10 s.d. 15 kelompok", "10 KK - 15 KK", "10 sampai 15 KK", "5 s/d 7 desa", "50 KK x 12 bulan",
     "20 orang x 3", "120 KK (120 KPM)", "10 kelompok (20 orang)", "50 orang (25 laki-laki, 25 perempuan)",
     "25 KK/tahun", "2 desa x 3 desa", "5 KK per desa di 3 kecamatan", "7 KK x 8 orang"],
)  # fmt: skip
def test_an_unclear_cell_stays_text(text):
    reading = read_recipients(text)
    assert (reading.value, reading.text) == ((), text)
    assert [(r.kind.code, r.blocking) for r in reading.remarks] == [("unread_recipients", False)]
