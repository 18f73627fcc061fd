"""Queries that count the inputs of figures, with as many statements for a province as for one region.

The caller chooses the visible plans and regions; each statement takes them as one JSON parameter. The quality of a
plan (codes, places, recipients, overlaps) is that of its present lines. Money, reports and outputs are those of the
year's last quarter, as in summaries: the lines of the revision that this quarter has.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Subquery
from sqlmodel import Session

from app.access.queries import is_below_region
from app.convergence.coverage.rules import VILLAGE_LENGTH
from app.convergence.coverage.sums.queries import region_sums
from app.convergence.editions.step_templates.models import Template
from app.convergence.editions.step_templates.rules import compute_window
from app.convergence.indicators.queries import POVERTY_RATE, observations
from app.convergence.steps.models import StepEvidenceRow
from app.convergence.steps.rules import ALL_KINDS, VillageEvidence
from app.kit.database.engine import BigInt, get_table
from app.kit.database.json_sql import build_once, dump_json, select_json_tables, sum_where, whole_sum
from app.kit.database.upsert import unnest_records
from app.kit.periods import get_local_date
from app.plans.actions.models import LocationRow, OutputRow, RecipientRow, Strategy
from app.plans.actions.queries import actions
from app.plans.copies.queries import select_part
from app.plans.core.models import PriorityLocationRow
from app.plans.core.queries import plans, regions
from app.plans.overlaps.queries import explanations, is_explanation_of, select_overlapping
from app.reference.models import RegionLevel
from app.tracking.calendars.queries import bind_today, select_today
from app.tracking.completeness.rules import SUBMITTED
from app.tracking.lines.queries import select_lines_of_quarter, select_plans_of_quarter
from app.tracking.meetings.queries import commitments, meeting_agencies, meetings
from app.tracking.meetings.rules import CommitmentState
from app.tracking.progress.models import OutputProgressRow
from app.tracking.quarters.queries import join_quarters, quarters
from app.tracking.summaries.queries import join_reports, sum_money_by_group

evidence = get_table(StepEvidenceRow)
_locations, _recipients, _outputs = get_table(LocationRow), get_table(RecipientRow), get_table(OutputRow)
_priorities, _achieved = get_table(PriorityLocationRow), get_table(OutputProgressRow)

FRESH = 4
"""Maximum age of fresh data in quarters (finding W09)."""


@dataclass(frozen=True)
class PlanningRegion:
    """A planning region, with the plan of the year."""

    code: str
    name: str
    level: RegionLevel
    zone: str
    plan_id: int | None
    """The year's plan, None if there is none that the caller sees."""
    adopted_on: date | None


def count_inputs(
    session: Session, homes: Collection[PlanningRegion], year: int, now: datetime
) -> dict[str, dict[str, object]]:
    """Return the counts of each region by name: of its plan, its coverage and its poverty rate."""
    result: dict[str, dict[str, object]] = {home.code: {} for home in homes}
    by_plan = {home.plan_id: result[home.code] for home in homes if home.plan_id is not None}
    bound = {
        "records": dump_json([_build_record(home) for home in homes]),
        "year": year,
        "first": f"{year}-Q1",
        "last": f"{year}-Q4",
        "observed": str(year),
        "observed_to": str(year + 1),
        "before": str(year - 1),
        **bind_today(now),
    }
    row = session.connection().execute(_select_counts(session, f"{year}-Q4"), bound).one()
    for name, text in row._mapping.items():
        for counts in json.loads(text):
            key = counts.pop("of")
            if name in _OF_REGIONS:
                _keep_latest(result[key], counts)
            else:
                by_plan[key].update(counts)
    return result


def _build_record(home: PlanningRegion) -> dict[str, object]:
    is_province = home.level is RegionLevel.province
    return {
        "region": home.code,
        "plan_id": home.plan_id,
        "low": f"{home.code}." if is_province else home.code,
        "high": f"{home.code}/" if is_province else home.code,
    }


_OF_REGIONS = {"coverage": "coverage_period", "poverty": "observed"}
"""Name of the period, by part with a row for each period of a region."""


def _keep_latest(result: dict[str, object], counts: dict[str, object]) -> None:
    period = next(name for name in _OF_REGIONS.values() if name in counts)
    if str(counts[period]) > str(result.get(period, "")):
        result.update(counts)


