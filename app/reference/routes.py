"""Routes of regions, funding sources and strategies."""

from fastapi import Response

from app.access.actor import Caller
from app.kit.http.anonymous import PUBLIC
from app.kit.http.pagination import Page, PageQuery
from app.kit.http.replies import answer
from app.kit.http.routing import FromQuery, make_router
from app.reference import queries
from app.reference.models import (
    FundingSourceKey,
    FundingSourceOut,
    FundingSourceQuery,
    RegionKey,
    RegionOut,
    RegionReply,
    RegionSearchQuery,
    StrategyKey,
    StrategyOut,
)

router = make_router(tags=["reference"])


@router.get("/regions", response_model=Page[RegionOut], openapi_extra=PUBLIC)
def list_regions(call: Caller, query: FromQuery[RegionSearchQuery]) -> Response:
    """Search regions by words of their name, level, parent, or BPS code.

    For forms that choose a place, and to convert codes of other systems. `q` finds names with every word, the likeliest
    first. `bps_code` is exact: BPS and Kemendagri codes differ for 199 of 514 regencies, and mostly
    the BPS code is another region's valid Kemendagri code, so `1802` gives Tanggamus (`18.06`) while
    `/v1/regions/18.02` is Lampung Tengah. Population in persons, area in km². Open to every valid token.
    """
    return call.answer_list(queries.list_regions(call.session, query), query, sort=query.order)


@router.get("/regions/{region}", response_model=RegionReply, openapi_extra=PUBLIC)
def read_region(call: Caller, region: RegionKey) -> Response:
    """Return one region by its Kemendagri code: its ancestors, the numbers of regions below, and its time zone.

    `0` is the nation. A withdrawn code is still there, with `retired: true`; 404 for one that never existed.
    """
    return answer(call.request, queries.read_region(call.session, region).encode())


@router.get("/regions/{region}/children", response_model=Page[RegionOut], openapi_extra=PUBLIC)
def list_region_children(call: Caller, region: RegionKey, query: FromQuery[PageQuery]) -> Response:
    """List the regions one level below, by code: provinces of the nation, regencies of a province, and so on.

    404 for an unknown region; an empty list below a village.
    """
    queries.check_region(call.session, region)
    children = queries.list_regions(call.session, RegionSearchQuery(parent=region))
    return call.answer_list(children, query, sort="code")


@router.get("/funding-sources", response_model=Page[FundingSourceOut], openapi_extra=PUBLIC)
def list_funding_sources(call: Caller, query: FromQuery[FundingSourceQuery]) -> Response:
    """List the funding sources of budget lines.

    `kind=official` has the codes of the decree; `kind=group` the words of action matrices (`APBD`, `DAK-FISIK`,
    `CSR`), this service's own, each with the official codes that it covers where that is clear.
    """
    return call.answer_list(queries.list_funding_sources(call.session, query), query, sort=query.order)


@router.get("/funding-sources/{funding_source}", response_model=FundingSourceOut, openapi_extra=PUBLIC)
def read_funding_source(call: Caller, funding_source: FundingSourceKey) -> Response:
    """Return one funding source by its code. 404 for an unknown code."""
    return answer(call.request, queries.read_funding_source(call.session, funding_source).encode())


@router.get("/strategies", response_model=Page[StrategyOut], openapi_extra=PUBLIC)
def list_strategies(call: Caller, query: FromQuery[PageQuery]) -> Response:
    """List the strategies of poverty reduction with their legal basis. Every action serves one of them."""
    return call.answer_list(queries.list_strategies(), query, sort="number")


@router.get("/strategies/{strategy}", response_model=StrategyOut, openapi_extra=PUBLIC)
def read_strategy(call: Caller, strategy: StrategyKey) -> Response:
    """Return one strategy by its key (`raise_income`). 404 for an unknown key."""
    return answer(call.request, queries.read_strategy(call.session, strategy).encode())
