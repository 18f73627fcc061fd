"""Words with a fixed meaning."""

import pytest

from app.exchange.matrix.amounts import (
    read_components,
    read_sources,
    split_names,
    write_components,
    write_sources,
)
from app.exchange.matrix.models import RecipientCount, Share
from app.exchange.matrix.quantities import read_recipients, write_recipients
from app.exchange.matrix.words import (
    BENEFIT_FORM_NAMES,
    REGULARITY_NAMES,
    STRATEGY_NAMES,
    read_benefit_amount,
    read_benefit_form,
    read_months,
    read_regularity,
    read_strategy,
    write_months,
)


@pytest.mark.parametrize(
    ("text", "strategy"),
    [
        ("Pengurangan Beban Pengeluaran Masyarakat", "reduce_spending_burden"),
        ("PENGURANGAN  BEBAN PENGELUARAN\nMASYARAKAT MISKIN", "reduce_spending_burden"),
        ("Strategi 1: Mengurangi beban pengeluaran", "reduce_spending_burden"),
        ("A. Pengurangan Beban Pengeluaran", "reduce_spending_burden"),
        ("Peningkatan Pendapatan Masyarakat", "raise_income"),
        ("II. Meningkatkan pendapatan", "raise_income"),
        ("Penurunan Jumlah Kantong-Kantong Kemiskinan", "reduce_poverty_pockets"),
        ("Meminimalkan wilayah kantong kemiskinan", "reduce_poverty_pockets"),
        ("S3", "reduce_poverty_pockets"),
        (2, "raise_income"),
        ("iii", "reduce_poverty_pockets"),
        ("raise_income", "raise_income"),
    ],
)
def test_knows_a_strategy(text, strategy):
    reading = read_strategy(text)
    assert (reading.value, reading.remarks) == (strategy, ())


@pytest.mark.parametrize(
    "text",
    [
        "Penguatan kelembagaan",
        "4",
        "Beban pendapatan",
        "Strategi",
        "Pengurangan Beban dan Peningkatan Pendapatan",
    ],
)
def test_never_guesses_a_strategy(text):
    reading = read_strategy(text)
    assert (reading.value, reading.text) == (None, text)
    (remark,) = reading.remarks
    assert (remark.kind.code, remark.blocking, remark.allowed) == (
        "unknown_strategy",
        True,
        list(STRATEGY_NAMES.values()),
    )


def test_a_misspelt_strategy_names_the_nearest():
    (remark,) = read_strategy("Peningkatn Pendapatn Masyarakat").remarks
    assert remark.nearest[0] == STRATEGY_NAMES["raise_income"]


def test_regularity_and_benefit_forms():
    assert [read_regularity(name).value for name in REGULARITY_NAMES.values()] == list(REGULARITY_NAMES)
    assert [read_benefit_form(name).value for name in BENEFIT_FORM_NAMES.values()] == [
        (f,) for f in BENEFIT_FORM_NAMES
    ]
    assert read_benefit_form("Barang/Jasa dan uang tunai").value == ("goods", "service", "cash")
    assert read_regularity("-").value is None


@pytest.mark.parametrize(
    ("read", "text", "kind"),
    [
        (read_regularity, "kadang-kadang", "unknown_regularity"),
        (read_benefit_form, "Non Tunai", "unknown_benefit_form"),
        (read_benefit_form, "Barang, entah", "unknown_benefit_form"),
        (read_months, "12", "unread_duration"),
        (read_months, "1 kali", "unread_duration"),
        (read_months, "0 bulan", "unread_duration"),
        (read_benefit_amount, "1 paket", "unread_benefit_amount"),
        (read_benefit_amount, "Rp 500.000/bulan", "unread_benefit_amount"),
        (read_recipients, "Masyarakat miskin", "unread_recipients"),
        (read_recipients, "500-600 KK", "unread_recipients"),
        (read_recipients, "1,5 KK", "unread_recipients"),
        (read_recipients, "sekitar 500 KK", "unread_recipients"),
    ],
)
def test_unknown_words_are_kept_and_reported(read, text, kind):
    reading = read(text)
    assert not reading.value
    assert reading.text == text
    assert [(remark.kind.code, remark.blocking) for remark in reading.remarks] == [(kind, False)]


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("12 bulan", 12),
        ("1 tahun", 12),
        ("6 bln", 6),
        ("6 Bln.", 6),
        ("1 tahun 6 bulan", 18),
        ("1,5 tahun", 18),
        ("2 thn", 24),
    ],
)
def test_months(text, months):
    assert read_months(text).value == months
    assert read_months(write_months(months)).value == months


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500 KK", [(500, "KK", "families")]),
        ("500KK", [(500, "KK", "families")]),
        ("265 Sekolah", [(265, "Sekolah", "units")]),
        ("1.200 orang", [(1200, "orang", "persons")]),
        ("1,200 orang", [(1200, "orang", "persons")]),
        ("500 KK, 20 kelompok", [(500, "KK", "families"), (20, "kelompok", "groups")]),
        (
            "500 KK,20 kelompok nelayan\n3 desa",
            [(500, "KK", "families"), (20, "kelompok nelayan", "groups"), (3, "desa", "villages")],
        ),
        ("100 rumah tangga dan 5 rumah", [(100, "rumah tangga", "families"), (5, "rumah", "units")]),
        ("1.500 KK, 1,200 orang", [(1500, "KK", "families"), (1200, "orang", "persons")]),
    ],
)
def test_recipients(text, expected):
    reading = read_recipients(text)
    assert reading.value == tuple(RecipientCount(*counts) for counts in expected)
    assert reading.remarks == ()
    assert read_recipients(write_recipients(reading.value)).value == reading.value


