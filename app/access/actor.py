"""A call: a request of somebody who is known, or anybody's where that is open. Every route under /v1 takes one;
there is no other way in.
"""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import anyio.to_thread
from fastapi import Depends, Response
from sqlmodel import Session

from app.access.commands import Uses, Write
from app.access.queries import Bearer, actor_of, person_of
from app.access.rules import Actor, Untrusted, anybody
from app.kit.database.journal import Author
from app.kit.http.anonymous import is_public, is_sent_without_token, let_in
from app.kit.http.bodies import HouseRequest
from app.kit.http.credentials import read_secret
from app.kit.http.idempotency import Attempt, body_hashed
from app.kit.http.pagination import Listing, PageQuery, read_page
from app.kit.http.precondition import Precondition
from app.kit.http.replies import answer_page
from app.kit.http.unit_of_work import Unit
from app.kit.problems import Problem, Text, Unauthenticated
from app.kit.server.rate_limit import Charge
from app.settings import Settings, words

if TYPE_CHECKING:
    from app.access.issuer import Issuer


class NotEnrolled(Problem):
    status = 403
    code = "not_enrolled"
    title = Text("Belum terdaftar", "Not enrolled")
    detail = Text(
        "Token Anda sah, tetapi belum ada jabatan untuk Anda di sini. Berikan pengenal ini kepada administrator "
        "wilayah Anda: {subject}",
        "Your token is authentic, but no position here is yours yet. Give this identifier to the administrator "
        "of your region: {subject}",
    )


class Call:
    """Who asks, in which unit of work."""

    __slots__ = ("_bearer", "actor", "request", "unit")

    def __init__(self, request: HouseRequest, unit: Unit, actor: Actor, bearer: Bearer | None) -> None:
        self.request, self.unit, self.actor, self._bearer = request, unit, actor, bearer

    @property
    def bearer(self) -> Bearer:
        """What the request came with; 401 where it came with nothing."""
        if self._bearer is None:
            raise _unauthenticated()
        return self._bearer

    @property
    def session(self) -> Session:
        return self.unit.session

    @property
    def now(self) -> datetime:
        return self.unit.now

    @property
    def author(self) -> Author:
        return Author(self.actor.token, self.unit.now, self.request.scope.get("request_id"))

    @property
    def write(self) -> Write:
        """The write that this request is, under its condition on one resource."""
        return Write(self.session, self.author, self.actor, Precondition.of(self.request))

    def answer_list(self, listing: Listing, query: PageQuery, *, sort: str) -> Response:
        """Answer with a page of a list that needs nothing else in its reply."""
        return answer_page(self.request, read_page(self.session, self.request, listing, query, sort=sort))

    @property
    def write_of_list(self) -> Write:
        """The write that this request is, under its condition on a list."""
        return Write(self.session, self.author, self.actor, Precondition.of(self.request, is_of_list=True))


def authenticate(request: HouseRequest) -> None:
    """Find out who asks, in a worker thread, once for each attempt: before a body is parsed, or an endpoint runs.

    Raises Unauthenticated without a valid token, unless the operation is public. Raises Replay to repeat a stored
    reply.
    """
    recognised(request).unit.rest()


async def authenticated(request: HouseRequest) -> Call:
    """The caller of this request (`authenticate`)."""
    unit: Unit = request.state.unit
    if unit.call is None:
        await anyio.to_thread.run_sync(authenticate, request)
    assert isinstance(unit.call, Call)
    return unit.call


def recognised(request: HouseRequest) -> Call:
    """The caller, found by a thread that goes on reading with the same connection."""
    unit: Unit = request.state.unit
    call = unit.call = _call_of(request, unit)
    return call


def _call_of(request: HouseRequest, unit: Unit) -> Call:
    opened = _opened(request)
    if opened and is_sent_without_token(request):
        let_in(request)
        return Call(request, unit, anybody(opened), None)
    bearer = _authenticate(request, unit)
    uses: Uses = request.app.state.uses
    uses.note(bearer, unit.now)
    key = request.headers.get("idempotency-key")
    if key is not None and request.method == "POST":
        body = body_hashed(request.headers.get("content-type", ""), request.content())
        attempt = Attempt(
            bearer.actor.principal,
            key,
            method=request.method,
            path=request.url.path,
            query=request.url.query,
            body=body,
        )
        if not unit.dry_run:  # a trial stores nothing, yet refuses what would be refused
            unit.attempt = attempt
            attempt.begin(unit.reading, unit.now)
    # Who sends a token sees at least what anybody does.
    actor = replace(bearer.actor, opened=opened) if opened else bearer.actor
    return Call(request, unit, actor, bearer)


def _unauthenticated() -> Unauthenticated:
    return Unauthenticated(headers={"WWW-Authenticate": 'Bearer realm="rata"'})


def _opened(request: HouseRequest) -> tuple[str, ...]:
    """The regions that are opened to the public in this operation."""
    settings: Settings = request.app.state.settings
    return tuple(words(settings.public_regions or "")) if is_public(request) else ()


def _authenticate(request: HouseRequest, unit: Unit) -> Bearer:
    """Return the owner of the request's token, and charge the request to its principal.

    Raises Unauthenticated at the expense of the client's address, TooManyFailures if that has none left.
    """
    secret, charge = read_secret(request.scope), _find_charge(request)
    if secret is None:
        raise _unauthenticated()
    with charge.look_up():
        bearer = _bearer(request, unit, secret)
        if bearer is None:
            raise _unauthenticated()
        charge.recognise(bearer.actor.principal)
    return bearer


def _find_charge(request: HouseRequest) -> Charge:
    """Return the account of the request, which the middleware of the budgets opened."""
    charge: Charge = request.scope["charge"]
    return charge


def _bearer(request: HouseRequest, unit: Unit, secret: str) -> Bearer | None:
    """Return the owner of a bearer token. Returns None if the token does not hold.

    Raises NotEnrolled for an authentic token of a person without a position, at the expense of that person.
    """
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None or secret.startswith("rata_") or secret.count(".") != 2:
        client = request.client.host if request.client else None
        return actor_of(unit.reading, secret, now=unit.now, client=client)
    try:
        claims = issuer.claims_of(secret)
    except Untrusted:
        return None
    subject: str = claims[issuer.subject_claim]
    person = person_of(unit.reading, claims, issuer=issuer.address, subject=subject)
    if person is None:
        _find_charge(request).recognise(f"{issuer.address} {subject}")
        raise NotEnrolled(subject=subject)
    return person


Caller = Annotated[Call, Depends(authenticated)]
