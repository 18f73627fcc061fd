"""Replies of what is the same for every caller: a page of it, or one by its key."""

from fastapi import Response

from app.access.actor import Call
from app.kit.http.pagination import Listing, PageQuery, read_page
from app.kit.http.replies import answer, answer_page
from app.kit.problems import NotFound


def page_of(call: Call, listing: Listing, query: PageQuery, *, sort: str) -> Response:
    """A page of reference data."""
    return answer_page(call.request, read_page(call.session, call.request, listing, query, sort=sort))


def one_of(call: Call, found: str | None) -> Response:
    """A single piece of reference data; 404 where there is none."""
    if found is None:
        raise NotFound()
    return answer(call.request, found.encode())
