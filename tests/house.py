"""Measures of the code's shape: `make house` prints them, tests/test_house.py holds their goals.

A figure is a question, not a verdict: each has its goal beside it, so a change can be held against the one before.
"""

import ast
import logging
import re
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import httpx2 as httpx
import structlog
from anyio.from_thread import start_blocking_portal
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.areas import AREAS
from tests.calling import Client
from tests.common import token_for
from tests.database import own_database
from tests.plans.world import ANY, furnish, put, put_plan
from tests.workflow.moves import AT, BODIES, CODED, PLAN, SIGNED, Movers

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "app").rglob("*.py"))
TREES = {file: ast.parse(file.read_text(), str(file)) for file in FILES}
LINES = {file: len(file.read_text().splitlines()) for file in FILES}

FIVE = {"__init__", "models", "rules", "queries", "commands", "routes"}
MANY_PARAMETERS = 7

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Measure:
    name: str
    value: float
    goal: float

    def is_met(self) -> bool:
        return self.value <= self.goal


def name_of(file: Path) -> str:
    """Return a file's path below `app/` without its ending, such as `plans/core/models`."""
    return file.relative_to(ROOT / "app").with_suffix("").as_posix()


def functions() -> Iterator[tuple[Path, Function]]:
    """Yield every function and method with its file."""
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield file, node


def docstrings() -> Iterator[str]:
    """Yield every docstring of modules, classes and functions."""
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | Function) and (text := ast.get_docstring(node)):
                yield text


# Rooms


def imported_modules(file: Path) -> set[str]:
    """Return the modules of `app` that a file imports, as paths below `app/`."""
    names = {name_of(other) for other in FILES}
    found = set()
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app."):
            module = (node.module or "")[4:].replace(".", "/")
            for alias in node.names:
                found.add(f"{module}/{alias.name}" if f"{module}/{alias.name}" in names else module)
    return found & names


def circles(area: str) -> list[list[str]]:
    """Return the import circles between the rooms of an area, each as the rooms that are in it."""
    arrows: dict[str, set[str]] = defaultdict(set)

    def room_of(name: str) -> str | None:
        parts = name.split("/")
        return parts[1] if parts[0] == area and len(parts) > 1 else None

    for file in FILES:
        room = room_of(name_of(file))
        if room is not None:
            arrows[room] |= {
                other for name in imported_modules(file) if (other := room_of(name)) and other != room
            }
    reached = {room: _reach(arrows, room) for room in arrows}
    rings = {frozenset({room, *(o for o in reached[room] if room in reached.get(o, ()))}) for room in arrows}
    return sorted(sorted(ring) for ring in rings if len(ring) > 1)


def _reach(arrows: dict[str, set[str]], start: str) -> set[str]:
    seen, waiting = set[str](), [start]
    while waiting:
        for room in arrows.get(waiting.pop(), set()) - seen:
            seen.add(room)
            waiting.append(room)
    return seen


def files_off_the_five_names() -> list[str]:
    """Return the files of areas that bear a name of their own, reports and routes of whole areas aside."""
    return [
        name
        for file in FILES
        if (name := name_of(file)).split("/")[0] in AREAS
        and file.stem not in FIVE
        and file.parent.name != "routes"
        and not declares_report(TREES[file])
    ]


def declares_report(tree: ast.Module) -> bool:
    """Return whether a module declares a report: such a file is one whole, row, SELECT and what may be asked."""
    return any(
        isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REPORT" for node in tree.body
    )


def routes_that_import_routes() -> list[str]:
    """Return `file → file` of every import from one module of routes into another."""

    def is_routes(name: str) -> bool:
        return name.split("/")[-1] == "routes" or "/routes/" in name

    return [
        f"{name_of(file)} → {other}"
        for file in FILES
        if is_routes(name_of(file))
        for other in sorted(imported_modules(file))
        if is_routes(other)
    ]


# Types and parameters


def any_per_thousand_lines() -> float:
    """Return how often `Any` is named per 1,000 lines, imports aside."""
    named = sum(
        isinstance(node, ast.Name) and node.id == "Any" for tree in TREES.values() for node in ast.walk(tree)
    )
    return 1000 * named / sum(LINES.values())


