"""The choice of engine for each test, and a check that each function of the service sends SQL to both.

A whole run gives each test one engine, `both_engines` each engine, `one_engine` the first. A partial run takes every
test on both. A whole run fails if a function sends its statements to one engine alone.
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
"""Modules that send statements for other functions; the client and the console, which use their own databases."""
OF_ONE_ENGINE = {"exchange/pulls/writing.py RequestedPull._write", "exchange/pulls/writing.py write_ndjson"}
"""Functions for an ability of one engine."""

_names: dict[int, tuple[CodeType, str | None]] = {}
"""By `id`: hashing a code object reads all of it."""
_senders: dict[str, set[str]] = defaultdict(set)


def note_sender(connection: Any, *_: object) -> None:
    """Note the function of the service that sends a statement."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        known = _names.get(id(code))
        if known is None:
            known = _names[id(code)] = code, _name_sender(code)
        if known[1] is not None:
            _senders[connection.dialect.name].add(known[1])
            return
        frame = frame.f_back


def _name_sender(code: CodeType) -> str | None:
    if not code.co_filename.startswith(APP):
        return None
    name = f"{code.co_filename.removeprefix(APP)} {code.co_qualname}"
    return None if name.startswith(SENDS_FOR_OTHERS) else name


def is_whole(config: pytest.Config) -> bool:
    """Return whether all tests run on both engines; a worker takes the answer from the controller."""
    if hasattr(config, "workerinput"):
        return bool(config.workerinput["is_whole"])
    return (
        len(ENGINES) > 1 and config.args_source is config.ArgsSource.TESTPATHS and not config.option.keyword
    )


def get_engine(item: pytest.Item) -> str | None:
    """Return the engine that a test has as parameter. Returns None if it has none."""
    call = getattr(item, "callspec", None)
    return next((value for value in call.params.values() if value in ENGINES), None) if call else None


def _drop_engine(item: pytest.Item) -> str:
    return item.nodeid.replace(get_engine(item) or "", "")


def _find_mark(item: pytest.Item) -> str | None:
    """Return the engine mark of a test, its own before that of its module."""
    names = (mark.name for mark in item.iter_markers())
    return next((name for name in names if name in ("one_engine", "both_engines")), None)


def find_repeated(items: Iterable[pytest.Item], *, is_whole: bool) -> set[pytest.Item]:
    """Return the tests that run on another engine instead."""
    twins: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if get_engine(item) is not None and _find_mark(item) != "both_engines":
            twins[_drop_engine(item)].append(item)
    left_out = set[pytest.Item]()
    for name, group in twins.items():
        if _find_mark(group[0]) == "one_engine":
            left_out.update(item for item in group if get_engine(item) != ENGINES[0])
        elif is_whole and len(group) == len(ENGINES):
            chosen = ENGINES[crc32(name.encode()) % len(ENGINES)]
            left_out.update(item for item in group if get_engine(item) != chosen)
    return left_out


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = find_repeated(items, is_whole=is_whole(config))
    if left_out:
        config.hook.pytest_deselected(items=[*left_out])
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass `is_whole` to a worker; its own arguments are the paths of all tests."""
    node.workerinput["is_whole"] = is_whole(node.config)


def pytest_configure(config: pytest.Config) -> None:
    event.listen(Engine, "before_cursor_execute", note_sender)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Add the senders that a worker noted."""
    for engine, names in getattr(node, "workeroutput", {}).get("senders", {}).items():
        _senders[engine].update(names)


def list_missing(config: pytest.Config) -> list[str]:
    """List `engine: function` for functions that sent SQL to the other engine alone; empty for a partial run."""
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
    elif list_missing(session.config):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := list_missing(config):
        terminalreporter.section("functions whose SQL no test runs on an engine")
        for line in lines:
            terminalreporter.write_line(line, red=True)
