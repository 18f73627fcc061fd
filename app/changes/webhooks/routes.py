"""Routes of webhooks, their secrets and their log."""

from fastapi import Response

from app.access.actor import Caller, RequestContext
from app.changes.history import History, answer_history
from app.changes.models import HistoryEntry
from app.changes.webhooks import commands, queries
from app.changes.webhooks.models import (
    DeliveryOut,
    DeliveryQuery,
    ReplayIn,
    SecretKey,
    WebhookIn,
    WebhookKey,
    WebhookOut,
    WebhookQuery,
    WebhookReply,
    WebhookSecretIn,
    WebhookSecretOut,
    WebhookSecretQuery,
    WebhookSecretReply,
)
from app.changes.webhooks.rules import (
    WEBHOOK_VERBS,
    create_sealer,
    format_webhook_chain,
    format_webhook_subject,
)
from app.kit.http.etags import make_etag
from app.kit.http.pagination import Page, read_page
from app.kit.http.replies import (
    answer,
    answer_no_content,
    answer_page,
    answer_resource,
    append_fields,
    declare_created,
)
from app.kit.http.routing import FromQuery, make_router
from app.settings import Settings

router = make_router(tags=["changes"])


@router.get("/webhooks", response_model=Page[WebhookOut])
def list_webhooks(call: Caller, query: FromQuery[WebhookQuery]) -> Response:
    """The webhooks of the regions that the caller administers, with their states.

    For administrators whose token has the scope `administer`; nobody else finds any.
    """
    listing = queries.list_webhooks(call.actor, query, call.now)
    return call.answer_list(listing, query, sort=query.sort)


@router.get("/webhooks/{webhook}", response_model=WebhookReply)
def read_webhook(call: Caller, webhook: WebhookKey) -> Response:
    """One webhook; 404 unless the caller administers its region."""
    return _webhook_reply(call, webhook)


@router.put("/webhooks/{webhook}", response_model=WebhookReply, responses=declare_created(WebhookReply))
def put_webhook(call: Caller, webhook: WebhookKey, content: WebhookIn) -> Response:
    """Register a receiver that is told when the feed has something new, or change one.

    It is told that there is something behind a cursor, never what: a signed POST (Standard Webhooks) that the
    receiver answers with 2xx, at least once for each change, in their order. It sees what its owner, who created it,
    may read at the moment of sending. Nothing is sent before it has a secret. A webhook that was switched off goes on
    where it was, with one hint for all since. 422 where nothing is ever sent to such an address; 503 where the operator
    has set up no key for secrets.
    """
    settings: Settings = call.request.app.state.settings
    create_sealer(settings)
    is_new = commands.put_webhook(
        call.write, webhook, content, allow_loopback=settings.webhooks_allow_loopback
    )
    return _webhook_reply(call, webhook, status=201 if is_new else 200)


@router.delete("/webhooks/{webhook}", status_code=204)
def delete_webhook(call: Caller, webhook: WebhookKey) -> Response:
    """Delete a webhook with its secrets and its log; nothing more is sent, the history stays."""
    commands.delete_webhook(call.write, webhook)
    return answer_no_content()


@router.get("/webhooks/{webhook}/history", response_model=Page[HistoryEntry])
def list_webhook_history(call: Caller, webhook: WebhookKey, query: History) -> Response:
    """Every write to a webhook and its secrets, and when the service switched it off; stays after it was deleted."""
    return answer_history(call, format_webhook_chain(webhook), format_webhook_subject(webhook), query)


def _webhook_reply(call: RequestContext, name: str, *, status: int = 200) -> Response:
    text, version = queries.read_webhook_text(call.session, call.actor, name, call.now)
    return answer_resource(
        call.request, text, version, format_webhook_subject(name), status=status, allowed=WEBHOOK_VERBS
    )


# Secrets


