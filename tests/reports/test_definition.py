"""The frame: whatever the report, its pages and its CSV say the same, and the catalogue says what they mean."""

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
from tests.reports.world import ASKED, FORMULA, ask, table

pytestmark = pytest.mark.one_engine

FOLDER = Path(__file__).parents[2] / "app" / "reports"
TOLD = {one.report: one for one in describe_reports().reports}


def get_csv(client: TestClient, name: str, headers: dict[str, str] | None = None, **asked: str) -> Any:
    return client.get(f"/v1/reports/{name}.csv", params={**ASKED[name], **asked}, headers=headers)


def as_cell(value: Any, column: ReportColumn) -> str:
    """What a cell says of a value of JSON."""
    if value is None:
        assert column.nullable, column
        return ""
    python = {"integer": int, "number": (int, float), "boolean": bool, "list": list}.get(column.kind, str)
    assert isinstance(value, python), column
    if column.kind == "list":
        return "; ".join(value)
    return str(value).lower() if column.kind == "boolean" else str(value)


def test_every_file_that_declares_a_report_is_in_the_catalogue() -> None:
    declaring = {
        file.stem.replace("_", "-")
        for file in FOLDER.glob("*.py")
        if "REPORT = ReportDefinition(" in file.read_text()
    }
    assert set(TOLD) == {report.name for report in REPORTS} == declaring
    assert len(REPORTS) == len(declaring)


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
def test_catalogue_says_what_the_contract_does(told: ReportOut) -> None:
    document, _ = declared()
    pages, whole = (document["paths"][path]["get"] for path in (told.json_address, told.csv_address))
    content = pages["responses"]["200"]["content"]
    shape = document["components"]["schemas"]
    item = shape[content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]]["properties"]["items"][
        "items"
    ]
    fields = shape[item["$ref"].rsplit("/", 1)[1]]
    assert {one.name for one in told.columns} == set(fields["properties"]) == set(fields["required"])
    assert content.keys() == {"application/json", "text/csv"}
    assert whole["responses"]["200"]["content"].keys() == {"text/csv"}
    asked = {one["name"]: one for one in whole["parameters"] if one["in"] == "query"}
    assert {one.name: one.required for one in told.parameters} == {
        name: one["required"] for name, one in asked.items()
    }
    assert asked.keys() | {"limit", "after", "count"} == {
        one["name"] for one in pages["parameters"] if one["in"] == "query"
    }
    assert asked["sort"]["schema"]["enum"] == told.sorts
    for said in (told.title, told.description, *(one.description for one in told.columns)):
        assert said.id != said.en
        assert said.id.strip()


def test_the_catalogue_is_everybodys(connect: ConnectAs) -> None:
    reply = connect().get("/v1/reports")
    assert reply.json() == json.loads(describe_reports().model_dump_json())
    tag = {"If-None-Match": reply.headers["ETag"]}
    assert connect(("reader", "73")).get("/v1/reports", headers=tag).status_code == 304
    assert connect().get("/v1/reports?region=63").status_code == 400


@pytest.mark.parametrize("name", ASKED)
def test_pages_and_csv_have_the_same_rows(name: str, provincial_reviewer: TestClient) -> None:
    for sort in TOLD[name].sorts[:2]:
        rows = ask(provincial_reviewer, name, sort=sort, limit="3")
        reply = get_csv(provincial_reviewer, name, sort=sort)
        assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
        header = reply.content.decode("utf-8-sig").splitlines()[0]
        assert header.split(",") == [one.name for one in TOLD[name].columns] == [*rows[0]]
        assert table(reply.content) == [
            {one.name: as_cell(row[one.name], one) for one in TOLD[name].columns} for row in rows
        ], sort
        key = sort.removeprefix("-")
        values = [row[key] for row in rows]
        assert values == sorted(values, reverse=sort.startswith("-"))


def test_a_spreadsheet_runs_nothing(provincial_reviewer: TestClient) -> None:
    text = get_csv(provincial_reviewer, "unreported-lines").content
    assert text.startswith(b"\xef\xbb\xbfplan,action,")
    assert text.endswith(b"\r\n")
    assert b"\r\n" + b"63.02-2026,A-4,\"'=HYPERLINK(" in text
    assert FORMULA in [row["title"] for row in table(text)]
    (row,) = [
        one
        for one in table(get_csv(provincial_reviewer, "absorption").content)
        if one["spent"] == "100000000"
    ]
    assert row["absorption_percent"] == "40.0"


