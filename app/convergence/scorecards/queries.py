"""Queries for scorecards.

The figures of a region come from `scorecard_figures`. A request recomputes stale ones, for all regions in one
batch. The rights of the actor decide only which figures a reply shows.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Subquery
from sqlmodel import Session

from app.access.rules import CONSOLE, Actor
from app.convergence.coverage.queries import read_coverage_text, regions
from app.convergence.coverage.regions.queries import compute_region_coverage, find_visible_level
from app.convergence.coverage.rules import VillageStatus, add_quarters, find_regency, is_village
from app.convergence.editions.methods.queries import NoEdition, read_services
from app.convergence.scorecards.cache import FiguresCache, JsonRow
from app.convergence.scorecards.figures.queries import ComputedFigures, compute_figures
from app.convergence.scorecards.index.models import ScorecardChanges
from app.convergence.scorecards.index.rules import apply_changes, rank_regions
from app.convergence.scorecards.models import (
    NO_COVERAGE,
    SUMS,
    Content,
    CoverageContent,
    Ranking,
    Scorecard,
    ScorecardFiguresRow,
    ScorecardRow,
    ServiceContent,
    WhatIf,
)
from app.convergence.scorecards.rules import (
    RegionFigures,
    Subject,
    add_sums,
    build_inputs,
    build_rank_figures,
    build_ranked_regency,
    compare_scorecards,
    complete_sums,
    compute_own_spending,
    explain_scorecard,
    parse_method,
)
from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from app.kit.database.json_sql import build_once, dump_json, make_fixed_object
from app.kit.http.validation import unknown_value
from app.kit.problems import BadRequest, FieldError, NotFound, refuse, require_found
from app.reference.models import RegionLevel
from app.reference.rules import get_level
from app.tracking.calendars.queries import bind_today, select_today

stored_figures, frozen_scorecards = get_table(ScorecardFiguresRow), get_table(ScorecardRow)
_journal = get_table(JournalRow)

NATION = "0"
_COLUMNS = (*SUMS, "in_force", "spending_percent", "computed_at")
FORMAT = "2:"
"""Prefix of the stamps of figures; figures of versions that computed less have another one and are stale."""
_RANKED = (RegionLevel.province, RegionLevel.regency)


@dataclass(frozen=True)
class RegionGroup:
    """The figures of a region and of its comparison group, by region and quarter."""

    own: str
    figures: dict[tuple[str, str], RegionFigures]

    def get(self, region: str, period: str) -> RegionFigures:
        return self.figures[region, period]

    def list_regencies(self, period: str) -> list[RegionFigures]:
        return self._list_level(RegionLevel.regency, period)

    def _list_level(self, level: RegionLevel, period: str) -> list[RegionFigures]:
        return [row for (_, quarter), row in self.figures.items() if quarter == period and row.level is level]

    def find_highest(self, period: str) -> float | None:
        """Return the highest spending figure among plans in force: of the province's regencies, or of the nation's
        provinces, each pooled with its regencies. None if there is no figure."""
        if self.own != NATION:
            shares = [figures.spending_percent for figures in self.list_regencies(period) if figures.in_force]
        else:
            method = parse_method(self.get(NATION, period).content)
            shares = [compute_own_spending(sums, method) for sums in self._pool_provinces(period)]
        return max((share for share in shares if share is not None), default=None)

    def _pool_provinces(self, period: str) -> list[dict[str, int]]:
        by_province: dict[str, list[RegionFigures]] = {}
        for figures in (*self._list_level(RegionLevel.province, period), *self.list_regencies(period)):
            by_province.setdefault(figures.region_code[:2], []).append(figures)
        return [add_sums(group) for group in by_province.values()]

    def pool_sums(self, period: str) -> dict[str, int]:
        below = (*self._list_level(RegionLevel.province, period), *self.list_regencies(period))
        return add_sums(below)


class GroupRow(NamedTuple):
    """A region in a quarter, with its frozen figures, else its stored ones."""

    code: str
    name: str
    level: str
    period: str
    stamp: str
    """The stamp that figures computed now would get."""
    stored_stamp: str | None
    amendment: int | None
    json: str
    content: str | None


@dataclass(frozen=True)
class GroupState:
    """The rows of a group in the database, one for each region and quarter (`_select_group`)."""

    own: str
    first: str
    rows: list[GroupRow]

    @property
    def key(self) -> int:
        """Return a cache key: equal until a source of the group's figures changes."""
        versions = tuple((row.code, row.period, row.stamp, row.amendment) for row in self.rows)
        return hash(versions)

    def find_own_row(self) -> GroupRow:
        """Return the row of the group's own region and first quarter. Raises NotFound if there is no such region."""
        own = (self.own, self.first)
        return require_found(next((row for row in self.rows if (row.code, row.period) == own), None))

    def load(
        self, session: Session, cache: FiguresCache, now: datetime, *, recompute: str | None = None
    ) -> RegionGroup:
        """Return the group with frozen, stored or cached figures; compute the stale ones and cache them.

        `recompute`: a region whose figures to compute in any case, without caching them.
        """
        figures: dict[tuple[str, str], RegionFigures] = {}
        stale: dict[str, dict[str, GroupRow]] = {}
        for row in self.rows:
            if row.code == recompute and row.period == self.first:
                stale.setdefault(row.period, {})[row.code] = row
            elif row.amendment is not None or row.stored_stamp == row.stamp:
                figures[row.code, row.period] = _parse(row, json.loads(row.json), row.content, row.amendment)
            elif values := cache.find(row.code, row.period, row.stamp):
                figures[row.code, row.period] = _parse(row, values, values["content"], None)
            else:
                stale.setdefault(row.period, {})[row.code] = row
        for period, rows_by_code in stale.items():
            try:
                computed = compute_figures(session, rows_by_code, period, now)
            except NoEdition:
                if period == self.first:
                    raise
                continue  # the year before has no edition of the method
            rows = [_build_row(computed[code], row.stamp, now) for code, row in rows_by_code.items()]
            cache.note([item for item in rows if item["region_code"] != recompute])
            for item in rows:
                row = rows_by_code[item["region_code"]]
                figures[row.code, period] = _parse(row, item, item["content"], None)
        return RegionGroup(self.own, figures)


