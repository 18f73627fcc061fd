"""Looking up reference data, and loading it."""

import csv
import gzip
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.kit.db import table_of
from app.kit.journal import Author, JournalRow
from app.reference.commands import DATA, BrokenReference, load_reference
from app.reference.models import FundingSourceRow, RegionRow
from app.reference.nomenclature.models import SubactivityRow
from app.reference.nomenclature.queries import (
    latest_edition,
    subactivities_by_code,
    subactivities_like,
    subactivities_named,
    successors_of,
)
from app.reference.queries import (
    funding_sources_by_code,
    funding_sources_named,
    regions_by_code,
    regions_named,
    strategies_named,
)
from app.reference.rules import ancestors_of, folded, forms_of, level_of, nearest_ancestor, parent_of
from tests.database import OneTransaction
from tests.reference import small_files

EDITION = "/v1/nomenclatures/2027/subactivities"


def walk(client: TestClient, path: str) -> Iterator[dict[str, Any]]:
    """Every item of a list, page by page."""
    url: str | None = path
    while url is not None:
        reply = client.get(url)
        assert reply.status_code == 200, reply.text
        yield from reply.json()["items"]
        url = reply.links.get("next", {}).get("url")
        assert (url is None) == (reply.json()["next"] is None)


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
def test_names_are_compared_without_case_and_punctuation(text: str, expected: str) -> None:
    assert folded(text) == expected
    assert folded(folded(text)) == folded(text)


def test_levels_and_parents_are_read_from_codes() -> None:
    codes = ["0", "63", "63.02", "63.02.05", "63.02.05.2001"]
    assert [level_of(code) for code in codes] == ["nation", "province", "regency", "district", "village"]
    assert [parent_of(code) for code in codes] == [None, "0", "63", "63.02", "63.02.05"]
    assert ancestors_of("63.02.05") == ["0", "63", "63.02"]
    assert nearest_ancestor("1.02.02.02", {"1", "1.02", "1.03"}) == "1.02"
    assert nearest_ancestor("9", {"1"}) is None


def test_a_location_is_read_literally_before_its_first_word_is_taken_as_a_level() -> None:
    assert [form.folded for form in forms_of("Kec. Pulau Sebuku")] == ["kec pulau sebuku", "pulau sebuku"]
    assert [form.folded for form in forms_of("Kab. Kotabaru")] == ["kab kotabaru", "kabupaten kotabaru"]
    assert forms_of("...") == []


# Regions over HTTP


def test_any_valid_token_reads_reference_data_and_nobody_without(
    stranger: TestClient, anonymous: TestClient
) -> None:
    for path in (
        "/v1/regions",
        "/v1/regions/63.02",
        "/v1/nomenclatures",
        EDITION,
        "/v1/funding-sources",
        "/v1/strategies",
        "/v1/strategies/raise_income",
    ):
        assert stranger.get(path).status_code == 200, path
        assert anonymous.get(path).status_code == 401, path


def test_a_region_tells_where_it_lies(stranger: TestClient) -> None:
    region = stranger.get("/v1/regions/63.02").json()
    assert region == {
        "code": "63.02",
        "name": "Kabupaten Kotabaru",
        "level": "regency",
        "parent_code": "63",
        "parent_name": "Kalimantan Selatan",
        "bps_code": "6302",
        "population": 332787,
        "area_km2": 9345.91,
        "timezone": "WITA",
        "retired": False,
        "ancestors": [
            {"code": "0", "name": "Indonesia", "level": "nation"},
            {"code": "63", "name": "Kalimantan Selatan", "level": "province"},
        ],
        "below": {"province": 0, "regency": 0, "district": 22, "village": region["below"]["village"]},
    }
    assert region["below"]["village"] > 10
    assert stranger.get("/v1/regions/0").json()["ancestors"] == []
    assert stranger.get("/v1/regions/18.02").json()["timezone"] == "WIB"
    assert stranger.get("/v1/regions/99").status_code == 404
    assert stranger.get("/v1/regions/63.02.").status_code == 404


