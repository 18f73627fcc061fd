"""Reports from sheets in a year whose quarters close: figures that pass, that are refused, and what they add up to."""

import csv
import io
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from app.exchange.matrix.columns import BY_KEY, COLUMNS
from tests.database import OneTransaction
from tests.exchange.office import find_letter, find_place
from tests.year.played import AT, YEAR, PlayedYear

pytestmark = pytest.mark.one_engine

Q1, Q2, Q3, Q4 = (f"{YEAR}-Q{n}" for n in range(1, 5))
FREE = {
    "subactivity_code": None,
    "subactivity": "Gerakan Berbagi",
    "activity": "Kegiatan",
    "program": "Program",
}
WHY = [{"field": "", "category": "revised_budget", "text": "Menurut APBD-P"}]


class Sheets:
    """A regency that reports by its own exports: four lines of the allocations 1 to 4 million."""

    def __init__(self, connect: Callable[..., TestClient], database: OneTransaction) -> None:
        self.year = PlayedYear(connect, database, 1)
        self.client = self.year.team
        loci: list[dict[str, Any]] = []
        self.year.send(self.client, "PUT", AT, {"title": "RAT", "priority_locations": loci}, new=True)
        self.put_lines(*(self.build_line(n) for n in range(1, 5)))

    def build_line(self, number: int, **changes: Any) -> dict[str, Any]:
        amount = number * 1_000_000
        return {
            **self.year.build_line(f"A-{number:03}"),
            "allocation": amount,
            "components": [{"code": "C1", "component_class": "direct", "amount": amount}],
            "budget_lines": [{"funding_source": "APBD", "amount": amount}],
            **changes,
        }

    def put_lines(self, *lines: dict[str, Any]) -> None:
        self.year.send(self.client, "PUT", f"{AT}/actions", {"items": list(lines)})

    def amend(self, *lines: dict[str, Any], adopt: str | None = None) -> None:
        """Draft lines in an amendment, and adopt it by an instrument of this day."""
        self.year.send(self.client, "POST", f"{AT}/amend", {"note": "APBD-P"})
        for line in lines:
            path = f"{AT}/amendment/actions/{line.pop('code')}"
            exists = self.client.get(path).status_code == 200
            self.year.send(self.client, "PUT", path, {**line, "reasons": WHY}, new=not exists)
        if adopt:
            self.year.signed = adopt
            self.year.adopt()

    def report(self, quarter: str, **spent: int) -> None:
        for name, amount in spent.items():
            path = f"{AT}/actions/A-00{name[-1]}/progress/{quarter}"
            self.year.send(self.client, "PUT", path, {"spent": amount}, new=True)

    def close(self, quarter: str, *verbs: str) -> None:
        assert self.year.submit(quarter)
        for verb in verbs:
            self.year.move(quarter, verb)

    def read(self, **query: Any) -> "File":
        reply = self.client.get(f"{AT}/matrix.csv", params=query)
        assert reply.status_code == 200, reply.text
        return File(reply.text, query.get("basis"))

    def send(self, file: "File", **query: Any) -> httpx.Response:
        params = {"basis": file.basis, **query} if file.basis else query
        return self.client.post(f"{AT}/imports", params=params, files={"file": ("a.csv", file.write())})

    def bring(self, file: "File", **query: Any) -> dict[str, Any]:
        reply = self.send(file, **query)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def read_spent(self, number: int) -> dict[str, int]:
        items = self.client.get(f"{AT}/actions/A-00{number}/progress").json()["items"]
        return {item["period"][-2:]: item["spent"] for item in items}


class File:
    """An export as rows, whose lines are found by their allocation."""

    def __init__(self, text: str, basis: str | None) -> None:
        self.basis = basis
        self.rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))

    def find(self, millions: int) -> int:
        place = BY_KEY["allocation"].number - 1
        return next(n for n, row in enumerate(self.rows) if row[place] == str(millions * 1_000_000))

    def cell(self, millions: int, key: str) -> str:
        return self.rows[self.find(millions)][BY_KEY[key].number - 1]

    def set(self, millions: int, **cells: Any) -> "File":
        row = self.rows[self.find(millions)]
        for key, value in cells.items():
            row[BY_KEY[key].number - 1] = "" if value is None else str(value)
        return self

    def place(self, millions: int, key: str) -> str:
        return f"{find_letter(key)}{self.find(millions) + 1}"

    def write(self) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(self.rows)
        return text.getvalue().encode()


@pytest.fixture
def sheets(connect: Callable[..., TestClient], database: OneTransaction) -> Sheets:
    """A plan in force with four lines, and no report."""
    sheets = Sheets(connect, database)
    sheets.year.adopt()
    return sheets


def list_refusals(reply: httpx.Response) -> list[tuple[Any, ...]]:
    """Return (code, cell, allowed) of each error."""
    return [(error["code"], find_place(error), error.get("allowed")) for error in reply.json()["errors"]]


