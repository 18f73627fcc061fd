"""LibreOffice opens what the service writes: headings, numbers and days in workbooks, and no formula in any CSV."""

import itertools
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from lxml import etree

from app.kit.files.delimited import Dialect, write_delimited
from tests.proofs.programs import find_program
from tests.reports.conftest import built_database, database
from tests.reports.world import FORMULA, PARAMS

__all__ = ["built_database", "database"]
pytestmark = pytest.mark.one_engine

SEPARATORS = (",", ";", "\t")
_NAMES = "urn:oasis:names:tc:opendocument:xmlns"
CELLS = {area: f"{_NAMES}:{area}:1.0" for area in ("text", "table", "office")}
INDONESIAN = 1057
STARTS = ["", "a;", "a,", "a\t", "a\n", "a\r\n", 'a;"', "a,'", "a; ", "; ", "'", "\t"]
FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(1)", "＝1+1", '=HYPERLINK("http://x";"y")']
TEXTS = [start + formula for start, formula in itertools.product(STARTS, FORMULAS)]


def open_file(file: Path, separators: str = "", language: int = 0) -> list[list[tuple[str, str, str]]]:
    """Return the cells as LibreOffice reads them: (kind, value or text, formula). `separators` are codes of CSV."""
    office = find_program("soffice", "libreoffice-calc-nogui")
    filters = [f"--infilter=CSV:{separators},34,76,1,,{language},false,true"] if separators else []
    profile = f"-env:UserInstallation=file://{file.parent}/office"
    target = ["--convert-to", "fods", "--outdir", str(file.parent), str(file)]
    command = [office, "--headless", profile, *filters, *target]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    book = etree.parse(file.with_suffix(".fods"), etree.XMLParser(resolve_entities=False, huge_tree=True))
    return [
        [_read_cell(cell) for cell in row.iterfind("table:table-cell", CELLS)]
        for row in book.iterfind(".//table:table-row", CELLS)
    ]


def _read_cell(cell: Any) -> tuple[str, str, str]:
    def get(area: str, name: str) -> str:
        return str(cell.get(f"{{{CELLS[area]}}}{name}", ""))

    text = "\n".join("".join(part.itertext()) for part in cell.iterfind("text:p", CELLS))
    value = get("office", "value") or get("office", "date-value") or text
    return get("office", "value-type"), value, get("table", "formula")


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("opened_with", ["44", "59", "9", "44/59/9"])
def test_no_cell_of_a_csv_is_a_formula(separator: str, opened_with: str, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(
        write_delimited([["Kode", "Nama"], *([text, text] for text in TEXTS)], Dialect(separator))
    )
    assert [cell for row in open_file(file, opened_with) for cell in row if cell[2]] == []


def test_the_check_sees_formulas(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(write_delimited([["Kode", "a;=1+1"]], Dialect(is_machine=True)))
    assert [cell[2] for row in open_file(file, "59") for cell in row] == ["", "of:=1+1"]


def test_decimals_of_indonesian_settings_are_numbers(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(write_delimited([["Serapan", "Alokasi"], [7.25, 1_250_000]], Dialect(";", ",")))
    _, cells, *_ = open_file(file, "59", INDONESIAN)
    assert [cell[:2] for cell in cells[:2]] == [("float", "7.25"), ("float", "1250000")]


@pytest.mark.parametrize("name", PARAMS)
def test_a_report_opens_with_numbers_and_days(
    name: str, provincial_reviewer: TestClient, tmp_path: Path
) -> None:
    file = tmp_path / "report.xlsx"
    file.write_bytes(provincial_reviewer.get(f"/v1/reports/{name}.xlsx", params=PARAMS[name]).content)
    rows = open_file(file)
    cells = [cell for row in rows for cell in row]
    assert [cell for cell in cells if cell[2]] == []
    assert ("string", "Provinsi Kalimantan Selatan", "") in rows[1]
    assert {cell[0] for cell in cells} >= {"string", "float"}
    if name == "overdue-milestones":
        assert "date" in {cell[0] for cell in cells}
    if name == "unreported-lines":
        assert ("string", FORMULA, "") in cells
