"""The real matrix of Kabupaten Kotabaru: read, written and read again."""

from collections import Counter
from pathlib import Path

import pytest

import app.exchange
from app.exchange.matrix.rules import read_matrix
from app.exchange.matrix.spending import accumulate_spending, check_totals
from app.exchange.matrix.writing import make_matrix_csv, make_matrix_xlsx
from app.kit.files.reader import open_book

SAMPLES = Path(app.exchange.__file__).parent / "matrix" / "samples"


def read_bytes(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


@pytest.fixture(scope="module")
def plan():
    return read_matrix(read_bytes("kotabaru_2025_rat.xlsx"), "kotabaru_2025_rat.xlsx")


@pytest.fixture(scope="module")
def report():
    return read_matrix(read_bytes("kotabaru_2025_semester_2.xlsx"), "kotabaru_2025_semester_2.xlsx")


def test_the_plan(plan):
    assert (len(plan.rows), plan.errors, plan.warnings, plan.has_realisation) == (156, (), (), False)
    assert len({row["agency"] for row in plan.rows}) == 33
    assert all(row["agency"].code and row["agency"].name for row in plan.rows)
    assert sum(row["allocation"] for row in plan.rows) == 632_470_087_081
    assert Counter(row["strategy"] for row in plan.rows) == {
        "reduce_spending_burden": 58,
        "raise_income": 42,
        "reduce_poverty_pockets": 56,
    }
    assert plan.titles == (
        "RENCANA AKSI TAHUNAN (RAT) PENANGGULANGAN KEMISKINAN",
        "KABUPATEN KOTABARU TAHUN 2025",
    )
    assert all(not row.inherited and not row.texts and row.continues is None for row in plan.rows)


def test_the_report_has_the_same_lines(plan, report):
    assert (len(report.rows), report.errors, report.has_realisation) == (156, (), True)
    for planned, reported in zip(plan.rows, report.rows, strict=True):
        assert {k: v for k, v in reported.values.items() if not k.startswith("spent_")} == {
            k: v for k, v in planned.values.items() if not k.startswith("spent_")
        }


def test_the_report_loses_fractions_in_two_rows_only(report):
    assert {error.kind.code for error in report.warnings} == {"rounded"}
    assert {error.cell.row for error in report.warnings} == {152, 155}


def test_the_cumulative_trap(report):
    assert check_totals(report.rows, "period") == []
    contradicted = check_totals(report.rows, "cumulative")
    assert len(contradicted) == sum(1 for row in report.rows if row["spent_s1"])
    beyond = [
        row.row for row in report.rows if accumulate_spending(row, "period")["spent_s2"] > row["allocation"]
    ]
    assert (len(beyond), beyond[0]) == (28, 8)
    spent = sum(accumulate_spending(row, "period")["spent_s2"] for row in report.rows)
    assert round(spent / 632_470_087_081 * 100, 1) == 45.4


@pytest.mark.parametrize("realisation", [False, True])
@pytest.mark.parametrize("write", [make_matrix_xlsx, make_matrix_csv])
def test_writing_and_reading_change_nothing(plan, report, realisation, write):
    read = report if realisation else plan
    data = write(read.rows, read.titles, realisation=realisation)
    again = read_matrix(data, "x.csv" if write is make_matrix_csv else "x.xlsx")
    assert [(row.values, row.texts) for row in again.rows] == [(row.values, row.texts) for row in read.rows]
    assert (again.titles, again.errors, again.warnings) == (read.titles, (), ())
    assert again.has_realisation == realisation
    assert write(again.rows, again.titles, realisation=realisation) == data


def test_the_written_file_equals_the_office_file_cell_by_cell(plan):
    theirs = open_book(read_bytes("kotabaru_2025_rat.xlsx"), "a.xlsx").sheet("Matriks OPPKPKE")
    ours = open_book(make_matrix_xlsx(plan.rows, plan.titles, realisation=False), "a.xlsx").sheet(
        "Matriks OPPKPKE"
    )
    sums = [r for r, row in enumerate(ours.rows) if row and str(row[0]).startswith("JUMLAH")]
    assert [ours.rows[r][0] for r in sums] == ["JUMLAH"] * 3 + ["JUMLAH TOTAL"]
    assert ours.rows[sums[-1]][10] == 632_470_087_081
    assert [row for r, row in enumerate(ours.rows) if r not in sums] == theirs.rows

    def move_up(r: int) -> int:
        return r - sum(other < r for other in sums)

    kept = {
        (move_up(r), c): (move_up(top), left) for (r, c), (top, left) in ours.merged.items() if r not in sums
    }
    assert kept == theirs.merged
