"""Routes of the feed and of a principal's history."""

from fastapi import Response

from app.access.actor import Caller
from app.access.models import PrincipalKey
from app.access.rules import principal_chain, principal_subject
from app.changes.history import History, history_page
from app.changes.models import ChangePage, ChangesQuery, HistoryEntry
from app.changes.queries import feed
from app.kit.database.json_sql import to_json
from app.kit.http.pagination import Page
from app.kit.http.replies import answer
from app.kit.http.routing import FromQuery, house_router

router = house_router(tags=["changes"])


@router.get("/changes", response_model=ChangePage, openapi_extra={"x-problems": [410]})
def list_changes(call: Caller, query: FromQuery[ChangesQuery]) -> Response:
    """What changed since a cursor, in the order of commits: the way to keep a copy true.

    Every change that the token may see comes at least once, deletions included; no later page brings an earlier
    one. `next` is always there, on the last page too: keep it, and ask again with it; 304 where
    nothing is new. 410 where the feed no longer has everything since the cursor, with what to read again.
    """
    days = call.request.app.state.settings.journal_retention_days
    page = feed(call.session, call.actor, query, days=days, now=call.now)
    body = f'{{"items":[{",".join(page.items)}],"next":{to_json(page.next)},"more":{to_json(page.more)}}}'
    response = answer(call.request, body.encode())
    if page.more and response.status_code == 200:
        response.headers["Link"] = f'<{call.request.url.include_query_params(after=page.next)}>; rel="next"'
    return response


@router.get("/principals/{principal}/history", response_model=Page[HistoryEntry])
def list_principal_history(call: Caller, principal: PrincipalKey, query: History) -> Response:
    """Every write to a principal, its memberships and its tokens: who, when, from what to what.

    For administrators of its home; stays after it was deleted. Of a person's identifier it shows a digest.
    """
    chain, subject = principal_chain(principal), principal_subject(principal)
    return history_page(call, chain, subject, query)
