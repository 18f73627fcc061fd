"""The next file of the same plan: the fields that it changes, and those it keeps."""

import csv
import io
from functools import cache
from typing import Any

import pytest
from openpyxl import load_workbook

from app.exchange.matrix.columns import BY_KEY
from tests.exchange.office import (
    AID_CODE,
    DINKES,
    DINKES_NAME,
    DINSOS,
    OWN,
    S2,
    SURVEY,
    TWICE,
    Office,
    edited,
    find_letter,
    line,
    list_places,
    sheet,
)
from tests.matrix.build import xlsx

pytestmark = pytest.mark.one_engine

FULL = {
    "title": "Bantuan keluarga",
    "strategy": "reduce_spending_burden",
    "lead_agency": DINSOS,
    "subactivity_code": AID_CODE,
    "allocation": 1_000_000,
    "benefit_regularity": "routine",
    "benefit_forms": ["cash"],
    "benefit_amount": 500_000,
    "benefit_description": "Uang dan sembako",
    "benefit_months": 12,
    "first_month": 2,
    "last_month": 11,
    "source_stage": "apbd",
    "source_key": "RKA-1",
    "note": "catatan",
    "supporting_agencies": [DINKES],
    "components": [
        {"code": "X1", "component_class": "direct", "description": "Bantuan", "amount": 700_000},
        {"code": "X2", "component_class": "direct", "description": "Perjalanan", "amount": 100_000, "is_travel": True},
        {"code": "X3", "component_class": "supporting", "description": "Rapat", "amount": 200_000},
    ],
    "budget_lines": [
        {"funding_source": "APBD", "amount": 600_000, "stage": "apbd"},
        {"funding_source": "DANA-DESA", "amount": 400_000, "stage": "rkpd"},
    ],
    "outputs": [
        {"code": "O1", "indicator": "Keluarga", "unit": "KK", "target": 40, "quarterly_targets": [10, 20, 30, 40]}
    ],
    "recipients": [
        {"code": "P1", "kind": "families", "unit": "KK", "count": 40, "decile_from": 1, "decile_to": 2,
         "vulnerable_groups": ["lansia"], "source": "DTSEN", "source_period": "2025-Q4"},
        {"code": "P2", "kind": "groups", "unit": "kelompok", "count": 3},
        {"code": "P3", "kind": "persons", "unit": "orang", "count": None, "decile_from": 1, "decile_to": 4},
    ],
    "locations": [
        {"region_code": "63.02.05.2007", "recipients": 25, "amount": 600_000},
        {"region_code": "63.02.05.2008", "recipients": 15, "amount": 400_000},
    ],
    "milestones": [{"code": "M1", "title": "Salur", "due": "2026-06-30", "weight": 100}],
    "tags": ["lansia", "sembako"],
}  # fmt: skip


@pytest.fixture
def full(office: Office) -> Office:
    """A plan with one complete line; a matrix cannot show all of its fields."""
    office.make_agency(DINKES, DINKES_NAME)
    made = office.client.put(f"{office.url}/actions/A-001", json=FULL)
    assert made.status_code == 201, made.text
    return office


def find_changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    followed = {"version", "updated_at", "absorption_percent", "imported_from"}
    return {
        name: (before[name], after[name])
        for name in before
        if before[name] != after[name] and name not in followed
    }


@cache
def read_cells(data: bytes) -> list[list[Any]]:
    """Read the rows of a workbook, once for each file: every test exports the same plan."""
    return [[cell.value for cell in row] for row in load_workbook(io.BytesIO(data)).active.iter_rows()]


def first_row(data: bytes) -> int:
    """Return the first row below the section row of an export."""
    rows = read_cells(data)
    return next(row for row in range(1, 20) if rows[row - 1][0] == 1 and rows[row - 1][10] != 11)


def change_cell(data: bytes, key: str, value: Any, ending: str) -> bytes:
    """Return an export with another value in one cell of the first row."""
    rows = [list(row) for row in read_cells(data)]
    rows[first_row(data) - 1][BY_KEY[key].number - 1] = value
    if ending == "xlsx":
        return xlsx(rows)
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def test_export_and_import_lose_nothing(full: Office) -> None:
    lines, journal = full.lines(), full.journal()
    for ending in ("xlsx", "csv"):
        report = full.bring(full.export(ending), f"a.{ending}")
        assert (report["unchanged"], report["warnings"]) == (1, []), ending
    assert (full.lines(), full.journal()) == (lines, journal)


