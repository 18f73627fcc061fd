"""Tables of BPS as offices download and copy them: the shared cases, and each way to write one table."""

import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import httpx2 as httpx
import pytest
import xlsxwriter
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app.convergence.indicators.commands import read_shipped_indicators
from app.convergence.indicators.files.rules import ObservedTable, TableReader
from app.convergence.indicators.models import TableQuery
from app.kit.database.engine import get_table
from app.kit.database.upsert import upsert
from app.kit.files.books import Sheet
from app.kit.http import unit_of_work
from app.kit.problems import Invalid
from app.reference.models import RegionRow
from app.reference.places.regencies import RegencyNames
from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.indicators.conftest import load_regions
from tests.sheets.files import read_case

pytestmark = pytest.mark.one_engine

TITLE = "Persentase Penduduk Miskin (P0) Menurut Kabupaten/Kota di Provinsi Lampung (Persen), 2022-2024"
P0 = "/v1/regions/{}/indicators/p0/observations/{}"
Send = Callable[..., httpx.Response]


@pytest.fixture
def administrator(connect: ConnectAs, database: OneTransaction) -> TestClient:
    """The nation's administrator, with all provinces and regencies."""
    with database.writing() as session:
        upsert(session, get_table(RegionRow), load_regions(), key=["code"])
    return connect(("administrator", "0"))


@pytest.fixture
def send(administrator: TestClient) -> Send:
    """Import a table, within Lampung unless `query` names another province."""

    def send_table(data: str | bytes, name: str = "tabel.csv", **query: Any) -> httpx.Response:
        form = {part: json.dumps(query.pop(part)) for part in ("resolutions", "columns") if part in query}
        query = {"code_system": "bps", "province": "18", **query}
        return administrator.post(
            "/v1/observations/import",
            params={key: value for key, value in query.items() if value is not None},
            files={"file": (name, data if isinstance(data, bytes) else data.encode())},
            data=form,
            headers={"Accept-Language": "en"},
        )

    return send_table


def send_case(send: Send, name: str, **query: Any) -> httpx.Response:
    data, own = read_case(name)
    return send(data, name, **own | query)


def list_refusal(reply: httpx.Response) -> list[tuple[str, str]]:
    assert reply.status_code == 422, reply.text
    return [
        (
            error["code"],
            f"{error['cell']['column']}{error['cell']['row']}" if "cell" in error else error["parameter"],
        )
        for error in reply.json()["errors"]
    ]


def list_written(client: TestClient) -> dict[tuple[str, str, str], float | str]:
    items = client.get("/v1/observations", params={"limit": 500}).json()["items"]
    return {
        (item["region_code"], item["indicator"], item["period"]): item["value"]
        if item["symbol"] is None
        else item["symbol"]
        for item in items
    }


# The shared cases


@pytest.mark.both_engines
def test_names_are_read_within_the_province(send: Send, administrator: TestClient) -> None:
    assert send_case(send, "obs_names_only.csv").status_code == 200
    assert list_written(administrator) == {
        ("18", "p0", "2023-S1"): 11.11,
        ("18", "p0", "2024-S1"): 10.69,
        ("18.02", "p0", "2023-S1"): 10.23,
        ("18.02", "p0", "2024-S1"): 9.98,
        ("18.72", "p0", "2023-S1"): 7.28,
        ("18.72", "p0", "2024-S1"): 6.78,
    }


def test_months_are_headings(send: Send, administrator: TestClient) -> None:
    assert send_case(send, "obs_month_in_heading.csv").status_code == 200
    assert list_written(administrator) == {("18", "p0", "2024-S1"): 10.69, ("18", "p0", "2024-S2"): 10.62}


def test_a_name_that_contradicts_its_code_is_refused(send: Send, administrator: TestClient) -> None:
    reply = send_case(send, "obs_name_contradicts_code.csv")
    assert list_refusal(reply) == [("not_said", "indicator"), ("name_contradicts_code", "A3")]
    assert list_refusal(send_case(send, "obs_name_contradicts_code.csv", indicator="p0")) == [
        ("name_contradicts_code", "A3")
    ]
    _, error = reply.json()["errors"]
    assert "Kabupaten Tanggamus" in error["message"]
    assert "Lampung Barat" in error["message"]
    assert [item["code"] for item in error["candidates"]] == ["18.04"]
    assert list_written(administrator) == {}