def test_a_file_has_a_name(provincial_reviewer: TestClient) -> None:
    named = get_csv(provincial_reviewer, "absorption", period="2026-S1").headers["Content-Disposition"]
    assert named == 'attachment; filename="absorption-63-2026-S1.csv"'
    named = get_csv(provincial_reviewer, "overlap-register", year="2026").headers["Content-Disposition"]
    assert named == 'attachment; filename="overlap-register-63-2026.csv"'
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
def test_accept_decides_at_the_address_of_the_pages(
    provincial_reviewer: TestClient, accept: str, is_csv: bool
) -> None:
    at, headers = "/v1/reports/absorption", {"Accept": accept}
    reply = provincial_reviewer.get(at, params=ASKED["absorption"], headers=headers)
    assert reply.headers["Content-Type"].startswith("text/csv" if is_csv else "application/json")
    assert "Accept" in reply.headers["Vary"].split(", ")
    if is_csv:
        assert reply.content == get_csv(provincial_reviewer, "absorption").content
        refused = provincial_reviewer.get(at, params={**ASKED["absorption"], "limit": "2"}, headers=headers)
        assert refused.status_code == 400
        (error,) = refused.json()["errors"]
        assert (error["code"], error["parameter"]) == ("unknown_parameter", "limit")


def test_nothing_new_is_304(provincial_reviewer: TestClient, connect: ConnectAs) -> None:
    first = get_csv(provincial_reviewer, "absorption")
    tag = {"If-None-Match": first.headers["ETag"]}
    assert get_csv(connect(("reviewer", "63")), "absorption", tag).status_code == 304
    pages = provincial_reviewer.get("/v1/reports/absorption", params=ASKED["absorption"])
    assert pages.headers["ETag"] != first.headers["ETag"]
    put_many(connect(("secretariat", "63.03")), [{**LEAN, "code": "B-2"}], plan="63.03-2026")
    again = get_csv(provincial_reviewer, "absorption", tag)
    assert again.status_code == 200
    assert again.content != first.content


def test_one_statement_however_many_rows(
    provincial_reviewer: TestClient, connect: ConnectAs, database: OneTransaction
) -> None:
    def counts() -> list[int]:
        found = []
        for name in ASKED:
            for ending in ("", ".csv"):
                before = len(database.statements)
                reply = provincial_reviewer.get(f"/v1/reports/{name}{ending}", params=ASKED[name])
                assert reply.status_code == 200
                found.append(len(database.statements) - before)
        return found

    before = counts()
    lines = [{**LEAN, "code": f"C-{n}"} for n in range(300)]
    put_many(connect(("secretariat", "63.03")), lines, plan="63.03-2026")
    # Who asks is one statement, the answer the other.
    assert counts() == before == [2] * len(before)


def test_memory_does_not_grow_with_the_rows(database: OneTransaction) -> None:
    """Rows of a whole province, made by the database out of nothing: some megabytes of CSV."""
    source = get_table(FundingSourceRow)
    one, other = source.alias("one"), source.alias("other")

    def rows(*_: Any) -> Listing:
        words = sa.func.replace(sa.literal("x" * 100), "x", "kata ")
        found = sa.select(
            one.c.code.label("region_code"), words.label("region_name"), other.c.code.label("plan")
        )
        found = found.select_from(one.join(other, sa.true())).order_by(one.c.code, other.c.code).limit(number)
        return build_listing(PlanColumns, found, sorts=("region_code",), key=("region_code", "plan"))

    title = Text("x", "y")
    report = ReportDefinition("many", title, title, PlanColumns, BalanceQuery, rows)
    asked = BalanceQuery(region="0", period="2026")
    peaks = []
    for number in (1_000, 7_200):
        with database.read_session() as session:
            tracemalloc.start()
            made = write_csv(database, session, report, CONSOLE, asked, None)  # type: ignore[arg-type]  # no clock
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert made.size == sum(map(len, made.pieces())) > number * 500
    assert peaks[1] < 3 * 2**20
    assert made.size > 3.5 * 2**20
