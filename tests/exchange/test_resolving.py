"""Names in a file that match nothing, several items, or an old one."""

from typing import Any

import pytest
import sqlalchemy as sa

from app.kit.database.engine import get_table
from app.reference.nomenclature.models import SubactivityRow
from tests.exchange.office import (
    AID_CODE,
    DINKES,
    DINKES_NAME,
    DINSOS,
    OWN,
    SURVEY_CODE,
    TWICE,
    TWICE_CODES,
    Office,
    line,
    list_places,
    sheet,
)

pytestmark = pytest.mark.one_engine


def make_resolution(column: str, value: str, code: str | None, row: int | None = None) -> dict[str, Any]:
    return {"column": column, "value": value, "code": code, "row": row}


@pytest.mark.both_engines
def test_a_sub_activity_matches_by_code_or_by_name_within_its_activity(office: Office) -> None:
    report = office.bring(
        sheet(
            line(),
            line(subactivity=f"{SURVEY_CODE} Pendataan", activity=None, program=None),
            line(activity=f"1.06.06.2.01 {OWN['activity']}", program=None, subactivity="penyediaan  MAKANAN"),
        )
    )
    lines = office.lines()
    assert [action["subactivity_code"] for action in lines.values()] == [
        AID_CODE,
        SURVEY_CODE,
        "1.06.06.2.01.0001",
    ]
    assert lines["A-002"]["subactivity"] == "Pendataan Fakir Miskin Cakupan Daerah Kabupaten/Kota"
    assert lines["A-003"]["activity"].startswith("Perlindungan Sosial Korban Bencana")
    assert list_places(report["warnings"]) == [("other_name", "G3")]
    assert report["warnings"][0]["value"] == "Pendataan"


@pytest.mark.parametrize(
    "cells",
    [
        {"subactivity": "Penyediaan Makanan"},  # of another activity
        {"activity": None, "program": None},  # a name alone is not looked up
        {"activity": "1.06.06.2.01 Kegiatan", "program": None},  # outside that activity
        OWN,
    ],
)
def test_a_name_outside_its_activity_is_not_taken(office: Office, cells: dict[str, Any]) -> None:
    assert office.refused(sheet(line(**cells))) == [("unresolved_subactivity", "G2")]


def test_a_name_of_several_codes_lists_all_of_them(office: Office) -> None:
    reply = office.send(sheet(line(), line(**TWICE)))
    (error,) = reply.json()["errors"]
    assert (error["code"], error["cell"]["row"], error["cell"]["column"]) == ("ambiguous_name", 3, "G")
    assert error["value"] == TWICE["subactivity"]
    assert [name.split()[0] for name in error["allowed"]] == TWICE_CODES


def test_free_text_is_kept_with_a_finding(office: Office) -> None:
    report = office.bring(sheet(line(**TWICE), line(**OWN), line()), accept="free_text")
    assert [place for place in list_places(report["findings"]) if place[0] == "E02"] == [
        ("E02", "G2"),
        ("E02", "G3"),
    ]
    assert report["free_text"] == 2
    first, second, third = office.lines().values()
    assert (first["subactivity_code"], first["subactivity"]) == (None, TWICE["subactivity"])
    assert (second["program"], second["activity"], second["title"]) == tuple(
        OWN[key] for key in ("program", "activity", "subactivity")
    )
    assert third["subactivity_code"] == AID_CODE


@pytest.mark.both_engines
def test_an_unknown_code_is_reported_and_never_lost(office: Office) -> None:
    unknown = sheet(
        line(**{**OWN, "subactivity": "1.06.05.2.02.9999 Gerakan", "program": None, "activity": None})
    )
    assert office.refused(unknown) == [("unresolved_subactivity", "G2")]
    office.bring(unknown, accept="free_text")
    (only,) = office.lines().values()
    assert (only["subactivity_code"], only["subactivity"]) == (None, "1.06.05.2.02.9999 Gerakan")
    assert office.bring(office.export())["unchanged"] == 1
    by_name = office.bring(sheet(line(subactivity="1.06.05.2.02.9998 " + line()["subactivity"])))
    assert list_places(by_name["warnings"]) == [("other_code", "G2")]


def test_a_retired_code_names_its_successors(office: Office) -> None:
    table = get_table(SubactivityRow)
    with office.database.writing() as session:
        of_regencies = table.c.government_level == "regency"
        session.execute(sa.update(table).where(table.c.code == AID_CODE, of_regencies).values(retired=True))
        after = sa.update(table).where(table.c.code == SURVEY_CODE, of_regencies)
        session.execute(after.values(predecessor_code=AID_CODE))
    report = office.bring(sheet(line(subactivity=f"{AID_CODE} {line()['subactivity']}")))
    (finding,) = [finding for finding in report["findings"] if finding["code"] == "E02"]
    assert SURVEY_CODE in finding["message"]


