"""Rules of plans: keys, levels, what lies inside. Pure; no session, no HTTP."""

import re
from typing import Literal

from app.access.rules import is_within
from app.kit.fields import REGION_PATTERN

PLAN_CHAIN = "plan:"
"""With a plan's key behind it: the journal's chain of the plan and all that hangs on it."""

AMENDMENT_CHAIN = "amendment:"
"""The same for what is drafted beside a plan in force: readers do not see it, and miss nothing in the plan's."""

_PLAN_KEY = re.compile(r"^(?P<region>[0-9]{2}(?:\.[0-9]{2})?)-(?P<year>20[0-9]{2})\Z")
_REGION = re.compile(REGION_PATTERN)
FIRST_YEAR = 2015


def plan_key(code: str) -> tuple[str, int] | None:
    """(region, year) of `73.22-2026`; None when it is no plan key. Only provinces and regencies plan."""
    found = _PLAN_KEY.match(code)
    return (found["region"], int(found["year"])) if found and int(found["year"]) >= FIRST_YEAR else None


def government_level(region: str) -> Literal["province", "regency"]:
    """The level of government a region's codes are of."""
    return "regency" if "." in region else "province"


def is_inside(code: str, region: str) -> bool:
    """Whether a location lies in the plan's region (a province's plan may name its regencies)."""
    return bool(_REGION.match(code)) and is_within(code, region)
