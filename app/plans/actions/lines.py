"""Actions that stand in no table of actions: those of an earlier revision, those that an amendment proposes.

They are chosen, sorted and paged like those in force. A plan has about a thousand lines at most, so they are
chosen here and handed to the database, whose keyset pages are then the same for both.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.kit.database.json_sql import records, to_json
from app.kit.http.pagination import Listing
from app.plans.actions.queries import ACTION_SORTS, ActionQuery, actions
from app.plans.actions.rules import search_text
from app.reference.rules import words_of

Line = Mapping[str, Any]
"""An action as `ActionOut` has it, as JSON; it may have further fields."""


def is_chosen(line: Line, query: ActionQuery) -> bool:
    """Whether a line is one that the query asks for, as the SELECT of actions in force would say."""
    return (
        query.strategy in (None, line["strategy"])
        and query.lead_agency in (None, line["lead_agency"])
        and (query.supporting_agency is None or query.supporting_agency in line["supporting_agencies"])
        and (
            query.location is None
            or any(_is_within(one["region_code"], query.location) for one in line["locations"])
        )
        and (
            query.funding_source is None
            or any(one["funding_source"] == query.funding_source for one in line["budget_lines"])
        )
        and (query.subactivity_code is None or _begins(line["subactivity_code"], query.subactivity_code))
        and (query.tag is None or query.tag in line["tags"])
        and query.reported in (None, line["progress_period"])
        and all(word in search_text(line) for word in words_of(query.q or ""))
    )


def _is_within(code: str, region: str) -> bool:
    return region == "0" or code == region or code.startswith(f"{region}.")


def _begins(code: str | None, start: str) -> bool:
    start = start.rstrip(".")
    return code is not None and (code == start or code.startswith(f"{start}."))


def list_lines(session: Session, lines: Iterable[Line], query: ActionQuery) -> Listing:
    """Those of the lines that the query asks for, as a list that the database sorts and cuts."""
    chosen = [line for line in lines if is_chosen(line, query)]
    rows = [{**{name: line[name] for name in ACTION_SORTS}, "json": to_json(line)} for line in chosen]
    types = {name: actions.c[name].type for name in ACTION_SORTS}
    found = records(session, {**types, "json": sa.Text()})
    sorts = {name: found.c[name] for name in ACTION_SORTS}
    statement = sa.select(*found.c).params(records=to_json(rows))
    return Listing(statement, sorts, {"code": found.c.code}, item=found.c.json)
