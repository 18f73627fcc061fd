"""What an answer, or none, means for whoever asked: try again, or not."""

import json

import httpx

from .problems import Refused
from .waiting import Attempts

CUT = (httpx.TransportError, httpx.DecodingError)
"""What a bad line does to a transfer."""
RETRIED = frozenset({429, 502, 503, 504})
"""Statuses that another attempt may change. Any other stays until the request is another."""


def check(reply: httpx.Response, attempts: Attempts) -> None:
    """Wait where another attempt may help. Refused: it will not."""
    if reply.status_code not in RETRIED:
        raise Refused(reply.status_code, _problem(reply), str(reply.url))
    attempts.failed(f"HTTP {reply.status_code}", retry_after=reply.headers.get("Retry-After"))


def named(cut: Exception) -> str:
    return f"{type(cut).__name__}: {cut}" if str(cut) else type(cut).__name__


def _problem(reply: httpx.Response) -> dict[str, object]:
    """The problem that a reply is; of something else, a word about it."""
    try:
        found = json.loads(reply.content)
    except ValueError:
        found = None
    if isinstance(found, dict) and "code" in found:
        return found
    return {"title": reply.headers.get("Location") or reply.reason_phrase}