def test_more_poor_persons_than_inhabitants_are_refused(send: Send) -> None:
    reply = send_case(send, "obs_thousands.csv")
    assert list_refusal(reply) == [("more_than_population", "C2")]
    (error,) = reply.json()["errors"]
    assert error["nearest"] == ["36.12"]
    assert "thousand persons" in error["message"]


def test_a_year_that_is_not_over_is_refused(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, datetime(2025, 3, 31, 16, 59, 59, tzinfo=UTC))
    assert list_refusal(send_case(send, "obs_future_year.csv")) == [("period_not_over", "C1")]
    table = "Provinsi;2024;2025\nLampung;10,69;10\n"
    assert list_refusal(send(table, indicator="p0")) == [("period_not_over", "C1")]
    assert list_refusal(send(table, indicator="hdi")) == [("period_not_over", "C1")]
    set_clock(monkeypatch, datetime(2025, 3, 31, 17, 0, tzinfo=UTC))  # 1 April in western Indonesia
    assert send(table, indicator="p0").status_code == 200


def set_clock(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return at

    monkeypatch.setattr(unit_of_work, "datetime", Clock)


# Periods and populations of other writes


def test_no_write_takes_a_period_that_is_not_over(administrator: TestClient) -> None:
    reply = administrator.put(P0.format("18", "2099-S1"), json={"value": 9})
    assert list_refusal(reply) == [("period_not_over", "period")]
    items = [{"region_code": "18", "indicator": "hdi", "period": "2099", "value": 70}]
    reply = administrator.put("/v1/observations", json={"items": items})
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, "/items/0/period")
    target = {"value": 3.9, "baseline": 10.69, "baseline_year": 2024}
    reply = administrator.put("/v1/regions/18/indicators/p0/targets/2099", json=target)
    assert reply.status_code == 201


@pytest.mark.both_engines
def test_no_write_takes_more_persons_than_the_population(administrator: TestClient) -> None:
    path = "/v1/regions/18.04/indicators/poor_population/observations/2024-S1"
    reply = administrator.put(path, json={"value": 36120})
    (error,) = reply.json()["errors"]
    assert (error["code"], error["pointer"], error["nearest"]) == (
        "more_than_population",
        "/value",
        ["36.12"],
    )
    assert administrator.put(path, json={"value": 36.12}).status_code == 201
    assert administrator.put(path.replace("18.04", "0"), json={"value": 25220}).status_code == 201


# Downloads of BPS


def test_a_download_with_title_years_and_notes(send: Send, administrator: TestClient) -> None:
    table = f"""{TITLE};;;
;;;
Kabupaten/Kota;2022;2023;2024
Lampung Barat;11,71;11,17;10,71
Kota Bandar Lampung;8,21;7,77;7,53*
Metro;7,87;...;6,78
Lampung;11,57;11,11;10,69
INDONESIA;9,54;9,36;9,03
Jumlah;1;2;3
;;;
Sumber: BPS, Susenas Maret;;;
Catatan: * angka sementara;;;
"""
    reply = send(table)
    assert reply.status_code == 200, reply.text
    result = reply.json()
    assert [(item["code"], item["cell"]["row"]) for item in result["warnings"]] == [("sum_not_read", 9)]
    assert (result["created"], result["skipped_rows"], result["factors"]) == (15, [], [])
    written = list_written(administrator)
    assert {key[0] for key in written} == {"18.04", "18.71", "18.72", "18", "0"}
    assert written["18.72", "p0", "2023-S1"] == "..."


