"""`rata`: the door to what an operator does on the server, and to the client's commands on any machine.

What a command needs is imported when it is called: the whole service takes seconds to import, and a cron line that
pulls needs nothing of it.
"""

import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any

import typer

from app.client.version import VERSION, find_revision
from app.kit.shipped import find_shipped
from app.startup.stopping import end_when_stopped

PLACES = {
    **dict.fromkeys(("serve", "deliver", "reseal", "openapi", "demo"), "app.console.service"),
    **dict.fromkeys(("migrate", "verify", "backup"), "app.console.storage"),
    **dict.fromkeys(("reference", "import", "import-observations"), "app.console.content"),
    **dict.fromkeys(("principal", "token"), "app.console.access"),
    **dict.fromkeys(("pull", "follow"), "app.console.pulling"),
}
"""Command → the module whose `cli` has it."""

GONE = {"partition": "docs/growing.md has the SQL that cuts tables by year and takes a year out"}
"""Commands that earlier versions had → the sentence that says what replaces each."""

FINISHING = {"serve", "deliver", "pull", "follow"}
"""Commands that finish what is under way when they are asked to stop; the others end at once."""


def import_quickly(name: str) -> ModuleType:
    """Import a module without collecting garbage meanwhile, which finds none and takes a fifth of the time."""
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.enable()


class Commands(Mapping[str, object]):
    """The commands by name, each imported when somebody looks at it."""

    def __getitem__(self, name: str) -> object:
        group: Any = typer.main.get_command(import_quickly(PLACES[name]).cli)
        return group.commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


def print_version(is_asked: bool) -> None:
    """Print the version, the commit that it was built from and the newest migration, and end."""
    if is_asked:
        migrations = (find_shipped("migrations") / "versions").glob("[0-9]*.py")
        newest = max(file.name[:4] for file in migrations)
        typer.echo(f"rata {VERSION}, revision {find_revision() or 'unknown'}, schema {newest}")
        raise typer.Exit


front = typer.Typer(no_args_is_help=True, add_completion=False)


@front.callback(
    help="Rencana Aksi Tahunan (RAT) as data. Settings are environment variables RATA_*; "
    "RATA_DATABASE_URL says which database."
)
def take_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=print_version, help="Print version, revision and schema."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


cli: Any = typer.main.get_command(front)
cli.name, cli.commands = "rata", Commands()


def drop_unwritten() -> None:
    """Let Python end without a second failure, if standard output takes no more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run a command. A wrong option is one sentence and exit code 2, another refusal one sentence and exit code 1."""
    name = "".join(sys.argv[1:2])
    if name in GONE:
        typer.echo(f"rata {name} is no command any more; {GONE[name]}.", err=True)
        sys.exit(1)
    try:
        with nullcontext() if name in FINISHING else end_when_stopped():
            code = cli(standalone_mode=False)
    except typer.TyperException as wrong:
        typer.echo(wrong.format_message(), err=True)
        sys.exit(wrong.exit_code)
    except OSError as error:
        reason = error.strerror or str(error)
        typer.echo(f"{error.filename}: {reason}." if error.filename else f"{reason}.", err=True)
        drop_unwritten()
        code = 1
    except Exception as error:
        # by now it is imported, or the error is none that it would know
        frame = sys.modules.get("app.console.frame")
        if frame is None or not frame.explain(error):
            raise
        code = 1
    sys.exit(code)
