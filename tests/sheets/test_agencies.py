"""Agencies that the region does not have: under two codes, or without one."""

import pytest

from tests.exchange.office import Office, line, list_places, sheet
from tests.exchange.test_resolving import make_resolution
from tests.sheets.files import read_case

pytestmark = pytest.mark.one_engine

NAME, FIRST, SECOND = "Dinas Koperasi dan UKM", "2.17.3.31.0.00.09.0000", "2.17.3.31.0.00.19.0000"


@pytest.mark.both_engines
@pytest.mark.parametrize("chosen", [FIRST, SECOND])
def test_one_agency_under_two_codes_is_asked(office: Office, chosen: str) -> None:
    """The later cell is asked; the caller chooses one code for both rows, or confirms two agencies."""
    file = read_case("one_agency_two_codes.csv")[0]
    reply = office.send(file, "a.csv", new_agencies="create")
    (error,) = reply.json()["errors"]
    assert (error["code"], error["cell"]["row"]) == ("agency_two_codes", 3)
    assert [item["code"] for item in error["candidates"]] == [FIRST, SECOND]
    resolution = error["resolution"] | {"code": chosen}
    assert resolution == make_resolution("agency", NAME, chosen, row=3)
    report = office.bring(file, "a.csv", new_agencies="create", resolutions=[resolution])
    assert report["agencies_created"] == sorted({FIRST, chosen})
    assert [item["lead_agency"] for item in office.lines().values()] == [FIRST, chosen]


def test_a_choice_for_all_rows_needs_the_row(office: Office) -> None:
    file = read_case("one_agency_two_codes.csv")[0]
    for_all = make_resolution("agency", NAME, FIRST)
    assert office.refused(file, "a.csv", new_agencies="create", resolutions=[for_all]) == [
        ("resolution_needs_row", "/resolutions/0/value")
    ]
    unknown = make_resolution("agency", NAME, "9.99", row=3)
    assert office.refused(file, "a.csv", new_agencies="create", resolutions=[unknown])[0] == (
        "unknown_reference",
        "/resolutions/0/code",
    )


@pytest.mark.both_engines
def test_an_agency_without_a_code_gets_one_of_its_name(office: Office) -> None:
    long = "Dinas Pemberdayaan Masyarakat, Perempuan & Perlindungan Anak"
    rows = [
        line(agency=name, code=None, allocation=n)
        for n, name in enumerate([NAME, NAME.upper(), long, long + " II"])
    ]
    report = office.bring(sheet(*rows), new_agencies="create")
    codes = [
        "DINAS-KOPERASI-DAN-UKM",
        "DINAS-PEMBERDAYAAN-MASYARAKAT-PEREMPUAN",
        "DINAS-PEMBERDAYAAN-MASYARAKAT-PEREMPUA-2",
    ]
    assert report["agencies_created"] == sorted(codes)
    assert [item["lead_agency"] for item in office.lines().values()] == [codes[0], *codes]
    made = [place for place in list_places(report["warnings"]) if place[0] == "agency_code_made"]
    assert made == [("agency_code_made", f"C{row}") for row in (2, 4, 5)]
    assert office.bring(sheet(*rows))["unchanged"] == 4
    assert office.refused(sheet(line(agency="Dinas Lain", code=None))) == [("unknown_agency", "C2")]


def test_an_agency_with_its_code_in_another_row_has_that_code(office: Office) -> None:
    rows = [line(agency=NAME, code=None), line(agency=NAME, code=FIRST, allocation=2)]
    report = office.bring(sheet(*rows), new_agencies="create")
    assert report["agencies_created"] == [FIRST]


@pytest.mark.both_engines
def test_a_short_name_of_one_agency_decides_like_its_name(office: Office) -> None:
    url = office.make_agency()
    patch = office.client.patch(url, json={"short_name": "DSPMD"}, headers={"If-Match": "*"})
    assert (patch.status_code, office.client.get(url).json()["short_name"]) == (200, "DSPMD")
    report = office.bring(sheet(line(agency="dspmd", code=None), line(agency="DSPMD", allocation=2)))
    assert (report["created"], list_places(report["warnings"])) == (2, [])
    found = office.client.get("/v1/regions/18.04/agencies?q=dspmd").json()["items"]
    assert [item["name"] for item in found] == ["Dinas Sosial"]
    twin = {"name": "Dinas Lain", "kind": "dinas", "short_name": "dspmd"}
    assert office.client.put(f"{url[:-4]}0001", json=twin).status_code == 201
    assert office.refused(sheet(line(agency="DSPMD", code=None))) == [("ambiguous_name", "C2")]
    named = {**twin, "name": "DSPMD", "short_name": None}
    assert office.client.put(f"{url[:-4]}0002", json=named).status_code == 201
    report = office.bring(sheet(line(agency="DSPMD", code=None, allocation=5)))
    assert (report["created"], list_places(report["warnings"])) == (1, [])
