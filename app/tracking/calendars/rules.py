"""Where the calendar that a region sets is journaled. Pure."""


def calendar_chain(region: str) -> str:
    """Chain of the journal in which the calendar that a region sets is written."""
    return f"calendar:{region}"
