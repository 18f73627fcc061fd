"""The real plan and report of Kabupaten Kotabaru, imported as an office does."""

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.exchange.matrix.rules import read_matrix
from app.kit.database.engine import get_table
from app.kit.fields import fold_name
from app.reference.nomenclature.models import SubactivityRow
from tests.common import ConnectAs, begin_with
from tests.database import OneTransaction
from tests.exchange.conftest import open_kotabaru
from tests.exchange.office import PLAN_FILE, REPORT_FILE, Office, find_place

pytestmark = pytest.mark.one_engine

TAKEN = {"accept": "free_text", "new_agencies": "create"}
PLAN, REPORT = PLAN_FILE.read_bytes(), REPORT_FILE.read_bytes()
ROWS = {row.row: row for row in read_matrix(PLAN, PLAN_FILE.name).rows}


Made = dict[str, Any]
MADE: Made = {}


def bring(connect: ConnectAs, database: OneTransaction) -> None:
    """Import the plan after a refusal that lists unclear names; keep both replies."""
    office = open_kotabaru(connect(("secretariat", "63.02")), database)
    MADE["refused"] = office.send(PLAN, new_agencies="create")
    MADE["agencies"] = office.client.get("/v1/regions/63.02/agencies").json()["items"]
    MADE["lines"] = office.lines()
    MADE["report"] = office.bring(PLAN, **TAKEN)


world, database = begin_with(bring)


@pytest.fixture
def made(world: OneTransaction) -> Made:
    """The replies: the refusal of the plan, and the report of its import."""
    return MADE


@pytest.fixture
def kotabaru(secretariat: TestClient, database: OneTransaction) -> Office:
    """The secretariat of Kotabaru with the real plan of 2025."""
    return Office(secretariat, database, "63.02-2025")


def read_nomenclature(office: Office) -> dict[str, tuple[str, str]]:
    """Return code → folded (activity, name) of the nomenclature of regencies."""
    c = get_table(SubactivityRow).c
    with office.database.read_session() as session:
        rows = session.execute(
            sa.select(c.code, c.folded_activity, c.folded_name).where(c.government_level == "regency")
        )
        return {code: (activity, name) for code, activity, name in rows}


def test_the_whole_plan_is_imported(kotabaru: Office, made: Made) -> None:
    report = made["report"]
    assert (report["lines"], report["created"], report["allocation"]) == (156, 156, 632_470_087_081)
    assert len(report["agencies_created"]) == 33
    assert report["by_strategy"] == {
        "reduce_spending_burden": 58,
        "raise_income": 42,
        "reduce_poverty_pockets": 56,
    }
    lines = kotabaru.lines()
    assert (len(lines), next(iter(lines))) == (156, "A-001")
    assert sum(line["allocation"] for line in lines.values()) == 632_470_087_081
    kinds = Counter(
        item["kind"] for item in kotabaru.client.get("/v1/regions/63.02/agencies?limit=100").json()["items"]
    )
    assert kinds == {"dinas": 13, "badan": 1, "kecamatan": 19}


def test_unclear_names_are_listed_and_never_guessed(kotabaru: Office, made: Made) -> None:
    names = read_nomenclature(kotabaru)
    refused = made["refused"]
    assert refused.status_code == 422
    errors = {error["cell"]["row"]: error for error in refused.json()["errors"]}
    assert len(errors) == len(refused.json()["errors"]) == 84
    for row, error in errors.items():
        assert (error["cell"]["column"], error["value"]) == ("G", ROWS[row]["subactivity"].name)
        for candidate in error.get("allowed") or error.get("nearest", ()):
            assert candidate.split()[0] in names
    # Only variants for provinces with special autonomy are like the name in this row.
    assert [row for row, error in errors.items() if not (error.get("allowed") or error.get("nearest"))] == [
        80
    ]
    assert (made["agencies"], made["lines"]) == ([], {})

    report = made["report"]
    unclear = {finding["cell"]["row"] for finding in report["findings"] if finding["code"] == "E02"}
    assert unclear == set(errors)
    assert report["free_text"] == 84
    lines = kotabaru.lines()
    for code, row in zip(sorted(lines), sorted(ROWS), strict=True):
        line, matrix_row = lines[code], ROWS[row]
        if row in unclear:
            assert (line["subactivity_code"], line["subactivity"]) == (None, matrix_row["subactivity"].name)
        else:
            activity, name = fold_name(matrix_row["activity"].name), fold_name(matrix_row["subactivity"].name)
            assert names[line["subactivity_code"]] == (activity, name)
            assert [code for code, pair in names.items() if pair == (activity, name)] == [
                line["subactivity_code"]
            ]


