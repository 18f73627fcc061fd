"""Importing coverage from the tables of offices: both layouts, both code systems, errors by cell."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import xlsxwriter
from fastapi.testclient import TestClient

from app.convergence.coverage.files.rules import CoverageTable, find_header, read_table
from app.convergence.editions.methods.models import Service
from app.kit.files.books import Formula, Sheet, Value
from tests.coverage.world import AT, SEKAPUNG, VILLAGES, get_figures, put
from tests.pages import walk

pytestmark = pytest.mark.one_engine

KEMENDAGRI = {"code_system": "kemendagri"}
BPS = {"code_system": "bps"}
HEAD = "village_code,target_families,source,source_period"
WIDE = f"{HEAD},livelihood eligible,livelihood served,safe_water eligible,safe_water served\n"
LONG = f"{HEAD},service,eligible,served\n"


def import_table(client: TestClient, data: str | bytes, name: str = "cakupan.csv", **query: Any) -> Any:
    raw = data.encode() if isinstance(data, str) else data
    return client.post(AT, params=KEMENDAGRI | query, files={"file": (name, raw)})


def list_error_cells(reply: Any) -> list[tuple[str, str]]:
    """Return (cell, code) of the errors in a refusal."""
    assert reply.status_code == 422, reply.text
    return [(f"{e['cell']['column']}{e['cell']['row']}", e["code"]) for e in reply.json()["errors"]]


def write_workbook(rows: Sequence[Sequence[Any]], sheet: str = "Cakupan") -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        page = book.add_worksheet(sheet)
        for r, row in enumerate(rows):
            page.write_row(r, 0, row)
    return out.getvalue()


def test_a_wide_table_is_imported_once(secretariat: TestClient) -> None:
    table = WIDE + f"{VILLAGES[0]},100,DTSEN,2026-Q1,60,15,40,30\n\n{SEKAPUNG},90,DTSEN,2026-Q1,,,0,0\n"
    result = import_table(secretariat, table).json()
    assert (result["layout"], result["villages"], result["created"], result["errors"]) == ("wide", 2, 2, [])
    assert import_table(secretariat, table).json()["unchanged"] == 2
    stored = {row["village"]: row for row in walk(secretariat, f"{AT}?region=63.02")}
    assert [row["service"] for row in stored[VILLAGES[0]]["services"]] == ["livelihood", "safe_water"]
    assert [row["service"] for row in stored[SEKAPUNG]["services"]] == ["safe_water"]
    assert stored[SEKAPUNG]["coverage_percent"] is None
    assert get_figures(secretariat, "63.02")["served"] == 45


def test_a_long_table_groups_the_services_of_a_village(secretariat: TestClient) -> None:
    table = (
        LONG
        + f"{SEKAPUNG},90,DTSEN,2026-Q1,livelihood,60,15\n{SEKAPUNG},90,,,Air minum layak,40,30\n"
        + f"{VILLAGES[0]},80,DTSEN,2026-Q1,Safe water,1.250,-\n"
    )
    result = import_table(secretariat, table).json()
    assert (result["layout"], result["villages"], result["created"]) == ("long", 2, 2)
    reply = secretariat.get(f"{AT}/{SEKAPUNG}").json()
    assert [(row["service"], row["served"]) for row in reply["services"]] == [
        ("livelihood", 15),
        ("safe_water", 30),
    ]
    assert secretariat.get(f"{AT}/{VILLAGES[0]}").json()["services"][0]["eligible"] == 1250
    same = {"service": "livelihood", "eligible": 60, "served": 15}
    assert reply["services"][0] == same


def test_a_workbook_may_have_titles_and_indonesian_headings(secretariat: TestClient) -> None:
    rows = [
        ["CAKUPAN LAYANAN KABUPATEN KOTABARU"],
        [],
        [
            "No",
            "Kode Desa",
            "Desa/Kelurahan",
            "Keluarga Sasaran",
            "Air minum layak sasaran",
            "Air minum layak terlayani",
        ],
        [1, 6302012001, "Labuan Barat", 100, 40, 30],
        [2, SEKAPUNG, "Desa " + _get_name(secretariat, SEKAPUNG), "1.100", "40", 12.0],
    ]
    result = import_table(
        secretariat, write_workbook(rows), "cakupan.xlsx", source="Dinas PU", source_period="2026-S1"
    ).json()
    assert (result["sheet"], result["created"]) == ("Cakupan", 2)
    reply = secretariat.get(f"{AT}/{SEKAPUNG}").json()
    assert (reply["source"], reply["source_period"], reply["target_families"]) == (
        "Dinas PU",
        "2026-S1",
        1100,
    )


def _get_name(client: TestClient, code: str) -> str:
    return str(client.get(f"/v1/regions/{code}").json()["name"])


def test_all_errors_name_their_cell_and_nothing_is_written(secretariat: TestClient) -> None:
    table = (
        WIDE
        + f"{VILLAGES[0]},100,DTSEN,2026-Q1,60,61,40,\n"
        + f"{VILLAGES[1]},x,DTSEN,2026-Q5,-1,0,40,30.5\n"
        + f"{VILLAGES[2]},,,,1,1,=A1,1\n"
        + f"{SEKAPUNG},90,DTSEN,2026-Q1,1,1,,\n{SEKAPUNG},90,DTSEN,2026-Q1,1,1,,\n"
        + ",90,DTSEN,2026-Q1,1,1,,\n63.02.05,90,DTSEN,2026-Q1,1,1,,\n63.02.05.9999,90,DTSEN,2026-Q1,1,1,,\n"
    )
    reply = import_table(secretariat, table)
    assert sorted(list_error_cells(reply)) == sorted(
        [
            ("F2", "served_over_eligible"),
            ("H2", "blank_cell"),
            ("B3", "not_a_count"),
            ("D3", "malformed_period"),
            ("E3", "not_a_count"),
            ("H3", "fraction_of_count"),
            ("B4", "blank_cell"),
            ("C4", "blank_cell"),
            ("D4", "blank_cell"),
            ("G4", "formula"),
            ("A6", "duplicate_key"),
            ("A7", "blank_cell"),
            ("A8", "malformed_region_code"),
            ("A9", "unknown_reference"),
        ]
    )
    error = next(row for row in reply.json()["errors"] if row["code"] == "served_over_eligible")
    assert (error["value"], error["allowed"]) == (61, "≤ 60")
    assert list(walk(secretariat, f"{AT}?region=63.02")) == []
    good = import_table(secretariat, table + f"{VILLAGES[3]},90,DTSEN,2026-Q1,1,1,,\n", each="true").json()
    assert (good["villages"], good["created"], good["refused"]) == (9, 1, 8)
    assert len(good["errors"]) == 14


@pytest.mark.parametrize(
    ("head", "wrong"),
    [
        (f"{HEAD},service,eligible", [("A1", "missing_column")]),
        (f"{HEAD},livelihood eligible", [("E1", "missing_column")]),
        (HEAD, [("A1", "missing_column")]),
        (
            f"{HEAD},livelihod eligible,livelihood served",
            [("E1", "doubtful_column"), ("F1", "missing_column")],
        ),
        (f"{HEAD},source,service,eligible,served", [("E1", "duplicate_column")]),
        (f"{HEAD},safe_water eligible,Belum terlayani", [("E1", "missing_column")]),
    ],
)
def test_wrong_headings_are_refused(secretariat: TestClient, head: str, wrong: list[tuple[str, str]]) -> None:
    table = f"{head}\n{SEKAPUNG},1,DTSEN,2026,1,1,1,1\n"
    assert list_error_cells(import_table(secretariat, table)) == wrong


def test_a_file_without_the_table_is_refused(secretariat: TestClient) -> None:
    reply = import_table(secretariat, "a,b\n1,2\n")
    assert (reply.status_code, reply.json()["errors"][0]["code"]) == (422, "no_table")
    nameless = import_table(secretariat, f"desa,service,eligible,served\n{SEKAPUNG},safe_water,1,1\n")
    assert (nameless.status_code, nameless.json()["errors"][0]["code"]) == (400, "region_needed")
    unknown = import_table(secretariat, f"{WIDE}{SEKAPUNG},1,DTSEN,2026,1,1,1,1\n", region="63.99")
    assert (unknown.status_code, unknown.json()["errors"][0]["parameter"]) == (400, "region")


def test_an_import_needs_a_code_system_and_checks_names(secretariat: TestClient) -> None:
    reply = secretariat.post(AT, files={"file": ("x.csv", b"x")})
    assert (reply.status_code, reply.json()["errors"][0]["parameter"]) == (400, "code_system")
    named = f"{HEAD},desa,kecamatan,livelihood eligible,livelihood served\n"
    row = f"{VILLAGES[0]},1,DTSEN,2026,{{}},{{}},1,1\n"
    assert (
        import_table(secretariat, named + row.format("LABUAN  BARAT", "Kec. Pulau Sembilan")).json()[
            "created"
        ]
        == 1
    )
    wrong = import_table(secretariat, named + row.format("Teluk Sungai", "Kelumpang"))
    assert sorted(list_error_cells(wrong)) == [("E2", "name_of_another"), ("F2", "name_of_another")]


@pytest.mark.both_engines
def test_bps_codes_give_the_regency_and_names_the_village(secretariat: TestClient) -> None:
    head = f"{HEAD},kecamatan,desa,livelihood eligible,livelihood served\n"

    def make_row(code: str, district: str, village: str) -> str:
        return f"{code},1,DTSEN,2026,{district},{village},1,1\n"

    table = (
        head
        + make_row("6302010001", "Pulau Sembilan", "Labuan Barat")
        + make_row("6302010002", "Pulau Sembilan", "Tengah")
    )
    assert import_table(secretariat, table, **BPS).json()["created"] == 2
    assert secretariat.get(f"{AT}/{VILLAGES[0]}").status_code == 200
    wrong = import_table(
        secretariat,
        head
        + make_row("6302010001", "Pulau Sembilan", "Labuan Barit")
        + make_row("6302010003", "Sembilan", "Maradapan")
        + make_row("6302010004", "", "Maradapan")
        + make_row("9902010005", "Pulau Sembilan", "Maradapan")
        + make_row(VILLAGES[2], "Pulau Sembilan", "Maradapan")
        + make_row("6302010006", "Pulau Sembilan", "Maradapan")
        + make_row("6302010007", "Pulau Sembilan", "Maradapan"),
        **BPS,
    )
    assert sorted(list_error_cells(wrong)) == [
        ("A5", "unknown_reference"),
        ("A6", "code_of_other_system"),
        ("A8", "duplicate_key"),
        ("E3", "unclear_area"),  # also for the row below, which has no district of its own
        ("F2", "unclear_area"),
    ]
    nearest = next(make_row for make_row in wrong.json()["errors"] if make_row["cell"]["row"] == 2)["nearest"]
    assert nearest[0] == "63.02.01.2001 Labuan Barat"


def test_an_import_needs_the_right_and_a_retry_imports_once(
    connect: Callable[..., TestClient], secretariat: TestClient
) -> None:
    table = WIDE + f"{SEKAPUNG},90,DTSEN,2026-Q1,1,1,,\n"
    assert import_table(connect(), table).status_code == 404
    assert import_table(connect(("reader", "63")), table).status_code == 403
    assert import_table(secretariat, table, dry_run="true").json()["created"] == 1
    assert secretariat.get(f"{AT}/{SEKAPUNG}").status_code == 404
    headers = {"Idempotency-Key": "cakupan"}
    request = {"params": KEMENDAGRI, "headers": headers, "files": {"file": ("x.csv", table.encode())}}
    assert secretariat.post(AT, **request).json()["created"] == 1
    assert secretariat.post(AT, **request).json()["created"] == 1
    put(secretariat, SEKAPUNG)


def test_contradicting_rows_of_a_village_are_errors() -> None:
    rows: list[list[Value]] = [
        ["kode", "keluarga sasaran", "layanan", "sasaran", "terlayani"],
        [SEKAPUNG, 10, "Livelihood", 5, 5],
        [SEKAPUNG, 11, "Livelihood", 5, 5],
        [SEKAPUNG, 10, "x", 5, Formula("=1")],
    ]
    (village,) = read_rows(rows).villages
    assert [(e.cell and (e.cell.row, e.cell.column), e.kind.code) for e in village.errors] == [
        ((3, "B"), "row_differs"),
        ((3, "C"), "duplicate_key"),
        ((4, "C"), "unknown_reference"),
    ]
    assert [error.kind.code for error in read_rows([["kode", "layanan"]]).rows.errors] == [
        "missing_column"
    ] * 2


def read_rows(rows: list[list[Value]]) -> CoverageTable:
    sheet, services = Sheet("S", rows), [_make_service("livelihood")]
    table = find_header(sheet, services)
    assert table is not None
    return read_table(sheet, *table, services)


def _make_service(code: str) -> Service:
    return Service(code=code, name=code, name_english=code.capitalize(), strategy="raise_income")


def test_a_number_of_a_person_is_refused_by_cell(secretariat: TestClient) -> None:
    numbered = WIDE + (
        f"{VILLAGES[0]},100,Data 7322014505850001,2026-Q1,60,15,40,30\n{SEKAPUNG},90,DTSEN,2026-Q1,,,0,0\n"
    )
    assert list_error_cells(import_table(secretariat, numbered)) == [("C2", "person_number")]
    reply = import_table(secretariat, numbered, each=True).json()
    assert (reply["created"], [error["code"] for error in reply["errors"]]) == (1, ["person_number"])


def test_a_blank_value_is_named_where_it_belongs(secretariat: TestClient) -> None:
    """A table without a column for it names the column, never the cell of the village."""
    table = f"village_code,safe_water eligible,safe_water served\n{VILLAGES[0]},40,30\n{VILLAGES[1]},40,30\n"
    for query in ({}, {"each": True}):
        reply = import_table(secretariat, table, source="DTSEN", **query)
        assert list_error_cells(reply) == [("A1", "missing_column"), ("A1", "missing_column")]
        assert [e["allowed"] for e in reply.json()["errors"]] == ["keluarga sasaran", "periode data"]
    blank = f"{WIDE}{VILLAGES[0]},100,DTSEN,2026-Q1,,,,\n"
    assert list_error_cells(import_table(secretariat, blank)) == [("E2", "blank_cell")]
