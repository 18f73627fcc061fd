"""`rata`: what an operator does on the server itself; and the client's commands, for any machine."""

import ipaddress
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from opentelemetry.trace import Tracer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from app.access.commands import enrol
from app.access.models import Role, TokenScope
from app.access.queries import list_principals, list_tokens
from app.access.rules import Grant
from app.access.tokens import create_token, revoke_token
from app.agencies.queries import agencies_by_code
from app.changes.queries import verify_journal
from app.changes.webhooks.commands import reseal_secrets
from app.changes.webhooks.sealing import sealer_of
from app.changes.webhooks.sending import Sender
from app.changes.webhooks.worker import Worker
from app.client.cli import client
from app.client.shapes import SHAPES
from app.convergence.indicators.models import CodeSystem, TableQuery
from app.demo import run_demo
from app.exchange.models import Acceptance, Basis, ImportQuery, ImportReport, settled
from app.exchange.pulls.models import client_shapes
from app.kit.db import Database
from app.kit.openapi import COMMITTED, document_bytes
from app.kit.problems import Conflict, NotFound, Problem
from app.logs import configure_logs
from app.main import VERSION, check_schema, create_app
from app.plans.commands import plan_chain
from app.reference.queries import is_region
from app.serving import run
from app.settings import Settings
from app.setup import (
    console_author,
    import_file,
    import_table,
    load_shipped_reference,
    open_database,
    upgrade_schema,
)

cli = typer.Typer(
    name="rata",
    help="Rencana Aksi Tahunan (RAT) as data. Settings are environment variables RATA_*; "
    "RATA_DATABASE_URL says which database.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
tokens = typer.Typer(help="Service tokens: create, list, revoke.", no_args_is_help=True)
principals = typer.Typer(
    help="Services and positions: enrol who holds a position, list them.", no_args_is_help=True
)
reference = typer.Typer(help="Reference data: regions, nomenclature, funding sources.", no_args_is_help=True)
cli.add_typer(client)
cli.add_typer(principals, name="principal")
cli.add_typer(tokens, name="token")
cli.add_typer(reference, name="reference")

out, err = Console(), Console(stderr=True)
SHOWN_ERRORS = 20


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    found = open_database(Settings())
    upgrade_schema(found)
    out.print(f"The database is at revision {found.schema_state()[0]}.", highlight=False)


@cli.command()
def serve() -> None:
    """Serve on RATA_HOST:RATA_PORT with RATA_WORKERS processes; stops gracefully on SIGTERM."""
    settings = Settings()
    # Each worker checks it too, but says it in the middle of a traceback.
    found = open_database(settings)
    check_schema(found)
    found.close()
    run(settings)


@cli.command()
def deliver(
    once: Annotated[
        bool, typer.Option("--once", help="Send what is due now and end: for a cron line.")
    ] = False,
) -> None:
    """Tell webhooks that the feed has something new, until SIGTERM or Ctrl-C. Several may run."""
    settings = Settings()
    configure_logs(settings.log_format)
    sender = Sender(allow_loopback=settings.webhooks_allow_loopback)
    found = database()
    with traced(settings, found) as tracer:
        worker = Worker(found, sealer_of(settings), sender, tracer=tracer)
        if once:
            out.print(f"{worker.until_idle()} attempts.", highlight=False)
            return
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        worker.run(stopped)


@contextmanager
def traced(settings: Settings, database: Database) -> Iterator[Tracer | None]:
    """The tracer of a command that works by itself, where traces are switched on."""
    if not settings.traces:
        yield None
        return
    from app.kit.traces import Traces

    traces = Traces(VERSION)
    traces.watch(database)
    try:
        yield traces.tracer
    finally:
        traces.close()


@cli.command()
def reseal() -> None:
    """Seal the secrets of webhooks by the first key of RATA_SECRETS_KEY, so that the others can go."""
    with database().writing() as session:
        done, lost = reseal_secrets(session, sealer_of(Settings()))
    out.print(f"{done} secrets sealed anew.", highlight=False)
    if lost:
        raise Refused(f"No key opens the secrets of {', '.join(lost)}: create others.")


@cli.command()
def openapi(
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Write openapi/rata.v1.json, and the client's shapes of it, instead of printing."
        ),
    ] = False,
) -> None:
    """The OpenAPI document that this version serves."""
    document = document_bytes(create_app(Settings()))
    if write:
        for file, content in ((COMMITTED, document), (SHAPES, client_shapes())):
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
            out.print(f"Wrote {file.relative_to(COMMITTED.parents[1])}.")
    else:
        sys.stdout.buffer.write(document)


