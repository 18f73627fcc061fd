"""Preparation of a database by the command line: schema, reference data, import of files."""

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.access.rules import CONSOLE
from app.changes.commands import ImportedFile
from app.convergence.editions.commands import load_editions
from app.convergence.editions.methods.queries import METHOD, PACKAGE
from app.convergence.editions.step_templates.queries import TEMPLATE
from app.convergence.indicators.commands import import_observations, load_indicators
from app.convergence.indicators.models import ObservationsImported, TableQuery
from app.convergence.indicators.queries import read_observed_table
from app.exchange.matrix.imports.commands import import_matrix
from app.exchange.matrix.imports.models import ImportQuery, ImportReport, Resolution
from app.exchange.matrix.imports.queries import read_file
from app.kit.database.engine import Database, make_alembic_config
from app.kit.database.migrations import is_known, is_newer
from app.kit.tables.choices import ColumnChoice
from app.plans.core.queries import find_plan
from app.reference.commands import load_reference
from app.reference.places.areas.models import AreaResolution
from app.startup.database import begin_console_write, check_encoding, check_schema, make_console_author


def upgrade_schema(database: Database) -> None:
    """Upgrade the schema to the newest revision; change nothing if it has that revision already, or a later one.

    Raises CannotStart if the database has another encoding, or revisions of another program.
    """
    check_encoding(database)
    current, newest = database.read_schema_state()
    if not is_known(current):
        check_schema(database)
    if is_newer(newest, current):
        return
    command.upgrade(make_alembic_config(database.url.render_as_string(hide_password=False)), "head")


def load_shipped_reference(database: Database, out: Console) -> None:
    """Load the reference data that this version ships, with progress bars."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=out
    )
    with bar, database.writing() as session:
        tasks: dict[str, object] = {}

        def show(title: str, done: int, total: int) -> None:
            if title not in tasks:
                tasks[title] = bar.add_task(title, total=total)
            bar.update(tasks[title], completed=done, total=total)  # type: ignore[arg-type]  # a TaskID

        author = make_console_author()
        loaded = load_reference(session, show, author=author) + load_indicators(session, author)
        loaded += load_editions(session, author, [PACKAGE, METHOD, TEMPLATE])
    if not loaded:
        out.print("The reference data is up to date.")


def import_file(
    database: Database,
    file: Path,
    plan: str,
    query: ImportQuery,
    resolutions: Sequence[Resolution] = (),
    *,
    choices: Sequence[ColumnChoice] = (),
    dry_run: bool = False,
) -> ImportReport:
    """Import a matrix as the console, in one transaction. Raises a Problem if a rule refuses it."""
    with database.read_session() as session:
        find_plan(session, CONSOLE, plan)
        read = read_file(session, file.read_bytes(), file.name, query, choices)
    with database.writing(dry_run=dry_run) as session:
        return import_matrix(begin_console_write(session), plan, read, query, resolutions, "en")


def import_table(
    database: Database,
    file: Path,
    query: TableQuery,
    resolutions: Sequence[AreaResolution] = (),
    columns: Sequence[ColumnChoice] = (),
    *,
    dry_run: bool = False,
) -> ObservationsImported:
    """Import a publisher's table as the console, in one transaction. Raises a Problem if a rule refuses it."""
    with database.read_session() as session:
        data = file.read_bytes()
        read = read_observed_table(session, data, file.name, query, resolutions, columns)
    with database.writing(dry_run=dry_run) as session:
        source = ImportedFile.of(file.name, data, read.sheet, query, resolutions=resolutions, columns=columns)
        return import_observations(begin_console_write(session), read, source, "en")
