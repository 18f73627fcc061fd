"""Rules of plans: keys, levels of government, places, states that take writes, canonical JSON. Pure."""

import hashlib
import re
from typing import Any, Literal

import rfc8785

from app.access.rules import Actor, is_within
from app.kit.fields import REGION_PATTERN
from app.kit.problems import FieldError, Forbidden, Kind, Problem
from app.kit.wording import Text
from app.plans.core.models import PlanState

PLAN_CHAIN = "plan:"
"""Prefix of the journal's chain of a plan, its lines and reports; the plan's key follows."""

AMENDMENT_CHAIN = "amendment:"
"""Prefix of the journal's chain of a plan's amendments. Readers without drafts do not see it; the plan's own chain
is complete without it."""

_PLAN_KEY = re.compile(r"^(?P<region>[0-9]{2}(?:\.[0-9]{2})?)-(?P<year>20[0-9]{2})\Z")
_REGION = re.compile(REGION_PATTERN)
FIRST_YEAR = 2015


def format_plan_chain(code: str) -> str:
    """Return the journal's chain of a plan, its lines and reports."""
    return f"{PLAN_CHAIN}{code}"


def format_action_subject(plan: str, code: str) -> str:
    """Return the address below /v1/ of a plan's line."""
    return f"plans/{plan}/actions/{code}"


def parse_plan_key(code: str) -> tuple[str, int] | None:
    """Return (region, year) of `73.22-2026`, or None for other texts. Only provinces and regencies have plans."""
    match = _PLAN_KEY.match(code)
    return (match["region"], int(match["year"])) if match and int(match["year"]) >= FIRST_YEAR else None


def find_government_level(region: str) -> Literal["province", "regency"]:
    """Return the level of government of a region's plan, on which its codes depend."""
    return "regency" if "." in region else "province"


def is_inside(code: str, region: str) -> bool:
    """Return whether a location is in the plan's region; a regency lies in its province."""
    return bool(_REGION.match(code)) and is_within(code, region)


# States that take writes


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
    """Return whether the plan's own addresses take changes: before its first adoption, as draft or returned."""
    return revision is None and state in EDITABLE


def check_editable(plan: str, state: str, revision: int | None) -> None:
    """Raise PlanNotEditable, with the next step, if the plan's own addresses take no changes."""
    if not is_editable(state, revision):
        number = "–" if revision is None else revision
        raise PlanNotEditable(
            plan=plan, state=state, revision=number, way=_name_next_step(plan, state, revision)
        )


def _name_next_step(plan: str, state: str, revision: int | None) -> str:
    if revision is None:
        return f"POST /v1/plans/{plan}/return"
    if state == PlanState.adopted:
        return f"POST /v1/plans/{plan}/amend"
    return "–" if state == PlanState.closed else f"/v1/plans/{plan}/amendment"


def is_reportable(state: str) -> bool:
    """Return whether the plan takes progress reports: in every state but closed."""
    return state != PlanState.closed


def check_reportable(plan: str, state: str) -> None:
    """Raise PlanClosed if the plan takes no more reports."""
    if not is_reportable(state):
        raise PlanClosed(plan=plan)


# Rights

not_your_agency = Kind(
    "not_your_agency",
    id="Anda tidak dapat menulis baris {value}; perlu peran {roles}",
    en="you cannot write lines of {value}; the role {roles} is needed",
)


def check_right(actor: Actor, right: str, region: str, pointer: str, *agencies: str) -> list[FieldError]:
    """Return an error if the actor lacks the right on a region's lines, or on those of these agencies."""
    try:
        actor.require(right, region, *agencies)
    except Forbidden as refused:
        value, values = next(iter(agencies), None), refused.values
        allowed = values["memberships"]
        return [FieldError(not_your_agency, pointer=pointer, value=value, allowed=allowed, values=values)]
    return []


# Signed content


def dump_canonical(content: Any) -> str:
    """Return a JSON value as canonical text (RFC 8785): equal values have equal bytes."""
    return rfc8785.dumps(content).decode()


def compute_sha256(text: str) -> str:
    """Return the SHA-256 of the text's UTF-8 bytes, hex."""
    return hashlib.sha256(text.encode()).hexdigest()
