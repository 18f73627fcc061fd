"""A call: an authenticated request. Every route under /v1 takes one; there is no other way in."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from sqlmodel import Session

from app.access.queries import actor_of
from app.access.rules import Actor
from app.kit.etags import check_conditions
from app.kit.idempotency import Attempt, body_hashed
from app.kit.journal import Author
from app.kit.problems import Unauthenticated
from app.kit.requests import Unit


class Call:
    """Who asks, in which unit of work."""

    __slots__ = ("actor", "expires_at", "request", "unit")

    def __init__(self, request: Request, unit: Unit, actor: Actor, expires_at: datetime) -> None:
        self.request, self.unit, self.actor, self.expires_at = request, unit, actor, expires_at

    @property
    def session(self) -> Session:
        return self.unit.session

    @property
    def now(self) -> datetime:
        return self.unit.now

    @property
    def author(self) -> Author:
        return Author(self.actor.token, self.unit.now, self.request.scope.get("request_id"))

    def check_version(self, current: int | None) -> None:
        """Hold a write to the request's conditions, given the version in force (None: not there)."""
        check_conditions(self.request, current)


def authenticated(request: Request) -> Call:
    """The caller of this request; 401 without a valid token. Repeats a stored reply where one is due."""
    call = recognised(request)
    call.unit.rest()
    return call


def recognised(request: Request) -> Call:
    """The same, for whoever goes on reading in the same thread."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    unit: Unit = request.state.unit
    client = request.client.host if request.client else None
    found = (
        actor_of(unit.reading, secret.strip(), now=unit.now, client=client)
        if scheme.lower() == "bearer"
        else None
    )
    if found is None:
        raise Unauthenticated(headers={"WWW-Authenticate": 'Bearer realm="rata"'})
    actor, expires_at = found
    key = request.headers.get("idempotency-key")
    if key is not None and request.method == "POST" and not unit.dry_run:
        body = body_hashed(request.headers.get("content-type", ""), getattr(request, "_body", b""))
        unit.attempt = Attempt(
            actor.principal,
            key,
            method=request.method,
            path=request.url.path,
            query=request.url.query,
            body=body,
        )
        unit.attempt.begin(unit.reading, unit.now)
    return Call(request, unit, actor, expires_at)


Caller = Annotated[Call, Depends(authenticated)]
