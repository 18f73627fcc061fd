"""Reference data over HTTP."""

import csv
import gzip

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.kit.fields import fold_name
from app.reference.commands import DATA
from app.reference.models import RegionRow
from app.reference.rules import format_region, list_other_names
from tests.database import OneTransaction
from tests.pages import walk

EDITION = "/v1/nomenclatures/2027/subactivities"


# Regions over HTTP


def test_any_valid_token_reads_reference_data_and_no_anonymous_client(
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


def test_a_region_has_its_parent_ancestors_and_counts_below(stranger: TestClient) -> None:
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


def test_a_bps_code_differs_from_the_equal_digits_of_kemendagri(stranger: TestClient) -> None:
    (region,) = stranger.get("/v1/regions", params={"bps_code": "1802"}).json()["items"]
    assert (region["code"], region["name"]) == ("18.06", "Kabupaten Tanggamus")
    assert stranger.get("/v1/regions/18.02").json()["name"] == "Kabupaten Lampung Tengah"
    refused = stranger.get("/v1/regions", params={"bps_code": "18.02"})
    assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (400, "bps_code")


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ({"q": "KOTABARU"}, ["63.02"]),
        ({"q": "sebuku,  PULAU", "level": "district"}, ["63.02.05"]),
        ({"q": "lampung", "parent": "18"}, ["18.02"]),
        ({"q": "lampung sekali lagi"}, []),
        ({"within": "63", "level": "regency"}, ["63.02", "63.03"]),
        ({"parent": "0", "sort": "-name"}, ["73", "18", "63"]),
        ({"retired": "true"}, []),
    ],
)
def test_a_search_matches_every_word(stranger: TestClient, query: dict[str, str], codes: list[str]) -> None:
    page = stranger.get("/v1/regions", params={**query, "count": "exact"}).json()
    assert [item["code"] for item in page["items"]] == codes
    assert page["count"] == len(codes)


@pytest.mark.parametrize("text", ["%", "_", "' OR 1=1 --", "\\"])
def test_a_search_has_no_wildcards(stranger: TestClient, text: str) -> None:
    reply = stranger.get("/v1/regions", params={"q": text})
    if fold_name(text):
        assert reply.json()["items"] == []
    else:
        assert (reply.status_code, reply.json()["errors"][0]["code"]) == (400, "no_words")


@pytest.mark.parametrize("sort", ["code", "-code", "name", "-name"])
def test_pages_have_every_region_once(stranger: TestClient, database: OneTransaction, sort: str) -> None:
    with database.read_session() as session:
        expected = set(session.scalars(sa.select(get_table(RegionRow).c.code)))
    seen = [item["code"] for item in walk(stranger, f"/v1/regions?limit=7&sort={sort}")]
    assert len(seen) == len(expected)
    assert set(seen) == expected


def test_a_cursor_is_valid_for_its_own_list_alone(stranger: TestClient) -> None:
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


def test_an_unknown_parameter_is_refused_with_the_allowed_ones(stranger: TestClient) -> None:
    for path in ("/v1/regions", EDITION, "/v1/funding-sources", "/v1/strategies", "/v1/nomenclatures"):
        refused = stranger.get(path, params={"levl": "district"})
        assert refused.status_code == 400
        assert "limit" in refused.json()["errors"][0]["allowed"]
    assert stranger.get("/v1/regions", params={"levl": "x"}).json()["errors"][0]["nearest"][0] == "level"


def test_a_matching_etag_is_304(stranger: TestClient, secretariat: TestClient) -> None:
    for path in ("/v1/regions/63.02", "/v1/regions?limit=5", f"{EDITION}?limit=2", "/v1/strategies"):
        tag = stranger.get(path).headers["etag"]
        again = secretariat.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


# Nomenclature, funding sources, strategies over HTTP


def test_the_nomenclature_is_searched_by_words_and_parent(stranger: TestClient) -> None:
    (edition,) = stranger.get("/v1/nomenclatures").json()["items"]
    assert (edition["edition"], "Permendagri 90/2019" in edition["legal_basis"]) == ("2027", True)
    items = stranger.get(
        EDITION, params={"q": "tanggap bencana keluarga", "activity": "7.01.03.2.06"}
    ).json()["items"]
    assert [item["code"] for item in items] == ["7.01.03.2.06.0011", "7.01.03.2.06.0010"]
    assert all(i["field_code"] == "1.06" for i in walk(stranger, f"{EDITION}?field=1.06&limit=200"))
    of_provinces = {i["government_level"] for i in walk(stranger, f"{EDITION}?government_level=province")}
    assert of_provinces == {"province"}
    assert stranger.get("/v1/nomenclatures/1999/subactivities").status_code == 404


