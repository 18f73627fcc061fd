"""What a client prefers, by fields such as `Accept` and `Accept-Encoding` (RFC 9110, section 12.4.2)."""

from starlette.types import Scope

MINIMUM_SIZE = 1000
"""Bytes from which on a reply is compressed."""
MOST = 50
"""Members of a field that are read; no client has as many to offer."""


def read_weights(sent: str) -> list[tuple[str, float]]:
    """Return (value, weight) of a field's members in lower case, `MOST` at most; a weight that cannot be read is 0."""
    weights = []
    for part in sent.split(",", MOST)[:MOST]:
        value, *parameters = (one.strip().lower() for one in part.split(";"))
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            weights.append((value, min(float(weight), 1.0) if value else 0.0))
        except ValueError:
            weights.append((value, 0.0))
    return weights


def accepts_gzip(scope: Scope) -> bool:
    """Return whether `Accept-Encoding` names gzip with a weight above zero."""
    sent = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
    return dict(read_weights(sent.decode("latin-1"))).get("gzip", 0.0) > 0
