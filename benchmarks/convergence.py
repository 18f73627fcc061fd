"""Data of scorecards besides plans and reports: priority locations, coverage of each regency, targets."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session

from app.convergence.coverage.models import CoverageRegionRow, CoverageTotalRow
from app.convergence.editions.commands import load_editions
from app.convergence.editions.methods.models import RegionEditionRow
from app.convergence.editions.methods.queries import METHOD, PACKAGE, services
from app.convergence.editions.step_templates.queries import TEMPLATE
from app.convergence.indicators.commands import load_indicators
from app.convergence.indicators.models import ObservationRow, TargetRow
from app.kit.database.engine import get_table
from app.kit.database.journal import Author
from app.plans.core.models import PlanRow, PriorityLocationRow
from app.reference.models import RegionLevel, RegionRow

LOCI = 20
"""Priority locations of each plan: the first villages of its regency."""


def fill_convergence(session: Session, regions: list[str], year: int, at: datetime) -> None:
    """Write plans in force, sums of coverage of four quarters, and a target with its observation."""
    author = Author("bench", at)
    load_indicators(session, author)
    load_editions(session, author, [PACKAGE, METHOD, TEMPLATE])
    session.execute(sa.update(get_table(PlanRow)).values(revision=0))
    _fill_loci(session)
    regencies = [code for code in regions if "." in code]
    edition = {"year": year, "service_package": "1", "method": "1", "version": 1, "updated_at": at}
    session.execute(
        sa.insert(get_table(RegionEditionRow)), [{"region_code": code, **edition} for code in regencies]
    )
    _fill_coverage(session, regencies, year)
    target = {"indicator": "p0", "year": year, "value": 8.0, "baseline": 10.0, "baseline_year": year - 2}
    session.execute(
        sa.insert(get_table(TargetRow)), [{"region_code": code, "version": 1, **target} for code in regions]
    )
    observation = {"indicator": "p0", "period": f"{year - 1}-S1", "value": 9.1, "flags": [], "version": 1}
    session.execute(
        sa.insert(get_table(ObservationRow)), [{"region_code": code, **observation} for code in regions]
    )


def _fill_loci(session: Session) -> None:
    villages, plans = get_table(RegionRow), get_table(PlanRow)
    regency = sa.func.substr(villages.c.code, 1, 5)
    place = sa.func.row_number().over(partition_by=regency, order_by=villages.c.code) - 1
    first = (
        sa.select(villages.c.code, regency.label("regency"), place.label("position"))
        .where(villages.c.level == RegionLevel.village)
        .subquery("first")
    )
    query = (
        sa.select(plans.c.id, first.c.code, sa.literal(100), first.c.position)
        .join_from(plans, first, first.c.regency == plans.c.region_code)
        .where(first.c.position < LOCI)
    )
    names = ["plan_id", "region_code", "target_families", "position"]
    session.execute(
        sa.insert(get_table(PriorityLocationRow)).from_select(names, query, include_defaults=False)
    )


def _fill_coverage(session: Session, regencies: list[str], year: int) -> None:
    package = session.execute(
        sa.select(services.c.code).where(services.c.edition == "1").order_by(services.c.position)
    ).scalars()
    codes = list(package)
    sums = dict.fromkeys(CoverageRegionRow.model_fields, 0)
    rows, cells = [], []
    for n, region in enumerate(regencies):
        for quarter in range(1, 5):
            key = {"period": f"{year}-Q{quarter}", "level": RegionLevel.regency, "region_code": region}
            served = 300 + 50 * quarter + n % 300
            families = {"families_reporting": 8000, "families_expected": 10_000, "villages_foreseen": 90}
            total = {"eligible": 1000 * len(codes), "served": served * len(codes)}
            rows.append({**sums, **key, **families, **total})
            cells += [
                {**key, "service": code, "service_package": "1", "eligible": 1000, "served": served}
                for code in codes
            ]
    session.execute(sa.insert(get_table(CoverageRegionRow)), rows)
    session.execute(sa.insert(get_table(CoverageTotalRow)), cells)
