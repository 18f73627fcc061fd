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
    """Every revision in which the plan was adopted: by what instrument, when, how much, with its SHA-256."""
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
    """The plan with all its actions as it was adopted, byte for byte, for ever.

    Canonical JSON (RFC 8785): a copy can be checked against `Repr-Digest` (RFC 9530), whose SHA-256 is also
    the entity tag. It is never sent compressed.
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
    """What a revision changed: lines that came, went or changed, field by field, with the reasons and the sums.

    A list's item is known by its own key, so a milestone that was put off is one change of its date. Whole in one
    answer, since a plan has about a thousand lines at most; it never changes.
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
    """What the open amendment would change of the revision in force, in the same form."""
    amendment = find_amendment(call.session, call.actor, plan)
    differences = compute_amendment_differences(call.session, amendment)
    return answer(call.request, dump_json(differences).encode())
