"""Commands that load data: reference data, matrices, tables of publishers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from app.console.frame import SHOWN_ERRORS, CommandRefused, choose, out, show_problem, use_database
from app.convergence.indicators.models import CodeSystem, TableQuery
from app.exchange.matrix.imports.models import (
    RESOLUTIONS,
    Acceptance,
    ImportFinding,
    ImportQuery,
    ImportReport,
)
from app.exchange.matrix.models import Basis
from app.kit.http.validation import validate
from app.kit.problems import ErrorShape, NotFound, Problem
from app.kit.tables.choices import parse_columns
from app.kit.tables.resolutions import parse_resolutions
from app.reference.places.areas.models import AREA_RESOLUTIONS
from app.startup.bootstrap import import_file, import_table, load_shipped_reference

cli = typer.Typer()
reference = typer.Typer(help="Reference data: regions, nomenclature, funding sources.", no_args_is_help=True)
cli.add_typer(reference, name="reference")

SHOWN_CELLS = 8

DryRun = Annotated[bool, typer.Option("--dry-run", help="Report the result and store nothing.")]


@reference.command("load")
def load() -> None:
    """Load the reference data of this version; existing rows stay unchanged."""
    load_shipped_reference(use_database(), out)


def offer_list(noun: str) -> Any:
    """Return the option of a JSON file with a list."""
    return typer.Option(exists=True, dir_okay=False, readable=True, help=f"JSON file: a list of {noun}.")


_ASK = ("ask", "skip", "take")
Sheet = Annotated[str | None, typer.Option(help="Sheet. Default: the first with the header.")]
HiddenRows = Annotated[str, choose(_ASK, "Lines in hidden or filtered rows.")]
StruckRows = Annotated[str, choose(_ASK, "Lines that are struck out.")]
Resolutions = Annotated[Path | None, offer_list("resolutions")]
Columns = Annotated[Path | None, offer_list("choices of columns")]


@cli.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The matrix: .xlsx or .csv.")
    ],
    plan: Annotated[str, typer.Option(help="Key of the plan, such as 63.02-2025.")],
    basis: Annotated[Basis | None, choose(get_args(Basis), "Meaning of the columns Sem.1 and Sem.2.")] = None,
    accept: Annotated[
        list[Acceptance] | None,
        choose(
            Acceptance,
            "Accept sub-activities without a code (free_text), totals that contradict the basis (totals). Repeatable.",
        ),
    ] = None,
    new_agencies: Annotated[
        bool, typer.Option("--new-agencies", help="Create the agencies that the region lacks.")
    ] = False,
    sheet: Sheet = None,
    hidden_rows: HiddenRows = "ask",
    struck_rows: StruckRows = "ask",
    repeated_rows: Annotated[
        str, choose(("take", "skip", "refuse"), "Lines that equal an earlier one.")
    ] = "take",
    resolutions: Resolutions = None,
    columns: Columns = None,
    dry_run: DryRun = False,
    all_errors: Annotated[
        bool, typer.Option("--all-errors", help=f"Show every error, not {SHOWN_ERRORS}.")
    ] = False,
) -> None:
    """Import a matrix into an existing plan, all of it or nothing."""
    creates = "create" if new_agencies else "refuse"
    options = {"basis": basis, "accept": accept or [], "new_agencies": creates, "sheet": sheet}
    rows = {"hidden_rows": hidden_rows, "struck_rows": struck_rows, "repeated_rows": repeated_rows}
    query = validate(ImportQuery, options | rows)
    known = parse_resolutions(RESOLUTIONS, resolutions.read_bytes()) if resolutions else []
    choices = parse_columns(columns.read_bytes()) if columns else []
    try:
        report = import_file(use_database(), file, plan, query, known, choices=choices, dry_run=dry_run)
    except NotFound:
        raise CommandRefused(f"There is no plan {plan}.") from None
    except Problem as problem:
        show_problem(problem, most=None if all_errors else SHOWN_ERRORS)
        raise typer.Exit(1) from None
    show_report(report, dry_run=dry_run)


def show_report(report: ImportReport, *, dry_run: bool = False) -> None:
    """Print the report of an import: counts of lines and progress reports, findings and warnings by code."""
    out.print(
        f"{'Would import' if dry_run else 'Imported'} {report.lines} lines into {report.plan}: "
        f"{report.created} created, {report.updated} updated, {report.unchanged} unchanged; "
        f"allocation Rp {report.allocation:,}.",
        soft_wrap=True,
    )
    if report.import_number and not dry_run:
        out.print(f"  import {report.import_number} of the plan")
    if report.agencies_created:
        out.print(f"  {len(report.agencies_created)} agencies created")
    if report.absent:
        out.print(f"  missing in the file, unchanged: {', '.join(report.absent)}", soft_wrap=True)
    for period in report.progress:
        out.print(
            f"  {period.period}: {period.created} reports created, {period.updated} updated, "
            f"{period.unchanged} unchanged."
        )
    show_by_code("finding", report.findings)
    show_by_code("warning", report.warnings)


def show_by_code(noun: str, items: Iterable[ImportFinding | ErrorShape]) -> None:
    """Print the number of findings or warnings of each code, and the first cells with them."""
    cells: dict[str, list[str]] = {}
    for item in items:
        cells.setdefault(item.code, []).append(f"{item.cell.column}{item.cell.row}" if item.cell else "–")
    for code, places in sorted(cells.items()):
        more = f" and {len(places) - SHOWN_CELLS} more" if len(places) > SHOWN_CELLS else ""
        shown = ", ".join(places[:SHOWN_CELLS])
        out.print(f"  {noun} {code}: {len(places)} ({shown}{more})", highlight=False, soft_wrap=True)


@cli.command()
def import_observations(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="A table of BPS: .xlsx or .csv."),
    ],
    code_system: Annotated[CodeSystem, choose(CodeSystem, "System of the region codes in the file.")],
    period: Annotated[
        str | None, typer.Option(help="Year 2021 or half-year 2021-S1, if the file has no period.")
    ] = None,
    indicator: Annotated[str | None, typer.Option(help="Indicator, if the file has none.")] = None,
    source: Annotated[
        str | None, typer.Option(help="The publisher's table. Default: the file's name.")
    ] = None,
    province: Annotated[
        str | None, typer.Option(help="Province within which names without codes are read, such as 18.")
    ] = None,
    sheet: Sheet = None,
    hidden_rows: HiddenRows = "ask",
    struck_rows: StruckRows = "ask",
    skip: Annotated[
        list[str] | None, typer.Option(help="Header of a column to leave out; repeatable.")
    ] = None,
    columns: Columns = None,
    resolutions: Resolutions = None,
    dry_run: DryRun = False,
) -> None:
    """Import a publisher's table of outcome indicators, all of it or nothing."""
    options = {"code_system": code_system, "period": period, "indicator": indicator, "source": source}
    rows = {"sheet": sheet, "hidden_rows": hidden_rows, "struck_rows": struck_rows, "skip": skip or []}
    query = validate(TableQuery, {**options, **rows, "province": province})
    known = parse_resolutions(AREA_RESOLUTIONS, resolutions.read_bytes()) if resolutions else []
    choices = parse_columns(columns.read_bytes()) if columns else []
    done = import_table(use_database(), file, query, known, choices, dry_run=dry_run)
    out.print(
        f"{'Would import' if dry_run else 'Imported'} {done.created + done.updated + done.unchanged} observations: "
        f"{done.created} created, {done.updated} updated, {done.unchanged} unchanged.",
        soft_wrap=True,
    )
    for series in done.series:
        total = series.created + series.updated + series.unchanged
        out.print(
            f"  {series.indicator} {series.period}: {total}, of these {series.symbols} symbols",
            highlight=False,
        )
    show_by_code("warning", done.warnings)
