"""Pulls of a quarter, compared with `psql` on the same JSON, the ORM code, and `sendfile` of the same file.

The measure is rows and bytes per second: the client reads one pull at a time to its end. Each round pulls once each
way after a change of the quarter, so that the service exports again.
"""

import contextlib
import http.client
import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from rich.table import Table

from app.access.rules import CONSOLE
from app.exchange.pulls.queries import list_sources, select_lines
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import JournalHead
from benchmarks.data import PROVINCE, Size, create_secret
from benchmarks.servers import read_peak, serve
from tests.postgres import program

_PIECE = 1 << 20


@dataclass
class Transfer:
    """A pull: seconds to the first and the last byte, bytes and rows."""

    first: float
    seconds: float
    size: int
    rows: int
    status: int = 200

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


def fetch(port: int, path: str, secret: str, **headers: str) -> Transfer:
    """Pull to the end; count bytes and rows."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("GET", path, headers={"Authorization": f"Bearer {secret}", **headers})
    reply = connection.getresponse()
    first, size, rows = 0.0, 0, 0
    while piece := reply.read1(_PIECE):
        first = first or time.perf_counter() - started
        size += len(piece)
        rows += piece.count(b"\n")
    connection.close()
    return Transfer(first, time.perf_counter() - started, size, rows, reply.status)


def copy_with_psql(database: Database, period: str, region: str) -> Transfer:
    """Copy the same JSON with `psql` and `\\copy (SELECT …) TO STDOUT`, connection included."""
    with database.snapshot_session() as session:
        sources = list_sources(session, CONSOLE, period, region)
        (origin,) = {source.origin for source in sources}
        bound = {"ids": [source.copy_id or source.plan_id for source in sources], "period": period}
        compiled = select_lines(session, origin).compile(session.connection())
        expanded = compiled.construct_expanded_state(bound)
        driver: Any = session.connection().connection.driver_connection
        text = psycopg.ClientCursor(driver).mogrify(expanded.statement, expanded.parameters)
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    words = [
        program("psql"),
        "--no-psqlrc",
        "--quiet",
        url,
        "-c",
        f"\\copy ({' '.join(text.split())}) TO STDOUT",
    ]
    started = time.perf_counter()
    first, size, rows = 0.0, 0, 0
    with subprocess.Popen(words, stdout=subprocess.PIPE) as psql:
        assert psql.stdout is not None
        while piece := os.read(psql.stdout.fileno(), _PIECE):
            first = first or time.perf_counter() - started
            size += len(piece)
            rows += piece.count(b"\n")
    assert psql.returncode == 0
    return Transfer(first, time.perf_counter() - started, size, rows)


@contextlib.contextmanager
def serve_file(path: Path) -> Iterator[int]:
    """Serve one file with `sendfile`; yield the port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, path.open("rb") as file:
                    connection.recv(1 << 16)
                    size = path.stat().st_size
                    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
                    at = 0
                    while at < size:
                        at += os.sendfile(connection.fileno(), file.fileno(), at, size - at)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def touch(database: Database) -> None:
    """Change the quarter like a write, so that the service exports again."""
    heads = get_table(JournalHead)
    with database.writing() as session:
        newer = sa.func.substr(heads.c.hash, 2).concat(sa.func.substr(heads.c.hash, 1, 1))
        session.execute(sa.update(heads).where(heads.c.chain.like("plan:%")).values(hash=newer))


@dataclass
class Figures:
    """All pulls by way, and further measurements of each round."""

    by_way: dict[str, list[Transfer]] = field(default_factory=dict)
    grown: list[float] = field(default_factory=list)
    """Growth of the worker's memory in MB during a fresh pull."""
    together: list[list[Transfer]] = field(default_factory=list)
    """Concurrent pulls of provinces."""

    def add(self, way: str, transfer: Transfer) -> None:
        assert transfer.status == 200, f"{way}: {transfer.status}"
        self.by_way.setdefault(way, []).append(transfer)

    def ratio(self, way: str, other: str, value: Callable[[Transfer], float]) -> float:
        pairs = zip(self.by_way[way], self.by_way[other], strict=True)
        return statistics.median(value(a) / value(b) for a, b in pairs)


