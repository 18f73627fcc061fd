"""Writing and reading are inverse for any line."""

import io
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.exchange.matrix.models import Code, CodeKind, MatrixLine, Named, RecipientCount, Share
from app.exchange.matrix.quantities import find_recipient_kind
from app.exchange.matrix.rules import read_matrix
from app.exchange.matrix.words import (
    BENEFIT_FORM_NAMES,
    REGULARITY_NAMES,
    STRATEGY_NAMES,
)
from app.exchange.matrix.writing import UnwritableMatrix, group_by_strategy, make_matrix_csv, make_matrix_xlsx
from app.kit.files.cells import clean_text
from app.kit.tables.numbers import LARGEST

TITLES = ("RENCANA AKSI TAHUNAN", "KABUPATEN X TAHUN 2026")

# Any text of a cell, dangerous ones first: formulas, links, escapes, control signs.
words = st.one_of(
    st.sampled_from(
        [
            "=1+1",
            "+62",
            "-x",
            "@a",
            "'=1",
            "http://x.y",
            "_x0041_",
            "1,5 a",
            "é ü",
            'a"b',
            "a\nb",
            "<b>&amp;",
            "{=A1}",
        ]
    ),
    st.text(
        st.characters(exclude_categories=["Cs", "Cn", "Co"], exclude_characters="\ufffe\uffff"),
        min_size=1,
        max_size=30,
    ),
).map(clean_text)


def is_name(text: str) -> bool:
    """True if a text is a name: not blank, no dash, no leading code, no word for a total."""
    first = text.split(" ")[0].split("\n")[0]
    return (
        text not in ("", "-")
        and "." not in first
        and not text.casefold().startswith(("jumlah", "total", "sub", "grand"))
    )


names = words.filter(is_name)
amounts = st.none() | st.integers(0, LARGEST)
digits = st.integers(0, 99).map(lambda n: f"{n:02}")
subactivity_codes = st.builds(lambda a, b, c: f"1.{a}.{b}.2.{c}.0006", digits, digits, digits)
agency_codes = st.builds(lambda a, b: f"1.{a}.0.00.0.00.{b}.0000", digits, digits)
plain = st.text(st.characters(categories=["L"]), min_size=2, max_size=12).filter(lambda t: clean_text(t) == t)
sources = st.lists(
    st.builds(Share, plain.map(lambda t: f"Dana {t} dan lain"), amounts | st.none()),
    max_size=3,
    unique_by=lambda s: s.name,
)
recipients = st.lists(
    st.builds(
        lambda n, u: RecipientCount(n, u, find_recipient_kind(u)),
        st.integers(0, 10**9),
        st.sampled_from(["KK", "orang miskin", "kelompok tani", "xyz"]),
    ),
    max_size=3,
)
# The reader leaves the words of a location whole; the import splits them.
places = st.lists(
    st.builds(lambda n, v: f"63.02.07.{v} Desa {n}", plain, st.integers(1001, 2999)), max_size=1
)
components = st.one_of(
    st.just(()),
    names.filter(lambda t: "rp" not in t.casefold() and t.strip("0123456789.,-").strip() != "").map(
        lambda t: (Share(t),)
    ),
    st.lists(st.builds(Share, plain, st.integers(0, LARGEST)), min_size=1, max_size=3).map(tuple),
)


@st.composite
def lines(draw: Any) -> MatrixLine:
    """A consistent line of a plan with arbitrary texts."""
    shares = tuple(draw(sources))
    allocation = draw(amounts)
    if shares and all(share.amount is not None for share in shares):
        allocation = sum(share.amount or 0 for share in shares)
        if allocation > LARGEST:
            shares, allocation = (), None
    agency_code = draw(st.none() | agency_codes)
    values = {
        "strategy": draw(st.sampled_from(list(STRATEGY_NAMES))),
        "agency": Named(agency_code, draw(names)),
        "code": draw(st.none() | st.just(Code("1.06", CodeKind.FIELD))),
        "program": draw(st.none() | st.builds(Named, st.none(), names)),
        "activity": draw(st.none() | st.builds(Named, st.none(), names)),
        "subactivity": draw(st.builds(Named, st.none() | subactivity_codes, names)),
        "direct": draw(components),
        "indirect": draw(components),
        "supporting": draw(components),
        "allocation": allocation,
        "funding_sources": shares,
        "regularity": draw(st.none() | st.sampled_from(list(REGULARITY_NAMES))),
        "location": tuple(draw(places)),
        "recipients": tuple(draw(recipients)),
        "benefit_amount": draw(amounts),
        "benefit_form": tuple(draw(st.lists(st.sampled_from(list(BENEFIT_FORM_NAMES)), unique=True))),
        "duration": draw(st.none() | st.integers(1, 999)),
        "spent_s1": draw(amounts),
        "spent_s2": draw(amounts),
        "spent_total": draw(amounts),
    }
    return MatrixLine(values)


def list_values(written: list[MatrixLine]) -> list[dict[str, Any]]:
    """Return the values of lines in the written order, without the running number."""
    ordered = [line for _, block in group_by_strategy(written) for line in block]
    return [{key: value for key, value in line.values.items() if key != "number"} for line in ordered]


@settings(max_examples=25, deadline=None)
@given(st.lists(lines(), min_size=1, max_size=4))
@pytest.mark.parametrize("write", [make_matrix_xlsx, make_matrix_csv])
def test_written_lines_read_back_unchanged(write, written):
    again = read_matrix(
        write(written, TITLES, realisation=True), "x.csv" if write is make_matrix_csv else "x.xlsx"
    )
    for row, expected in zip(list_values(list(again.rows)), list_values(written), strict=True):
        assert {k: (v, row[k]) for k, v in expected.items() if row[k] != v} == {}
    assert [e.kind.code for e in again.errors] == []
    assert "total_differs" not in {e.kind.code for e in again.warnings}
    assert again.titles == TITLES


