"""`rata`: entry point of the operator's commands on the server, and of the client's commands on any machine.

Each command imports its modules only when it runs: the whole service takes seconds to import, and a cron line that
pulls needs none of it.
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
from app.startup.signals import end_when_stopped

MODULES = {
    **dict.fromkeys(("serve", "deliver", "reseal", "openapi", "demo"), "app.console.service"),
    **dict.fromkeys(("migrate", "verify", "check", "backup"), "app.console.storage"),
    **dict.fromkeys(("reference", "import", "import-observations"), "app.console.content"),
    **dict.fromkeys(("principal", "token"), "app.console.access"),
    **dict.fromkeys(("pull", "follow"), "app.console.pulling"),
}
"""Command → the module with its `cli`."""

REMOVED = {"partition": "deploy/years/ has the SQL that cuts tables by year and removes a year"}
"""Commands that earlier versions had → the sentence that says what replaces each."""

FINISHING = {"serve", "deliver", "pull", "follow"}
"""Commands that finish their work under way on SIGTERM or Ctrl-C; the others end at once."""


def import_quickly(name: str) -> ModuleType:
    """Import a module without garbage collection, which finds nothing to free and takes a fifth of the time."""
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.enable()


class Commands(Mapping[str, object]):
    """The commands by name; a look-up imports the module of a command."""

    def __getitem__(self, name: str) -> object:
        group: Any = typer.main.get_command(import_quickly(MODULES[name]).cli)
        return group.commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


def print_version(is_asked: bool) -> None:
    """Print the version, its commit and the newest migration, and exit."""
    if is_asked:
        migrations = (find_shipped("migrations") / "versions").glob("[0-9]*.py")
        newest = max(file.name[:4] for file in migrations)
        typer.echo(f"rata {VERSION}, revision {find_revision() or 'unknown'}, schema {newest}")
        raise typer.Exit


front = typer.Typer(no_args_is_help=True, add_completion=False)


@front.callback(
    help="Rencana Aksi Tahunan (RAT) as data. Settings are environment variables RATA_*; "
    "RATA_DATABASE_URL names the database."
)
def take_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=print_version, help="Print version, revision and schema."
        ),
    ] = False,
) -> None:
    """Take the options before a command."""


cli: Any = typer.main.get_command(front)
cli.name, cli.commands = "rata", Commands()


def drop_unwritten() -> None:
    """Discard unwritten output if standard output fails, so that Python exits without a second error."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run a command. Exit with one sentence and code 2 for a wrong option, code 1 for any other refusal."""
    name = "".join(sys.argv[1:2])
    if name in REMOVED:
        typer.echo(f"rata {name} no longer exists; {REMOVED[name]}.", err=True)
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
        # a command that can raise an error for `explain` has imported its module by now
        frame = sys.modules.get("app.console.frame")
        if frame is None or not frame.explain(error):
            raise
        code = 1
    sys.exit(code)
