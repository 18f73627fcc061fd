"""Commands of plans: create, replace, patch; delete while empty."""

from collections.abc import Callable, Collection, Sequence

import sqlalchemy as sa
from pydantic_core import to_jsonable_python
from sqlmodel import Session

from app.access.commands import Write
from app.kit.database.engine import get_table
from app.kit.database.journal import Chain, Entry, append, assign_version, lock_chain
from app.kit.database.upsert import upsert
from app.kit.http.validation import apply_patch
from app.kit.problems import FieldError, Invalid, Kind, refuse
from app.plans.core.models import (
    Plan,
    PlanContent,
    PlanIn,
    PlanRow,
    PlanState,
    PriorityContent,
    PriorityLocationRow,
)
from app.plans.core.queries import (
    check_locations,
    choose_edition,
    find_plan,
    plans,
    read_plan_content,
    read_plans,
)
from app.plans.core.rules import FIRST_YEAR, check_editable, format_plan_chain, parse_plan_key
from app.reference.queries import check_region

malformed_plan_key = Kind(
    "malformed_plan_key",
    id="“{value}” bukan kunci rencana: kode provinsi atau kabupaten/kota dan tahun sejak {first}, misalnya {allowed}",
    en="“{value}” is not a plan key: the code of a province or regency and a year from {first}, such as {allowed}",
)


AFTER_LOCATIONS: list[Callable[[Session, str, int, Collection[str]], None]] = []
"""Hooks of the areas above, from `app.wiring`. A write of a plan calls each with region, year and the codes of
the priority locations that it added, removed or changed."""


def put_plan(write: Write, code: str, content: PlanIn) -> bool:
    """Create or replace a plan. Return True if it is new. Raises NotFound if the actor cannot see its region."""
    key = parse_plan_key(code)
    if key is None:
        error = FieldError(
            malformed_plan_key,
            parameter="plan",
            value=code,
            allowed=["73-2026", "73.22-2026"],
            values={"first": FIRST_YEAR},
        )
        raise Invalid(errors=[error])
    write.actor.require_seen(key[0])
    check_region(write.session, key[0])
    write.actor.require("write_plan", key[0])
    chain = lock_chain(write.session, format_plan_chain(code))
    plan = next(iter(read_plans(write.session, sa.select(plans).where(plans.c.code == code))), None)
    write.precondition.check(plan.version if plan else None)
    if plan is not None:
        check_editable(code, plan.state, plan.revision)
    before = read_plan_content(write.session, plan) if plan else None
    _store(write, code, chain, plan, before, content)
    return plan is None


def patch_plan(write: Write, code: str, patch: dict[str, object]) -> None:
    """Merge a patch into a plan. Raises PlanNotEditable if its state takes no changes."""
    plan, chain = lock_plan(write, code)
    before = read_plan_content(write.session, plan)
    content = apply_patch(PlanIn, before, patch)
    _store(write, code, chain, plan, before, content)


def lock_plan(write: Write, code: str) -> tuple[Plan, Chain]:
    """Lock a plan's chain, check right, precondition and state. Return the plan and its chain."""
    plan = find_plan(write.session, write.actor, code)
    write.actor.require("write_plan", plan.region_code)
    chain = lock_chain(write.session, format_plan_chain(code))
    plan = find_plan(write.session, write.actor, code)
    write.precondition.check(plan.version)
    check_editable(code, plan.state, plan.revision)
    return plan, chain


def _store(
    write: Write, code: str, chain: Chain, plan: Plan | None, before: PlanContent | None, content: PlanIn
) -> None:
    """Write a plan; the caller locked its chain.

    `plan` and `before` are the row and content in force, None for a new plan.
    """
    session, key = write.session, parse_plan_key(code)
    assert key is not None
    region, year = key
    after = complete_plan(session, region, content)
    if before == after:
        return
    scalars = {name: value for name, value in after.items() if name != "priority_locations"}
    version = assign_version(session, f"plans/{code}", plan.version if plan else None)
    row = {
        "code": code,
        "region_code": region,
        "year": year,
        "state": plan.state if plan else PlanState.draft,
        "version": version,
        "updated_at": write.author.at.isoformat(),
        **scalars,
    }
    written = upsert(session, get_table(PlanRow), [row], key=["code"], versioned=True, returning=["id"])
    old_locations = before["priority_locations"] if before else []
    if after["priority_locations"] != old_locations:
        replace_priority_locations(session, written[0].id, after["priority_locations"])
        follow_locations(session, region, year, [*old_locations, *after["priority_locations"]])
    created = {} if plan else {"state": PlanState.draft}
    recorded = {**after, **created}
    entry = Entry.of("plan", region, f"plans/{code}", version, before, recorded, is_draft=True)
    append(session, chain, write.author, [entry])


def complete_plan(session: Session, region: str, content: PlanIn) -> PlanContent:
    """Return the plan's content to store, with its edition. Raises Invalid if a reference is unknown."""
    places = [
        (f"/priority_locations/{n}/region_code", location.region_code)
        for n, location in enumerate(content.priority_locations)
    ]
    refuse(check_locations(session, region, places))
    edition = choose_edition(session, content.nomenclature_edition or None, pointer="/nomenclature_edition")
    fitted: PlanContent = to_jsonable_python(content)
    fitted["nomenclature_edition"] = edition
    return fitted


def replace_priority_locations(session: Session, plan_id: int, locations: Sequence[PriorityContent]) -> None:
    """Replace the plan's priority locations, in their order."""
    table = get_table(PriorityLocationRow)
    session.execute(sa.delete(table).where(table.c.plan_id == plan_id))
    upsert(
        session,
        table,
        [{**location, "plan_id": plan_id, "position": n} for n, location in enumerate(locations)],
    )


def follow_locations(session: Session, region: str, year: int, locations: Sequence[PriorityContent]) -> None:
    """Call the hooks of `AFTER_LOCATIONS` with the codes of these locations."""
    codes = {location["region_code"] for location in locations}
    for hook in AFTER_LOCATIONS if codes else ():
        hook(session, region, year, codes)


def build_state_entry(plan: Plan, to_state: PlanState) -> Entry:
    """Return the journal entry of a change of state that only readers of drafts see."""
    before, after = {"state": plan.state}, {"state": str(to_state)}
    subject, version = f"plans/{plan.code}", plan.version + 1
    return Entry("plan.changed", plan.region_code, subject, version, before, after, is_draft=True)