# Resolutions


def test_a_resolution_applies_everywhere_or_to_one_row(office: Office) -> None:
    lines = [line(**TWICE, allocation=n) for n in (1, 2, 3)]
    office.bring(
        sheet(*lines, line(**OWN)),
        resolutions=[
            make_resolution("subactivity", TWICE["subactivity"].upper(), TWICE_CODES[0]),
            make_resolution("subactivity", TWICE["subactivity"], TWICE_CODES[1], row=3),
            make_resolution("subactivity", OWN["subactivity"], None),
        ],
    )
    by_allocation = {action["allocation"]: action["subactivity_code"] for action in office.lines().values()}
    assert by_allocation == {1: TWICE_CODES[0], 2: TWICE_CODES[1], 3: TWICE_CODES[0], 1_000_000: None}


def test_a_resolution_is_remembered(office: Office) -> None:
    file = sheet(line(**OWN), line(**TWICE))
    known = [
        make_resolution("subactivity", OWN["subactivity"], AID_CODE),
        make_resolution("subactivity", TWICE["subactivity"], TWICE_CODES[1]),
    ]
    office.bring(file, resolutions=known)
    lines, journal = office.lines(), office.journal()
    for how in ({"resolutions": known}, {}, {"accept": "free_text"}):
        report = office.bring(file, **how)
        assert (report["unchanged"], report["absent"]) == (2, []), how
    assert (office.lines(), office.journal()) == (lines, journal)


def test_a_line_of_free_text_takes_its_code(office: Office) -> None:
    file = sheet(line(**OWN), line(**TWICE))
    office.bring(file, accept="free_text")
    settled = office.bring(file, resolutions=[make_resolution("subactivity", OWN["subactivity"], AID_CODE)])
    assert (settled["updated"], settled["unchanged"], settled["absent"]) == (1, 1, [])
    mended = office.client.patch(
        f"{office.url}/actions/A-002", json={"subactivity_code": TWICE_CODES[0]}, headers={"If-Match": "*"}
    )
    assert mended.status_code == 200
    office.bring(file, accept="free_text")
    assert [action["subactivity_code"] for action in office.lines().values()] == [AID_CODE, TWICE_CODES[0]]
    written = sheet(line(), line(**{**TWICE, "subactivity": f"{TWICE_CODES[0]} {TWICE['subactivity']}"}))
    assert office.bring(written)["absent"] == []


@pytest.mark.parametrize(
    ("resolution", "error"),
    [
        (
            make_resolution("subactivity", OWN["subactivity"], "9.99.99.9.99.9999"),
            ("unknown_reference", "/resolutions/0/code"),
        ),
        (make_resolution("agency", "Dinas Sosial", "NONE"), ("unknown_reference", "/resolutions/0/code")),
        (make_resolution("funding_sources", "APBD", "NONE"), ("unknown_reference", "/resolutions/0/code")),
        (make_resolution("agency", "Dinas Sosial", None), ("resolution_code_needed", "/resolutions/0/code")),
        (
            make_resolution("subactivity", "Tidak Ada", AID_CODE),
            ("unused_resolution", "/resolutions/0/value"),
        ),
        (
            make_resolution("subactivity", OWN["subactivity"], None, row=9),
            ("unused_resolution", "/resolutions/0/value"),
        ),
        ({"column": "strategy", "value": "x", "code": None}, ("not_allowed", "/resolutions/0/column")),
        (
            {"column": "agency", "value": "x", "code": "A", "name": 1},
            ("unknown_field", "/resolutions/0/name"),
        ),
    ],
)
def test_a_useless_resolution_is_reported_once(
    office: Office, resolution: dict[str, Any], error: tuple[str, str]
) -> None:
    free = make_resolution("subactivity", OWN["subactivity"], None)
    file = sheet(line(**OWN), line(**OWN, allocation=5))
    more = [] if resolution["value"] == OWN["subactivity"] and resolution["row"] is None else [free]
    assert office.refused(file, resolutions=[resolution, *more]) == [error]


