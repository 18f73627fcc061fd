"""Commands for the database: upgrade of the schema, verification of the journal, backup."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.changes.queries import verify_journal
from app.console.access import show_first_steps
from app.console.figures import find_breaks
from app.console.frame import CommandRefused, err, out, show, show_rows, take_number, use_database
from app.console.personal import find_stored_numbers
from app.kit.database.backups import NotBackedUp, back_up, name_backup, remove_old_backups
from app.kit.database.engine import Database
from app.kit.problems import NotFound
from app.plans.core.rules import format_plan_chain
from app.startup.bootstrap import upgrade_schema
from app.startup.database import check_schema
from app.startup.signals import raise_when_stopped

cli = typer.Typer()
checks = typer.Typer(help="Searches in the database, which change nothing.", no_args_is_help=True)
cli.add_typer(checks, name="check")


@cli.command()
def migrate() -> None:
    """Upgrade the database to the newest schema; a newer one stays unchanged."""
    target = use_database(creates=True)
    upgrade_schema(target)
    check_schema(target)
    show(f"The database is at revision {target.read_schema_state()[0]}.")
    show_first_steps(target)


@cli.command()
def backup(
    file: Annotated[
        Path,
        typer.Argument(
            help="File of the backup, replaced after the new one is complete. With --keep: a folder."
        ),
    ],
    keep: Annotated[
        int | None,
        typer.Option(
            parser=take_number(1, 36_500),
            metavar="DAYS",
            help="Write rata-DATE.backup into the folder FILE, then remove backups older than this many days.",
        ),
    ] = None,
) -> None:
    """Back up the whole database from one snapshot, and check the file before it gets its name."""

    def check(copy: Database) -> None:
        with copy.read_session() as session:
            verdict = verify_journal(session)
        if verdict.breaks:
            raise NotBackedUp(f"The journal of the copy is broken: {verdict.breaks[0]}")

    today = datetime.now(UTC).astimezone().date()
    target = file / name_backup(today) if keep else file
    if file.is_dir() and not keep:
        raise CommandRefused(f"{file} is a folder. Name a file, or add --keep DAYS for dated backups in it.")
    with raise_when_stopped():
        try:
            back_up(use_database(), target, check)
        except NotBackedUp as failed:
            raise CommandRefused(str(failed)) from None
        except KeyboardInterrupt:
            raise CommandRefused("Stopped; there is no new backup.") from None
    show(f"{target}: {target.stat().st_size:,} bytes.")
    if keep:
        for old in remove_old_backups(file, today - timedelta(days=keep)):
            show(f"{old}: removed, older than {keep} days.")


@cli.command()
def verify(
    plan: Annotated[
        str | None,
        typer.Option(help="Key of a plan, such as 63.02-2025, to verify only its chain and figures."),
    ] = None,
) -> None:
    """Verify the journal's hashes, and frozen figures against their rows. Exit with code 1 and what is broken."""
    with use_database().read_session() as session:
        try:
            verdict = verify_journal(session, format_plan_chain(plan) if plan else None)
        except NotFound:
            raise CommandRefused(f"The journal has no entry of a plan {plan}.") from None
        breaks = [*map(str, verdict.breaks), *find_breaks(session, plan)]
    for broken in breaks:
        err.print(f"[bold red]Broken[/]: {escape(broken)}", highlight=False, soft_wrap=True)
    if breaks:
        raise typer.Exit(1)
    blanked = f" Rows with blanked values: {verdict.blanked:,}." if verdict.blanked else ""
    out.print(
        f"The journal is intact: {verdict.rows:,} rows in {verdict.chains:,} chains.{blanked}",
        highlight=False,
    )
    out.print("The frozen figures agree with their rows.", highlight=False)


@checks.command("personal-data")
def check_personal_data() -> None:
    """List the texts that have a run of 16 or 18 digits, as a NIK, a family card or a NIP has, without the run.

    The service refuses new ones; these are from before. Exit with code 1 if there are any.
    """
    with use_database().read_session() as session:
        numbers = list(find_stored_numbers(session))
    if numbers:
        show_rows(("Row", "Field", "Written"), numbers)
        raise typer.Exit(1)
    show("No text has the number of a person.")
