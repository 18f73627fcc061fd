"""Rules of plans: keys, levels, what lies inside, in which state what may be written, and how it is signed. Pure."""

import hashlib
import re
from typing import Any, Literal

import rfc8785

from app.access.rules import Actor, is_within
from app.kit.fields import REGION_PATTERN
from app.kit.problems import FieldError, Forbidden, Kind, Problem, Text
from app.plans.core.models import PlanState

PLAN_CHAIN = "plan:"
"""With a plan's key behind it: the journal's chain of the plan and all that hangs on it."""

AMENDMENT_CHAIN = "amendment:"
"""The same for what is drafted beside a plan in force: readers do not see it, and miss nothing in the plan's."""

_PLAN_KEY = re.compile(r"^(?P<region>[0-9]{2}(?:\.[0-9]{2})?)-(?P<year>20[0-9]{2})\Z")
_REGION = re.compile(REGION_PATTERN)
FIRST_YEAR = 2015


def plan_chain(code: str) -> str:
    """Chain of the journal in which a plan and all that hangs on it is written."""
    return f"{PLAN_CHAIN}{code}"


def action_subject(plan: str, code: str) -> str:
    """Return the address below /v1/ of a plan's line."""
    return f"plans/{plan}/actions/{code}"


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


# What may be written in which state


class PlanNotEditable(Problem):
    status = 409
    code = "plan_not_editable"
    title = Text("Rencana tidak dapat diubah", "The plan cannot be changed")
    detail = Text(
        "Rencana {plan} berkeadaan {state}, revisi {revision}; isinya tidak dapat diubah di alamat ini. "
        "Jalan selanjutnya: {way}.",
        "Plan {plan} is {state}, revision {revision}; it cannot be changed at this address. The way on: {way}.",
    )


class PlanClosed(Problem):
    status = 409
    code = "plan_closed"
    title = Text("Rencana sudah ditutup", "The plan is closed")
    detail = Text(
        "Rencana {plan} sudah ditutup; tidak ada lagi laporan yang diterima.",
        "Plan {plan} is closed; no report is taken any more.",
    )


EDITABLE = (PlanState.draft, PlanState.returned)


def is_editable(state: str, revision: int | None) -> bool:
    """Whether the plan's own addresses take changes: a first draft, while it is at its region."""
    return revision is None and state in EDITABLE


def check_editable(plan: str, state: str, revision: int | None) -> None:
    """PlanNotEditable, with the way on, where the plan's own addresses take no changes."""
    if not is_editable(state, revision):
        shown = "–" if revision is None else revision
        raise PlanNotEditable(plan=plan, state=state, revision=shown, way=_way_on(plan, state, revision))


def _way_on(plan: str, state: str, revision: int | None) -> str:
    if revision is None:
        return f"POST /v1/plans/{plan}/return"
    if state == PlanState.adopted:
        return f"POST /v1/plans/{plan}/amend"
    return "–" if state == PlanState.closed else f"/v1/plans/{plan}/amendment"


def is_reportable(state: str) -> bool:
    """Whether progress is taken: until the plan is closed, also while it is drafted or amended."""
    return state != PlanState.closed


def check_reportable(plan: str, state: str) -> None:
    """PlanClosed where no progress is taken any more."""
    if not is_reportable(state):
        raise PlanClosed(plan=plan)


# Who may write

not_your_agency = Kind(
    "not_your_agency",
    id="Anda tidak dapat menulis baris {value}; perlu peran {roles}",
    en="you cannot write lines of {value}; the role {roles} is needed",
)


def check_right(actor: Actor, right: str, region: str, pointer: str, *agencies: str) -> list[FieldError]:
    """Return the error of a right that the actor lacks on the lines of an agency, or on all lines of a region."""
    try:
        actor.require(right, region, *agencies)
    except Forbidden as refused:
        value, values = next(iter(agencies), None), refused.values
        allowed = values["memberships"]
        return [FieldError(not_your_agency, pointer=pointer, value=value, allowed=allowed, values=values)]
    return []


# What is signed for


def canonical(content: Any) -> str:
    """The one way to write a JSON value (RFC 8785): what is equal has equal bytes, whoever writes them."""
    return rfc8785.dumps(content).decode()


def sha256_of(text: str) -> str:
    """SHA-256 of the text's UTF-8 bytes, hex."""
    return hashlib.sha256(text.encode()).hexdigest()
