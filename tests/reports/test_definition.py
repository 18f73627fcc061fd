"""All reports: pages and CSV have equal rows, and the catalogue describes them."""

import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.access.rules import CONSOLE
from app.kit.database.engine import get_table
from app.kit.files import new_workbooks
from app.kit.files.delimited import SPREADSHEET, read_delimited
from app.kit.http.pagination import Listing
from app.kit.periods import get_zone
from app.kit.wording import Text
from app.reference.models import FundingSourceRow
from app.reports.catalogue import REPORTS, describe_reports
from app.reports.definition import ReportDefinition, build_listing
from app.reports.models import PlanColumns, ReportColumn, ReportOut
from app.reports.routes import XLSX
from app.reports.strategy_balance import BalanceQuery
from app.reports.writing import RequestedFile
from tests.common import ConnectAs
from tests.contract.world import declared
from tests.database import OneTransaction
from tests.plans.world import LEAN, put_many
from tests.reports.world import FORMULA, PARAMS, read_report, read_table

pytestmark = pytest.mark.one_engine

FOLDER = Path(__file__).parents[2] / "app" / "reports"
CATALOGUE = {entry.report: entry for entry in describe_reports().reports}


def get_csv(client: TestClient, name: str, headers: dict[str, str] | None = None, **params: str) -> Any:
    return client.get(f"/v1/reports/{name}.csv", params={**PARAMS[name], **params}, headers=headers)


def format_cell(value: Any, column: ReportColumn) -> str:
    """Return the cell of the CSV for a value of the JSON."""
    if value is None:
        assert column.nullable, column
        return ""
    python = {"integer": int, "number": (int, float), "boolean": bool, "list": list}.get(column.kind, str)
    assert isinstance(value, python), column
    if column.kind == "list":
        return "; ".join(value)
    return str(value).lower() if column.kind == "boolean" else str(value)


def test_the_catalogue_has_all_declared_reports() -> None:
    declaring = {
        file.stem.replace("_", "-")
        for file in FOLDER.glob("*.py")
        if "REPORT = ReportDefinition(" in file.read_text()
    }
    assert set(CATALOGUE) == {report.name for report in REPORTS} == declaring
    assert len(REPORTS) == len(declaring)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=CATALOGUE)
def test_the_catalogue_agrees_with_the_openapi_document(entry: ReportOut) -> None:
    document, _ = declared()
    pages, xlsx_operation, csv_operation = (
        document["paths"][path]["get"] for path in (entry.json_address, entry.xlsx_address, entry.csv_address)
    )
    content = pages["responses"]["200"]["content"]
    shape = document["components"]["schemas"]
    item = shape[content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]]["properties"]["items"][
        "items"
    ]
    fields = shape[item["$ref"].rsplit("/", 1)[1]]
    assert {item.name for item in entry.columns} == set(fields["properties"]) == set(fields["required"])
    assert content.keys() == {"application/json", XLSX, "text/csv"}
    assert csv_operation["responses"]["200"]["content"].keys() == {"text/csv"}
    assert xlsx_operation["responses"]["200"]["content"].keys() == {XLSX}
    query_parameters = {item["name"]: item for item in xlsx_operation["parameters"] if item["in"] == "query"}
    assert query_parameters.keys() | {"dialect", "separator", "decimal"} == {
        item["name"] for item in csv_operation["parameters"] if item["in"] == "query"
    }
    assert {item.name: item.required for item in entry.parameters} == {
        name: item["required"] for name, item in query_parameters.items()
    }
    assert query_parameters.keys() | {"limit", "after", "count"} == {
        item["name"] for item in pages["parameters"] if item["in"] == "query"
    }
    assert query_parameters["sort"]["schema"]["enum"] == entry.sorts
    for text in (entry.title, entry.description, *(item.description for item in entry.columns)):
        assert text.id != text.en
        assert text.id.strip()
    for headings in (
        [item.heading.id for item in entry.columns],
        [item.heading.en for item in entry.columns],
    ):
        assert len(set(headings)) == len(headings)
        assert all(0 < len(heading) <= 40 and not heading.endswith(".") for heading in headings)


def test_the_catalogue_is_readable_by_all_users(connect: ConnectAs) -> None:
    reply = connect().get("/v1/reports")
    assert reply.json() == json.loads(describe_reports().model_dump_json())
    tag = {"If-None-Match": reply.headers["ETag"]}
    assert connect(("reader", "73")).get("/v1/reports", headers=tag).status_code == 304
    assert connect().get("/v1/reports?region=63").status_code == 400


