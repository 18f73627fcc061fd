"""All reports: pages and CSV have equal rows, and the catalogue describes them."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.access.rules import CONSOLE
from app.kit.database.engine import get_table
from app.kit.http.pagination import Listing
from app.kit.wording import Text
from app.reference.models import FundingSourceRow
from app.reports.catalogue import REPORTS, describe_reports
from app.reports.definition import ReportDefinition, build_listing, write_csv
from app.reports.models import PlanColumns, ReportColumn, ReportOut
from app.reports.strategy_balance import BalanceQuery
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
    pages, csv_operation = (
        document["paths"][path]["get"] for path in (entry.json_address, entry.csv_address)
    )
    content = pages["responses"]["200"]["content"]
    shape = document["components"]["schemas"]
    item = shape[content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]]["properties"]["items"][
        "items"
    ]
    fields = shape[item["$ref"].rsplit("/", 1)[1]]
    assert {item.name for item in entry.columns} == set(fields["properties"]) == set(fields["required"])
    assert content.keys() == {"application/json", "text/csv"}
    assert csv_operation["responses"]["200"]["content"].keys() == {"text/csv"}
    query_parameters = {item["name"]: item for item in csv_operation["parameters"] if item["in"] == "query"}
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
        reply = get_csv(provincial_reviewer, name, sort=sort)
        assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
        header = reply.content.decode("utf-8-sig").splitlines()[0]
        assert header.split(",") == [column.name for column in CATALOGUE[name].columns] == [*rows[0]]
        assert read_table(reply.content) == [
            {column.name: format_cell(row[column.name], column) for column in CATALOGUE[name].columns}
            for row in rows
        ], sort
        key = sort.removeprefix("-")
        values = [row[key] for row in rows]
        assert values == sorted(values, reverse=sort.startswith("-"))


def test_csv_texts_cannot_run_as_formulas(provincial_reviewer: TestClient) -> None:
    text = get_csv(provincial_reviewer, "unreported-lines").content
    assert text.startswith(b"\xef\xbb\xbfplan,action,")
    assert text.endswith(b"\r\n")
    assert b"\r\n" + b"63.02-2026,A-4,\"'=HYPERLINK(" in text
    assert FORMULA in [row["title"] for row in read_table(text)]
    (row,) = [
        row
        for row in read_table(get_csv(provincial_reviewer, "absorption").content)
        if row["spent"] == "100000000"
    ]
    assert row["absorption_percent"] == "40.0"


def test_a_csv_has_a_filename_and_a_length(provincial_reviewer: TestClient) -> None:
    disposition = get_csv(provincial_reviewer, "absorption", period="2026-S1").headers["Content-Disposition"]
    assert disposition == 'attachment; filename="absorption-63-2026-S1.csv"'
    disposition = get_csv(provincial_reviewer, "overlap-register", year="2026").headers["Content-Disposition"]
    assert disposition == 'attachment; filename="overlap-register-63-2026.csv"'
    plain = get_csv(provincial_reviewer, "absorption", headers={"Accept-Encoding": "identity"})
    assert int(plain.headers["Content-Length"]) == len(plain.content)


@pytest.mark.parametrize(
    ("accept", "is_csv"),
    [
        ("text/csv", True),
        ("application/json;q=0.5, text/csv", True),
        ("text/csv;q=0.9, */*;q=0.8", True),
        ("*/*", False),
        ("application/json, text/csv", False),
        ("text/csv;q=0", False),
        ("text/csv;q=9..9", False),
    ],
)
def test_the_address_of_the_pages_returns_csv_if_accepted(
    provincial_reviewer: TestClient, accept: str, is_csv: bool
) -> None:
    path, headers = "/v1/reports/absorption", {"Accept": accept}
    reply = provincial_reviewer.get(path, params=PARAMS["absorption"], headers=headers)
    assert reply.headers["Content-Type"].startswith("text/csv" if is_csv else "application/json")
    assert "Accept" in reply.headers["Vary"].split(", ")
    if is_csv:
        assert reply.content == get_csv(provincial_reviewer, "absorption").content
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
            for ending in ("", ".csv"):
                before = len(database.statements)
                reply = provincial_reviewer.get(f"/v1/reports/{name}{ending}", params=PARAMS[name])
                assert reply.status_code == 200
                counts_of_reports.append(len(database.statements) - before)
        return counts_of_reports

    before = count_statements()
    lines = [{**LEAN, "code": f"C-{n}"} for n in range(300)]
    put_many(connect(("secretariat", "63.03")), lines, plan="63.03-2026")
    # One statement authenticates the caller, the other answers.
    assert count_statements() == before == [2] * len(before)


def test_memory_does_not_grow_with_the_number_of_rows(database: OneTransaction) -> None:
    """The database generates the rows: some megabytes of CSV."""
    source = get_table(FundingSourceRow)
    first, second = source.alias("first"), source.alias("second")

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
    peaks = []
    for number in (1_000, 7_200):
        with database.read_session() as session:
            tracemalloc.start()
            file = write_csv(database, session, report, CONSOLE, query, None)  # type: ignore[arg-type]  # no clock
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert file.size == sum(map(len, file.pieces())) > number * 500
    assert peaks[1] < 3 * 2**20
    assert file.size > 3.5 * 2**20