def test_parts_of_a_population_are_not_read_as_all_of_it(send: Send, administrator: TestClient) -> None:
    table = f"""38 Provinsi;{TITLE.replace("Kabupaten/Kota di Provinsi Lampung", "Provinsi dan Daerah")};;;;;;;;
;Perkotaan;;;Perdesaan;;;Jumlah;;
;2023;;;2023;;;2023;;
{";Semester 1 (Maret);Semester 2 (September);Tahunan" * 3}
DKI JAKARTA;4,44;4,3;-;-;-;-;4,44;...;-
KEP. RIAU;5,5;5,4;-;6,6;6,5;-;5,69;...;-
INDONESIA;7,29;7,1;-;12,22;11,8;-;9,36;9,03;-
"""
    result = send(table, province=None).json()
    assert {item["code"] for item in result["warnings"]} == {"unknown_column"}
    assert [item["cell"]["column"] for item in result["warnings"]] == [*"BCDEFGJ"]
    assert list_written(administrator)["0", "p0", "2023-S2"] == 9.03


def write_workbook(rows: Sequence[Sequence[Any]], *, hidden: int | None = None) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet, month = book.add_worksheet("Tabel"), book.add_format({"num_format": "mmm-yy"})
        for r, row in enumerate(rows):
            for c, value in enumerate(row):
                if isinstance(value, date):
                    sheet.write_datetime(r, c, datetime(value.year, value.month, 1), month)  # noqa: DTZ001
                elif value is not None:
                    sheet.write(r, c, value)
        if hidden is not None:
            sheet.set_row(hidden, None, None, {"hidden": True})
    return out.getvalue()


def test_years_and_months_that_a_spreadsheet_has_as_numbers(send: Send, administrator: TestClient) -> None:
    years = [["Persentase Penduduk Miskin"], [], ["Kabupaten/Kota", 2023, 2024], ["Metro", 7.28, 6.78]]
    assert send(write_workbook(years), "a.xlsx").json()["created"] == 2
    months = [["Kabupaten/Kota", date(2024, 3, 1), date(2024, 9, 1)], ["Metro", 6.78, 6.5]]
    reply = send(write_workbook(months), "a.xlsx", indicator="p0", source="a.xlsx").json()
    assert (reply["created"], reply["unchanged"]) == (1, 1)
    assert list_written(administrator)["18.72", "p0", "2024-S2"] == 6.5


def test_a_hidden_row_is_settled_by_the_call(send: Send) -> None:
    data = write_workbook([["Kode", "P0"], [1801, 10.7], [1872, 6.8]], hidden=2)
    assert list_refusal(send(data, "a.xlsx", period="2024")) == [("hidden_row", "A3")]
    reply = send(data, "a.xlsx", period="2024", hidden_rows="skip").json()
    assert (reply["created"], reply["skipped_rows"]) == (1, [{"reason": "hidden", "rows": [3]}])


@pytest.mark.parametrize(
    ("heading", "title", "value", "expected"),
    [
        ("Jumlah Penduduk Miskin (Juta Jiwa)", "", "0,94", (940, 1000)),
        ("Jumlah Penduduk Miskin", "(dalam juta jiwa)", "0,94", (940, 1000)),
        ("Jumlah Penduduk Miskin (Ribu Jiwa)", "", "940,2", (940.2, None)),
        ("Garis Kemiskinan (Ribu Rp)", "", "612,5", (612500, 1000)),
        ("Jumlah Penduduk Miskin (Jiwa)", "", "940", "B3"),
        ("Jumlah Penduduk Miskin", "Satuan: jiwa", "940", "B3"),
        ("Indeks Kedalaman Kemiskinan (Persen)", "", "2", (2, None)),
        ("Indeks Kedalaman Kemiskinan (Rupiah)", "", "2", "B3"),
        ("Persentase Penduduk Miskin (ribu)", "", "9", "B3"),
    ],
)
def test_units_are_compared_with_that_of_the_indicator(
    send: Send, administrator: TestClient, heading: str, title: str, value: str, expected: Any
) -> None:
    reply = send(f"{title}\n\nProvinsi;{heading}\nLampung;{value}\n", period="2024", province=None)
    if isinstance(expected, str):
        assert list_refusal(reply) == [("other_unit_of_indicator", expected)]
        return
    number, times = expected
    assert list(list_written(administrator).values()) == [number]
    factors = [(factor["column"], factor["times"]) for factor in reply.json()["factors"]]
    assert factors == ([("B", times)] if times else [])


