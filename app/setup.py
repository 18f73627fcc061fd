"""Preparing a database outside a request: schema, reference data, files. The command line calls this."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.access.rules import CONSOLE
from app.convergence.coverage.models import CoverageRow, ServiceCoverageRow
from app.convergence.indicators.commands import load_indicators, put_observations
from app.convergence.indicators.models import ObservationsWritten, TableQuery
from app.convergence.indicators.queries import all_indicators, places_of, read_sheet
from app.convergence.indicators.tables import read_table
from app.convergence.methods.commands import load_editions
from app.convergence.step_templates.commands import load_templates
from app.exchange.commands import import_matrix
from app.exchange.models import ImportQuery, ImportReport, Resolution
from app.exchange.queries import read_file
from app.kit.db import Database, alembic_config, table_of
from app.kit.journal import Author
from app.plans.queries import plan_of
from app.reference.commands import load_reference
from app.settings import Settings
from app.tracking.models import PROGRESS_PARTS, ProgressRow
from app.tracking.quarters.models import QuarterRow, QuarterState


def open_database(settings: Settings) -> Database:
    """The database of the settings; a folder of a SQLite file is made where it is missing."""
    database = Database(settings.database_url, pool_size=settings.database_pool)
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    return database


def console_author() -> Author:
    return Author(CONSOLE.token, datetime.now(UTC))


def upgrade_schema(database: Database) -> None:
    """Bring the schema to the newest revision; nothing where it is there already."""
    command.upgrade(alembic_config(database.url.render_as_string(hide_password=False)), "head")


CUT_BY_YEAR = [
    table_of(ProgressRow).name,
    *[part.table.name for part in PROGRESS_PARTS],
    table_of(CoverageRow).name,
    table_of(ServiceCoverageRow).name,
]
"""Tables that grow by every quarter and whose keys hold it; each after those that it refers to."""


def reports_not_frozen(database: Database, year: int) -> list[tuple[str, str]]:
    """(region, quarter) of a year's reports that no snapshot keeps."""
    reports, quarters = table_of(ProgressRow), table_of(QuarterRow)
    here = sa.and_(quarters.c.region_code == reports.c.region_code, quarters.c.period == reports.c.period)
    frozen = sa.exists().where(here, quarters.c.state == QuarterState.frozen)
    found = (
        sa.select(reports.c.region_code, reports.c.period).where(reports.c.year == year, ~frozen).distinct()
    )
    with database.read_session() as session:
        return [(region, period) for region, period in session.execute(found)]


def load_shipped_reference(database: Database, out: Console) -> None:
    """Load what this version ships, with a bar for what takes its time."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=out
    )
    with bar, database.writing() as session:
        tasks: dict[str, object] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]  # a TaskID

        author = console_author()
        loaded = load_reference(session, show, author=author) + load_indicators(session, author)
        loaded += load_editions(session, author) + load_templates(session, author)
    if not loaded:
        out.print("The reference data is up to date.")


def import_file(
    database: Database,
    file: Path,
    plan: str,
    query: ImportQuery,
    resolutions: Sequence[Resolution] = (),
    *,
    dry_run: bool = False,
) -> ImportReport:
    """Import a matrix as the console. Problem where it cannot be done; nothing is written then."""
    with database.read_session() as session:
        plan_of(session, CONSOLE, plan)
        read = read_file(session, file.read_bytes(), file.name, query.sheet)
    with database.writing(dry_run=dry_run) as session:
        return import_matrix(session, console_author(), CONSOLE, plan, read, query, resolutions, "en")


def import_table(
    database: Database, file: Path, query: TableQuery, *, dry_run: bool = False
) -> ObservationsWritten:
    """Import a publisher's table as the console. Problem where it cannot be done; nothing is written then."""
    with database.read_session() as session:
        sheet = read_sheet(file.read_bytes(), file.name, query.sheet)
        told = read_table(sheet, file.name, all_indicators(session), places_of(session), query)
    with database.writing(dry_run=dry_run) as session:
        return put_observations(session, console_author(), CONSOLE, told, lambda stored: None)