def untyped_rows() -> int:
    """Return how often `sa.Row[Any]` is named."""
    return sum(file.read_text().count("Row[Any]") for file in FILES)


def functions_with_many_parameters() -> list[str]:
    """Return the functions with seven and more parameters, `self` and `cls` aside."""
    found = []
    for file, node in functions():
        arguments = node.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        if len([name for name in names if name not in ("self", "cls")]) >= MANY_PARAMETERS:
            found.append(f"{name_of(file)}:{node.name}")
    return found


def preconditions_as_callbacks() -> list[str]:
    """Return the parameters that take a function which checks a condition."""
    callback = re.compile(r"^(Callable\[|CheckVersion|CheckStored)")
    return [
        f"{name_of(file)}:{node.name}"
        for file, node in functions()
        for one in (*node.args.args, *node.args.kwonlyargs)
        if one.arg == "check" and one.annotation is not None and callback.match(ast.unparse(one.annotation))
        if not name_of(file).startswith(("kit/", "client/", "console/"))
    ]


# Voice

_PASSIVE = re.compile(
    r"\b(is|are|was|were|be|been|being)\s+(\w+ly\s+)?(\w+(ed|en)|told|said|kept|held|made|sent|read)\b"
)
_PEOPLE = re.compile(r"\b(who|whoever|whatever|anybody|nobody|somebody)\b", re.IGNORECASE)
_OPENINGS = re.compile(r"^(What|Whether|Of which|Who|Whose|Where|When|How)\b")
_PREPOSITIONS = {"of", "at", "in", "on", "by", "to", "as", "from", "with", "without", "before", "after"}
_VAGUE = ("found", "one", "told", "said")


def share_of_docstrings(is_one: Callable[[str], Any]) -> float:
    """Return the percentage of docstrings that satisfy a predicate."""
    texts = list(docstrings())
    return 100 * sum(bool(is_one(text)) for text in texts) / len(texts)


def functions_named_by_participle() -> list[str]:
    """Return the functions named by a participle or a preposition, such as `_told` or `at`."""
    return [
        f"{name_of(file)}:{node.name}"
        for file, node in functions()
        if (word := node.name.strip("_").split("_")[0])
        and not node.decorator_list
        and (
            word in _PREPOSITIONS
            or re.search(r"(?<!e)ed$|wn$", word)
            or word in ("told", "said", "held", "kept", "built")
        )
    ]


def vague_locals() -> Counter[str]:
    """Return how often locals get a name that says nothing."""
    return Counter(
        node.id
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in _VAGUE
    )


