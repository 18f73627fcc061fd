"""Templates: the headings of the readers, a guide, choices, and a filled line that imports without a warning."""

import io
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest
from fastapi.testclient import TestClient

from app.exchange.matrix.columns import COLUMNS, PLANNING
from app.exchange.templates.rules import TEMPLATES
from tests.exchange.office import AID, AID_CODE, DINSOS, DINSOS_NAME, Office

pytestmark = pytest.mark.one_engine

NAMES = [template.name for template in TEMPLATES]
VILLAGE = "63.02.05.2001"


def load(client: TestClient, name: str, **query: Any) -> Any:
    reply = client.get(f"/v1/templates/{name}.xlsx", params=query)
    assert reply.status_code == 200, reply.text
    assert reply.content == client.get(f"/v1/templates/{name}.xlsx", params=query).content
    return openpyxl.load_workbook(io.BytesIO(reply.content))


def find_header(sheet: Any, heading: str) -> int:
    """Return the number of the row with a heading."""
    return next(row[0].row for row in sheet if heading in [cell.value for cell in row])


def fill(book: Any, header: int, values: dict[str, Any], *, row: int | None = None) -> bytes:
    """Write values below the headings of a row of the first sheet, and return the file."""
    sheet = book.worksheets[0]
    at = {cell.value: cell.column for cell in sheet[header] if cell.value is not None}
    for heading, value in values.items():
        sheet.cell(row or header + 1, at[heading], value)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_the_list_has_the_addresses_of_each(secretariat: TestClient) -> None:
    listed = secretariat.get("/v1/templates").json()["templates"]
    assert [item["template"] for item in listed] == NAMES
    paths = secretariat.get("/openapi.json").json()["paths"]
    for item in listed:
        assert item["import_address"] in paths
        for address in (item["xlsx_address"], item["csv_address"]):
            assert secretariat.get(address).status_code == 200
    unknown = secretariat.get("/v1/templates/rat.xlsx")
    assert (unknown.status_code, unknown.json()["errors"][0]["allowed"]) == (404, NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_guide_explains_each_column(name: str, secretariat: TestClient) -> None:
    book = load(secretariat, name)
    sheet, guide = book.worksheets
    rows = list(guide.iter_rows(min_row=4, values_only=True))
    assert [cell.value for cell in guide[3]] == ["Kolom", "Isi", "Contoh", "Pilihan", "Wajib"]
    assert guide.title == "Petunjuk"
    assert all(content and example for _, content, example, *_ in rows)
    assert {required for *_, required in rows} == {"Ya", "Tidak"}
    headings = {cell.value for row in sheet for cell in row if isinstance(cell.value, str)}
    assert {heading.rpartition(": ")[2] for heading, *_ in rows} <= headings
    assert len(rows) == {"matrix": len(PLANNING), "matrix_realisation": len(COLUMNS)}.get(name, len(rows))
    english = secretariat.get(f"/v1/templates/{name}.xlsx", headers={"Accept-Language": "en"})
    assert "Guide" in openpyxl.load_workbook(io.BytesIO(english.content)).sheetnames


def test_cells_with_few_values_offer_them(secretariat: TestClient) -> None:
    sheet = load(secretariat, "matrix").worksheets[0]
    offered = {str(rule.sqref): rule.formula1 for rule in sheet.data_validations.dataValidation}
    assert offered["M7:M10001"] == '"Rutin,Insidentil"'
    assert [rule.split(":")[0] for rule in offered] == ["B7", "M7", "Q7"]


@pytest.mark.parametrize("ending", ["xlsx", "csv"])
def test_a_filled_matrix_imports_without_a_warning(ending: str, office: Office) -> None:
    line = {
        "No": 1,
        "Strategi OPPKPKE": "Peningkatan Pendapatan Masyarakat",
        "Perangkat Daerah": DINSOS_NAME,
        "Kode": DINSOS,
        "Program": AID["program"],
        "Kegiatan": AID["activity"],
        "Sub Kegiatan": f"{AID_CODE} {AID['subactivity']}",
        "Alokasi Anggaran (Rp)": 100_000_000,
        "Sumber Pembiayaan": "APBD",
        "Sifat Bantuan": "Rutin",
        "Jenis Bantuan": "Barang",
    }
    for name in ("matrix", "matrix_realisation"):
        query = {"region": "63.02", "year": 2026}
        if ending == "xlsx":
            book = load(office.client, name, **query)
            header = find_header(book.worksheets[0], "Sub Kegiatan")
            assert book.worksheets[0]["A2"].value == "KABUPATEN KOTABARU TAHUN 2026"
            data = fill(book, header, line, row=header + 3)
        else:
            text = office.client.get(f"/v1/templates/{name}.csv", params=query).content.decode("utf-8-sig")
            header = text.splitlines()[3].split(",")
            cells = {heading: f'"{value}"' for heading, value in line.items()}
            data = (text + ",".join(cells.get(heading, "") for heading in header) + "\r\n").encode()
        more = {"basis": "period"} if name == "matrix_realisation" else {}
        report = office.bring(data, f"rat.{ending}", **more)
        assert (report["lines"], report["warnings"], report["findings"]) == (1, [], report["findings"])
    (stored,) = office.lines().values()
    assert (stored["allocation"], stored["subactivity_code"]) == (100_000_000, AID_CODE)
    assert (stored["benefit_regularity"], stored["benefit_forms"]) == ("routine", ["goods"])


def fill_coverage(headings: list[str]) -> dict[str, Any]:
    """Return a value for each column of coverage that has none in advance."""
    counts = {"Sasaran": 60, "Terlayani": 15}
    services = {heading: counts[heading.split()[-1]] for heading in headings if heading.split()[-1] in counts}
    return services | {"Keluarga Sasaran": 100, "Sumber Data": "DTSEN", "Periode Data": "2026-Q1"}


def test_filled_coverage_imports(secretariat: TestClient) -> None:
    book = load(secretariat, "coverage", region="63.02.05", year=2026)
    sheet = book.worksheets[0]
    header = find_header(sheet, "Kode Desa")
    codes = [row[0].value for row in sheet.iter_rows(min_row=header + 1)]
    assert codes[0] == VILLAGE
    assert all(code.startswith("63.02.05.") for code in codes)
    assert [cell.value for cell in sheet[header + 1]][:3] == [VILLAGE, "Pulau Sebuku", "Sekapung"]
    sheet.delete_rows(header + 2, len(codes))
    values = fill_coverage([cell.value for cell in sheet[header]])
    files = {"file": ("cakupan.xlsx", fill(book, header, values))}
    reply = secretariat.post("/v1/coverage/2026-Q2", params={"code_system": "kemendagri"}, files=files)
    assert reply.status_code == 200, reply.text
    result = reply.json()
    assert (result["villages"], result["created"], result["errors"]) == (1, 1, [])
    assert result.get("warnings", []) == []
    stored = secretariat.get(f"/v1/coverage/2026-Q2/{VILLAGE}").json()["services"]
    assert [(row["eligible"], row["served"]) for row in stored] == [(60, 15)] * ((len(values) - 3) // 2)


def test_filled_observations_and_coordinates_import(
    provincial_administrator: TestClient, national_administrator: TestClient
) -> None:
    cases: list[tuple[str, dict[str, Any], dict[str, Any], str, Callable[[Any], bool]]] = [
        (
            "observations",
            {"Indikator": "p0", "Periode": "2025-S1", "Nilai": 4.39},
            {"code_system": "kemendagri", "source": "BPS"},
            "/v1/observations/import",
            lambda reply: reply["created"] == 1,
        ),
        (
            "coordinates",
            {"Bujur": 116.218, "Lintang": -3.2889, "Sumber": "Bappeda"},
            {"code_system": "kemendagri"},
            "/v1/coordinates/import",
            lambda reply: reply["created"] == 1,
        ),
    ]
    for name, values, query, address, is_written in cases:
        region = "63.02" if name == "observations" else VILLAGE
        book = load(provincial_administrator, name, region=region)
        header = find_header(book.worksheets[0], "Kode Wilayah" if name == "observations" else "Kode Desa")
        files = {"file": ("tabel.xlsx", fill(book, header, values))}
        client = national_administrator if name == "observations" else provincial_administrator
        reply = client.post(address, params=query, files=files)
        assert reply.status_code == 200, reply.text
        assert is_written(reply.json()), reply.text
        assert reply.json()["warnings"] == [], reply.text


def test_an_unknown_region_is_404(secretariat: TestClient) -> None:
    for name in NAMES:
        assert secretariat.get(f"/v1/templates/{name}.csv", params={"region": "99"}).status_code == 404