def test_a_duplicate_resolution_and_invalid_json_are_refused(office: Office) -> None:
    free = make_resolution("subactivity", OWN["subactivity"], None)
    assert ("duplicate_key", "/resolutions/1/value") in office.refused(
        sheet(line(**OWN)), resolutions=[free, free]
    )
    for text in ("[", "{}", "null", '"x"', "[1]"):
        reply = office.client.post(
            f"{office.url}/imports", files={"file": ("a.xlsx", sheet(line()))}, data={"resolutions": text}
        )
        assert reply.status_code == 422, text
        assert reply.json()["errors"], text


# Agencies


def test_an_agency_matches_by_code_then_by_name(office: Office) -> None:
    office.make_agency(DINKES, DINKES_NAME)
    report = office.bring(
        sheet(
            line(agency="Dinas Sosial Kabupaten"),
            line(agency="dinas  KESEHATAN", code=None),
            line(agency=DINKES_NAME, code="1.02.0.00.0.00.99.0000", allocation=3),
        )
    )
    assert [action["lead_agency"] for action in office.lines().values()] == [DINSOS, DINKES, DINKES]
    assert list_places(report["warnings"]) == [("other_name", "C2"), ("other_code", "D4")]


def test_an_unknown_agency_is_reported_in_every_row(office: Office) -> None:
    stranger = line(agency="Dinas Sosal", code=None)
    reply = office.send(sheet(line(), stranger, stranger))
    assert [(e["code"], e["cell"]["row"]) for e in reply.json()["errors"]] == [
        ("unknown_agency", 3),
        ("unknown_agency", 4),
    ]
    assert reply.json()["errors"][0]["nearest"] == [f"{DINSOS} Dinas Sosial"]
    settled = office.bring(
        sheet(line(), stranger, stranger), resolutions=[make_resolution("agency", "Dinas Sosal", DINSOS)]
    )
    assert settled["created"] == 3


def test_agencies_are_created_on_request(office: Office) -> None:
    names = ["Badan Keuangan", "Inspektorat", "Kecamatan Pulau Sebuku", "Bagian Kesra", DINKES_NAME]
    codes = [f"5.02.0.00.0.00.{n:02}.0000" for n in range(len(names))]
    rows = [line(agency=name, code=code) for name, code in zip(names, codes, strict=True)]
    assert office.bring(sheet(*rows, *rows), new_agencies="create")["agencies_created"] == codes
    items = office.client.get("/v1/regions/63.02/agencies?sort=code&limit=50").json()["items"]
    kinds = {item["name"]: (item["kind"], item["is_partner"]) for item in items}
    assert [kinds[name] for name in names] == [
        ("badan", False),
        ("unit", False),
        ("kecamatan", False),
        ("sekretariat", False),
        ("dinas", False),
    ]
    long = line(agency="Dinas " + "x" * 600, code="5.03.0.00.0.00.01.0000")
    assert office.refused(sheet(long), new_agencies="create") == [("wrong_length", "C2")]


def test_two_agencies_of_one_name(office: Office) -> None:
    office.make_agency("LAIN", "Dinas Sosial")
    reply = office.send(sheet(line(code=None)))
    (error,) = reply.json()["errors"]
    assert (error["code"], error["allowed"]) == (
        "ambiguous_name",
        [f"{DINSOS} Dinas Sosial", "LAIN Dinas Sosial"],
    )
    office.bring(sheet(line(code=None)), resolutions=[make_resolution("agency", "Dinas Sosial", "LAIN")])
    assert office.lines()["A-001"]["lead_agency"] == "LAIN"


def test_the_lines_of_a_merged_agency_are_its_successors(office: Office) -> None:
    url = office.make_agency(DINKES, DINKES_NAME)
    file = sheet(line(agency=DINKES_NAME, code=DINKES))
    office.bring(file)
    assert (
        office.client.post(f"{url}/merge", json={"into": DINSOS}, headers={"If-Match": "*"}).status_code
        == 200
    )
    for same in (file, sheet(line(agency=DINKES_NAME, code=None))):
        report = office.bring(same)
        assert (report["unchanged"], list_places(report["warnings"])) == (1, [("merged_agency", "C2")])
    assert office.lines()["A-001"]["lead_agency"] == DINSOS


def test_a_retired_agency_keeps_its_lines_and_gets_none(office: Office) -> None:
    url = office.make_agency(DINKES, DINKES_NAME)
    row = line(agency=DINKES_NAME, code=DINKES)
    office.bring(sheet(row))
    assert office.client.post(f"{url}/retire", headers={"If-Match": "*"}).status_code == 200
    assert office.bring(sheet(row))["unchanged"] == 1
    assert office.bring(office.export())["unchanged"] == 1
    assert office.refused(sheet(line(), {**row, "allocation": 2})) == [("retired_agency", "C3")]
    assert office.refused(sheet(line(), {**row, "strategy": "2"})) == [("retired_agency", "C3")]


