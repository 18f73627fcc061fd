"""Imports of a matrix: processor time and memory of the worker, for a real regency's plan and for up to 10,000 lines.

Beside them is the time in which a library of spreadsheets only reads the same cells.
"""

import contextlib
import io
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from openpyxl import Workbook, load_workbook
from rich.table import Table

import app.exchange
from app.access.models import Role
from app.exchange.matrix.columns import PLANNING
from app.kit.database.engine import Database
from app.reference.queries import read_region_labels
from app.reference.rules import get_level
from benchmarks.data import create_secret
from benchmarks.load import UnexpectedAnswerError
from benchmarks.servers import read_peak, serve

REAL = Path(app.exchange.__file__).parent / "matrix" / "samples" / "kotabaru_2025_rat.xlsx"
REGENCY, YEAR = "63.02", 2025
MANY, MOST = 1_000, 10_000
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Import:
    """An import of a file: its lines, seconds of processor time, MB by which the worker grew, and of a mere reading."""

    name: str
    lines: int
    seconds: float
    grown: float
    reading: float
    again: float = 0.0
    """Seconds of the second import of the file, which changes nothing."""


def measure(url: str) -> list[Import]:
    """Import the real plan, and generated ones, each into a plan of its own."""
    database, workers = Database(url), list[int]()
    secret = create_secret(database, REGENCY, Role.secretariat)
    with database.read_session() as session:
        villages = [code for code in read_region_labels(session, REGENCY) if get_level(code) == "village"]
    database.close()
    made = {f"{n:,} lines": make_plan(n, villages) for n in (MANY, MOST)}
    files = {"a regency's plan": REAL.read_bytes(), **made}
    result = []
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(serve("service", url, secret, workers))
        client = stack.enter_context(
            httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {secret}"},
                timeout=600,
            )
        )
        for n, (name, data) in enumerate(files.items()):
            plan = f"/v1/plans/{REGENCY}-{YEAR + n}"
            client.put(plan, json={"title": name}).raise_for_status()
            _send(client, plan, data, dry_run="true")  # warm: pools, caches, names of the nomenclature
            before, started = read_peak(workers[0], reset=True), _read_processor(workers[0])
            lines = _send(client, plan, data)
            seconds = _read_processor(workers[0]) - started
            result.append(Import(name, lines, seconds, read_peak(workers[0]) - before, _time_reading(data)))
            started = _read_processor(workers[0])
            _send(client, plan, data)
            result[-1].again = _read_processor(workers[0]) - started
    return result


def _send(client: httpx.Client, plan: str, data: bytes, **query: str) -> int:
    """Import a file and return the number of its lines."""
    query |= {"accept": "free_text", "new_agencies": "create"}
    reply = client.post(f"{plan}/imports", files={"file": ("matriks.xlsx", data)}, params=query)
    if reply.status_code != 200:
        raise UnexpectedAnswerError(f"{reply.status_code}: {reply.text[:800]}")
    return int(reply.json()["lines"])


def _read_processor(pid: int) -> float:
    """Return the seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _time_reading(data: bytes) -> float:
    started = time.process_time()
    book = load_workbook(io.BytesIO(data), read_only=True)
    for sheet in book.worksheets:
        for _ in sheet.iter_rows(values_only=True):
            pass
    return time.process_time() - started


def make_plan(lines: int, places: Sequence[str]) -> bytes:
    """Return a workbook with lines of forty agencies in all places, with components, sources and recipients."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Matriks")
    sheet.append([column.labels[0] for column in PLANNING])
    for n in range(lines):
        amount = 1_000_000 * (n % 97 + 1)
        cells: dict[str, Any] = {
            "number": n + 1,
            "strategy": "Peningkatan Pendapatan Masyarakat",
            "agency": f"Dinas Uji {n % 40}",
            "code": f"1.06.0.00.0.00.{n % 40 + 1:02}.0000",
            "program": "PROGRAM UJI",
            "activity": f"Kegiatan Uji {n // 40}",
            "subactivity": f"Sub Kegiatan Uji {n}",
            "direct": f"Bantuan (Rp {amount:,})".replace(",", "."),
            "allocation": amount,
            "funding_sources": ("APBD", "DAK Fisik", "Dana Desa")[n % 3],
            "regularity": "Rutin",
            "location": places[n % len(places)],
            "recipients": f"{n % 900 + 10} KK",
            "benefit_form": "Barang",
            "duration": "12 bulan",
        }
        sheet.append([cells.get(column.key) for column in PLANNING])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def judge(figures: list[Import]) -> list[dict[str, Any]]:
    """Return the amounts with their bars."""
    real, many, most = figures
    growth = (most.seconds / most.lines) / (many.seconds / many.lines)
    growth_again = (most.again / most.lines) / (many.again / many.lines)
    measured = [
        ("processor time of a regency's plan, s", real.seconds, 2.0),
        ("memory grown by a regency's plan, MB", real.grown, 150.0),
        (f"time of a line of {MOST:,} × of {MANY:,}", growth, 1.3),
        ("the same, imported again", growth_again, 1.3),
    ]
    return [
        {
            "call": "import",
            "beside": name,
            "ratio": round(value, 3),
            "bar": bar,
            "met": value <= bar,
            "sign": "<=",
        }
        for name, value, bar in measured
    ]


def build_table(figures: list[Import], results: list[dict[str, Any]]) -> Table:
    grid = Table("import", "measured", "bar", "met")
    for item in figures:
        by_line = f"{item.seconds:.2f} s, {1000 * item.seconds / item.lines:.2f} ms a line"
        words = f"{by_line}, {item.grown:+.0f} MB, again {item.again:.2f} s"
        grid.add_row(item.name, f"{words}\nopenpyxl only reads it in {item.reading:.2f} s", "", "")
    for result in results:
        met = "yes" if result["met"] else "[red]NO[/]"
        grid.add_row(result["beside"], f"{result['ratio']:g}", f"{result['sign']} {result['bar']:g}", met)
    return grid
