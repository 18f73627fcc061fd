"""Queries of meetings and commitments. They derive the state and the overdue days in the zone of the region."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.queries import can_see_region, is_in_region
from app.access.rules import Actor
from app.kit.database.engine import get_table
from app.kit.database.json_sql import (
    DaysBetween,
    build_json_array,
    build_json_values,
    select_fields,
    select_json,
)
from app.kit.database.resources import read_record
from app.kit.http.pagination import Listing, PageQuery, match_values
from app.kit.http.validation import describe_unknown
from app.kit.periods import get_local_date
from app.kit.problems import FieldError
from app.kit.wording import Text, declare_words
from app.plans.actions.queries import actions
from app.plans.core.queries import can_see_plan, plans, regions
from app.reference.models import Timezone
from app.tracking.meetings.models import (
    CommitmentActionRow,
    CommitmentAgencyRow,
    CommitmentIn,
    CommitmentOut,
    CommitmentQuery,
    CommitmentRow,
    FollowUp,
    FollowUpRow,
    LinkedAction,
    MeetingAgencyRow,
    MeetingIn,
    MeetingOut,
    MeetingQuery,
    MeetingRow,
    MeetingState,
    RegionCommitmentQuery,
    RegionMeetingQuery,
)
from app.tracking.meetings.rules import (
    PENDING,
    CommitmentContent,
    CommitmentState,
    LinkContent,
    MeetingContent,
)

declare_words(
    {
        "region.meetings": Text("daftar rapat wilayah ini", "the meetings of the region"),
        "linked.lines": Text("daftar baris rencana yang dapat Anda rujuk", "the lines that you can link"),
    }
)

meetings, commitments = get_table(MeetingRow), get_table(CommitmentRow)
meeting_agencies, commitment_agencies = get_table(MeetingAgencyRow), get_table(CommitmentAgencyRow)
commitment_actions, follow_ups = get_table(CommitmentActionRow), get_table(FollowUpRow)


def _derive_today(now: datetime) -> ColumnElement[date]:
    return sa.case(
        *[(regions.c.timezone == zone, sa.literal(get_local_date(now, zone), sa.Date)) for zone in Timezone]
    )


def _is_in_reach(
    actor: Actor, region: sa.Column[str], query: PageQuery, home: str | None
) -> ColumnElement[bool]:
    """Return the predicate: a visible row of `home`, or without a home of the region in the query."""
    named_region = query.region if isinstance(query, MeetingQuery | CommitmentQuery) else None
    return sa.and_(
        can_see_region(actor, region), is_in_region(region, named_region), *match_values((region, home))
    )


def _join_regions(table: sa.Table) -> sa.Join:
    return table.join(regions, regions.c.code == table.c.region_code)


# Meetings


@cache
def _list_present() -> ColumnElement[Any]:
    agencies = sa.select(meeting_agencies.c.agency_code).where(meeting_agencies.c.meeting_id == meetings.c.id)
    return build_json_values(
        agencies.order_by(meeting_agencies.c.position).correlate(meetings), name="present"
    )


def _derive_state(now: datetime) -> ColumnElement[str]:
    is_attended = sa.exists().where(meeting_agencies.c.meeting_id == meetings.c.id).correlate(meetings)
    return sa.case(
        (meetings.c.date > _derive_today(now), sa.literal(MeetingState.planned.value)),
        (is_attended, sa.literal(MeetingState.held.value)),
        else_=sa.literal(MeetingState.unconfirmed.value),
    )


def _select_meetings(now: datetime) -> Select[Any]:
    commitment_count = sa.select(sa.func.count()).where(
        commitments.c.region_code == meetings.c.region_code, commitments.c.meeting == meetings.c.code
    )
    columns = select_fields(
        MeetingOut,
        meetings,
        region_name=regions.c.name,
        agencies_present=_list_present(),
        state=_derive_state(now),
        commitment_count=commitment_count.correlate(meetings).scalar_subquery(),
    )
    return sa.select(*columns).select_from(_join_regions(meetings))


def list_meetings(
    actor: Actor, query: RegionMeetingQuery, now: datetime, *, home: str | None = None
) -> Listing:
    """Return the visible meetings of one region, `home`, or of all regions of the query."""
    c = meetings.c
    rows = _select_meetings(now).where(_is_in_reach(actor, c.region_code, query, home))
    if query.year is not None:
        rows = rows.where(c.date.between(date(query.year, 1, 1), date(query.year, 12, 31)))
    if query.agency is not None:
        is_present = sa.exists().where(
            meeting_agencies.c.meeting_id == c.id, meeting_agencies.c.agency_code == query.agency
        )
        rows = rows.where(is_present.correlate(meetings))
    if query.state is not None:
        rows = rows.where(_derive_state(now) == query.state.value)
    key = {"region_code": c.region_code, "code": c.code}
    return Listing(rows, {"date": c.date, "code": c.code}, key)


class MeetingText(NamedTuple):
    """Meeting as JSON (`MeetingOut`), with the fields for its reply."""

    json: str
    commitment_count: int
    version: int


def read_meeting(session: Session, region: str, code: str, now: datetime) -> MeetingText:
    """Return a meeting of a visible region. Raises NotFound if it does not exist."""
    query = _select_meetings(now).where(meetings.c.region_code == region, meetings.c.code == code)
    return read_record(session, query, MeetingText, *MeetingText._fields[1:])


class StoredMeeting(NamedTuple):
    """Meeting in force, to compare, patch and journal."""

    id: int
    code: str
    version: int
    content: MeetingContent


def read_stored_meetings(
    session: Session, region: str, condition: ColumnElement[bool]
) -> list[StoredMeeting]:
    """Return the meetings of a region that meet a condition, by key."""
    columns = select_fields(MeetingIn, meetings, agencies_present=_list_present())
    rows = _read_stored(session, columns, meetings, region, condition)
    return [StoredMeeting(id, code, version, json.loads(text)) for text, id, code, version in rows]


def _read_stored(
    session: Session,
    columns: Sequence[ColumnElement[Any]],
    table: sa.Table,
    region: str,
    condition: ColumnElement[bool],
    *more: str,
) -> sa.Result[*tuple[Any, ...]]:
    """Return columns of the rows of a region as JSON, with id, code, version and `more` columns."""
    extra = [table.c[name].label(f"_{name}") for name in ("id", "code", "version", *more)]
    query = sa.select(*columns, *extra).where(table.c.region_code == region, condition).order_by(table.c.code)
    return session.execute(select_json(query, *[column.name for column in extra]))


# Commitments


@cache
def _build_lists() -> dict[str, ColumnElement[Any]]:
    c = commitments.c
    support = sa.select(commitment_agencies.c.agency_code).where(commitment_agencies.c.commitment_id == c.id)
    linked = (
        sa.select(*select_fields(LinkedAction, actions, plan=plans.c.code, action=actions.c.code))
        .select_from(
            commitment_actions.join(actions, actions.c.id == commitment_actions.c.action_id).join(
                plans, plans.c.id == actions.c.plan_id
            )
        )
        .where(commitment_actions.c.commitment_id == c.id)
    )
    return {
        "supporting_agencies": build_json_values(
            support.order_by(commitment_agencies.c.position).correlate(commitments), name="support"
        ),
        "linked_actions": build_json_array(
            linked.order_by(commitment_actions.c.position).correlate(commitments), name="linked"
        ),
    }


def _select_commitments(now: datetime) -> Select[Any]:
    c = commitments.c
    entries = sa.select(*select_fields(FollowUp, follow_ups)).where(follow_ups.c.commitment_id == c.id)
    columns = select_fields(
        CommitmentOut,
        commitments,
        **_build_lists(),
        region_name=regions.c.name,
        overdue=_is_overdue(now),
        days_overdue=sa.case((_is_overdue(now), DaysBetween(c.due, _derive_today(now))), else_=0),
        follow_ups=build_json_array(
            entries.order_by(follow_ups.c.position).correlate(commitments), name="follow_up"
        ),
    )
    return sa.select(*columns).select_from(_join_regions(commitments))


def _is_overdue(now: datetime) -> ColumnElement[bool]:
    return sa.and_(commitments.c.state.in_(PENDING), commitments.c.due < _derive_today(now))


def list_commitments(
    actor: Actor, query: RegionCommitmentQuery, now: datetime, *, home: str | None = None
) -> Listing:
    """Return the visible commitments of one region, `home`, or of all regions of the query."""
    c = commitments.c
    reach = _is_in_reach(actor, c.region_code, query, home)
    rows = _select_commitments(now).where(reach, *_build_conditions(query, now))
    key = {"region_code": c.region_code, "code": c.code}
    return Listing(rows, {"due": c.due, "code": c.code}, key)


def _build_conditions(query: RegionCommitmentQuery, now: datetime) -> list[ColumnElement[bool]]:
    c = commitments.c
    conditions = match_values((c.state, query.state), (c.meeting, query.meeting))
    if query.overdue is not None:
        is_overdue = _is_overdue(now)
        conditions.append(is_overdue if query.overdue else sa.not_(is_overdue))
    if query.agency is not None:
        supports = sa.exists().where(
            commitment_agencies.c.commitment_id == c.id, commitment_agencies.c.agency_code == query.agency
        )
        conditions.append(sa.or_(c.responsible_agency == query.agency, supports.correlate(commitments)))
    if query.due_before is not None:
        conditions.append(c.due < query.due_before)
    return conditions


class CommitmentText(NamedTuple):
    """Commitment as JSON (`CommitmentOut`), with the fields for its reply."""

    json: str
    state: CommitmentState
    responsible_agency: str
    version: int


def read_commitment(session: Session, region: str, code: str, now: datetime) -> CommitmentText:
    """Return a commitment of a visible region. Raises NotFound if it does not exist."""
    query = _select_commitments(now).where(commitments.c.region_code == region, commitments.c.code == code)
    return read_record(session, query, CommitmentText, *CommitmentText._fields[1:])


class StoredCommitment(NamedTuple):
    """Commitment in force, to compare, patch and journal."""

    id: int
    code: str
    version: int
    content: CommitmentContent
    state: CommitmentState


def read_stored_commitments(
    session: Session, region: str, condition: ColumnElement[bool]
) -> list[StoredCommitment]:
    """Return the commitments of a region that meet a condition, by key."""
    columns = select_fields(CommitmentIn, commitments, **_build_lists())
    rows = _read_stored(session, columns, commitments, region, condition, "state")
    return [
        StoredCommitment(id, code, version, json.loads(text), state)
        for text, id, code, version, state in rows
    ]


# Checks of references


def check_meeting(session: Session, region: str, code: str | None) -> list[FieldError]:
    """Return an error if the region does not have the meeting."""
    if code is None:
        return []
    codes = sa.select(meetings.c.code).where(meetings.c.region_code == region).order_by(meetings.c.code)
    if session.scalar(codes.where(meetings.c.code == code)) is not None:
        return []
    return [describe_unknown(code, "region.meetings", list(session.scalars(codes)), pointer="/meeting")]


def check_links(
    session: Session, actor: Actor, region: str, linked: Sequence[LinkContent], kept: Sequence[LinkContent]
) -> tuple[list[int], list[FieldError]]:
    """Return the ids of the linked lines, and the errors of lines outside the region or the actor's view.

    Links in `kept` stay valid, so an actor can change the text without a view of lines that another actor linked.
    """
    is_reachable = sa.and_(can_see_plan(actor), is_in_region(plans.c.region_code, region))
    ids, errors = _find_line_ids(session, is_reachable, linked, kept), []
    for n, link in enumerate(linked):
        if _key(link) not in ids:
            of_plan = sa.select(actions.c.code).join_from(actions, plans, plans.c.id == actions.c.plan_id)
            of_plan = of_plan.where(is_reachable, plans.c.code == link["plan"]).order_by(actions.c.code)
            near, pointer = list(session.scalars(of_plan)), f"/linked_actions/{n}/action"
            errors.append(describe_unknown(link["action"], "linked.lines", near, pointer=pointer))
    return list(ids.values()), errors


def _find_line_ids(
    session: Session,
    is_reachable: ColumnElement[bool],
    linked: Sequence[LinkContent],
    kept: Sequence[LinkContent],
) -> dict[tuple[str, str], int]:
    """Map (plan, action) to id, in the order of the links, by one SELECT."""
    if not linked:
        return {}
    pair = sa.tuple_(plans.c.code, actions.c.code)
    before = [_key(link) for link in kept]
    query = (
        sa.select(plans.c.code, actions.c.code, actions.c.id)
        .join_from(actions, plans, plans.c.id == actions.c.plan_id)
        .where(
            pair.in_([_key(link) for link in linked]),
            sa.or_(is_reachable, pair.in_(before)) if before else is_reachable,
        )
    )
    ids = {(plan, action): id for plan, action, id in session.execute(query)}
    return {_key(link): ids[_key(link)] for link in linked if _key(link) in ids}


def _key(link: LinkContent) -> tuple[str, str]:
    return link["plan"], link["action"]