def read_group_state(
    session: Session, region: str, periods: Sequence[str], now: datetime, *, whole: bool = False
) -> GroupState:
    """Return the rows of a region's province and its regencies, for the nation of all, in one or two quarters.
    `whole`: with the content of every region, not only of `region`."""
    bound = {
        "above": NATION if region == NATION else region[:2],
        "own": region,
        "whole": whole,
        "period": periods[0],
        "before": periods[-1],
        **bind_today(now),
    }
    rows = session.connection().execute(_select_group(session, region == NATION), bound)
    return GroupState(region, periods[0], [GroupRow._make(row) for row in rows])


def _parse(row: GroupRow, values: JsonRow, content: str | None, amendment: int | None) -> RegionFigures:
    return RegionFigures(
        row.code,
        row.name,
        RegionLevel(row.level),
        row.period,
        complete_sums(values),
        values["in_force"],
        values["spending_percent"],
        datetime.fromisoformat(values["computed_at"]),
        amendment,
        content,
    )


def _build_row(computed: ComputedFigures, stamp: str, now: datetime) -> JsonRow:
    return {
        "period": computed.period,
        "region_code": computed.region_code,
        "stamp": stamp,
        **computed.sums,
        "in_force": computed.in_force,
        "spending_percent": compute_own_spending(computed.sums, parse_method(computed.content))
        if computed.content["has_plan"]
        else None,
        "content": dump_json(computed.content),
        "computed_at": now.isoformat(),
    }


