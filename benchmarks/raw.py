"""The limit: the statements that the service runs for a call, through psycopg, and nothing else.

When it starts, it asks the service itself, in this process, and notes the statements that carry the
answer (not those that find out who asks and whether anything changed). A request then runs these very
statements, prepared, with the same parameters, and passes their JSON through: no routing, no rights, no
validation, no entity tag, no log line. Where an answer is not JSON from the database (a summary), the
rows are fetched and only counted.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.engine import make_url

from app.kit.database.engine import Database
from app.main import create_app
from app.settings import Settings

Statement = tuple[str, Any]
Answers = dict[str, list[Statement]]

PREPARE_AFTER = 3


class Asked:
    """The service itself, asked once for each address."""

    def __init__(self, database: Database) -> None:
        self._one_at_a_time = threading.Lock()
        self._noted: list[Statement] = []
        event.listen(database.reads, "before_cursor_execute", self._note)
        self._database = database
        self._app = create_app(Settings(_env_file=None), database)
        self._client = TestClient(self._app)

    def _note(self, connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        self._noted.append((statement, parameters))

    def close(self) -> None:
        self._client.close()
        self._database.close()

    def statements(self, path: str, authorization: str) -> list[Statement]:
        """What it sends to the database for a GET of that caller: the statements of the answer itself."""
        headers = {"Authorization": authorization}
        with self._one_at_a_time:
            if "/scorecards" in path:  # what is computed once is kept: the limit is to read it by key
                self._client.get(path, headers=headers)
                self._app.state.figures_cache.write(self._database)
            self._noted.clear()
            reply = self._client.get(path, headers=headers)
            if reply.status_code != 200:
                raise RuntimeError(f"{path}: {reply.status_code} {reply.text[:500]}")
            return [(text, parameters) for text, parameters in self._noted if _answers(text)]


def query_plans(database: Database, requests: dict[str, bytes]) -> dict[str, list[str]]:
    """Name of a call → what PostgreSQL does for one of its requests: EXPLAIN ANALYZE of each statement, by lines."""
    asked, found = Asked(database), {}
    with database.engine.connect() as connection:
        for name, sent in requests.items():
            first, *fields = sent.decode().split("\r\n")
            authorization = next(one for one in fields if one.startswith("Authorization")).partition(": ")[2]
            found[name] = [
                line
                for text, given in asked.statements(first.split()[1], authorization)
                for (line,) in connection.exec_driver_sql(f"EXPLAIN (ANALYZE, SUMMARY) {text}", given)
            ]
    return found


def _answers(text: str) -> bool:
    """Whether a statement is part of the answer: not the token's, the plan's, nor the journal's head."""
    other = ("FROM token", "FROM journal_head", "WHERE plan.region_code")
    return text.startswith(("SELECT", "WITH")) and (
        "progress" in text or not any(words in text for words in other)
    )


def joined(rows: list[Any], limit: int) -> bytes:
    """The rows' JSON as the service's page has it."""
    return ('{"items":[' + ",".join(row[0] for row in rows[:limit]) + "]}").encode()


def application() -> Any:
    """The application of a worker process."""
    url = os.environ["RATA_DATABASE_URL"]
    database = Database(url)
    if database.is_sqlite:
        return _sqlite(database)
    return _postgres(database)


def _postgres(database: Database) -> Any:
    known: Answers = {}
    idle: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
    address = make_url(str(database.url)).set(drivername="postgresql").render_as_string(hide_password=False)
    opened = 0

    async def rows_of(statements: list[Statement]) -> list[list[Any]]:
        nonlocal opened
        if idle.empty() and opened < 10:
            opened += 1
            connection = await psycopg.AsyncConnection.connect(
                address, autocommit=True, prepare_threshold=PREPARE_AFTER, options="-c timezone=UTC"
            )
        else:
            connection = await idle.get()
        try:
            return [await (await connection.execute(text, given)).fetchall() for text, given in statements]
        finally:
            idle.put_nowait(connection)

    async def close() -> None:
        while not idle.empty():
            await idle.get_nowait().close()

    return _asgi(known, Asked(database), rows_of, close)


def _sqlite(database: Database) -> Any:
    known: Answers = {}
    connection = sqlite3.connect(str(database.url.database), check_same_thread=False)

    async def rows_of(statements: list[Statement]) -> list[list[Any]]:
        return [connection.execute(text, given).fetchall() for text, given in statements]

    async def close() -> None:
        connection.close()

    return _asgi(known, Asked(database), rows_of, close)


def _asgi(
    known: Answers,
    asked: Asked,
    rows_of: Callable[[list[Statement]], Awaitable[list[list[Any]]]],
    close: Callable[[], Awaitable[None]],
) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await close()
            asked.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        if path not in known:
            sent = dict(scope["headers"]).get(b"authorization", b"").decode()
            known[path] = await asyncio.to_thread(asked.statements, path, sent)
        found = await rows_of(known[path])
        if "/summaries" in path or "/scorecards" in path:
            body = str(sum(map(len, found))).encode()
        else:
            body = joined(found[-1], 100)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
