"""Which engine a test runs on, and which functions of the service sent SQL to which.

A whole run divides the tests between the engines: each runs on one of them, `both_engines` on each, `one_engine` on the
first. A run of a part takes every test on both. Nothing is left out by that as long as each function that sends a
statement sends it to the other engine in another test: a whole run fails where one did not.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any
from zlib import crc32

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.docs.pages import ROOT

ENGINES = tuple(os.environ.get("RATA_TEST_ENGINES", "sqlite,postgres").split(","))
APP = f"{ROOT / 'app'}/"
SENDS_FOR_OTHERS = (
    "kit/database/",
    "kit/http/",
    "reference/queries.py one_json",
    "startup/",
    "client/",
    "console/",
)
"""What sends the statements that others give it; the client and the console, which work on databases of their own."""
OF_ONE_ENGINE = {"exchange/pulls/writing.py Asked._write", "exchange/pulls/writing.py write_ndjson"}
"""What there is because of what only one engine can do."""

_names: dict[int, tuple[CodeType, str | None]] = {}
"""By identity: the hash of a code object reads all of it."""
_senders: dict[str, set[str]] = defaultdict(set)


def note_sender(connection: Any, *_: object) -> None:
    """Note the function of the service that sends a statement."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        known = _names.get(id(code))
        if known is None:
            known = _names[id(code)] = code, _name_of(code)
        if known[1] is not None:
            _senders[connection.dialect.name].add(known[1])
            return
        frame = frame.f_back


def _name_of(code: CodeType) -> str | None:
    if not code.co_filename.startswith(APP):
        return None
    name = f"{code.co_filename.removeprefix(APP)} {code.co_qualname}"
    return None if name.startswith(SENDS_FOR_OTHERS) else name


def is_whole(config: pytest.Config) -> bool:
    """Return whether this is a run of all tests on both engines; a worker was given the answer."""
    if hasattr(config, "workerinput"):
        return bool(config.workerinput["is_whole"])
    return (
        len(ENGINES) > 1 and config.args_source is config.ArgsSource.TESTPATHS and not config.option.keyword
    )


def engine_of(item: pytest.Item) -> str | None:
    """Return the engine that a test has as parameter. Returns None if it has none."""
    call = getattr(item, "callspec", None)
    return next((value for value in call.params.values() if value in ENGINES), None) if call else None


def _without_engine(item: pytest.Item) -> str:
    return item.nodeid.replace(engine_of(item) or "", "")


def _mark_of(item: pytest.Item) -> str | None:
    """Return the mark that says the engines of a test, its own before that of its module."""
    names = (mark.name for mark in item.iter_markers())
    return next((name for name in names if name in ("one_engine", "both_engines")), None)


def repeated(items: Iterable[pytest.Item], *, is_whole: bool) -> set[pytest.Item]:
    """Return the tests that another one does on another engine."""
    twins: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if engine_of(item) is not None and _mark_of(item) != "both_engines":
            twins[_without_engine(item)].append(item)
    left_out = set[pytest.Item]()
    for name, group in twins.items():
        if _mark_of(group[0]) == "one_engine":
            left_out.update(item for item in group if engine_of(item) != ENGINES[0])
        elif is_whole and len(group) == len(ENGINES):
            chosen = ENGINES[crc32(name.encode()) % len(ENGINES)]
            left_out.update(item for item in group if engine_of(item) != chosen)
    return left_out


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = repeated(items, is_whole=is_whole(config))
    if left_out:
        config.hook.pytest_deselected(items=[*left_out])
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker whether the run is whole: it is called with the paths of all tests."""
    node.workerinput["is_whole"] = is_whole(node.config)


def pytest_configure(config: pytest.Config) -> None:
    event.listen(Engine, "before_cursor_execute", note_sender)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Add what a worker has seen."""
    for engine, names in getattr(node, "workeroutput", {}).get("senders", {}).items():
        _senders[engine].update(names)


def missing(config: pytest.Config) -> list[str]:
    """Return `engine: function` of what sent SQL to the other engine alone; nothing for a run of a part."""
    if not is_whole(config):
        return []
    sqlite, postgres = _senders["sqlite"], _senders["postgresql"]
    return [
        f"{engine}: {name}"
        for engine, names in (("SQLite", postgres - sqlite), ("PostgreSQL", sqlite - postgres))
        for name in sorted(names - OF_ONE_ENGINE)
    ]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["senders"] = {engine: sorted(names) for engine, names in _senders.items()}
    elif missing(session.config):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if found := missing(config):
        terminalreporter.section("functions whose SQL no test runs on an engine")
        for line in found:
            terminalreporter.write_line(line, red=True)
