"""Candidates of an import and the order of likeness behind them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from app.kit.tables.candidates import Likeness, NamedEntry, NameIndex
from app.reference.nomenclature.rules import can_use_code
from tests.exchange.office import (
    AID_CODE,
    AUTONOMOUS,
    AUTONOMOUS_CODES,
    OWN,
    SURVEY_CODE,
    Office,
    line,
    sheet,
)
from tests.exchange.test_resolving import make_resolution

pytestmark = pytest.mark.one_engine


def list_errors(office: Office, data: bytes, **how: Any) -> list[dict[str, Any]]:
    reply = office.send(data, **how)
    assert reply.status_code == 422, reply.text
    return list(reply.json()["errors"])


def test_an_error_has_candidates_and_the_resolution_that_settles_it(office: Office) -> None:
    """Each proposed resolution with the code of a candidate settles its cell."""
    office.make_agency()
    wrong = {"agency": "Dinsos", "code": None, "funding_sources": "DAK Penugasan", "location": "Sukamarga"}
    file = sheet(line(**wrong, subactivity="Fasilitasi Bantuan Sosial Kesejahteran Keluarga"))
    errors = list_errors(office, file)
    assert [(item["resolution"]["column"], item["candidates"][0]["code"]) for item in errors] == [
        ("agency", "1.06.0.00.0.00.08.0000"),
        ("subactivity", AID_CODE),
        ("funding_sources", "DAK-FISIK"),
        ("location", "18.04.09.2003"),
    ]
    assert errors[3]["candidates"] == [
        {"code": "18.04.09.2003", "name": "Suka Marga", "level": "village", "within": "Suoh"}
    ]
    chosen = [item["resolution"] | {"code": item["candidates"][0]["code"]} for item in errors]
    office.bring(file, resolutions=chosen)
    (stored,) = office.lines().values()
    assert (stored["subactivity_code"], stored["locations"][0]["region_code"]) == (AID_CODE, "18.04.09.2003")


def test_a_code_of_bps_and_a_place_outside_say_so(office: Office) -> None:
    office.make_agency()
    for words, code, note in (
        ("1802", "18.06", "the cell has the code of BPS for this region"),
        ("Kab. Pesisir Barat", "18.13", "outside the plan's region"),
    ):
        reply = office.send(sheet(line(location=words)), headers={"Accept-Language": "en"})
        (error,) = reply.json()["errors"]
        ((candidate),) = error["candidates"]
        assert (candidate["code"], candidate["note"]) == (code, note)


def test_a_resolution_without_a_row_never_settles_another_meaning(office: Office) -> None:
    """One name in two activities: the proposals have rows, and one for both is refused with the rows."""
    office.make_agency()
    elsewhere = {**OWN, "activity": "Kegiatan Lain"}
    file = sheet(line(**OWN), line(**elsewhere, allocation=2))
    assert [item["resolution"].get("row") for item in list_errors(office, file)] == [2, 3]
    for_all = make_resolution("subactivity", OWN["subactivity"], AID_CODE)
    (error,) = list_errors(office, file, resolutions=[for_all])
    assert (error["code"], error["pointer"], error["allowed"]) == (
        "resolution_needs_row",
        "/resolutions/0/value",
        [2, 3],
    )
    office.bring(
        file,
        resolutions=[for_all, make_resolution("subactivity", OWN["subactivity"], SURVEY_CODE, row=3)],
    )
    codes = {item["allocation"]: item["subactivity_code"] for item in office.lines().values()}
    assert codes == {1_000_000: AID_CODE, 2: SURVEY_CODE}
    same = sheet(line(**{**OWN, "subactivity": "Lain"}), line(**{**OWN, "subactivity": "Lain"}, allocation=2))
    assert [item["resolution"].get("row") for item in list_errors(office, same)] == [None, None]


@pytest.mark.parametrize("cells", [AUTONOMOUS, {**AUTONOMOUS, "activity": "Kegiatan Lain"}])
def test_a_variant_of_special_autonomy_is_not_meant_elsewhere(office: Office, cells: dict[str, str]) -> None:
    """A name whose other codes are for Papua has one code here; as candidates they do not appear."""
    office.make_agency()
    if cells is AUTONOMOUS:
        office.bring(sheet(line(**cells)))
        (stored,) = office.lines().values()
        assert stored["subactivity_code"] == AUTONOMOUS_CODES[0]
    else:
        (error,) = list_errors(office, sheet(line(**cells)))
        codes = [item["code"] for item in error["candidates"]]
        assert codes[0] == AUTONOMOUS_CODES[0]
        assert AUTONOMOUS_CODES[1] not in codes


def test_a_province_with_special_autonomy_can_mean_every_variant() -> None:
    regions = {"11.01": True, "31.71": True, "91.05": True, "18.04": False, "63": False}
    assert {region: can_use_code(region, AUTONOMOUS_CODES[1]) for region in regions} == regions
    assert all(can_use_code(region, AUTONOMOUS_CODES[0]) for region in regions)


@pytest.mark.both_engines
def test_a_misspelt_word_finds_what_is_meant(office: Office) -> None:
    office.make_agency()
    (error,) = list_errors(office, sheet(line(**{**OWN, "subactivity": "permaknan"})))
    assert {item["name"] for item in error["candidates"]} == {"Penyediaan Permakanan"}


# The order

INDEX = NameIndex(
    [
        NamedEntry("A", ("Dinas Sosial",)),
        NamedEntry("B", ("Badan Perencanaan Pembangunan Daerah",)),
        NamedEntry("C", ("Dinas Pemberdayaan Masyarakat dan Desa",)),
        NamedEntry("D", ("Badan Kesatuan Bangsa dan Politik",)),
        NamedEntry("E", ("Suoh",), 3),
        NamedEntry("F", ("Suoh",), 2),
        NamedEntry("G", ("Suoh Baru",), 2),
        NamedEntry("1.02.03", ("Penyediaan Permakanan", "Permakanan")),
    ],
    has_abbreviations=True,
)


@pytest.mark.parametrize(
    ("query", "codes", "likeness"),
    [
        ("dinas  SOSIAL", ["A"], Likeness.exact),
        ("Dinsos", ["A"], Likeness.abbreviation),
        ("Dissos", ["A"], Likeness.abbreviation),
        ("Bappeda", ["B"], Likeness.abbreviation),
        ("DPMD", ["C"], Likeness.abbreviation),
        ("Kesbangpol", ["D"], Likeness.abbreviation),
        ("Suoh", ["F", "E", "G"], Likeness.exact),
        ("Su", ["F", "G", "E"], Likeness.words),
        ("masyarakat dinas", ["C"], Likeness.words),
        ("permaknan", ["1.02.03"], Likeness.near_words),
        ("Suohbru", ["G"], Likeness.near_name),
        ("1.02", ["1.02.03"], Likeness.code),
        ("xyz", [], None),
        ("...", [], None),
    ],
)
def test_names_are_ranked_by_kind_level_closeness_and_code(
    query: str, codes: list[str], likeness: Likeness | None
) -> None:
    ranked = INDEX.rank(query)
    assert [item.code for item in ranked] == codes
    assert likeness is None or ranked[0].likeness == likeness


NAMES = some.text("abc d", min_size=1, max_size=9)


@given(names=some.lists(NAMES, min_size=1, max_size=9), query=NAMES, limit=some.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_the_order_is_total_and_exact_names_are_first(names: list[str], query: str, limit: int) -> None:
    entries = [NamedEntry(str(n), (name,), n % 2) for n, name in enumerate(names)]
    ranked = NameIndex(entries).rank(query)
    assert ranked == sorted(ranked) == NameIndex(reversed(entries)).rank(query)
    exact = {str(n) for n, name in enumerate(names) if name.split() == query.split() != []}
    assert {item.code for item in ranked[: len(exact)]} == exact
    assert {item.code for item in ranked if item.likeness is Likeness.exact} == exact
    few = NameIndex(entries).rank(query, limit)
    assert [item for item in few if item.likeness <= Likeness.words] == [
        item for item in ranked if item.likeness <= Likeness.words
    ][:limit]