@cli.command()
def verify(
    plan: Annotated[
        str | None, typer.Option(help="Key of a plan, such as 63.02-2025: only its chain.")
    ] = None,
) -> None:
    """Recompute the journal's hashes and look for gaps; exit code 1 and the first broken link if it is not whole."""
    with database().read_session() as session:
        try:
            verdict = verify_journal(session, plan_chain(plan) if plan else None)
        except NotFound:
            raise Refused(f"Nothing was ever written to a plan {plan}.") from None
    for broken in verdict.breaks:
        err.print(f"[bold red]Broken[/]: {escape(str(broken))}", highlight=False, soft_wrap=True)
    if verdict.breaks:
        raise typer.Exit(1)
    out.print(f"The journal holds: {verdict.rows:,} rows in {verdict.chains:,} chains.", highlight=False)


@reference.command("load")
def load() -> None:
    """Load the reference data that this version ships; what is there already stays as it is."""
    load_shipped_reference(database(), out)


@cli.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The matrix: .xlsx or .csv.")
    ],
    plan: Annotated[str, typer.Option(help="Key of the plan, such as 63.02-2025.")],
    basis: Annotated[Basis | None, typer.Option(help="What Sem.1 and Sem.2 hold.")] = None,
    accept: Annotated[
        list[Acceptance] | None,
        typer.Option(
            help="free_text: sub-activities without a code; totals: that contradict the basis. Repeatable."
        ),
    ] = None,
    new_agencies: Annotated[
        bool, typer.Option("--new-agencies", help="Create agencies that the region does not have.")
    ] = False,
    sheet: Annotated[str | None, typer.Option(help="Sheet; the first with the header if not given.")] = None,
    resolutions: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="JSON file: a list of resolutions."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do all of it, say what would be, keep nothing.")
    ] = False,
    all_errors: Annotated[
        bool, typer.Option("--all-errors", help=f"Show every error, not {SHOWN_ERRORS}.")
    ] = False,
) -> None:
    """Import the matrix into a plan that exists: all of it or nothing."""
    query = ImportQuery(
        basis=basis, accept=accept or [], new_agencies="create" if new_agencies else "refuse", sheet=sheet
    )
    known = settled(resolutions.read_bytes()) if resolutions else []
    try:
        report = import_file(database(), file, plan, query, known, dry_run=dry_run)
    except NotFound:
        raise Refused(f"There is no plan {plan}.") from None
    except Problem as problem:
        show_problem(problem, most=None if all_errors else SHOWN_ERRORS)
        raise typer.Exit(1) from None
    show_report(report, dry_run=dry_run)


def show_report(report: ImportReport, *, dry_run: bool = False) -> None:
    out.print(
        f"{'Would import' if dry_run else 'Imported'} {report.lines} lines into {report.plan}: "
        f"{report.created} created, {report.updated} updated, {report.unchanged} unchanged; "
        f"allocation Rp {report.allocation:,}.",
        soft_wrap=True,
    )
    if report.agencies_created:
        out.print(f"  {len(report.agencies_created)} agencies created")
    if report.absent:
        out.print(f"  not in the file, left as they are: {', '.join(report.absent)}", soft_wrap=True)
    for one in report.progress:
        out.print(
            f"  {one.period}: {one.created} reports created, {one.updated} updated, {one.unchanged} unchanged."
        )
    for code, count in sorted(Counter(finding.code for finding in report.findings).items()):
        out.print(f"  finding {code}: {count}")
    for code, count in sorted(Counter(warning.code for warning in report.warnings).items()):
        out.print(f"  warning {code}: {count}")


