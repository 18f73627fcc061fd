"""Service packages, methods and the editions of a region's year over HTTP."""

from typing import Annotated

from fastapi import Query, Response

from app.access.actor import Call, Caller
from app.changes.history import history_page
from app.changes.models import HistoryEntry, HistoryQuery
from app.convergence.editions.methods import commands, queries
from app.convergence.editions.methods.commands import CHAIN, COVERAGE_CHAIN
from app.convergence.editions.methods.models import (
    MethodIn,
    MethodKey,
    MethodOut,
    PackageKey,
    RegionEditionIn,
    RegionEditionReply,
    ServicePackageIn,
    ServicePackageOut,
    YearKey,
)
from app.convergence.editions.methods.queries import METHOD, PACKAGE
from app.convergence.editions.methods.replies import answer_edition
from app.convergence.editions.methods.rules import year_in
from app.kit.http.pagination import Page, PageQuery
from app.kit.http.routing import answer, created, house_router
from app.reference.models import RegionKey
from app.reference.replies import page_of

router = house_router(tags=["reference"])
choices = house_router(tags=["convergence"])


@router.get("/service-packages", response_model=Page[ServicePackageOut])
def list_service_packages(call: Caller, query: Annotated[PageQuery, Query()]) -> Response:
    """The services that a family should have where it is eligible, by edition, each with its strategy and unit.

    Open to every valid token. The edition that the service brings is a proposal without official status.
    """
    return page_of(call, queries.list_editions(PACKAGE), query, sort="edition")


@router.get("/service-packages/{edition}", response_model=ServicePackageOut)
def read_service_package(call: Caller, edition: PackageKey) -> Response:
    """One edition of the service package; 404 where there is none."""
    return answer_edition(call, PACKAGE, edition)


@router.put(
    "/service-packages/{edition}", response_model=ServicePackageOut, responses=created(ServicePackageOut)
)
def put_service_package(call: Caller, edition: PackageKey, content: ServicePackageIn) -> Response:
    """Add an edition, or replace one that nothing was measured by yet: the nation's administrator alone.

    409 where coverage was written by it; give the new rules an edition of their own.
    """
    is_new = commands.put_package(call.session, call.author, call.actor, edition, content, call.check_version)
    return answer_edition(call, PACKAGE, edition, is_new=is_new)


@router.get("/service-packages/{edition}/history", response_model=Page[HistoryEntry])
def list_service_package_history(
    call: Caller, edition: PackageKey, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """Every write to an edition of the service package."""
    return history_page(call, CHAIN, f"service-packages/{edition}", query)


@router.get("/methods", response_model=Page[MethodOut])
def list_methods(call: Caller, query: Annotated[PageQuery, Query()]) -> Response:
    """Weights, shares and thresholds of the convergence index, by edition. Open to every valid token.

    The edition that the service brings is a proposal without official status.
    """
    return page_of(call, queries.list_editions(METHOD), query, sort="edition")


@router.get("/methods/{edition}", response_model=MethodOut)
def read_method(call: Caller, edition: MethodKey) -> Response:
    """One edition of the method; 404 where there is none."""
    return answer_edition(call, METHOD, edition)


@router.put("/methods/{edition}", response_model=MethodOut, responses=created(MethodOut))
def put_method(call: Caller, edition: MethodKey, content: MethodIn) -> Response:
    """Add an edition, or replace one that nothing was measured by yet: the nation's administrator alone.

    409 where something was measured by it; give the new rules an edition of their own.
    """
    is_new = commands.put_method(call.session, call.author, call.actor, edition, content, call.check_version)
    return answer_edition(call, METHOD, edition, is_new=is_new)


@router.get("/methods/{edition}/history", response_model=Page[HistoryEntry])
def list_method_history(
    call: Caller, edition: MethodKey, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """Every write to an edition of the method."""
    return history_page(call, CHAIN, f"methods/{edition}", query)


@choices.get(
    "/regions/{region}/editions/{year}",
    response_model=RegionEditionReply,
    openapi_extra={"x-problems": [409]},
)
def read_region_editions(call: Caller, region: RegionKey, year: YearKey) -> Response:
    """The editions of service package and method that a region's year is measured by.

    Those that were chosen, or by which its first coverage of the year was written; before that the newest for
    the year, `version` null.
    """
    return _reply(call, region, year_in(year))


@choices.put(
    "/regions/{region}/editions/{year}",
    response_model=RegionEditionReply,
    responses=created(RegionEditionReply),
)
def put_region_editions(call: Caller, region: RegionKey, year: YearKey, content: RegionEditionIn) -> Response:
    """Choose the editions of a region's year: an administrator, before its coverage is written (409 after)."""
    number = year_in(year)
    is_new = commands.put_editions(
        call.session, call.author, call.actor, region, number, content, call.check_version
    )
    return _reply(call, region, number, status=201 if is_new else 200)


@choices.get("/regions/{region}/editions/{year}/history", response_model=Page[HistoryEntry])
def list_region_edition_history(
    call: Caller, region: RegionKey, year: YearKey, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """Who chose the editions of a region's year, or by which write they were settled."""
    return history_page(call, f"{COVERAGE_CHAIN}{region}", f"regions/{region}/editions/{year}", query)


def _reply(call: Call, region: str, year: int, *, status: int = 200) -> Response:
    found = queries.visible_editions(call.session, call.actor, region, year)
    shown = RegionEditionReply(
        **found.content,
        region_code=region,
        year=year,
        version=found.version,
        in_use=queries.is_measured(call.session, region, year),
        allowed=["edit"] if call.actor.may("choose_editions", region) else [],
    )
    return answer(
        call.request,
        shown.model_dump_json().encode(),
        status=status,
        version=found.version,
        location=f"/v1/regions/{region}/editions/{year}" if status == 201 else None,
    )
