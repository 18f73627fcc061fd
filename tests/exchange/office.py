"""An office that keeps its plan as a file: it builds the file, imports it and reads the result."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2 as httpx
import sqlalchemy as sa
from fastapi.testclient import TestClient
from openpyxl import load_workbook

import app.exchange
from app.exchange.matrix.columns import BY_KEY, COLUMNS, PLANNING
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from tests.database import OneTransaction
from tests.matrix.build import S1, S2, S3, xlsx
from tests.pages import walk

SAMPLES = Path(app.exchange.__file__).parent / "matrix" / "samples"
PLAN_FILE = SAMPLES / "kotabaru_2025_rat.xlsx"
REPORT_FILE = SAMPLES / "kotabaru_2025_semester_2.xlsx"
__all__ = ["S1", "S2", "S3"]

DINSOS, DINSOS_NAME = "1.06.0.00.0.00.08.0000", "Dinas Sosial"
DINKES, DINKES_NAME = "1.02.0.00.0.00.02.0000", "Dinas Kesehatan"
AID = {
    "program": "PROGRAM PERLINDUNGAN DAN JAMINAN SOSIAL",
    "activity": "Pengelolaan Data Fakir Miskin Cakupan Daerah Kabupaten/Kota",
    "subactivity": "Fasilitasi Bantuan Sosial Kesejahteraan Keluarga",
}
AID_CODE = "1.06.05.2.02.0006"
SURVEY = {**AID, "subactivity": "Pendataan Fakir Miskin Cakupan Daerah Kabupaten/Kota"}
SURVEY_CODE = "1.06.05.2.02.0001"
TWICE = {  # two codes of one name in activities of one name
    "program": "PROGRAM PENANGANAN KERAWANAN PANGAN",
    "activity": "Penanganan Kerawanan Pangan Kewenangan Kabupaten/Kota",
    "subactivity": "Pelaksanaan kebijakan dan aksi penyelamatan pangan Kabupaten/Kota",
}
TWICE_CODES = ["2.09.04.2.02.0011", "2.09.04.2.02.0012"]
AUTONOMOUS = {  # one code of this name for every regency, and one for those with special autonomy
    "program": "PROGRAM PENGELOLAAN PERIKANAN TANGKAP",
    "activity": "Pemberdayaan Nelayan Kecil dalam Daerah Kabupaten/Kota",
    "subactivity": "Penyediaan Sarana dan Prasarana Pemberdayaan Usaha Nelayan Skala Kecil",
}
AUTONOMOUS_CODES = ["3.25.03.2.02.0004", "3.25.03.3.02.0004"]
OWN = {"program": "Program Daerah", "activity": "Kegiatan Daerah", "subactivity": "Gerakan Berbagi Kotabaru"}


def line(**cells: Any) -> dict[str, Any]:
    """Return a line with the names of a known code, complete except for these cells."""
    return {
        "number": 1, "strategy": S1, "agency": DINSOS_NAME, "code": DINSOS, **AID, "allocation": 1_000_000,
        "funding_sources": "APBD", **cells,
    }  # fmt: skip


def sheet(*lines: dict[str, Any], realisation: bool = False) -> bytes:
    """Build a workbook with these lines below one header row: the first line is row 2."""
    columns = COLUMNS if realisation else PLANNING
    rows: list[Sequence[Any]] = [[column.labels[0] for column in columns]]
    return xlsx([*rows, *([cells.get(column.key) for column in columns] for cells in lines)])


def find_letter(key: str) -> str:
    """Return the column's letter in a full sheet."""
    return chr(ord("A") + BY_KEY[key].number - 1)


def edited(data: bytes, changes: dict[tuple[int, str], Any]) -> bytes:
    """Change cells of a workbook, by (row, column key)."""
    book = load_workbook(io.BytesIO(data))
    for (row, key), value in changes.items():
        book.active[f"{find_letter(key)}{row}"] = value
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


class Office:
    """A caller and its plan."""

    def __init__(self, client: TestClient, database: OneTransaction, plan: str = "63.02-2026") -> None:
        self.client, self.database, self.plan = client, database, plan
        self.url = f"/v1/plans/{plan}"

    def make_plan(self) -> None:
        made = self.client.put(self.url, json={"title": "RAT Kotabaru"})
        assert made.status_code == 201, made.text

    def make_agency(self, code: str = DINSOS, name: str = DINSOS_NAME) -> str:
        url = f"/v1/regions/{self.plan[:5]}/agencies/{code}"
        assert self.client.put(url, json={"name": name, "kind": "dinas"}).status_code == 201
        return url

    def send(
        self,
        data: bytes,
        filename: str = "matriks.xlsx",
        *,
        resolutions: Any = None,
        columns: Any = None,
        headers: dict[str, str] | None = None,
        client: TestClient | None = None,
        **query: Any,
    ) -> httpx.Response:
        texts = {"resolutions": resolutions, "columns": columns}
        form = {name: json.dumps(value) for name, value in texts.items() if value is not None}
        return (client or self.client).post(
            f"{self.url}/imports", files={"file": (filename, data)}, data=form, headers=headers, params=query
        )

    def bring(self, data: bytes, filename: str = "matriks.xlsx", **how: Any) -> dict[str, Any]:
        """Import a valid file and return the report."""
        reply = self.send(data, filename, **how)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def refused(self, data: bytes, filename: str = "matriks.xlsx", **how: Any) -> list[tuple[Any, ...]]:
        """Assert a refusal that keeps nothing; return (code, cell or other place) of each error."""
        before = self.journal()
        reply = self.send(data, filename, **how)
        assert (reply.status_code, reply.json()["code"]) == (422, "invalid"), reply.text
        assert self.journal() == before
        return [(error["code"], find_place(error)) for error in reply.json()["errors"]]

    def export(self, ending: str = "xlsx", **query: Any) -> bytes:
        reply = self.client.get(f"{self.url}/matrix.{ending}", params=query)
        assert reply.status_code == 200, reply.text
        return reply.content

    def lines(self) -> dict[str, dict[str, Any]]:
        return {item["code"]: item for item in walk(self.client, f"{self.url}/actions?limit=500")}

    def journal(self) -> list[tuple[str, str, int]]:
        table = get_table(JournalRow)
        with self.database.read_session() as session:
            rows = session.execute(
                sa.select(table.c.kind, table.c.subject, table.c.version)
                .where(table.c.chain.in_([f"plan:{self.plan}", f"region:{self.plan[:5]}"]))
                .order_by(table.c.chain, table.c.position)
            )
            return [tuple(row) for row in rows]


def find_place(error: dict[str, Any]) -> str | None:
    """Return `G2`, or the pointer or parameter."""
    cell = error.get("cell")
    return f"{cell['column']}{cell['row']}" if cell else error.get("pointer") or error.get("parameter")


def list_places(items: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    """Return (code, place) of the findings or warnings of a report."""
    return [(item["code"], find_place(item)) for item in items]
