"""Reads a plan as lines of the matrix."""

from collections.abc import Sequence

from sqlmodel import Session

from app.agencies.queries import read_agency_names
from app.exchange.matrix.cells import CodeNames, make_line, sort_codes
from app.exchange.matrix.models import Basis, Content, MatrixLine
from app.kit.periods import Period
from app.plans.actions.queries import read_stored_actions
from app.plans.core.models import Plan
from app.reference.queries import find_regions_by_code, read_funding_source_words
from app.tracking.progress.queries import read_latest_spent


def read_code_names(session: Session, plan: Plan, contents: Sequence[Content]) -> CodeNames:
    """Return the names that lines with these contents show for their codes."""
    places = {item["region_code"] for content in contents for item in content["locations"]}
    regions = {
        code: (region.name, region.level.value)
        for code, region in find_regions_by_code(session, places).items()
    }
    return CodeNames(
        read_agency_names(session, plan.region_code), regions, read_funding_source_words(session)
    )


def read_matrix_lines(session: Session, plan: Plan, period: Period | None, basis: Basis) -> list[MatrixLine]:
    """Return every line of a visible plan, ordered by code; with a period, also its spending by half-year."""
    stored = read_stored_actions(session, plan)
    contents = {code: dict(action.content) for code, action in stored.items()}
    names = read_code_names(session, plan, list(contents.values()))
    spent = _read_spent(session, [action.id for action in stored.values()], period, basis) if period else {}
    return [make_line(contents[code], names, spent.get(stored[code].id)) for code in sort_codes(stored)]


def _read_spent(
    session: Session, ids: list[int], period: Period, basis: Basis
) -> dict[int, dict[str, int | None]]:
    first = read_latest_spent(session, ids, f"{period.year}-Q2")
    second = (
        read_latest_spent(session, ids, f"{period.year}-Q4", after=f"{period.year}-Q2")
        if period.last_quarter.endswith("Q4")
        else {}
    )
    result: dict[int, dict[str, int | None]] = {}
    for id in ids:
        s1, s2 = first.get(id), second.get(id)
        total = s2 if s2 is not None else s1
        if basis == "period" and s2 is not None:
            s2 -= s1 or 0
        result[id] = {"spent_s1": s1, "spent_s2": s2, "spent_total": total}
    return result