def test_children_are_one_level_below(stranger: TestClient) -> None:
    districts = list(walk(stranger, "/v1/regions/63.02/children?limit=9"))
    assert len(districts) == 22
    assert {d["level"] for d in districts} == {"district"}
    assert [d["code"] for d in districts] == sorted(d["code"] for d in districts)
    assert stranger.get("/v1/regions/99/children").status_code == 404
    village = next(walk(stranger, "/v1/regions?level=village"))["code"]
    assert stranger.get(f"/v1/regions/{village}/children").json() == {"items": [], "next": None}


def test_a_bps_code_is_not_the_kemendagri_code_it_looks_like(stranger: TestClient) -> None:
    (found,) = stranger.get("/v1/regions", params={"bps_code": "1802"}).json()["items"]
    assert (found["code"], found["name"]) == ("18.06", "Kabupaten Tanggamus")
    assert stranger.get("/v1/regions/18.02").json()["name"] == "Kabupaten Lampung Tengah"
    refused = stranger.get("/v1/regions", params={"bps_code": "18.02"})
    assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (400, "bps_code")


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ({"q": "KOTABARU"}, ["63.02"]),
        ({"q": "sebuku,  PULAU", "level": "district"}, ["63.02.05"]),
        ({"q": "lampung", "parent": "18"}, ["18.02"]),
        ({"q": "lampung tengah barat"}, []),
        ({"within": "63", "level": "regency"}, ["63.02", "63.03"]),
        ({"parent": "0", "sort": "-name"}, ["73", "18", "63"]),
        ({"retired": "true"}, []),
    ],
)
def test_search_wants_every_word(stranger: TestClient, query: dict[str, str], codes: list[str]) -> None:
    found = stranger.get("/v1/regions", params={**query, "count": "exact"}).json()
    assert [item["code"] for item in found["items"]] == codes
    assert found["count"] == len(codes)


@pytest.mark.parametrize("text", ["%", "_", "' OR 1=1 --", "\\"])
def test_a_search_knows_no_wildcards(stranger: TestClient, text: str) -> None:
    reply = stranger.get("/v1/regions", params={"q": text})
    if folded(text):
        assert reply.json()["items"] == []
    else:
        assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "no_words")


@pytest.mark.parametrize("sort", ["code", "-code", "name", "-name"])
def test_pages_lose_and_repeat_nothing(stranger: TestClient, database: OneTransaction, sort: str) -> None:
    with database.read_session() as session:
        expected = set(session.scalars(sa.select(table_of(RegionRow).c.code)))
    seen = [item["code"] for item in walk(stranger, f"/v1/regions?limit=7&sort={sort}")]
    assert len(seen) == len(expected)
    assert set(seen) == expected


def test_a_cursor_holds_for_its_own_list_only(stranger: TestClient) -> None:
    first = stranger.get("/v1/regions", params={"limit": 3})
    cursor = first.json()["next"]
    assert f"after={cursor}" in first.headers["link"]
    for params in (
        {"after": cursor[:-2] + "AA"},
        {"after": cursor, "level": "village"},
        {"after": "x"},
        {"after": cursor, "sort": "name"},
    ):
        refused = stranger.get("/v1/regions", params=params)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "foreign_cursor")
    assert stranger.get("/v1/regions/63.02/children", params={"after": cursor}).status_code == 400


def test_an_unknown_parameter_is_refused_with_the_known_ones(stranger: TestClient) -> None:
    for path in ("/v1/regions", EDITION, "/v1/funding-sources", "/v1/strategies", "/v1/nomenclatures"):
        refused = stranger.get(path, params={"levl": "district"})
        assert refused.status_code == 400
        assert "limit" in refused.json()["errors"][0]["allowed"]
    assert stranger.get("/v1/regions", params={"levl": "x"}).json()["errors"][0]["nearest"][0] == "level"


