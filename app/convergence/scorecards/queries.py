"""Reading scorecards. Figures of regions are read as they are kept; what is not of the present state is computed
anew, for all regions that need it at once. What the caller sees decides which of them are shown.
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
from app.convergence.coverage.queries import coverage_text, regions
from app.convergence.coverage.regions.queries import level_seen, region_coverage
from app.convergence.coverage.rules import VillageStatus, is_village, quarters_from, regency_of
from app.convergence.editions.methods.queries import NoEdition, services_of
from app.convergence.scorecards.cache import Kept, Row
from app.convergence.scorecards.figures.queries import Computed, compute_figures
from app.convergence.scorecards.index.models import ScorecardChanges
from app.convergence.scorecards.index.rules import changed, ranks
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
    Figures,
    Subject,
    compared,
    explained,
    inputs_of,
    method_of,
    own_spending,
    pooled_sums,
    ranked_regency,
    standing_of,
)
from app.kit.database.engine import table_of
from app.kit.database.journal import JournalRow
from app.kit.database.json_sql import built_once, fixed_object, to_json
from app.kit.http.validation import unknown_value
from app.kit.problems import BadRequest, FieldError, NotFound, refuse, require_found
from app.reference.models import RegionLevel
from app.reference.rules import level_of
from app.tracking.calendars.queries import clock, today

kept_figures, frozen_scorecards = table_of(ScorecardFiguresRow), table_of(ScorecardRow)
_journal = table_of(JournalRow)

NATION = "0"
_COLUMNS = (*SUMS, "in_force", "spending_percent", "computed_at")
_RANKED = (RegionLevel.province, RegionLevel.regency)


# Figures of regions


@dataclass(frozen=True)
class Group:
    """Figures of a region and of those that it is set beside, of some quarters."""

    own: str
    found: dict[tuple[str, str], Figures]

    def of(self, region: str, period: str) -> Figures:
        return self.found[region, period]

    def regencies(self, period: str) -> list[Figures]:
        return self._level(RegionLevel.regency, period)

    def _level(self, level: RegionLevel, period: str) -> list[Figures]:
        return [one for (_, of), one in self.found.items() if of == period and one.level is level]

    def highest(self, period: str) -> float | None:
        """The highest spending figure of the group, over plans in force: of the regencies of the province; of
        the nation, of its provinces, each with its regencies pooled."""
        if self.own != NATION:
            found = [one.spending_percent for one in self.regencies(period) if one.in_force]
        else:
            method = method_of(self.of(NATION, period).content)
            found = [own_spending(sums, method) for sums in self._by_province(period)]
        return max((one for one in found if one is not None), default=None)

    def _by_province(self, period: str) -> list[dict[str, int]]:
        by_province: dict[str, list[Figures]] = {}
        for one in (*self._level(RegionLevel.province, period), *self.regencies(period)):
            by_province.setdefault(one.region_code[:2], []).append(one)
        return [pooled_sums(figures) for figures in by_province.values()]

    def pooled(self, period: str) -> dict[str, int]:
        below = (*self._level(RegionLevel.province, period), *self.regencies(period))
        return pooled_sums(below)


class GroupRow(NamedTuple):
    """A region in a quarter: what is frozen of it, else what is kept."""

    code: str
    name: str
    level: str
    period: str
    stamp: str
    """The state that figures computed now would be of."""
    kept_stamp: str | None
    amendment: int | None
    json: str
    content: str | None


@dataclass(frozen=True)
class State:
    """What the database has of a group now: a row for each region and quarter (`_group`)."""

    own: str
    first: str
    rows: list[GroupRow]

    @property
    def key(self) -> int:
        """The same as long as nothing that the group's figures are of has changed."""
        told = tuple((r.code, r.period, r.stamp, r.amendment) for r in self.rows)
        return hash(told)

    def own_row(self) -> GroupRow:
        """The row of the region asked for, in the quarter asked for. NotFound: there is no such region."""
        own = (self.own, self.first)
        return require_found(next((row for row in self.rows if (row.code, row.period) == own), None))

    def group(self, session: Session, kept: Kept, now: datetime, *, anew: str | None = None) -> Group:
        """The figures: frozen or kept ones as they are, the others computed. `anew`: computed in any case."""
        found: dict[tuple[str, str], Figures] = {}
        stale: dict[str, dict[str, GroupRow]] = {}
        for row in self.rows:
            if row.code == anew and row.period == self.first:
                stale.setdefault(row.period, {})[row.code] = row
            elif row.amendment is not None or row.kept_stamp == row.stamp:
                found[row.code, row.period] = _figures(row, json.loads(row.json), row.content, row.amendment)
            elif noted := kept.find(row.code, row.period, row.stamp):
                found[row.code, row.period] = _figures(row, noted, noted["content"], None)
            else:
                stale.setdefault(row.period, {})[row.code] = row
        for period, of_period in stale.items():
            try:
                computed = compute_figures(session, of_period, period, now)
            except NoEdition:
                if period == self.first:
                    raise
                continue  # nothing was measured in the year before
            made = [_row_of(computed[code], row.stamp, now) for code, row in of_period.items()]
            kept.note([one for one in made if one["region_code"] != anew])
            for one in made:
                row = of_period[one["region_code"]]
                found[row.code, period] = _figures(row, one, one["content"], None)
        return Group(self.own, found)