@pytest.mark.parametrize("name", PARAMS)
def test_pages_and_csv_have_the_same_rows(name: str, provincial_reviewer: TestClient) -> None:
    for sort in CATALOGUE[name].sorts[:2]:
        rows = read_report(provincial_reviewer, name, sort=sort, limit="3")
        reply = get_csv(provincial_reviewer, name, sort=sort, dialect="machine")
        assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
        header = reply.content.decode().splitlines()[0]
        assert header.split(",") == [column.name for column in CATALOGUE[name].columns] == [*rows[0]]
        assert read_table(reply.content) == [
            {column.name: format_cell(row[column.name], column) for column in CATALOGUE[name].columns}
            for row in rows
        ], sort
        key = sort.removeprefix("-")
        values = [row[key] for row in rows]
        assert values == sorted(values, reverse=sort.startswith("-"))


def read_sheet(content: bytes) -> tuple[list[str], list[Any], list[list[Any]]]:
    """Return the titles, the header and the rows of a report's workbook."""
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    lines = [[cell.value for cell in row] for row in sheet]
    top = next(r for r, row in enumerate(lines) if row[0] is None) + 1
    assert sheet.freeze_panes == f"A{top + 2}"
    assert sheet.auto_filter.ref.startswith(f"A{top + 1}:")
    assert {cell.data_type for row in sheet for cell in row} <= {"s", "n", "d", "inlineStr"}
    assert not any(cell.hyperlink for row in sheet for cell in row)
    return [row[0] for row in lines[: top - 1]], lines[top], lines[top + 1 :]


def is_shown(cell: Any, value: Any, column: ReportColumn) -> bool:
    """Return whether a cell of a workbook shows a value of the JSON."""
    if value is None or value == []:
        return cell is None or cell == ""
    if column.kind == "boolean":
        return bool(cell == ("Ya" if value else "Tidak"))
    if column.kind == "list":
        return len(cell.split("; ")) == len(value) and (column.has_codes or cell == "; ".join(value))
    if column.kind == "date":
        return bool(cell == datetime.fromisoformat(value))
    if column.kind == "instant":
        shown = cell.replace(tzinfo=get_zone("WITA"))
        return bool(abs(shown - datetime.fromisoformat(value)) < timedelta(seconds=1))
    if column.has_codes:
        return bool(cell[0].isupper() and "_" not in cell)
    return bool(cell == value and isinstance(cell, str) == isinstance(value, str))


@pytest.mark.parametrize("name", PARAMS)
def test_a_workbook_has_the_rows_with_headings_and_words(name: str, provincial_reviewer: TestClient) -> None:
    columns = CATALOGUE[name].columns
    rows = read_report(provincial_reviewer, name)
    reply = provincial_reviewer.get(f"/v1/reports/{name}.xlsx", params=PARAMS[name])
    assert reply.headers["Content-Type"] == XLSX
    assert reply.headers["Content-Disposition"].endswith('.xlsx"')
    titles, header, cells = read_sheet(reply.content)
    assert titles[:2] == [CATALOGUE[name].title.id, "Provinsi Kalimantan Selatan"]
    assert titles[2] in ("Tahun 2026", "Triwulan II 2026", "Semua tahun")
    assert titles[-1].startswith("Data per ")
    assert header == [
        f"{column.heading.id} (WITA)" if column.kind == "instant" else column.heading.id for column in columns
    ]
    assert len(cells) == len(rows) > 0
    wrong = [
        (column.name, cell, row[column.name])
        for line, row in zip(cells, rows, strict=True)
        for column, cell in zip(columns, line, strict=True)
        if not is_shown(cell, row[column.name], column)
    ]
    assert wrong == []
    again = provincial_reviewer.get(f"/v1/reports/{name}.xlsx", params=PARAMS[name])
    assert again.content == reply.content


def test_a_workbook_is_english_on_request(provincial_reviewer: TestClient) -> None:
    reply = provincial_reviewer.get(
        "/v1/reports/strategy-balance.xlsx",
        params={"region": "63.02", "period": "2026-S1"},
        headers={"Accept-Language": "en"},
    )
    titles, header, rows = read_sheet(reply.content)
    assert titles[:3] == ["Strategy balance", "Kabupaten Kotabaru", "Half-year 1 2026"]
    assert titles[3].startswith("Data as of ")
    assert header[0] == "Region code"
    assert {row[4] for row in rows} == {
        "Raising income",
        "Reducing poverty pockets",
        "Reducing the spending burden",
    }