@build_once
def _select_group(session: Session, is_nation: bool) -> sa.Select[*tuple[object, ...]]:
    """Select a row for each region and quarter: the frozen figures, else the stored ones, with their stamp and the
    present stamp. That consists of the newest journal entries on the region, its province and the nation, and of the
    day in the region's zone; figures with another stamp are stale."""
    f = stored_figures.c
    frozen = frozen_scorecards.alias("frozen")
    scope, newest = _select_regions(is_nation), frozen_scorecards.alias("newest")
    periods = sa.union_all(
        *[sa.select(sa.bindparam(name, type_=sa.String).label("period")) for name in ("period", "before")]
    )
    period = sa.select(periods.subquery("both").c.period).distinct().subquery("of_period").c.period
    latest = (
        sa.select(sa.func.max(newest.c.amendment))
        .where(newest.c.region_code == scope.c.code, newest.c.period == period)
        .correlate(scope, period.table)
        .scalar_subquery()
    )
    is_frozen = frozen.c.region_code.is_not(None)
    stamps = [
        _select_newest_entry(scope, code)
        for code in (scope.c.code, sa.func.substr(scope.c.code, 1, 2), sa.literal(NATION))
    ]
    stamp = sa.literal(FORMAT) + stamps[0] + stamps[1] + stamps[2] + select_today(scope.c.timezone)
    is_wanted = sa.or_(sa.bindparam("whole", type_=sa.Boolean), scope.c.code == sa.bindparam("own"))
    shown = [sa.case((is_frozen, frozen.c[name]), else_=f[name]).label(name) for name in _COLUMNS]
    content = sa.case((is_wanted, sa.case((is_frozen, frozen.c.content), else_=f.content)))
    return sa.select(
        scope.c.code,
        scope.c.name,
        sa.cast(scope.c.level, sa.Text).label("level"),
        period.label("period"),
        stamp.label("stamp"),
        f.stamp.label("stored_stamp"),
        frozen.c.amendment,
        make_fixed_object("scorecard_figures", shown),
        content.label("content"),
    ).select_from(
        scope.join(period.table, sa.true())
        .outerjoin(stored_figures, sa.and_(f.region_code == scope.c.code, f.period == period))
        .outerjoin(
            frozen,
            sa.and_(
                frozen.c.region_code == scope.c.code,
                frozen.c.period == period,
                frozen.c.amendment == latest,
            ),
        )
    )


def _select_regions(is_nation: bool) -> Subquery:
    """Select a region and the level below it; for the nation, two levels."""
    above: ColumnElement[str] = sa.bindparam("above", type_=sa.String)

    def select(table: sa.FromClause) -> sa.Select[*tuple[object, ...]]:
        return sa.select(*[table.c[name] for name in ("code", "name", "level", "timezone")])

    def is_ranked(table: sa.FromClause) -> ColumnElement[bool]:
        return sa.and_(table.c.level.in_(_RANKED), table.c.retired.is_(False))

    parts = [
        select(regions).where(regions.c.code == above),
        select(regions).where(regions.c.parent_code == above, is_ranked(regions)),
    ]
    if is_nation:
        child, below = regions.alias("child"), regions.alias("below")
        lower = child.join(below, below.c.parent_code == child.c.code)
        is_below = sa.and_(child.c.parent_code == above, child.c.retired.is_(False), is_ranked(below))
        parts.append(select(below).select_from(lower).where(is_below))
    return sa.union_all(*parts).subquery("of")


def _select_newest_entry(
    scope: Subquery, code: sa.SQLColumnExpression[object]
) -> sa.SQLColumnExpression[object]:
    """Select a prefix of the hash of the newest journal entry on a region, `-` without one."""
    newest = (
        sa.select(sa.func.substr(_journal.c.hash, 1, 20))
        .where(_journal.c.region_code == code)
        .order_by(_journal.c.sequence.desc())
        .limit(1)
        .correlate(scope)
        .scalar_subquery()
    )
    return sa.func.coalesce(newest, "-")


def _build_subject(session: Session, actor: Actor, group: RegionGroup, region: str, period: str) -> Subject:
    """Build the subject of a regency from its own figures, of a province or the nation from pooled ones."""
    figures = group.get(region, period)
    content = figures.content
    sums: dict[str, int] | None
    if figures.level is RegionLevel.regency:
        shows_draft = content["has_plan"] and actor.may("read_drafts", region)
        sums = dict(figures.sums) if figures.in_force or shows_draft else None
        if shows_draft:
            content["process_percent"] = content["process_draft_percent"]
    else:
        sums = group.pool_sums(period)
        sums = sums if sums["lines"] else None
        content = {**content, **_pool_coverage(session, actor, region, period)}
        latest = max(row.computed_at for row in group.figures.values() if row.period == period)
        figures = replace(figures, computed_at=latest, amendment=None)
    highest = content["highest"] if "highest" in content else group.find_highest(period)
    return Subject(figures, build_inputs(content, sums, highest), parse_method(content), sums, content)


