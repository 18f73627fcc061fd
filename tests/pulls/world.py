"""What the tests of pulls share: asking for one, and taking it apart."""

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
    """A pull taken apart: its bytes, its lines, its end."""

    content: bytes
    tag: str
    lines: list[bytes]
    rows: list[dict[str, Any]]
    end: dict[str, Any]


def pull(client: TestClient, at: str = PULL, **headers: str) -> Pulled:
    """A whole NDJSON pull whose end agrees with it."""
    reply = client.get(at, headers={**PLAIN, **headers})
    assert reply.status_code == 200, reply.text
    *lines, last = reply.content.splitlines(keepends=True)
    end = json.loads(last)["end"]
    assert end["rows"] == len(lines) == int(reply.headers["Rata-Rows"])
    assert end["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()
    assert end["cursor"] == reply.headers["Rata-Cursor"]
    return Pulled(reply.content, reply.headers["ETag"], lines, [json.loads(one) for one in lines], end)


def forget(client: TestClient) -> None:
    """Empty the spool, so that the next pull is made anew."""
    spool: ExportCache = client.app.state.export_cache  # type: ignore[attr-defined]  # an ASGI application has it
    for one in Path(spool.folder).iterdir():
        one.unlink()


def went_on(client: TestClient, at: int, tag: str, url: str = PULL, **headers: str) -> httpx.Response:
    """The rest of a transfer that was cut behind that many bytes."""
    return client.get(url, headers={**PLAIN, "Range": f"bytes={at}-", "If-Range": tag, **headers})