@router.get("/webhooks/{webhook}/secrets", response_model=Page[WebhookSecretOut])
def list_webhook_secrets(call: Caller, webhook: WebhookKey, query: FromQuery[WebhookSecretQuery]) -> Response:
    """The secrets by which a webhook's hints are signed now, without themselves."""
    owner = queries.find_webhook_id(call.session, call.actor, webhook)
    body = read_page(call.session, call.request, queries.list_secrets(owner), query, sort=query.sort)
    return answer_page(call.request, body)


@router.get("/webhooks/{webhook}/secrets/{secret}", response_model=WebhookSecretReply)
def read_webhook_secret(call: Caller, webhook: WebhookKey, secret: SecretKey) -> Response:
    """What is said of one secret, without itself."""
    return _secret_reply(call, webhook, secret)


@router.put(
    "/webhooks/{webhook}/secrets/{secret}",
    response_model=WebhookSecretReply,
    responses=declare_created(WebhookSecretReply),
)
def put_webhook_secret(
    call: Caller, webhook: WebhookKey, secret: SecretKey, content: WebhookSecretIn
) -> Response:
    """Create a secret that signs from the next attempt on, or change what is said of one.

    The reply that creates it (201) has the `secret` (`whsec_…`); it is shown this once. Where that reply was lost,
    delete it and create another. Every hint is signed by each secret there is: rotate by creating the next one, giving
    it to the receiver, and deleting the old one. 409 where there are three already.
    """
    shown = commands.put_secret(
        call.write,
        webhook,
        secret,
        content,
        sealer=create_sealer(call.request.app.state.settings),
    )
    if shown is None:
        return _secret_reply(call, webhook, secret)
    return _secret_reply(call, webhook, secret, shown=None if call.unit.dry_run else shown, status=201)


@router.delete("/webhooks/{webhook}/secrets/{secret}", status_code=204)
def delete_webhook_secret(call: Caller, webhook: WebhookKey, secret: SecretKey) -> Response:
    """Delete a secret: it signs nothing from the next attempt on. Without any left nothing is sent."""
    commands.delete_secret(call.write, webhook, secret)
    return answer_no_content()


def _secret_reply(
    call: RequestContext, webhook: str, name: str, *, shown: str | None = None, status: int = 200
) -> Response:
    owner = queries.find_webhook_id(call.session, call.actor, webhook)
    text, version = queries.read_secret_text(call.session, owner, name)
    # The ETag of the body without the secret, which a later GET returns.
    tag = make_etag(text.encode(), version=version)
    body = append_fields(text, secret=shown) if shown else text.encode()
    location = f"/v1/{format_webhook_subject(webhook, name)}" if status == 201 else None
    response = answer(call.request, body, status=status, tag=tag, location=location)
    if shown:
        response.headers["Cache-Control"] = "no-store"
    return response


# Deliveries


@router.get("/webhooks/{webhook}/deliveries", response_model=Page[DeliveryOut])
def list_webhook_deliveries(call: Caller, webhook: WebhookKey, query: FromQuery[DeliveryQuery]) -> Response:
    """What was sent and what will be, the newest first: how often it was tried, what came of it, what follows.

    What is over is kept for 30 days. One delivery is under way at a time; what changes meanwhile is in the next.
    """
    owner = queries.find_webhook_id(call.session, call.actor, webhook)
    body = read_page(
        call.session, call.request, queries.list_deliveries(owner, query), query, sort=query.sort
    )
    return answer_page(call.request, body)


@router.post("/webhooks/{webhook}/replay", response_model=WebhookReply)
def replay_webhook(call: Caller, webhook: WebhookKey, content: ReplayIn) -> Response:
    """Send again: one delivery under its own id, or a hint of everything behind a cursor of the feed.

    What is waiting for its next attempt is sent at once. Asking twice before it is sent does nothing more.
    """
    commands.replay_delivery(call.write, webhook, content)
    return _webhook_reply(call, webhook)
