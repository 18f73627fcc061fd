"""Shared by the tests of pulls: fetch a pull and take it apart."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import httpx2 as httpx
from fastapi.testclient import TestClient

from app.kit.exports.cache import ExportCache

PULL = "/v1/pulls/2026-Q2"
PLAIN = {"Accept-Encoding": "identity"}


class Pulled(NamedTuple):
    """A pull taken apart: bytes, tag, lines, rows, end."""

    content: bytes
    tag: str
    lines: list[bytes]
    rows: list[dict[str, Any]]
    end: dict[str, Any]


def pull(client: TestClient, at: str = PULL, **headers: str) -> Pulled:
    """Return a whole NDJSON pull after checking its end."""
    reply = client.get(at, headers={**PLAIN, **headers})
    assert reply.status_code == 200, reply.text
    *lines, last = reply.content.splitlines(keepends=True)
    end = json.loads(last)["end"]
    assert end["rows"] == len(lines) == int(reply.headers["Rata-Rows"])
    assert end["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()
    assert end["cursor"] == reply.headers["Rata-Cursor"]
    return Pulled(reply.content, reply.headers["ETag"], lines, [json.loads(line) for line in lines], end)


def forget(client: TestClient) -> None:
    """Empty the spool, so that the next pull builds its file again."""
    spool: ExportCache = client.app.state.export_cache  # type: ignore[attr-defined]  # an ASGI application has it
    for file in Path(spool.folder).iterdir():
        file.unlink()


def resume(client: TestClient, at: int, tag: str, url: str = PULL, **headers: str) -> httpx.Response:
    """Request the rest of a transfer after so many bytes."""
    return client.get(url, headers={**PLAIN, "Range": f"bytes={at}-", "If-Range": tag, **headers})
