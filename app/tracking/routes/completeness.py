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
    """Who has not reported yet: every province, regency and city that the caller sees in a region and below it,
    with the lines expected, reported and missing, where its quarter stands, and by how many days it is late;
    `by=agency` adds the agencies of each. Regions without a plan are there too, with `plan` null.

    Semester and year are the quarter they end with. The reply changes with the days as well as with the data: a
    deadline that passes gives it another entity tag.
    """
    body = queries.read_completeness(call.session, call.actor, query, call.now)
    return answer(call.request, body.encode())


@router.get("/missing", response_model=Page[MissingLine])
def list_missing_lines(call: Caller, query: FromQuery[MissingQuery]) -> Response:
    """The lines without a report of the period's last quarter: whose they are, and by how many days they are late.

    `accepted=false` leaves out those that a submission has accepted as missing: what is left is still awaited.
    """
    listing = queries.list_missing(call.actor, query, call.now)
    return call.answer_list(listing, query, sort=query.sort)