@build_once
def _select_counts(session: Session, last_quarter: str) -> sa.Select[*tuple[str, ...]]:
    kinds = {"region": regions.c.code.type, "plan_id": BigInt}
    given = unnest_records(session, {**kinds, "low": regions.c.code.type, "high": regions.c.code.type})
    chosen = sa.select(given.c.plan_id).where(given.c.plan_id.is_not(None)).scalar_subquery()
    of_year = select_plans_of_quarter(plans.c.id.in_(chosen), last_quarter)
    lines_of_year = select_lines_of_quarter(of_year, last_quarter)
    queries: dict[str, sa.SelectBase] = {
        "lines": _count_lines(chosen),
        "money": _sum_money(lines_of_year),
        "recipients": _count_recipients(chosen),
        "loci": _count_loci(chosen),
        "outputs": _count_outputs(lines_of_year),
        "quarters": _count_quarters(chosen),
        "overlaps": _count_overlaps(session, chosen),
        "coverage": _sum_coverage(given),
        "poverty": _select_poverty(given),
    }
    return select_json_tables(queries)


# Plans


def _group_by_plan(
    chosen: sa.ScalarSelect[int],
    source: sa.FromClause,
    *columns: ColumnElement[int] | ColumnElement[float],
    plan_id: sa.Column[int] = actions.c.plan_id,
) -> sa.Select[*tuple[object, ...]]:
    """Select a row for each chosen plan in a source, with its id as `of`."""
    grouped = sa.select(plan_id.label("of"), *columns).select_from(source).group_by(plan_id)
    return grouped.where(plan_id.in_(chosen))


def _count(**conditions: ColumnElement[bool]) -> list[ColumnElement[int]]:
    """Count the rows that fulfil each condition, by name."""
    return [sum_where(condition).label(name) for name, condition in conditions.items()]


def _group_parts(
    chosen: sa.ScalarSelect[int], table: sa.Table, **conditions: ColumnElement[bool]
) -> Subquery:
    """Select the lines with parts of a kind, with a flag for each condition that one of a line's parts fulfils.
    Grouped and joined, not correlated: the primary keys of parts begin with their own code."""
    flags = [
        sa.func.max(sa.case((condition, 1), else_=0)).label(name) for name, condition in conditions.items()
    ]
    return (
        sa.select(table.c.action_id, *flags)
        .select_from(table.join(actions, actions.c.id == table.c.action_id))
        .where(actions.c.plan_id.in_(chosen))
        .group_by(table.c.action_id)
        .subquery(f"by_{table.name}")
    )


def _count_lines(chosen: sa.ScalarSelect[int]) -> sa.SelectBase:
    c, r, place = actions.c, _recipients.c, _locations.c.region_code
    retired = sa.select(regions.c.code).where(regions.c.retired.is_(True))
    outputs = _group_parts(chosen, _outputs, with_target=_outputs.c.target > 0)
    recipients = _group_parts(
        chosen,
        _recipients,
        with_deciles=sa.and_(r.decile_from.is_not(None), r.decile_to.is_not(None)),
        with_source=r.source.is_not(None),
    )
    is_usable = sa.and_(is_below_region(place, c.region_code), place.not_in(retired))
    locations = _group_parts(chosen, _locations, with_usable_place=is_usable)
    parts = {
        "with_code": c.subactivity_code.is_not(None),
        "with_output": outputs.c.action_id.is_not(None),
        "with_target": outputs.c.with_target == 1,
        "with_location": locations.c.action_id.is_not(None),
        "with_deciles": recipients.c.with_deciles == 1,
        "with_source": recipients.c.with_source == 1,
    }
    flags = {
        **parts,
        "with_usable_place": locations.c.with_usable_place == 1,
        "lines_comparable": sa.and_(
            locations.c.action_id.is_not(None),
            recipients.c.action_id.is_not(None),
            sa.cast(c.benefit_forms, sa.Text) != "[]",
        ),
    }
    joined: sa.FromClause = actions
    for table in (outputs, recipients, locations):
        joined = joined.outerjoin(table, table.c.action_id == c.id)
    return _group_by_plan(
        chosen,
        joined,
        sa.func.count().label("lines"),
        *_count(complete=sa.and_(*parts.values()), **flags),
    )


