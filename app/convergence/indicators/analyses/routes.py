"""The analyses over HTTP."""

from fastapi import Response

from app.access.actor import Caller, RequestContext, authenticate_in_thread
from app.convergence.indicators.analyses import queries
from app.convergence.indicators.analyses.models import Analysis, AnalysisQuery, QuadrantQuery, Quadrants
from app.convergence.indicators.models import IndicatorKey
from app.convergence.indicators.rules import INDICATORS_CHAIN, OBSERVATIONS_CHAIN, format_targets_chain
from app.kit.database.journal import state_hash
from app.kit.http.etags import make_etag
from app.kit.http.replies import answer
from app.kit.http.routing import FromQuery, make_router, revalidate_by
from app.reference.models import RegionKey
from app.reference.rules import CHAIN as REFERENCE

router = make_router(tags=["convergence"])


def build_analysis_tag(call: RequestContext) -> str:
    """Return the ETag of an analysis, from the state of regions, indicators, observations and the region's targets."""
    chain = format_targets_chain(call.request.path_params["region"])
    state = state_hash(call.session, REFERENCE, INDICATORS_CHAIN, OBSERVATIONS_CHAIN, chain)
    return make_etag(call.request.url, call.actor.fingerprint, state)


def build_quadrants_tag(call: RequestContext) -> str:
    """Return the ETag of quadrants, from the state of regions, indicators and observations."""
    return make_etag(
        call.request.url, state_hash(call.session, REFERENCE, INDICATORS_CHAIN, OBSERVATIONS_CHAIN)
    )


@router.get("/regions/{region}/indicators/{indicator}/analysis", response_model=Analysis)
@revalidate_by(lambda request: build_analysis_tag(authenticate_in_thread(request)))
def read_analysis(
    call: Caller, region: RegionKey, indicator: IndicatorKey, query: FromQuery[AnalysisQuery]
) -> Response:
    """Return the five standard analyses of an indicator in a region, each with its series.

    These are relative position, change over time, effectiveness, relevance and linkage (TNP2K). All values are
    published ones, never averages of regions below; an undefined figure is null with a `reason`. Every valid token may
    read the analyses; the target needs the right to see the region.
    """
    analysis = queries.compute_analysis(call.session, call.actor, region, indicator, query)
    return answer(call.request, analysis.model_dump_json().encode(), tag=build_analysis_tag(call))


@router.get("/indicators/{indicator}/quadrants", response_model=Quadrants)
@revalidate_by(lambda request: build_quadrants_tag(authenticate_in_thread(request)))
def read_quadrants(call: Caller, indicator: IndicatorKey, query: FromQuery[QuadrantQuery]) -> Response:
    """Return the priority quadrants of the regions one level below `region`.

    Quadrant 1 is worse than the reference and worsening, 2 worse, 3 worsening, 4 neither. The reference is the
    published value of `region`; the change is that since `from`. A region without one of its values has a `reason`
    instead of a quadrant. Every valid token may read them.
    """
    quadrants = queries.compute_quadrants(call.session, indicator, query)
    return answer(
        call.request, quadrants.model_dump_json(by_alias=True).encode(), tag=build_quadrants_tag(call)
    )
