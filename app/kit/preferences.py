"""What a client prefers, by fields such as `Accept` and `Accept-Encoding` (RFC 9110, section 12.4.2)."""


def weights_of(sent: str) -> list[tuple[str, float]]:
    """Return (value, weight) of a field's members in lower case; a weight that cannot be read is 0."""
    weights = []
    for part in sent.split(","):
        value, *parameters = (one.strip().lower() for one in part.split(";"))
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            weights.append((value, min(float(weight), 1.0) if value else 0.0))
        except ValueError:
            weights.append((value, 0.0))
    return weights
