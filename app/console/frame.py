"""Shared parts of the console's commands: the database of the settings, options, tables, refusals."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import typer
from alembic.util import CommandError
from rich.console import Console
from rich.markup import escape
from sqlalchemy.exc import DBAPIError

from app.client.tls import BadAuthorities
from app.kit.database.engine import Database
from app.kit.database.errors import describe_for_operators
from app.kit.http.validation import find_nearest
from app.kit.problems import ErrorShape, Problem
from app.startup.configuration import load_settings
from app.startup.database import check_schema, open_database
from app.startup.logs import log_to_stderr

out, err = Console(), Console(stderr=True)
SHOWN_ERRORS = 20

Word = TypeVar("Word", bound=str)


class CommandRefused(Exception):
    """The reason for which a command refuses the operator's request."""


def use_database(*, creates: bool = False) -> Database:
    """Return the database of the settings, and print its address to standard error.

    Raises CannotStart if its schema is not that of this version; with `creates` the schema may be older, and a missing
    file is no error.
    """
    log_to_stderr()
    opened = open_database(load_settings(), creates=creates, report=lambda text: show(text, err))
    if not creates:
        check_schema(opened)
    return opened


def take_number(lowest: int, highest: int) -> Callable[[str | int], int]:
    """Return a parser of an option's whole number within bounds; typer passes a default as a number."""

    def parse(given: str | int) -> int:
        text = str(given)
        if text.isascii() and text.isdigit() and lowest <= int(text[:20]) <= highest:
            return int(text)
        raise typer.BadParameter(f"{text!r}; use a whole number from {lowest} to {highest}.")

    return parse


def take_word(words: Iterable[Word]) -> Callable[[str], Word]:
    """Return a parser of an option that takes one of these words."""
    allowed = {str(word): word for word in words}

    def parse(text: str) -> Word:
        if text in allowed:
            return allowed[text]
        close = find_nearest(text, allowed, limit=1)
        hint = f"; the nearest is {close[0]}" if close else ""
        raise typer.BadParameter(f"{text!r}; use {', '.join(allowed)}{hint}.")

    return parse


def choose(words: Iterable[Word], help: str) -> Any:
    """Return an option that takes one of these words and lists them in its metavar."""
    known = list(words)
    return typer.Option(parser=take_word(known), metavar="|".join(map(str, known)), help=help)


def show(text: str, console: Console = out) -> None:
    """Print a line without cutting or wrapping it."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def show_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with columns as wide as their longest value, without cutting any."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        show("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


def show_problem(problem: Problem, *, most: int | None = SHOWN_ERRORS) -> None:
    """Print a problem with its first `most` errors, each with its place."""
    shown = problem.render("en", base="", instance="", request_id=None)
    err.print(f"[bold red]{escape(shown.title)}[/]: {escape(shown.detail)}", highlight=False, soft_wrap=True)
    errors = shown.errors or []
    for error in errors[:most]:
        place = error.cell and f"{error.cell.sheet}!{error.cell.column}{error.cell.row}"
        where = place or error.pointer or error.parameter or error.header or ""
        err.print(f"  {where}: {format_error(error)}", highlight=False, markup=False, soft_wrap=True)
    if most is not None and len(errors) > most:
        err.print(f"  … and {len(errors) - most} more (--all-errors).", highlight=False)
    if shown.columns:
        columns = [column.model_dump(exclude_none=True) for column in shown.columns]
        show(f"  Proposed file for --columns: {json.dumps(columns, ensure_ascii=False)}", err)


def format_error(error: ErrorShape) -> str:
    """Return the message of an error, with the allowed and the nearest values if it lacks them."""
    values = {"allowed": error.allowed, "nearest": error.nearest}
    hints = [
        f"{name}: {', '.join(listed)}"
        for name, listed in values.items()
        if isinstance(listed, (list, tuple))
        and all(isinstance(value, str) and value not in error.message for value in listed)
    ]
    return f"{error.message} ({'; '.join(hints)})" if hints else error.message


def explain(error: Exception) -> bool:
    """Print an error in one sentence. Return False, without printing, if the operator cannot have caused it."""
    if isinstance(error, Problem):
        show_problem(error)
        return True
    sentence = _find_sentence(error)
    if sentence is not None:
        err.print(sentence, style="bold red", highlight=False, markup=False, soft_wrap=True)
    return sentence is not None


def _find_sentence(error: Exception) -> str | None:
    match error:
        case CommandRefused():
            return str(error)
        case DBAPIError():
            return describe_for_operators(error)
        case CommandError():  # of Alembic
            return f"This version cannot migrate the schema: {error}."
        case BadAuthorities():
            return f"{error}."
        case _:
            return None