def state_of(
    session: Session, region: str, periods: Sequence[str], now: datetime, *, whole: bool = False
) -> State:
    """Of a province and its regencies (for the nation, of all of them) in one or two quarters. `whole`: with the
    content of all of them, not of `region` alone."""
    bound = {
        "above": NATION if region == NATION else region[:2],
        "own": region,
        "whole": whole,
        "period": periods[0],
        "before": periods[-1],
        **clock(now),
    }
    rows = session.connection().execute(_group(session, region == NATION), bound)
    return State(region, periods[0], [GroupRow._make(row) for row in rows])


def _figures(row: GroupRow, told: Row, content: str | None, amendment: int | None) -> Figures:
    return Figures(
        row.code,
        row.name,
        RegionLevel(row.level),
        row.period,
        {name: told[name] for name in SUMS},
        told["in_force"],
        told["spending_percent"],
        datetime.fromisoformat(told["computed_at"]),
        amendment,
        content,
    )


def _row_of(one: Computed, stamp: str, now: datetime) -> Row:
    return {
        "period": one.period,
        "region_code": one.region_code,
        "stamp": stamp,
        **one.sums,
        "in_force": one.in_force,
        "spending_percent": own_spending(one.sums, method_of(one.content))
        if one.content["has_plan"]
        else None,
        "content": to_json(one.content),
        "computed_at": now.isoformat(),
    }


@built_once
def _group(session: Session, is_nation: bool) -> sa.Select[*tuple[object, ...]]:
    """One row for each region and quarter: what is frozen of it, else what is kept, with the stamp that it bears and
    the one that it would bear now: the newest entry of the journal that tells of the region, of its province and
    of the nation, and the day in its zone."""
    f = kept_figures.c
    frozen = frozen_scorecards.alias("frozen")
    of, newest = _scope(is_nation), frozen_scorecards.alias("newest")
    periods = sa.union_all(
        *[sa.select(sa.bindparam(name, type_=sa.String).label("period")) for name in ("period", "before")]
    )
    period = sa.select(periods.subquery("both").c.period).distinct().subquery("of_period").c.period
    latest = (
        sa.select(sa.func.max(newest.c.amendment))
        .where(newest.c.region_code == of.c.code, newest.c.period == period)
        .correlate(of, period.table)
        .scalar_subquery()
    )
    is_frozen = frozen.c.region_code.is_not(None)
    stamps = [_entry(of, code) for code in (of.c.code, sa.func.substr(of.c.code, 1, 2), sa.literal(NATION))]
    stamp = stamps[0] + stamps[1] + stamps[2] + today(of.c.timezone)
    is_wanted = sa.or_(sa.bindparam("whole", type_=sa.Boolean), of.c.code == sa.bindparam("own"))
    shown = [sa.case((is_frozen, frozen.c[name]), else_=f[name]).label(name) for name in _COLUMNS]
    content = sa.case((is_wanted, sa.case((is_frozen, frozen.c.content), else_=f.content)))
    return sa.select(
        of.c.code,
        of.c.name,
        sa.cast(of.c.level, sa.Text).label("level"),
        period.label("period"),
        stamp.label("stamp"),
        f.stamp.label("kept_stamp"),
        frozen.c.amendment,
        fixed_object("scorecard_figures", shown),
        content.label("content"),
    ).select_from(
        of.join(period.table, sa.true())
        .outerjoin(kept_figures, sa.and_(f.region_code == of.c.code, f.period == period))
        .outerjoin(
            frozen,
            sa.and_(
                frozen.c.region_code == of.c.code,
                frozen.c.period == period,
                frozen.c.amendment == latest,
            ),
        )
    )


def _scope(is_nation: bool) -> Subquery:
    """A region and those one level below it; for the nation, two."""
    above: ColumnElement[str] = sa.bindparam("above", type_=sa.String)

    def select(of: sa.FromClause) -> sa.Select[*tuple[object, ...]]:
        return sa.select(*[of.c[name] for name in ("code", "name", "level", "timezone")])

    def is_ranked(of: sa.FromClause) -> ColumnElement[bool]:
        return sa.and_(of.c.level.in_(_RANKED), of.c.retired.is_(False))

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


