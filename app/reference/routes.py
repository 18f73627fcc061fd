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

    For forms that choose a place, and for turning the codes of other systems into ours. `q` finds names in which
    every word occurs, whatever the case and punctuation. `bps_code` is exact: BPS and Kemendagri codes differ
    for 199 of 514 regencies, and mostly the BPS code is another region's valid Kemendagri code, so `1802`
    gives Tanggamus (`18.06`) while `/v1/regions/18.02` is Lampung Tengah. Population in persons, area in km².
    Open to every valid token.
    """
    return call.answer_list(queries.list_regions(query), query, sort=query.sort)


@router.get("/regions/{region}", response_model=RegionReply, openapi_extra=PUBLIC)
def read_region(call: Caller, region: RegionKey) -> Response:
    """One region by its Kemendagri code: what is above it, how many regions lie below, and its time zone.

    `0` is the nation. A code that was withdrawn is still there, with `retired: true`; 404 for one that never was.
    """
    return answer(call.request, queries.read_region(call.session, region).encode())


@router.get("/regions/{region}/children", response_model=Page[RegionOut], openapi_extra=PUBLIC)
def list_region_children(call: Caller, region: RegionKey, query: FromQuery[PageQuery]) -> Response:
    """The regions one level below, by code: provinces of the nation, regencies of a province, and so on.

    404 where there is no such region; an empty list below a village.
    """
    queries.check_region(call.session, region)
    return call.answer_list(queries.list_children(region), query, sort="code")


@router.get("/funding-sources", response_model=Page[FundingSourceOut], openapi_extra=PUBLIC)
def list_funding_sources(call: Caller, query: FromQuery[FundingSourceQuery]) -> Response:
    """Where the money of a budget line can come from.

    `kind=official` are the codes of the decree; `kind=group` the words that action matrices use (`APBD`,
    `DAK-FISIK`, `CSR`), this service's own, each with the official codes it collects where that is clear.
    """
    return call.answer_list(queries.list_funding_sources(query), query, sort=query.sort)


@router.get("/funding-sources/{funding_source}", response_model=FundingSourceOut, openapi_extra=PUBLIC)
def read_funding_source(call: Caller, funding_source: FundingSourceKey) -> Response:
    """One funding source by its code; 404 where there is none."""
    return answer(call.request, queries.read_funding_source(call.session, funding_source).encode())


@router.get("/strategies", response_model=Page[StrategyOut], openapi_extra=PUBLIC)
def list_strategies(call: Caller, query: FromQuery[PageQuery]) -> Response:
    """The strategies of poverty reduction that every action serves one of, with their legal basis."""
    return call.answer_list(queries.list_strategies(), query, sort="number")


@router.get("/strategies/{strategy}", response_model=StrategyOut, openapi_extra=PUBLIC)
def read_strategy(call: Caller, strategy: StrategyKey) -> Response:
    """One strategy by its key (`raise_income`); 404 where there is none."""
    return answer(call.request, queries.read_strategy(call.session, strategy).encode())