def measure(url: str, size: Size, rounds: int) -> Figures:
    figures, database, workers = Figures(), Database(url), list[int]()
    secret = create_secret(database, "0")
    at = f"/v1/pulls/{size.quarter}"
    plain = {"Accept-Encoding": "identity"}
    with contextlib.ExitStack() as stack:
        stack.callback(database.close)
        os.environ["RATA_SPOOL_FOLDER"] = folder = stack.enter_context(tempfile.TemporaryDirectory())
        ours = stack.enter_context(serve("service", url, secret, workers))
        theirs = stack.enter_context(serve("naive", url, secret))
        small = f"{at}?region={PROVINCE}"
        for port in (ours, theirs):  # warm: pools, caches
            fetch(port, small, secret, **plain)
        fetch(ours, f"{at}.parquet?region={PROVINCE}", secret)
        for _ in range(rounds):
            touch(database)
            before = read_peak(workers[0], reset=True)
            figures.add("service", fetch(ours, at, secret, **plain))
            figures.grown.append(read_peak(workers[0]) - before)
            figures.add("copy", copy_with_psql(database, size.quarter, "0"))
            figures.add("kept", fetch(ours, at, secret, **plain))
            largest = max(Path(folder).iterdir(), key=lambda path: path.stat().st_size)
            with serve_file(largest) as port:
                figures.add("kernel", fetch(port, at, secret))
            figures.add("province", fetch(ours, small, secret, **plain))
            figures.add("parquet", fetch(ours, f"{at}.parquet", secret))
            figures.add("naive", fetch(theirs, small, secret))
            touch(database)
            figures.together.append(_pull_together(ours, at, secret, database, size))
    return figures


def _pull_together(port: int, at: str, secret: str, database: Database, size: Size) -> list[Transfer]:
    """Pull 38 different regions at once: all provinces of the data set, then regencies."""
    with database.snapshot_session() as session:
        regions = [source.region_code for source in list_sources(session, CONSOLE, size.quarter, None)]
    provinces = sorted({region[:2] for region in regions})
    chosen = [*provinces, *(region for region in regions if "." in region)][:38]
    transfers: list[Transfer] = []
    threads = [
        threading.Thread(
            target=lambda region=region: transfers.append(fetch(port, f"{at}?region={region}", secret))
        )
        for region in chosen
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return transfers


def judge(figures: Figures) -> list[dict[str, Any]]:
    """Return ratios and amounts with their bars."""
    all_finish = all(transfer.status == 200 for group in figures.together for transfer in group)
    rate, seconds = lambda transfer: transfer.rate, lambda transfer: transfer.seconds
    measured = [
        ("rows/s × psql \\copy of the same JSON", figures.ratio("service", "copy", rate), ">=", 0.8),
        ("rows/s × ORM way (its province)", figures.ratio("service", "naive", rate), ">=", 10),
        ("first byte, s", max(transfer.first for transfer in figures.by_way["service"]), "<=", 1),
        ("memory grown, MB", max(figures.grown), "<=", 50),
        ("a province's rows/s × the nation's", figures.ratio("province", "service", rate), ">=", 0.6),
        ("Parquet's time × NDJSON's", figures.ratio("parquet", "service", seconds), "<=", 2),
        (
            "kept, bytes/s × the kernel's of that file",
            figures.ratio("kept", "kernel", lambda transfer: transfer.size / transfer.seconds),
            ">=",
            0.5,
        ),
        ("38 at once, that finish", float(all_finish), ">=", 1),
    ]
    return [
        {
            "call": "pull",
            "beside": name,
            "ratio": round(value, 3),
            "bar": bar,
            "met": value >= bar if sign == ">=" else value <= bar,
            "sign": sign,
        }
        for name, value, sign, bar in measured
    ]


def build_table(figures: Figures, results: list[dict[str, Any]]) -> Table:
    grid = Table("pull", "measured", "bar", "met")
    for way, transfers in figures.by_way.items():
        middle = statistics.median(transfer.seconds for transfer in transfers)
        rows, megabytes = transfers[0].rows, transfers[0].size / 1e6
        grid.add_row(
            way, f"{rows:,} rows, {megabytes:,.1f} MB in {middle:.2f} s: {rows / middle:,.0f} rows/s", "", ""
        )
    for group in figures.together:
        times = sorted(transfer.seconds for transfer in group)
        grid.add_row("38 at once", f"first {times[0]:.2f} s, last {times[-1]:.2f} s", "", "")
    for result in results:
        met = "yes" if result["met"] else "[red]NO[/]"
        grid.add_row(result["beside"], f"{result['ratio']:g}", f"{result['sign']} {result['bar']:g}", met)
    return grid
