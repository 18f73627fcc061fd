"""Tables of coverage as offices write them: the shared cases, and each way to write one table."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
import xlsxwriter
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app.convergence.coverage.files.rules import CoverageTable, find_header, read_table
from app.convergence.editions.methods.models import Service
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from app.kit.files.books import Sheet, Value
from app.kit.files.cells import take_results
from app.kit.files.reader import open_book
from app.kit.tables.numbers import format_thousands
from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.sheets.files import read_case

AT = "/v1/coverage/2026-Q2"
SUKA_MARGA, SIDO_REJO = "18.04.09.2003", "18.04.09.2017"
SOURCED = {"source": "DTSEN", "source_period": "2026-Q1"}


@pytest.fixture
def secretariat(connect: ConnectAs) -> TestClient:
    return connect(("secretariat", "18.04"))


def send_table(client: TestClient, data: bytes, name: str = "a.csv", **query: Any) -> httpx.Response:
    form = {key: query.pop(key) for key in ("resolutions", "columns") if key in query}
    query = {"code_system": "kemendagri", "region": "18.04", **SOURCED, **query}
    return client.post(AT, params=query, files={"file": (name, data)}, data=form)


def send_case(client: TestClient, name: str, **query: Any) -> httpx.Response:
    data, own = read_case(name)
    return send_table(client, data, name, **own | query)


def list_places(errors: list[Any]) -> list[tuple[str, str]]:
    return [(f"{e['cell']['column']}{e['cell']['row']}", e["code"]) for e in errors]


def get_name(client: TestClient, code: str) -> str:
    return str(client.get(f"/v1/regions/{code}").json()["name"])


# The shared cases


@pytest.mark.both_engines
def test_services_above_their_columns_are_read_by_name(secretariat: TestClient) -> None:
    reply = send_case(secretariat, "coverage_two_header_rows.csv")
    assert reply.status_code == 200, reply.text
    result = reply.json()
    assert (result["layout"], result["villages"], result["created"]) == ("wide", 2, 2)
    assert list_places(result["warnings"]) == [("F2", "unknown_column"), ("I2", "unknown_column")]
    rows = [secretariat.get(f"{AT}/{code}").json() for code in (SUKA_MARGA, SIDO_REJO)]
    assert [row["target_families"] for row in rows] == [210, 180]
    assert [[(s["service"], s["eligible"], s["served"]) for s in row["services"]] for row in rows] == [
        [("safe_water", 120, 90), ("sanitation", 110, 40)],
        [("safe_water", 100, 80), ("sanitation", 90, 45)],
    ]


def test_a_sum_that_differs_is_named_by_cell(secretariat: TestClient) -> None:
    data = read_case("coverage_two_header_rows.csv")[0].replace(b"JUMLAH;;390;220", b"JUMLAH;;391;220")
    warnings = send_table(secretariat, data).json()["warnings"]
    (error,) = [item for item in warnings if item["code"] == "total_differs"]
    assert list_places([error]) == [("C5", "total_differs")]
    assert error["message"] == ("Baris jumlah menyebut 391, padahal baris yang dijumlahkannya berjumlah 390.")


def test_a_name_a_letter_off_is_asked_and_settled(secretariat: TestClient, database: OneTransaction) -> None:
    reply = send_case(secretariat, "coverage_spelling.csv")
    assert reply.status_code == 422
    (error,) = reply.json()["errors"]
    assert list_places([error]) == [("B2", "unclear_area")]
    assert "sistem kode" not in error["message"]
    assert error["candidates"][0] == {
        "code": SUKA_MARGA, "name": get_name(secretariat, SUKA_MARGA), "level": "village", "within": "Suoh",
    }  # fmt: skip
    choice = error["resolution"] | {"code": error["candidates"][0]["code"]}
    settled = send_case(secretariat, "coverage_spelling.csv", resolutions=json.dumps([choice]))
    assert (settled.status_code, settled.json()["created"]) == (200, 1)
    assert read_choices(database)["resolutions"] == [{"row": None, **choice}]


def read_choices(database: OneTransaction) -> Any:
    """Return the choices in the record of the only import."""
    table = get_table(JournalRow)
    with database.read_session() as session:
        ((changes,),) = session.execute(sa.select(table.c.changes).where(table.c.kind == "import.created"))
    return (changes if isinstance(changes, dict) else json.loads(changes))["choices"][1]


# Names


HEAD = "Kecamatan;Pekon;Keluarga Sasaran;Sanitasi layak sasaran;Sanitasi layak terlayani\n"


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("Suho;Suka Marga", [("A2", "unclear_area")]),
        ("Suoh;Kec. Suoh", [("B2", "unclear_area")]),
        ("Suoh;Desa Suka Marga", []),
        ("Kec. Suoh;Pekon  SUKA MARGA", []),
        (";Suka Marga", []),
        ("Balik Bukit;Suka Marga", [("B2", "unclear_area")]),
        ("Suoh;", [("B2", "blank_cell")]),
        ("Suoh;=A1", [("B2", "formula")]),
    ],
)
def test_names_decide_only_if_equal(secretariat: TestClient, row: str, wrong: list[tuple[str, str]]) -> None:
    reply = send_table(secretariat, f"{HEAD}{row};9;5;4\n".encode())
    assert list_places(reply.json()["errors"]) == wrong


def test_resolutions_that_settle_nothing_are_refused(secretariat: TestClient) -> None:
    choices = [
        {"column": "village", "value": "Suka Marga", "code": "18.04.09"},
        {"column": "district", "value": "Entah", "code": "18.04.09"},
    ]
    table = f"{HEAD}Suoh;Suka Marga;9;5;4\n".encode()
    for each in ("false", "true"):
        errors = send_table(secretariat, table, each=each, resolutions=json.dumps(choices)).json()["errors"]
        assert sorted((e["pointer"], e["code"]) for e in errors if "pointer" in e) == [
            ("/resolutions/0/code", "unknown_reference"),
            ("/resolutions/1/value", "unused_resolution"),
        ]


def test_a_merged_district_is_asked_once(secretariat: TestClient) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        page = book.add_worksheet("Cakupan")
        page.write_row(0, 0, HEAD.strip().split(";"))
        page.merge_range("A2:A3", "Suho")
        page.write_row("B2", ["Suka Marga", 9, 5, 4])
        page.write_row("B3", ["Sido Rejo", 9, 5, 4])
        page.merge_range("A4:E4", "KEC. BALIK BUKITT")
        page.write_row("B5", ["Bahway", 9, 5, 4])
    errors = send_table(secretariat, out.getvalue(), "a.xlsx").json()["errors"]
    assert list_places(errors) == [("A2", "unclear_area"), ("A4", "unclear_area")]
    assert [error["resolution"]["value"] for error in errors] == ["Suho", "KEC. BALIK BUKITT"]
    choices = [error["resolution"] | {"code": error["candidates"][0]["code"]} for error in errors]
    settled = send_table(secretariat, out.getvalue(), "a.xlsx", resolutions=json.dumps(choices))
    assert (settled.status_code, settled.json()["created"]) == (200, 3)


def test_a_chosen_column_is_read(secretariat: TestClient) -> None:
    table = HEAD.replace("Keluarga Sasaran", "Jml KRT") + "Suoh;Suka Marga;9;5;4\n"
    refused = send_table(secretariat, table.encode())
    assert list_places(refused.json()["errors"]) == [("A1", "missing_column")]
    assert "Jml KRT" in [column["heading"] for column in refused.json()["columns"]]
    chosen = json.dumps([{"heading": "Jml KRT", "field": "target_families"}])
    assert send_table(secretariat, table.encode(), columns=chosen).json()["created"] == 1


def test_codes_of_the_other_system_are_named(secretariat: TestClient) -> None:
    head = "Kode Desa;Kecamatan;Desa;Keluarga Sasaran;Sanitasi layak sasaran;Sanitasi layak terlayani\n"
    bps = send_table(secretariat, f"{head}1801090003;Suoh;Suka Marga;9;5;4\n".encode())
    (error,) = bps.json()["errors"]
    assert (list_places([error]), error["allowed"]) == (
        [("A2", "code_of_other_system")],
        "18.04 Kabupaten Lampung Barat",
    )
    own = f"{head}{SUKA_MARGA};Suoh;Suka Marga;9;5;4\n".encode()
    (error,) = send_table(secretariat, own, code_system="bps").json()["errors"]
    assert list_places([error]) == [("A2", "code_of_other_system")]
    assert error["allowed"] == f"{SUKA_MARGA} {get_name(secretariat, SUKA_MARGA)}"


def test_a_hidden_row_without_a_known_cell_is_not_asked(secretariat: TestClient) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        page = book.add_worksheet("Cakupan")
        page.write_row(0, 0, [*HEAD.strip().split(";"), "Petugas"])
        page.write_row(1, 0, ["Suoh", "Suka Marga", 9, 5, 4, "x"])
        page.write_row(2, 0, ["", "", "", "", "", "y"])
        page.write_row(3, 0, ["Suoh", "Sido Rejo", 9, 5, " ", "z"])
        page.set_row(2, None, None, {"hidden": True})
    errors = send_table(secretariat, out.getvalue(), "a.xlsx").json()["errors"]
    assert list_places(errors) == [("E4", "blank_cell")]


def test_hidden_and_struck_rows_are_settled_by_the_call(secretariat: TestClient) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        page, struck = book.add_worksheet("Cakupan"), book.add_format({"font_strikeout": True})
        page.write_row(0, 0, HEAD.strip().split(";"))
        page.write_row(1, 0, ["Suoh", "Suka Marga", 9, 5, 4])
        page.write_row(2, 0, ["Suoh", "Sido Rejo", 9, 5, 4])
        page.set_row(2, None, None, {"hidden": True})
        page.write_row(3, 0, ["Suoh", "Tuguratu", 9, 5, 4], struck)
        page.write_formula(4, 2, "=SUM(C2:C3)", None, 18)
        page.write(4, 0, "Jumlah Kec. Suoh")
    data = out.getvalue()
    refused = send_table(secretariat, data, "a.xlsx")
    assert list_places(refused.json()["errors"]) == [("A3", "hidden_row"), ("A4", "struck_row")]
    taken = send_table(secretariat, data, "a.xlsx", hidden_rows="take", struck_rows="skip").json()
    assert (taken["created"], taken["warnings"]) == (2, [])
    assert taken["skipped_rows"] == [{"reason": "struck", "rows": [4]}]


# Each way to write one table

SERVICES = [
    Service(code="safe_water", name="Air minum layak", name_english="Safe water", strategy="base"),
    Service(code="sanitation", name="Sanitasi layak", name_english="Sanitation", strategy="base"),
]
VILLAGES = [
    ("Suoh", "Suka Marga"),
    ("Suoh", "Sido Rejo"),
    ("Balik Bukit", "Bahway"),
    ("Balik Bukit", "Sebarus"),
]
DISTRICT_HEADINGS = ["Kecamatan", "Nama Kecamatan", "Distrik"]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Figures = list[tuple[int, int, int, int, int]]
COUNTS = st.integers(0, 5000)
FIGURES = st.lists(
    st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS).map(
        lambda n: (n[0], max(n[1], n[2]), min(n[1], n[2]), max(n[3], n[4]), min(n[3], n[4]))
    ),
    min_size=len(VILLAGES),
    max_size=len(VILLAGES),
)


def write_table(figures: Figures, draw: Draw) -> list[list[Value]]:
    """Write one table in any way: titles, one or two rows of header, order, merged districts, shares, sums."""
    is_two, has_code = draw(st.booleans()), draw(st.booleans())
    repeats, has_share, has_sums = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    service = draw(st.sampled_from(["name", "name_english", "code"]))
    words = draw(
        st.sampled_from(
            [("Sasaran", "Terlayani"), ("eligible", "served"), ("Jumlah Sasaran (KK)", "Dilayani")]
        )
    )
    spell = draw(st.sampled_from([int, str, format_thousands, lambda n: f"'{n}"]))
    columns: list[tuple[str, str]] = [("", "Keluarga Sasaran"), ("", "No")]
    columns += [("", draw(st.sampled_from(DISTRICT_HEADINGS)))]
    columns += [("", draw(st.sampled_from(["Desa", "Pekon", "Nama Desa/Kelurahan", "Nagari"])))]
    columns += [("", "Kode Desa")] * has_code
    blocks = [[(getattr(item, service), word) for word in (*words, *["%"] * has_share)] for item in SERVICES]
    head = [
        *draw(st.permutations(columns)),
        *(column for block in draw(st.permutations(blocks)) for column in block),
    ]
    rows: list[list[Value]] = [["CAKUPAN LAYANAN"], []] * draw(st.integers(0, 2))
    if is_two:
        starts = [n == 0 or head[n - 1][0] != group for n, (group, _) in enumerate(head)]
        rows.append(
            [
                (group if is_first else None) if group else word
                for (group, word), is_first in zip(head, starts, strict=True)
            ]
        )
        rows.append([word if group else None for group, word in head])
    else:
        rows.append([f"{group} {word}".strip() for group, word in head])
    rows += [[n + 1 for n in range(len(head))]] * draw(st.booleans())
    seen = ""
    totals: dict[str, list[int]] = {}
    for n, ((district, village), own) in enumerate(zip(VILLAGES, figures, strict=True)):
        if has_sums and seen and seen != district:
            rows.append(_write_sum(head, f"JUMLAH {seen}", totals.pop(seen), spell))
        cells = dict(
            zip(["target", "safe_water 0", "safe_water 1", "sanitation 0", "sanitation 1"], own, strict=True)
        )
        row: list[Value] = []
        for group, word in head:
            if group:
                code = next(item.code for item in SERVICES if getattr(item, service) == group)
                row.append(spell(cells[f"{code} {words.index(word)}"]) if word in words else "75,5")
            elif word == "Keluarga Sasaran":
                row.append(spell(cells["target"]))
            elif word == "No":
                row.append(n + 1)
            elif word == "Kode Desa":
                row.append(f"18.04.09.200{n}")
            elif word in DISTRICT_HEADINGS:
                row.append(district if repeats or seen != district else None)
            else:
                row.append(village)
        rows.append(row)
        seen = district
        totals[district] = [a + b for a, b in zip(totals.get(district, [0] * 5), own, strict=True)]
    if has_sums:
        rows.append(_write_sum(head, "TOTAL", [sum(column) for column in zip(*figures, strict=True)], spell))
    rows += [[], ["Keterangan: data diolah"], [None, "Kepala Bappeda"]] * draw(st.booleans())
    return rows


def _write_sum(head: list[tuple[str, str]], words: str, figures: list[int], spell: Any) -> list[Value]:
    row: list[Value] = [None] * len(head)
    row[next(n for n, (_, word) in enumerate(head) if word in DISTRICT_HEADINGS)] = words
    row[next(n for n, (_, word) in enumerate(head) if word == "Keluarga Sasaran")] = spell(figures[0])
    return row


def read_rows(rows: list[list[Value]], dialect: str = "workbook") -> CoverageTable:
    """Read rows: from CSV with a separator, or from a workbook, where the blank cells behind words may be merged."""
    if dialect in (";", ",", "\t"):
        out = io.StringIO()
        csv.writer(out, delimiter=dialect).writerows(rows)
        sheet = open_book(out.getvalue().encode(), "a.csv").read("a")
    else:
        sheet = merge_blanks(rows) if dialect == "merged" else Sheet("S", rows)
    sheet = take_results(sheet)
    table = find_header(sheet, SERVICES)
    assert table is not None
    return read_table(sheet, *table, SERVICES)


def merge_blanks(rows: list[list[Value]]) -> Sheet:
    """Merge the blank cells right of a group in the header, those below a label, and those below a district."""
    cells, merged = [list(row) for row in rows], {}
    top = next(r for r, row in enumerate(rows) if len(row) > 1)
    has_two = any(value in ("Sasaran", "eligible", "Jumlah Sasaran (KK)") for value in rows[top + 1])
    for c, label in enumerate(rows[top]):
        if has_two and label is None:
            merged[top, c] = merged.get((top, c - 1), (top, c - 1))
            cells[top][c] = cells[top][c - 1]
        elif has_two and rows[top + 1][c] is None:
            merged[top + 1, c], cells[top + 1][c] = (top, c), label
        if label in DISTRICT_HEADINGS:
            for r in range(top + 1 + has_two, len(rows)):
                if len(rows[r]) > c + 1 and rows[r][c] is None and cells[r - 1][c] is not None:
                    merged[r, c] = merged.get((r - 1, c), (r - 1, c))
                    cells[r][c] = cells[r - 1][c]
    return Sheet("S", cells, merged)


@settings(max_examples=50, deadline=None)
@given(FIGURES, st.data())
def test_each_way_to_write_a_table_reads_to_equal_villages(figures: Figures, data: st.DataObject) -> None:
    dialect = data.draw(st.sampled_from(["workbook", "merged", ";", ",", "\t"]))
    table = read_rows(write_table(figures, data.draw), dialect)
    assert table.rows.errors == []
    assert {warning.kind.code for warning in table.rows.warnings} <= {"unknown_column"}
    assert [tuple(item.text for item in v.area.names) for v in table.villages] == VILLAGES
    assert [
        (
            v.content["target_families"],
            *(
                v.services[code][figure]
                for code in ("safe_water", "sanitation")
                for figure in ("eligible", "served")
            ),
        )
        for v in table.villages
    ] == figures
    assert [error for v in table.villages for error in v.errors] == []


@settings(max_examples=50, deadline=None)
@given(FIGURES, st.data(), st.sampled_from(["x", "12,5", "-3", "5 KK", "1.25.000", "?"]))
def test_an_unreadable_figure_is_named_by_its_cell(figures: Figures, data: st.DataObject, wrong: str) -> None:
    rows = write_table(figures, data.draw)
    good = read_rows(rows)
    village = data.draw(st.sampled_from(good.villages))
    cell = village.cells[data.draw(st.sampled_from(["/target_families", "/services/safe_water"]))]
    changed = [list(row) for row in rows]
    changed[cell.row - 1][ord(cell.column) - ord("A")] = wrong
    errors = [error for v in read_rows(changed).villages for error in v.errors]
    assert [error.cell for error in errors] == [cell]


def test_a_table_without_lines_is_refused(secretariat: TestClient) -> None:
    reply = send_table(
        secretariat, b"Kecamatan,Pekon,Keluarga Sasaran,Air minum layak sasaran,Air minum layak terlayani\n"
    )
    assert (reply.status_code, list_places(reply.json()["errors"])) == (422, [("A2", "no_lines")])
