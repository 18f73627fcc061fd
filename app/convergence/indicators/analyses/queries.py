"""The analyses of a region, put together from what was published: a constant number of SELECTs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlmodel import Session

from app.access.queries import visible
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
    Found,
    Undefined,
    agreement,
    changes,
    correlation,
    expected_sign,
    is_faster,
    is_worse,
    paired,
    percent_change,
    quadrant,
    rank_of,
    speed,
    trend_of,
)
from app.convergence.indicators.models import Flag, Symbol
from app.convergence.indicators.queries import Indicator, all_indicators, observations, targets
from app.convergence.indicators.rules import Observed, achievement, period_meant
from app.kit.database.engine import table_of
from app.kit.http.validation import describe_unknown
from app.kit.problems import BadRequest, NotFound, require_found
from app.reference.models import RegionRow
from app.reference.rules import parent_of

_regions = table_of(RegionRow)


@dataclass(frozen=True)
class Value:
    """What was published of a region and period."""

    value: float | None
    symbol: Symbol | None
    flags: list[Flag]


_NOTHING = Value(None, None, [])


@dataclass
class Published:
    """Names of regions in force, and what was published of them: (region, indicator) → period → value."""

    names: dict[str, str]
    values: dict[tuple[str, str], dict[str, Value]] = field(default_factory=dict)

    def at(self, region: str, indicator: str, period: Observed | None) -> Value:
        return self.values.get((region, indicator), {}).get(str(period), _NOTHING)

    def series(self, region: str, indicator: str, until: Observed) -> dict[int, float]:
        """Year → value of the same half of every year up to this one; symbols are no values."""
        return {
            period.year: told.value
            for text, told in self.values.get((region, indicator), {}).items()
            if (period := Observed.parse(text)).half == until.half
            and period.year <= until.year
            and told.value is not None
        }

    def place(self, region: str, indicator: str, period: Observed | None) -> PlaceValue:
        told = self.at(region, indicator, period)
        return PlaceValue(region_code=region, region_name=self.names[region], **vars(told))


def _published(
    session: Session, regions: sa.ColumnElement[bool], series: sa.ColumnElement[bool]
) -> Published:
    """The regions in force that match, each with those of its observations that match; one SELECT."""
    o, r = observations.c, _regions.c
    columns = (r.code, r.name, o.indicator, o.period, o.value, o.symbol, o.flags)
    joined = _regions.outerjoin(observations, sa.and_(o.region_code == r.code, series))
    found = Published({})
    for row in session.execute(
        sa.select(*columns)
        .select_from(joined)
        .where(regions, r.retired.is_(False))
        .order_by(r.code, o.indicator, o.period)
    ):
        found.names[row.code] = row.name
        if row.indicator is not None:
            of_region = found.values.setdefault((row.code, row.indicator), {})
            of_region[row.period] = Value(row.value, row.symbol, row.flags)
    return found


def _newest(values: Mapping[str, Value]) -> Observed | None:
    periods = [period for period, told in values.items() if told.value is not None]
    return Observed.parse(max(periods)) if periods else None


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits) + 0.0


def _difference(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else _rounded(value - other)


# The five analyses


@dataclass(frozen=True)
class _Case:
    """One region, one indicator, as of one period."""

    region: str
    code: str
    indicator: Indicator
    period: Observed | None
    published: Published
    siblings: list[str]

    @property
    def value(self) -> float | None:
        return self.published.at(self.region, self.code, self.period).value

    def series(self, region: str) -> dict[int, float]:
        return self.published.series(region, self.code, self.period) if self.period else {}


def analysis(session: Session, actor: Actor, region: str, code: str, query: AnalysisQuery) -> Analysis:
    """The five analyses. NotFound: no such region or indicator. A target is shown to whoever sees the region."""
    known = all_indicators(session)
    if code not in known:
        raise NotFound()
    related = _related(known, code, query)
    parent = parent_of(region)
    above = [one for one in (parent, "0") if one is not None]
    places: sa.ColumnElement[bool] = _regions.c.code.in_([region, *above])
    if parent is not None:
        places = sa.or_(places, _regions.c.parent_code == parent)
    published = _published(session, places, observations.c.indicator.in_([code, *related]))
    if region not in published.names:
        raise NotFound()
    asked = Observed.parse(query.period) if query.period else None
    newest = _newest(published.values.get((region, code), {}))
    case = _Case(
        region,
        code,
        known[code],
        period_meant(known[code], asked) if asked else newest,
        published,
        sorted(one for one in published.names if parent_of(one) == parent),
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
        relative_position=_relative_position(case),
        change_over_time=_change_over_time(case),
        effectiveness=_effectiveness(case, _next_target(session, actor, case), query.since),
        relevance=_relevance(case),
        linkage=[_linkage(case, one, known[one]) for one in related],
    )


def _related(known: Mapping[str, Indicator], code: str, query: AnalysisQuery) -> list[str]:
    unknown = [one for one in query.related if one not in known or one == code]
    if unknown:
        others = known.keys() - {code}
        raise BadRequest(errors=[describe_unknown(unknown[0], "indicators", others, parameter="related")])
    asked = query.related or [one for one in known[code].related if one in known]
    return list(dict.fromkeys(asked))


def _relative_position(case: _Case) -> RelativePosition:
    def reference(region: str | None) -> Reference | None:
        if region is None or region == case.region:
            return None
        told = case.published.place(region, case.code, case.period)
        if case.value is None or told.value is None:
            reason = Undefined.no_observation if case.value is None else Undefined.no_reference
            return Reference(**dict(told), difference=None, is_worse=None, reason=reason)
        worse = is_worse(case.value, told.value, case.indicator.direction)
        difference = _difference(case.value, told.value)
        return Reference(**dict(told), difference=difference, is_worse=worse, reason=None)

    parent = parent_of(case.region)
    siblings = [
        case.published.place(one, case.code, case.period) for one in case.siblings if parent is not None
    ]
    values = [one.value for one in siblings if one.value is not None]
    unplaced = Undefined.no_observation if case.value is None else Undefined.neutral
    rank = None if case.value is None else rank_of(case.value, values, case.indicator.direction)
    return RelativePosition(
        province=reference(parent if parent != "0" else None),
        nation=reference("0"),
        rank=rank if parent is not None else None,
        ranked=len(values),
        siblings=siblings,
        reason=None if rank is not None else unplaced,
    )


def _change_over_time(case: _Case) -> ChangeOverTime:
    told = case.published.values.get((case.region, case.code), {})
    until = case.period
    shown, before = [], None
    for text in sorted(told):
        period = Observed.parse(text)
        if until is None or period.half != until.half or period.year > until.year:
            continue
        one = told[text]
        share: Found[float] = Found(None, Undefined.no_observation if one.value is None else None)
        change = None
        if one.value is not None and before is not None:
            change, share = one.value - before, percent_change(before, one.value)
        shown.append(
            YearChange(
                period=text,
                **vars(one),
                change=_rounded(change),
                change_percent=_rounded(share.value, 2),
                reason=share.reason,
            )
        )
        before = one.value if one.value is not None else before
    series = case.series(case.region)
    change, per_year = None, None
    share = Found(None, Undefined.too_few if series else Undefined.no_observation)
    if len(series) > 1:
        first, last = min(series), max(series)
        change, per_year = series[last] - series[first], speed(series, first, last).value
        share = percent_change(series[first], series[last])
    return ChangeOverTime(
        series=shown,
        change=_rounded(change),
        change_percent=_rounded(share.value, 2),
        change_per_year=_rounded(per_year),
        trend=trend_of(_rounded(change), case.indicator.direction),
        reason=share.reason,
    )


def _next_target(session: Session, actor: Actor, case: _Case) -> TargetState | None:
    """The first target of the year of the period or later."""
    c = targets.c
    found = (
        sa.select(c.year, c.value, c.baseline, c.baseline_year)
        .where(visible(actor, c.region_code), c.region_code == case.region, c.indicator == case.code)
        .where(c.year >= case.period.year if case.period else sa.true())
        .order_by(c.year)
        .limit(1)
    )
    row = session.execute(found).one_or_none()
    if row is None:
        return None
    made, reason = None, Undefined.no_observation
    if case.value is not None:
        made = achievement(row.baseline, row.value, case.value, case.indicator.direction)
        reason = Undefined.target_not_better
    return TargetState(
        **row._mapping, achievement_percent=_rounded(made, 2), reason=reason if made is None else None
    )


def _effectiveness(case: _Case, target: TargetState | None, since: int | None) -> Effectiveness:
    base = since if since is not None else target.baseline_year if target else None
    series, direction = case.series(case.region), case.indicator.direction
    last = case.period.year if case.period else 0
    if base is None:
        before = after = Found[float](None, Undefined.no_base)
    else:
        before = speed(series, min(series, default=base), base)
        after = speed(series, base, last)
    return Effectiveness(
        since=base,
        per_year_before=_rounded(before.value),
        per_year_after=_rounded(after.value),
        trend=trend_of(_rounded(after.value), direction),
        is_faster=is_faster(_rounded(before.value), _rounded(after.value), direction),
        reason=after.reason or before.reason,
        target=target,
    )


def _relevance(case: _Case) -> Relevance:
    parent = parent_of(case.region)
    half = case.period.half if case.period else 0
    above = changes(case.series(parent)) if parent is not None else {}
    both = paired(changes(case.series(case.region)), above)
    pairs = [(round(own, 4), round(theirs, 4)) for _, own, theirs in both]
    same, moved = agreement(pairs), correlation(pairs)
    return Relevance(
        reference_code=parent,
        changes=[
            ChangePair(period=str(Observed(year, half)), change=own, reference_change=theirs)
            for (year, _, _), (own, theirs) in zip(both, pairs, strict=True)
        ],
        same_direction_percent=_rounded(same.value, 2),
        correlation=_rounded(moved.value),
        reason=Undefined.no_reference if parent is None else same.reason or moved.reason,
    )


def _linkage(case: _Case, code: str, other: Indicator) -> Linkage:
    over_time: list[tuple[str, float, float]] = []
    over_regions: list[tuple[str, float, float]] = []
    if case.period is not None:
        meant = period_meant(other, case.period)
        theirs = case.published.series(case.region, code, meant)
        over_time = [(str(year), a, b) for year, a, b in paired(case.series(case.region), theirs)]
        for region in case.siblings:
            own, told = (
                case.published.at(region, case.code, case.period),
                case.published.at(region, code, meant),
            )
            if own.value is not None and told.value is not None:
                over_regions.append((region, own.value, told.value))
    return Linkage(
        indicator=code,
        name=other.name,
        expected=expected_sign(case.indicator.direction, other.direction),
        across_time=_correlated(over_time),
        across_siblings=_correlated(over_regions),
    )


def _correlated(pairs: Sequence[tuple[str, float, float]]) -> Correlated:
    found = correlation([(a, b) for _, a, b in pairs])
    return Correlated(
        pairs=[Pair(key=key, value=a, related_value=b) for key, a, b in pairs],
        correlation=_rounded(found.value),
        reason=found.reason,
    )


# Quadrants


def quadrants(session: Session, code: str, query: QuadrantQuery) -> Quadrants:
    """The regions one level below, each in its priority quadrant. NotFound: no such region or indicator."""
    indicator = require_found(all_indicators(session).get(code))
    r = _regions.c
    chosen = sa.or_(r.code == query.region, r.parent_code == query.region)
    published = _published(session, chosen, observations.c.indicator == code)
    if query.region not in published.names:
        raise NotFound()
    below = sorted(published.names.keys() - {query.region})
    to = (
        _meant(indicator, query.to)
        or _newest_of(published, code, [query.region])
        or _newest_of(published, code, below)
    )
    since = _meant(indicator, query.from_) or (Observed(to.year - 1, to.half) if to else None)
    reference = published.place(query.region, code, to)

    def item(region: str) -> QuadrantItem:
        before, after = published.at(region, code, since).value, published.at(region, code, to).value
        placed = quadrant(before, after, reference.value, indicator.direction)
        return QuadrantItem(
            region_code=region,
            region_name=published.names[region],
            value_from=before,
            value=after,
            difference=_difference(after, reference.value),
            change=_difference(after, before),
            quadrant=placed.value,
            reason=placed.reason,
        )

    return Quadrants(
        indicator=code,
        direction=indicator.direction,
        **{"from": str(since) if since else None},
        to=str(to) if to else None,
        reference=reference,
        items=[item(region) for region in below],
    )


def _meant(indicator: Indicator, period: str | None) -> Observed | None:
    return period_meant(indicator, Observed.parse(period)) if period else None


def _newest_of(published: Published, code: str, regions: Iterable[str]) -> Observed | None:
    found = [_newest(published.values.get((region, code), {})) for region in regions]
    periods = [one for one in found if one is not None]
    return max(periods, key=lambda one: (one.year, one.half)) if periods else None