@pytest.mark.both_engines
@pytest.mark.parametrize(
    ("path", "words"),
    [
        (EDITION, "posyandu"),
        ("/v1/regions", "pulau"),
        ("/v1/funding-sources", "hasil"),
        (f"{EDITION}?government_level=regency", "keluarga sosial"),
    ],
)
def test_words_order_a_list_by_likeness_in_every_page(stranger: TestClient, path: str, words: str) -> None:
    """The pages have each entry once, in one order on both engines; another sort has the same entries."""
    query = f"{path}{'&' if '?' in path else '?'}q={words}"
    whole = stranger.get(f"{query}&limit=500&count=exact").json()
    codes = [item["code"] for item in whole["items"]]
    assert (len(codes), whole["next"]) == (whole["count"], None)
    assert len(codes) > 2
    assert codes != sorted(codes)
    assert [item["code"] for item in walk(stranger, f"{query}&limit=3")] == codes
    by_code = [item["code"] for item in walk(stranger, f"{query}&limit=3&sort=code")]
    assert by_code == sorted(codes)
    is_named = [all(word in item["name"].casefold() for word in words.split()) for item in whole["items"]]
    assert is_named == sorted(is_named, reverse=True)


@pytest.mark.parametrize(
    ("path", "words", "first"),
    [
        ("/v1/regions", "kotbaru", "63.02"),
        ("/v1/regions?level=district", "pulau sebulu", "63.02.05"),
        ("/v1/funding-sources", "tembakao", "DBH-CHT"),
        (EDITION, "permaknan", "1.06.04.2.01.0001"),
        (EDITION, "zzzzz", None),
    ],
)
def test_words_with_a_letter_off_find_the_nearest_names(
    stranger: TestClient, path: str, words: str, first: str | None
) -> None:
    items = stranger.get(f"{path}{'&' if '?' in path else '?'}q={words}").json()["items"]
    assert [item["code"] for item in items][:1] == ([first] if first else [])


def test_relevance_without_words_is_by_code(stranger: TestClient) -> None:
    items = stranger.get("/v1/regions", params={"sort": "relevance"}).json()["items"]
    assert [item["code"] for item in items] == sorted(item["code"] for item in items)


def test_a_code_names_its_predecessor_and_its_successors(stranger: TestClient) -> None:
    old = stranger.get(f"{EDITION}/province/3.29.03.1.04.0004").json()
    (successor,) = old["successors"]
    new = stranger.get(f"{EDITION}/province/{successor['code']}").json()
    assert (new["predecessor_code"], new["name"]) == (old["code"], successor["name"])
    (item,) = stranger.get(EDITION, params={"predecessor": old["code"]}).json()["items"]
    assert item["code"] == successor["code"]
    for wrong in ("regency/3.29.03.1.04.0004", "province/0", "village/3.29.03.1.04.0004"):
        assert stranger.get(f"{EDITION}/{wrong}").status_code == 404


def test_a_subactivity_keeps_the_words_of_the_decree(stranger: TestClient) -> None:
    subactivity = stranger.get(f"{EDITION}/regency/1.01.02.2.01.0029").json()
    assert subactivity["tags"] == ["ANGGARAN RESPONSIF GENDER (ASTACITA)", "KESPRO"]
    assert (subactivity["spm"], subactivity["kind"], subactivity["unit"]) == (
        True,
        "Aktifitas",
        "Satuan Pendidikan",
    )


def test_funding_sources_are_official_codes_and_common_groups(stranger: TestClient) -> None:
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


def test_characters_that_no_database_stores_are_no_server_error(stranger: TestClient) -> None:
    for path in (
        "/v1/regions/%00",
        "/v1/regions/%00/children",
        "/v1/funding-sources/%00",
        "/v1/strategies/%ff",
        f"{EDITION}/regency/%00",
        "/v1/nomenclatures/%00/subactivities",
        f"{EDITION}?field=%00",
        f"{EDITION}?q=a%00",
        "/v1/funding-sources?parent=%00",
        "/v1/regions/63.02/agencies/%00",
    ):
        assert stranger.get(path).status_code in (200, 400, 404), path


def test_each_name_has_its_level_once() -> None:
    words = {"Provinsi", "Kabupaten", "Kota", "Kecamatan", "Desa"}
    for code, name in (
        ("63", "Kalimantan Selatan"),
        ("63.02", "Kabupaten Kotabaru"),
        ("63.72", "Kota Banjarbaru"),
    ):
        first, second, *_ = format_region(code, name).split()
        assert (first in words, second in words) == (True, False)
    assert format_region("0", "Indonesia") == "Indonesia"
    assert format_region("11.06.15", "Kota Jantho") == "Kecamatan Kota Jantho"
    assert format_region("63.02.05.2001", "Sekapung") == "Desa Sekapung"
    with gzip.open(DATA / "regions.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            shown = format_region(row["code"], row["name"])
            assert format_region(row["code"], shown) == shown
            assert shown.endswith(row["name"])


@pytest.mark.parametrize(
    ("code", "name", "others"),
    [
        ("63.02", "Kabupaten Kotabaru", ["kotabaru"]),
        ("31.71", "Kota Administrasi Jakarta Pusat", ["jakarta pusat"]),
        ("12.12", "Kabupaten Toba", ["toba", "Kabupaten Toba Samosir"]),
        ("52", "Nusa Tenggara Barat", ["NTB"]),
        ("15.71.07", "Kota Baru", []),
    ],
)
def test_a_region_has_other_names(code: str, name: str, others: list[str]) -> None:
    assert list_other_names(code, fold_name(name)) == others
