"""Codes: alone, with a name, and with lost zeros."""

from datetime import date

import pytest

from app.exchange.matrix.codes import normalise, read_code, read_named, split_code, write_named
from app.exchange.matrix.models import CodeKind, Named


@pytest.mark.parametrize(
    ("text", "code", "kind"),
    [
        ("1.06.0.00.0.00.08.0000", "1.06.0.00.0.00.08.0000", "agency"),
        ("1.01.2.22.0.00.01.0000", "1.01.2.22.0.00.01.0000", "agency"),
        ("1.6.0.0.0.0.8.0", "1.06.0.00.0.00.08.0000", "agency"),
        ("1.06.05", "1.06.05", "program"),
        ("1.06.05.2.02", "1.06.05.2.02", "activity"),
        ("1.06.05.2.02.0006", "1.06.05.2.02.0006", "subactivity"),
        ("1.6.5.2.2.6", "1.06.05.2.02.0006", "subactivity"),
        ("X.XX.01.2.01.0001", "X.XX.01.2.01.0001", "subactivity"),
        ("x.xx.1", "X.XX.01", "program"),
        ("1.06", "1.06", "field"),
    ],
)
def test_recognises_codes_by_their_groups(text, code, kind):
    code_read = normalise(text)
    assert code_read is not None
    assert (code_read.text, code_read.kind) == (code, kind)


@pytest.mark.parametrize(
    "text", ["1", "1.06.05.2", "1.06.005", "1.06.05.2.02.00006", "1..05", "1.X.05", "X.XX.0.00.0.00.08.0000"]
)
def test_other_shapes_are_no_codes(text):
    assert normalise(text) is None


@pytest.mark.parametrize(
    ("text", "code", "name"),
    [
        ("1.06.05.2.02.0006 Fasilitasi Bantuan", "1.06.05.2.02.0006", "Fasilitasi Bantuan"),
        ("[1.06.05] Program X", "1.06.05", "Program X"),
        ("1.06.05 - Program X", "1.06.05", "Program X"),
        ("1.06.05: Program X", "1.06.05", "Program X"),
        ("1.06.05.\nProgram X", "1.06.05", "Program X"),
        ("1.1 Bantuan", None, "1.1 Bantuan"),
        ("1. Bantuan", None, "1. Bantuan"),
        ("2025 Bantuan", None, "2025 Bantuan"),
        ("Bantuan 1.06.05", None, "Bantuan 1.06.05"),
    ],
)
def test_splits_code_and_name(text, code, name):
    code_read, _, rest = split_code(text)
    assert (code_read.text if code_read else None, rest) == (code, name)


def test_the_code_column_keeps_and_reports_other_texts():
    reading = read_code("kode menyusul")
    assert (reading.value, reading.text) == (None, "kode menyusul")
    assert [(r.kind.code, r.blocking) for r in reading.remarks] == [("code_unreadable", True)]


def test_a_number_is_a_code_only_if_no_zero_can_be_missing():
    assert read_code(1.06).value == Named("1.06", None)
    assert [r.kind.code for r in read_code(1.1).remarks] == ["code_lost_zeros"]  # 1.10, or 1.01 typed as 1.1?
    assert [r.kind.code for r in read_code(1).remarks] == ["code_lost_zeros"]
    assert [r.kind.code for r in read_code(date(2025, 6, 1)).remarks] == ["became_date"]


def test_padding_is_reported():
    reading = read_named("1.6.5.2.2.6 Fasilitasi", CodeKind.SUBACTIVITY)
    assert reading.value == Named("1.06.05.2.02.0006", "Fasilitasi")
    assert [(r.kind.code, r.blocking, r.values["code"]) for r in reading.remarks] == [
        ("code_padded", False, "1.06.05.2.02.0006")
    ]


def test_a_code_of_another_level_is_reported_and_the_text_kept():
    reading = read_named("1.06.05 Fasilitasi", CodeKind.SUBACTIVITY)
    assert reading.value == Named(None, "1.06.05 Fasilitasi")
    assert [(r.kind.code, r.blocking) for r in reading.remarks] == [("code_wrong_level", True)]


@pytest.mark.parametrize(
    "named",
    [
        Named("1.06.05", "Program X"),
        Named("1.06.05", None),
        Named(None, "Program X"),
        Named("1.06.05", "- X"),
        Named("1.06.05", "-X"),
    ],
)
def test_names_survive_writing(named):
    assert read_named(write_named(named), CodeKind.PROGRAM).value == named
