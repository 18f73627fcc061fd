"""Strong entity tags, and the condition of a read on them (RFC 9110, section 13).

A tag of something that can be changed begins with its row version: `"7-1f0c3a9b2d"`. The part behind
the dash covers the whole reply, rights of the caller included, so a 304 is never wrong. `If-Match`
compares the version alone: a progress report that arrives meanwhile does not make an edit stale, and
a list's item can be changed with the `version` it shows, `If-Match: "7"`.
"""

import base64
import hashlib

from starlette.requests import Request
from starlette.responses import Response

STATE = 12
"""Characters of a chain's hash that make the state of a list, in front of its tag."""

VARY = "Authorization, Accept-Language"
"""What the answer to the same address depends on beside it."""

FOR_EVER = "private, max-age=31536000, immutable"
"""`Cache-Control` of what never changes."""


def tag_of(*parts: object, version: int | str | None = None) -> str:
    """A strong tag over everything that decides the reply's bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\0")
    short = digest.hexdigest()[:16]
    return f'"{version}-{short}"' if version is not None else f'"{short}"'


def is_unchanged(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` names this tag, so that the answer is 304."""
    sent = request.headers.get("if-none-match")
    if sent is None:
        return False
    # A compressing proxy may weaken a tag; for a read the weak comparison is the right one.
    return sent.strip() == "*" or any(one.strip().removeprefix("W/") == tag for one in sent.split(","))


def unchanged(tag: str, *, vary: str = VARY) -> Response:
    return Response(
        status_code=304, headers={"ETag": tag, "Cache-Control": "private, no-cache", "Vary": vary}
    )


def digest_field(sha256: str) -> str:
    """A SHA-256 (hex) as a digest field says it (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
