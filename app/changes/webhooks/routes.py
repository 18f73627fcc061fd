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
    """List the webhooks of the regions that the caller administers, with their states.

    Only administrators with a token of scope `administer` see any.
    """
    listing = queries.list_webhooks(call.actor, query, call.now)
    return call.answer_list(listing, query, sort=query.sort)


@router.get("/webhooks/{webhook}", response_model=WebhookReply)
def read_webhook(call: Caller, webhook: WebhookKey) -> Response:
    """Return one webhook. 404 unless the caller administers its region."""
    return _webhook_reply(call, webhook)


@router.put("/webhooks/{webhook}", response_model=WebhookReply, responses=declare_created(WebhookReply))
def put_webhook(call: Caller, webhook: WebhookKey, content: WebhookIn) -> Response:
    """Register a receiver of hints about changes, or replace one.

    A hint is a signed POST (Standard Webhooks) with two cursors of the feed, never the changes between them. The
    receiver answers 2xx. Hints come at least once for each change, in their order, and cover the changes that the
    owner of the webhook, its creator, may read at the moment of sending. Without a secret the service sends nothing.
    A webhook that was switched off continues where it stopped, with one hint for all changes since. 422 for an
    address to which the service never sends; 503 without a key for secrets in the settings.
    """
    settings: Settings = call.request.app.state.settings
    create_sealer(settings)
    is_new = commands.put_webhook(
        call.write, webhook, content, allow_loopback=settings.webhooks_allow_loopback
    )
    return _webhook_reply(call, webhook, status=201 if is_new else 200)


@router.delete("/webhooks/{webhook}", status_code=204)
def delete_webhook(call: Caller, webhook: WebhookKey) -> Response:
    """Delete a webhook with its secrets and its log. The service sends it nothing more; the history stays."""
    commands.delete_webhook(call.write, webhook)
    return answer_no_content()


@router.get("/webhooks/{webhook}/history", response_model=Page[HistoryEntry])
def list_webhook_history(call: Caller, webhook: WebhookKey, query: History) -> Response:
    """List every write to a webhook and its secrets, and each time that the service disabled it.

    The history outlives the webhook.
    """
    return answer_history(call, format_webhook_chain(webhook), format_webhook_subject(webhook), query)


def _webhook_reply(call: RequestContext, name: str, *, status: int = 200) -> Response:
    text, version = queries.read_webhook_text(call.session, call.actor, name, call.now)
    return answer_resource(
        call.request, text, version, format_webhook_subject(name), status=status, allowed=WEBHOOK_VERBS
    )


# Secrets


@router.get("/webhooks/{webhook}/secrets", response_model=Page[WebhookSecretOut])
def list_webhook_secrets(call: Caller, webhook: WebhookKey, query: FromQuery[WebhookSecretQuery]) -> Response:
    """List the secrets that sign a webhook's hints now, without their values."""
    owner = queries.find_webhook_id(call.session, call.actor, webhook)
    body = read_page(call.session, call.request, queries.list_secrets(owner), query, sort=query.sort)
    return answer_page(call.request, body)


@router.get("/webhooks/{webhook}/secrets/{secret}", response_model=WebhookSecretReply)
def read_webhook_secret(call: Caller, webhook: WebhookKey, secret: SecretKey) -> Response:
    """Return one secret with its note, without its value."""
    return _secret_reply(call, webhook, secret)


@router.put(
    "/webhooks/{webhook}/secrets/{secret}",
    response_model=WebhookSecretReply,
    responses=declare_created(WebhookSecretReply),
)
def put_webhook_secret(
    call: Caller, webhook: WebhookKey, secret: SecretKey, content: WebhookSecretIn
) -> Response:
    """Create a secret that signs from the next attempt on, or change the note of one.

    Only the reply that creates it (201) has the `secret` (`whsec_…`). If that reply got lost, delete the secret and
    create another. Each secret signs every hint. To rotate, create the next secret, give it to the receiver, and
    delete the old one. 409 for a fourth secret.
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
    """Delete a secret: it signs nothing from the next attempt on. Without any secret the service sends nothing."""
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
    """List the deliveries, finished and pending, the newest first: attempts, outcome, next attempt.

    The log keeps finished deliveries for 30 days. One delivery is under way at a time; the next one covers the
    changes in the meantime.
    """
    owner = queries.find_webhook_id(call.session, call.actor, webhook)
    body = read_page(
        call.session, call.request, queries.list_deliveries(owner, query), query, sort=query.sort
    )
    return answer_page(call.request, body)


@router.post("/webhooks/{webhook}/replay", response_model=WebhookReply)
def replay_webhook(call: Caller, webhook: WebhookKey, content: ReplayIn) -> Response:
    """Send one delivery again under its own id, or a hint of all changes after a cursor of the feed.

    A delivery that waits for its next attempt becomes due at once. A second request before the attempt changes
    nothing.
    """
    commands.replay_delivery(call.write, webhook, content)
    return _webhook_reply(call, webhook)
