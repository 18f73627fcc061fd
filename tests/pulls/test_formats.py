"""A pull as CSV, Parquet and a workbook: complete, without live formulas, reproducible."""

import csv
import io
import json
import re
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet
import pytest

from app.exchange.pulls import writing
from app.exchange.pulls.rules import COLUMNS, FISCAL
from app.kit.exports.cache import PendingExport
from app.kit.files import new_workbooks
from app.kit.files.delimited import unescape_formula
from app.tracking.quarters.snapshots.models import CarriedReport, SnapshotReport
from tests.plans.world import put
from tests.pulls.world import PULL, Pulled, forget, pull
from tests.quarters.world import Office

pytestmark = pytest.mark.one_engine

FIELDS = {name: field for field, name in FISCAL.items()}
TEXTS = {"location": 'Desa "A"\ndan {B}', "recipients": "40 KK"}


@pytest.fixture
def pulled(office: Office) -> Pulled:
    put(
        office.secretariat,
        "A-1",
        title="=SUM(A1)",
        note='Kata, "kutip"\ndan baris',
        matrix_texts=TEXTS,
        tags=["lansia"],
    )
    office.report(
        "A-1",
        spent=5,
        physical_reported_percent=12.25,
        milestones=[{"code": "M1", "state": "done", "done_on": "2026-03-28"}],
    )
    return pull(office.secretariat)


def flatten(row: dict[str, Any]) -> dict[str, Any]:
    """Return a line as its row in a table, built by hand."""
    reports = {"report": SnapshotReport, "carried": CarriedReport}
    return {
        "budget-line-id": f"{row['plan']}/{row['action']}",
        "date:fiscal-year": 2026,
        **{FISCAL.get(name, name): value for name, value in row.items() if name not in reports},
        **{
            f"{of}_{name}": row[of] and row[of][name]
            for of, shape in reports.items()
            for name in shape.model_fields
        },
    }


def is_same(cell: Any, value: Any) -> bool:
    """True if a cell, read as text or number, has this value."""
    if isinstance(value, (list, dict)):
        return bool(json.loads(cell) == value)
    if value is None or value == "":
        return cell in (None, "")
    if isinstance(value, (int, float)):
        return float(cell) == value
    return bool(cell == value)


def check(header: list[Any], rows: list[list[Any]], whole: Pulled) -> None:
    assert header == [column.name for column in COLUMNS]
    assert len(rows) == len(whole.rows) == 2
    for cells, row in zip(rows, whole.rows, strict=True):
        expected = flatten(row)
        assert set(expected) == set(header)
        wrong = {
            name: (cell, expected[name])
            for name, cell in zip(header, cells, strict=True)
            if not is_same(cell, expected[name])
        }
        assert wrong == {}


def test_csv(office: Office, pulled: Pulled) -> None:
    content = office.secretariat.get(f"{PULL}.csv").content
    assert content.startswith(b"budget-line-id,date:fiscal-year,geo:target:code,plan,title,")
    header, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
    assert rows[0][header.index("title")] == "'=SUM(A1)", "no spreadsheet runs it"
    check(header, [[unescape_formula(cell) for cell in row] for row in rows], pulled)


def test_csv_for_programs(office: Office, pulled: Pulled) -> None:
    default, machine = (
        office.secretariat.get(f"{PULL}.csv", params={"dialect": dialect})
        for dialect in ("spreadsheet", "machine")
    )
    assert default.content == office.secretariat.get(f"{PULL}.csv").content
    assert machine.headers["ETag"] != default.headers["ETag"]
    assert machine.headers["Content-Disposition"] == default.headers["Content-Disposition"]
    header, *rows = csv.reader(io.StringIO(machine.content.decode(), newline=""))
    assert rows[0][header.index("title")] == "=SUM(A1)"
    check(header, rows, pulled)
    refused = office.secretariat.get(f"{PULL}.csv", params={"dialect": "excel"})
    assert (refused.status_code, refused.json()["errors"][0]["allowed"]) == (400, ["spreadsheet", "machine"])


def test_workbook(office: Office, pulled: Pulled) -> None:
    content = office.secretariat.get(f"{PULL}.xlsx").content
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["2026-Q2", "rata"]
    header, *rows = book["2026-Q2"].iter_rows(values_only=True)
    check(list(header), [list(row) for row in rows], pulled)
    title = book["2026-Q2"].cell(2, list(header).index("title") + 1)
    assert (title.value, title.data_type) == ("=SUM(A1)", "s")
    about = [list(row) for row in book["rata"].iter_rows(values_only=True)]
    assert about[:3] == [
        ["period", "2026-Q2", None, None],
        ["region", None, None, None],
        ["rows", 2, None, None],
    ]
    assert about[-1] == ["63.02", "63.02-2026", None, None]


