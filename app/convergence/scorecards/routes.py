"""Scorecards over HTTP."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.convergence.scorecards import queries
from app.convergence.scorecards.cache import FiguresCache
from app.convergence.scorecards.index.models import ScorecardChanges
from app.convergence.scorecards.models import (
    Ranking,
    RankingQuery,
    Scorecard,
    ScorecardQuery,
    WhatIf,
    WhatIfQuery,
)
from app.kit.http.etags import IMMUTABLE, VARY, is_unchanged
from app.kit.http.replies import answer
from app.kit.http.routing import STORES_NOTHING, FromQuery, make_router
from app.kit.openapi.schemas import FROZEN
from app.reference.models import RegionKey

router = make_router(prefix="/scorecards", tags=["convergence"])


def _get_cache(call: RequestContext) -> FiguresCache:
    """Return the cache of this process."""
    cache: FiguresCache = call.request.app.state.figures_cache
    return cache


@router.get("", response_model=Ranking, openapi_extra={"x-problems": [404, 409]})
def rank_scorecards(call: Caller, query: FromQuery[RankingQuery]) -> Response:
    """The regencies of a province by their convergence index in a quarter, or one regency with its rank.

    Ranks are given only within one province and one quarter, to regencies with a reach of at least the method's 70 %;
    ties are decided by K, then P. They are the same for every caller: plans count once they are in force, and
    quarters that are frozen count as they were frozen. 404 for a region that the caller does not see.
    """
    body = queries.read_ranking_json(
        call.session, call.actor, _get_cache(call), query.region, query.period, call.now
    )
    return answer(call.request, body)


@router.get("/{region}", response_model=Scorecard, openapi_extra={"x-problems": [409], **FROZEN})
def read_scorecard(call: Caller, region: RegionKey, query: FromQuery[ScorecardQuery]) -> Response:
    """How a region stands in a quarter, explained: every component of the index with its inputs, formula, weight
    and what is missing, what would raise it most, the change against the quarter before, and where the money goes.

    Recomputing from `inputs` gives the same figures; each step starts from the two decimals of the step before.
    A missing component is named, `complete` is false, and the weights are those of the components that are there.
    Districts and villages have coverage alone; provinces and the nation pool the counts of those below. A frozen
    quarter answers as it was frozen; `amendment` names an earlier one, whose bytes stay the same for ever.
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
    call: Caller, region: RegionKey, query: FromQuery[WhatIfQuery], changes: ScorecardChanges
) -> Response:
    """What the index would be if some of the inputs were others: the scorecard as it is, as it would be, and what lies
    between. Inputs have the names that they have in `inputs`; what is left out stays. Nothing is stored.

    422 for a service or an indicator that the scorecard does not have, and for a part above its whole.
    """
    subject = queries.read_subject(
        call.unit.reading, call.actor, _get_cache(call), region, query.period, call.now
    )
    result = queries.try_changes(subject, changes)
    return answer(call.request, result.model_dump_json().encode())
