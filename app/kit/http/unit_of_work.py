"""The unit of work of a request: its sessions, and the one transaction that commits before the response leaves."""

from datetime import UTC, datetime

import anyio
import anyio.to_thread
from sqlmodel import Session
from starlette.responses import Response

from app.kit.database.engine import Database, finish
from app.kit.database.journal import SENT_NUMBERS
from app.kit.http.bodies import HouseRequest
from app.kit.http.idempotency import Attempt
from app.kit.http.validation import unknown_value
from app.kit.problems import BadRequest, FieldError

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class UnitOfWork:
    """The unit of work of a request: at most one write and one read session, which the route ends."""

    def __init__(self, request: HouseRequest) -> None:
        self.database: Database = request.app.state.database
        self.request = request
        self.now = datetime.now(UTC)
        self.is_write = request.method in WRITES
        self.dry_run = self.is_write and _read_flag(request, "dry_run")
        self.attempt: Attempt | None = None
        self.call: object | None = None
        """The actor of the request, after its authentication."""
        self._read: Session | None = None
        self._write: Session | None = None

    @property
    def reading(self) -> Session:
        """The read session; a write uses it for reads outside its transaction."""
        if self._read is None:
            self._read = self.database.read_session()
        return self._read

    @property
    def session(self) -> Session:
        """The session of the work itself.

        A write's transaction begins at its first statement, in the endpoint's thread: a request that waits for
        a thread must not hold the lock of the writers.
        """
        if not self.is_write:
            return self.reading
        if self._write is None:
            self._write = self.database.write_session()
            self._write.info[SENT_NUMBERS] = self.request.numbers
        return self._write

    def rest(self) -> None:
        """Return the read connection to the pool.

        A request that waits for a thread must not hold a connection that requests with a thread wait for.
        """
        if self._read is not None:
            self._read.close()

    def keep(self, response: Response) -> None:
        """Commit the write, if any, with its stored reply; roll back a dry run."""
        if self._write is None:
            return
        if self.attempt and not self.dry_run:
            self.attempt.store(self._write, response, self.now)
        finish(self._write, dry_run=self.dry_run)

    async def end(self) -> None:
        """Close the sessions. A worker thread, not the event loop, waits for the rollback of a write."""
        if self._write is not None and self._write.in_transaction():
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._write.close, limiter=anyio.CapacityLimiter(1))
        self.close()

    def close(self) -> None:
        if self._write is not None:
            self._write.close()
        self.rest()
        if self.attempt:
            self.attempt.end()


def _read_flag(request: HouseRequest, name: str) -> bool:
    value = request.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise BadRequest(
            errors=[FieldError(unknown_value, parameter=name, value=value, allowed=["true", "false"])]
        )
    return value == "true"