# Money, places, people


def test_funding_sources_with_and_without_their_amounts(office: Office) -> None:
    report = office.bring(
        sheet(
            line(funding_sources="APBD Rp 600.000; Dana Desa (Rp 400.000)"),
            line(funding_sources="apbd dan DAK", allocation=7),
            line(funding_sources="1.01.01.15 Pajak Bumi", allocation=8),
            line(funding_sources=None, allocation=9),
            line(funding_sources="APBD Rp 1; DAK Rp 2", allocation=10),
        )
    )
    amounts = [
        [(item["funding_source"], item["amount"]) for item in action["budget_lines"]]
        for action in office.lines().values()
    ]
    assert amounts == [
        [("APBD", 600_000), ("DANA-DESA", 400_000)],
        [("APBD", None), ("DAK", None)],
        [("1.01.01.15", 8)],
        [],
        [("APBD", 1), ("DAK", 2)],
    ]
    findings = list_places(report["findings"])
    assert ("E09", "L5") in findings
    assert [finding for finding in findings if finding[0] == "E01"] == [("E01", "L3"), ("E01", "L6")]
    assert office.refused(sheet(line(funding_sources="APBN; Kas Bon"))) == [("unknown_reference", "L2")]
    office.bring(
        sheet(line(funding_sources="Kas Bon")),
        resolutions=[make_resolution("funding_sources", "kas bon", "DAK")],
    )
    assert office.lines()["A-001"]["budget_lines"][0]["funding_source"] == "DAK"


# Words, their places, warning.
PLACES: list[tuple[str, list[str], str | None]] = [
    ("Desa Semaras", ["63.02.02.2009"], None),
    ("Kec. Pulau Sebuku", ["63.02.05"], None),
    ("63.02.05.2007 Desa Rampa; 63.02.05.2008", ["63.02.05.2007", "63.02.05.2008"], None),
    ("Semaras, Rampa (Kec. Pulau Sebuku)", ["63.02.02.2009", "63.02.05.2007"], None),
    ("Kecamatan Pulau Sebuku: Rampa, Ujung", ["63.02.05.2007", "63.02.05.2008"], None),
    ("Kabupaten Kotabaru", ["63.02"], None),
    ("Seluruh Kecamatan", ["63.02"], "all_places"),
    ("Desa Semaras, Desa Entah", [], "unresolved_place"),
    ("99.22.01 Malangke", [], "unresolved_place"),
]
# Words that are asked: each error, and the codes of its candidates.
ASKED_PLACES: list[tuple[str, str, list[str]]] = [
    ("Desa Semaras (Kec. Pulau Sebuku)", "ambiguous_place", ["63.02.02.2009", "63.02.05"]),
    ("73.22 Luwu Utara", "outside_place", ["73.22"]),
    ("Kecamatan Semaras", "ambiguous_place", ["63.02.02.2009"]),
]


def test_places_of_several_meanings_are_asked(office: Office) -> None:
    reply = office.send(sheet(*[line(location=words) for words, _, _ in ASKED_PLACES]))
    errors = [
        (item["code"], [name.split()[0] for name in item["nearest"]]) for item in reply.json()["errors"]
    ]
    assert errors == [(code, codes) for _, code, codes in ASKED_PLACES]


def test_places_match_whole_or_keep_their_words(office: Office) -> None:
    report = office.bring(
        sheet(*[line(location=words, allocation=n) for n, (words, _, _) in enumerate(PLACES)])
    )
    for (words, codes, _), action in zip(PLACES, office.lines().values(), strict=True):
        assert [item["region_code"] for item in action["locations"]] == codes
        assert action["matrix_texts"].get("location") == (None if codes else words)
    warned = [(warning, f"N{row}") for row, (_, _, warning) in enumerate(PLACES, 2) if warning]
    assert list_places(report["warnings"]) == warned
    text = office.export("csv").decode()
    assert [words for words, codes, _ in PLACES if not codes and words not in text] == []
    for ending in ("xlsx", "csv"):
        assert office.bring(office.export(ending), f"a.{ending}")["unchanged"] == len(PLACES)