def _pool_coverage(session: Session, actor: Actor, region: str, period: str) -> CoverageContent:
    coverage = compute_region_coverage(session, actor, region, period)
    return CoverageContent(
        services=[
            ServiceContent(
                service=row.service,
                strategy=row.strategy,
                eligible=row.eligible,
                served=row.served,
            )
            for row in coverage.by_service
        ],
        families_reporting=coverage.families_reporting,
        families_expected=None if coverage.reach_percent is None else coverage.families_expected,
    )


def _build_coverage_subject(
    session: Session, actor: Actor, cache: FiguresCache, region: str, period: str, now: datetime
) -> Subject:
    """Build the subject of a district or a village: coverage only, by the method of its regency."""
    regency = find_regency(region)
    state = read_group_state(session, regency, [period], now)
    regency_figures = state.load(session, cache, now).get(regency, period)
    status = None
    if is_village(region):
        coverage, status = _read_village(session, actor, region, period)
    else:
        coverage = _pool_coverage(session, actor, region, period)
    name = str(session.scalar(sa.select(regions.c.name).where(regions.c.code == region)))
    figures = replace(
        regency_figures, region_code=region, name=name, level=RegionLevel(get_level(region)), amendment=None
    )
    content: Content = {**regency_figures.content, **coverage, "process_percent": None, "indicators": []}
    inputs = build_inputs(content, None, None)
    return Subject(figures, inputs, parse_method(content), None, content, only_coverage=True, status=status)


def _read_village(
    session: Session, actor: Actor, village: str, period: str
) -> tuple[CoverageContent, VillageStatus | None]:
    try:
        report = json.loads(read_coverage_text(session, actor, period, village))
    except NotFound:
        return NO_COVERAGE, None
    package = read_services(session, [report["service_package"]])[report["service_package"]]
    services = [
        ServiceContent(
            service=row["service"],
            strategy=package[row["service"]].strategy,
            eligible=row["eligible"],
            served=row["served"],
        )
        for row in report["services"]
        if row["service"] in package
    ]
    status = VillageStatus(report["status"]) if report["status"] else None
    families = report["target_families"]
    return CoverageContent(services=services, families_reporting=families, families_expected=families), status


@dataclass(frozen=True)
class FrozenScorecard:
    """The canonical JSON of a frozen scorecard, and its hash."""

    answer: bytes
    sha256: str


def read_scorecard_json(
    session: Session, actor: Actor, cache: FiguresCache, region: str, period: str, now: datetime
) -> bytes | FrozenScorecard:
    """Return the `Scorecard` of a region, frozen or computed. Raises NotFound if the actor cannot see the region."""
    actor.require_seen(find_regency(region))
    if RegionLevel(get_level(region)) in (RegionLevel.district, RegionLevel.village):
        find_visible_level(session, actor, region)
        subject = _build_coverage_subject(session, actor, cache, region, period, now)
        return explain_scorecard(subject, None, "", frozen=None).model_dump_json().encode()
    state = read_group_state(session, region, [period, add_quarters(period, -1)], now)
    if state.find_own_row().amendment is not None:
        return read_frozen_scorecard(session, actor, region, period, None)
    key = ("scorecard", region, period, actor.may("read_drafts", region), state.key)

    def compute() -> bytes:
        group = state.load(session, cache, now)
        return _explain(session, actor, group, state.own, state.first, frozen=None).model_dump_json().encode()

    return cache.get_reply(key, compute)


def compute_frozen(
    session: Session, region: str, period: str, amendment: int, now: datetime
) -> tuple[RegionFigures, Scorecard]:
    """Compute the figures and the scorecard of a regency or a province for the snapshot of its quarter, with
    drafts and with the writes of this transaction."""
    state = read_group_state(session, region, [period, add_quarters(period, -1)], now)
    group = state.load(session, FiguresCache(), now, recompute=region)
    scorecard = _explain(session, CONSOLE, group, region, period, frozen=amendment)
    return group.get(region, period), scorecard