@pytest.mark.both_engines
@pytest.mark.parametrize("basis", ["cumulative", "period"])
def test_unchanged_figures_pass_and_changed_ones_are_refused_at_their_cells(
    sheets: Sheets, basis: str
) -> None:
    sheets.report(Q1, a2=50)
    sheets.report(Q2, a1=100)
    sheets.close(Q2, "verify", "freeze")
    sheets.report(Q4, a1=300, a2=80)
    sheets.close(Q4)
    file = sheets.read(period=str(YEAR), basis=basis)
    report = sheets.bring(file)
    assert [(done["period"], done["unchanged"]) for done in report["progress"]] == [(Q2, 2), (Q4, 2)]

    second = {"cumulative": 81, "period": 31}[basis]
    file.set(1, spent_s1=110, spent_total=None).set(2, spent_s2=second, spent_total=None).set(3, spent_s1=5)
    reply = sheets.send(file, accept="totals")
    assert (reply.status_code, reply.json()["code"]) == (409, "quarter_closed")
    first_of_year = [
        ("quarter_frozen", file.place(1, "spent_s1"), [100]),
        ("quarter_frozen", file.place(3, "spent_s1"), None),
    ]
    # The second half-year alone begins with the changed first one.
    moved = [("quarter_being_verified", file.place(1, "spent_s2"), [190])] if basis == "period" else []
    changed = [("quarter_being_verified", file.place(2, "spent_s2"), [second - 1])]
    refusals = list_refusals(reply)
    assert sorted(refusals[:2], key=str) == sorted(first_of_year, key=str)
    assert sorted(refusals[2:], key=str) == sorted([*moved, *changed], key=str)
    assert {error["message"] for error in reply.json()["errors"]} == {
        f"Triwulan {Q2} sudah dibekukan. Minta sekretariat TKPK membuka koreksi.",
        f"Triwulan {Q4} sudah diajukan. Minta penelaah provinsi mengembalikannya.",
    }
    assert (sheets.read_spent(1), sheets.read_spent(2)) == ({"Q2": 100, "Q4": 300}, {"Q1": 50, "Q4": 80})

    for row in (1, 2):
        for _, place, allowed in refusals:
            for key in ("spent_s1", "spent_s2"):
                if place == file.place(row, key):
                    file.set(row, **{key: allowed[0]})
    file.set(1, spent_s1=100).set(3, spent_s1=None)
    if basis == "period":
        file.set(1, spent_s2=200)
    report = sheets.bring(file, accept="totals")
    assert all((done["created"], done["updated"]) == (0, 0) for done in report["progress"])


@pytest.mark.parametrize("basis", ["cumulative", "period"])
def test_figures_of_a_closed_quarter_are_the_base_of_later_ones(sheets: Sheets, basis: str) -> None:
    sheets.report(Q1, a2=50)
    sheets.report(Q2, a1=100)
    sheets.close(Q2, "verify", "freeze")
    file = sheets.read(period=str(YEAR), basis=basis)
    assert [file.cell(n, "spent_s2") for n in (1, 2)] == ["", ""]
    for number, s2 in ((1, 60), (2, 70)):
        total = s2 + {1: 100, 2: 50}[number]
        file.set(number, spent_s2=total if basis == "cumulative" else s2, spent_total=total)
    report = sheets.bring(file)
    assert [(done["created"], done["updated"]) for done in report["progress"]] == [(0, 0), (2, 0)]
    assert (sheets.read_spent(1), sheets.read_spent(2)) == ({"Q2": 100, "Q4": 160}, {"Q1": 50, "Q4": 120})


@pytest.mark.both_engines
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_blank_first_half_year_counts_with_its_stored_spending(sheets: Sheets, *, is_closed: bool) -> None:
    sheets.report(Q1, a2=50)
    sheets.report(Q2, a1=100)
    if is_closed:
        sheets.close(Q2)
    file = sheets.read(period=str(YEAR), basis="period")
    for number in (1, 2, 3):
        file.set(number, spent_s1=None, spent_s2=60, spent_total=60)
    reply = sheets.send(file)
    assert [(error["code"], find_place(error), error["value"]) for error in reply.json()["errors"]] == [
        ("total_contradicts_basis", place, 60)
        for place in sorted((file.place(n, "spent_total") for n in (1, 2)), key=lambda place: int(place[1:]))
    ]
    sheets.bring(file.set(1, spent_total=160).set(2, spent_total=110))
    assert [sheets.read_spent(n) for n in (1, 2, 3)] == [
        {"Q2": 100, "Q4": 160},
        {"Q1": 50, "Q4": 110},
        {"Q4": 60},
    ]
    again = sheets.bring(file)
    assert [(done["created"], done["updated"], done["unchanged"]) for done in again["progress"]] == [
        (0, 0, 3)
    ]


