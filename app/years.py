"""What grows by every quarter, and so can be cut by year and put away."""

import sqlalchemy as sa

from app.convergence.coverage.models import CoverageRow, ServiceCoverageRow
from app.kit.database.engine import Database, table_of
from app.tracking.progress.models import PROGRESS_PARTS, ProgressRow
from app.tracking.quarters.models import QuarterRow, QuarterState

CUT_BY_YEAR = [
    table_of(ProgressRow).name,
    *[part.table.name for part in PROGRESS_PARTS],
    table_of(CoverageRow).name,
    table_of(ServiceCoverageRow).name,
]
"""Tables that grow by every quarter and whose keys hold it; each after those that it refers to."""


def reports_not_frozen(database: Database, year: int) -> list[tuple[str, str]]:
    """(region, quarter) of a year's reports that no snapshot keeps."""
    reports, quarters = table_of(ProgressRow), table_of(QuarterRow)
    here = sa.and_(quarters.c.region_code == reports.c.region_code, quarters.c.period == reports.c.period)
    frozen = sa.exists().where(here, quarters.c.state == QuarterState.frozen)
    found = (
        sa.select(reports.c.region_code, reports.c.period).where(reports.c.year == year, ~frozen).distinct()
    )
    with database.read_session() as session:
        return [(region, period) for region, period in session.execute(found)]
