"""Queries for scorecards.

The rights of the actor decide only which figures a reply shows.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session

from app.access.rules import CONSOLE, Actor
from app.convergence.coverage.queries import read_coverage_text, regions
from app.convergence.coverage.regions.queries import compute_region_coverage, find_visible_level
from app.convergence.coverage.rules import VillageStatus, add_quarters, find_regency, is_village
from app.convergence.editions.methods.queries import read_services
from app.convergence.scorecards.cache import FiguresCache
from app.convergence.scorecards.groups.queries import RANKED, GroupState, read_group_state
from app.convergence.scorecards.groups.rules import (
    RegionFigures,
    RegionGroup,
    Subject,
    add_sums,
    build_inputs,
    parse_method,
)
from app.convergence.scorecards.index.models import ScorecardChanges
from app.convergence.scorecards.index.rules import apply_changes, rank_regions
from app.convergence.scorecards.models import (
    NO_COVERAGE,
    Content,
    CoverageContent,
    Ranking,
    Scorecard,
    ServiceContent,
    WhatIf,
)
from app.convergence.scorecards.rules import (
    build_rank_figures,
    build_ranked_regency,
    compare_scorecards,
    explain_scorecard,
)
from app.convergence.scorecards.yardsticks.queries import frozen_scorecards
from app.convergence.scorecards.yardsticks.rules import narrow_yardstick
from app.kit.http.validation import unknown_value
from app.kit.problems import BadRequest, FieldError, NotFound, refuse, require_found
from app.reference.models import RegionLevel
from app.reference.rules import get_level


def _build_subject(session: Session, actor: Actor, group: RegionGroup, region: str, period: str) -> Subject:
    """Build the subject of a regency from its own figures, of a province or the nation from pooled ones."""
    figures = group.get(region, period)
    content = figures.content
    sums: dict[str, int] | None
    if "sums" in content:
        sums = content["sums"]
    elif figures.level is RegionLevel.regency:
        shows_draft = content["has_plan"] and actor.may("read_drafts", region)
        sums = dict(figures.sums) if figures.in_force or shows_draft else None
        if shows_draft:
            content["process_percent"] = content["process_draft_percent"]
    else:
        sums = add_sums(group.list_below(period))
        sums = sums if sums["lines"] else None
        content = {**content, **_pool_coverage(session, actor, region, period)}
        latest = max(row.computed_at for row in group.figures.values() if row.period == period)
        figures = replace(figures, computed_at=latest, amendment=None)
    return group.make_subject(figures, content, sums)


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
    own = state.find_own_row()
    if own.amendment is not None and not own.is_withheld:
        return read_frozen_scorecard(session, actor, region, period, None)
    key = ("scorecard", region, period, actor.may("read_drafts", region), state.key)

    def compute() -> bytes:
        group = state.load(session, cache, now)
        subject = _build_subject(session, actor, group, region, period)
        return _explain(session, actor, group, subject, frozen=own.amendment).model_dump_json().encode()

    return cache.get_reply(key, compute)


def compute_frozen(
    session: Session, region: str, period: str, amendment: int, now: datetime
) -> tuple[RegionFigures, Content, Scorecard]:
    """Compute the scorecard of a regency or a province for the snapshot of its quarter, with drafts and with the writes
    of this transaction. Return also its figures, and the content from which later replies follow.

    By a method with a fair yardstick nothing of it depends on other regions.
    """
    state = read_group_state(session, region, [period, add_quarters(period, -1)], now)
    group = state.load(session, FiguresCache(), now, recompute=region)
    subject = _build_subject(session, CONSOLE, group, region, period)
    if not subject.method.fair_yardstick:
        scorecard = _explain(session, CONSOLE, group, subject, frozen=amendment)
        content: Content = {
            **group.get(region, period).content,
            "highest": scorecard.inputs.highest_spending_percent,
        }
        return subject.figures, content, scorecard
    earlier = _find_earlier(session, CONSOLE, group, subject)
    content = {**subject.own_content, "before": None if earlier is None else earlier.own_content}
    return subject.figures, content, _explain(session, CONSOLE, group, subject.withhold(), frozen=amendment)


def _find_earlier(session: Session, actor: Actor, group: RegionGroup, subject: Subject) -> Subject | None:
    """Return the subject of the quarter before, for a frozen scorecard that of its freeze. None without one."""
    region, before = subject.figures.region_code, add_quarters(subject.figures.period, -1)
    if "before" not in subject.content:
        is_measured = (region, before) in group.figures
        return _build_subject(session, actor, group, region, before) if is_measured else None
    content = subject.content["before"]
    if content is None:
        return None
    return group.make_subject(replace(subject.figures, period=before), content, content["sums"])


def _explain(
    session: Session, actor: Actor, group: RegionGroup, subject: Subject, *, frozen: int | None
) -> Scorecard:
    earlier, settled_at = _find_earlier(session, actor, group, subject), subject.settled_at
    if earlier is not None and settled_at and not (earlier.settled_at and earlier.settled_at <= settled_at):
        # A later settlement of the quarter before would change the reply.
        earlier = earlier.withhold()
    before = add_quarters(subject.figures.period, -1)
    evaluated = earlier.evaluate() if earlier is not None else None
    return explain_scorecard(subject, evaluated, before, frozen=frozen)


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
    if RegionLevel(get_level(region)) not in RANKED:
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
    subjects = [
        group.make_subject(figures, figures.content, figures.sums if figures.in_force else None)
        for figures in group.list_regencies(period)
    ]
    evaluated = [(subject, subject.evaluate()) for subject in subjects]
    ranks = rank_regions(build_rank_figures(*pair) for pair in evaluated)
    ranked = [
        build_ranked_regency(subject, result, ranks.get(subject.figures.region_code))
        for subject, result in evaluated
        if region in (province, subject.figures.region_code)
    ]
    method = parse_method(group.get(province, period).content)
    yardstick = group.find_yardstick(period, method)
    ranking = Ranking.model_construct(
        region_code=region,
        province=province,
        period=period,
        ranked=len(ranks),
        highest_spending_percent=yardstick.highest_percent,
        provisional=method.fair_yardstick and yardstick.settled_at is None,
        yardstick=narrow_yardstick(yardstick, None if region == province else region)
        if method.fair_yardstick
        else None,
        regencies=sorted(ranked, key=lambda row: (row.rank is None, row.rank or 0, row.region_code)),
    )
    return ranking.model_dump_json().encode()


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
