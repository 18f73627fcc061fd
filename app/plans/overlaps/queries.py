"""Queries of overlaps and of their explanations.

The join starts from places: the places of a line and the regions above them equal the places of other lines, so the
work grows with the number of lines in the same places, not with the square of all lines.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.rules import Actor
from app.agencies.queries import read_agency_names
from app.kit.database.engine import get_table
from app.kit.database.json_sql import build_once, dump_json, unnest_texts
from app.kit.database.resources import Resource
from app.kit.http.pagination import Listing
from app.plans.actions.models import LocationRow, RecipientRow
from app.plans.actions.queries import actions, read_contents
from app.plans.actions.rules import ActionContent
from app.plans.copies.queries import PRESENT, LineTables
from app.plans.core.models import Plan
from app.plans.overlaps.models import ExplanationIn, ExplanationOut, OverlapExplanationRow, OverlapQuery
from app.plans.overlaps.rules import BETWEEN, CoincidenceContent, LinePair, find_coincidence

explanations = get_table(OverlapExplanationRow)
_locations, _recipients = get_table(LocationRow), get_table(RecipientRow)

LEVELS = (2, 5, 8)
"""Lengths of the codes above a village: province, regency, district."""

_WHERE = ("place", "kind", "form")
_SPAN = ("first_month", "last_month", "first_decile", "last_decile", "group")


def select_overlapping(
    session: Session, chosen: ColumnElement[bool], *, of: ColumnElement[str] | None = None
) -> sa.Subquery:
    """Return the pairs of overlapping lines among the chosen actions, each once: plan_id, first, second.

    `chosen` is a predicate of actions; both lines of a pair are of one plan. `of` restricts the pairs to one line's.
    """
    near, far = _build_sides(session, chosen)
    meetings = _select_meetings(near, far)
    if of is None:
        return meetings.distinct().subquery("pair")
    # Two halves, so that the database does not compute the pairs of other lines.
    return sa.union(meetings.where(near.c.code == of), meetings.where(far.c.code == of)).subquery("pair")


def select_candidates(session: Session, chosen: ColumnElement[bool]) -> sa.SelectBase:
    """Return the pairs, each as often as its spots meet: the rows that the database has to visit."""
    return _select_meetings(*_build_sides(session, chosen))


def _build_sides(session: Session, chosen: ColumnElement[bool]) -> tuple[sa.CTE, sa.CTE]:
    spots = select_spots(session, PRESENT, actions, actions.c.lead_agency).where(chosen).cte("spot")
    return _add_regions_above(spots), spots.alias("far")


def _select_meetings(near: sa.CTE, far: sa.CTE) -> Select[Any]:
    is_first = near.c.code < far.c.code
    return sa.select(
        near.c.plan_id,
        sa.case((is_first, near.c.code), else_=far.c.code).label("first"),
        sa.case((is_first, far.c.code), else_=near.c.code).label("second"),
    ).where(
        near.c.above == far.c.place,
        near.c.kind == far.c.kind,
        near.c.form == far.c.form,
        near.c.plan_id == far.c.plan_id,
        near.c.lead_agency != far.c.lead_agency,
        near.c.first_month <= far.c.last_month,
        far.c.first_month <= near.c.last_month,
        near.c.first_decile <= far.c.last_decile,
        far.c.first_decile <= near.c.last_decile,
        sa.or_(near.c.group == far.c.group, near.c.group.is_(None), far.c.group.is_(None)),
        # Two spots in one place meet in both directions: keep one.
        sa.or_(near.c.above != near.c.place, is_first),
    )


def select_spots(
    session: Session, tables: LineTables, lines: sa.FromClause, lead_agency: ColumnElement[str]
) -> Select[Any]:
    """Select a row for each combination of place, kind of recipient, form of benefit and group of a line.

    `lines` are the lines of `tables`, or a join with them.
    """
    line, place, recipient = tables.lines, tables.parts[_locations], tables.parts[_recipients]
    first_month, last_month = _cut_months(line)
    form = unnest_texts(session, line.c.benefit_forms, name="form")
    group = unnest_texts(session, recipient.c.vulnerable_groups, name="vulnerable")
    return (
        sa.select(
            line.c.plan_id,
            line.c.code,
            lead_agency,
            first_month.label("first_month"),
            last_month.label("last_month"),
            sa.func.coalesce(recipient.c.decile_from, 1).label("first_decile"),
            sa.func.coalesce(recipient.c.decile_to, 10).label("last_decile"),
            recipient.c.kind,
            place.c.region_code.label("place"),
            form.c.value.label("form"),
            group.c.value.label("group"),
        )
        .select_from(
            lines.join(place, tables.is_of_line(_locations, line))
            .join(recipient, tables.is_of_line(_recipients, line))
            .join(form, sa.true())
            .outerjoin(group, sa.true())
        )
        .where(first_month <= last_month)
    )


def _cut_months(line: sa.Table) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Return the first and the last month of a line, cut to its quarters; the first is later if no month is left."""
    c = line.c

    def get_number(quarter: sa.SQLColumnExpression[object]) -> ColumnElement[int]:
        return sa.cast(sa.func.substr(quarter, 7, 1), sa.Integer)

    first, last = sa.func.coalesce(c.first_month, 1), sa.func.coalesce(c.last_month, 12)
    starts = 3 * get_number(c.starts_in) - 2
    ends = sa.case((c.ends_after < sa.cast(c.year, sa.Text), 0), else_=3 * get_number(c.ends_after))
    return sa.case((starts > first, starts), else_=first), sa.case((ends < last, ends), else_=last)


