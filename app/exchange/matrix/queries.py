"""Reads a plan as lines of the matrix."""

from collections.abc import Sequence

from sqlmodel import Session

from app.agencies.queries import agency_labels
from app.exchange.matrix.cells import Names, in_order, line_of
from app.exchange.matrix.models import Basis, Content, Line
from app.kit.periods import Period
from app.plans.actions.queries import stored_actions
from app.plans.core.models import Plan
from app.reference.queries import funding_source_words, regions_by_code
from app.tracking.progress.queries import latest_spent


def names_for(session: Session, plan: Plan, contents: Sequence[Content]) -> Names:
    """Return the names that lines with these contents show for their codes."""
    places = {item["region_code"] for content in contents for item in content["locations"]}
    regions = {
        code: (region.name, region.level.value) for code, region in regions_by_code(session, places).items()
    }
    return Names(agency_labels(session, plan.region_code), regions, funding_source_words(session))


def matrix_lines(session: Session, plan: Plan, period: Period | None, basis: Basis) -> list[Line]:
    """Return every line of a visible plan, ordered by code; with a period, also its spending by half-year."""
    stored = stored_actions(session, plan)
    contents = {code: dict(action.content) for code, action in stored.items()}
    names = names_for(session, plan, list(contents.values()))
    spent = _read_spent(session, [action.id for action in stored.values()], period, basis) if period else {}
    return [line_of(contents[code], names, spent.get(stored[code].id)) for code in in_order(stored)]


def _read_spent(
    session: Session, ids: list[int], period: Period, basis: Basis
) -> dict[int, dict[str, int | None]]:
    first = latest_spent(session, ids, f"{period.year}-Q2")
    second = (
        latest_spent(session, ids, f"{period.year}-Q4", after=f"{period.year}-Q2")
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