def _explain(
    session: Session, actor: Actor, group: RegionGroup, region: str, period: str, *, frozen: int | None
) -> Scorecard:
    before = add_quarters(period, -1)
    subject = _build_subject(session, actor, group, region, period)
    is_measured = (region, before) in group.figures
    earlier = _build_subject(session, actor, group, region, before).evaluate() if is_measured else None
    return explain_scorecard(subject, earlier, before, frozen=frozen)


def read_frozen_scorecard(
    session: Session, actor: Actor, region: str, period: str, amendment: int | None
) -> FrozenScorecard:
    """Return the scorecard that an amendment froze, without a number the one in force. Raises NotFound if the actor
    cannot see the region or there is no such scorecard."""
    actor.require_seen(find_regency(region))
    c = frozen_scorecards.c
    query = sa.select(c.answer, c.sha256).where(c.region_code == region, c.period == period)
    if amendment is not None:
        query = query.where(c.amendment == amendment)
    row = require_found(session.execute(query.order_by(c.amendment.desc()).limit(1)).one_or_none())
    return FrozenScorecard(row.answer.encode(), row.sha256)


def read_ranking_json(
    session: Session, actor: Actor, cache: FiguresCache, region: str, period: str, now: datetime
) -> bytes:
    """Return the `Ranking` of a province, or of one regency with its rank. Raises NotFound if the actor cannot see it.

    Every caller gets equal ranks: only plans in force count.
    """
    actor.require_seen(find_regency(region))
    if RegionLevel(get_level(region)) not in _RANKED:
        find_visible_level(session, actor, region)
        error = FieldError(unknown_value, parameter="region", value=region, allowed=["73", "73.22"])
        raise BadRequest(errors=[error])
    state = read_group_state(session, region, [period], now, whole=True)
    state.find_own_row()
    key = ("ranking", region, period, state.key)
    return cache.get_reply(key, lambda: _compute_ranking(session, cache, state, now))


def _compute_ranking(session: Session, cache: FiguresCache, state: GroupState, now: datetime) -> bytes:
    region, period, province = state.own, state.first, state.own[:2]
    group = state.load(session, cache, now)
    highest = group.find_highest(period)
    subjects = [_build_ranked_subject(figures, highest) for figures in group.list_regencies(period)]
    evaluated = [(subject, subject.evaluate()) for subject in subjects]
    ranks = rank_regions(build_rank_figures(*pair) for pair in evaluated)
    ranked = [
        build_ranked_regency(subject, result, ranks.get(subject.figures.region_code))
        for subject, result in evaluated
        if region in (province, subject.figures.region_code)
    ]
    ranking = Ranking.model_construct(
        region_code=region,
        province=province,
        period=period,
        ranked=len(ranks),
        highest_spending_percent=highest,
        regencies=sorted(ranked, key=lambda row: (row.rank is None, row.rank or 0, row.region_code)),
    )
    return ranking.model_dump_json().encode()


def _build_ranked_subject(figures: RegionFigures, highest: float | None) -> Subject:
    content = figures.content
    sums = figures.sums if figures.in_force else None
    inputs = build_inputs(content, sums, content.get("highest", highest))
    return Subject(figures, inputs, parse_method(content), sums, content)


def read_subject(
    session: Session, actor: Actor, cache: FiguresCache, region: str, period: str, now: datetime
) -> Subject:
    """Return the subject of a region's scorecard. Raises NotFound if the actor cannot see the region."""
    level = find_visible_level(session, actor, region)
    if level in (RegionLevel.district, RegionLevel.village):
        return _build_coverage_subject(session, actor, cache, region, period, now)
    group = read_group_state(session, region, [period], now).load(session, cache, now)
    return _build_subject(session, actor, group, region, period)


def try_changes(subject: Subject, changes: ScorecardChanges) -> WhatIf:
    """Compare a scorecard with the one of other inputs. Raises Invalid for an unknown service or indicator,
    or a part above its whole."""
    inputs, errors = apply_changes(subject.inputs, changes.model_dump(exclude_none=True))
    refuse(errors)
    return compare_scorecards(subject, subject.evaluate(), replace(subject, inputs=inputs).evaluate())