def test_what_did_not_change_is_not_sent_again(stranger: TestClient, secretariat: TestClient) -> None:
    for path in ("/v1/regions/63.02", "/v1/regions?limit=5", f"{EDITION}?limit=2", "/v1/strategies"):
        tag = stranger.get(path).headers["etag"]
        again = secretariat.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


# Nomenclature, funding sources, strategies over HTTP


def test_the_nomenclature_is_searched_by_words_and_place(stranger: TestClient) -> None:
    (edition,) = stranger.get("/v1/nomenclatures").json()["items"]
    assert (edition["edition"], "Permendagri 90/2019" in edition["legal_basis"]) == ("2027", True)
    found = stranger.get(
        EDITION, params={"q": "tanggap bencana keluarga", "activity": "7.01.03.2.06"}
    ).json()["items"]
    assert [item["code"] for item in found] == ["7.01.03.2.06.0010", "7.01.03.2.06.0011"]
    assert all(i["field_code"] == "1.06" for i in walk(stranger, f"{EDITION}?field=1.06&limit=200"))
    of_provinces = {i["government_level"] for i in walk(stranger, f"{EDITION}?government_level=province")}
    assert of_provinces == {"province"}
    assert stranger.get("/v1/nomenclatures/1999/subactivities").status_code == 404


def test_a_code_names_its_predecessor_and_its_successors(stranger: TestClient) -> None:
    old = stranger.get(f"{EDITION}/province/3.29.03.1.04.0004").json()
    (successor,) = old["successors"]
    new = stranger.get(f"{EDITION}/province/{successor['code']}").json()
    assert (new["predecessor_code"], new["name"]) == (old["code"], successor["name"])
    (found,) = stranger.get(EDITION, params={"predecessor": old["code"]}).json()["items"]
    assert found["code"] == successor["code"]
    for wrong in ("regency/3.29.03.1.04.0004", "province/0", "village/3.29.03.1.04.0004"):
        assert stranger.get(f"{EDITION}/{wrong}").status_code == 404


def test_a_subactivity_keeps_the_words_of_the_decree(stranger: TestClient) -> None:
    found = stranger.get(f"{EDITION}/regency/1.01.02.2.01.0029").json()
    assert found["tags"] == ["ANGGARAN RESPONSIF GENDER (ASTACITA)", "KESPRO"]
    assert (found["spm"], found["kind"], found["unit"]) == (True, "Aktifitas", "Satuan Pendidikan")


def test_funding_sources_are_official_codes_and_the_words_in_use(stranger: TestClient) -> None:
    assert len(list(walk(stranger, "/v1/funding-sources?kind=official&limit=90"))) == 300
    group = stranger.get("/v1/funding-sources/DAK-FISIK").json()
    assert (group["kind"], group["parent_code"], group["collects"]) == ("group", "DAK", ["2.02.01.01.03"])
    assert stranger.get("/v1/funding-sources/1.02.02.02").json()["parent_code"] == "1.02"
    assert stranger.get("/v1/funding-sources/EMAS").status_code == 404
    assert [s["key"] for s in stranger.get("/v1/strategies").json()["items"]] == [
        "reduce_spending_burden",
        "raise_income",
        "reduce_poverty_pockets",
    ]
    assert stranger.get("/v1/strategies/S9").status_code == 404


# Look-ups


@pytest.fixture
def session(database: OneTransaction) -> Iterator[Session]:
    with database.read_session() as session:
        yield session


def test_many_regions_are_looked_up_in_one_statement(database: OneTransaction, session: Session) -> None:
    database.statements.clear()
    found = regions_by_code(session, ["63.02", "0", "99", *[f"63.02.01.{n}" for n in range(2000, 9999)] * 5])
    assert {"63.02", "0"} <= set(found)
    assert "99" not in found
    assert (found["63.02"].name, found["63.02"].timezone) == ("Kabupaten Kotabaru", "WITA")
    assert len(database.statements) == 1
    assert regions_by_code(session, []) == {}


