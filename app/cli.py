"""`rata`: what an operator does on the server itself."""

import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid
from sqlalchemy.exc import OperationalError

from app.access.commands import create_token, revoke_token
from app.access.models import Role, TokenScope
from app.access.queries import list_tokens
from app.access.rules import Grant
from app.changes.queries import verify_journal
from app.exchange.models import ImportReport
from app.demo import run_demo
from app.kit.openapi import COMMITTED, document_bytes
from app.kit.problems import Problem
from app.main import check_schema, create_app
from app.plans.commands import plan_chain
from app.serving import run
from app.settings import Settings
from app.setup import console_author, import_file, load_shipped_reference, open_database, upgrade_schema

cli = typer.Typer(
    name="rata",
    help="Rencana Aksi Tahunan (RAT) as data. Settings are environment variables RATA_*; "
    "RATA_DATABASE_URL says which database.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
tokens = typer.Typer(help="Service tokens: create, list, revoke.", no_args_is_help=True)
reference = typer.Typer(help="Reference data: regions, nomenclature, funding sources.", no_args_is_help=True)
cli.add_typer(tokens, name="token")
cli.add_typer(reference, name="reference")

out, err = Console(), Console(stderr=True)
SHOWN_ERRORS = 20


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    database = open_database(Settings())
    upgrade_schema(database)
    out.print(f"The database is at revision {database.schema_state()[0]}.")


@cli.command()
def serve() -> None:
    """Serve on RATA_HOST:RATA_PORT with RATA_WORKERS processes; stops gracefully on SIGTERM."""
    settings = Settings()
    # Each worker checks it too, but says it in the middle of a traceback.
    database = open_database(settings)
    check_schema(database)
    database.close()
    run(settings)


@cli.command()
def openapi(
    write: Annotated[bool, typer.Option("--write", help="Write openapi/rata.v1.json instead of printing.")] = False,
) -> None:
    """The OpenAPI document that this version serves."""
    document = document_bytes(create_app(Settings(database_url="sqlite://")))
    if write:
        COMMITTED.parent.mkdir(exist_ok=True)
        COMMITTED.write_bytes(document)
        out.print(f"Wrote {COMMITTED.relative_to(COMMITTED.parents[1])}.")
    else:
        sys.stdout.buffer.write(document)


@cli.command()
def verify(
    plan: Annotated[str | None, typer.Option(help="Key of a plan, such as 63.02-2025: only its chain.")] = None,
) -> None:
    """Recompute the journal's hashes and look for gaps; exit code 1 and the first broken link where it does not hold."""
    with open_database(Settings()).read_session() as session:
        verdict = verify_journal(session, plan_chain(plan) if plan else None)
    for broken in verdict.breaks:
        err.print(f"[bold red]Broken[/]: {escape(str(broken))}", highlight=False, soft_wrap=True)
    if verdict.breaks:
        raise typer.Exit(1)
    out.print(f"The journal holds: {verdict.rows:,} rows in {verdict.chains:,} chains.", highlight=False)


@reference.command("load")
def load() -> None:
    """Load the reference data that this version ships; what is there already stays as it is."""
    load_shipped_reference(open_database(Settings()), out)


@cli.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The matrix: .xlsx or .csv.")],
    plan: Annotated[str, typer.Option(help="Key of the plan, such as 63.02-2025.")],
    basis: Annotated[str | None, typer.Option(help="What Sem.1 and Sem.2 hold: cumulative or period.")] = None,
    accept: Annotated[list[str] | None, typer.Option(help="free_text, totals; repeatable.")] = None,
    new_agencies: Annotated[bool, typer.Option(help="Create agencies that the region does not have.")] = False,
    sheet: Annotated[str | None, typer.Option(help="Sheet; the first with the header if not given.")] = None,
    resolutions: Annotated[Path | None, typer.Option(exists=True, help="JSON file with a list of resolutions.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Do all of it, say what would be, keep nothing.")] = False,
) -> None:
    """Import the matrix into a plan that exists: all of it or nothing."""
    report = import_file(
        open_database(Settings()), file, plan, basis=basis, accept=accept or [], new_agencies=new_agencies, sheet=sheet,
        resolutions=resolutions.read_text() if resolutions else "[]", dry_run=dry_run,
    )
    show_report(report, dry_run=dry_run)


