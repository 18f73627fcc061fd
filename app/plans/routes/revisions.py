"""Routes of revisions, immutable and cacheable for ever, and of differences, also of an open amendment."""

from fastapi import Response

from app.access.actor import Caller
from app.kit.database.json_sql import dump_json
from app.kit.http.anonymous import PUBLIC
from app.kit.http.etags import IMMUTABLE, VARY, format_digest, is_unchanged, make_etag
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import answer, answer_page
from app.kit.http.routing import FromQuery, make_router
from app.kit.openapi.schemas import FROZEN
from app.kit.problems import require_found
from app.plans.amendments.queries import compute_amendment_differences, find_amendment
from app.plans.core.models import PlanKey
from app.plans.core.queries import find_published_plan
from app.plans.revisions import queries
from app.plans.revisions.differences.models import Differences
from app.plans.revisions.differences.queries import (
    DifferencesQuery,
    choose_sides,
    compute_revision_differences,
    read_revision_heads,
)
from app.plans.revisions.models import RevisionContent, RevisionNumber, RevisionOut
from app.plans.revisions.queries import RevisionsQuery

router = make_router(tags=["plans"])


@router.get("/plans/{plan}/revisions", response_model=Page[RevisionOut], openapi_extra=PUBLIC)
def list_revisions(call: Caller, plan: PlanKey, query: FromQuery[RevisionsQuery]) -> Response:
    """List the revisions of a plan: instrument, instant, allocation and SHA-256."""
    row = find_published_plan(call.session, call.actor, plan)
    listing = queries.list_revisions(call.actor, row)
    body = read_page(call.session, call.request, listing, query, sort=query.sort)
    # The tag is the hash of the bytes, not of the plan's chain: readers must not see that drafts or reports change.
    return answer_page(call.request, body)


@router.get(
    "/plans/{plan}/revisions/{revision}",
    response_model=RevisionContent,
    responses={200: {"headers": {"Repr-Digest": {}}}},
    openapi_extra={**PUBLIC, **FROZEN},
)
def read_revision(call: Caller, plan: PlanKey, revision: RevisionNumber) -> Response:
    """Return a revision: the plan with all its actions, with the bytes of its adoption for ever.

    The body is canonical JSON (RFC 8785), never compressed. `Repr-Digest` (RFC 9530) has its SHA-256, which is the ETag
    too.
    """
    row = find_published_plan(call.session, call.actor, plan)
    frozen = queries.find_revision(call.session, row, revision)
    headers = {"ETag": f'"{frozen.sha256}"', "Cache-Control": IMMUTABLE, "Vary": VARY}
    if is_unchanged(call.request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    headers["Repr-Digest"] = format_digest(frozen.sha256)
    return Response(frozen.content.encode(), headers=headers, media_type="application/json")


# Differences


@router.get(
    "/plans/{plan}/revisions/{revision}/differences", response_model=Differences, openapi_extra=PUBLIC
)
def read_revision_differences(
    call: Caller, plan: PlanKey, revision: RevisionNumber, query: FromQuery[DifferencesQuery]
) -> Response:
    """Return the changes of a revision by line and field, with reasons and sums.

    Items of lists match by their key: a postponed milestone is one change of its date. The reply has no pages, since a
    plan has about a thousand lines at most, and it never changes.
    """
    row = find_published_plan(call.session, call.actor, plan)
    known = read_revision_heads(call.session, row)
    number = require_found(next((number for number in known if str(number) == revision), None))
    before, after = choose_sides(known, number, query.since)
    tag = make_etag("differences", before and before.sha256, after.sha256)
    headers = {"ETag": tag, "Cache-Control": IMMUTABLE, "Vary": VARY}
    if is_unchanged(call.request, tag):
        return Response(status_code=304, headers=headers)
    differences = compute_revision_differences(call.session, row, before, after)
    return Response(dump_json(differences).encode(), headers=headers, media_type="application/json")


@router.get("/plans/{plan}/amendment/differences", response_model=Differences)
def read_amendment_differences(call: Caller, plan: PlanKey) -> Response:
    """Return the differences of the open amendment from the revision in force, like those of a revision."""
    amendment = find_amendment(call.session, call.actor, plan)
    differences = compute_amendment_differences(call.session, amendment)
    return answer(call.request, dump_json(differences).encode())