def test_locations_are_resolved_by_exact_name_inside_the_region(session: Session) -> None:
    names = [
        "Kec. Pulau Sebuku",
        "KECAMATAN pulau sebuku",
        "Desa Semaras",
        "Semaras",
        "Kab. Kotabaru",
        "Kabupaten Kotabaru",
        "Sebuku",
        "Desa Pulau Sebuku",
        "Kabupaten Tanah Laut",
        "",
    ]
    found = regions_named(session, "63.02", names)
    assert {name: [r.code for r in regions] for name, regions in found.items()} == {
        "Kec. Pulau Sebuku": ["63.02.05"],
        "KECAMATAN pulau sebuku": ["63.02.05"],
        "Desa Semaras": ["63.02.02.2009"],
        "Semaras": ["63.02.02.2009"],
        "Kab. Kotabaru": ["63.02"],
        "Kabupaten Kotabaru": ["63.02"],
    }
    assert regions_named(session, "63.03", ["Semaras"]) == {}


def test_codes_and_names_of_the_nomenclature(database: OneTransaction, session: Session) -> None:
    assert latest_edition(session) == "2027"
    found = subactivities_by_code(session, "2027", "regency", ["1.01.02.2.01.0029", "0"])
    assert list(found) == ["1.01.02.2.01.0029"]
    assert found["1.01.02.2.01.0029"].activity == "Pengelolaan Pendidikan Sekolah Dasar"
    assert subactivities_by_code(session, "2027", "province", ["1.01.02.2.01.0029"]) == {}
    assert list(successors_of(session, "2027", "province", ["3.29.03.1.04.0004"])) == ["3.29.03.1.04.0004"]
    everywhere, there = (
        ("", "pelatihan keluarga tanggap bencana alam"),
        (
            "Pelayanan Pencegahan dan Kesiapsiagaan terhadap Bencana",
            "Pelatihan  Keluarga Tanggap Bencana Alam",
        ),
    )
    nowhere = ("Pelayanan Sosial", "Pelatihan Keluarga Tanggap Bencana Alam")
    database.statements.clear()
    named = subactivities_named(
        session, "2027", "regency", [everywhere, there, nowhere, ("x", ""), ("", "nothing")]
    )
    assert len(database.statements) == 1
    assert {pair: [f.code for f in found] for pair, found in named.items()} == {
        everywhere: ["1.05.03.2.02.0019", "7.01.03.2.06.0010"],
        there: ["1.05.03.2.02.0019"],
    }


def test_candidates_come_by_name_then_activity_then_likeness(session: Session) -> None:
    first = subactivities_like(
        session,
        "2027",
        "regency",
        subactivity="Fasilitasi Pengelolaan Aset Desa",
        activity="Fasilitasi Kerja Sama antar Desa",
    )
    assert [f.code for f in first][:2] == ["2.13.04.2.01.0013", "2.13.03.2.01.0001"]
    misspelt = subactivities_like(session, "2027", "regency", subactivity="Fasilitasi Pengelolan Asset Desa")
    assert misspelt[0].label.startswith("2.13.04.2.01.0013 Fasilitasi Pengelolaan Aset Desa (")
    assert subactivities_like(session, "1999", "regency", subactivity="Fasilitasi") == []


def test_words_for_money_and_strategies(session: Session) -> None:
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
    found = funding_sources_named(session, names)
    assert {name: [f.code for f in sources] for name, sources in found.items()} == {
        "APBD": ["APBD"],
        "dana desa": ["DANA-DESA"],
        "Dana Desa (DD)": ["DANA-DESA"],
        "DAK  fisik": ["DAK-FISIK"],
        "1.01.01": ["1.01.01"],
        "Pajak Daerah": ["1.01.01", "2.01.01"],
        "APBD II": ["APBD"],
    }
    assert list(funding_sources_by_code(session, ["CSR", "EMAS"])) == ["CSR"]
    assert strategies_named(session, ["S2", "PENGURANGAN BEBAN PENGELUARAN MASYARAKAT", "lain"]) == {
        "S2": "raise_income",
        "PENGURANGAN BEBAN PENGELUARAN MASYARAKAT": "reduce_spending_burden",
    }


