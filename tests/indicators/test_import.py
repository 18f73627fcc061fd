"""Imports of BPS tables: the two published ones, and typical errors."""

import csv
import io
from collections import Counter
from datetime import date, time
from typing import Any

import pytest
import xlsxwriter
from fastapi.testclient import TestClient

from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.indicators.conftest import TABLES, Send, list_error_cells

pytestmark = pytest.mark.one_engine

REGENCIES = (TABLES / "bps_poverty_regencies_2021.csv").read_bytes()
PROVINCES = (TABLES / "bps_poverty_provinces_2015_2025.csv").read_bytes()
P0 = "/v1/regions/{}/indicators/p0/observations/{}"


def read_rows(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode())))


def write_table(rows: list[list[Any]], separator: str = ",") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(rows)
    return out.getvalue().encode()


def write_workbook(rows: list[list[Any]], formats: dict[tuple[int, int], str] | None = None) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet("Tabel 1")
        for r, row in enumerate(rows):
            for c, value in enumerate(row):
                number_format = (formats or {}).get((r, c))
                cell_format = book.add_format({"num_format": number_format}) if number_format else None
                if isinstance(value, time):
                    sheet.write_datetime(
                        r, c, value, cell_format or book.add_format({"num_format": "hh:mm:ss"})
                    )
                else:
                    sheet.write(r, c, value, cell_format)
    return out.getvalue()


def format_as_clock(number: str) -> str:
    """Return the number as an Indonesian spreadsheet misreads it: 13.4 becomes 13:04:00."""
    hours, _, minutes = number.partition(".")
    is_time = minutes and int(minutes) < 60 and int(hours) < 24
    return f"{int(hours):02}:{int(minutes):02}:00" if is_time else number


# The published tables


@pytest.mark.usefixtures("everywhere")
def test_regencies_of_2021(send: Send, national_administrator: TestClient, database: OneTransaction) -> None:
    reply = send(REGENCIES, "bps_poverty_regencies_2021.csv", period="2021", source="BPS, 2021")
    assert reply.status_code == 200, reply.text
    result = reply.json()
    assert (result["created"], result["updated"], result["unchanged"]) == (514 * 9, 0, 0)
    assert {
        (series["indicator"], series["period"]): series["created"] for series in result["series"]
    } == dict.fromkeys(
        [
            ("p0", "2021-S1"),
            ("open_unemployment", "2021-S2"),
            ("labour_participation", "2021-S2"),
            ("hdi", "2021"),
            ("life_expectancy", "2021"),
            ("mean_years_schooling", "2021"),
            ("expenditure_per_capita", "2021"),
            ("safe_water", "2021"),
            ("sanitation", "2021"),
        ],
        514,
    )
    expected = {"73.22": 13.59, "16.11": 13.35, "18.04": 12.82, "18.02": 11.99, "64.08": 9.81}
    for region, value in expected.items():
        observation = national_administrator.get(P0.format(region, "2021-S1")).json()
        assert (observation["value"], observation["source"], observation["symbol"]) == (
            value,
            "BPS, 2021",
            None,
        )
    before = len(database.statements)
    repeated = send(REGENCIES, "bps_poverty_regencies_2021.csv", period="2021", source="BPS, 2021").json()
    assert (repeated["created"], repeated["updated"], repeated["unchanged"]) == (0, 0, 514 * 9)
    assert len(database.statements) - before < 15
    journal = national_administrator.get("/v1/changes", params={"kind": "observation", "limit": 500}).json()
    assert journal["more"]
    assert {entry["region_code"] for entry in journal["items"]} == {"0"}