def test_a_sum_of_persons_is_compared_with_its_regencies(send: Send) -> None:
    table = "Kabupaten/Kota;Jumlah Penduduk Miskin (Ribu Jiwa);P0\nMetro;11,95;6,78\nTanggamus;62,10;9,1\n"
    for stated, codes in (("74,06", []), ("74,5", ["total_differs"])):
        reply = send(f"{table}JUMLAH;{stated};9\n", period="2024", dry_run="true").json()
        places = [(item["code"], item["cell"]["column"]) for item in reply["warnings"]]
        assert places == [("sum_not_read", "A"), *((code, "B") for code in codes)]


# Names


@pytest.mark.parametrize(
    ("names", "province", "expected"),
    [
        (["Bandung", "Kota Bandung"], "32", {"32.04", "32.73"}),
        (["Bandung"], "32", ["32.04", "32.73"]),
        (["Kab. Bandung", "KOTA BANDUNG", "Jawa Barat"], "32", {"32.04", "32.73", "32"}),
        (["Gorontalo", "Kota Gorontalo"], "75", ["75", "75.01", "75.71"]),
        (["Provinsi Gorontalo", "Gorontalo", "Kota Gorontalo"], "75", {"75", "75.01", "75.71"}),
        (["Metro", "1. Way Kanan", "Kab Pesisir Barat 1)"], "18", {"18.72", "18.08", "18.13"}),
        (["Bandung"], "18", []),
        (["Tangamus"], "18", ["18.06"]),
        (
            ["DKI Jakarta", "D.I. Yogyakarta", "Kep. Bangka Belitung", "Indonesia"],
            None,
            {"31", "34", "19", "0"},
        ),
        (["Toba Samosir", "Tapanuli Selatan"], "12", {"12.12", "12.03"}),
    ],
)
def test_names_of_regencies_and_cities(
    send: Send, administrator: TestClient, names: list[str], province: str | None, expected: Any
) -> None:
    table = "Kabupaten/Kota;P0\n" + "".join(f"{name};9,5\n" for name in names)
    reply = send(table, province=province, period="2024")
    if isinstance(expected, set):
        assert reply.status_code == 200, reply.text
        assert {key[0] for key in list_written(administrator)} == expected
    else:
        assert list_refusal(reply) == [("unclear_area", "A2")]
        near = [item["code"] for item in reply.json()["errors"][0].get("candidates", [])]
        assert near[: len(expected)] == expected or not expected


def test_rows_above_tell_regencies_from_cities(send: Send, administrator: TestClient) -> None:
    table = "Kabupaten/Kota;P0\nKabupaten;\nBogor;7\nKota/Municipality;\nBogor;6\nJawa Barat;7,1\n"
    assert send(table, province="32", period="2024").status_code == 200
    assert {key[0]: value for key, value in list_written(administrator).items()} == {
        "32.01": 7,
        "32.71": 6,
        "32": 7.1,
    }


def test_a_column_of_provinces_gives_the_province(send: Send, administrator: TestClient) -> None:
    table = "Provinsi;Kabupaten/Kota;P0\nLampung;Metro;7\n;Tanggamus;8\nJawa Barat;Cimahi;4\n"
    assert send(table, province=None, period="2024").status_code == 200
    assert {key[0] for key in list_written(administrator)} == {"18.72", "18.06", "32.77"}
    reply = send(table.replace("Jawa Barat", "Jawa Bart"), province=None, period="2024")
    assert list_refusal(reply)[0] == ("unclear_area", "A4")


def test_a_refusal_has_a_resolution_that_works(send: Send, administrator: TestClient) -> None:
    table = "Kabupaten/Kota;P0\nTangamus;9\nMetro;7\n"
    (error,) = send(table, period="2024").json()["errors"]
    resolution = {**error["resolution"], "code": error["candidates"][0]["code"]}
    assert send(table, period="2024", resolutions=[resolution]).status_code == 200
    assert {key[0] for key in list_written(administrator)} == {"18.06", "18.72"}
    (entry,) = administrator.get("/v1/changes", params={"kind": "import"}).json()["items"]
    assert entry["kind"] == "import.created"
    wrong = send(table, period="2024", resolutions=[{**resolution, "code": "32.01"}])
    assert wrong.json()["errors"][0]["pointer"] == "/resolutions/0/code"


