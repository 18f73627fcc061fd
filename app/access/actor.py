"""Authentication as a dependency. Every route under /v1 takes a `Caller`, so no route skips it.

A public operation also accepts a request without a token.
"""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import anyio.to_thread
from fastapi import Depends, Response
from sqlmodel import Session

from app.access.commands import LastUses, Write
from app.access.queries import Bearer, find_person_bearer, find_token_bearer
from app.access.rules import Actor, UntrustedToken, make_public_actor
from app.kit.database.journal import Author
from app.kit.http.anonymous import has_no_token, is_public, mark_public
from app.kit.http.bodies import HouseRequest
from app.kit.http.credentials import read_secret
from app.kit.http.idempotency import Attempt, strip_boundary
from app.kit.http.pagination import Listing, PageQuery, read_page
from app.kit.http.precondition import Precondition
from app.kit.http.replies import answer_page
from app.kit.http.unit_of_work import UnitOfWork
from app.kit.problems import Problem, Unauthenticated
from app.kit.server.rate_limit import Charge
from app.kit.wording import Text
from app.settings import Settings, split_words

if TYPE_CHECKING:
    from app.access.issuer import Issuer


class NotEnrolled(Problem):
    status = 403
    code = "not_enrolled"
    title = Text("Belum terdaftar", "Not enrolled")
    detail = Text(
        "Token Anda sah, tetapi Anda belum memiliki peran di layanan ini. Berikan pengenal ini "
        "kepada administrator wilayah Anda: “{subject}”.",
        "Your token is authentic, but you have no role in this service yet. Give this identifier to the "
        "administrator of your region: “{subject}”.",
    )


class RequestContext:
    """A request with its actor and its unit of work."""

    __slots__ = ("_bearer", "actor", "request", "unit")

    def __init__(self, request: HouseRequest, unit: UnitOfWork, actor: Actor, bearer: Bearer | None) -> None:
        self.request, self.unit, self.actor, self._bearer = request, unit, actor, bearer

    @property
    def bearer(self) -> Bearer:
        """Bearer of the request's token. Raises Unauthenticated if it has no token."""
        if self._bearer is None:
            raise _make_unauthenticated()
        return self._bearer

    @property
    def session(self) -> Session:
        return self.unit.session

    @property
    def now(self) -> datetime:
        return self.unit.now

    @property
    def author(self) -> Author:
        request_id = self.request.scope.get("request_id")
        return Author(self.actor.principal, self.unit.now, request_id, token=self.actor.token)

    @property
    def write(self) -> Write:
        """Write of this request, with its precondition on one resource."""
        return Write(self.session, self.author, self.actor, Precondition.of(self.request))

    def answer_list(self, listing: Listing, query: PageQuery, *, sort: str) -> Response:
        """Return the response for one page of a list."""
        return answer_page(self.request, read_page(self.session, self.request, listing, query, sort=sort))

    @property
    def write_of_list(self) -> Write:
        """Write of this request, with its precondition on a list."""
        return Write(self.session, self.author, self.actor, Precondition.of(self.request, is_of_list=True))


def authenticate(request: HouseRequest) -> None:
    """Authenticate the request in a worker thread, once for each attempt, before the endpoint or the body parser runs.

    Raises Unauthenticated without a valid token, unless the operation is public. Raises Replay if the idempotency
    key has a stored reply.
    """
    authenticate_in_thread(request).unit.rest()


async def get_caller(request: HouseRequest) -> RequestContext:
    """Return the call of this request; authenticate it if no attempt has yet."""
    unit: UnitOfWork = request.state.unit
    if unit.call is None:
        await anyio.to_thread.run_sync(authenticate, request)
    assert isinstance(unit.call, RequestContext)
    return unit.call


def authenticate_in_thread(request: HouseRequest) -> RequestContext:
    """Authenticate the request in this thread, which keeps its connection for the reads that follow."""
    unit: UnitOfWork = request.state.unit
    call = unit.call = _authenticate_call(request, unit)
    return call


def _authenticate_call(request: HouseRequest, unit: UnitOfWork) -> RequestContext:
    opened = _find_opened_regions(request)
    if opened and has_no_token(request):
        mark_public(request)
        return RequestContext(request, unit, make_public_actor(opened), None)
    bearer = _authenticate(request, unit)
    uses: LastUses = request.app.state.last_uses
    uses.note(bearer, unit.now)
    key = request.headers.get("idempotency-key")
    if key is not None and request.method == "POST":
        body = strip_boundary(request.headers.get("content-type", ""), request.content())
        attempt = Attempt(
            bearer.actor.principal,
            key,
            method=request.method,
            path=request.url.path,
            query=request.url.query,
            body=body,
        )
        if not unit.dry_run:  # a dry run has no reply worth repeating
            unit.attempt = attempt
            attempt.begin(unit.reading, unit.now)
    # A token never shows less than no token does.
    actor = replace(bearer.actor, opened=opened) if opened else bearer.actor
    return RequestContext(request, unit, actor, bearer)


def _make_unauthenticated() -> Unauthenticated:
    return Unauthenticated(headers={"WWW-Authenticate": 'Bearer realm="rata"'})


def _find_opened_regions(request: HouseRequest) -> tuple[str, ...]:
    """Return the public regions of the settings. Returns none if the operation is not public."""
    settings: Settings = request.app.state.settings
    return tuple(split_words(settings.public_regions or "")) if is_public(request) else ()


def _authenticate(request: HouseRequest, unit: UnitOfWork) -> Bearer:
    """Return the bearer of the request's token, and charge the request to its principal.

    Raises Unauthenticated, charged to the client's address; TooManyFailures if that has no failures left.
    """
    secret, charge = read_secret(request.scope), _find_charge(request)
    if secret is None:
        raise _make_unauthenticated()
    with charge.look_up():
        bearer = _find_bearer(request, unit, secret)
        if bearer is None:
            raise _make_unauthenticated()
        charge.recognise(bearer.actor.principal)
    return bearer


def _find_charge(request: HouseRequest) -> Charge:
    charge: Charge = request.scope["charge"]
    return charge


def _find_bearer(request: HouseRequest, unit: UnitOfWork, secret: str) -> Bearer | None:
    """Return the bearer of a token. Returns None if the token is not valid.

    Raises NotEnrolled for an authentic token of a person without a position, charged to that person.
    """
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None or secret.startswith("rata_") or secret.count(".") != 2:
        client = request.client.host if request.client else None
        return find_token_bearer(unit.reading, secret, now=unit.now, client=client)
    try:
        claims = issuer.verify_token(secret)
    except UntrustedToken:
        return None
    subject: str = claims[issuer.subject_claim]
    person = find_person_bearer(unit.reading, claims, issuer=issuer.address, subject=subject)
    if person is None:
        _find_charge(request).recognise(f"{issuer.address} {subject}")
        raise NotEnrolled(subject=subject)
    return person


Caller = Annotated[RequestContext, Depends(get_caller)]