@pytest.mark.usefixtures("everywhere")
def test_provinces_by_month(send: Send, national_administrator: TestClient) -> None:
    assert list_error_cells(send(PROVINCES)) == [("G280", "outside_unit", 25674.58)], (
        "the number of poor in P0's column"
    )
    corrected = PROVINCES.replace(b"25949.8,25674.58", b"25949.8,")
    result = send(corrected).json()
    lines = csv.DictReader(io.StringIO(corrected.decode()))
    counts = Counter(name for line in lines for name, text in line.items() if text)
    assert result["created"] == counts["poverty_line_rp"] + counts["poor_thousand"] + counts["p0_percent"]
    assert {row["period"][4:] for row in result["series"]} == {"-S1", "-S2"}
    values = national_administrator.get(
        "/v1/observations", params={"region": "0", "indicator": "p0", "level": "nation"}
    ).json()
    assert {row["period"]: row["value"] for row in values["items"]}["2021-S1"] == 10.14
    assert national_administrator.get(P0.format("73", "2021-S1")).json()["value"] == 8.78


@pytest.mark.usefixtures("everywhere")
def test_a_workbook_gives_the_same_observations(send: Send, national_administrator: TestClient) -> None:
    rows: list[list[Any]] = read_rows(REGENCIES)
    numbers = [[row[0], row[1], *[float(cell) for cell in row[2:]]] for row in rows[1:]]
    titled = [
        ["Indikator kemiskinan menurut kabupaten/kota, 2021"],
        [],
        rows[0],
        *numbers,
        [],
        ["Sumber: BPS"],
    ]
    assert send(write_workbook(titled), "tabel.xlsx", period="2021", source="x").json()["created"] == 514 * 9
    assert send(REGENCIES, period="2021", source="x").json()["unchanged"] == 514 * 9
    assert national_administrator.get(P0.format("11.10", "2021-S1")).status_code == 200


@pytest.mark.usefixtures("everywhere")
def test_a_table_damaged_by_a_spreadsheet_is_refused(send: Send, national_administrator: TestClient) -> None:
    """The spreadsheet read figures with a comma as hours and minutes."""
    rows = read_rows(REGENCIES)
    as_times = [[*row[:2], format_as_clock(row[2]), *row[3:]] for row in rows[1:]]
    times = sum(":" in row[2] for row in as_times)
    errors = list_error_cells(send(write_table([rows[0], *as_times]), period="2021"))
    assert len(errors) == times > 100
    assert {code for _, code, _ in errors} == {"became_time"}
    assert ("C2", "became_time", "13:18:00") in errors
    misread = [
        [*row[:2], f"{row[2].partition('.')[0]}.{int(float(row[2]) * 100) % 60:02}", *row[3:]]
        for row in rows[1:]
    ]
    misread = [row for row in misread if float(row[2]) < 24]
    assert [
        (cell, code)
        for cell, code, _ in list_error_cells(send(write_table([rows[0], *misread]), period="2021"))
    ] == [("C1", "column_of_times")]
    assert national_administrator.get("/v1/observations", params={"count": "exact"}).json()["count"] == 0


# Codes


@pytest.mark.usefixtures("everywhere")
def test_the_declared_code_system_decides_the_region(send: Send, national_administrator: TestClient) -> None:
    """BPS 1802 is Tanggamus, but Kemendagri 18.02 is Lampung Tengah."""
    assert send(b"kode,p0\n1802,11.81\n", code_system="bps", period="2021").status_code == 200
    assert send(b"kode,p0\n1802,11.99\n", code_system="kemendagri", period="2021").status_code == 200
    assert national_administrator.get(P0.format("18.06", "2021-S1")).json()["value"] == 11.81
    assert national_administrator.get(P0.format("18.02", "2021-S1")).json()["value"] == 11.99
    without = national_administrator.post(
        "/v1/observations/import", files={"file": ("t.csv", b"kode,p0\n1802,1\n")}
    )
    assert (without.status_code, without.json()["errors"][0]["parameter"]) == (400, "code_system")