def test_a_workbook_is_bounded(provincial_reviewer: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_workbooks, "MOST_TABLE_ROWS", 1)
    reply = provincial_reviewer.get(
        "/v1/reports/unreported-lines.xlsx",
        params=PARAMS["unreported-lines"],
        headers={"Accept-Language": "en"},
    )
    assert (reply.status_code, reply.json()["code"]) == (406, "sheet_full")
    assert "at most 1 rows" in reply.json()["detail"]


def test_csv_for_spreadsheets_has_headings_words_and_no_formulas(provincial_reviewer: TestClient) -> None:
    text = get_csv(provincial_reviewer, "unreported-lines").content
    assert text.startswith("\ufeffRencana,Kode Baris,".encode())
    assert b",Tenggat (WITA)," in text
    assert b",2026-07-20 23:59:59," in text
    assert text.endswith(b"\r\n")
    assert b"\r\n" + b"63.02-2026,A-4,\"'=HYPERLINK(" in text
    assert b",Terbuka,Tidak," in text
    sheet = read_delimited(text, "x.csv")
    assert FORMULA in [row[2] for row in sheet.rows]
    plain = get_csv(provincial_reviewer, "unreported-lines", dialect="machine").content
    assert FORMULA in [row["title"] for row in read_table(plain)]


def test_csv_for_indonesian_settings(provincial_reviewer: TestClient) -> None:
    text = get_csv(provincial_reviewer, "absorption", decimal="comma").content.decode("utf-8-sig")
    assert text.startswith("Kode Wilayah;Wilayah;Rencana;")
    assert ";100000000;40,0;" in text
    tabs = get_csv(provincial_reviewer, "absorption", decimal="comma", separator="tab").content.decode(
        "utf-8-sig"
    )
    assert "\t100000000\t40,0\t" in tabs
    (row,) = [
        row
        for row in read_table(get_csv(provincial_reviewer, "absorption", dialect="machine").content)
        if row["spent"] == "100000000"
    ]
    assert row["absorption_percent"] == "40.0"


@pytest.mark.parametrize(
    ("params", "code", "parameter", "allowed"),
    [
        (
            {"decimal": "comma", "separator": "comma"},
            "separator_is_decimal",
            "separator",
            ["semicolon", "tab"],
        ),
        ({"dialect": "machine", "separator": "tab"}, "fixed_for_programs", "separator", "comma"),
        ({"dialect": "machine", "decimal": "comma"}, "fixed_for_programs", "decimal", "point"),
        ({"dialect": "excel"}, "not_allowed", "dialect", ["spreadsheet", "machine"]),
        ({"separator": ";"}, "not_allowed", "separator", ["comma", "semicolon", "tab"]),
    ],
)
def test_signs_that_do_not_fit_are_refused(
    provincial_reviewer: TestClient,
    params: dict[str, str],
    code: str,
    parameter: str,
    allowed: object,
) -> None:
    reply = get_csv(provincial_reviewer, "absorption", **params)
    (error,) = reply.json()["errors"]
    assert (reply.status_code, error["code"], error["parameter"], error["allowed"]) == (
        400,
        code,
        parameter,
        allowed,
    )


def test_a_csv_has_a_filename_and_a_length(provincial_reviewer: TestClient) -> None:
    disposition = get_csv(provincial_reviewer, "absorption", period="2026-S1").headers["Content-Disposition"]
    assert disposition == 'attachment; filename="absorption-63-2026-S1.csv"'
    disposition = get_csv(provincial_reviewer, "overlap-register", year="2026").headers["Content-Disposition"]
    assert disposition == 'attachment; filename="overlap-register-63-2026.csv"'
    plain = get_csv(provincial_reviewer, "absorption", headers={"Accept-Encoding": "identity"})
    assert int(plain.headers["Content-Length"]) == len(plain.content)


