"""Queries of the analyses of a region, with a constant number of SQL statements."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlmodel import Session

from app.access.queries import can_see_region
from app.access.rules import Actor
from app.convergence.indicators.analyses.models import (
    Analysis,
    AnalysisQuery,
    ChangeOverTime,
    ChangePair,
    Correlated,
    Effectiveness,
    Linkage,
    Pair,
    PlaceValue,
    QuadrantItem,
    QuadrantQuery,
    Quadrants,
    Reference,
    RelativePosition,
    Relevance,
    TargetState,
    YearChange,
)
from app.convergence.indicators.analyses.rules import (
    FigureOrReason,
    Undefined,
    compute_agreement,
    compute_changes,
    compute_correlation,
    compute_percent_change,
    compute_rank,
    compute_speed,
    find_expected_sign,
    find_quadrant,
    find_trend,
    is_faster,
    is_worse,
    pair_series,
)
from app.convergence.indicators.models import Flag, Symbol
from app.convergence.indicators.queries import Indicator, observations, read_indicators, targets
from app.convergence.indicators.rules import SurveyPeriod, compute_achievement, resolve_period
from app.kit.database.engine import get_table
from app.kit.http.validation import describe_unknown
from app.kit.problems import BadRequest, NotFound, require_found
from app.reference.models import RegionRow
from app.reference.rules import get_parent

_regions = get_table(RegionRow)


@dataclass(frozen=True)
class PublishedValue:
    """A published observation of a region and period."""

    value: float | None
    symbol: Symbol | None
    flags: list[Flag]


_NOTHING = PublishedValue(None, None, [])


@dataclass
class PublishedData:
    """Names of regions in force, and their observations: (region, indicator) → period → value."""

    names: dict[str, str]
    values: dict[tuple[str, str], dict[str, PublishedValue]] = field(default_factory=dict)

    def find_value(self, region: str, indicator: str, period: SurveyPeriod | None) -> PublishedValue:
        """Return an observation, or an empty value if there is none."""
        return self.values.get((region, indicator), {}).get(str(period), _NOTHING)

    def find_series(self, region: str, indicator: str, until: SurveyPeriod) -> dict[int, float]:
        """Return year → value up to a period, from periods of equal half; symbols are no values."""
        return {
            period.year: value.value
            for text, value in self.values.get((region, indicator), {}).items()
            if (period := SurveyPeriod.parse(text)).half == until.half
            and period.year <= until.year
            and value.value is not None
        }

    def describe_place(self, region: str, indicator: str, period: SurveyPeriod | None) -> PlaceValue:
        value = self.find_value(region, indicator, period)
        return PlaceValue(region_code=region, region_name=self.names[region], **vars(value))


def _read_published(
    session: Session, regions: sa.ColumnElement[bool], series: sa.ColumnElement[bool]
) -> PublishedData:
    """Return matching regions in force with their matching observations, from one SQL statement."""
    o, r = observations.c, _regions.c
    columns = (r.code, r.name, o.indicator, o.period, o.value, o.symbol, o.flags)
    joined = _regions.outerjoin(observations, sa.and_(o.region_code == r.code, series))
    published = PublishedData({})
    for row in session.execute(
        sa.select(*columns)
        .select_from(joined)
        .where(regions, r.retired.is_(False))
        .order_by(r.code, o.indicator, o.period)
    ):
        published.names[row.code] = row.name
        if row.indicator is not None:
            of_region = published.values.setdefault((row.code, row.indicator), {})
            of_region[row.period] = PublishedValue(row.value, row.symbol, row.flags)
    return published


def _find_newest(values: Mapping[str, PublishedValue]) -> SurveyPeriod | None:
    periods = [period for period, value in values.items() if value.value is not None]
    return SurveyPeriod.parse(max(periods)) if periods else None


def _round(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits) + 0.0


def _subtract(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else _round(value - other)


@dataclass(frozen=True)
class _Case:
    region: str
    code: str
    indicator: Indicator
    period: SurveyPeriod | None
    published: PublishedData
    siblings: list[str]

    @property
    def value(self) -> float | None:
        return self.published.find_value(self.region, self.code, self.period).value

    def find_series(self, region: str) -> dict[int, float]:
        return self.published.find_series(region, self.code, self.period) if self.period else {}


def compute_analysis(
    session: Session, actor: Actor, region: str, code: str, query: AnalysisQuery
) -> Analysis:
    """Return the five analyses. Raises NotFound if the region or the indicator does not exist."""
    known = read_indicators(session)
    if code not in known:
        raise NotFound()
    related = _choose_related(known, code, query)
    parent = get_parent(region)
    above = [code for code in (parent, "0") if code is not None]
    places: sa.ColumnElement[bool] = _regions.c.code.in_([region, *above])
    if parent is not None:
        places = sa.or_(places, _regions.c.parent_code == parent)
    published = _read_published(session, places, observations.c.indicator.in_([code, *related]))
    if region not in published.names:
        raise NotFound()
    newest = _find_newest(published.values.get((region, code), {}))
    case = _Case(
        region,
        code,
        known[code],
        _parse_period(known[code], query.period) or newest,
        published,
        sorted(sibling for sibling in published.names if get_parent(sibling) == parent),
    )
    return Analysis(
        region_code=region,
        region_name=published.names[region],
        indicator=code,
        name=known[code].name,
        unit=known[code].unit,
        direction=known[code].direction,
        period=str(case.period) if case.period else None,
        value=case.value,
        relative_position=_build_relative_position(case),
        change_over_time=_build_change_over_time(case),
        effectiveness=_build_effectiveness(case, _read_next_target(session, actor, case), query.since),
        relevance=_build_relevance(case),
        linkage=[_build_linkage(case, other, known[other]) for other in related],
    )


def _choose_related(known: Mapping[str, Indicator], code: str, query: AnalysisQuery) -> list[str]:
    unknown = [other for other in query.related if other not in known or other == code]
    if unknown:
        others = known.keys() - {code}
        raise BadRequest(errors=[describe_unknown(unknown[0], "indicators", others, parameter="related")])
    related = query.related or [other for other in known[code].related if other in known]
    return list(dict.fromkeys(related))


def _build_relative_position(case: _Case) -> RelativePosition:
    def compare(region: str | None) -> Reference | None:
        if region is None or region == case.region:
            return None
        place = case.published.describe_place(region, case.code, case.period)
        if case.value is None or place.value is None:
            reason = Undefined.no_observation if case.value is None else Undefined.no_reference
            return Reference(**dict(place), difference=None, is_worse=None, reason=reason)
        worse = is_worse(case.value, place.value, case.indicator.direction)
        difference = _subtract(case.value, place.value)
        return Reference(**dict(place), difference=difference, is_worse=worse, reason=None)

    parent = get_parent(case.region)
    codes = case.siblings if parent is not None else []
    siblings = [case.published.describe_place(code, case.code, case.period) for code in codes]
    values = [place.value for place in siblings if place.value is not None]
    unplaced = Undefined.no_observation if case.value is None else Undefined.neutral
    rank = None if case.value is None else compute_rank(case.value, values, case.indicator.direction)
    return RelativePosition(
        province=compare(parent if parent != "0" else None),
        nation=compare("0"),
        rank=rank if parent is not None else None,
        ranked=len(values),
        siblings=siblings,
        reason=None if rank is not None else unplaced,
    )


def _build_change_over_time(case: _Case) -> ChangeOverTime:
    values = case.published.values.get((case.region, case.code), {})
    until = case.period
    items, before = [], None
    for text in sorted(values):
        period = SurveyPeriod.parse(text)
        if until is None or period.half != until.half or period.year > until.year:
            continue
        item = values[text]
        share: FigureOrReason[float] = FigureOrReason(
            None, Undefined.no_observation if item.value is None else None
        )
        change = None
        if item.value is not None and before is not None:
            change, share = item.value - before, compute_percent_change(before, item.value)
        items.append(
            YearChange(
                period=text,
                **vars(item),
                change=_round(change),
                change_percent=_round(share.value, 2),
                reason=share.reason,
            )
        )
        before = item.value if item.value is not None else before
    series = case.find_series(case.region)
    change, per_year = None, None
    share = FigureOrReason(None, Undefined.too_few if series else Undefined.no_observation)
    if len(series) > 1:
        first, last = min(series), max(series)
        change, per_year = series[last] - series[first], compute_speed(series, first, last).value
        share = compute_percent_change(series[first], series[last])
    return ChangeOverTime(
        series=items,
        change=_round(change),
        change_percent=_round(share.value, 2),
        change_per_year=_round(per_year),
        trend=find_trend(_round(change), case.indicator.direction),
        reason=share.reason,
    )


def _read_next_target(session: Session, actor: Actor, case: _Case) -> TargetState | None:
    """Return the first target for the period's year or later. Returns None if the actor sees none."""
    c = targets.c
    statement = (
        sa.select(c.year, c.value, c.baseline, c.baseline_year)
        .where(can_see_region(actor, c.region_code), c.region_code == case.region, c.indicator == case.code)
        .where(c.year >= case.period.year if case.period else sa.true())
        .order_by(c.year)
        .limit(1)
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        return None
    made, reason = None, Undefined.no_observation
    if case.value is not None:
        made = compute_achievement(row.baseline, row.value, case.value, case.indicator.direction)
        reason = Undefined.target_not_better
    return TargetState(
        **row._mapping, achievement_percent=_round(made, 2), reason=reason if made is None else None
    )


def _build_effectiveness(case: _Case, target: TargetState | None, since: int | None) -> Effectiveness:
    base = since if since is not None else target.baseline_year if target else None
    series, direction = case.find_series(case.region), case.indicator.direction
    last = case.period.year if case.period else 0
    if base is None:
        before = after = FigureOrReason[float](None, Undefined.no_base)
    else:
        before = compute_speed(series, min(series, default=base), base)
        after = compute_speed(series, base, last)
    return Effectiveness(
        since=base,
        per_year_before=_round(before.value),
        per_year_after=_round(after.value),
        trend=find_trend(_round(after.value), direction),
        is_faster=is_faster(_round(before.value), _round(after.value), direction),
        reason=after.reason or before.reason,
        target=target,
    )


def _build_relevance(case: _Case) -> Relevance:
    parent = get_parent(case.region)
    half = case.period.half if case.period else 0
    above = compute_changes(case.find_series(parent)) if parent is not None else {}
    both = pair_series(compute_changes(case.find_series(case.region)), above)
    pairs = [(round(own, 4), round(theirs, 4)) for _, own, theirs in both]
    same, moved = compute_agreement(pairs), compute_correlation(pairs)
    return Relevance(
        reference_code=parent,
        changes=[
            ChangePair(period=str(SurveyPeriod(year, half)), change=own, reference_change=theirs)
            for (year, _, _), (own, theirs) in zip(both, pairs, strict=True)
        ],
        same_direction_percent=_round(same.value, 2),
        correlation=_round(moved.value),
        reason=Undefined.no_reference if parent is None else same.reason or moved.reason,
    )


def _build_linkage(case: _Case, code: str, other: Indicator) -> Linkage:
    over_time: list[tuple[str, float, float]] = []
    over_regions: list[tuple[str, float, float]] = []
    if case.period is not None:
        period = resolve_period(other, case.period)
        theirs = case.published.find_series(case.region, code, period)
        over_time = [(str(year), a, b) for year, a, b in pair_series(case.find_series(case.region), theirs)]
        for region in case.siblings:
            own = case.published.find_value(region, case.code, case.period).value
            related = case.published.find_value(region, code, period).value
            if own is not None and related is not None:
                over_regions.append((region, own, related))
    return Linkage(
        indicator=code,
        name=other.name,
        expected=find_expected_sign(case.indicator.direction, other.direction),
        across_time=_build_correlation(over_time),
        across_siblings=_build_correlation(over_regions),
    )


def _build_correlation(pairs: Sequence[tuple[str, float, float]]) -> Correlated:
    figure = compute_correlation([(a, b) for _, a, b in pairs])
    return Correlated(
        pairs=[Pair(key=key, value=a, related_value=b) for key, a, b in pairs],
        correlation=_round(figure.value),
        reason=figure.reason,
    )


def compute_quadrants(session: Session, code: str, query: QuadrantQuery) -> Quadrants:
    """Return the regions one level below, in their quadrants. Raises NotFound if region or indicator does not exist."""
    indicator = require_found(read_indicators(session).get(code))
    r = _regions.c
    chosen = sa.or_(r.code == query.region, r.parent_code == query.region)
    published = _read_published(session, chosen, observations.c.indicator == code)
    if query.region not in published.names:
        raise NotFound()
    below = sorted(published.names.keys() - {query.region})
    to = (
        _parse_period(indicator, query.to)
        or _find_newest_in(published, code, [query.region])
        or _find_newest_in(published, code, below)
    )
    since = _parse_period(indicator, query.from_) or (SurveyPeriod(to.year - 1, to.half) if to else None)
    reference = published.describe_place(query.region, code, to)

    def build_item(region: str) -> QuadrantItem:
        before = published.find_value(region, code, since).value
        after = published.find_value(region, code, to).value
        placed = find_quadrant(before, after, reference.value, indicator.direction)
        return QuadrantItem(
            region_code=region,
            region_name=published.names[region],
            value_from=before,
            value=after,
            difference=_subtract(after, reference.value),
            change=_subtract(after, before),
            quadrant=placed.value,
            reason=placed.reason,
        )

    return Quadrants(
        indicator=code,
        direction=indicator.direction,
        **{"from": str(since) if since else None},
        to=str(to) if to else None,
        reference=reference,
        items=[build_item(region) for region in below],
    )


def _parse_period(indicator: Indicator, period: str | None) -> SurveyPeriod | None:
    return resolve_period(indicator, SurveyPeriod.parse(period)) if period else None


def _find_newest_in(published: PublishedData, code: str, regions: Iterable[str]) -> SurveyPeriod | None:
    newest = [_find_newest(published.values.get((region, code), {})) for region in regions]
    periods = [period for period in newest if period is not None]
    return max(periods, key=lambda period: (period.year, period.half)) if periods else None