def test_names_without_codes_need_a_province(send: Send) -> None:
    reply = send("Kabupaten/Kota;P0\nMetro;7\nLampung;10\n", province=None, period="2024")
    assert list_refusal(reply) == [("province_needed", "province")]
    reply = send("Kabupaten/Kota;P0\nMetro;7\n", province="18.04", period="2024")
    assert list_refusal(reply) == [("unknown_reference", "province")]


@pytest.mark.parametrize(
    ("code", "name", "error"),
    [
        ("1802", "Kab. Tanggamus", None),
        ("1802", "Tangamus", None),
        ("1872", "Metro", None),
        ("1800", "Provinsi Lampung", None),
        ("6102", "Pontianak", None),
        ("1871", "Lampung Barat", "name_contradicts_code"),
        ("3204", "Kota Bandung", "name_contradicts_code"),
        ("1802", "Kantor Pusat", "name_contradicts_code"),
        ("1802", "Lampung Tengah", "other_code_system"),
    ],
)
@pytest.mark.parametrize("heading", ["Nama", "Wilayah", "Kabupaten/Kota", "Kabupaten", "Provinsi"])
def test_a_code_and_its_name(send: Send, code: str, name: str, error: str | None, heading: str) -> None:
    codes = {"6102": "6104"}  # of BPS
    reply = send(f"Kode;{heading};P0\n{codes.get(code, code)};{name};9,5\n", period="2024", dry_run="true")
    assert ([] if reply.status_code == 200 else list_refusal(reply)) == ([(error, "A2")] if error else [])


# Headings


@pytest.mark.parametrize(
    ("table", "warning"),
    [
        ("Provinsi Lampung;;\nKabupaten/Kota;2024\nMetro;7\n", None),
        ("Kabupaten/Kota;2024;;\nMetro;7;8;\n", "C"),
        (
            "Wilayah Lampung,[Metode Baru] Indeks Pembangunan Manusia (IPM),\n,2023,2024\nMetro,79.2,79.9\n",
            None,
        ),
        (",2024\nMetro,6.78\n,2023\n", "missing"),
        ("No,,2023,2024\n1,Metro,6.78,6.7\n", "missing"),
        (",2023,2024\nMetro,6.78,6.7\n", None),
        ("Kode;P0 2024\n1901;...\n1971;5,1\n", None),
        ("Tahun;Kode;P0\n2021;1901;...\n", None),
    ],
)
def test_headers_as_they_come(send: Send, table: str, warning: str | None) -> None:
    reply = send(table, indicator="hdi" if "IPM" in table else "p0", dry_run="true")
    if warning == "missing":
        assert reply.status_code == 422
        return
    assert reply.status_code == 200, reply.text
    named = [(item["code"], item["cell"]["column"]) for item in reply.json()["warnings"]]
    assert named == ([("unknown_column", warning)] if warning else [])


def test_the_indicator_of_the_call_is_that_of_the_table(send: Send) -> None:
    for blank in ("", ";\n"):
        table = f"Persentase Penduduk Miskin (P0)\n{blank}Kabupaten/Kota;2024\nMetro;7\n"
        assert {code for code, _ in list_refusal(send(table, indicator="p1"))} == {"other_indicator"}


def test_a_heading_is_chosen_by_the_call(send: Send, administrator: TestClient) -> None:
    table = "Kabupaten/Kota;Kini;Dulu\nMetro;6,78;7,28\n"
    columns = [{"heading": "Kini", "field": "p0 2024-S1"}, {"heading": "Dulu", "field": "p0 2023"}]
    assert send(table, columns=columns).status_code == 200
    assert list_written(administrator) == {("18.72", "p0", "2024-S1"): 6.78, ("18.72", "p0", "2023-S1"): 7.28}