@pytest.mark.usefixtures("everywhere")
def test_names_that_contradict_the_code_system_are_refused(send: Send) -> None:
    data = b"kode,nama,p0\n1802,Tanggamus,11.81\n18.06,Tanggamus,11.81\n"
    assert list_error_cells(send(data, period="2021")) == [("A2", "other_code_system", "1802")]
    data = b"kode,nama,p0\n1802,Lampung Tengah,11.99\n1806,Tanggamus,11.81\n1801,Lampung Barat,12.82\n"
    errors = list_error_cells(send(data, code_system="bps", period="2021"))
    assert [(cell, code) for cell, code, _ in errors] == [
        ("A2", "other_code_system"),
        ("A3", "other_code_system"),
    ]


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize(
    ("code", "system", "region"),
    [
        ("0000", "bps", "0"),
        ("Indonesia", "bps", "0"),
        ("7300", "bps", "73"),
        ("73", "bps", "73"),
        ("9400", "bps", None),
        ("99", "bps", None),
        ("18.02", "bps", None),
        ("73.22", "kemendagri", "73.22"),
        ("7322", "kemendagri", "73.22"),
        ("91", "kemendagri", "91"),
        ("73.99", "kemendagri", None),
        ("732", "kemendagri", None),
    ],
)
def test_codes_are_read_in_their_system(
    send: Send, national_administrator: TestClient, code: str, system: str, region: str | None
) -> None:
    reply = send(f"kode,p0\n{code},9.5\n".encode(), code_system=system, period="2021")
    if region is None:
        assert [cell for cell, _, _ in list_error_cells(reply)] == ["A2"]
    else:
        assert national_administrator.get(P0.format(region, "2021-S1")).json()["value"] == 9.5


# Layouts


def test_years_as_headers_with_decimal_commas(send: Send, national_administrator: TestClient) -> None:
    data = (
        "Kode;Nama Wilayah;2019;2020;2021\r\n(1);(2);(3);(4);(5)\r\n63.02;Kotabaru;4,4;4,28;...\r\n;;;;\r\n"
    )
    data += "63;Kalimantan Selatan;4,55 r;4,38*;-\r\nCatatan: Susenas Maret;;;;\r\n"
    reply = send(data.encode("utf-8-sig"), indicator="p0")
    assert reply.json()["created"] == 6, reply.text
    observations = {
        (row["region_code"], row["period"]): (row["value"], row["symbol"], row["flags"])
        for row in national_administrator.get("/v1/observations").json()["items"]
    }
    assert observations == {
        ("63", "2019-S1"): (4.55, None, ["r"]),
        ("63", "2020-S1"): (4.38, None, ["*"]),
        ("63", "2021-S1"): (None, "-", []),
        ("63.02", "2019-S1"): (4.4, None, []),
        ("63.02", "2020-S1"): (4.28, None, []),
        ("63.02", "2021-S1"): (None, "...", []),
    }
    assert sum(row["symbols"] for row in reply.json()["series"]) == 2


def test_a_table_with_one_observation_a_row(send: Send, national_administrator: TestClient) -> None:
    data = b"region,indikator,tahun,bulan,nilai\n63.02,P0,2021,Maret,4.56\n63.02,p0,2021,9,4.83\n63.02,IPM,2021,,69.3\n"
    assert send(data).json()["created"] == 3
    items = national_administrator.get("/v1/observations", params={"sort": "period"}).json()["items"]
    assert [(row["indicator"], row["period"]) for row in items] == [
        ("hdi", "2021"),
        ("p0", "2021-S1"),
        ("p0", "2021-S2"),
    ]
    assert send(b"region,period,value\n63.02,2022-S1,4.49\n", indicator="p0").json()["created"] == 1
    assert send(b"region,tahun,semester,p0\n63.02,2022,II,4.61\n").json()["created"] == 1