def test_recipients_benefit_and_duration(office: Office) -> None:
    rich = line(
        recipients="500 KK, 20 kelompok", benefit_amount="Rp 500.000/KK", benefit_form="Tunai dan Barang",
        duration="1 tahun", regularity="Insidentil", direct="Bantuan tunai", supporting="Rapat\nATK",
    )  # fmt: skip
    poor = line(
        allocation=2, recipients="warga sekitar", benefit_amount="Paket sembako", benefit_form="Doa",
        duration="secukupnya", regularity="kadang-kadang",
    )  # fmt: skip
    report = office.bring(sheet(rich, poor))
    first, second = office.lines().values()
    assert [(r["kind"], r["unit"], r["count"]) for r in first["recipients"]] == [
        ("families", "KK", 500),
        ("groups", "kelompok", 20),
    ]
    assert (first["benefit_amount"], first["benefit_forms"]) == (500_000, ["cash", "goods"])
    assert (first["benefit_months"], first["benefit_regularity"]) == (12, "incidental")
    assert [(c["code"], c["component_class"]) for c in first["components"]] == [
        ("D1", "direct"),
        ("S1", "supporting"),
    ]
    assert (second["recipients"], second["benefit_description"]) == ([], "Paket sembako")
    assert second["matrix_texts"] == {
        "recipients": "warga sekitar", "benefit_form": "Doa", "duration": "secukupnya", "regularity": "kadang-kadang",
    }  # fmt: skip
    assert {place for _, place in list_places(report["warnings"])} == {"M3", "O3", "P3", "Q3", "R3"}
    text = office.export("csv").decode()
    for words in ("Rp 500.000/KK", "warga sekitar", "Paket sembako", "Doa", "secukupnya", "kadang-kadang"):
        assert words in text
    assert office.bring(office.export())["unchanged"] == 2


def test_rows_can_continue_a_line(office: Office) -> None:
    more = {
        "allocation": 400_000, "funding_sources": "DAK", "direct": "B", "location": "Desa Semaras",
        "recipients": "3 kelompok", "benefit_form": "Jasa",
    }  # fmt: skip
    file = sheet(
        line(
            allocation=600_000,
            direct="A",
            location="Desa Rampa (Kec. Pulau Sebuku)",
            recipients="5 KK",
            duration="2 bulan",
        ),
        more,
        line(number=2, allocation=5, location="Entah", benefit_form="Tunai"),
        {"direct": "C", "location": "Desa Semaras", "benefit_form": "Barang"},
    )
    report = office.bring(file)
    assert (report["lines"], report["allocation"]) == (2, 1_000_005)
    first, second = office.lines().values()
    assert [(b["funding_source"], b["amount"]) for b in first["budget_lines"]] == [
        ("APBD", 600_000),
        ("DAK", 400_000),
    ]
    assert [c["description"] for c in first["components"]] == ["A", "B"]
    assert [p["region_code"] for p in first["locations"]] == ["63.02.05.2007", "63.02.02.2009"]
    assert [r["count"] for r in first["recipients"]] == [5, 3]
    assert (first["benefit_months"], first["benefit_forms"]) == (2, ["service"])
    assert second["matrix_texts"] == {"location": "Entah; Desa Semaras", "benefit_form": "Tunai; Barang"}
    assert office.bring(file)["unchanged"] == 2
    assert office.bring(office.export())["unchanged"] == 2


@pytest.mark.parametrize(
    ("cells", "error"),
    [
        ({**OWN, "subactivity": "x" * 501}, ("wrong_length", "G2")),
        ({**OWN, "activity": "x" * 501}, ("wrong_length", "F2")),
        ({"duration": "13 bulan"}, ("out_of_range", "R2")),
        ({"location": "Entah " + "x" * 10_000}, ("wrong_length", "N2")),
        ({"benefit_amount": "y" * 10_001}, ("wrong_length", "P2")),
        ({"indirect": "z" * 10_001}, ("wrong_length", "I2")),
        ({"recipients": "9999999999 KK"}, ("out_of_range", "O2")),
        ({"recipients": "5 " + "orang " * 90}, ("wrong_length", "O2")),
    ],
)
def test_values_that_an_action_cannot_hold_are_reported_by_cell(
    office: Office, cells: dict[str, Any], error: tuple[str, str]
) -> None:
    assert office.refused(sheet(line(**cells), line(allocation=2)), accept="free_text") == [error]


def test_all_wrong_cells_are_reported_each_once(office: Office) -> None:
    wrong = line(agency=None, code=None, strategy=None, allocation="banyak", funding_sources="Kas Bon")
    assert sorted(office.refused(sheet(wrong, line(allocation=None), line(duration="13 bulan")))) == [
        ("cell_required", "K3"),
        ("no_agency", "C2"),
        ("no_strategy", "B2"),
        ("not_an_amount", "K2"),
        ("unknown_reference", "L2"),
    ]