@cli.command()
def import_observations(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="A table of BPS: .xlsx or .csv."),
    ],
    code_system: Annotated[CodeSystem, typer.Option(help="Whose region codes the file has.")],
    period: Annotated[
        str | None, typer.Option(help="Year 2021 or half-year 2021-S1, where the file does not say it.")
    ] = None,
    indicator: Annotated[str | None, typer.Option(help="Indicator, where the file does not say it.")] = None,
    source: Annotated[
        str | None, typer.Option(help="The publisher's table; the file's name if not given.")
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet; the first visible one if not given.")] = None,
    skip: Annotated[
        list[str] | None, typer.Option(help="Header of a column to leave out; repeatable.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do all of it, say what would be, keep nothing.")
    ] = False,
) -> None:
    """Import a publisher's table of outcome indicators: all of it or nothing."""
    query = TableQuery(
        code_system=code_system,
        period=period,
        indicator=indicator,
        source=source,
        sheet=sheet,
        skip=skip or [],
    )
    done = import_table(database(), file, query, dry_run=dry_run)
    out.print(
        f"{'Would import' if dry_run else 'Imported'} {done.created + done.updated + done.unchanged} observations: "
        f"{done.created} created, {done.updated} updated, {done.unchanged} unchanged.",
        soft_wrap=True,
    )
    for one in done.series:
        total = one.created + one.updated + one.unchanged
        out.print(f"  {one.indicator} {one.period}: {total}, of these {one.symbols} symbols", highlight=False)


@cli.command()
def demo() -> None:
    """Set up a database with a real regency's plan and serve it, ready to try."""
    run_demo(Settings(), out)


