"""Reading the actions of a plan that the actor was found to see."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.sql import ColumnElement
from sqlmodel import Session

from app.access.queries import within
from app.access.rules import is_within
from app.kit.database.engine import table_of
from app.kit.database.json_sql import fields_of, fixed_object, json_rows, json_texts, json_values, to_json
from app.kit.database.upsert import records
from app.kit.fields import AgencyCode, FundingSourceCode, RegionCode, Tag
from app.kit.http.pagination import Listing, PageQuery
from app.kit.problems import NotFound
from app.plans.actions.models import (
    PARTS,
    ActionIn,
    ActionOut,
    ActionRow,
    BudgetLineRow,
    LocationRow,
    Part,
    Strategy,
    SupportingAgencyRow,
    TagRow,
)
from app.plans.actions.rules import search_text
from app.plans.core.models import Plan
from app.plans.core.queries import plans
from app.reference.models import Words
from app.reference.queries import has_words
from app.reference.rules import words_of

actions = table_of(ActionRow)


class ActionQuery(PageQuery):
    """Which actions of a plan, in which order."""

    strategy: Strategy | None = Field(default=None, description="Serves this strategy.")
    lead_agency: AgencyCode | None = Field(default=None, description="Is led by this agency.")
    supporting_agency: AgencyCode | None = Field(default=None, description="Is supported by this agency.")
    location: RegionCode | None = Field(
        default=None, description="Works in this region or anywhere below it."
    )
    funding_source: FundingSourceCode | None = Field(
        default=None, description="Has a budget line of this source."
    )
    subactivity_code: str | None = Field(
        default=None, max_length=20, description="Code or the beginning of one: `1.06` is the whole field."
    )
    tag: Tag | None = Field(default=None, description="Bears this tag.")
    q: Words | None = Field(default=None, description="Words, all of which occur in title or names.")
    reported: Annotated[
        str | None, Field(pattern=r"^20[0-9]{2}-Q[1-4]$", description="Latest report is of this quarter.")
    ] = None
    sort: Literal[
        "code",
        "-code",
        "title",
        "-title",
        "strategy",
        "-strategy",
        "lead_agency",
        "-lead_agency",
        "allocation",
        "-allocation",
        "spent",
        "-spent",
    ] = "code"


@cache
def action_columns() -> list[ColumnElement[Any]]:
    """Columns of an action as `ActionOut` declares them, its parts as JSON the database builds."""
    # PostgreSQL rounds numerics to decimals, not floats.
    share = sa.cast(actions.c.spent * 100.0 / actions.c.allocation, sa.Numeric)
    percent = sa.case((actions.c.allocation > 0, sa.func.round(share, 2)))
    return fields_of(
        ActionOut,
        actions,
        plan=sa.select(plans.c.code).where(plans.c.id == actions.c.plan_id).scalar_subquery(),
        absorption_percent=percent,
        **{part.name: _part_json(part) for part in PARTS},
    )


def _part_json(part: Part) -> sa.SQLColumnExpression[object]:
    columns = [part.table.c[part.key]] if part.shape is None else fields_of(part.shape, part.table)
    query = (
        sa.select(*columns)
        .where(part.table.c.action_id == actions.c.id)
        .order_by(part.table.c.position)
        .correlate(actions)
    )
    make = json_values if part.shape is None else json_rows
    return make(query, name=part.name)


def list_actions(plan: Plan, query: ActionQuery) -> Listing:
    """Actions of a plan that the actor was found to see."""
    found = sa.select(actions.c.id).where(actions.c.plan_id == plan.id)
    for condition in _conditions(plan, query):
        found = found.where(condition)
    sorts = {name.removeprefix("-"): actions.c[name.removeprefix("-")] for name in ACTION_SORTS}
    return Listing(found, sorts, {"code": actions.c.code}, item=_action_item())


@cache
def _action_item() -> ColumnElement[Any]:
    return fixed_object("action", action_columns())


ACTION_SORTS = ("code", "title", "strategy", "lead_agency", "allocation", "spent")


def _conditions(plan: Plan, query: ActionQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.strategy is not None:
        found.append(actions.c.strategy == query.strategy)
    if query.lead_agency is not None:
        found.append(actions.c.lead_agency == query.lead_agency)
    if query.supporting_agency is not None:
        table = table_of(SupportingAgencyRow)
        found.append(_has(table, table.c.agency_code == query.supporting_agency))
    if query.location is not None:
        table = table_of(LocationRow)
        found.append(_has(table, within(table.c.region_code, query.location)))
    if query.funding_source is not None:
        table = table_of(BudgetLineRow)
        found.append(_has(table, table.c.funding_source == query.funding_source))
    if query.subactivity_code is not None:
        found.append(_begins(actions.c.subactivity_code, query.subactivity_code.rstrip(".")))
    if query.tag is not None:
        table = table_of(TagRow)
        found.append(_has(table, table.c.tag == query.tag))
    if query.reported is not None:
        found.append(actions.c.progress_period == query.reported)
    if query.q is not None:
        found.append(has_words(actions.c.search, query.q))
    return found


def _begins(column: sa.SQLColumnExpression[object], code: str) -> ColumnElement[bool]:
    """Predicate: a dotted code is `code` or lies below it. Unlike a region, `0` is not the whole."""
    return sa.or_(column == code, sa.and_(column > f"{code}.", column < f"{code}/"))


def _has(table: sa.Table, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return sa.exists().where(table.c.action_id == actions.c.id, condition).correlate(actions)


def action_json(session: Session, plan: Plan, code: str) -> str:
    """An action of a visible plan as JSON text; NotFound when there is none of that key."""
    query = sa.select(*action_columns()).where(actions.c.plan_id == plan.id, actions.c.code == code)
    text = session.execute(json_texts(query)).scalar_one_or_none()
    if text is None:
        raise NotFound()
    return str(text)


def action_id_of(session: Session, plan: Plan, code: str) -> int:
    """Id of an action of a visible plan; NotFound when there is none of that key."""
    found = session.scalar(
        sa.select(actions.c.id).where(actions.c.plan_id == plan.id, actions.c.code == code)
    )
    if found is None:
        raise NotFound()
    return int(found)


class StoredAction:
    """An action as it stands, for comparing, patching and journaling."""

    __slots__ = ("content", "id", "version")

    def __init__(self, id: int, content: dict[str, Any]) -> None:
        self.id = id
        self.version: int = content["version"]
        self.content = {name: content[name] for name in ActionIn.model_fields}


def stored_actions(session: Session, plan: Plan, codes: list[str] | None = None) -> dict[str, StoredAction]:
    """The actions of those codes (all: None), by code, in one statement whatever their number."""
    query = sa.select(*action_columns(), actions.c.id.label("_id")).where(actions.c.plan_id == plan.id)
    if codes is not None:
        query = query.where(actions.c.code.in_(codes))
    rows = session.execute(json_texts(query, "code", "_id"))
    return {code: StoredAction(id, json.loads(text)) for text, code, id in rows}


def whole_actions(
    session: Session, plan: Plan, codes: list[str] | None = None
) -> dict[str, dict[str, object]]:
    """The actions of those codes (all: None) as `ActionOut`, by code, in one statement."""
    query = sa.select(*action_columns()).where(actions.c.plan_id == plan.id)
    if codes is not None:
        query = query.where(actions.c.code.in_(codes))
    return {code: json.loads(text) for text, code in session.execute(json_texts(query, "code"))}


def reported_codes(session: Session, plan: Plan, codes: list[str]) -> list[str]:
    """Those of the codes whose action was reported on."""
    query = sa.select(actions.c.code).where(
        actions.c.plan_id == plan.id, actions.c.code.in_(codes), actions.c.progress_period.is_not(None)
    )
    return list(session.scalars(query.order_by(actions.c.code)))


# What refers to an action


REFERRERS: dict[str, sa.Column[Any]] = {}
"""Kind of thing that refers to actions → its column with their ids. `app.wiring` adds those of the areas above: plans
must not know commitments, yet a line that one names cannot be deleted."""


def references_to(session: Session, plan: Plan, codes: list[str]) -> dict[str, dict[str, int]]:
    """Of those of the codes that something refers to: kind of thing → how many, in one statement."""
    counts = {
        name: sa.select(sa.func.count()).where(column == actions.c.id).correlate(actions).scalar_subquery()
        for name, column in REFERRERS.items()
    }
    if not counts or not codes:
        return {}
    found = sa.select(actions.c.code, *counts.values()).where(
        actions.c.plan_id == plan.id, actions.c.code.in_(codes)
    )
    by_code = {
        code: {name: count for name, count in zip(counts, numbers, strict=True) if count}
        for code, *numbers in session.execute(found)
    }
    return {code: references for code, references in by_code.items() if references}


# Actions that no table of actions has: those of an earlier revision, those that an amendment proposes. They are
# chosen, sorted and paged like those in force. A plan has about a thousand lines at most, so they are chosen here and
# handed to the database, whose keyset pages are then the same for both.

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
            or any(is_within(one["region_code"], query.location) for one in line["locations"])
        )
        and (
            query.funding_source is None
            or any(one["funding_source"] == query.funding_source for one in line["budget_lines"])
        )
        and (
            query.subactivity_code is None
            or _is_code_within(line["subactivity_code"], query.subactivity_code)
        )
        and (query.tag is None or query.tag in line["tags"])
        and query.reported in (None, line["progress_period"])
        and all(word in search_text(line) for word in words_of(query.q or ""))
    )


def _is_code_within(code: str | None, start: str) -> bool:
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