@pytest.mark.parametrize(
    ("data", "query", "expected"),
    [
        (b"nama,p0\nKotabaru,4.5\n", {"period": "2021"}, [("province", "province_needed")]),
        (b"kode,nama,x\n63.02,Kotabaru,4.5\n", {"period": "2021"}, [("C1", "unknown_column")]),
        (b"kode,nama\n63.02,Kotabaru\n", {"period": "2021"}, [("A1", "no_table")]),
        (b"kode,p0\n63.02,4.5\n", {}, [("period", "not_said")]),
        (b"kode,2021\n63.02,4.5\n", {}, [("indicator", "not_said")]),
        (b"kode,2021\n63.02,4.5\n", {"indicator": "p9"}, [("indicator", "unknown_reference")]),
        (b"kode,p0,Rasio Ginii\n63.02,4.5,4\n", {"period": "2021"}, [("C1", "doubtful_column")]),
        (b"kode,p0\n63.02,4.5\n63.02,4.6\n", {"period": "2021"}, [("B3", "duplicate_key")]),
        (b"kode,p0\n63.02,104.5\n", {"period": "2021"}, [("B2", "outside_unit")]),
        (b"kode,p0\n63.02,4.555\n", {"period": "2021"}, [("B2", "unclear_decimal_mark")]),
        (b"kode,p0\n63.02,4.5555\n", {"period": "2021"}, [("B2", "too_many_decimals")]),
        (b"kode,p0\n63.02,=A1\n", {"period": "2021"}, [("B2", "formula")]),
        (b"kode,tahun,bulan,p0\n63.02,2021,4,4.5\n", {}, [("C2", "wrong_observed_period")]),
        (b"kode,period,p0\n63.02,21,4.5\n", {}, [("B2", "wrong_observed_period")]),
        (b"kode,hdi\n63.02,70.5\n", {"period": "2021-S1"}, [("B2", "wrong_observed_period")]),
        (b"kode,indikator,nilai\n63.02,p9,4\n", {"period": "2021"}, [("B2", "unknown_reference")]),
        (
            b"kode,p0,hdi\n63.2,4:30,70\n63.02,x,169\n63.03,4.5,70.51234\n",
            {"period": "2021"},
            [("A2", "wrong_region_code"), ("B2", "became_time"), ("B3", "not_a_figure")],
        ),
    ],
)
def test_errors_name_their_cell_or_parameter(
    send: Send,
    national_administrator: TestClient,
    data: bytes,
    query: dict[str, str],
    expected: list[tuple[str, str]],
) -> None:
    reply = send(data, **query)
    assert reply.status_code == 422, reply.text
    errors = [
        (
            f"{error['cell']['column']}{error['cell']['row']}" if "cell" in error else error["parameter"],
            error["code"],
        )
        for error in reply.json()["errors"]
    ]
    assert errors == expected
    assert national_administrator.get("/v1/observations").json()["items"] == []


def test_time_cells_of_a_workbook_are_refused(send: Send) -> None:
    rows = [["kode", "p0"], ["63.02", time(4, 56)], ["63.03", 18.98], ["63", 4.83]]
    reply = send(write_workbook(rows, {(2, 1): "[h]:mm:ss"}), "t.xlsx", period="2021")
    errors = {e["cell"]["row"]: (e["code"], e["nearest"]) for e in reply.json()["errors"]}
    assert errors == {2: ("became_time", ["4.56"]), 3: ("became_time", ["18.98"])}
    assert reply.json()["errors"][0]["cell"]["sheet"] == "Tabel 1"


def test_a_column_of_fractions_is_refused(send: Send) -> None:
    rows = [["kode", "tahun", "p0"], *[["63.02", str(1990 + n), "0.07"] for n in range(30)]]
    assert [(c, code) for c, code, _ in list_error_cells(send(write_table(rows)))] == [
        ("C1", "column_of_fractions")
    ]


def test_skipped_columns_are_ignored(send: Send) -> None:
    data = b"kode,catatan,p0\n63.02,sementara,4.5\n"
    reply = send(data, period="2021", dry_run="true").json()
    assert [(item["code"], item["cell"]["column"]) for item in reply["warnings"]] == [("unknown_column", "B")]
    reply = send(data, period="2021", skip="Catatan").json()
    assert (reply["created"], reply["warnings"]) == (1, [])