# Column → (new cell, fields that this changes).
CHANGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "number": (7, {}),
    "allocation": (1_000_001, {"allocation": 1_000_001}),
    "direct": (
        "Bantuan (Rp 700.000)\nPerjalanan dinas (Rp 100.000)",
        {"components": [*FULL["components"][:1], {**FULL["components"][1], "description": "Perjalanan dinas"},
                        FULL["components"][2]]},
    ),
    "indirect": (
        "Pendataan",
        {"components": [*FULL["components"][:2],
                        {"code": "I1", "component_class": "indirect", "description": "Pendataan"},
                        FULL["components"][2]]},
    ),
    "supporting": (None, {"components": FULL["components"][:2]}),
    "funding_sources": (
        "APBD Rp 500.000; DAK Rp 500.000",
        {"budget_lines": [{"funding_source": "APBD", "amount": 500_000, "stage": "apbd"},
                          {"funding_source": "DAK", "amount": 500_000, "stage": None}]},
    ),
    "regularity": ("Insidentil", {"benefit_regularity": "incidental"}),
    "location": ("Desa Ujung (Kec. Pulau Sebuku)", {"locations": FULL["locations"][1:]}),
    "recipients": (
        "50 KK; 9 unit",
        {"recipients": [{**FULL["recipients"][0], "count": 50},
                        {"code": "R1", "kind": "units", "unit": "unit", "count": 9},
                        FULL["recipients"][2]]},
    ),
    "benefit_amount": ("Rp 600.000", {"benefit_amount": 600_000}),
    "benefit_form": ("Barang, Jasa", {"benefit_forms": ["goods", "service"]}),
    "duration": ("6 bulan", {"benefit_months": 6}),
}  # fmt: skip


def drop_empty(items: Any) -> Any:
    """Return parts without their empty fields."""
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        return items
    return [
        {name: value for name, value in item.items() if value not in (None, [], False, "")} for item in items
    ]


@pytest.mark.parametrize("ending", ["xlsx", "csv"])
@pytest.mark.parametrize("key", CHANGES)
def test_one_cell_changes_exactly_its_field(full: Office, key: str, ending: str) -> None:
    cell, fields = CHANGES[key]
    before, out = full.lines()["A-001"], full.export()
    changed = change_cell(out, key, cell, ending)
    report = full.bring(changed, f"a.{ending}")
    assert (report["updated"], report["absent"], report["created"]) == (int(bool(fields)), [], 0)
    fields_changed = find_changes(before, full.lines()["A-001"])
    assert {name: drop_empty(after) for name, (_, after) in fields_changed.items()} == {
        name: drop_empty(value) for name, value in fields.items()
    }
    assert full.bring(changed, f"a.{ending}")["unchanged"] == 1


@pytest.mark.parametrize(
    ("key", "cell", "warned"),
    [
        ("program", "Program Lain", "E"),
        ("activity", "Kegiatan Lain", "F"),
        ("subactivity", f"{AID_CODE} Lain", "G"),
    ],
)
def test_names_next_to_a_code_change_nothing_and_give_a_warning(
    full: Office, key: str, cell: str, warned: str
) -> None:
    out, lines = full.export(), full.lines()
    row = first_row(out)
    report = full.bring(edited(out, {(row, key): cell}))
    assert (report["unchanged"], list_places(report["warnings"])) == (1, [("other_name", f"{warned}{row}")])
    assert full.lines() == lines


@pytest.mark.parametrize(
    ("key", "cell"), [("strategy", S2), ("agency", DINKES_NAME), ("subactivity", "1.06.05.2.02.0001")]
)
def test_another_identity_makes_another_line(full: Office, key: str, cell: str) -> None:
    """The import never guesses: it creates the other line, and reports and keeps the missing one."""
    full.bring(sheet(line()))
    before = full.lines()["A-001"]
    report = full.bring(sheet(line(**{key: cell, "code": DINKES if key == "agency" else DINSOS})))
    assert (report["created"], report["absent"]) == (1, ["A-001"])
    assert full.lines()["A-001"] == before


def test_names_of_a_line_without_a_code_are_fields_of_their_own(office: Office) -> None:
    office.bring(sheet(line(**OWN), line(allocation=2)), accept="free_text")
    before = office.lines()["A-001"]
    for key, words in (("program", "Program Baru"), ("activity", "Kegiatan Baru")):
        report = office.bring(sheet(line(**{**OWN, key: words})), accept="free_text")
        assert (report["updated"], report["absent"]) == (1, ["A-002"])
        after = office.lines()["A-001"]
        assert find_changes(before, after) == {key: (OWN[key], words)}
        office.bring(sheet(line(**OWN)), accept="free_text")


def test_columns_that_a_file_lacks_are_left_alone(full: Office) -> None:
    lines, journal = full.lines(), full.journal()
    short = "No,Strategi OPPKPKE,Perangkat Daerah,Kode,Sub Kegiatan,Alokasi Anggaran (Rp)\n1,1,Dinas Sosial,,{},{}\n"
    report = full.bring(short.format(AID_CODE, 1_000_000).encode(), "a.csv")
    assert (report["unchanged"], full.lines(), full.journal()) == (1, lines, journal)
    full.bring(short.format(AID_CODE, 2_000_000).encode(), "a.csv")
    assert find_changes(lines["A-001"], full.lines()["A-001"]) == {"allocation": (1_000_000, 2_000_000)}


