"""`python -m benchmarks`: measure the variants, print the ratios, and fail if one misses its bar."""

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
from benchmarks import imports, pulls, raw
from benchmarks.calls import CALLS, Bar, HotCall, World
from benchmarks.data import Size, build, create_secret
from benchmarks.load import Round, drive
from benchmarks.servers import VARIANTS, serve
from tests.postgres import ensure_template, postgres_server

#: Settings of production: commits reach the disk, memory for the indexes.
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
"""The name of the pull, which `benchmarks/pulls.py` measures."""
IMPORT = "import"
"""The name of the import, which `benchmarks/imports.py` measures."""
NAMES = [*(call.name for call in CALLS), PULL, IMPORT]

out = Console(width=None if sys.stdout.isatty() else 160)


@dataclass
class Measured:
    """The rounds of one call, by variant."""

    call: HotCall
    rounds: dict[str, list[Round]] = field(default_factory=dict)

    def rate(self, variant: str) -> float:
        return statistics.median(turn.rate for turn in self.rounds[variant])

    def milliseconds(self, variant: str) -> float:
        return statistics.median(turn.median for turn in self.rounds[variant]) * 1000


def main() -> int:
    options = _parse_options()
    size = Size(options.plans, options.actions, options.quarters)
    calls = [call for call in CALLS if not options.only or call.name in options.only]
    compared = {bar.call for call in calls for bar in call.bars} - {call.name for call in calls}
    calls = [call for call in CALLS if call.name in compared] + calls
    with _open_database(options.engine, size) as url:
        database = Database(url)
        secret = create_secret(database)
        world = World.read(database, size, secret)
        about = _describe(database, size)
        database.close()
        measured = _measure(url, secret, world, calls, options.rounds, options.seconds)
        plans, pulled, imported = {}, None, None
        if options.engine == "postgres":
            read = {
                call.name: next(call.requests(world, "raw", 0)) for call in calls if "raw" in call.variants
            }
            database = Database(url)
            plans = raw.explain(database, {name: sent for name, sent in read.items() if sent[:3] == b"GET"})
            database.close()
        if options.engine == "postgres" and (not options.only or PULL in options.only):
            pulled = pulls.measure(url, size, options.rounds)
        if not options.only or IMPORT in options.only:
            imported = imports.measure(url)
    results = [_judge(item, bar, measured) for item in measured.values() for bar in item.call.bars]
    _print_figures(about, measured, results)
    if pulled is not None:
        pull_results = pulls.judge(pulled)
        out.print(pulls.build_table(pulled, pull_results))
        results += pull_results
    if imported is not None:
        import_results = imports.judge(imported)
        out.print(imports.build_table(imported, import_results))
        results += import_results
    if options.json:
        Path(options.json).write_text(_render_json(about, measured, results, plans))
    return 0 if all(result["met"] for result in results) else 1


def _parse_options() -> argparse.Namespace:
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
        help="rounds with a turn of each variant (default 5)",
    )
    add("--seconds", type=float, default=2.0, help="how long a turn is (default 2)")
    add("--json", metavar="FILE", help="write all figures there, with the query plan of each read")
    return parser.parse_args()