@pytest.mark.parametrize(
    ("headings", "errors"),
    [
        ("Maret 2024;Agustus 2024", [("wrong_observed_period", "C1")]),
        ("2024;2024", [("duplicate_column", "C1")]),
        ("2024;Maret 2024", [("duplicate_key", "C2")]),
        ("2024;2023/2024", None),
        ("2024;Rata-rata", None),
        ("Semester I 2024;Sem. 2 2024", []),
        ("2024-03;2024-S2", []),
    ],
)
def test_periods_in_headings(send: Send, headings: str, errors: list[tuple[str, str]] | None) -> None:
    reply = send(f"Kabupaten/Kota;{headings}\nMetro;6,78;7,28\n", indicator="p0", dry_run="true")
    if errors:
        assert list_refusal(reply) == errors
        return
    assert reply.status_code == 200, reply.text
    unknown = [item["cell"]["column"] for item in reply.json()["warnings"]]
    assert (reply.json()["created"], unknown) == ((1, ["C"]) if errors is None else (2, []))


# One table, written in every way

REGIONS = {
    "18": ("1800", "Lampung"),
    "18.02": ("1805", "Kabupaten Lampung Tengah"),
    "18.04": ("1801", "Kabupaten Lampung Barat"),
    "18.06": ("1802", "Kabupaten Tanggamus"),
    "18.71": ("1871", "Kota Bandar Lampung"),
    "18.72": ("1872", "Kota Metro"),
    "0": ("0000", "INDONESIA"),
}
PERIODS = ("2022-S1", "2022-S2", "2023-S1", "2023-S2", "2024-S1")
INDICATORS = read_shipped_indicators()


def make_reader(**query: Any) -> TableReader:
    rows = load_regions()
    names = {"0": "Indonesia"} | {row["code"]: row["name"] for row in rows}
    regencies = RegencyNames(names, {row["bps_code"]: row["code"] for row in rows if row["bps_code"]}, {})
    return TableReader(INDICATORS, regencies, TableQuery(**{"code_system": "bps", "province": "18", **query}))


def read_rows(rows: Sequence[Sequence[Any]], **query: Any) -> ObservedTable:
    sheet = Sheet("Tabel", [[cell if cell != "" else None for cell in row] for row in rows])
    reader = make_reader(**query)
    assert reader.find(sheet) is not None, rows
    return reader.read(sheet, "tabel.csv")


def write_name(name: str, way: str) -> str:
    kind, _, bare = name.partition(" ")
    if kind not in ("Kabupaten", "Kota"):
        return name
    short = {"Kabupaten": "Kab.", "Kota": "Kota"}[kind]
    return {"full": name, "short": f"{short} {bare}", "capitals": name.upper(), "bare": bare}[way]


def write_period(period: str, way: str) -> tuple[str, str]:
    """Return the heading of a period above and below."""
    year, half = period[:4], int(period[-1])
    month = ("Maret", "September")[half - 1]
    return {
        "month": ("", f"{month} {year}"),
        "half": ("", f"Semester {'I' * half} {year}"),
        "code": ("", period),
        "rows": (year, f"Semester {half} ({month})"),
    }[way]


@st.composite
def draw_tables(draw: st.DrawFn) -> tuple[list[list[Any]], dict[str, Any], dict[tuple[str, str], float], int]:
    """Draw the rows of a table, its query, its observations, and the row with the first region."""
    codes = draw(st.permutations(list(REGIONS)))[: draw(st.integers(1, len(REGIONS)))]
    periods = draw(st.permutations(PERIODS))[: draw(st.integers(1, len(PERIODS)))]
    numbers = draw(
        st.lists(
            st.integers(1, 9_999), min_size=len(codes) * len(periods), max_size=len(codes) * len(periods)
        )
    )
    expected = {
        (code, period): numbers[n * len(periods) + m] / 100
        for n, code in enumerate(codes)
        for m, period in enumerate(periods)
    }
    way, style = draw(st.sampled_from(("month", "half", "code", "rows"))), draw(st.sampled_from(",.n"))
    named = draw(st.sampled_from(("name", "code", "both")))
    spelled = draw(st.sampled_from(("full", "short", "capitals", "bare")))
    query: dict[str, Any] = {}
    titles: list[list[Any]] = []
    place = draw(st.sampled_from(("title", "near title", "call", "heading")))
    above, below = zip(*(write_period(period, way) for period in periods), strict=True)
    names = {"name": ["Kabupaten/Kota"], "code": ["Kode"], "both": ["Kode", "Wilayah"]}[named]
    if place == "call":
        query["indicator"] = "p0"
    elif place == "heading":
        below = tuple(f"{text}" for text in below)
        titles.append([*names, *("Persentase Penduduk Miskin" for _ in periods)])
        names = ["" for _ in names]
    else:
        titles += [[TITLE], []] if place == "title" else [[TITLE]]
    header = [[*names, *above]] if any(above) else []
    names = ["" for _ in names] if header else names
    rows = [*titles, *header, [*names, *below]]
    first = len(rows)
    for code in codes:
        bps, name = REGIONS[code]
        own = {"name": [write_name(name, spelled)], "code": [bps], "both": [bps, write_name(name, spelled)]}
        figures = [expected[code, period] for period in periods]
        texts = [figure if style == "n" else f"{figure:.2f}".replace(".", style) for figure in figures]
        rows.append([*own[named], *texts])
    if draw(st.booleans()) and named == "name":
        rows.append(["JUMLAH", *("10,00" if style == "," else "10.00" for _ in periods)])
    if draw(st.booleans()):
        rows += [[], ["Sumber: BPS, Susenas"], ["Catatan: angka sementara"]]
    return rows, query, expected, first