def test_an_unknown_unit_has_a_count_and_no_kind():
    reading = read_recipients("40 gerobak")
    assert reading.value == (RecipientCount(40, "gerobak", None),)
    assert [r.kind.code for r in reading.remarks] == ["unknown_recipient_unit"]
    assert read_recipients(500).value == (RecipientCount(500, "", None),)


def test_benefit_per_recipient_keeps_its_text():
    assert read_benefit_amount("Rp 500.000").value == 500_000
    reading = read_benefit_amount("Rp 500.000 per KK per bulan")
    assert (reading.value, reading.text) == (None, "Rp 500.000 per KK per bulan")
    reading = read_benefit_amount("Rp 500.000/KK")
    assert (reading.value, reading.text, reading.remarks) == (500_000, "Rp 500.000/KK", ())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("APBD", ["APBD"]),
        ("APBD, DAK", ["APBD", "DAK"]),
        ("APBD/CSR", ["APBD", "CSR"]),
        ("APBD dan Dana Desa", ["APBD", "Dana Desa"]),
        ("APBD Kab/Kota", ["APBD Kab/Kota"]),
        ("Pajak Bumi dan Bangunan; DAK", ["Pajak Bumi dan Bangunan", "DAK"]),
        ("1.01.01.15 Pajak Bumi dan Bangunan", ["1.01.01.15 Pajak Bumi dan Bangunan"]),
        ("Pajak Bumi dan Bangunan;", ["Pajak Bumi dan Bangunan"]),
    ],
)
def test_funding_sources(text, names):
    reading = read_sources(text)
    assert [share.name for share in reading.value] == names
    assert read_sources(write_sources(reading.value)).value == reading.value


def test_a_known_name_is_never_split():
    known = ["Pajak Bumi dan Bangunan"]
    assert split_names("APBD, pajak bumi dan bangunan dan DAK", known) == [
        "APBD",
        "pajak bumi dan bangunan",
        "DAK",
    ]
    assert split_names("Pajak Bumi dan Bangunan", known) == ["Pajak Bumi dan Bangunan"]


def test_amounts_by_source_and_component():
    shares = (Share("APBD", 1_500_000), Share("DAK", 250_000))
    assert read_sources("APBD Rp 1.500.000; DAK: Rp 250.000").value == shares
    assert read_sources("APBD Rp 1.500.000, DAK (Rp 250,000)").value == shares
    assert read_sources("APBD (1.500.000); DAK (250.000,-)").value == shares
    assert read_sources("APBD (1.500), DAK (Rp 250.000)", times=1000).value == shares
    assert read_sources("CSR (2026)").value == (Share("CSR (2026)"),)
    assert read_sources(write_sources(shares)).value == shares
    assert read_components(write_components(shares)).value == shares
    for text in (5_000, "5000", "5.000", "Rp 5.000", write_components((Share("", 5_000),))):
        assert read_components(text).value == (Share("", 5_000),)
    assert read_components("1. Pelatihan, modal\n2. Alat dan bahan").value == (
        Share("1. Pelatihan, modal\n2. Alat dan bahan"),
    )


@pytest.mark.parametrize(
    "read", [read_sources, read_components, read_recipients, read_benefit_amount, read_strategy]
)
@pytest.mark.parametrize(
    "piece", [",", "(", "1", "1.000.", ".000", "\n", "Rp ", "kec. ", "a dan ", ", 1", "1,"]
)
def test_the_longest_cell_takes_linear_time(read, piece):
    # Patterns that backtrack would take minutes here.
    text = piece * (32_767 // len(piece))
    reading = read(text)
    assert reading.value or reading.text or reading.remarks or not text.strip(", \n")
