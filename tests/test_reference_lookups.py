"""The comparison of names and codes, and the look-ups of many at once."""

import csv
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import list_ancestors
from app.kit.database.engine import get_table
from app.kit.fields import fold_name
from app.reference.commands import DATA
from app.reference.models import FundingSourceRow
from app.reference.names.queries import read_source_names
from app.reference.nomenclature.queries import (
    find_latest_edition,
    find_similar_subactivities,
    find_subactivities_by_code,
    find_subactivities_by_name,
    find_successors,
)
from app.reference.places.areas.rules import AreaNames, is_name_of
from app.reference.queries import (
    find_funding_sources_by_code,
    find_regions_by_code,
)
from app.reference.rules import find_nearest_ancestor, get_level, get_parent
from tests.database import OneTransaction

pytestmark = pytest.mark.both_engines

# Rules


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jum’at  Berkah (I/II)", "jumat berkah i ii"),
        ("KABUPATEN  KOTABARU", "kabupaten kotabaru"),
        ("Ｋｏｔａ　Ａ", "kota a"),
        ("  -- ", ""),
        ("100% a_b", "100 a b"),
    ],
)
def test_names_compare_without_case_and_punctuation(text: str, expected: str) -> None:
    assert fold_name(text) == expected
    assert fold_name(fold_name(text)) == fold_name(text)


def test_levels_and_parents_follow_from_codes() -> None:
    codes = ["0", "63", "63.02", "63.02.05", "63.02.05.2001"]
    assert [get_level(code) for code in codes] == ["nation", "province", "regency", "district", "village"]
    assert [get_parent(code) for code in codes] == [None, "0", "63", "63.02", "63.02.05"]
    assert list_ancestors("63.02.05") == ["0", "63", "63.02"]
    assert find_nearest_ancestor("1.02.02.02", {"1", "1.02", "1.03"}) == "1.02"
    assert find_nearest_ancestor("9", {"1"}) is None


@pytest.mark.parametrize(
    ("text", "is_own"),
    [
        ("Kec. Pulau Sebuku", True),
        ("pulau  sebuku", True),
        ("Desa Pulau Sebuku", False),
        ("Kec.", False),
        ("Sebuku", False),
        ("...", False),
    ],
)
def test_a_name_counts_with_the_word_of_its_level(text: str, is_own: bool) -> None:
    assert is_name_of(text, "63.02.02", "Pulau Sebuku") is is_own


def test_regencies_and_cities_are_told_apart() -> None:
    texts = ["Kab. Kotabaru", "Kabupaten Kotabaru", "Kotabaru", "Kota Kotabaru", "Kota Baru"]
    own = [is_name_of(text, "63.02", "Kabupaten Kotabaru") for text in texts]
    assert own == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Kel. Terusan", ["15.04.08.1008"]),
        ("Desa Terusan", ["15.04.08.2006"]),
        ("Desa/Kelurahan Terusan", ["15.04.08.1008", "15.04.08.2006"]),
        ("Terusan", ["15.04.08.1008", "15.04.08.2006"]),
    ],
)
def test_a_desa_and_a_kelurahan_of_one_name_are_told_apart(text: str, codes: list[str]) -> None:
    labels = {"15.04.08": "Maro Sebo Ilir", "15.04.08.1008": "Terusan", "15.04.08.2006": "Terusan"}
    assert AreaNames("15.04", labels).find(text, "village", "15.04.08") == codes


def test_a_name_wins_over_the_word_of_a_level() -> None:
    labels = {
        "18.04.01": "Suoh",
        "18.04.01.2001": "Kampung Baru",
        "18.04.01.2002": "Baru",
        "18.04.02": "Baru",
    }
    names = AreaNames("18.04", labels)
    assert names.find("Kampung Baru", "village", "18.04") == ["18.04.01.2001"]
    assert names.find("Pekon Baru", None, "18.04") == ["18.04.01.2002"]
    assert names.find("Baru", None, "18.04") == ["18.04.01.2002", "18.04.02"]
    assert [item.code for item in names.find_candidates("Kampungbaru", "village", "18.04.02")] == [
        "18.04.01.2001"
    ]


# Look-ups


@pytest.fixture
def session(database: OneTransaction) -> Iterator[Session]:
    with database.read_session() as session:
        yield session


def test_many_regions_are_looked_up_in_one_statement(database: OneTransaction, session: Session) -> None:
    database.statements.clear()
    regions = find_regions_by_code(
        session, ["63.02", "0", "99", *[f"63.02.01.{n}" for n in range(2000, 9999)] * 5]
    )
    assert {"63.02", "0"} <= set(regions)
    assert "99" not in regions
    assert (regions["63.02"].name, regions["63.02"].timezone) == ("Kabupaten Kotabaru", "WITA")
    assert len(database.statements) == 1
    assert find_regions_by_code(session, []) == {}


