"""Funding sources as offices write them: the whole text decides."""

from collections.abc import Iterator

import pytest

from app.reference.names.queries import read_source_names
from app.reference.names.rules import DONORS, SourceNames
from tests.database import OneTransaction
from tests.exchange.office import Office, line, sheet
from tests.sheets.files import read_case

pytestmark = pytest.mark.one_engine

CODES: dict[str, list[str]] = {
    "source_01": ["APBD"],
    "source_02": ["APBD-PROVINSI"],
    "source_03": ["APBD-PROVINSI"],
    "source_04": ["APBD"],
    "source_05": ["DAK-NONFISIK"],
    "source_07": ["DBH-CHT"],
    "source_08": ["BAZNAS"],
    "source_09": ["CSR"],
    "source_10": ["APBN"],
    "source_11": ["BANKEU"],
    "source_12": ["ADD"],
}
"""Case → the codes that its cell means."""


@pytest.mark.both_engines
@pytest.mark.parametrize("case", CODES)
def test_a_case_gives_the_source_that_the_whole_text_names(office: Office, case: str) -> None:
    file = read_case(f"{case}.csv")[0]
    office.bring(file, f"{case}.csv", new_agencies="create")
    (stored,) = office.lines().values()
    assert [item["funding_source"] for item in stored["budget_lines"]] == CODES[case]
    assert [item["amount"] for item in stored["budget_lines"]] == [60_000_000]
    assert office.bring(file, f"{case}.csv")["unchanged"] == 1
    for ending in ("xlsx", "csv"):
        assert office.bring(office.export(ending), f"a.{ending}")["unchanged"] == 1


def test_a_part_without_its_name_is_asked(office: Office) -> None:
    reply = office.send(read_case("source_06.csv")[0], "a.csv", new_agencies="create")
    (error,) = reply.json()["errors"]
    assert (error["code"], error["value"], error["cell"]["column"]) == (
        "ambiguous_name",
        "DAK Penugasan",
        "L",
    )
    assert [name.split()[0] for name in error["allowed"]] == ["DAK-FISIK", "DAK-NONFISIK", "DAK"]


def test_the_words_of_a_donor_stay_while_they_name_the_same_sources(office: Office) -> None:
    """Two donors of one source are one budget line; an edit of the sources drops the words."""
    office.make_agency()
    words = "CSR PT Semen Lampung Rp 300.000; Zakat BAZNAS Provinsi Lampung Rp 500.000; CSR BRI Rp 200.000"
    office.bring(sheet(line(funding_sources=words)))
    (stored,) = office.lines().values()
    amounts = [(item["funding_source"], item["amount"]) for item in stored["budget_lines"]]
    assert amounts == [("CSR", 500_000), ("BAZNAS", 500_000)]
    assert "CSR PT Semen Lampung" in stored["matrix_texts"]["funding_sources"]
    assert "Zakat BAZNAS Provinsi Lampung" in office.export("csv").decode()
    assert office.bring(office.export())["unchanged"] == 1
    office.bring(sheet(line(funding_sources="APBD")))
    (changed,) = office.lines().values()
    assert "funding_sources" not in changed["matrix_texts"]
    assert "Semen" not in office.export("csv").decode()


# The matcher

NAMES: dict[str, tuple[str | None, list[str]]] = {
    "APBD Lampung Barat 2026": ("APBD", []),
    "APBD Kabupaten Lampung Barat TA. 2026": ("APBD", []),
    "APBD Lampung": ("APBD-PROVINSI", []),
    "APBD Kab. Pesisir Barat": (None, ["APBD"]),
    "APBD Kota Lampung Barat": (None, ["APBD"]),
    "DAK Nonfisik (BOS)": ("BOS", []),
    "DBH (CHT)": ("DBH-CHT", []),
    "DBH Cukai Hasil Tembakau": ("DBH-CHT", []),
    "Dana Desa (ADD)": (None, ["DANA-DESA", "ADD"]),
    "Dana CSR PT Semen": ("CSR", []),
    "Hibah BAZNAS": (None, ["BAZNAS", "HIBAH"]),
    "BUMN": ("CSR", []),
    "KUR": ("KUR", []),
    "1.01.01.15 Pajak Bumi": ("1.01.01.15", []),
    "2 desa": (None, []),
    "Pajak Daerah": (None, ["1.01.01", "2.01.01"]),
    "Kas Bon": (None, []),
}
"""Text → the source, or the candidates."""


@pytest.fixture
def names(database: OneTransaction) -> Iterator[SourceNames]:
    with database.read_session() as session:
        yield read_source_names(session, "18.04")


def test_a_source_is_clear_or_asked(names: SourceNames) -> None:
    for text, expected in NAMES.items():
        match = names.match(text)
        found = match.source.code if match.source else None
        assert (found, [item.code for item in match.candidates]) == expected, text


def test_every_word_of_the_matrix_names_its_source(names: SourceNames) -> None:
    words = names.list_words()
    assert {code: names.find_code(text) for code, text in words.items()} == {code: code for code in words}


@pytest.mark.parametrize("code", sorted(DONORS))
def test_the_words_behind_a_donors_source_are_its_rest(names: SourceNames, code: str) -> None:
    source = names.by_code[code]
    for spelling in (source.code, source.name, *source.aliases):
        for more in ("xyz", "PT Xyz (Persero) Tbk", "xyz 2026"):
            match = names.match(f"{spelling} {more}")
            assert (match.source, "xyz" in match.rest) == (source, True), (spelling, more)


def test_words_behind_any_other_source_are_asked(names: SourceNames) -> None:
    """No spelling takes a word that it does not have: neither the first word nor the longest beginning decides."""
    for source in names.by_code.values():
        if source.kind == "group" and source.code not in DONORS:
            for spelling in (source.code, source.name, *source.aliases):
                match = names.match(f"{spelling} xyz")
                assert match.source is None, spelling
                assert source in match.candidates, spelling
