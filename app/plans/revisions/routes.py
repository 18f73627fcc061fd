"""What was adopted, over HTTP: immutable, and cacheable for ever."""

from typing import Annotated

from fastapi import Query, Response

from app.access.actor import Caller
from app.changes.rules import SOURCES
from app.kit.etags import VARY, digest_field, is_unchanged
from app.kit.pages import Page, read_page
from app.kit.requests import answer_page, house_router, revalidated
from app.plans.models import PlanKey
from app.plans.queries import plan_of
from app.plans.revisions import queries
from app.plans.revisions.models import RevisionContent, RevisionNumber, RevisionOut
from app.plans.revisions.queries import RevisionsQuery
from app.plans.routes import plan_tag, tag_in

router = house_router(prefix="/plans/{plan}/revisions", tags=["plans"])
SOURCES.append("/v1/plans/{plan}/revisions")

FOR_EVER = "private, max-age=31536000, immutable"


@router.get("", response_model=Page[RevisionOut])
@revalidated(plan_tag)
def list_revisions(call: Caller, plan: PlanKey, query: Annotated[RevisionsQuery, Query()]) -> Response:
    """Every revision in which the plan was adopted: by what instrument, when, how much, with its SHA-256."""
    row = plan_of(call.session, call.actor, plan)
    body = read_page(call.session, call.request, queries.list_revisions(row), query, sort=query.sort)
    return answer_page(call.request, body, tag=tag_in(call, row))


@router.get(
    "/{revision}",
    response_model=RevisionContent,
    responses={200: {"headers": {"Repr-Digest": {}}}},
)
def read_revision(call: Caller, plan: PlanKey, revision: RevisionNumber) -> Response:
    """The plan with all its actions as it was adopted, byte for byte, for ever.

    Canonical JSON (RFC 8785): a copy can be checked against `Repr-Digest` (RFC 9530), whose SHA-256 is also
    the entity tag. It is never sent compressed.
    """
    found = queries.revision_of(call.session, plan_of(call.session, call.actor, plan), revision)
    headers = {"ETag": f'"{found.sha256}"', "Cache-Control": FOR_EVER, "Vary": VARY}
    if is_unchanged(call.request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    headers["Repr-Digest"] = digest_field(found.sha256)
    return Response(found.content.encode(), headers=headers, media_type="application/json")
