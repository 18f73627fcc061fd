"""What was adopted, over HTTP: immutable, and cacheable for ever."""

from typing import Annotated

from fastapi import Query, Response

from app.access.actor import Caller
from app.kit.http.anonymous import PUBLIC
from app.kit.http.etags import FOR_EVER, VARY, digest_field, is_unchanged
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import answer_page
from app.kit.http.routing import house_router
from app.kit.openapi.schemas import FROZEN
from app.plans.core.models import PlanKey
from app.plans.core.queries import published_plan_of
from app.plans.revisions import queries
from app.plans.revisions.models import RevisionContent, RevisionNumber, RevisionOut
from app.plans.revisions.queries import RevisionsQuery

router = house_router(prefix="/plans/{plan}/revisions", tags=["plans"])


@router.get("", response_model=Page[RevisionOut], openapi_extra=PUBLIC)
def list_revisions(call: Caller, plan: PlanKey, query: Annotated[RevisionsQuery, Query()]) -> Response:
    """Every revision in which the plan was adopted: by what instrument, when, how much, with its SHA-256."""
    row = published_plan_of(call.session, call.actor, plan)
    listing = queries.list_revisions(call.actor, row)
    body = read_page(call.session, call.request, listing, query, sort=query.sort)
    # by its bytes, not the chain of the plan: that somebody drafts or reports must not show in the tag
    return answer_page(call.request, body)


@router.get(
    "/{revision}",
    response_model=RevisionContent,
    responses={200: {"headers": {"Repr-Digest": {}}}},
    openapi_extra={**PUBLIC, **FROZEN},
)
def read_revision(call: Caller, plan: PlanKey, revision: RevisionNumber) -> Response:
    """The plan with all its actions as it was adopted, byte for byte, for ever.

    Canonical JSON (RFC 8785): a copy can be checked against `Repr-Digest` (RFC 9530), whose SHA-256 is also
    the entity tag. It is never sent compressed.
    """
    row = published_plan_of(call.session, call.actor, plan)
    found = queries.revision_of(call.session, row, revision)
    headers = {"ETag": f'"{found.sha256}"', "Cache-Control": FOR_EVER, "Vary": VARY}
    if is_unchanged(call.request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    headers["Repr-Digest"] = digest_field(found.sha256)
    return Response(found.content.encode(), headers=headers, media_type="application/json")