def _add_regions_above(spots: sa.CTE) -> sa.CTE:
    """Return each spot with its own place, and with every region above it that is a place of some line."""
    place = spots.c.place
    places = spots.alias("there")
    own = sa.select(*spots.c, place.label("above"))
    higher = [
        sa.select(*spots.c, above.label("above")).where(
            sa.func.length(place) > length,
            above.in_(sa.select(places.c.place).where(sa.func.length(places.c.place) == length)),
        )
        for length in LEVELS
        for above in [sa.func.substr(place, 1, length)]
    ]
    return sa.union_all(own, *higher).cte("near")


# Agencies that overlap in one place


def count_agencies_at_once(spots: sa.CTE) -> sa.SelectBase:
    """Return the number of agencies that all overlap in one place: place, kind, form, agencies (2 or more).

    `spots` are those of `select_spots`. If each pair of several spans of months and deciles meets,
    all have a point in common, at which one of them begins; so the query counts agencies at the beginnings of spans and
    pairs no lines. A test compares it with `find_coincidence`.
    """
    points = select_points(spots).subquery("point")
    keys = [points.c[name] for name in (*_WHERE, "meeting", "month", "decile", "of_group")]
    number = sa.func.count(points.c.lead_agency.distinct())
    counts = sa.select(*keys, number.label("agencies")).group_by(*keys).having(number > 1).subquery("counts")
    place = [counts.c[name] for name in _WHERE]
    return sa.select(*place, sa.func.max(counts.c.agencies).label("agencies")).group_by(*place)


def select_points(spots: sa.CTE) -> sa.SelectBase:
    """Return each agency's spans by the points inside them at which a span begins: the rows to count.

    Lines of one agency with equal spans give one span.
    """
    distinct = sa.select(*[spots.c[name] for name in ("plan_id", *_WHERE, "lead_agency", *_SPAN)]).distinct()
    spot = distinct.subquery("one")
    # One number for the columns in which spots must be equal: engines estimate one row for a join over many columns.
    meeting = sa.func.dense_rank().over(order_by=[spot.c[name] for name in ("plan_id", *_WHERE)])
    spans = sa.select(*spot.c, meeting.label("meeting")).cte("span")
    s = spans.c

    def select_beginnings(value: sa.SQLColumnExpression[object], name: str) -> sa.CTE:
        return sa.select(s.meeting, value.label(name)).distinct().cte(f"{name}_of")

    months = select_beginnings(s.first_month, "month")
    deciles = select_beginnings(s.first_decile, "decile")
    groups = select_beginnings(sa.func.coalesce(s.group, ""), "of_group")
    source: Any = spans
    for beginnings, is_inside in (
        (months, months.c.month.between(s.first_month, s.last_month)),
        (deciles, deciles.c.decile.between(s.first_decile, s.last_decile)),
        (groups, sa.or_(s.group.is_(None), s.group == groups.c.of_group)),
    ):
        source = source.join(beginnings, sa.and_(beginnings.c.meeting == s.meeting, is_inside))
    columns = [s[name] for name in (*_WHERE, "meeting", "lead_agency")]
    return sa.select(*columns, months.c.month, deciles.c.decile, groups.c.of_group).select_from(source)