def test_one_source_follows_the_allocation(office: Office) -> None:
    office.bring(sheet(line()))
    report = office.bring(sheet(line(allocation=5)))
    (budget,) = office.lines()["A-001"]["budget_lines"]
    assert budget["amount"] == 5
    assert "E01" not in {finding["code"] for finding in report["findings"]}


def test_reported_figures_are_not_orphaned(full: Office) -> None:
    report = {"spent": 10, "recipients": [{"code": "P2", "reached": 2}]}
    assert full.client.put(f"{full.url}/actions/A-001/progress/2026-Q1", json=report).status_code == 201
    out = full.export()
    row = first_row(out)
    full.bring(edited(out, {(row, "recipients"): "41 KK; 4 kelompok"}))
    lines, journal = full.lines(), full.journal()
    reply = full.send(edited(out, {(row, "recipients"): "41 KK"}))
    assert (reply.status_code, reply.json()["code"]) == (409, "part_in_use")
    (error,) = reply.json()["errors"]
    assert (error["cell"]["row"], error["cell"]["column"], error["value"]) == (row, "O", "P2")
    assert (full.lines(), full.journal()) == (lines, journal)


def test_a_line_of_another_edition_keeps_it(full: Office) -> None:
    """An import does not overwrite names of another edition or names given by hand."""
    named = {**FULL, "subactivity": "Nama Lama", "activity": "Kegiatan Lama", "program": "Program Lama"}
    assert (
        full.client.put(f"{full.url}/actions/A-001", json=named, headers={"If-Match": "*"}).status_code == 200
    )
    lines = full.lines()
    report = full.bring(full.export())
    assert (report["unchanged"], report["warnings"], full.lines()) == (1, [], lines)


# Removed, added, moved and similar rows


def rows(*numbers: int) -> bytes:
    """Return a file with lines of different sub-activities, by number."""
    return sheet(*[line(**{**OWN, "subactivity": f"Gerakan {n}"}, allocation=n) for n in numbers])


def test_removed_rows_are_reported_and_stay(office: Office) -> None:
    office.bring(rows(1, 2, 3, 4), accept="free_text")
    lines = office.lines()
    report = office.bring(rows(1, 3))
    assert (report["lines"], report["unchanged"], report["absent"]) == (2, 2, ["A-002", "A-004"])
    assert office.lines() == lines


def test_inserted_or_moved_rows_renumber_nothing(office: Office) -> None:
    office.bring(rows(1, 2, 3), accept="free_text")
    lines = office.lines()
    assert office.bring(rows(3, 1, 2))["unchanged"] == 3
    report = office.bring(rows(1, 9, 2, 8, 3), accept="free_text")
    assert (report["created"], report["unchanged"]) == (2, 3)
    after = office.lines()
    assert {code: after[code] for code in lines} == lines
    assert [after[code]["title"] for code in ("A-004", "A-005")] == ["Gerakan 9", "Gerakan 8"]


def test_similar_lines_are_matched_by_content(office: Office) -> None:
    def alike(*allocations: int) -> bytes:
        return sheet(*[line(allocation=n) for n in allocations])

    office.bring(alike(10, 20, 30))
    lines, journal = office.lines(), office.journal()
    assert office.bring(alike(30, 10, 20))["unchanged"] == 3
    assert (office.lines(), office.journal()) == (lines, journal)
    report = office.bring(alike(30, 11, 20))
    assert (report["updated"], report["unchanged"]) == (1, 2)
    assert [action["allocation"] for action in office.lines().values()] == [11, 20, 30]
    report = office.bring(alike(20, 30))
    assert report["absent"] == ["A-001"]
    report = office.bring(alike(40, 50, 60, 70))
    assert (report["updated"], report["created"]) == (3, 1)
    assert [action["allocation"] for action in office.lines().values()] == [40, 50, 60, 70]


def test_codes_of_lines_sort_as_numbers(office: Office) -> None:
    for code in ("A-999", "B-1"):
        body = {
            **FULL,
            "supporting_agencies": [],
            "title": code,
            "subactivity_code": None,
            "subactivity": code,
        }
        assert office.client.put(f"{office.url}/actions/{code}", json=body).status_code == 201
    office.bring(sheet(line(), line(**SURVEY)))
    assert {"A-1000", "A-1001"} <= office.lines().keys()
    text = office.export("csv").decode()
    assert text.index(",A-999,") < text.index(line()["subactivity"]) < text.index(",B-1,")
    assert office.bring(text.encode(), "a.csv")["unchanged"] == 4


# Realisation