@contextlib.contextmanager
def _open_database(engine: str, size: Size) -> Iterator[str]:
    """Yield the address of the data set; a server of RATA_TEST_POSTGRES_URL keeps it for the next run."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="rata-bench-") as folder:
            url = f"sqlite:///{folder}/bench.db"
            with _open_progress_bar() as bar:
                build(url, size, bar)
            yield url
        return
    with postgres_server(**POSTGRES) as admin:

        def fill(url: str) -> None:
            with _open_progress_bar() as bar:
                build(url, size, bar)

        yield ensure_template(admin, f"{size.name}_{find_newest_revision()}", fill)


def find_newest_revision() -> str:
    scripts = ScriptDirectory.from_config(make_alembic_config("sqlite://"))
    return str(scripts.get_current_head())


@contextlib.contextmanager
def _open_progress_bar() -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        tasks: dict[str, Any] = {}

        def note(task: str, done: int, total: int) -> None:
            if task not in tasks:
                tasks[task] = progress.add_task(task, total=total)
            progress.update(tasks[task], completed=done, total=total)

        yield note


def _measure(
    url: str, secret: str, world: World, calls: list[HotCall], rounds: int, seconds: float
) -> dict[str, Measured]:
    measured = {call.name: Measured(call) for call in calls}
    variants = {variant for call in calls for variant in call.variants}
    with contextlib.ExitStack() as stack:
        ports = {v: stack.enter_context(serve(v, url, secret)) for v in VARIANTS if v in variants}
        note = stack.enter_context(_open_progress_bar())
        turns = [(call, variant) for call in calls for variant in call.variants]
        for call, variant in turns:  # warm: pools, caches, prepared statements
            _take_turn(call, variant, ports[variant], world, min(seconds, 1.0))
        for number in range(rounds):
            for done, (call, variant) in enumerate(turns, start=1):
                turn = _take_turn(call, variant, ports[variant], world, seconds)
                measured[call.name].rounds.setdefault(variant, []).append(turn)
                note("measuring", number * len(turns) + done, rounds * len(turns))
    return measured


def _take_turn(call: HotCall, variant: str, port: int, world: World, seconds: float) -> Round:
    requests = call.requests(world, variant, port)
    return drive(port, requests, status=call.status, connections=call.connections, seconds=seconds)


def _judge(item: Measured, bar: Bar, measured: dict[str, Measured]) -> dict[str, Any]:
    """Return the median of the ratios within each round, with its bar."""
    service = item.rounds["service"]
    other = measured[bar.call or item.call.name].rounds[bar.variant]
    if bar.by_time:
        ratios = [a.median / b.median for a, b in zip(service, other, strict=True)]
    else:
        ratios = [a.rate / b.rate for a, b in zip(service, other, strict=True)]
    ratio = statistics.median(ratios)
    return {
        "call": item.call.name,
        "beside": bar.call or bar.variant,
        "by": "time" if bar.by_time else "rate",
        "ratio": round(ratio, 3),
        "bar": bar.factor,
        "met": ratio <= bar.factor if bar.by_time else ratio >= bar.factor,
    }


def _describe(database: Database, size: Size) -> dict[str, Any]:
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


def _print_figures(
    about: dict[str, Any], measured: dict[str, Measured], results: list[dict[str, Any]]
) -> None:
    rows = ", ".join(f"{count:,} {name}" for name, count in about["rows"].items())
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    out.print(f"{about['engine']}: {rows} · one worker · {about['machine']}", highlight=False)
    out.print(f"Python {about['python']}, {versions}", highlight=False)
    grid = Table("call", "service", "raw driver", "ORM way", "ratio", "bar", "met")
    for item in measured.values():
        own = [result for result in results if result["call"] == item.call.name]
        grid.add_row(
            item.call.title,
            *[_render_figure(item, variant) for variant in VARIANTS],
            "\n".join(f"{r['ratio']:.2f} × {_name_other(r)}" for r in own),
            "\n".join(f"{'≤' if r['by'] == 'time' else '≥'} {r['bar']:g}" for r in own),
            "\n".join("yes" if r["met"] else "[red]NO[/]" for r in own),
        )
    out.print(grid)


def _render_figure(item: Measured, variant: str) -> str:
    if variant not in item.rounds:
        return "–"
    return f"{item.rate(variant):,.1f}/s\n{item.milliseconds(variant):,.1f} ms"


def _name_other(result: dict[str, Any]) -> str:
    names = {"naive": "ORM way", "raw": "raw driver", "page": "the page", "key": "a report by key"}
    return names[result["beside"]] + (" (time)" if result["by"] == "time" else "")


def _render_json(
    about: dict[str, Any],
    measured: dict[str, Measured],
    results: list[dict[str, Any]],
    plans: dict[str, list[str]],
) -> str:
    figures = {
        name: {
            variant: {
                "per_second": round(item.rate(variant), 2),
                "milliseconds": round(item.milliseconds(variant), 3),
                "rounds_per_second": [round(r.rate, 2) for r in rounds],
            }
            for variant, rounds in item.rounds.items()
        }
        for name, item in measured.items()
    }
    content = {**about, "calls": figures, "bars": results, "query_plans": plans}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