def test_the_report_needs_the_basis_of_its_half_years(kotabaru: Office) -> None:
    assert kotabaru.refused(REPORT) == [("basis_required", "basis")]
    contradicted = kotabaru.refused(REPORT, basis="cumulative")
    assert {code for code, _ in contradicted} == {"total_contradicts_basis"}
    with_first_half = [row for row in read_matrix(REPORT, "a.xlsx").rows if row["spent_s1"]]
    assert [place for _, place in contradicted] == [f"U{row.row}" for row in with_first_half]

    report = kotabaru.bring(REPORT, basis="period")
    beyond = {f["line"]: f for f in report["findings"] if f["code"] == "E07"}
    assert len(beyond) == 28
    assert {find_place(finding) for finding in beyond.values()} >= {"T8"}
    assert report["progress"] == [
        {"period": "2025-Q2", "created": 156, "updated": 0, "unchanged": 0},
        {"period": "2025-Q4", "created": 156, "updated": 0, "unchanged": 0},
    ]
    lines = kotabaru.lines()
    assert {code for code, line in lines.items() if line["spent"] > line["allocation"]} == set(beyond)
    summary = kotabaru.client.get(f"{kotabaru.url}/summary?period=2025-S2").json()
    assert round(summary["absorption_percent"], 1) == 45.4


def test_contradicting_totals_can_be_accepted(kotabaru: Office) -> None:
    report = kotabaru.bring(REPORT, basis="cumulative", accept=["totals", "free_text"])
    assert [period["created"] for period in report["progress"]] == [156, 156]
    # Read as cumulative, most second halves are below the first.
    assert Counter(finding["code"] for finding in report["findings"])["E06"] > 0
    summary = kotabaru.client.get(f"{kotabaru.url}/summary?period=2025-S2").json()
    assert summary["absorption_percent"] < 45


@pytest.mark.parametrize(
    "signs",
    [{}, {"separator": "semicolon"}, {"separator": "tab"}, {"decimal": "comma"}, {"dialect": "machine"}],
    ids=str,
)
def test_the_csv_of_each_dialect_comes_back_unchanged(kotabaru: Office, signs: dict[str, str]) -> None:
    data = kotabaru.export("csv", **signs)
    assert data.startswith(b"\xef\xbb\xbf") == (signs.get("dialect") != "machine")
    report = kotabaru.bring(data, "rat.csv")
    assert (report["lines"], report["unchanged"], report["warnings"]) == (156, 156, [])


def test_the_export_names_the_region_once_and_has_the_sums(kotabaru: Office, connect: ConnectAs) -> None:
    text = kotabaru.export("csv", dialect="machine").decode()
    assert text.splitlines()[1].startswith("KABUPATEN KOTABARU TAHUN 2025,")
    assert "KABUPATEN KABUPATEN" not in text.upper()
    assert text.splitlines()[-1].split(",")[:11] == ["JUMLAH TOTAL", *[""] * 9, "632470087081"]
    refused = kotabaru.client.get(
        f"{kotabaru.url}/matrix.csv", params={"decimal": "comma", "separator": "comma"}
    )
    assert refused.json()["errors"][0]["code"] == "separator_is_decimal"
    province = connect(("secretariat", "63"))
    assert province.put("/v1/plans/63-2026", json={"title": "RAT Provinsi"}).status_code == 201
    titles = province.get("/v1/plans/63-2026/matrix.csv").content.decode("utf-8-sig").splitlines()
    assert titles[1].startswith("PROVINSI KALIMANTAN SELATAN TAHUN 2026,")