def test_a_blank_first_half_year_of_an_unknown_line_gives_its_own_error_first(sheets: Sheets) -> None:
    """Without its line, the stored spending is unknown, and so is the right total."""
    sheets.report(Q2, a1=100)
    file = sheets.read(period=str(YEAR), basis="period")
    file.set(1, agency="Dinas Tanpa Nama", code=None, spent_s1=None, spent_s2=60, spent_total=160)
    assert [(code, place) for code, place, _ in list_refusals(sheets.send(file))] == [
        ("unknown_agency", file.place(1, "agency"))
    ]


def test_an_equal_second_half_year_is_a_report_of_its_own(sheets: Sheets) -> None:
    """Nothing spent since June is reported too; in a closed quarter it says what counts already."""
    sheets.report(Q2, a1=100)
    file = sheets.read(period=str(YEAR), basis="cumulative").set(1, spent_s2=100)
    assert sheets.bring(file, dry_run="true")["progress"][1]["created"] == 1
    sheets.close(Q4)
    assert sheets.bring(file)["progress"][1] == {"period": Q4, "created": 0, "updated": 0, "unchanged": 1}


def test_a_correction_takes_the_figures_of_a_file(sheets: Sheets) -> None:
    sheets.report(Q2, a1=100)
    sheets.close(Q2, "verify", "freeze")
    file = sheets.read(period=f"{YEAR}-S1", basis="period").set(1, spent_s1=110, spent_total=110)
    assert list_refusals(sheets.send(file)) == [("quarter_frozen", file.place(1, "spent_s1"), [100])]
    sheets.year.move(Q2, "correct", {"reason": "Pemeriksaan"})
    assert sheets.bring(file)["progress"] == [{"period": Q2, "created": 0, "updated": 1, "unchanged": 0}]
    assert sheets.read_spent(1) == {"Q2": 110}


# Lines of the quarter and of the plan


@pytest.mark.parametrize("adopted", [None, f"{YEAR}-09-02"])
def test_a_row_of_the_quarter_changes_no_newer_line(sheets: Sheets, adopted: str | None) -> None:
    sheets.report(Q2, a1=100)
    file = sheets.read(period=f"{YEAR}-S1", basis="period")
    sheets.amend({**sheets.build_line(9), "code": "A-001"}, adopt=adopted)
    report = sheets.bring(file.set(2, spent_s1=70, spent_total=70))
    assert (report["updated"], report["unchanged"], report["of_quarters"]) == (0, 4, 1)
    assert report["progress"] == [{"period": Q2, "created": 1, "updated": 0, "unchanged": 1}]
    assert [finding for finding in report["findings"] if finding["line"] == "A-001"] == []
    newest = f"{AT}/actions/A-001" if adopted else f"{AT}/amendment/actions/A-001"
    assert sheets.client.get(newest).json()["allocation"] == 9_000_000


def test_a_row_without_a_code_equals_the_line_before_it_took_one(
    connect: Callable[..., TestClient], database: OneTransaction
) -> None:
    sheets = Sheets(connect, database)
    line = {**sheets.build_line(1), "title": FREE["subactivity"]}
    sheets.put_lines({**line, **FREE, "nomenclature_edition": None})
    sheets.report(Q2, a1=100)
    sheets.close(Q2)
    file = sheets.read(period=f"{YEAR}-S1", basis="period")
    newer = {**line, **FREE, "subactivity_code": "1.06.04.2.01.0001", "benefit_months": 3}
    sheets.put_lines(newer)
    report = sheets.bring(file)
    assert (report["updated"], report["unchanged"], report["of_quarters"]) == (0, 4, 1)


def test_a_row_of_a_line_that_left_the_plan_is_never_a_new_line(
    connect: Callable[..., TestClient], database: OneTransaction
) -> None:
    """A draft loses a line that the quarter has; only a file without realisation can bring a line like it."""
    sheets = Sheets(connect, database)
    sheets.report(Q2, a1=100)
    sheets.close(Q2)
    sheets.year.send(sheets.client, "DELETE", f"{AT}/actions/A-004")
    file = sheets.read(period=f"{YEAR}-S1", basis="period")
    report = sheets.bring(file)
    assert (report["lines"], report["created"], report["unchanged"], report["of_quarters"]) == (4, 0, 4, 1)
    at = file.place(4, "subactivity")
    reply = sheets.send(file.set(4, duration="3 bulan"))
    assert (reply.status_code, list_refusals(reply)) == (422, [("line_left_plan", at, None)])
    plan_only = File("", None)
    plan_only.rows = [row[: len(COLUMNS) - 3] for row in file.rows]
    assert sheets.bring(plan_only)["created"] == 1


def test_a_figure_needs_a_line_of_the_quarter(sheets: Sheets) -> None:
    sheets.close(Q2)
    sheets.amend(sheets.build_line(5), adopt=f"{YEAR}-09-02")
    file = sheets.read(period=str(YEAR), basis="period").set(5, spent_s1=7, spent_s2=8)
    reply = sheets.send(file)
    assert list_refusals(reply) == [("quarter_without_line", file.place(5, "spent_s1"), None)]
    sheets.bring(file.set(5, spent_s1=None))
    assert sheets.read_spent(5) == {"Q4": 8}
