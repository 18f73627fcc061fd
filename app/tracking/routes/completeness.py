"""Routes of completeness."""

from fastapi import Response

from app.access.actor import Caller
from app.kit.http.pagination import Page
from app.kit.http.replies import answer
from app.kit.http.routing import FromQuery, make_router
from app.tracking.completeness import queries
from app.tracking.completeness.models import CompletenessReply, MissingLine
from app.tracking.completeness.queries import CompletenessQuery, MissingQuery

router = make_router(prefix="/completeness", tags=["tracking"])


@router.get("", response_model=CompletenessReply, openapi_extra={"x-problems": [404]})
def read_completeness(call: Caller, query: FromQuery[CompletenessQuery]) -> Response:
    """Return the completeness of the visible provinces, regencies and cities in a region and below it: lines
    expected, reported and missing, state of the quarter and days late.

    `by=agency` adds the agencies of each. Regions without a plan have `plan` null. The last quarter of a semester or
    year decides. A deadline that passes changes the reply and its entity tag.
    """
    body = queries.read_completeness(call.session, call.actor, query, call.now)
    return answer(call.request, body.encode())


@router.get("/missing", response_model=Page[MissingLine])
def list_missing_lines(call: Caller, query: FromQuery[MissingQuery]) -> Response:
    """List the lines without a report of the period's last quarter, with their agencies and days late.

    `accepted=false` omits those that a submission has accepted as missing.
    """
    listing = queries.list_missing(call.actor, query, call.now)
    return call.answer_list(listing, query, sort=query.sort)