def test_parquet(office: Office, pulled: Pulled) -> None:
    content = office.secretariat.get(f"{PULL}.parquet").content
    table = pyarrow.parquet.read_table(io.BytesIO(content))
    rows = table.to_pylist()
    assert (rows[0]["report"]["milestones"][0]["done_on"], rows[1]["report"]) == (date(2026, 3, 28), None)
    assert json.loads(rows[0]["matrix_texts"]) == TEXTS
    assert rows[0]["report"]["reported_at"] == datetime.fromisoformat(
        pulled.rows[0]["report"]["reported_at"]
    ).astimezone(UTC)
    for row, expected in zip(rows, pulled.rows, strict=True):
        row["matrix_texts"] = json.loads(row["matrix_texts"])
        plain = json.loads(json.dumps(row, default=lambda value: value.isoformat()))
        for line in (plain, expected):
            if line["report"] is not None:
                line["report"].pop("reported_at")
        assert plain == expected
    kinds = {field.name: str(field.type) for field in table.schema}
    assert (kinds["allocation"], kinds["title"]) == ("int64", "string")
    footer = pyarrow.parquet.ParquetFile(io.BytesIO(content)).metadata
    metadata = {name.decode(): value.decode() for name, value in footer.metadata.items() if b"rata." in name}
    assert json.loads(metadata["rata.cursor"]) == pulled.end["cursor"]
    assert json.loads(metadata["rata.plans"]) == pulled.end["plans"]
    assert "RLE_DICTIONARY" in footer.row_group(0).column(2).encodings


@pytest.mark.parametrize("format", ["ndjson", "csv", "parquet", "xlsx"])
@pytest.mark.usefixtures("pulled")
def test_the_same_lines_are_the_same_bytes(office: Office, format: str) -> None:
    first = office.secretariat.get(f"{PULL}.{format}")
    forget(office.secretariat)
    again = office.secretariat.get(f"{PULL}.{format}")
    assert again.content == first.content
    assert again.headers["Repr-Digest"] == first.headers["Repr-Digest"]


def test_frozen_lines_in_every_format(office: Office) -> None:
    put(office.secretariat, "A-1", matrix_texts=TEXTS, title="=1+1")
    office.freeze()
    whole = pull(office.secretariat)
    header, *rows = csv.reader(io.StringIO(office.secretariat.get(f"{PULL}.csv").text, newline=""))
    check(header, [[unescape_formula(cell) for cell in row] for row in rows], whole)
    content = office.secretariat.get(f"{PULL}.parquet").content
    table = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    assert [row["title"] for row in table] == [row["title"] for row in whole.rows]
    assert json.loads(table[0]["matrix_texts"]) == TEXTS


@pytest.mark.usefixtures("pulled")
def test_too_many_lines_for_a_sheet_are_an_error(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_ROWS", 2)
    refused = office.secretariat.get(f"{PULL}.xlsx", headers={"Accept-Language": "en"})
    assert (refused.status_code, refused.json()["code"]) == (406, "sheet_full")
    assert "holds at most 1 rows" in refused.json()["detail"]
    monkeypatch.setattr(writing, "MOST_ROWS", 3)
    assert office.secretariat.get(f"{PULL}.xlsx").status_code == 200


@pytest.mark.usefixtures("pulled")
def test_the_next_request_rebuilds_a_failed_pull(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that comes before the failed export leaves the list of pending ones also rebuilds it."""
    end = PendingExport.end

    def end_and_wait(making: PendingExport, failure: BaseException | None = None) -> None:
        end(making, failure)
        time.sleep(0.1)

    monkeypatch.setattr(PendingExport, "end", end_and_wait)
    monkeypatch.setattr(writing, "MOST_ROWS", 2)
    assert office.secretariat.get(f"{PULL}.xlsx").status_code == 406
    monkeypatch.setattr(writing, "MOST_ROWS", 3)
    assert office.secretariat.get(f"{PULL}.xlsx").status_code == 200


@pytest.mark.usefixtures("pulled")
def test_a_text_too_long_for_a_cell_is_named(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_workbooks, "LONGEST_CELL", 50)
    book = openpyxl.load_workbook(io.BytesIO(office.secretariat.get(f"{PULL}.xlsx").content))
    header, first, *_ = book["2026-Q2"].iter_rows(values_only=True)
    assert "50: NDJSON, CSV, Parquet" in str(first[header.index("components")])


def test_every_column_is_documented(root: Path) -> None:
    page = (root / "docs" / "harvesting.md").read_text()
    table = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = [name for cell in table for name in re.findall(r"`([^`]+)`", cell)]
    assert {column.name for column in COLUMNS if not column.release} <= set(named)
