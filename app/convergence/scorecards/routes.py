"""Scorecards over HTTP."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.convergence.coverage.models import FiguresQuery
from app.convergence.scorecards import queries
from app.convergence.scorecards.cache import FiguresCache
from app.convergence.scorecards.index.models import ScorecardChanges
from app.convergence.scorecards.models import Ranking, RankingQuery, Scorecard, ScorecardQuery, WhatIf
from app.kit.http.etags import IMMUTABLE, VARY, is_unchanged
from app.kit.http.replies import answer
from app.kit.http.routing import STORES_NOTHING, FromQuery, make_router
from app.kit.openapi.schemas import FROZEN
from app.reference.models import RegionKey

router = make_router(prefix="/scorecards", tags=["convergence"])


def _get_cache(call: RequestContext) -> FiguresCache:
    cache: FiguresCache = call.request.app.state.figures_cache
    return cache


@router.get("", response_model=Ranking, openapi_extra={"x-problems": [404, 409]})
def rank_scorecards(call: Caller, query: FromQuery[RankingQuery]) -> Response:
    """Rank the regencies of a province by their convergence index in a quarter, or return one regency with its rank.

    Ranks compare regencies of one province in one quarter with a reach of at least the method's 70 %; ties go by K,
    then by P. All callers get equal ranks: only plans in force count, and frozen quarters count with their frozen
    figures. 404 if the caller cannot see the region.
    """
    body = queries.read_ranking_json(
        call.session, call.actor, _get_cache(call), query.region, query.period, call.now
    )
    return answer(call.request, body)


@router.get("/{region}", response_model=Scorecard, openapi_extra={"x-problems": [409], **FROZEN})
def read_scorecard(call: Caller, region: RegionKey, query: FromQuery[ScorecardQuery]) -> Response:
    """Return the scorecard of a region in a quarter: the index with each component, its inputs, formula and weight.

    It also has the largest possible gains, the change from the quarter before, and the budget by place and class. A
    client can recompute all figures from `inputs`; each step starts from the two decimals of the step before. If a
    component is undefined, `missing` lists it, `complete` is false, and the other weights share its weight. Districts
    and villages have only coverage; provinces and the nation pool the counts of their regencies. A frozen quarter
    returns its frozen scorecard; `amendment` selects an earlier one, whose bytes never change.
    """
    if query.amendment is not None:
        frozen = queries.read_frozen_scorecard(
            call.session, call.actor, region, query.period, query.amendment
        )
        headers = {"ETag": f'"{frozen.sha256}"', "Cache-Control": IMMUTABLE, "Vary": VARY}
        if is_unchanged(call.request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return Response(frozen.answer, headers=headers, media_type="application/json")
    body = queries.read_scorecard_json(
        call.session, call.actor, _get_cache(call), region, query.period, call.now
    )
    if isinstance(body, queries.FrozenScorecard):
        return answer(call.request, body.answer, tag=f'"{body.sha256}"')
    return answer(call.request, body)


@router.post("/{region}/what-if", response_model=WhatIf, openapi_extra=STORES_NOTHING)
def try_scorecard(
    call: Caller, region: RegionKey, query: FromQuery[FiguresQuery], changes: ScorecardChanges
) -> Response:
    """Compute the index with other inputs: the present scorecard, the changed one and the difference.

    Changes have the names of the fields in `inputs`; omitted ones remain unchanged. The service stores nothing. 422
    for a service or an indicator that the scorecard lacks, and for a part above its whole.
    """
    subject = queries.read_subject(
        call.unit.reading, call.actor, _get_cache(call), region, query.period, call.now
    )
    result = queries.try_changes(subject, changes)
    return answer(call.request, result.model_dump_json().encode())
