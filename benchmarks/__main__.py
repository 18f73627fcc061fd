"""`python -m benchmarks`: measure, show, and fail where a ratio misses its bar."""

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.kit.database.engine import Database, make_alembic_config
from benchmarks import pulls, raw
from benchmarks.calls import CALLS, Bar, HotCall, World
from benchmarks.data import Size, build, new_token
from benchmarks.load import Round, drive
from benchmarks.servers import VARIANTS, serve
from tests.postgres import ensure_template, postgres_server

#: As somebody would run it: commits reach the disk, memory for the indexes.
POSTGRES = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "effective_cache_size": "2GB",
    "work_mem": "16MB",
    "max_wal_size": "4GB",
    "random_page_cost": "1.1",
}

PULL = "pull"
"""Measured by itself: `benchmarks/pulls.py`."""
NAMES = [*(call.name for call in CALLS), PULL]

out = Console(width=None if sys.stdout.isatty() else 160)


@dataclass
class Measured:
    """The rounds of one call, by variant."""

    call: HotCall
    rounds: dict[str, list[Round]] = field(default_factory=dict)

    def rate(self, variant: str) -> float:
        return statistics.median(one.rate for one in self.rounds[variant])

    def milliseconds(self, variant: str) -> float:
        return statistics.median(one.median for one in self.rounds[variant]) * 1000