# Pairs of one plan


def build_explanation_resource(plan: Plan) -> Resource:
    """Return the resource of a plan's explanations: table, key and address."""
    return Resource(
        "explanation",
        explanations,
        ExplanationIn,
        ("plan_id", "first_action", "second_action"),
        f"plans/{plan.code}/overlaps/{{first_action}}{BETWEEN}{{second_action}}/explanation",
        region=plan.region_code,
        written_at="explained_at",
        written_by="explained_by",
        is_draft=plan.revision is None,
    )


class Explanation(NamedTuple):
    """A stored explanation of a pair."""

    verdict: str
    text: str
    explained: CoincidenceContent
    version: int
    explained_at: datetime
    explained_by: str

    def is_stale(self, coincides: CoincidenceContent | None) -> bool:
        return self.explained != coincides


@dataclass(frozen=True)
class Overlap:
    """A pair of lines with their common benefits, recipients, places and months, and its explanation."""

    pair: LinePair
    coincides: CoincidenceContent
    explanation: Explanation | None

    @property
    def state(self) -> str:
        if self.explanation is None:
            return "open"
        return "stale" if self.explanation.is_stale(self.coincides) else "explained"


@dataclass(frozen=True)
class PlanOverlaps:
    """Pairs of a plan, explained ones first; `total` counts all pairs of the plan."""

    pairs: list[LinePair]
    explanations: Mapping[LinePair, Explanation]
    total: int


MAX_UNEXPLAINED = 100
"""Largest number of unexplained pairs in a plan's findings; a village with many lines has thousands."""


def read_overlaps(session: Session, plan: Plan, *, action: str | None = None) -> PlanOverlaps:
    """Return the pairs of a plan, or of one of its lines: all explained pairs, and others up to `MAX_UNEXPLAINED`."""
    known = read_explanations(session, plan)
    parameters: dict[str, object] = {"plan_id": plan.id, "number": MAX_UNEXPLAINED + len(known)}
    if action is not None:
        parameters["action"] = action
    rows = session.connection().execute(_select_pairs(session, action is not None), parameters).all()
    pairs = [LinePair(row.first, row.second) for row in rows]
    return PlanOverlaps(pairs, known, rows[0].total if rows else 0)


@build_once
def _select_pairs(session: Session, has_action: bool) -> Select[Any]:
    of = sa.bindparam("action", type_=sa.String) if has_action else None
    pairs = select_overlapping(session, actions.c.plan_id == sa.bindparam("plan_id"), of=of)
    return (
        sa.select(pairs.c.first, pairs.c.second, sa.func.count().over().label("total"))
        .select_from(pairs.outerjoin(explanations, is_explanation_of(pairs)))
        .order_by(explanations.c.version.is_(None), pairs.c.first, pairs.c.second)
        .limit(sa.bindparam("number"))
    )


def is_explanation_of(pairs: Any) -> ColumnElement[bool]:
    """Predicate: the explanation is that of the pair (plan_id, first, second)."""
    return sa.and_(
        explanations.c.plan_id == pairs.c.plan_id,
        explanations.c.first_action == pairs.c.first,
        explanations.c.second_action == pairs.c.second,
    )