def test_subactivities_are_found_by_code_and_name(database: OneTransaction, session: Session) -> None:
    assert find_latest_edition(session) == "2027"
    by_code = find_subactivities_by_code(session, "2027", "regency", ["1.01.02.2.01.0029", "0"])
    assert list(by_code) == ["1.01.02.2.01.0029"]
    assert by_code["1.01.02.2.01.0029"].activity == "Pengelolaan Pendidikan Sekolah Dasar"
    assert find_subactivities_by_code(session, "2027", "province", ["1.01.02.2.01.0029"]) == {}
    assert list(find_successors(session, "2027", "province", ["3.29.03.1.04.0004"])) == ["3.29.03.1.04.0004"]
    anywhere, inside = (
        ("", "pelatihan keluarga tanggap bencana alam"),
        (
            "Pelayanan Pencegahan dan Kesiapsiagaan terhadap Bencana",
            "Pelatihan  Keluarga Tanggap Bencana Alam",
        ),
    )
    elsewhere = ("Pelayanan Sosial", "Pelatihan Keluarga Tanggap Bencana Alam")
    database.statements.clear()
    named = find_subactivities_by_name(
        session, "2027", "regency", [anywhere, inside, elsewhere, ("x", ""), ("", "nothing")]
    )
    assert len(database.statements) == 1
    assert {pair: [row.code for row in rows] for pair, rows in named.items()} == {
        anywhere: ["1.05.03.2.02.0019", "7.01.03.2.06.0010"],
        inside: ["1.05.03.2.02.0019"],
    }


def test_candidates_are_sorted_by_name_then_activity_then_likeness(session: Session) -> None:
    first = find_similar_subactivities(
        session,
        "2027",
        "regency",
        region="63.02",
        subactivity="Fasilitasi Pengelolaan Aset Desa",
        activity="Fasilitasi Kerja Sama antar Desa",
    )
    assert [f.code for f in first][:2] == ["2.13.04.2.01.0013", "2.13.03.2.01.0001"]
    misspelt = find_similar_subactivities(
        session, "2027", "regency", region="63.02", subactivity="Fasilitasi Pengelolan Asset Desa"
    )
    assert misspelt[0].label.startswith("2.13.04.2.01.0013 Fasilitasi Pengelolaan Aset Desa (")
    assert (
        find_similar_subactivities(session, "1999", "regency", region="63.02", subactivity="Fasilitasi") == []
    )


def test_funding_sources_are_found_by_code_and_spelling(session: Session) -> None:
    names = [
        "APBD",
        "dana desa",
        "Dana Desa (DD)",
        "DAK  fisik",
        "1.01.01",
        "Pajak Daerah",
        "Emas",
        "APBD II",
    ]
    sources = read_source_names(session, "63.02")
    matches = {name: sources.match(name) for name in names}
    codes = {
        name: [item.code for item in ([match.source] if match.source else match.candidates)]
        for name, match in matches.items()
    }
    assert codes == {
        "Emas": [],
        "APBD": ["APBD"],
        "dana desa": ["DANA-DESA"],
        "Dana Desa (DD)": ["DANA-DESA"],
        "DAK  fisik": ["DAK-FISIK"],
        "1.01.01": ["1.01.01"],
        "Pajak Daerah": ["1.01.01", "2.01.01"],
        "APBD II": ["APBD"],
    }
    assert list(find_funding_sources_by_code(session, ["CSR", "EMAS"])) == ["CSR"]


# The data


def test_every_spelling_of_a_funding_source_has_one_meaning(session: Session) -> None:
    groups = session.execute(
        sa.select(get_table(FundingSourceRow)).where(get_table(FundingSourceRow).c.kind == "group")
    )
    meant: dict[str, str] = {}
    codes = set()
    for group in groups:
        codes.add(group.code)
        for spelling in {fold_name(s) for s in (group.code, group.name, *group.aliases)}:
            assert meant.setdefault(spelling, group.code) == group.code
        assert group.parent_code is None or group.parent_code in codes


def test_the_readme_names_every_file() -> None:
    text = (DATA / "README.md").read_text()
    with (DATA / "editions.csv").open() as lines:
        listed = {line["file"] for line in csv.DictReader(lines)}
    assert listed == {path.name for path in DATA.iterdir()} - {"README.md", "editions.csv"}
    assert all(name in text for name in listed)