def _sum_money(lines: sa.CTE) -> sa.SelectBase:
    """Sum the lines and reports of a quarter, as summaries do."""
    c = sum_money_by_group(lines).subquery("by_group").c
    sums = {"lines_reported": c.reported, "allocation": c.allocated, "spent": c.spent}
    columns = [whole_sum(column).label(name) for name, column in sums.items()]
    return sa.select(c.plan_id.label("of"), *columns).group_by(c.plan_id)


def _compute_age(period: sa.SQLColumnExpression[object]) -> ColumnElement[int]:
    """Compute the quarters from the end of a period to the end of the plan year's first quarter (finding W09); 0 for
    newer data."""
    part = sa.func.substr(period, 6)
    last = sa.case((part == "Q1", 1), (part.in_(["Q2", "S1"]), 2), (part == "Q3", 3), else_=4)
    start = sa.bindparam("year", type_=BigInt) * 4 + 1
    age = start - (sa.cast(sa.func.substr(period, 1, 4), BigInt) * 4 + last)
    return sa.case((age > 0, age), else_=0)


def _count_recipients(chosen: sa.ScalarSelect[int]) -> sa.SelectBase:
    period = _recipients.c.source_period
    age = sa.case((period.is_not(None), _compute_age(period)), else_=0)
    return _group_by_plan(
        chosen,
        actions.join(_recipients, _recipients.c.action_id == actions.c.id),
        sa.func.count().label("recipients"),
        sa.func.count(period).label("recipients_dated"),
        whole_sum(age).label("quarters_of_age"),
    )


def _count_loci(chosen: sa.ScalarSelect[int]) -> sa.SelectBase:
    """Count the villages among priority locations. A line reaches one if it names it (finding W04)."""
    place = _locations.c.region_code
    reached = (
        sa.select(
            actions.c.plan_id,
            place.label("place"),
            sa.func.count(actions.c.strategy.distinct()).label("strategies"),
        )
        .join_from(actions, _locations, _locations.c.action_id == actions.c.id)
        .where(actions.c.plan_id.in_(chosen))
        .group_by(actions.c.plan_id, place)
        .subquery("reached")
    )
    c = _priorities.c
    is_fresh = sa.and_(
        c.target_families.is_not(None),
        c.source.is_not(None),
        c.source_period.is_not(None),
        _compute_age(c.source_period) <= FRESH,
    )
    joined = _priorities.outerjoin(
        reached, sa.and_(reached.c.plan_id == c.plan_id, reached.c.place == c.region_code)
    )
    return _group_by_plan(
        chosen,
        joined,
        sa.func.count().label("priority_locations"),
        *_count(loci_with_fresh_data=is_fresh, loci_by_all_strategies=reached.c.strategies == len(Strategy)),
        plan_id=c.plan_id,
    ).where(sa.func.length(c.region_code) == VILLAGE_LENGTH)


def _count_outputs(lines: sa.CTE) -> sa.SelectBase:
    outputs, a = select_part(lines, _outputs), _achieved.c
    o = outputs.c
    share = sa.case((a.achieved >= o.target, 100.0), else_=a.achieved * 100.0 / o.target)
    return (
        sa.select(
            lines.c.plan_id.label("of"),
            sa.func.count().label("outputs"),
            sa.func.count(a.achieved).label("outputs_reported"),
            sa.func.coalesce(sa.func.sum(share), 0.0).label("achieved_of_targets_percent"),
        )
        .select_from(join_reports(lines, outputs, _achieved, "code"))
        .where(o.target > 0)
        .group_by(lines.c.plan_id)
    )


def _count_quarters(chosen: sa.ScalarSelect[int]) -> sa.SelectBase:
    source = join_quarters()
    is_submitted = source.state.in_([state.value for state in SUBMITTED])
    is_over = select_today(regions.c.timezone) > source.due
    in_time = sa.and_(is_submitted, sa.func.coalesce(quarters.c.late_by_days, 0) == 0)
    counts = _count(quarters_due=sa.or_(is_submitted, is_over), quarters_on_time=in_time)
    return _group_by_plan(chosen, source.source, *counts, plan_id=plans.c.id)


def _count_overlaps(session: Session, chosen: sa.ScalarSelect[int]) -> sa.SelectBase:
    pairs = select_overlapping(session, actions.c.plan_id.in_(chosen))
    return (
        sa.select(
            pairs.c.plan_id.label("of"),
            sa.func.count().label("overlaps"),
            sa.func.count(explanations.c.version).label("overlaps_explained"),
        )
        .select_from(pairs.outerjoin(explanations, is_explanation_of(pairs)))
        .group_by(pairs.c.plan_id)
    )