@tokens.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the token: a service or a position, never a person.")],
    role: Annotated[
        list[str],
        typer.Option(help="ROLE@REGION or operator@REGION/AGENCY, such as secretariat@63.02; repeatable."),
    ],
    scope: Annotated[list[TokenScope], typer.Option(help="What the token is limited to; repeatable.")] = [  # noqa: B006
        TokenScope.read
    ],
    principal: Annotated[
        str | None, typer.Option(help="Whose token it is; the token's name if not given.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=730, help="Days until it expires.")] = 365,
    network: Annotated[
        list[str] | None, typer.Option(help="Network it may come from (CIDR); repeatable.")
    ] = None,
) -> None:
    """Create a token and print its secret, which is shown only now."""
    grants = [_grant(text) for text in role]
    networks = [_network(text) for text in network or []]
    author = console_author()
    with database().writing() as session:
        for grant in grants:
            _check_place(session, grant)
        try:
            secret = create_token(
                session,
                author,
                name=name,
                principal=principal or name,
                grants=grants,
                scopes=scope,
                expires_at=author.at + timedelta(days=days),
                networks=networks,
            )
        except Conflict:
            raise Refused(f"There is a token named {name} already; names are not used again.") from None
    typer.echo(secret)


def _grant(text: str) -> Grant:
    role, _, place = text.partition("@")
    region, _, agency = place.partition("/")
    if role not in set(Role) or not region:
        raise typer.BadParameter(
            f"{text}: use ROLE@REGION with ROLE one of {', '.join(Role)}", param_hint="--role"
        )
    if agency and role != Role.operator:
        raise typer.BadParameter(f"{text}: only an operator is of one agency", param_hint="--role")
    return Grant(Role(role), region, agency or None)


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise typer.BadParameter(f"{error}; use 10.0.0.0/8 or 192.0.2.7", param_hint="--network") from None


def _check_place(session: Session, grant: Grant) -> None:
    """A region that does not exist is a slip; an agency may follow later, with the first import."""
    if not is_region(session, "0"):
        raise Refused("The reference data is not loaded. Run: rata reference load")
    if not is_region(session, grant.region):
        raise Refused(
            f"There is no region {grant.region}. Kemendagri codes: 0 the nation, 63 a province, 63.02 a regency."
        )
    if grant.agency and not agencies_by_code(session, grant.region, [grant.agency]):
        err.print(f"Note: {grant.region} has no agency {grant.agency} yet.", highlight=False, soft_wrap=True)


@tokens.command("list")
def list_() -> None:
    """Tokens, whose they are, what they may do, until when."""
    grid = Grid("token", "principal", "scopes", "expires", "state", "last used")
    now = datetime.now(UTC)
    with database().read_session() as session:
        for token in list_tokens(session):
            state = "revoked" if token.revoked_at else "expired" if token.expires_at <= now else "valid"
            used = f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never"
            until = f"{token.expires_at:%Y-%m-%d}"
            grid.add_row(token.name, token.principal, " ".join(token.scopes), until, state, used)
    out.print(grid)


@tokens.command("revoke")
def revoke(name: Annotated[str, typer.Argument(help="Name of the token.")]) -> None:
    """End a token at once."""
    with database().writing() as session:
        try:
            revoke_token(session, console_author(), name=name)
        except NotFound:
            raise Refused(f"There is no token named {name} that could be revoked.") from None
    out.print(f"{name} is revoked.")


@principals.command("enrol")
def enrol_(
    name: Annotated[str, typer.Argument(help="Name of the service or the position, never of a person.")],
    role: Annotated[
        list[str],
        typer.Option(help="ROLE@REGION or operator@REGION/AGENCY, such as chair@63.02; repeatable."),
    ],
    subject: Annotated[
        str | None,
        typer.Option(
            help="Identifier that the issuer has for whoever holds the position; kept if not given."
        ),
    ] = None,
) -> None:
    """Give a principal exactly these roles, and the position to a person of the OIDC issuer."""
    grants = [_grant(text) for text in role]
    issuer = Settings().oidc_issuer
    if subject is not None and issuer is None:
        raise Refused("A subject is one of an issuer: set RATA_OIDC_ISSUER first.")
    identity = (issuer, subject) if issuer is not None and subject is not None else None
    with database().writing() as session:
        for grant in grants:
            _check_place(session, grant)
        try:
            enrol(session, console_author(), principal=name, grants=grants, identity=identity)
        except Conflict:
            raise Refused("That subject holds another position already.") from None
    out.print(f"{name} is enrolled.", highlight=False)


@principals.command("list")
def list_principals_() -> None:
    """Services and positions, whether a person holds them, their roles, their homes."""
    grid = Grid("principal", "home", "held by", "roles")
    with database().read_session() as session:
        for principal, grants in list_principals(session):
            roles = [f"{g.role}@{g.region}" + (f"/{g.agency}" if g.agency else "") for g in grants]
            held = "a person" if principal.subject else "tokens"
            grid.add_row(principal.name, principal.region_code, held, " ".join(roles))
    out.print(grid)


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


def main() -> None:
    """Entry point: what went wrong is a readable message and exit code 1, never a traceback."""
    try:
        cli()
    except Problem as problem:
        show_problem(problem)
    except Refused as refused:
        say_wrong(str(refused))
    except ValidationError as invalid:
        prefix = "RATA_" if invalid.title == Settings.__name__ else ""
        for wrong in invalid.errors(include_url=False, include_input=False):  # the value may hold a password
            name = prefix + "_".join(map(str, wrong["loc"]))
            say_wrong(f"{name.upper() if prefix else name}: {wrong['msg']}")
    except OperationalError as unusable:
        say_wrong(f"The database cannot be used: {str(unusable.orig).strip()}")
    else:
        return
    sys.exit(1)