def main() -> int:
    options = _options()
    size = Size(options.plans, options.actions, options.quarters)
    calls = [call for call in CALLS if not options.only or call.name in options.only]
    beside = {bar.call for call in calls for bar in call.bars} - {call.name for call in calls}
    calls = [call for call in CALLS if call.name in beside] + calls
    with _database(options.engine, size) as url:
        database = Database(url)
        secret = new_token(database)
        world = World.look(database, size, secret)
        about = _about(database, size)
        database.close()
        measured = _measure(url, secret, world, calls, options.rounds, options.seconds)
        plans, pulled = {}, None
        if options.engine == "postgres":
            read = {
                call.name: next(call.requests(world, "raw", 0)) for call in calls if "raw" in call.variants
            }
            database = Database(url)
            plans = raw.query_plans(
                database, {name: sent for name, sent in read.items() if sent[:3] == b"GET"}
            )
            database.close()
        if options.engine == "postgres" and (not options.only or PULL in options.only):
            pulled = pulls.measure(url, size, options.rounds)
    results = [_result(one, bar, measured) for one in measured.values() for bar in one.call.bars]
    _show(about, measured, results)
    if pulled is not None:
        told = pulls.results(pulled)
        out.print(pulls.shown(pulled, told))
        results += told
    if options.json:
        Path(options.json).write_text(_as_json(about, measured, results, plans))
    return 0 if all(result["met"] for result in results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--plans", type=int, default=48, help="plans of regencies (default 48; 514 is the nation)")
    add("--actions", type=int, default=300, help="lines of each plan (default 300)")
    add(
        "--quarters",
        type=int,
        choices=range(1, 5),
        default=4,
        help="quarters reported on each line (default 4)",
    )
    add("--engine", choices=("postgres", "sqlite"), default="postgres")
    add(
        "--only",
        nargs="+",
        choices=NAMES,
        metavar="NAME",
        help=f"these calls: {', '.join(NAMES)}",
    )
    add(
        "--rounds",
        type=int,
        default=5,
        help="rounds, in each of which every variant has its turn (default 5)",
    )
    add("--seconds", type=float, default=2.0, help="how long a turn is (default 2)")
    add("--json", metavar="FILE", help="write all figures there, and what PostgreSQL does for each read")
    return parser.parse_args()


@contextlib.contextmanager
def _database(engine: str, size: Size) -> Iterator[str]:
    """The data set; on a server named by RATA_TEST_POSTGRES_URL it stays for the next run."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="rata-bench-") as folder:
            url = f"sqlite:///{folder}/bench.db"
            with _bar() as bar:
                build(url, size, bar)
            yield url
        return
    with postgres_server(**POSTGRES) as admin:

        def fill(url: str) -> None:
            with _bar() as bar:
                build(url, size, bar)

        yield ensure_template(admin, f"{size.name}_{newest_revision()}", fill)


def newest_revision() -> str:
    scripts = ScriptDirectory.from_config(make_alembic_config("sqlite://"))
    return str(scripts.get_current_head())


@contextlib.contextmanager
def _bar() -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        tasks: dict[str, Any] = {}

        def note(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield note


def _measure(
    url: str, secret: str, world: World, calls: list[HotCall], rounds: int, seconds: float
) -> dict[str, Measured]:
    measured = {call.name: Measured(call) for call in calls}
    wanted = {variant for call in calls for variant in call.variants}
    with contextlib.ExitStack() as stack:
        ports = {v: stack.enter_context(serve(v, url, secret)) for v in VARIANTS if v in wanted}
        note = stack.enter_context(_bar())
        turns = [(call, variant) for call in calls for variant in call.variants]
        for call, variant in turns:  # warm: pools, caches, prepared statements
            _turn(call, variant, ports[variant], world, min(seconds, 1.0))
        for number in range(rounds):
            for done, (call, variant) in enumerate(turns, start=1):
                one = _turn(call, variant, ports[variant], world, seconds)
                measured[call.name].rounds.setdefault(variant, []).append(one)
                note("measuring", number * len(turns) + done, rounds * len(turns))
    return measured


def _turn(call: HotCall, variant: str, port: int, world: World, seconds: float) -> Round:
    requests = call.requests(world, variant, port)
    return drive(port, requests, status=call.status, connections=call.connections, seconds=seconds)


def _result(one: Measured, bar: Bar, measured: dict[str, Measured]) -> dict[str, Any]:
    """The median over the rounds of the ratio within each round, beside its bar."""
    ours = one.rounds["service"]
    theirs = measured[bar.call or one.call.name].rounds[bar.variant]
    if bar.by_time:
        ratios = [a.median / b.median for a, b in zip(ours, theirs, strict=True)]
    else:
        ratios = [a.rate / b.rate for a, b in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    return {
        "call": one.call.name,
        "beside": bar.call or bar.variant,
        "by": "time" if bar.by_time else "rate",
        "ratio": round(ratio, 3),
        "bar": bar.factor,
        "met": ratio <= bar.factor if bar.by_time else ratio >= bar.factor,
    }


def _about(database: Database, size: Size) -> dict[str, Any]:
    with database.engine.connect() as connection:
        query = "SELECT sqlite_version()" if database.is_sqlite else "SHOW server_version"
        server = connection.exec_driver_sql(query).scalar()
        counts = {
            name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar()
            for name in ("plan", "action", "action_budget_line", "progress")
        }
    return {
        "engine": f"{database.engine.dialect.name} {server}",
        "rows": counts,
        "size": asdict(size),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, shared with the load and the database",
        "python": platform.python_version(),
        "versions": {
            name: version(name) for name in ("fastapi", "uvicorn", "sqlalchemy", "psycopg", "pydantic")
        },
        "date": time.strftime("%Y-%m-%d"),
    }


def _show(about: dict[str, Any], measured: dict[str, Measured], results: list[dict[str, Any]]) -> None:
    rows = ", ".join(f"{count:,} {name}" for name, count in about["rows"].items())
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    out.print(f"{about['engine']}: {rows} · one worker · {about['machine']}", highlight=False)
    out.print(f"Python {about['python']}, {versions}", highlight=False)
    grid = Table("call", "service", "raw driver", "ORM way", "ratio", "bar", "met")
    for one in measured.values():
        own = [result for result in results if result["call"] == one.call.name]
        grid.add_row(
            one.call.title,
            *[_figure(one, variant) for variant in VARIANTS],
            "\n".join(f"{r['ratio']:.2f} × {_beside(r)}" for r in own),
            "\n".join(f"{'≤' if r['by'] == 'time' else '≥'} {r['bar']:g}" for r in own),
            "\n".join("yes" if r["met"] else "[red]NO[/]" for r in own),
        )
    out.print(grid)


def _figure(one: Measured, variant: str) -> str:
    if variant not in one.rounds:
        return "–"
    return f"{one.rate(variant):,.1f}/s\n{one.milliseconds(variant):,.1f} ms"


def _beside(result: dict[str, Any]) -> str:
    names = {"naive": "ORM way", "raw": "raw driver", "page": "the page", "key": "a report by key"}
    return names[result["beside"]] + (" (time)" if result["by"] == "time" else "")


def _as_json(
    about: dict[str, Any],
    measured: dict[str, Measured],
    results: list[dict[str, Any]],
    plans: dict[str, list[str]],
) -> str:
    figures = {
        name: {
            variant: {
                "per_second": round(one.rate(variant), 2),
                "milliseconds": round(one.milliseconds(variant), 3),
                "rounds_per_second": [round(r.rate, 2) for r in rounds],
            }
            for variant, rounds in one.rounds.items()
        }
        for name, one in measured.items()
    }
    told = {**about, "calls": figures, "bars": results, "query_plans": plans}
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
