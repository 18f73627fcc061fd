"""Strong ETags, and `If-None-Match` of reads (RFC 9110, section 13).

The ETag of a writable resource begins with its row version: `"7-1f0c3a9b2d"`. The part after the dash
covers the whole reply, rights of the caller included, so a 304 is never wrong. `If-Match` compares only
the version: a progress report that arrives meanwhile does not make an edit stale, and a client can
change an item of a list with the `version` it shows, `If-Match: "7"`.
"""

import base64
import hashlib

from starlette.requests import Request
from starlette.responses import Response

STATE_LENGTH = 12
"""Characters of a chain's hash at the start of a list's ETag: the state of the list."""

VARY = "Authorization, Accept-Language"
"""`Vary`: the request headers on which a reply depends."""

IMMUTABLE = "private, max-age=31536000, immutable"
"""`Cache-Control` of immutable replies."""


def make_etag(*parts: object, version: int | str | None = None) -> str:
    """Return a strong ETag over the parts, which together determine the reply's bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\0")
    short = digest.hexdigest()[:16]
    return f'"{version}-{short}"' if version is not None else f'"{short}"'


def is_unchanged(request: Request, tag: str) -> bool:
    """Return whether `If-None-Match` has this tag, so that the reply is 304."""
    sent = request.headers.get("if-none-match")
    if sent is None:
        return False
    # A compressing proxy may weaken a tag; for a read the weak comparison is the right one.
    return sent.strip() == "*" or any(item.strip().removeprefix("W/") == tag for item in sent.split(","))


def answer_unchanged(tag: str, *, vary: str = VARY) -> Response:
    return Response(
        status_code=304, headers={"ETag": tag, "Cache-Control": "private, no-cache", "Vary": vary}
    )


def format_digest(sha256: str) -> str:
    """Return a SHA-256 (hex) in the form of a digest header (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
