"""Routes of frozen quarters. A snapshot never changes a byte."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.kit.http.anonymous import PUBLIC
from app.kit.http.etags import IMMUTABLE, VARY, format_digest, is_unchanged
from app.kit.http.pagination import Page
from app.kit.http.routing import FromQuery, make_router
from app.kit.openapi.schemas import FROZEN
from app.plans.core.rules import format_plan_chain
from app.reference.models import RegionKey
from app.tracking.quarters.snapshots import queries
from app.tracking.quarters.snapshots.models import AmendmentNumber, Snapshot, SnapshotOut, SnapshotPeriod
from app.tracking.quarters.snapshots.queries import AmendmentsQuery, SnapshotsQuery

router = make_router(prefix="/snapshots", tags=["tracking"])

_SNAPSHOT_HEADERS: dict[int | str, dict[str, object]] = {200: {"headers": {"Repr-Digest": {}, "Link": {}}}}
_PUBLIC_AND_FROZEN: dict[str, object] = {**PUBLIC, **FROZEN}


@router.get("", response_model=Page[SnapshotOut], openapi_extra=PUBLIC)
def list_snapshots(call: Caller, query: FromQuery[SnapshotsQuery]) -> Response:
    """List the snapshots of a region and everything below it, with amendments: address, number of lines and SHA-256."""
    listing = queries.list_snapshots(call.actor, query)
    return call.answer_list(listing, query, sort=query.sort)


@router.get(
    "/{period}/{region}",
    response_model=Snapshot,
    responses=_SNAPSHOT_HEADERS,
    openapi_extra=_PUBLIC_AND_FROZEN,
)
def read_snapshot(call: Caller, period: SnapshotPeriod, region: RegionKey) -> Response:
    """Return the first snapshot of a quarter: every line of the plan with its report or null, as canonical JSON
    (RFC 8785).

    The bytes never change and never travel compressed; their SHA-256 is the entity tag and `Repr-Digest`. `Link`
    leads to the corrections, under `amendments`.
    """
    return _answer_snapshot(call, region, period, 0)


@router.get("/{period}/{region}/amendments", response_model=Page[SnapshotOut], openapi_extra=PUBLIC)
def list_snapshot_amendments(
    call: Caller, period: SnapshotPeriod, region: RegionKey, query: FromQuery[AmendmentsQuery]
) -> Response:
    """List the corrections of a frozen quarter, from 1; the last one is in force."""
    listing = queries.list_amendments(call.session, call.actor, region, period)
    return call.answer_list(listing, query, sort=query.sort)


@router.get(
    "/{period}/{region}/amendments/{amendment}",
    response_model=Snapshot,
    responses=_SNAPSHOT_HEADERS,
    openapi_extra=_PUBLIC_AND_FROZEN,
)
def read_snapshot_amendment(
    call: Caller, period: SnapshotPeriod, region: RegionKey, amendment: AmendmentNumber
) -> Response:
    """Return a correction of a frozen quarter, complete and immutable, with its reason."""
    return _answer_snapshot(call, region, period, amendment)


@router.get("/{period}/{region}/history", response_model=Page[HistoryEntry])
def list_snapshot_history(
    call: Caller, period: SnapshotPeriod, region: RegionKey, query: History
) -> Response:
    """List the freezing of a quarter and of each correction, with time, actor, reason and hash."""
    chain = format_plan_chain(f"{region}-{period[:4]}")
    return answer_history(call, chain, f"snapshots/{period}/{region}", query)


def _answer_snapshot(call: RequestContext, region: str, period: str, amendment: int) -> Response:
    key = queries.find_snapshot(call.session, call.actor, region, period, amendment)
    tag = f'"{key.sha256}"'
    headers = {"ETag": tag, "Cache-Control": IMMUTABLE, "Vary": VARY}
    if is_unchanged(call.request, tag):
        return Response(status_code=304, headers=headers)
    headers["Repr-Digest"] = format_digest(key.sha256)
    headers["Link"] = f'</v1/snapshots/{key.period}/{key.region_code}/amendments>; rel="version-history"'
    return Response(queries.read_content(call.session, key), headers=headers, media_type="application/json")
