"""Codes of sub-activities, and the regions whose plans can use them."""

AUTONOMOUS = {"11", "31", "34", "91", "92", "93", "94", "95", "96"}
"""Provinces with special autonomy: Aceh, Jakarta, Yogyakarta and those of Papua."""


def can_use_code(region: str, code: str) -> bool:
    """Return whether a plan of a region can mean a code: variants of special autonomy are for these provinces alone."""
    return code.split(".")[3] in ("1", "2") or region.partition(".")[0] in AUTONOMOUS
