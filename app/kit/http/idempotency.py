"""`Idempotency-Key` on POST: a retry with its key and body gets the reply that the write stored."""

import hashlib
import re
import threading
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session
from starlette.responses import Response

from app.kit.database.engine import Table, get_table
from app.kit.problems import BadRequest, FieldError, Kind, Problem
from app.kit.wording import Text

LIFETIME = timedelta(hours=24)
"""Lifetime of a stored reply."""

malformed_key = Kind(
    "malformed_idempotency_key",
    id="harus 1 sampai 200 karakter ASCII yang dapat dicetak",
    en="must be 1 to 200 printable ASCII characters",
)


class KeyReused(Problem):
    status = 422
    code = "idempotency_key_reused"
    title = Text("Kunci dipakai ulang", "Key reused")
    detail = Text(
        "Idempotency-Key ini sudah dipakai untuk permintaan lain. Pakai kunci baru.",
        "This Idempotency-Key was used for another request. Use a new key.",
    )


class StillRunning(Problem):
    status = 409
    code = "idempotency_running"
    title = Text("Masih berjalan", "Still running")
    detail = Text(
        "Permintaan dengan Idempotency-Key ini masih berjalan. Coba lagi sesaat lagi.",
        "A request with this Idempotency-Key is still running. Try again in a moment.",
    )


class StoredReply(Table, table=True):
    """The reply to a POST, which the transaction of its write stores."""

    __tablename__ = "stored_reply"

    principal: str = Field(primary_key=True, max_length=80)
    key: str = Field(primary_key=True, max_length=200)
    request_hash: str = Field(max_length=64)
    status: int
    headers: dict[str, str] = Field(sa_type=sa.JSON)
    body: bytes
    at: datetime = Field(index=True)


class Replay(Exception):
    """A stored reply, which ends a request that has run before."""

    def __init__(self, response: Response) -> None:
        self.response = response


_running: set[tuple[str, str]] = set()
_guard = threading.Lock()


def strip_boundary(content_type: str, body: bytes) -> bytes:
    """Return a body without the boundary of its form, which clients choose again for each retry."""
    boundary = re.search(r'boundary="?([^";,]+)', content_type)
    return body.replace(boundary[1].encode("latin-1"), b"") if boundary else body


class Attempt:
    """One POST with a key: `begin` looks it up, `store` stores its reply, `end` releases it."""

    def __init__(self, principal: str, key: str, *, method: str, path: str, query: str, body: bytes) -> None:
        if not (1 <= len(key) <= 200 and key.isascii() and key.isprintable()):
            raise BadRequest(errors=[FieldError(malformed_key, header="Idempotency-Key", value=key)])
        self.principal, self.key = principal, key
        self.request_hash = hashlib.sha256(f"{method} {path}?{query}\n".encode() + body).hexdigest()
        self._is_running = False

    def begin(self, session: Session, now: datetime) -> None:
        """Raise Replay if the request ran before, StillRunning if it runs now, KeyReused if another one has its key."""
        with _guard:
            if (self.principal, self.key) in _running:
                raise StillRunning(headers={"Retry-After": "1"})
            _running.add((self.principal, self.key))
            self._is_running = True
        stored = session.get(StoredReply, (self.principal, self.key))
        if stored is None or stored.at < now - LIFETIME:
            return
        if stored.request_hash != self.request_hash:
            raise KeyReused()
        raise Replay(Response(stored.body, stored.status, {**stored.headers, "Idempotency-Replayed": "true"}))

    def store(self, session: Session, response: Response, now: datetime) -> None:
        """Store the reply in the transaction of the write. Raises StillRunning if a concurrent request stored one."""
        table = get_table(StoredReply)
        session.execute(sa.delete(table).where(table.c.at < now - LIFETIME))
        kept = {
            name: value
            for name, value in response.headers.items()
            if name in ("content-type", "content-language", "etag", "location")
        }
        session.add(
            StoredReply(
                principal=self.principal,
                key=self.key,
                request_hash=self.request_hash,
                status=response.status_code,
                headers=kept,
                body=bytes(response.body),
                at=now,
            )
        )
        try:
            session.flush()
        except IntegrityError as error:
            raise StillRunning(headers={"Retry-After": "1"}) from error

    def end(self) -> None:
        if self._is_running:
            with _guard:
                _running.discard((self.principal, self.key))
