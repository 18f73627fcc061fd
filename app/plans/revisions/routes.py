"""What was adopted, over HTTP: immutable, and cacheable for ever."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Query, Request, Response

from app.access.actor import Call, Caller, recognised
from app.changes.rules import SOURCES
from app.kit.etags import VARY, digest_field, is_unchanged, tag_of
from app.kit.pages import Page, read_page
from app.kit.public import PUBLIC
from app.kit.requests import answer_page, house_router, revalidated
from app.plans.models import PlanKey
from app.plans.queries import published_plan_of
from app.plans.revisions import queries
from app.plans.revisions.models import RevisionContent, RevisionNumber, RevisionOut
from app.plans.revisions.queries import RevisionsQuery

router = house_router(prefix="/plans/{plan}/revisions", tags=["plans"])
SOURCES.append("/v1/plans/{plan}/revisions")

FOR_EVER = "private, max-age=31536000, immutable"


def _tag_in(call: Call, plan: sa.Row[Any]) -> str:
    """Tag of a list that only an adoption changes: that somebody drafts or reports must not show in it."""
    return tag_of(call.request.url, call.actor.fingerprint, plan.revision)


def _revisions_tag(request: Request) -> str:
    """The same for a request whose parameters nobody has read yet."""
    call = recognised(request)
    return _tag_in(call, published_plan_of(call.session, call.actor, request.path_params["plan"]))


@router.get("", response_model=Page[RevisionOut], openapi_extra=PUBLIC)
@revalidated(_revisions_tag)
def list_revisions(call: Caller, plan: PlanKey, query: Annotated[RevisionsQuery, Query()]) -> Response:
    """Every revision in which the plan was adopted: by what instrument, when, how much, with its SHA-256."""
    row = published_plan_of(call.session, call.actor, plan)
    listing = queries.list_revisions(call.actor, row)
    body = read_page(call.session, call.request, listing, query, sort=query.sort)
    return answer_page(call.request, body, tag=_tag_in(call, row))


@router.get(
    "/{revision}",
    response_model=RevisionContent,
    responses={200: {"headers": {"Repr-Digest": {}}}},
    openapi_extra=PUBLIC,
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