def show_report(report: ImportReport, *, dry_run: bool = False) -> None:
    out.print(
        f"{'Would import' if dry_run else 'Imported'} {report.lines} lines into {report.plan}: {report.created} created, "
        f"{report.updated} updated, {report.unchanged} unchanged; allocation Rp {report.allocation:,}."
    )
    for one in report.progress:
        out.print(f"  {one.period}: {one.created} reports created, {one.updated} updated, {one.unchanged} unchanged.")
    for code, count in sorted(Counter(finding.code for finding in report.findings).items()):
        out.print(f"  finding {code}: {count}")
    for code, count in sorted(Counter(warning.code for warning in report.warnings).items()):
        out.print(f"  warning {code}: {count}")


@cli.command()
def demo() -> None:
    """Set up a database with a real regency's plan and serve it, ready to try."""
    run_demo(Settings(), out)


@tokens.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the token: a service or a position, never a person.")],
    role: Annotated[
        list[str], typer.Option(help="ROLE@REGION or operator@REGION/AGENCY, such as secretariat@63.02; repeatable.")
    ],
    scope: Annotated[list[TokenScope], typer.Option(help="What the token is limited to; repeatable.")] = [  # noqa: B006
        TokenScope.read
    ],
    principal: Annotated[str | None, typer.Option(help="Whose token it is; the token's name if not given.")] = None,
    days: Annotated[int, typer.Option(min=1, max=730, help="Days until it expires.")] = 365,
    network: Annotated[list[str] | None, typer.Option(help="Network it may come from (CIDR); repeatable.")] = None,
) -> None:
    """Create a token and print its secret, which is shown only now."""
    database = open_database(Settings())
    author = console_author()
    with database.writing() as session:
        secret = create_token(
            session, author, name=name, principal=principal or name, grants=[_grant(text) for text in role],
            scopes=scope, expires_at=author.at + timedelta(days=days), networks=network or [],
        )
    typer.echo(secret)


def _grant(text: str) -> Grant:
    role, _, place = text.partition("@")
    region, _, agency = place.partition("/")
    if role not in set(Role) or not region:
        raise typer.BadParameter(f"{text}: use ROLE@REGION with ROLE one of {', '.join(Role)}")
    return Grant(Role(role), region, agency or None)


@tokens.command("list")
def list_() -> None:
    """Tokens, whose they are, what they may do, until when."""
    grid = Grid("token", "principal", "scopes", "expires", "state")
    now = datetime.now(UTC)
    with open_database(Settings()).read_session() as session:
        for token in list_tokens(session):
            state = "revoked" if token.revoked_at else "expired" if token.expires_at <= now else "valid"
            grid.add_row(token.name, token.principal, " ".join(token.scopes), f"{token.expires_at:%Y-%m-%d}", state)
    out.print(grid)


@tokens.command("revoke")
def revoke(name: str) -> None:
    """End a token at once."""
    with open_database(Settings()).writing() as session:
        revoke_token(session, console_author(), name=name)
    out.print(f"{name} is revoked.")


def main() -> None:
    """Entry point: a problem is one readable message and exit code 1, never a traceback."""
    try:
        cli()
    except ValidationError as invalid:
        prefix = "RATA_" if invalid.title == Settings.__name__ else ""
        for wrong in invalid.errors(include_url=False, include_input=False):  # the value may hold a password
            name = "/".join(str(part) for part in wrong["loc"])
            err.print(f"[bold red]{prefix + name.upper() if prefix else name}[/]: {wrong['msg']}", highlight=False)
        sys.exit(1)
    except OperationalError as refused:
        err.print("[bold red]The database cannot be used[/]:", str(refused.orig).strip(), highlight=False)
        sys.exit(1)
    except Problem as problem:
        shown = problem.shown("en", base="", instance="", request_id=None)
        err.print(f"[bold red]{shown.title}[/]: {shown.detail}")
        errors = shown.errors or []
        for error in errors[:SHOWN_ERRORS]:
            place = error.cell and f"{error.cell.sheet}!{error.cell.column}{error.cell.row}"
            err.print(f"  {place or error.pointer or error.parameter or ''}: {error.message}", highlight=False)
        if len(errors) > SHOWN_ERRORS:
            err.print(f"  … and {len(errors) - SHOWN_ERRORS} more.")
        sys.exit(1)
