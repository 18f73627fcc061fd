"""`rata`: what an operator does on the server itself."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from alembic import command
from rich.console import Console
from rich.table import Table as Grid

from app.access.commands import create_token, revoke_token
from app.access.models import Role, TokenScope
from app.access.queries import list_tokens
from app.access.rules import CONSOLE, Grant
from app.kit.db import Database, alembic_config
from app.kit.journal import Author
from app.kit.openapi import COMMITTED, document_bytes
from app.kit.problems import Problem
from app.settings import Settings

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


def open_database(settings: Settings) -> Database:
    """The database of the settings; a folder of a SQLite file is made where it is missing."""
    database = Database(settings.database_url, pool_size=settings.database_pool)
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    return database


def console_author() -> Author:
    return Author(CONSOLE.token, datetime.now(UTC))


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = Settings()
    open_database(settings).close()
    command.upgrade(alembic_config(settings.database_url), "head")
    database = Database(settings.database_url)
    out.print(f"The database is at revision {database.schema_state()[0]}.")
    database.close()


@cli.command()
def serve() -> None:
    """Serve on RATA_HOST:RATA_PORT with RATA_WORKERS processes; stops gracefully on SIGTERM."""
    from app.serving import run

    run(Settings())


@cli.command()
def openapi(
    write: Annotated[bool, typer.Option("--write", help="Write openapi/rata.v1.json instead of printing.")] = False,
) -> None:
    """The OpenAPI document that this version serves."""
    from app.main import create_app

    document = document_bytes(create_app(Settings(database_url="sqlite://")))
    if write:
        COMMITTED.parent.mkdir(exist_ok=True)
        COMMITTED.write_bytes(document)
        out.print(f"Wrote {COMMITTED.relative_to(COMMITTED.parents[1])}.")
    else:
        sys.stdout.buffer.write(document)


@reference.command("load")
def load() -> None:
    """Load the reference data that this version ships; what is there already stays as it is."""
    from app.setup import load_shipped_reference

    load_shipped_reference(open_database(Settings()), out)


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
    print(secret)


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
    except Problem as problem:
        shown = problem.shown("en", base="", instance="", request_id=None)
        err.print(f"[bold red]{shown.title}[/]: {shown.detail}")
        for error in shown.errors or []:
            place = error.cell and f"{error.cell.sheet}!{error.cell.column}{error.cell.row}"
            err.print(f"  {place or error.pointer or error.parameter or ''}: {error.message}", highlight=False)
        sys.exit(1)
