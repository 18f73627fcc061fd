"""Routes of the feed and of a principal's history."""

from fastapi import Response

from app.access.actor import Caller
from app.access.models import PrincipalKey
from app.access.rules import format_principal_chain, format_principal_subject
from app.changes.history import History, answer_history
from app.changes.models import ChangePage, ChangesQuery, HistoryEntry
from app.changes.queries import read_feed
from app.kit.database.json_sql import dump_json
from app.kit.http.pagination import Page
from app.kit.http.replies import answer
from app.kit.http.routing import FromQuery, make_router

router = make_router(tags=["changes"])


@router.get("/changes", response_model=ChangePage, openapi_extra={"x-problems": [410]})
def list_changes(call: Caller, query: FromQuery[ChangesQuery]) -> Response:
    """List the changes since a cursor, in the order of commits, to keep a copy up to date.

    Every change that the token may see comes at least once, also deletions; no later page has an earlier change.
    `next` is always there, also on the last page: keep it, and send it with the next request. 304 if nothing is new.
    410 if the feed no longer has everything since the cursor, with the addresses to read again.
    """
    days = call.request.app.state.settings.journal_retention_days
    page = read_feed(call.session, call.actor, query, days=days, now=call.now)
    body = f'{{"items":[{",".join(page.items)}],"next":{dump_json(page.next)},"more":{dump_json(page.more)}}}'
    response = answer(call.request, body.encode())
    if page.more and response.status_code == 200:
        response.headers["Link"] = f'<{call.request.url.include_query_params(after=page.next)}>; rel="next"'
    return response


@router.get("/principals/{principal}/history", response_model=Page[HistoryEntry])
def list_principal_history(call: Caller, principal: PrincipalKey, query: History) -> Response:
    """List every write to a principal, its memberships and its tokens: position, time, old and new values.

    For administrators of its home. The history outlives the principal, and has a digest in place of a person's
    identifier.
    """
    chain, subject = format_principal_chain(principal), format_principal_subject(principal)
    return answer_history(call, chain, subject, query)
