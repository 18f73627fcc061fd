"""What a client prefers, by fields such as `Accept` and `Accept-Encoding` (RFC 9110, section 12.4.2)."""

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