@pytest.mark.parametrize(
    ("accept", "ending"),
    [
        ("text/csv", "csv"),
        ("application/json;q=0.5, text/csv", "csv"),
        ("text/csv;q=0.9, */*;q=0.8", "csv"),
        (XLSX, "xlsx"),
        (f"text/csv, {XLSX}", "xlsx"),
        (f"text/csv, {XLSX};q=0.5", "csv"),
        ("*/*", None),
        ("application/json, text/csv", None),
        ("text/csv;q=0", None),
        ("text/csv;q=9..9", None),
    ],
)
def test_the_address_of_the_pages_returns_a_file_if_accepted(
    provincial_reviewer: TestClient, accept: str, ending: str | None
) -> None:
    path, headers = "/v1/reports/absorption", {"Accept": accept}
    reply = provincial_reviewer.get(path, params=PARAMS["absorption"], headers=headers)
    kinds = {"csv": "text/csv", "xlsx": XLSX, None: "application/json"}
    assert reply.headers["Content-Type"].startswith(kinds[ending])
    assert "Accept" in reply.headers["Vary"].split(", ")
    if ending:
        address = f"/v1/reports/absorption.{ending}"
        assert reply.content == provincial_reviewer.get(address, params=PARAMS["absorption"]).content
        refused = provincial_reviewer.get(
            path, params={**PARAMS["absorption"], "limit": "2"}, headers=headers
        )
        assert refused.status_code == 400
        (error,) = refused.json()["errors"]
        assert (error["code"], error["parameter"]) == ("unknown_parameter", "limit")


def test_an_unchanged_report_is_304(provincial_reviewer: TestClient, connect: ConnectAs) -> None:
    first = get_csv(provincial_reviewer, "absorption")
    tag = {"If-None-Match": first.headers["ETag"]}
    assert get_csv(connect(("reviewer", "63")), "absorption", tag).status_code == 304
    pages = provincial_reviewer.get("/v1/reports/absorption", params=PARAMS["absorption"])
    assert pages.headers["ETag"] != first.headers["ETag"]
    put_many(connect(("secretariat", "63.03")), [{**LEAN, "code": "B-2"}], plan="63.03-2026")
    changed = get_csv(provincial_reviewer, "absorption", tag)
    assert changed.status_code == 200
    assert changed.content != first.content


def test_any_number_of_rows_costs_one_statement(
    provincial_reviewer: TestClient, connect: ConnectAs, database: OneTransaction
) -> None:
    def count_statements() -> list[int]:
        counts_of_reports = []
        for name in PARAMS:
            for ending in ("", ".csv", ".xlsx"):
                before = len(database.statements)
                reply = provincial_reviewer.get(f"/v1/reports/{name}{ending}", params=PARAMS[name])
                assert reply.status_code == 200
                counts_of_reports.append(len(database.statements) - before)
        return counts_of_reports

    before = count_statements()
    lines = [{**LEAN, "code": f"C-{n}"} for n in range(300)]
    put_many(connect(("secretariat", "63.03")), lines, plan="63.03-2026")
    # One statement authenticates the caller, the other answers; the files name the region or its zone.
    assert count_statements() == before == [2, 3, 3] * len(PARAMS)


def test_memory_does_not_grow_with_the_number_of_rows(database: OneTransaction) -> None:
    """The database generates the rows: some megabytes of CSV."""
    source = get_table(FundingSourceRow)
    first, second = source.alias("first"), source.alias("second")

    number = 0

    def build_rows(*_: Any) -> Listing:
        words = sa.func.replace(sa.literal("x" * 100), "x", "kata ")
        select = sa.select(
            first.c.code.label("region_code"), words.label("region_name"), second.c.code.label("plan")
        )
        select = (
            select.select_from(first.join(second, sa.true()))
            .order_by(first.c.code, second.c.code)
            .limit(number)
        )
        return build_listing(PlanColumns, select, sorts=("region_code",), key=("region_code", "plan"))

    title = Text("x", "y")
    report = ReportDefinition("many", title, title, PlanColumns, BalanceQuery, build_rows)
    query = BalanceQuery(region="0", period="2026")
    requested = RequestedFile(report, CONSOLE, query, datetime(2026, 7, 1, tzinfo=UTC), "id")
    for write, most in (
        (partial(requested.write_csv, signs=SPREADSHEET), 3.5 * 2**20),
        (requested.write_xlsx, 10 * 2**10),
    ):
        peaks = []
        for number in (1_000, 7_200):  # noqa: B007 - the rows of the report
            with database.read_session() as session:
                tracemalloc.start()
                file = write(database, session)  # type: ignore[operator]  # with the engine of the test
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
            assert file.size == sum(map(len, file.pieces()))
        assert peaks[1] < 3 * 2**20
        assert file.size > most
