"""What the catalogue lists: plans that the actor sees in force, and what was frozen of regions that it sees; both
also where they are anybody's to read.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import Session

from app.access.queries import published, within
from app.access.rules import Actor
from app.exchange.catalogue.models import CatalogueQuery, File, Listed
from app.kit.http.pagination import Listing
from app.plans.core.queries import plans, published_plans, regions
from app.plans.revisions.queries import revisions
from app.tracking.quarters.snapshots.queries import snapshots


def list_datasets(actor: Actor, query: CatalogueQuery) -> Listing:
    """Each as `Listed`, without its files."""
    p, s = plans.c, snapshots.c
    in_force = sa.select(
        p.code.label("identifier"), p.region_code, p.year, sa.literal("", sa.Text).label("period")
    ).where(published_plans(actor), p.revision.is_not(None))
    frozen = sa.select(s.region_code + "-" + s.period, s.region_code, s.year, s.period).where(
        published(actor, s.region_code), s.amendment == 0
    )
    both = sa.union_all(in_force, frozen).subquery("both")
    given = {**both.c, "region_name": regions.c.name}
    found = (
        sa.select(*[given[name].label(name) for name in Listed._fields])
        .join_from(both, regions, regions.c.code == both.c.region_code)
        .where(within(both.c.region_code, query.region))
    )
    key = {"identifier": both.c.identifier}
    return Listing(found, key, key)


def files_of(session: Session, listed: Sequence[Listed]) -> dict[str, list[File]]:
    """Identifier → revisions or amendments of what was listed, from the first; in two SELECTs."""
    r, s = revisions.c, snapshots.c
    adopted = (
        sa.select(plans.c.code, r.number, r.sha256, r.adopted_at)
        .join_from(plans, revisions, r.plan_id == plans.c.id)
        .where(plans.c.code.in_([one.identifier for one in listed if not one.period]))
        .order_by(r.number)
    )
    quarters = [(one.region_code, one.period) for one in listed if one.period]
    frozen = (
        sa.select(s.region_code + "-" + s.period, s.amendment, s.sha256, s.frozen_at)
        .where(sa.tuple_(s.region_code, s.period).in_(quarters))
        .order_by(s.amendment)
    )
    found: dict[str, list[File]] = {}
    for statement in (adopted, frozen):
        for identifier, *file in session.execute(statement):
            found.setdefault(identifier, []).append(File(*file))
    return found
