"""The page of a history, for the areas that own the addresses."""

from fastapi import Response

from app.access.actor import Call
from app.changes.models import HistoryQuery
from app.changes.queries import history
from app.kit.http.routing import FromQuery

History = FromQuery[HistoryQuery]


def history_page(call: Call, chain: str, subject: str, query: History) -> Response:
    """A page of the history of a subject and of what lies below it; 404 for whoever does not see it."""
    found = history(call.session, call.actor, chain, subject, query)
    return call.answer_list(found, query, sort=query.sort)