def _entry(of: Subquery, code: sa.SQLColumnExpression[object]) -> sa.SQLColumnExpression[object]:
    """What tells the newest entry of the journal on a region from any other."""
    newest = (
        sa.select(sa.func.substr(_journal.c.hash, 1, 20))
        .where(_journal.c.region_code == code)
        .order_by(_journal.c.sequence.desc())
        .limit(1)
        .correlate(of)
        .scalar_subquery()
    )
    return sa.func.coalesce(newest, "-")


# What a scorecard is made of


def _subject(session: Session, actor: Actor, group: Group, region: str, period: str) -> Subject:
    """A regency from what is its own; a province and the nation with coverage and plans of those below."""
    figures = group.of(region, period)
    content = figures.content
    sums: dict[str, int] | None
    if figures.level is RegionLevel.regency:
        shows_draft = content["has_plan"] and actor.may("read_drafts", region)
        sums = dict(figures.sums) if figures.in_force or shows_draft else None
        if shows_draft:
            content["process_percent"] = content["process_draft_percent"]
    else:
        sums = group.pooled(period)
        sums = sums if sums["lines"] else None
        _set_coverage(content, _pooled_coverage(session, actor, region, period))
        latest = max(one.computed_at for one in group.found.values() if one.period == period)
        figures = replace(figures, computed_at=latest, amendment=None)
    highest = content["highest"] if "highest" in content else group.highest(period)
    return Subject(figures, inputs_of(content, sums, highest), method_of(content), sums, content)


def _set_coverage(content: Content, coverage: CoverageContent) -> None:
    content["services"] = coverage["services"]
    content["families_reporting"] = coverage["families_reporting"]
    content["families_expected"] = coverage["families_expected"]


def _pooled_coverage(session: Session, actor: Actor, region: str, period: str) -> CoverageContent:
    found = region_coverage(session, actor, region, period)
    return CoverageContent(
        services=[
            ServiceContent(
                service=one.service, strategy=one.strategy, eligible=one.eligible, served=one.served
            )
            for one in found.by_service
        ],
        families_reporting=found.families_reporting,
        families_expected=None if found.reach_percent is None else found.families_expected,
    )


def _below_regency(
    session: Session, actor: Actor, kept: Kept, region: str, period: str, now: datetime
) -> Subject:
    """A district or a village: coverage alone, by the method of its regency, of the instant of its figures."""
    regency = regency_of(region)
    state = state_of(session, regency, [period], now)
    above = state.group(session, kept, now).of(regency, period)
    status = None
    if is_village(region):
        told, status = _village(session, actor, region, period)
    else:
        told = _pooled_coverage(session, actor, region, period)
    name = str(session.scalar(sa.select(regions.c.name).where(regions.c.code == region)))
    figures = replace(
        above, region_code=region, name=name, level=RegionLevel(level_of(region)), amendment=None
    )
    content: Content = {**above.content, "process_percent": None, "indicators": []}
    _set_coverage(content, told)
    inputs = inputs_of(content, None, None)
    return Subject(figures, inputs, method_of(content), None, content, only_coverage=True, status=status)


def _village(
    session: Session, actor: Actor, village: str, period: str
) -> tuple[CoverageContent, VillageStatus | None]:
    try:
        found = json.loads(coverage_text(session, actor, period, village))
    except NotFound:
        return NO_COVERAGE, None
    package = services_of(session, [found["service_package"]])[found["service_package"]]
    told = [
        ServiceContent(
            service=one["service"],
            strategy=package[one["service"]].strategy,
            eligible=one["eligible"],
            served=one["served"],
        )
        for one in found["services"]
        if one["service"] in package
    ]
    status = VillageStatus(found["status"]) if found["status"] else None
    families = found["target_families"]
    return CoverageContent(services=told, families_reporting=families, families_expected=families), status


# Scorecards


@dataclass(frozen=True)
class FrozenScorecard:
    """A scorecard as it was frozen."""

    answer: bytes
    sha256: str


def scorecard_json(
    session: Session, actor: Actor, kept: Kept, region: str, period: str, now: datetime
) -> bytes | FrozenScorecard:
    """A region in a quarter, explained (`Scorecard`), or as it was frozen. NotFound where the actor does not see it."""
    actor.require_seen(regency_of(region))
    if RegionLevel(level_of(region)) in (RegionLevel.district, RegionLevel.village):
        level_seen(session, actor, region)
        below = _below_regency(session, actor, kept, region, period, now)
        return explained(below, None, "", frozen=None).model_dump_json().encode()
    state = state_of(session, region, [period, quarters_from(period, -1)], now)
    if state.own_row().amendment is not None:
        return frozen_scorecard(session, actor, region, period, None)
    key = ("scorecard", region, period, actor.may("read_drafts", region), state.key)

    def compute() -> bytes:
        group = state.group(session, kept, now)
        return (
            _explained(session, actor, group, state.own, state.first, frozen=None).model_dump_json().encode()
        )

    return kept.answered(key, compute)


