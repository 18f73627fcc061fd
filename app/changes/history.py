"""The response of a history route, for the areas that own the resources."""

from fastapi import Response

from app.access.actor import RequestContext
from app.changes.models import HistoryQuery
from app.changes.queries import select_history
from app.kit.http.routing import FromQuery

History = FromQuery[HistoryQuery]


def answer_history(call: RequestContext, chain: str, subject: str, query: History) -> Response:
    """Return a page of the history of a subject and of the addresses below it.

    Raises NotFound if the caller may see none of its entries.
    """
    listing = select_history(call.session, call.actor, chain, subject, query)
    return call.answer_list(listing, query, sort=query.sort)
