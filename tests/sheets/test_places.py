"""Places as offices write them: the region that the whole cell means, or a question."""

import csv
import gzip
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from app.kit.fields import fold_name
from app.reference.commands import DATA
from app.reference.places.rules import FoundPlaces, PlaceNames
from tests.exchange.office import Office, line, list_places, sheet
from tests.exchange.test_resolving import make_resolution
from tests.sheets.files import read_case

pytestmark = pytest.mark.one_engine

SUKA_MARGA, SIDO_REJO, SUOH = "18.04.09.2003", "18.04.09.2017", "18.04.09"
CODES = {
    "place_01": [SUKA_MARGA],
    "place_02": [SUKA_MARGA],
    "place_03": [SUKA_MARGA],
    "place_04": [SUKA_MARGA],
    "place_05": [SUKA_MARGA, SIDO_REJO],
    "place_06": ["18.04"],
    "place_07": ["18.04"],
    "place_08": ["18.04"],
    "place_09": ["18.04"],
}
"""Case → the codes that its cell means."""


@pytest.mark.both_engines
@pytest.mark.parametrize("case", CODES)
def test_a_case_gives_the_places_that_the_whole_cell_means(office: Office, case: str) -> None:
    file = read_case(f"{case}.csv")[0]
    report = office.bring(file, f"{case}.csv", new_agencies="create")
    (stored,) = office.lines().values()
    assert [item["region_code"] for item in stored["locations"]] == CODES[case]
    every = case in ("place_06", "place_09")
    assert [item for item in list_places(report["warnings"]) if item[1] == "N2"] == [
        ("all_places", "N2")
    ] * every
    assert office.bring(file, f"{case}.csv")["unchanged"] == 1
    for ending in ("xlsx", "csv"):
        assert office.bring(office.export(ending), f"a.{ending}")["unchanged"] == 1


@pytest.mark.both_engines
def test_a_place_outside_the_region_is_asked_and_settled(office: Office) -> None:
    file = read_case("place_10.csv")[0]
    reply = office.send(file, "a.csv", new_agencies="create")
    (error,) = reply.json()["errors"]
    assert (error["code"], error["value"]) == ("outside_place", "Kab. Pesisir Barat")
    assert error["nearest"] == ["18.13 Kabupaten Pesisir Barat"]
    as_text = make_resolution("location", "kab pesisir barat", None)
    office.bring(file, "a.csv", new_agencies="create", resolutions=[as_text])
    (stored,) = office.lines().values()
    assert (stored["locations"], stored["matrix_texts"]["location"]) == (
        [],
        "Kec. Suoh dan Kab. Pesisir Barat",
    )
    for again in (file, office.export("csv")):  # a text that the plan keeps is not asked again
        report = office.bring(again, "a.csv")
        assert (report["unchanged"], report["warnings"][-1]["code"]) == (1, "unresolved_place")
    chosen = make_resolution("location", "Kab. Pesisir Barat", "18.04.08", row=2)
    office.bring(file, "a.csv", resolutions=[chosen])
    (stored,) = office.lines().values()
    assert [item["region_code"] for item in stored["locations"]] == [SUOH, "18.04.08"]


def test_a_chosen_village_takes_the_place_of_its_district(office: Office) -> None:
    office.make_agency()
    file = sheet(line(location="Pekon Suka Mrga Kec. Suoh"))
    assert office.refused(file) == [("ambiguous_place", "N2")]
    office.bring(file, resolutions=[make_resolution("location", "Pekon Suka Mrga", SUKA_MARGA)])
    (stored,) = office.lines().values()
    assert [item["region_code"] for item in stored["locations"]] == [SUKA_MARGA]


def test_an_unknown_code_of_a_resolution_is_refused(office: Office) -> None:
    office.make_agency()
    wrong = make_resolution("location", "Sukamarga", "18.04.99")
    assert office.refused(sheet(line(location="Sukamarga")), resolutions=[wrong]) == [
        ("unknown_reference", "/resolutions/0/code")
    ]


# The grammar, over the shipped register

