"""Preferences of a client, from headers such as `Accept` and `Accept-Encoding` (RFC 9110, section 12.4.2)."""

from starlette.types import Scope

MINIMUM_SIZE = 1000
"""Minimum bytes of a reply that the server compresses."""
MOST = 50
"""Maximum number of a header's members that the server reads; no client sends as many."""


def read_weights(sent: str) -> list[tuple[str, float]]:
    """Return (value in lower case, weight) of a header's first `MOST` members; an invalid weight is 0."""
    weights = []
    for part in sent.split(",", MOST)[:MOST]:
        value, *parameters = (item.strip().lower() for item in part.split(";"))
        weight = next((item[2:] for item in parameters if item.startswith("q=")), "1")
        try:
            weights.append((value, min(float(weight), 1.0) if value else 0.0))
        except ValueError:
            weights.append((value, 0.0))
    return weights


def accepts_gzip(scope: Scope) -> bool:
    """Return whether `Accept-Encoding` names gzip with a weight above zero."""
    sent = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
    return dict(read_weights(sent.decode("latin-1"))).get("gzip", 0.0) > 0