def freezing(
    session: Session, region: str, period: str, amendment: int, now: datetime
) -> tuple[Figures, Scorecard]:
    """The own figures of a regency or a province and its scorecard as they are to be frozen: of what the transaction
    has written, with all that the plan says, for whoever sees the region."""
    state = state_of(session, region, [period, quarters_from(period, -1)], now)
    group = state.group(session, Kept(), now, anew=region)
    scorecard = _explained(session, CONSOLE, group, region, period, frozen=amendment)
    return group.of(region, period), scorecard


def _explained(
    session: Session, actor: Actor, group: Group, region: str, period: str, *, frozen: int | None
) -> Scorecard:
    before = quarters_from(period, -1)
    subject = _subject(session, actor, group, region, period)
    is_measured = (region, before) in group.found
    earlier = _subject(session, actor, group, region, before).evaluated() if is_measured else None
    return explained(subject, earlier, before, frozen=frozen)


def frozen_scorecard(
    session: Session, actor: Actor, region: str, period: str, amendment: int | None
) -> FrozenScorecard:
    """What was frozen of a region's quarter: that amendment, or the one in force. NotFound where the actor does not see
    the region, or there is no such."""
    actor.require_seen(regency_of(region))
    c = frozen_scorecards.c
    found = sa.select(c.answer, c.sha256).where(c.region_code == region, c.period == period)
    if amendment is not None:
        found = found.where(c.amendment == amendment)
    row = require_found(session.execute(found.order_by(c.amendment.desc()).limit(1)).one_or_none())
    return FrozenScorecard(row.answer.encode(), row.sha256)


def ranking_json(
    session: Session, actor: Actor, kept: Kept, region: str, period: str, now: datetime
) -> bytes:
    """The regencies of a province by rank, or one of them with its rank (`Ranking`). NotFound where the actor does not
    see it.

    Ranks are the same for every caller: a plan counts once it is in force.
    """
    actor.require_seen(regency_of(region))
    if RegionLevel(level_of(region)) not in _RANKED:
        level_seen(session, actor, region)
        error = FieldError(unknown_value, parameter="region", value=region, allowed=["73", "73.22"])
        raise BadRequest(errors=[error])
    state = state_of(session, region, [period], now, whole=True)
    state.own_row()
    key = ("ranking", region, period, state.key)
    return kept.answered(key, lambda: _ranking_json(session, kept, state, now))


def _ranking_json(session: Session, kept: Kept, state: State, now: datetime) -> bytes:
    region, period, province = state.own, state.first, state.own[:2]
    group = state.group(session, kept, now)
    highest = group.highest(period)
    found = [_ranked_subject(one, highest) for one in group.regencies(period)]
    evaluated = [(one, one.evaluated()) for one in found]
    places = ranks(standing_of(*pair) for pair in evaluated)
    shown = [
        ranked_regency(subject, result, places.get(subject.figures.region_code))
        for subject, result in evaluated
        if region in (province, subject.figures.region_code)
    ]
    ranking = Ranking.model_construct(
        region_code=region,
        province=province,
        period=period,
        ranked=len(places),
        highest_spending_percent=highest,
        regencies=sorted(shown, key=lambda one: (one.rank is None, one.rank or 0, one.region_code)),
    )
    return ranking.model_dump_json().encode()


def _ranked_subject(figures: Figures, highest: float | None) -> Subject:
    content = figures.content
    sums = figures.sums if figures.in_force else None
    inputs = inputs_of(content, sums, content.get("highest", highest))
    return Subject(figures, inputs, method_of(content), sums, content)


def read_subject(
    session: Session, actor: Actor, kept: Kept, region: str, period: str, now: datetime
) -> Subject:
    """Return what the scorecard of a region's quarter is computed from. Raises NotFound if the actor sees none."""
    level = level_seen(session, actor, region)
    if level in (RegionLevel.district, RegionLevel.village):
        return _below_regency(session, actor, kept, region, period, now)
    group = state_of(session, region, [period], now).group(session, kept, now)
    return _subject(session, actor, group, region, period)


def try_changes(subject: Subject, changes: ScorecardChanges) -> WhatIf:
    """Compare a scorecard with the one of other inputs. Raises Invalid for an input that it does not have."""
    inputs, errors = changed(subject.inputs, changes.model_dump(exclude_none=True))
    refuse(errors)
    return compared(subject, subject.evaluated(), replace(subject, inputs=inputs).evaluated())