# The data


def test_every_word_for_money_means_one_thing(session: Session) -> None:
    groups = session.execute(
        sa.select(table_of(FundingSourceRow)).where(table_of(FundingSourceRow).c.kind == "group")
    )
    meant: dict[str, str] = {}
    codes = set()
    for group in groups:
        codes.add(group.code)
        for spelling in {folded(s) for s in (group.code, group.name, *group.aliases)}:
            assert meant.setdefault(spelling, group.code) == group.code
        assert group.parent_code is None or group.parent_code in codes


def test_the_readme_names_every_file() -> None:
    told = (DATA / "README.md").read_text()
    with (DATA / "editions.csv").open() as lines:
        listed = {line["file"] for line in csv.DictReader(lines)}
    assert listed == {path.name for path in DATA.iterdir()} - {"README.md", "editions.csv"}
    assert all(name in told for name in listed)


# Loading


def journal(session: Session) -> list[Any]:
    table = table_of(JournalRow)
    return list(
        session.execute(sa.select(table).where(table.c.chain == "reference").order_by(table.c.position))
    )


def test_loading_twice_changes_nothing(database: OneTransaction, tmp_path: Path) -> None:
    folder = small_files(tmp_path)
    with database.writing() as session:
        before = journal(session)
        load_reference(session, folder=folder)
        once = journal(session)
        assert load_reference(session, folder=folder) == []
        assert journal(session) == once
        assert len(before) == 8
        assert {row.kind for row in once} == {"reference.loaded"}


def test_a_changed_file_updates_and_retires(
    database: OneTransaction, stranger: TestClient, tmp_path: Path
) -> None:
    folder = small_files(tmp_path)
    with database.writing() as session:
        load_reference(session, folder=folder)
    path = folder / "regions.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    text = text.replace("Kabupaten Luwu Utara", "Kabupaten Luwu Lor")
    text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("63.03,"))
    path.write_bytes(gzip.compress(text.encode()))
    seen: list[tuple[str, int, int]] = []
    with database.writing() as session:
        author = Author("console", datetime.now(UTC))
        done = load_reference(session, lambda *told: seen.append(told), author=author, folder=folder)
        last = journal(session)[-1]
    assert done == ["regions"]
    assert seen[-1][0] == "regions"
    assert seen[-1][1] == seen[-1][2] == len(text.splitlines())
    assert (last.subject, last.changes["sha256"][1]) == (
        "regions",
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    assert stranger.get("/v1/regions/73.22").json()["name"] == "Kabupaten Luwu Lor"
    assert stranger.get("/v1/regions/63.03").json()["retired"] is True
    assert [r["code"] for r in stranger.get("/v1/regions", params={"retired": "true"}).json()["items"]] == [
        "63.03"
    ]
    assert "63.03" not in [r["code"] for r in walk(stranger, "/v1/regions/63/children")]


def test_a_file_that_contradicts_itself_is_refused(database: OneTransaction, tmp_path: Path) -> None:
    folder = small_files(tmp_path)
    path = folder / "regions.csv.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"99.01,Kabupaten Tanpa Provinsi\n"))
    with database.writing() as session, pytest.raises(BrokenReference, match=r"99\.01"):
        load_reference(session, folder=folder)
    with database.read_session() as session:
        assert regions_by_code(session, ["99.01"]) == {}


def test_the_whole_files_load_on_top(database: OneTransaction, stranger: TestClient) -> None:
    with database.writing() as session:
        assert load_reference(session) == ["regions", "nomenclature 2027"]
        rows = session.scalar(sa.select(sa.func.count()).select_from(table_of(SubactivityRow)))
        assert rows == 7581
    below = stranger.get("/v1/regions/0").json()["below"]
    assert below == {"province": 38, "regency": 514, "district": 7285, "village": 83762}
    codes = [item["code"] for item in walk(stranger, "/v1/regions?limit=500&within=63")]
    assert len(codes) == len(set(codes)) == 1 + sum(stranger.get("/v1/regions/63").json()["below"].values())