def test_a_file_with_too_many_observations_is_413(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.convergence.indicators.files.rules.MOST_OBSERVATIONS", 1)
    assert send(b"kode,2020,2021\n63.02,4.4,4.5\n", indicator="p0").status_code == 413


def test_a_dry_run_writes_nothing_and_only_the_national_administrator_imports(
    send: Send, national_administrator: TestClient, connect: ConnectAs
) -> None:
    data = b"kode,p0\n63.02,4.5\n"
    assert send(data, period="2021", dry_run="true").json()["created"] == 1
    assert national_administrator.get("/v1/observations").json()["items"] == []
    for role in (("secretariat", "63.02"), ("administrator", "63"), ("reader", "0")):
        assert send(data, client=connect(role), period="2021").status_code == 403
    assert send(b"", period="2021").json()["errors"][0]["code"] == "empty_file"
    assert send(data, period="2021", sheet="x").json()["errors"][0]["code"] == "unknown_sheet"


@pytest.mark.parametrize(
    ("title", "times"),
    [
        ("Jumlah Penduduk Miskin (Ribu Jiwa)", 1),
        ("Jumlah Penduduk Miskin (Juta Jiwa)", 1_000),
        ("Garis Kemiskinan (Ribu Rupiah/Kapita/Bulan) Menurut Kabupaten/Kota", 1_000),
        ("Indeks Kedalaman Kemiskinan (P1) Menurut Kabupaten/Kota (Persen)", 1),
    ],
)
def test_the_unit_of_a_title_above_the_names_is_that_of_the_figures(
    send: Send, title: str, times: int
) -> None:
    reply = send(
        write_table([[title], ["Kabupaten/Kota", 2022, 2023], ["Luwu Utara", 0.02, 0.05]]), province="73"
    )
    assert reply.status_code == 200, reply.text
    assert [factor["times"] for factor in reply.json()["factors"]] == ([times] * 2 if times > 1 else [])


def test_a_share_shown_as_a_percentage_is_read_as_shown(
    send: Send, national_administrator: TestClient
) -> None:
    rows = [
        ["Kabupaten/Kota", "P0 2023", "Gini 2023"],
        ["Luwu Utara", 0.125, 0.33],
        ["Sulawesi Selatan", "6,7 %", 0.3],
    ]
    book = write_workbook(rows, {(1, 1): "0.00%", (1, 2): "0%"})
    assert list_error_cells(send(book, "p0.xlsx", province="73")) == [("C2", "not_a_figure", "33%")]
    book = write_workbook([row[:2] for row in rows], {(1, 1): "0.00%"})
    assert send(book, "p0.xlsx", province="73").json()["created"] == 2
    assert national_administrator.get(P0.format("73.22", "2023-S1")).json()["value"] == 12.5


def test_a_date_below_the_header_became_one_of_a_number(send: Send) -> None:
    rows = [["Kabupaten/Kota", "P0 2023"], ["Luwu Utara", date(2024, 3, 1)]]
    book = io.BytesIO()
    with xlsxwriter.Workbook(book, {"default_date_format": "yyyy-mm-dd"}) as workbook:
        sheet = workbook.add_worksheet()
        for r, row in enumerate(rows):
            sheet.write_row(r, 0, row)
    errors = list_error_cells(send(book.getvalue(), "p0.xlsx", province="73"))
    assert errors == [("B2", "became_time", "2024-03-01")]


def test_a_row_without_a_name_is_a_blank_cell(send: Send) -> None:
    table = write_table([["Kabupaten/Kota", "P0 2023"], ["Luwu Utara", 12.1], ["", 6.7]])
    assert [(cell, code) for cell, code, _ in list_error_cells(send(table, province="73"))] == [
        ("A3", "blank_cell")
    ]


def test_a_period_may_have_become_a_date(send: Send, national_administrator: TestClient) -> None:
    book = io.BytesIO()
    with xlsxwriter.Workbook(book, {"default_date_format": "mmm-yy"}) as workbook:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, ["Kabupaten/Kota", "Periode", "P0"])
        sheet.write_row(1, 0, ["Luwu Utara", date(2024, 3, 1), 12.5])
    assert send(book.getvalue(), "p0.xlsx", province="73").json()["created"] == 1
    assert national_administrator.get(P0.format("73.22", "2024-S1")).json()["value"] == 12.5
