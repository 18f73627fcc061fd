"""Writing plans: created, replaced, patched, deleted while empty."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import Actor
from app.kit.database.engine import table_of
from app.kit.database.journal import Author, Entry, hold, next_version, record
from app.kit.database.upsert import upsert
from app.kit.http.etags import CheckVersion
from app.kit.http.validation import validated
from app.kit.merge_patch import merge_patch
from app.kit.problems import FieldError, Invalid, Kind, NotFound, PreconditionFailed
from app.plans.core.models import PlanIn, PlanRow, PlanState, PriorityLocationRow
from app.plans.core.queries import (
    check_locations,
    check_region,
    edition_in_force,
    plan_of,
    plans,
    read_plans,
    stored_plan,
)
from app.plans.core.rules import FIRST_YEAR, check_editable, plan_chain, plan_key

malformed_plan_key = Kind(
    "malformed_plan_key",
    id="{value} bukan kunci rencana; yang menyusun rencana hanya provinsi dan kabupaten/kota, sejak {first}: {allowed}",
    en="{value} is no key of a plan; only provinces and regencies make plans, from {first} on: {allowed}",
)


AFTER_LOCATIONS: list[Callable[[Session, str, int, Collection[str]], None]] = []
"""What follows from other priority locations of a plan: called with region, year and the codes of those that
came, went or changed. `app.wiring` adds those of the areas above."""


def put_plan(
    session: Session, author: Author, actor: Actor, code: str, content: PlanIn, check: CheckVersion
) -> bool:
    """Create or replace a plan; True when it was created. NotFound where its region is none that is seen."""
    key = plan_key(code)
    if key is None:
        error = FieldError(
            malformed_plan_key,
            parameter="plan",
            value=code,
            allowed=["73-2026", "73.22-2026"],
            values={"first": FIRST_YEAR},
        )
        raise Invalid(errors=[error])
    if not actor.sees(key[0]):
        raise NotFound()
    region, year = key
    check_region(session, region)
    actor.require("write_plan", region)
    chain = hold(session, plan_chain(code))
    row = next(iter(read_plans(session, sa.select(plans).where(plans.c.code == code))), None)
    check(row.version if row else None)
    if row is not None:
        check_editable(code, row.state, row.revision)
    after = fitting_plan(session, region, content)
    before = stored_plan(session, row) if row else None
    if before == after:
        return False
    scalars = {name: value for name, value in after.items() if name != "priority_locations"}
    version = next_version(session, f"plans/{code}", row.version if row else None)
    written = upsert(
        session,
        table_of(PlanRow),
        [
            {
                "code": code,
                "region_code": region,
                "year": year,
                "state": row.state if row else PlanState.draft,
                "version": version,
                "updated_at": author.at.isoformat(),
                **scalars,
            }
        ],
        key=["code"],
        versioned=True,
        returning=["id"],
    )
    if not written:
        raise PreconditionFailed()
    old_locations = before["priority_locations"] if before else []
    if after["priority_locations"] != old_locations:
        replace_priority_locations(session, written[0].id, after["priority_locations"])
        follow_locations(session, region, year, [*old_locations, *after["priority_locations"]])
    recorded = after if row else {**after, "state": PlanState.draft}
    entry = Entry.of("plan", region, f"plans/{code}", version, before, recorded, is_draft=True)
    record(session, chain, author, [entry])
    return row is None


def fitting_plan(session: Session, region: str, content: PlanIn) -> dict[str, Any]:
    """A plan's content as it is stored, its edition filled in. Invalid: what it refers to is not there."""
    places = [
        (f"/priority_locations/{n}/region_code", location.region_code)
        for n, location in enumerate(content.priority_locations)
    ]
    if errors := check_locations(session, region, places):
        raise Invalid(errors=errors)
    edition = edition_in_force(session, content.nomenclature_edition or None, pointer="/nomenclature_edition")
    return {**content.model_dump(mode="json"), "nomenclature_edition": edition}


def patch_plan(
    session: Session, author: Author, actor: Actor, code: str, patch: dict[str, Any], check: CheckVersion
) -> None:
    """Merge a patch into a plan, as it stands when it is this writer's turn."""
    plan = plan_of(session, actor, code)
    actor.require("write_plan", plan.region_code)
    hold(session, plan_chain(code))
    plan = plan_of(session, actor, code)
    check(plan.version)
    check_editable(code, plan.state, plan.revision)
    content = validated(PlanIn, merge_patch(stored_plan(session, plan), patch))
    put_plan(session, author, actor, code, content, check)


def replace_priority_locations(session: Session, plan_id: int, locations: Sequence[dict[str, Any]]) -> None:
    """The poverty pockets that a plan names, in their order."""
    table = table_of(PriorityLocationRow)
    session.execute(sa.delete(table).where(table.c.plan_id == plan_id))
    upsert(
        session,
        table,
        [{**location, "plan_id": plan_id, "position": n} for n, location in enumerate(locations)],
    )


def follow_locations(session: Session, region: str, year: int, locations: Sequence[dict[str, Any]]) -> None:
    """Tell the areas above which priority locations came, went or changed."""
    codes = {location["region_code"] for location in locations}
    for follow in AFTER_LOCATIONS if codes else ():
        follow(session, region, year, codes)
