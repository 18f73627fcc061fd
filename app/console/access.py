"""Commands for access: service tokens, and the principals with roles."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from sqlmodel import Session

from app.access.commands import enrol
from app.access.models import PrincipalIn, TokenIn, TokenScope
from app.access.queries import has_administrator, list_principals, list_tokens
from app.access.rules import Grant
from app.access.tokens import create_token, revoke_token
from app.agencies.queries import find_agencies_by_code
from app.console.frame import (
    CommandRefused,
    choose,
    err,
    format_error,
    show,
    show_rows,
    take_number,
    use_database,
)
from app.kit.database.engine import Database
from app.kit.http.validation import validate
from app.kit.problems import Conflict, Invalid, NotFound
from app.reference.queries import is_region
from app.startup.configuration import load_settings
from app.startup.database import begin_console_write

cli = typer.Typer()
tokens = typer.Typer(help="Service tokens: create, list, revoke.", no_args_is_help=True)
principals = typer.Typer(
    help="Services and positions: give them roles and holders, list them.", no_args_is_help=True
)
cli.add_typer(principals, name="principal")
cli.add_typer(tokens, name="token")

Roles = Annotated[
    list[str],
    typer.Option(help="ROLE@REGION or operator@REGION/AGENCY, such as secretariat@63.02; repeatable."),
]
Scopes = Annotated[list[TokenScope], choose(TokenScope, "Scope of the token; repeatable.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")]

FIRST_ADMINISTRATOR = (
    "rata token create administrator --role administrator@0 "
    "--scope read --scope write --scope approve --scope administer"
)

_OPTIONS = {
    "key": "NAME",
    "memberships": "--role",
    "networks": "--network",
    "scopes": "--scope",
    "subject": "--subject",
}
"""Field or path parameter of the HTTP interface → the option or argument with its value."""


def show_first_steps(database: Database) -> None:
    """Print the command line that creates the first administrator, if the installation has none."""
    with database.read_session() as session:
        if has_administrator(session):
            return
        load = "" if is_region(session, "0") else "rata reference load && "
    show("There is no administrator yet. This command creates the first one and prints its token:")
    show(f"{load}{FIRST_ADMINISTRATOR}")


@contextmanager
def _report_options(**values: str | Sequence[str] | None) -> Iterator[None]:
    """Report a refusal by the rules of the HTTP interface as a wrong option; `values` are those of the options."""
    try:
        yield
    except Invalid as invalid:
        error = next(iter(invalid.errors))
        part, *place = (error.parameter or (error.pointer or "")[1:]).split("/")
        given = values.get(part)
        value = given[int(place[0])] if place and isinstance(given, list) else given or error.value
        message = format_error(error.render("en"))
        text = message if str(value) in message else f"{value}: {message}"
        raise typer.BadParameter(text, param_hint=_OPTIONS[part]) from None


@tokens.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the token: a service or a position, never a person.")],
    role: Roles,
    scope: Scopes = [TokenScope.read],  # noqa: B006
    principal: Annotated[
        str | None, typer.Option(help="Owner of the token. Default: a principal with the token's name.")
    ] = None,
    days: Annotated[
        int, typer.Option(parser=take_number(1, 730), metavar="DAYS", help="Days until it expires.")
    ] = 365,
    network: Annotated[
        list[str] | None, typer.Option(help="Network from which the token is valid (CIDR); repeatable.")
    ] = None,
) -> None:
    """Create a token and print its secret, which no later command shows."""
    with _report_options(memberships=role):
        grants = _read_grants(role)
        ends = datetime.now(UTC) + timedelta(days=days)
        limits = validate(TokenIn, {"scopes": scope, "networks": network or [], "expires_at": ends})
    with _report_options(), use_database().writing() as session:
        for grant in grants:
            _check_place(session, grant)
        try:
            secret = create_token(
                begin_console_write(session),
                name=name,
                principal=principal or name,
                grants=grants,
                content=limits,
            )
            typer.echo(secret)  # before the commit: if it fails, the transaction creates no token
        except Conflict:
            raise CommandRefused(
                f"A token named {name} exists already, and its name stays reserved. Choose another name."
            ) from None


def _read_grants(roles: Sequence[str], subject: str | None = None) -> list[Grant]:
    """Return the grants of the options. Raises BadParameter without a region, and Invalid for wrong values."""
    memberships = []
    for text in roles:
        role, _, place = text.partition("@")
        region, _, agency = place.partition("/")
        if not region:
            raise typer.BadParameter(f"{text}: use ROLE@REGION", param_hint="--role")
        memberships.append({"role": role, "region_code": region, "agency_code": agency or None})
    content = validate(PrincipalIn, {"region_code": "0", "subject": subject, "memberships": memberships})
    return [Grant(item.role, item.region_code, item.agency_code) for item in content.memberships]


def _check_place(session: Session, grant: Grant) -> None:
    """Raise Refused if the region of a grant is unknown; only note an unknown agency, which an import may create."""
    if not is_region(session, "0"):
        raise CommandRefused("The reference data is not loaded. Run: rata reference load")
    if not is_region(session, grant.region):
        raise CommandRefused(
            f"There is no region {grant.region}. Kemendagri codes: 0 the nation, 63 a province, 63.02 a regency."
        )
    if grant.agency and not find_agencies_by_code(session, grant.region, [grant.agency]):
        show(f"Note: {grant.region} has no agency {grant.agency} yet.", err)


@tokens.command("list")
def list_(as_json: AsJson = False) -> None:
    """List tokens with their owners, roles, scopes, networks and expiry."""
    now = datetime.now(UTC)
    with use_database().read_session() as session:
        rows = [
            {
                "name": token.name,
                "principal": principal.name,
                "memberships": _list_memberships(grants),
                "scopes": token.scopes,
                "networks": token.networks,
                "expires_at": token.expires_at,
                "state": "revoked" if token.revoked_at else "expired" if token.expires_at <= now else "valid",
                "last_used_at": token.last_used_at,
            }
            for token, principal, grants in list_tokens(session)
        ]
    _show_list(rows, as_json)


def _list_memberships(grants: Sequence[Grant]) -> list[dict[str, str | None]]:
    return [
        {"role": str(grant.role), "region_code": grant.region, "agency_code": grant.agency}
        for grant in grants
    ]


def _show_list(rows: Sequence[Mapping[str, object]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=2, default=datetime.isoformat))
    elif rows:
        head = [name.removesuffix("_at").replace("_", " ") for name in rows[0]]
        show_rows(head, [[_format_cell(value) for value in row.values()] for row in rows])


def _format_cell(value: object) -> str:
    match value:
        case None | []:
            return "-"
        case datetime():
            return f"{value:%Y-%m-%dT%H:%MZ}"
        case {"role": role, "region_code": region, "agency_code": agency}:
            return f"{role}@{region}" + (f"/{agency}" if agency else "")
        case list():
            return ",".join(map(_format_cell, value))
        case _:
            return str(value)


@tokens.command("revoke")
def revoke(name: Annotated[str, typer.Argument(help="Name of the token.")]) -> None:
    """End a token at once."""
    with use_database().writing() as session:
        try:
            revoke_token(begin_console_write(session), name=name)
        except NotFound:
            raise CommandRefused(f"There is no valid token named {name}.") from None
    show(f"{name} is revoked.")


@principals.command("enrol")
def enrol_(
    name: Annotated[str, typer.Argument(help="Name of the service or the position, never of a person.")],
    role: Roles,
    subject: Annotated[
        str | None,
        typer.Option(help="Identifier of the position's holder at the issuer. Default: unchanged."),
    ] = None,
) -> None:
    """Give a principal exactly these roles, and the position to a person of the OIDC issuer."""
    with _report_options(memberships=role, subject=subject):
        grants = _read_grants(role, subject)
    issuer = load_settings().oidc_issuer
    if subject is not None and issuer is None:
        raise CommandRefused("A subject belongs to an issuer. Set RATA_OIDC_ISSUER first.")
    identity = (issuer, subject) if issuer is not None and subject is not None else None
    with _report_options(), use_database().writing() as session:
        for grant in grants:
            _check_place(session, grant)
        try:
            enrol(begin_console_write(session), principal=name, grants=grants, identity=identity)
        except Conflict:
            raise CommandRefused("This subject holds another position already.") from None
    show(f"{name} is enrolled.")


@principals.command("list")
def list_principals_(as_json: AsJson = False) -> None:
    """List services and positions with their home regions, roles and kinds of holders."""
    with use_database().read_session() as session:
        rows = [
            {
                "name": principal.name,
                "home": principal.region_code,
                "held_by": "a person" if principal.subject else "tokens",
                "memberships": _list_memberships(grants),
            }
            for principal, grants in list_principals(session)
        ]
    _show_list(rows, as_json)