def test_lines_are_numbered_from_one_in_each_block_and_kept_in_order():
    def make_line(strategy, text):
        return MatrixLine(
            {
                "strategy": strategy,
                "agency": Named(None, "A"),
                "subactivity": Named(None, text),
                "funding_sources": (),
                "location": (),
                "direct": (),
                "indirect": (),
                "supporting": (),
                "recipients": (),
                "benefit_form": (),
            }
        )

    written = [
        make_line("raise_income", "b"),
        make_line("reduce_spending_burden", "z"),
        make_line("reduce_spending_burden", "a"),
    ]
    again = read_matrix(make_matrix_xlsx(written, TITLES, realisation=False), "a.xlsx")
    assert [(row["number"], row["strategy"], row["subactivity"].name) for row in again.rows] == [
        (1, "reduce_spending_burden", "z"),
        (2, "reduce_spending_burden", "a"),
        (1, "raise_income", "b"),
    ]


def test_each_strategy_and_the_whole_have_their_sums():
    def make_line(strategy, allocation, spent):
        values = {"strategy": strategy, "agency": Named(None, "A"), "subactivity": Named(None, "S")}
        return MatrixLine({**values, "allocation": allocation, "spent_s1": spent, "spent_total": spent})

    written = [
        make_line("raise_income", 70, None),
        make_line("reduce_spending_burden", 20, 3),
        make_line("reduce_spending_burden", 10, 4),
    ]
    sheet = openpyxl.load_workbook(io.BytesIO(make_matrix_xlsx(written, TITLES, realisation=True))).active
    rows = [list(row) for row in sheet.values]
    text = make_matrix_csv(written, TITLES, realisation=True).decode("utf-8-sig")
    sums = [[row[0], row[10], *row[18:]] for row in rows if str(row[0]).startswith("JUMLAH")]
    assert sums == [
        ["JUMLAH", 30, 7, None, 7],
        ["JUMLAH", 70, None, None, None],
        ["JUMLAH TOTAL", 100, 7, None, 7],
    ]
    assert text.count("\r\nJUMLAH,,,,,,,,,,") == 2
    assert text.endswith("\r\nJUMLAH TOTAL,,,,,,,,,,100,,,,,,,,7,,7\r\n")


def test_a_line_without_a_programme_inherits_none():
    full = {
        "strategy": "raise_income",
        "agency": Named("1.06.0.00.0.00.08.0000", "A"),
        "program": Named(None, "P"),
        "subactivity": Named(None, "S"),
    }
    bare = full | {"program": None, "agency": Named(None, "A")}
    for write, filename in ((make_matrix_xlsx, "a.xlsx"), (make_matrix_csv, "a.csv")):
        rows = read_matrix(
            write([MatrixLine(full), MatrixLine(bare)], TITLES, realisation=False), filename
        ).rows
        assert (rows[1]["program"], rows[1]["agency"]) == (None, Named(None, "A"))


def test_unread_texts_are_written_unchanged():
    values = {"strategy": "raise_income", "agency": Named(None, "A"), "subactivity": Named(None, "S")}
    texts = {
        "duration": "selama perlu",
        "recipients": "masyarakat pesisir",
        "benefit_form": "Non Tunai",
        "location": "Desa A, B",
    }
    for write, filename in ((make_matrix_xlsx, "a.xlsx"), (make_matrix_csv, "a.csv")):
        (row,) = read_matrix(write([MatrixLine(values, texts)], TITLES, realisation=False), filename).rows
        assert row.texts == texts
        (row,) = read_matrix(write([row], TITLES, realisation=False), filename).rows
        assert row.texts == texts


def test_no_text_becomes_a_formula_a_link_or_a_number():
    values = {
        "strategy": "raise_income",
        "agency": Named(None, "=1+1"),
        "subactivity": Named(None, "http://x.y"),
        "program": Named(None, "007"),
    }
    data = make_matrix_xlsx([MatrixLine(values)], ("=HYPERLINK(1)", "T"), realisation=False)
    sheet = openpyxl.load_workbook(io.BytesIO(data)).active
    cells = {cell.value: cell for row in sheet for cell in row if cell.value is not None}
    for text in ("=1+1", "http://x.y", "007", "=HYPERLINK(1)"):
        assert cells[text].data_type == "s"
        assert cells[text].hyperlink is None


def test_the_same_lines_give_the_same_bytes():
    line = MatrixLine(
        {"strategy": "raise_income", "agency": Named(None, "A"), "subactivity": Named(None, "S")}
    )
    assert make_matrix_xlsx([line], TITLES, realisation=True) == make_matrix_xlsx(
        [line], TITLES, realisation=True
    )


def test_a_text_beyond_a_cell_of_excel_is_refused_not_dropped():
    line = MatrixLine(
        {"strategy": "raise_income", "agency": Named(None, "A"), "subactivity": Named(None, "S")},
        {"location": "x" * 32_768},
    )
    with pytest.raises(UnwritableMatrix) as caught:
        make_matrix_xlsx([line], TITLES, realisation=False)
    (error,) = caught.value.errors
    assert (error.kind.code, error.cell.row, error.cell.column) == ("cell_too_long", 8, "N")
    assert (
        read_matrix(make_matrix_csv([line], TITLES, realisation=False), "a.csv").rows[0].texts["location"]
        == "x" * 32_768
    )
