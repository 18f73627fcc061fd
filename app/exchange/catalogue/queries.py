"""Reads the catalogue: plans in force and frozen quarters that the actor sees or that are public."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import Session

from app.access.queries import can_read_frozen, is_in_region
from app.access.rules import Actor
from app.exchange.catalogue.models import CatalogueQuery, DatasetRow, FrozenFile
from app.kit.http.pagination import Listing
from app.plans.core.queries import can_read_revisions, plans, regions
from app.plans.revisions.queries import revisions
from app.tracking.quarters.snapshots.queries import snapshots


def list_datasets(actor: Actor, query: CatalogueQuery) -> Listing:
    """List the datasets as `DatasetRow`, without their files."""
    p, s = plans.c, snapshots.c
    in_force = sa.select(
        p.code.label("identifier"), p.region_code, p.year, sa.literal("", sa.Text).label("period")
    ).where(can_read_revisions(actor), p.revision.is_not(None))
    frozen = sa.select(s.region_code + "-" + s.period, s.region_code, s.year, s.period).where(
        can_read_frozen(actor, s.region_code), s.amendment == 0
    )
    both = sa.union_all(in_force, frozen).subquery("both")
    columns = {**both.c, "region_name": regions.c.name}
    statement = (
        sa.select(*[columns[name].label(name) for name in DatasetRow._fields])
        .join_from(both, regions, regions.c.code == both.c.region_code)
        .where(is_in_region(both.c.region_code, query.region))
    )
    key = {"identifier": both.c.identifier}
    return Listing(statement, key, key)


def read_files(session: Session, listed: Sequence[DatasetRow]) -> dict[str, list[FrozenFile]]:
    """Return identifier → its revisions or amendments, from the first; two SELECTs."""
    r, s = revisions.c, snapshots.c
    adopted = (
        sa.select(plans.c.code, r.number, r.sha256, r.adopted_at)
        .join_from(plans, revisions, r.plan_id == plans.c.id)
        .where(plans.c.code.in_([item.identifier for item in listed if not item.period]))
        .order_by(r.number)
    )
    quarters = [(item.region_code, item.period) for item in listed if item.period]
    frozen = (
        sa.select(s.region_code + "-" + s.period, s.amendment, s.sha256, s.frozen_at)
        .where(sa.tuple_(s.region_code, s.period).in_(quarters))
        .order_by(s.amendment)
    )
    files: dict[str, list[FrozenFile]] = {}
    for statement in (adopted, frozen):
        for identifier, *file in session.execute(statement):
            files.setdefault(identifier, []).append(FrozenFile(*file))
    return files