def class_names_with_two_meanings() -> list[str]:
    """Return the public class names that more than one file declares."""
    where = Counter(
        node.name
        for tree in TREES.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    return sorted(name for name, count in where.items() if count > 1)


# Requests


class Passed:
    """Collects the files of areas in which a function runs, in all threads that start within the block.

    Those of `access` are left out: every request passes the same four.
    """

    def __init__(self) -> None:
        self.files = set[str]()
        self._names = {
            str(file): name
            for file in FILES
            if (name := name_of(file)).split("/")[0] in AREAS and not name.startswith("access/")
        }

    def __enter__(self) -> "Passed":
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(self, *raised: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def during(self, request: Callable[[], httpx.Response]) -> set[str]:
        """Return the files that a request passes."""
        self.files.clear()
        answer = request()
        assert answer.is_success, answer.text
        return set(self.files)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        name = self._names.get(frame.f_code.co_filename)
        if name is not None:
            self.files.add(name)


def files_by_request() -> dict[str, set[str]]:
    """Return the files of areas that a list, a PUT of progress, a PATCH of a line and an adoption pass, on SQLite."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with own_database("sqlite") as database, Passed() as passed:
        furnish(database)
        app = create_app(Settings(_env_file=None, database_url="sqlite://"), database)
        with start_blocking_portal() as portal:

            def connect(*roles: Any) -> TestClient:
                return Client(app, portal, headers={"Authorization": f"Bearer {token_for(database, *roles)}"})

            movers = Movers(connect)
            team, line = movers.team, f"{AT}/actions/A-1"
            put_plan(team, PLAN)
            put(team, "A-1", plan=PLAN, base=CODED)
            found = {
                "list of lines": passed.during(lambda: team.get(f"{AT}/actions")),
                "PATCH of a line": passed.during(
                    lambda: team.patch(line, json={"title": "Baru"}, headers=ANY)
                ),
            }
            for verb in ("submit", "endorse"):
                movers.of(verb).post(f"{AT}/{verb}", json=BODIES[verb], headers=ANY)
            found["adoption"] = passed.during(
                lambda: movers.chair.post(f"{AT}/adopt", json=SIGNED, headers=ANY)
            )
            found["PUT of progress"] = passed.during(
                lambda: team.put(f"{line}/progress/2025-Q1", json={"spent": 100})
            )
    return found


def lines_by_room() -> dict[str, int]:
    """Return the lines of each room: the folders of `app/`, those of the kit and of large areas one below."""
    rooms: Counter[str] = Counter()
    for file, count in LINES.items():
        parts = name_of(file).split("/")
        rooms["/".join(parts[:2]) if len(parts) > 2 else parts[0] if len(parts) > 1 else "(top)"] += count
    return dict(sorted(rooms.items()))


# The table


def measures() -> list[Measure]:
    """Return the measures that need no running service, with their goals."""
    texts = len(list(docstrings()))
    assert texts
    subjects = _commit_subjects()
    return [
        Measure("docstrings in the passive, %", share_of_docstrings(_PASSIVE.search), 8),
        Measure("docstrings that say who, anybody, nobody, %", share_of_docstrings(_PEOPLE.search), 0.5),
        Measure("docstrings that open with What, Whether, Who, %", share_of_docstrings(_OPENINGS.match), 3),
        Measure(
            "docstrings that open with “The same”",
            sum(text.startswith("The same") for text in docstrings()),
            0,
        ),
        Measure("functions named by a participle or preposition", len(functions_named_by_participle()), 30),
        Measure("locals called found, one, told, said", sum(vague_locals().values()), 30),
        Measure("public class names with two meanings", len(class_names_with_two_meanings()), 0),
        Measure("commit subjects over 72 characters, of the last 100", sum(len(s) > 72 for s in subjects), 0),
        Measure("import circles inside areas", sum(len(circles(area)) for area in (*AREAS, "kit")), 0),
        Measure("Any per 1,000 lines", any_per_thousand_lines(), 6),
        Measure("Row[Any]", untyped_rows(), 0),
        Measure("functions with seven and more parameters", len(functions_with_many_parameters()), 15),
        Measure("preconditions passed as callbacks", len(preconditions_as_callbacks()), 0),
        Measure("imports from routes into routes", len(routes_that_import_routes()), 0),
        Measure("files off the five names", len(files_off_the_five_names()), 25),
        Measure("files over 400 lines", sum(count > 400 for count in LINES.values()), 20),
        Measure("files over 600 lines", sum(count > 600 for count in LINES.values()), 0),
    ]


def _commit_subjects() -> list[str]:
    done = subprocess.run(["git", "log", "-100", "--format=%s"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.splitlines()


GOALS = {"list of lines": 4, "PUT of progress": 10, "PATCH of a line": 10, "adoption": 10}


def main() -> None:
    """Print every measure with its goal, the files of four requests, and the lines of each room."""
    rows = [
        *measures(),
        *(
            Measure(f"files that a {name} passes", len(files), GOALS[name])
            for name, files in files_by_request().items()
        ),
    ]
    for row in rows:
        mark = " " if row.is_met() else "✗"
        print(f"{mark} {row.name:<58}{row.value:>9.4g}   goal {row.goal:g}")
    rooms = lines_by_room()
    print(f"\n  lines of app/: {sum(rooms.values()):,}")
    for room, count in rooms.items():
        print(f"  {room:<58}{count:>9,}")


if __name__ == "__main__":
    main()