# Regions


_COVERED = ("eligible", "served", "families_reporting", "families_expected", "villages_foreseen")


def _sum_coverage(given: Subquery) -> sa.SelectBase:
    """Select each quarter of the year with reports of villages; a province pools its regencies."""
    c = region_sums.c
    inside = sa.and_(
        c.level == RegionLevel.regency,
        c.region_code.between(given.c.low, given.c.high),
        c.period.between(sa.bindparam("first", type_=sa.Text), sa.bindparam("last", type_=sa.Text)),
    )
    return (
        sa.select(
            given.c.region.label("of"),
            c.period.label("coverage_period"),
            *[whole_sum(c[name]).label(name) for name in _COVERED],
        )
        .select_from(given.join(region_sums, inside))
        .group_by(given.c.region, c.period)
        .having(sa.func.sum(c.villages_reporting) > 0)
    )


def _select_poverty(given: Subquery) -> sa.SelectBase:
    """Select the surveys of the year that have a value in this year and the year before."""
    now, previous = observations.alias("now"), observations.alias("then")
    is_same_survey = sa.and_(
        previous.c.region_code == now.c.region_code,
        previous.c.indicator == POVERTY_RATE,
        previous.c.period == sa.bindparam("before", type_=sa.Text) + sa.func.substr(now.c.period, 5),
        previous.c.value.is_not(None),
    )
    is_in_year = sa.and_(
        now.c.region_code == given.c.region,
        now.c.indicator == POVERTY_RATE,
        now.c.period >= sa.bindparam("observed", type_=sa.Text),
        now.c.period < sa.bindparam("observed_to", type_=sa.Text),
        now.c.value.is_not(None),
    )
    return sa.select(
        given.c.region.label("of"),
        now.c.period.label("observed"),
        now.c.value.label("p0"),
        previous.c.value.label("p0_before"),
    ).select_from(given.join(now, is_in_year).join(previous, is_same_survey))


# Meetings in the windows of steps


def count_meetings(
    session: Session,
    homes: Iterable[PlanningRegion],
    templates: Mapping[str, Template],
    year: int,
    now: datetime,
) -> dict[str, dict[str, dict[str, object]]]:
    """Return the counts of meetings and commitments in the window of each step, by region and step."""
    rows = [
        {
            "region": home.code,
            "plan_id": home.plan_id,
            "step": step.code,
            "first": window.opens_on,
            "last": window.due_on,
            "today": get_local_date(now, home.zone),
        }
        for home in homes
        for step in templates[home.code].steps
        for window in [compute_window(year, step.opens_month, step.due_month)]
        if any(criterion.measure in _OF_MEETINGS for criterion in step.criteria)
    ]
    result: dict[str, dict[str, dict[str, object]]] = {}
    if rows:
        row = session.connection().execute(_select_meetings(session), {"records": dump_json(rows)}).one()
        for text in row:
            for counts in json.loads(text):
                by_step = result.setdefault(counts.pop("region"), {})
                by_step.setdefault(counts.pop("step"), {}).update(counts)
    return result


_OF_MEETINGS = frozenset({"meetings_held", "agencies_attending", "commitments_closed"})


@build_once
def _select_meetings(session: Session) -> sa.Select[*tuple[str, ...]]:
    kinds = {
        "region": regions.c.code.type,
        "plan_id": BigInt,
        "step": evidence.c.step.type,
        "first": sa.Date(),
        "last": sa.Date(),
        "today": sa.Date(),
    }
    given = unnest_records(session, kinds)
    g, m = given.c, meetings.c
    in_window = sa.and_(m.region_code == g.region, m.date.between(g.first, g.last))
    was_attended = sa.exists().where(meeting_agencies.c.meeting_id == m.id).correlate(meetings)
    held = (
        sa.select(g.region, g.step, m.id)
        .select_from(given.join(meetings, in_window))
        .where(m.date <= g.today, was_attended)
        .cte("held")
    )
    leading = (
        sa.select(g.region, g.step, actions.c.lead_agency)
        .select_from(given.join(actions, actions.c.plan_id == g.plan_id))
        .distinct()
        .cte("leading")
    )
    attends = sa.and_(
        meeting_agencies.c.meeting_id == held.c.id, meeting_agencies.c.agency_code == leading.c.lead_agency
    )
    attendance = leading.join(
        held, sa.and_(held.c.region == leading.c.region, held.c.step == leading.c.step)
    ).join(meeting_agencies, attends)
    attending = sa.func.count(leading.c.lead_agency.distinct()).label("agencies_attending")
    queries = (
        _group_by_step(held, sa.func.count().label("meetings_held")),
        _group_by_step(leading, sa.func.count().label("leading_agencies")),
        _group_by_step(leading, attending).select_from(attendance),
        _count_commitments(given),
    )
    return select_json_tables({f"part_{n}": query for n, query in enumerate(queries)})


