"""Rules of plans: keys, levels of government, places, states that take writes, canonical JSON. Pure."""

import hashlib
import re
from typing import Any, Literal

import rfc8785

from app.access.rules import Actor, is_within, name_reviewer
from app.kit.fields import REGION_PATTERN
from app.kit.problems import FieldError, Forbidden, Kind, Problem
from app.kit.wording import Text, declare_words
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
    title = Text("Rencana tidak dapat diubah", "The plan cannot change")
    detail = Text(
        "Rencana {plan} sudah {state} dan tidak dapat diubah langsung. {advice}.",
        "Plan {plan} is {state} and cannot change directly. {advice}.",
    )


declare_words(
    {
        "open_amendment": Text("Buka perubahan rencana lebih dahulu", "Open an amendment first"),
        "write_amendment": Text("Tuliskan di perubahan rencana yang terbuka", "Change the open amendment"),
        "plan_year_over": Text("Tahun rencananya sudah berakhir", "Its year is over"),
    }
)


class PlanClosed(Problem):
    status = 409
    code = "plan_closed"
    title = Text("Rencana sudah ditutup", "The plan is closed")
    detail = Text(
        "Rencana {plan} sudah ditutup. Laporannya hanya dapat diubah dalam koreksi triwulan, penjelasannya tidak lagi.",
        "Plan {plan} is closed. Its reports change only in the correction of a quarter, its explanations no more.",
    )


EDITABLE = (PlanState.draft, PlanState.returned)


def is_editable(state: str, revision: int | None) -> bool:
    """Return whether the plan's own addresses take changes: before its first adoption, as draft or returned."""
    return revision is None and state in EDITABLE


def check_editable(plan: str, state: str, revision: int | None) -> None:
    """Raise PlanNotEditable, with the next step, if the plan's own addresses take no changes."""
    if is_editable(state, revision):
        return
    if revision is None:
        reviewer = name_reviewer(plan.rpartition("-")[0])
        advice: Text | str = Text(f"Minta {reviewer.id} mengembalikannya", f"Ask {reviewer.en} to return it")
    elif state == PlanState.closed:
        advice = "plan_year_over"
    else:
        # An open amendment has the plan's state; the revision in force stays adopted.
        advice = "open_amendment" if state == PlanState.adopted else "write_amendment"
        state = PlanState.adopted
    raise PlanNotEditable(plan=plan, state=state, advice=advice)


def is_reportable(state: str, *, is_corrected: bool = False) -> bool:
    """Return whether the plan takes progress reports: in every state but closed, then of a corrected quarter alone."""
    return state != PlanState.closed or is_corrected


def check_reportable(plan: str, state: str, *, is_corrected: bool = False) -> None:
    """Raise PlanClosed if the plan takes no more reports."""
    if not is_reportable(state, is_corrected=is_corrected):
        raise PlanClosed(plan=plan)


# Rights

not_your_agency = Kind(
    "not_your_agency",
    id="Anda tidak dapat menulis baris perangkat daerah “{value}”. Minta operatornya atau sekretariat TKPK.",
    en="You cannot write lines of agency “{value}”. Ask its operator or the TKPK secretariat.",
)


def check_right(actor: Actor, right: str, region: str, pointer: str, *agencies: str) -> list[FieldError]:
    """Return an error if the actor lacks the right on a region's lines, or on those of these agencies."""
    try:
        actor.require(right, region, *agencies)
    except Forbidden as refused:
        value, allowed = next(iter(agencies), None), refused.values["memberships"]
        return [FieldError(not_your_agency, pointer=pointer, value=value, allowed=allowed)]
    return []


# Signed content


def dump_canonical(content: Any) -> str:
    """Return a JSON value as canonical text (RFC 8785): equal values have equal bytes."""
    return rfc8785.dumps(content).decode()


def compute_sha256(text: str) -> str:
    """Return the SHA-256 of the text's UTF-8 bytes, hex."""
    return hashlib.sha256(text.encode()).hexdigest()
