"""A quarter pulled whole, beside `psql` copying the same JSON, the ORM way, and the kernel sending the same file.

Not by rate of requests but of rows and bytes: one pull at a time, read to its end by the same client. Each round pulls
once by each way; the quarter is changed before, so that the service makes it anew.
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
from app.exchange.pulls.queries import list_sources, select_live_lines
from app.kit.database.engine import Database, get_table
from app.kit.database.journal import JournalHead
from benchmarks.data import PROVINCE, Size, new_token
from benchmarks.servers import serve
from tests.postgres import program

_PIECE = 1 << 20


@dataclass
class Got:
    """One pull: how long until the first byte and the last, how many bytes and rows."""

    first: float
    seconds: float
    size: int
    rows: int
    status: int = 200

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


def get(port: int, path: str, secret: str, **headers: str) -> Got:
    """Ask and read to the end, counting."""
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
    return Got(first, time.perf_counter() - started, size, rows, reply.status)


def copied(database: Database, period: str, region: str) -> Got:
    """The same JSON by `psql`: one `\\copy (SELECT …) TO STDOUT`, in a process of its own, connection included."""
    with database.snapshot_session() as session:
        found = list_sources(session, CONSOLE, period, region)
        bound = {"plan_ids": [one.plan_id for one in found], "period": period}
        compiled = select_live_lines(session).compile(session.connection())
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
    return Got(first, time.perf_counter() - started, size, rows)


@contextlib.contextmanager
def kernel(path: Path) -> Iterator[int]:
    """A server that knows one file and has the kernel send it; yields its port."""
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
    """The quarter is another, as after any write in it: a pull is made anew."""
    heads = get_table(JournalHead)
    with database.writing() as session:
        newer = sa.func.substr(heads.c.hash, 2).concat(sa.func.substr(heads.c.hash, 1, 1))
        session.execute(sa.update(heads).where(heads.c.chain.like("plan:%")).values(hash=newer))


def _peak(pid: int, *, anew: bool = False) -> float:
    """Most memory that a process had (MB), since it was asked for anew."""
    if anew:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    status = Path(f"/proc/{pid}/status").read_text()
    name = "VmRSS:" if anew else "VmHWM:"
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(name))) / 1024


@dataclass
class Figures:
    """All pulls by way, and what was measured once a round beside them."""

    got: dict[str, list[Got]] = field(default_factory=dict)
    grown: list[float] = field(default_factory=list)
    """MB that the worker's memory grew by while a fresh pull went through."""
    together: list[list[Got]] = field(default_factory=list)
    """Provinces pulling at the same time."""

    def add(self, way: str, one: Got) -> None:
        assert one.status == 200, f"{way}: {one.status}"
        self.got.setdefault(way, []).append(one)

    def ratio(self, of: str, beside: str, value: Callable[[Got], float]) -> float:
        pairs = zip(self.got[of], self.got[beside], strict=True)
        return statistics.median(value(a) / value(b) for a, b in pairs)


def measure(url: str, size: Size, rounds: int) -> Figures:
    figures, database, workers = Figures(), Database(url), list[int]()
    secret = new_token(database, "0")
    at = f"/v1/pulls/{size.quarter}"
    plain = {"Accept-Encoding": "identity"}
    with contextlib.ExitStack() as stack:
        stack.callback(database.close)
        os.environ["RATA_SPOOL_FOLDER"] = folder = stack.enter_context(tempfile.TemporaryDirectory())
        ours = stack.enter_context(serve("service", url, secret, workers))
        theirs = stack.enter_context(serve("naive", url, secret))
        small = f"{at}?region={PROVINCE}"
        for port in (ours, theirs):  # warm: pools, caches
            get(port, small, secret, **plain)
        get(ours, f"{at}.parquet?region={PROVINCE}", secret)
        for _ in range(rounds):
            touch(database)
            before = _peak(workers[0], anew=True)
            figures.add("service", get(ours, at, secret, **plain))
            figures.grown.append(_peak(workers[0]) - before)
            figures.add("copy", copied(database, size.quarter, "0"))
            figures.add("kept", get(ours, at, secret, **plain))
            largest = max(Path(folder).iterdir(), key=lambda one: one.stat().st_size)
            with kernel(largest) as port:
                figures.add("kernel", get(port, at, secret))
            figures.add("province", get(ours, small, secret, **plain))
            figures.add("parquet", get(ours, f"{at}.parquet", secret))
            figures.add("naive", get(theirs, small, secret))
            touch(database)
            figures.together.append(_together(ours, at, secret, database, size))
    return figures


def _together(port: int, at: str, secret: str, database: Database, size: Size) -> list[Got]:
    """38 readers at once, each of its own region: of the provinces there are, then of regencies."""
    with database.snapshot_session() as session:
        regions = [one.region_code for one in list_sources(session, CONSOLE, size.quarter, None)]
    provinces = sorted({one[:2] for one in regions})
    asked = [*provinces, *(one for one in regions if "." in one)][:38]
    found: list[Got] = []
    threads = [
        threading.Thread(target=lambda one=one: found.append(get(port, f"{at}?region={one}", secret)))
        for one in asked
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return found


def results(figures: Figures) -> list[dict[str, Any]]:
    """Ratios and amounts beside their bars."""
    all_finish = all(one.status == 200 for once in figures.together for one in once)
    rate, seconds = lambda one: one.rate, lambda one: one.seconds
    told = [
        ("rows/s × psql \\copy of the same JSON", figures.ratio("service", "copy", rate), ">=", 0.8),
        ("rows/s × ORM way (its province)", figures.ratio("service", "naive", rate), ">=", 10),
        ("first byte, s", max(one.first for one in figures.got["service"]), "<=", 1),
        ("memory grown, MB", max(figures.grown), "<=", 50),
        ("a province's rows/s × the nation's", figures.ratio("province", "service", rate), ">=", 0.6),
        ("Parquet's time × NDJSON's", figures.ratio("parquet", "service", seconds), "<=", 2),
        (
            "kept, bytes/s × the kernel's of that file",
            figures.ratio("kept", "kernel", lambda one: one.size / one.seconds),
            ">=",
            0.5,
        ),
        ("38 at once, that finish", float(all_finish), ">=", 1),
    ]
    return [
        {
            "call": "pull",
            "beside": what,
            "ratio": round(value, 3),
            "bar": bar,
            "met": value >= bar if sign == ">=" else value <= bar,
            "sign": sign,
        }
        for what, value, sign, bar in told
    ]


def shown(figures: Figures, found: list[dict[str, Any]]) -> Table:
    grid = Table("pull", "measured", "bar", "met")
    for way, got in figures.got.items():
        middle = statistics.median(one.seconds for one in got)
        rows, megabytes = got[0].rows, got[0].size / 1e6
        grid.add_row(
            way, f"{rows:,} rows, {megabytes:,.1f} MB in {middle:.2f} s: {rows / middle:,.0f} rows/s", "", ""
        )
    for once in figures.together:
        times = sorted(one.seconds for one in once)
        grid.add_row("38 at once", f"first {times[0]:.2f} s, last {times[-1]:.2f} s", "", "")
    for one in found:
        met = "yes" if one["met"] else "[red]NO[/]"
        grid.add_row(one["beside"], f"{one['ratio']:g}", f"{one['sign']} {one['bar']:g}", met)
    return grid