def _group_by_step(source: sa.FromClause, *counts: ColumnElement[int]) -> sa.Select[*tuple[object, ...]]:
    """Select a row for each region and step of a source, with counts."""
    key = (source.c.region, source.c.step)
    return sa.select(*key, *counts).group_by(*key)


def _count_commitments(given: Subquery) -> sa.SelectBase:
    """Count the done or overdue commitments of meetings in the window, and those due in it without a meeting."""
    g, c, m = given.c, commitments.c, meetings.c
    is_done = c.state == CommitmentState.done
    is_meeting = sa.and_(m.region_code == c.region_code, m.code == c.meeting)
    day = sa.case((c.meeting.is_(None), c.due), else_=m.date)
    counts = (sa.func.count().label("commitments_due"), *_count(commitments_done=is_done))
    return (
        _group_by_step(given, *counts)
        .select_from(given.join(commitments, c.region_code == g.region).outerjoin(meetings, is_meeting))
        .where(
            c.state != CommitmentState.cancelled,
            day.between(g.first, g.last),
            sa.or_(is_done, c.due < g.today),
        )
    )


# Evidence of villages


def count_villages(
    session: Session, homes: Iterable[PlanningRegion], templates: Mapping[str, Template], year: int
) -> dict[str, dict[tuple[str, str], VillageEvidence]]:
    """Return the evidence of priority locations by region, and by step and kind that the step asks for per village.

    The kind `ALL_KINDS` has the priority locations with evidence of each of these kinds.
    """
    rows = []
    for home in homes:
        for step in templates[home.code].steps:
            kinds = [kind.code for kind in step.evidence_kinds if kind.per_village]
            place = {"region": home.code, "plan_id": home.plan_id, "step": step.code, "asked": len(kinds)}
            rows += [{**place, "kind": kind} for kind in kinds if home.plan_id is not None]
    result: dict[str, dict[tuple[str, str], VillageEvidence]] = {}
    if rows:
        bound = {"records": dump_json(rows), "year": year}
        rows_by_kind = session.connection().execute(_select_villages(session), bound)
        for region, code, kind, loci, last_date in rows_by_kind:
            result.setdefault(region, {})[code, kind] = VillageEvidence(loci, last_date)
    return result


@build_once
def _select_villages(session: Session) -> sa.CompoundSelect[str, str, str, int, date]:
    e = evidence.c
    kinds = {"region": e.region_code.type, "plan_id": BigInt, "step": e.step.type, "kind": e.kind.type}
    given = unnest_records(session, {**kinds, "asked": BigInt})
    g = given.c
    matches = sa.and_(
        e.region_code == g.region,
        e.year == sa.bindparam("year", type_=BigInt),
        e.step == g.step,
        e.kind == g.kind,
    )
    is_locus = sa.and_(_priorities.c.plan_id == g.plan_id, _priorities.c.region_code == e.village)
    first = (
        sa.select(g.region, g.step, g.kind, g.asked, e.village, sa.func.min(e.date).label("day"))
        .select_from(given.join(evidence, matches).join(_priorities, is_locus))
        .group_by(g.region, g.step, g.kind, g.asked, e.village)
        .cte("first")
    )
    f = first.c
    complete = (
        sa.select(f.region, f.step, sa.literal(ALL_KINDS).label("kind"), sa.func.max(f.day).label("day"))
        .group_by(f.region, f.step, f.asked, f.village)
        .having(sa.func.count() == f.asked)
        .subquery("complete")
    )

    def count(source: sa.FromClause) -> sa.Select[str, str, str, int, date]:
        key = (source.c.region, source.c.step, source.c.kind)
        return sa.select(*key, sa.func.count(), sa.func.max(source.c.day)).group_by(*key)

    return sa.union_all(count(first), count(complete))
