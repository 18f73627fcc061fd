"""Who may come in: service tokens, and who holds which position."""

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table as Grid
from sqlmodel import Session

from app.access.commands import enrol
from app.access.models import Role, TokenScope
from app.access.queries import list_principals, list_tokens
from app.access.rules import Grant
from app.access.tokens import create_token, revoke_token
from app.agencies.queries import agencies_by_code
from app.console.frame import Refused, database, err, out
from app.kit.problems import Conflict, NotFound
from app.opening import console_author
from app.reference.queries import is_region
from app.settings import Settings

cli = typer.Typer()
tokens = typer.Typer(help="Service tokens: create, list, revoke.", no_args_is_help=True)
principals = typer.Typer(
    help="Services and positions: enrol who holds a position, list them.", no_args_is_help=True
)
cli.add_typer(principals, name="principal")
cli.add_typer(tokens, name="token")

Roles = Annotated[
    list[str],
    typer.Option(help="ROLE@REGION or operator@REGION/AGENCY, such as secretariat@63.02; repeatable."),
]


@tokens.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the token: a service or a position, never a person.")],
    role: Roles,
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
    role: Roles,
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
