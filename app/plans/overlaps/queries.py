"""Finding the lines that overlap, in the database.

The join starts from the places: each line's places and the regions above them meet the places of other lines, by
equality, so that the work grows with what really lies together, not with the square of the lines.
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
from app.agencies.queries import agency_labels
from app.kit.database.engine import table_of
from app.kit.database.json_sql import built_once, elements, to_json
from app.kit.database.resources import Resource
from app.kit.http.pagination import Listing
from app.plans.actions.models import LocationRow, RecipientRow
from app.plans.actions.queries import actions, contents_of
from app.plans.actions.rules import ActionContent
from app.plans.core.models import Plan
from app.plans.overlaps.models import ExplanationIn, ExplanationOut, OverlapExplanationRow, OverlapQuery
from app.plans.overlaps.rules import BETWEEN, CoincidenceContent, Pair, coincidence

explanations = table_of(OverlapExplanationRow)
_locations, _recipients = table_of(LocationRow), table_of(RecipientRow)

_LEVELS = (2, 5, 8)
"""Lengths of the codes above a village: province, regency, district."""

_WHERE = ("place", "kind", "form")
_SPAN = ("first_month", "last_month", "first_decile", "last_decile", "group")


def overlapping(
    session: Session, chosen: ColumnElement[bool], *, of: ColumnElement[str] | None = None
) -> sa.Subquery:
    """Pairs of lines that overlap among the actions that a predicate chooses, each once: plan_id, first, second.

    Both lines are of the same plan; several plans can be chosen at once. Only those `of` one line, where it is
    given, are found without looking at the others' pairs.
    """
    near, far = _sides(session, chosen)
    meeting = _meeting(near, far)
    if of is None:
        return meeting.distinct().subquery("pair")
    return sa.union(meeting.where(near.c.code == of), meeting.where(far.c.code == of)).subquery("pair")


def candidates(session: Session, chosen: ColumnElement[bool]) -> sa.SelectBase:
    """The same pairs, each as often as something of it coincides: what the database has to look at."""
    return _meeting(*_sides(session, chosen))


def _sides(session: Session, chosen: ColumnElement[bool]) -> tuple[sa.CTE, sa.CTE]:
    spots = _spots(session, chosen)
    return _with_above(spots), spots.alias("far")


def _meeting(near: sa.CTE, far: sa.CTE) -> Select[Any]:
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
        # Of two in the very same place each sees the other.
        sa.or_(near.c.above != near.c.place, is_first),
    )


def _spots(session: Session, chosen: ColumnElement[bool]) -> sa.CTE:
    """Where each line brings which benefit to whom, when: a row for each combination."""
    form = elements(session, actions.c.benefit_forms, name="form")
    group = elements(session, _recipients.c.vulnerable_groups, name="vulnerable")
    return (
        sa.select(
            actions.c.plan_id,
            actions.c.code,
            actions.c.lead_agency,
            sa.func.coalesce(actions.c.first_month, 1).label("first_month"),
            sa.func.coalesce(actions.c.last_month, 12).label("last_month"),
            sa.func.coalesce(_recipients.c.decile_from, 1).label("first_decile"),
            sa.func.coalesce(_recipients.c.decile_to, 10).label("last_decile"),
            _recipients.c.kind,
            _locations.c.region_code.label("place"),
            form.c.value.label("form"),
            group.c.value.label("group"),
        )
        .select_from(
            actions.join(_locations, _locations.c.action_id == actions.c.id)
            .join(_recipients, _recipients.c.action_id == actions.c.id)
            .join(form, sa.true())
            .outerjoin(group, sa.true())
        )
        .where(chosen)
        .cte("spot")
    )


def _with_above(spots: sa.CTE) -> sa.CTE:
    """Each spot by its place, and by every region above it in which some line works."""
    place = spots.c.place
    there = spots.alias("there")
    own = sa.select(*spots.c, place.label("above"))
    higher = [
        sa.select(*spots.c, above.label("above")).where(
            sa.func.length(place) > length,
            above.in_(sa.select(there.c.place).where(sa.func.length(there.c.place) == length)),
        )
        for length in _LEVELS
        for above in [sa.func.substr(place, 1, length)]
    ]
    return sa.union_all(own, *higher).cte("near")


# How many meet in one place


def agencies_at_once(session: Session, chosen: ColumnElement[bool]) -> sa.SelectBase:
    """How many agencies overlap, all with all, in one and the same place: place, kind, form, agencies (2 or more).

    `chosen` is a predicate of actions and of their locations. Spans of months and deciles that meet two by two have
    a point in common, and some of them begin there: so agencies are counted at the points where spans begin, and no
    line is paired with another. A test holds this to `coincidence`.
    """
    points = points_of(session, chosen).subquery("point")
    at = [points.c[name] for name in (*_WHERE, "meeting", "month", "decile", "of_group")]
    number = sa.func.count(points.c.lead_agency.distinct())
    counted = sa.select(*at, number.label("agencies")).group_by(*at).having(number > 1).subquery("counted")
    where = [counted.c[name] for name in _WHERE]
    return sa.select(*where, sa.func.max(counted.c.agencies).label("agencies")).group_by(*where)


def points_of(session: Session, chosen: ColumnElement[bool]) -> sa.SelectBase:
    """Each agency's spans by the points in them where a span begins: what the database has to look at.

    A span is there once, however many lines of its agency have it.
    """
    spots = _spots(session, chosen)
    each = sa.select(*[spots.c[name] for name in ("plan_id", *_WHERE, "lead_agency", *_SPAN)]).distinct()
    one = each.subquery("one")
    # One number for all in which spots must be equal to meet: an engine expects one row of a join over many columns.
    meeting = sa.func.dense_rank().over(order_by=[one.c[name] for name in ("plan_id", *_WHERE)])
    spans = sa.select(*one.c, meeting.label("meeting")).cte("span")
    s = spans.c

    def beginning(value: sa.SQLColumnExpression[object], name: str) -> sa.CTE:
        return sa.select(s.meeting, value.label(name)).distinct().cte(f"{name}_of")

    months = beginning(s.first_month, "month")
    deciles = beginning(s.first_decile, "decile")
    groups = beginning(sa.func.coalesce(s.group, ""), "of_group")
    source: Any = spans
    for begun, is_inside in (
        (months, months.c.month.between(s.first_month, s.last_month)),
        (deciles, deciles.c.decile.between(s.first_decile, s.last_decile)),
        (groups, sa.or_(s.group.is_(None), s.group == groups.c.of_group)),
    ):
        source = source.join(begun, sa.and_(begun.c.meeting == s.meeting, is_inside))
    at = [s[name] for name in (*_WHERE, "meeting", "lead_agency")]
    return sa.select(*at, months.c.month, deciles.c.decile, groups.c.of_group).select_from(source)


# Pairs of one plan


def explanations_in(plan: Plan) -> Resource:
    """Return how the explanations of a plan are stored and addressed."""
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
    """What somebody said of a pair."""

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
    """A pair of lines with what coincides, and what somebody said of it."""

    pair: Pair
    coincides: CoincidenceContent
    explanation: Explanation | None

    @property
    def state(self) -> str:
        if self.explanation is None:
            return "open"
        return "stale" if self.explanation.is_stale(self.coincides) else "explained"


@dataclass(frozen=True)
class Overlaps:
    """Pairs of a plan, explained ones first; `total` counts those too that are not here."""

    pairs: list[Pair]
    explanations: Mapping[Pair, Explanation]
    total: int


SHOWN = 100
"""Unexplained pairs of a plan that its findings name; a village where everybody works has thousands."""


def overlaps_of(session: Session, plan: Plan, *, action: str | None = None) -> Overlaps:
    """The pairs of a plan, or of one line in it, every explained one and the first of the others."""
    known = explanations_of(session, plan)
    bound: dict[str, object] = {"plan_id": plan.id, "number": SHOWN + len(known)}
    if action is not None:
        bound["action"] = action
    rows = session.connection().execute(_pairs_of_plan(session, action is not None), bound).all()
    pairs = [Pair(row.first, row.second) for row in rows]
    return Overlaps(pairs, known, rows[0].total if rows else 0)


@built_once
def _pairs_of_plan(session: Session, is_of_one: bool) -> Select[Any]:
    of = sa.bindparam("action", type_=sa.String) if is_of_one else None
    pairs = overlapping(session, actions.c.plan_id == sa.bindparam("plan_id"), of=of)
    return (
        sa.select(pairs.c.first, pairs.c.second, sa.func.count().over().label("total"))
        .select_from(pairs.outerjoin(explanations, explains(pairs)))
        .order_by(explanations.c.version.is_(None), pairs.c.first, pairs.c.second)
        .limit(sa.bindparam("number"))
    )


def explains(pairs: Any) -> ColumnElement[bool]:
    """Predicate: an explanation is that of a pair (plan_id, first, second)."""
    return sa.and_(
        explanations.c.plan_id == pairs.c.plan_id,
        explanations.c.first_action == pairs.c.first,
        explanations.c.second_action == pairs.c.second,
    )


def explanations_of(session: Session, plan: Plan, pair: Pair | None = None) -> dict[Pair, Explanation]:
    """What was said of the pairs of a plan, or of one."""
    c = explanations.c
    query = sa.select(c.first_action, c.second_action, *[c[name] for name in Explanation._fields])
    query = query.where(c.plan_id == plan.id)
    if pair is not None:
        query = query.where(c.first_action == pair.first, c.second_action == pair.second)
    return {Pair(first, second): Explanation(*said) for first, second, *said in session.execute(query)}


def completed(overlaps: Overlaps, lines: Mapping[str, ActionContent]) -> list[Overlap]:
    """The pairs with what coincides, from the contents of their lines; without those that somebody has just
    changed, between the reading of the one and of the other."""
    found = []
    for pair in overlaps.pairs:
        first, second = lines.get(pair.first), lines.get(pair.second)
        coincides = coincidence(first, second) if first and second else None
        if coincides is not None:
            found.append(Overlap(pair, coincides, overlaps.explanations.get(pair)))
    return found


# The list


def list_overlaps(session: Session, plan: Plan, query: OverlapQuery) -> Listing:
    """The pairs of a plan by key alone; `with_contents` completes a page of them."""
    of = sa.literal(query.action) if query.action is not None else None
    pairs = overlapping(session, actions.c.plan_id == plan.id, of=of)
    found = sa.select(pairs.c.first, pairs.c.second)
    if query.agency is not None:
        led = sa.select(actions.c.code).where(
            actions.c.plan_id == plan.id, actions.c.lead_agency == query.agency
        )
        found = found.where(sa.or_(pairs.c.first.in_(led), pairs.c.second.in_(led)))
    if query.explained is not None:
        is_explained = sa.exists().where(explains(pairs)).correlate(pairs)
        found = found.where(is_explained if query.explained else ~is_explained)
    return Listing(found, {"first": pairs.c.first}, {"first": pairs.c.first, "second": pairs.c.second})


def with_contents(session: Session, plan: Plan, page: bytes) -> bytes:
    """A page of pairs, each as `OverlapOut`, by as many statements for many as for one."""
    body = json.loads(page)
    pairs = [Pair(item["first"], item["second"]) for item in body["items"]]
    lines = contents_of(session, plan, {key for pair in pairs for key in pair})
    names = agency_labels(session, plan.region_code)
    found = completed(Overlaps(pairs, explanations_of(session, plan), len(pairs)), lines)
    body["items"] = [_shown(overlap, lines, names) for overlap in found]
    return to_json(body).encode()


def may_explain(actor: Actor, plan: Plan, lines: Mapping[str, ActionContent]) -> bool:
    """Whether somebody may say why these lines overlap: the secretariat, and who leads one of them."""
    agencies = [line["lead_agency"] for line in lines.values()] or [""]
    return any(actor.may("write_actions", plan.region_code, agency) for agency in agencies)


def _shown(
    overlap: Overlap, lines: Mapping[str, ActionContent], names: Mapping[str, str]
) -> dict[str, object]:
    first, second = (_side(key, lines[key], names) for key in overlap.pair)
    return {
        "pair": str(overlap.pair),
        "state": overlap.state,
        "first": first,
        "second": second,
        "coincides": overlap.coincides,
        "explanation": explanation_shown(overlap.explanation, overlap.coincides)
        if overlap.explanation
        else None,
    }


def _side(key: str, line: ActionContent, names: Mapping[str, str]) -> dict[str, object]:
    return {
        "action": key,
        "title": line["title"],
        "lead_agency": line["lead_agency"],
        "agency_name": names.get(line["lead_agency"]),
        "allocation": line["allocation"],
    }


def explanation_shown(found: Explanation, coincides: CoincidenceContent | None) -> dict[str, object]:
    """As `ExplanationOut` has it."""
    shown = {**found._asdict(), "is_stale": found.is_stale(coincides)}
    return {name: shown[name] for name in ExplanationOut.model_fields}
