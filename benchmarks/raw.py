"""The limit: only the statements of the service for a call, through psycopg.

The first request of an address calls the service in this process and notes the statements of the reply, without those
of authentication and ETags. Each request then executes these statements, prepared, with the same parameters, and
returns their JSON, without routing, rights, validation, ETag or log line. For replies that are no JSON of the database
(a summary) it fetches and counts the rows.
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


class StatementSource:
    """The service, which it calls once for each address to note the statements."""

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

    def list_statements(self, path: str, authorization: str) -> list[Statement]:
        """Return the statements of the reply to a GET."""
        headers = {"Authorization": authorization}
        with self._one_at_a_time:
            if "/scorecards" in path:  # the limit is to read the cached scorecard by key
                self._client.get(path, headers=headers)
                self._app.state.figures_cache.write(self._database)
            self._noted.clear()
            reply = self._client.get(path, headers=headers)
            if reply.status_code != 200:
                raise RuntimeError(f"{path}: {reply.status_code} {reply.text[:500]}")
            return [(text, parameters) for text, parameters in self._noted if _is_of_reply(text)]


def explain(database: Database, requests: dict[str, bytes]) -> dict[str, list[str]]:
    """Return the lines of EXPLAIN ANALYZE of each statement of a request, by name of the call."""
    source, plans = StatementSource(database), {}
    with database.engine.connect() as connection:
        for name, sent in requests.items():
            first, *fields = sent.decode().split("\r\n")
            authorization = next(field for field in fields if field.startswith("Authorization")).partition(
                ": "
            )[2]
            plans[name] = [
                line
                for text, parameters in source.list_statements(first.split()[1], authorization)
                for (line,) in connection.exec_driver_sql(f"EXPLAIN (ANALYZE, SUMMARY) {text}", parameters)
            ]
    return plans


def _is_of_reply(text: str) -> bool:
    """Return whether a statement is part of the reply, not of the token, the plan or the head of the journal."""
    skipped = ("FROM token", "FROM journal_head", "WHERE plan.region_code")
    of_reply = ("progress", "scorecard_figures")
    return text.startswith(("SELECT", "WITH")) and (
        any(words in text for words in of_reply) or not any(words in text for words in skipped)
    )


def join_rows(rows: list[Any], limit: int) -> bytes:
    """Return the JSON of rows in the form of a page."""
    return ('{"items":[' + ",".join(row[0] for row in rows[:limit]) + "]}").encode()


def application() -> Any:
    """Build the application of a worker process."""
    url = os.environ["RATA_DATABASE_URL"]
    database = Database(url)
    if database.is_sqlite:
        return _build_sqlite(database)
    return _build_postgres(database)


def _build_postgres(database: Database) -> Any:
    known: Answers = {}
    idle: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
    address = make_url(str(database.url)).set(drivername="postgresql").render_as_string(hide_password=False)
    opened = 0

    async def fetch_rows(statements: list[Statement]) -> list[list[Any]]:
        nonlocal opened
        if idle.empty() and opened < 10:
            opened += 1
            connection = await psycopg.AsyncConnection.connect(
                address, autocommit=True, prepare_threshold=PREPARE_AFTER, options="-c timezone=UTC"
            )
        else:
            connection = await idle.get()
        try:
            return [
                await (await connection.execute(text, parameters)).fetchall()
                for text, parameters in statements
            ]
        finally:
            idle.put_nowait(connection)

    async def close() -> None:
        while not idle.empty():
            await idle.get_nowait().close()

    return _build_asgi(known, StatementSource(database), fetch_rows, close)


def _build_sqlite(database: Database) -> Any:
    known: Answers = {}
    connection = sqlite3.connect(str(database.url.database), check_same_thread=False)

    async def fetch_rows(statements: list[Statement]) -> list[list[Any]]:
        return [connection.execute(text, parameters).fetchall() for text, parameters in statements]

    async def close() -> None:
        connection.close()

    return _build_asgi(known, StatementSource(database), fetch_rows, close)


def _build_asgi(
    known: Answers,
    source: StatementSource,
    fetch_rows: Callable[[list[Statement]], Awaitable[list[list[Any]]]],
    close: Callable[[], Awaitable[None]],
) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await close()
            source.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        if path not in known:
            sent = dict(scope["headers"]).get(b"authorization", b"").decode()
            known[path] = await asyncio.to_thread(source.list_statements, path, sent)
        results = await fetch_rows(known[path])
        if "/summaries" in path or "/scorecards" in path:
            body = str(sum(map(len, results))).encode()
        else:
            body = join_rows(results[-1], 100)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