def read_explanations(
    session: Session, plan: Plan, pair: LinePair | None = None
) -> dict[LinePair, Explanation]:
    """Return the explanations of a plan, or of one pair, by pair."""
    c = explanations.c
    query = sa.select(c.first_action, c.second_action, *[c[name] for name in Explanation._fields])
    query = query.where(c.plan_id == plan.id)
    if pair is not None:
        query = query.where(c.first_action == pair.first, c.second_action == pair.second)
    return {
        LinePair(first, second): Explanation(*fields) for first, second, *fields in session.execute(query)
    }


def complete_overlaps(overlaps: PlanOverlaps, lines: Mapping[str, ActionContent], year: int) -> list[Overlap]:
    """Return the pairs with what coincides, from the contents of their lines.

    Drops pairs that a write changed between the read of the pairs and the read of the lines.
    """
    result = []
    for pair in overlaps.pairs:
        first, second = lines.get(pair.first), lines.get(pair.second)
        coincides = find_coincidence(first, second, year) if first and second else None
        if coincides is not None:
            result.append(Overlap(pair, coincides, overlaps.explanations.get(pair)))
    return result


# The list


def list_overlaps(session: Session, plan: Plan, query: OverlapQuery) -> Listing:
    """Return the list of a plan's pairs, keys only; `add_contents` completes its pages."""
    of = sa.literal(query.action) if query.action is not None else None
    pairs = select_overlapping(session, actions.c.plan_id == plan.id, of=of)
    statement = sa.select(pairs.c.first, pairs.c.second)
    if query.agency is not None:
        led = sa.select(actions.c.code).where(
            actions.c.plan_id == plan.id, actions.c.lead_agency == query.agency
        )
        statement = statement.where(sa.or_(pairs.c.first.in_(led), pairs.c.second.in_(led)))
    if query.explained is not None:
        is_explained = sa.exists().where(is_explanation_of(pairs)).correlate(pairs)
        statement = statement.where(is_explained if query.explained else ~is_explained)
    return Listing(statement, {"first": pairs.c.first}, {"first": pairs.c.first, "second": pairs.c.second})


def add_contents(session: Session, plan: Plan, page: bytes) -> bytes:
    """Return a page of pairs, each as `OverlapOut`, with as many statements for many pairs as for one."""
    body = json.loads(page)
    pairs = [LinePair(item["first"], item["second"]) for item in body["items"]]
    lines = read_contents(session, plan, {key for pair in pairs for key in pair})
    names = read_agency_names(session, plan.region_code)
    overlaps = complete_overlaps(
        PlanOverlaps(pairs, read_explanations(session, plan), len(pairs)), lines, plan.year
    )
    body["items"] = [_dump_overlap(overlap, lines, names) for overlap in overlaps]
    return dump_json(body).encode()


def may_explain(actor: Actor, plan: Plan, lines: Mapping[str, ActionContent]) -> bool:
    """Return whether the actor may explain the overlap of these lines: the secretariat and both lead agencies may."""
    agencies = [line["lead_agency"] for line in lines.values()] or [""]
    return any(actor.may("write_actions", plan.region_code, agency) for agency in agencies)


def _dump_overlap(
    overlap: Overlap, lines: Mapping[str, ActionContent], names: Mapping[str, str]
) -> dict[str, object]:
    first, second = (_dump_side(key, lines[key], names) for key in overlap.pair)
    return {
        "pair": str(overlap.pair),
        "state": overlap.state,
        "first": first,
        "second": second,
        "coincides": overlap.coincides,
        "explanation": dump_explanation(overlap.explanation, overlap.coincides)
        if overlap.explanation
        else None,
    }


def _dump_side(key: str, line: ActionContent, names: Mapping[str, str]) -> dict[str, object]:
    return {
        "action": key,
        "title": line["title"],
        "lead_agency": line["lead_agency"],
        "agency_name": names.get(line["lead_agency"]),
        "allocation": line["allocation"],
    }


def dump_explanation(explanation: Explanation, coincides: CoincidenceContent | None) -> dict[str, object]:
    """Return the fields of `ExplanationOut`."""
    fields = {**explanation._asdict(), "is_stale": explanation.is_stale(coincides)}
    return {name: fields[name] for name in ExplanationOut.model_fields}
