"""Reading a plan as the matrix shows it."""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.agencies.queries import agency_labels
from app.exchange.matrix.models import Line
from app.exchange.models import Basis, Content
from app.exchange.rules import Names, line_of
from app.kit.json_sql import json_texts
from app.kit.periods import Period
from app.plans.queries import action_columns, actions
from app.reference.queries import funding_source_words, regions_by_code
from app.tracking.queries import latest_spent


def names_for(session: Session, plan: sa.Row[Any], contents: Sequence[Content]) -> Names:
    """The names that lines of these contents show for their codes."""
    places = {item["region_code"] for content in contents for item in content["locations"]}
    regions = {code: (found.name, found.level.value) for code, found in regions_by_code(session, places).items()}
    return Names(agency_labels(session, plan.region_code), regions, funding_source_words(session))


def matrix_lines(session: Session, plan: sa.Row[Any], period: Period | None, basis: Basis) -> list[Line]:
    """Every line of a visible plan by code; with a period, what was spent by the end of each half-year."""
    query = sa.select(*action_columns(), actions.c.id.label("_id")).where(actions.c.plan_id == plan.id).order_by(actions.c.code)
    rows = [(id, json.loads(text)) for text, id in session.execute(json_texts(query, "_id"))]
    names = names_for(session, plan, [content for _, content in rows])
    spent = _spent(session, [id for id, _ in rows], period, basis) if period else {}
    return [line_of(content, names, spent.get(id)) for id, content in rows]


def _spent(session: Session, ids: list[int], period: Period, basis: Basis) -> dict[int, dict[str, int | None]]:
    first = latest_spent(session, ids, f"{period.year}-Q2")
    second = latest_spent(session, ids, f"{period.year}-Q4", after=f"{period.year}-Q2") if period.last_quarter.endswith("Q4") else {}
    result: dict[int, dict[str, int | None]] = {}
    for id in ids:
        s1, s2 = first.get(id), second.get(id)
        total = s2 if s2 is not None else s1
        if basis == "period" and s2 is not None:
            s2 -= s1 or 0
        result[id] = {"spent_s1": s1, "spent_s2": s2, "spent_total": total}
    return result