def spent(s1: Any, s2: Any, total: Any = None, **cells: Any) -> bytes:
    return sheet(line(spent_s1=s1, spent_s2=s2, spent_total=total, **cells), realisation=True)


def read_progress(office: Office, code: str = "A-001") -> dict[str, Any]:
    items = office.client.get(f"{office.url}/actions/{code}/progress").json()["items"]
    return {item["period"][-2:]: item["spent"] for item in items}


def test_half_years_are_stored_cumulative(office: Office) -> None:
    office.bring(spent(100, 200, 300), basis="period")
    assert read_progress(office) == {"Q2": 100, "Q4": 300}
    office.bring(spent(100, 350, 350), basis="cumulative")
    assert read_progress(office) == {"Q2": 100, "Q4": 350}
    journal = office.journal()
    for blank in (spent(None, None), spent(100, None)):
        office.bring(blank, basis="period")
    assert (read_progress(office), office.journal()) == ({"Q2": 100, "Q4": 350}, journal)


def test_a_falling_figure_survives_export_and_import(office: Office) -> None:
    report = office.bring(spent(100, -40, 60), basis="period")
    assert ("E06", "T2") in list_places(report["findings"])
    assert read_progress(office) == {"Q2": 100, "Q4": 60}
    journal = office.journal()
    for basis in ("period", "cumulative"):
        for ending in ("xlsx", "csv"):
            out = office.export(ending, period="2026", basis=basis)
            office.bring(out, f"a.{ending}", basis=basis)
    assert office.journal() == journal
    assert office.refused(spent(100, -140, -40), basis="period") == [("negative_number", "U2")]
    assert office.refused(spent(100, -140), basis="period") == [("out_of_range", "T2")]
    assert office.refused(spent(100, -140), basis="cumulative") == [("out_of_range", "T2")]


def test_quarters_between_are_kept(office: Office) -> None:
    office.bring(sheet(line()))
    for quarter, figure in (("Q1", 10), ("Q3", 30)):
        url = f"{office.url}/actions/A-001/progress/2026-{quarter}"
        body = {"spent": figure, "obstacle": "hujan", "evidence": []}
        reply = office.client.put(url, json=body)
        assert reply.status_code == 201, reply.text
    for basis in ("period", "cumulative"):
        office.bring(office.export(period="2026", basis=basis), basis=basis)
    assert read_progress(office) == {"Q1": 10, "Q3": 30}
    office.bring(spent(20, 40), basis="cumulative")
    assert read_progress(office) == {"Q1": 10, "Q2": 20, "Q3": 30, "Q4": 40}


def test_a_report_keeps_its_words_when_its_figure_changes(office: Office) -> None:
    office.bring(sheet(line(funding_sources="APBD Rp 600.000; DAK Rp 400.000")))
    url = f"{office.url}/actions/A-001/progress/2026-Q2"
    body = {
        "spent": 100, "obstacle": "hujan", "follow_up": "tunggu",
        "spending": [{"funding_source": "APBD", "amount": 60}, {"funding_source": "DAK", "amount": 40}],
    }  # fmt: skip
    assert office.client.put(url, json=body).status_code == 201
    same = sheet(line(funding_sources="APBD Rp 600.000; DAK Rp 400.000", spent_s1=100), realisation=True)
    office.bring(same, basis="period")
    assert len(office.client.get(url).json()["spending"]) == 2
    more = sheet(line(funding_sources="APBD Rp 600.000; DAK Rp 400.000", spent_s1=120), realisation=True)
    office.bring(more, basis="period")
    after = office.client.get(url).json()
    assert (after["spent"], after["spending"], after["obstacle"], after["follow_up"]) == (
        120,
        [],
        "hujan",
        "tunggu",
    )


def test_only_half_years_are_exported(office: Office) -> None:
    office.bring(sheet(line(**TWICE)), accept="free_text")
    reply = office.client.get(f"{office.url}/matrix.xlsx?period=2026-Q2")
    assert (reply.status_code, reply.json()["errors"][0]["allowed"]) == (400, ["2026-S1", "2026-S2", "2026"])
    assert office.client.get(f"{office.url}/matrix.csv?period=2025").status_code == 404
    wide, narrow = (
        load_workbook(io.BytesIO(office.export(**way))).active for way in ({"period": "2026-S1"}, {})
    )
    assert (wide.max_column, narrow.max_column) == (21, 18)
    assert wide[f"{find_letter('allocation')}8"].value == 1_000_000
    tag = office.client.get(f"{office.url}/matrix.csv").headers["etag"]
    assert office.client.get(f"{office.url}/matrix.csv", headers={"If-None-Match": tag}).status_code == 304
    office.bring(sheet(line(**TWICE, allocation=3)))
    assert office.client.get(f"{office.url}/matrix.csv", headers={"If-None-Match": tag}).status_code == 200