TEXTS: dict[str, FoundPlaces] = {
    "Desa/Kel. Suka Marga, Kec. Suoh": FoundPlaces((SUKA_MARGA,)),
    "1. Suka Marga\n2. Sido Rejo Kec. Suoh": FoundPlaces((SUKA_MARGA, SIDO_REJO)),
    "Kec. Suoh (Suka Marga), Kec. Sekincau": FoundPlaces((SUKA_MARGA, "18.04.08")),
    "Kec. Suoh, Kab. Lampung Barat, Provinsi Lampung": FoundPlaces((SUOH,)),
    "Seluruh Pekon di Kec. Suoh dan Kec. Sekincau": FoundPlaces((SUOH, "18.04.08"), every=("Seluruh Pekon",)),
    "Seluruh Kecamatan Lampung Barat": FoundPlaces(("18.04",), every=("Seluruh Kecamatan Lampung Barat",)),
    "Seluruh wilayah": FoundPlaces(("18.04",)),
    "Kab. Lampung Barat": FoundPlaces(("18.04",)),
    "Se Kecamatan Suoh": FoundPlaces((SUOH,)),
    "1804092003": FoundPlaces((SUKA_MARGA,)),
    "Kantor Dinas": FoundPlaces(unread=("Kantor Dinas",)),
    "Balai Pekon Suka Marga": FoundPlaces((SUKA_MARGA,), unread=("Balai",)),
    "Kecamatan": FoundPlaces(unread=("Kecamatan",)),
    "": FoundPlaces(),
}
ASKED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "Suoh": ("Suoh", "ambiguous", (SUOH, "18.04.23.2001")),
    "Sukamarga": ("Sukamarga", "ambiguous", (SUKA_MARGA,)),
    "Kec. Suka Marga": ("Kec. Suka Marga", "ambiguous", (SUKA_MARGA,)),
    "Suka Marga dan Kec. Suoh": ("Kec. Suoh", "ambiguous", (SUOH, SUKA_MARGA)),
    "Pekon Suka Marga (Kec. Sekincau)": ("Pekon Suka Marga", "ambiguous", (SUKA_MARGA, "18.04.08")),
    f"{SUKA_MARGA} Pekon Sido Rejo": ("Pekon Sido Rejo", "ambiguous", (SIDO_REJO, SUKA_MARGA)),
    "Kota Metro": ("Kota Metro", "outside", ("18.72",)),
    "Provinsi Lampung": ("Provinsi Lampung", "outside", ("18",)),
    "1802": ("1802", "outside", ("18.06",)),
}
"""Text → the words that are asked, why, and the codes that they may mean."""


@cache
def read_register() -> dict[str, str]:
    with gzip.open(DATA / "regions.csv.gz", "rt", encoding="utf-8-sig") as lines:
        return {row["code"]: row["name"] for row in csv.DictReader(lines)}


@cache
def read_names(region: str) -> PlaceNames:
    with (DATA / "region_bps_crosswalk.csv").open(encoding="utf-8-sig") as lines:
        bps = {row["bps_code"]: row["code"] for row in csv.DictReader(lines)}
    labels = {
        code: name
        for code, name in read_register().items()
        if code.count(".") < 2 or code.startswith(f"{region}.")
    }
    return PlaceNames(region, labels, bps)


def test_a_text_gives_its_places() -> None:
    for text, expected in TEXTS.items():
        assert read_names("18.04").find(text) == expected, text


def test_a_text_of_several_meanings_is_asked() -> None:
    for text, expected in ASKED.items():
        (asked,) = read_names("18.04").find(text).asked
        assert (asked.words, asked.doubt, asked.codes) == expected, text


FORMS = (
    "Desa {v}, Kec. {d}", "{v} (Kec. {d})", "{v} ({d})", "Kec. {d}: {v}", "Kec. {d}/Desa {v}", "Ds. {v} - Kec. {d}",
    "Pekon {v} Kecamatan {d} {r}", "Desa {v} di Kecamatan {d}", "KECAMATAN {d}, KEL. {v}", "{c} Desa {v}",
    "{c} {v} (Kec. {d})", "{v}; {c}",
)  # fmt: skip
REGENCIES = ("18.04", "63.02", "73.17", "91.05", "11.01", "52.72")


@given(
    region=some.sampled_from(REGENCIES),
    place=some.integers(0, 10**6),
    form=some.sampled_from(FORMS),
    also=some.booleans(),
)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_every_way_to_write_a_village_names_it_alone(region: str, place: int, form: str, also: bool) -> None:
    """A village in any form is found, with another district around it or not; otherwise it is asked, never lost."""
    register = read_register()
    villages = [code for code in register if code.startswith(f"{region}.") and code.count(".") == 3]
    code = villages[place % len(villages)]
    district = code.rpartition(".")[0]
    text = form.format(v=register[code], d=register[district], r=register[region], c=code)
    districts = [c for c in register if c.startswith(f"{region}.") and c.count(".") == 2 and c != district]
    other = districts[place % len(districts)]
    found = read_names(region).find(f"{text}; {other} Kec. {register[other]}" if also else text)
    twins = [
        c
        for c in villages
        if c.startswith(f"{district}.") and fold_name(register[c]) == fold_name(register[code])
    ]
    if found.asked:
        is_bare = form.startswith("{v};") or len(twins) > 1
        assert is_bare
        assert all(code in asked.codes for asked in found.asked)
    assert set(found.codes) - {other} <= {code}
    assert code in {*found.codes, *(c for asked in found.asked for c in asked.codes)}
    assert (other in found.codes, found.unread) == (also, ())


@given(text=some.text(some.sampled_from("abSuoh Marg,;:/()&+-–\n.12dikecdesasemua'"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_word_of_a_text_is_lost(text: str) -> None:
    """Every text with a letter gives places, a question, or words that stay words."""
    found = read_names("18.04").find(text)
    words = set(fold_name(text).split()) - {"di", "dalam", "pada", "wilayah", "dan", "serta"}
    if any(word.isalpha() for word in words):
        assert found != FoundPlaces(), text


@pytest.mark.parametrize(
    "piece", [",", "(", "1", "Suoh ", "kec. ", "a dan ", "Suka ", ": ", "18.04.09 ", "\n", "se"]
)
def test_the_longest_cell_takes_linear_time(piece: str) -> None:
    # Patterns that backtrack would take minutes here.
    read_names("18.04").find(piece * (32_767 // len(piece)))