@settings(max_examples=50, deadline=None)
@given(draw_tables())
def test_each_way_to_write_a_table_reads_to_its_observations(
    drawn: tuple[list[list[Any]], dict[str, Any], dict[tuple[str, str], float], int],
) -> None:
    rows, query, expected, _ = drawn
    table = read_rows(rows, **query)
    assert {(item.region, item.period): item.content["value"] for item in table.items} == expected
    assert {item.indicator for item in table.items} == {"p0"}
    assert {warning.kind.code for warning in table.warnings} <= {"sum_not_read"}


@settings(max_examples=50, deadline=None)
@given(draw_tables(), st.data())
def test_an_unreadable_cell_is_named(
    drawn: tuple[list[list[Any]], dict[str, Any], dict[tuple[str, str], float], int], data: st.DataObject
) -> None:
    rows, query, expected, first = drawn
    r = data.draw(st.integers(first, first + len({code for code, _ in expected}) - 1))
    c = data.draw(st.integers(0, len(rows[r]) - 1))
    rows[r][c] = "?x?"
    with pytest.raises(Invalid) as refusal:
        read_rows(rows, **query)
    cells = {(error.cell.row - 1, error.cell.column) for error in refusal.value.errors if error.cell}
    # A wrong name is reported at its code.
    assert (r, "ABCDEFGH"[c]) in cells or (c == 1 and (r, "A") in cells)


@pytest.mark.parametrize(
    "heading",
    [
        "P0 (Perkotaan)",
        "P0 (Laki-laki)",
        "P0 (Target 2024)",
        "P0 TA 2022",
        "IPM (Laju Pertumbuhan)",
    ],
)
def test_a_heading_with_another_word_in_brackets_is_unknown(
    send: Send, administrator: TestClient, heading: str
) -> None:
    reply = send(f"Provinsi;{heading};TPT\nLampung;9;4\n", period="2024", province=None)
    assert reply.status_code == 200, reply.text
    assert [warning["code"] for warning in reply.json()["warnings"]] == ["unknown_column"]
    assert list(list_written(administrator).values()) == [4]


@pytest.mark.parametrize("year", ["2023¹", "2023 1)", "20231)", "2023*", "2023**)"])
def test_the_mark_of_a_footnote_is_no_part_of_a_heading(
    send: Send, administrator: TestClient, year: str
) -> None:
    send(f"Provinsi;P0 {year}\nLampung;9\n", province=None)
    assert [key[-1] for key in list_written(administrator)] == ["2023-S1"]


@pytest.mark.parametrize("heading", ["P0 2023/2022", "P0 2022-2023"])
def test_a_column_of_several_years_is_refused(send: Send, heading: str) -> None:
    reply = send(f"Provinsi;{heading}\nLampung;9\n", period="2024", province=None)
    assert list_refusal(reply) == [("wrong_observed_period", "B1")]
