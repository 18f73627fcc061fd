"""What the commands of the console share: the database of the settings, and how a refusal reads."""

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from sqlalchemy.exc import OperationalError

from app.kit.db import Database
from app.kit.problems import Problem
from app.opening import check_schema, open_database
from app.settings import Settings

out, err = Console(), Console(stderr=True)
SHOWN_ERRORS = 20


class Refused(Exception):
    """What the operator asked for cannot be done; the text says why."""


def database() -> Database:
    """The database of the settings, at the schema of this version."""
    found = open_database(Settings())
    check_schema(found)
    return found


def show_problem(problem: Problem, *, most: int | None = SHOWN_ERRORS) -> None:
    """A problem as lines for a person: what, and where."""
    shown = problem.shown("en", base="", instance="", request_id=None)
    err.print(f"[bold red]{escape(shown.title)}[/]: {escape(shown.detail)}", highlight=False, soft_wrap=True)
    errors = shown.errors or []
    for error in errors[:most]:
        place = error.cell and f"{error.cell.sheet}!{error.cell.column}{error.cell.row}"
        where = place or error.pointer or error.parameter or error.header or ""
        err.print(f"  {where}: {error.message}", highlight=False, markup=False, soft_wrap=True)
    if most is not None and len(errors) > most:
        err.print(f"  … and {len(errors) - most} more (--all-errors).", highlight=False)


def say_wrong(text: str) -> None:
    err.print(text, style="bold red", highlight=False, markup=False, soft_wrap=True)


def is_said(error: Exception) -> bool:
    """Tell a person what went wrong; False where it is none of what can go wrong for a reason of theirs."""
    match error:
        case Problem():
            show_problem(error)
        case Refused():
            say_wrong(str(error))
        case ValidationError():
            prefix = "RATA_" if error.title == Settings.__name__ else ""
            for wrong in error.errors(
                include_url=False, include_input=False
            ):  # the value may hold a password
                name = prefix + "_".join(map(str, wrong["loc"]))
                where = f"{name.upper() if prefix else name}: " if wrong["loc"] else ""
                say_wrong(where + wrong["msg"])
        case OperationalError():
            say_wrong(f"The database cannot be used: {str(error.orig).strip()}")
        case _:
            return False
    return True
