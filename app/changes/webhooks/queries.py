"""Queries of webhooks, their secrets and their log, for administrators, commands and workers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import ColumnElement, Select
from sqlmodel import Session

from app.access.models import Principal
from app.access.queries import can_read, can_see_region, find_reader, is_in_region
from app.access.rules import Actor
from app.changes.queries import FeedFilter
from app.changes.rules import FeedPosition
from app.changes.webhooks.models import (
    DeliveryOut,
    DeliveryQuery,
    WebhookDeliveryRow,
    WebhookOut,
    WebhookQuery,
    WebhookRow,
    WebhookSecretOut,
    WebhookSecretRow,
)
from app.changes.webhooks.rules import DeliveryState, Hint, WebhookState
from app.kit.database.engine import get_table
from app.kit.database.journal import FEED, JournalHead
from app.kit.database.json_sql import select_fields
from app.kit.database.resources import ResourceText, read_text
from app.kit.http.pagination import Listing, match_values
from app.kit.problems import require_found

webhooks, secrets = get_table(WebhookRow), get_table(WebhookSecretRow)
deliveries = get_table(WebhookDeliveryRow)
_principals, _heads = get_table(Principal), get_table(JournalHead)
_w, _d = webhooks.c, deliveries.c
_OWNER = sa.select(_principals.c.name).where(_principals.c.id == _w.principal_id).scalar_subquery()


# For administrators


def build_state(now: datetime) -> ColumnElement[str]:
    """Return the state of each webhook at an instant (`WebhookState`), as a column."""
    is_signed = sa.exists().where(secrets.c.webhook_id == _w.id)
    return sa.case(
        (sa.and_(_w.is_active.is_(False), _w.disabled_reason.is_not(None)), WebhookState.disabled.value),
        (_w.is_active.is_(False), WebhookState.inactive.value),
        (sa.not_(can_read(_w.principal_id, _w.region_code, now)), WebhookState.no_owner.value),
        (sa.not_(is_signed), WebhookState.no_secret.value),
        else_=WebhookState.active.value,
    )


def _select_webhooks(actor: Actor, now: datetime) -> Select[Any]:
    columns = select_fields(WebhookOut, webhooks, owner=_OWNER, state=build_state(now))
    return sa.select(*columns).where(can_see_region(actor, _w.region_code, "write_webhooks"))


def list_webhooks(actor: Actor, query: WebhookQuery, now: datetime) -> Listing:
    """Return the webhooks that the actor may write."""
    statement = _select_webhooks(actor, now).where(is_in_region(_w.region_code, query.region))
    return Listing(statement, {"name": _w.name}, {"name": _w.name})


def read_webhook_text(session: Session, actor: Actor, name: str, now: datetime) -> ResourceText:
    """Return a webhook as `WebhookOut`. Raises NotFound if it does not exist or the actor may not write it."""
    return read_text(session, _select_webhooks(actor, now).where(_w.name == name))


def find_webhook_id(session: Session, actor: Actor, name: str) -> int:
    """Return the row id of a webhook. Raises NotFound if the actor sees none of that name."""
    is_visible = can_see_region(actor, _w.region_code, "write_webhooks")
    return int(require_found(session.scalar(sa.select(_w.id).where(_w.name == name, is_visible))))


def list_secrets(webhook: int) -> Listing:
    """Return the secrets of a webhook, by name and note alone."""
    statement = sa.select(*select_fields(WebhookSecretOut, secrets)).where(secrets.c.webhook_id == webhook)
    return Listing(statement, {"name": secrets.c.name}, {"name": secrets.c.name})


def read_secret_text(session: Session, webhook: int, name: str) -> ResourceText:
    """Return a secret as `WebhookSecretOut`. Raises NotFound if the webhook has none of that name."""
    c = secrets.c
    statement = sa.select(*select_fields(WebhookSecretOut, secrets))
    return read_text(session, statement.where(c.webhook_id == webhook, c.name == name))


def list_deliveries(webhook: int, query: DeliveryQuery) -> Listing:
    """Return the deliveries of a webhook."""
    conditions = match_values((_d.webhook_id, webhook), (_d.state, query.state))
    statement = sa.select(*select_fields(DeliveryOut, deliveries)).where(*conditions)
    return Listing(statement, {"created_at": _d.created_at}, {"id": _d.id})


# For commands and workers


class StoredWebhook(NamedTuple):
    """A webhook's row with its state and its feed; `watch` is None if its owner is gone."""

    row: dict[str, Any]
    state: WebhookState
    is_owned: bool
    """True if its owner can read something of its region now."""
    watch: FeedFilter | None

    @property
    def id(self) -> int:
        return int(self.row["id"])

    @property
    def version(self) -> int:
        return int(self.row["version"])

    @property
    def place(self) -> FeedPosition:
        return FeedPosition(*self.row["place"])


def find_webhook(session: Session, condition: ColumnElement[bool], now: datetime) -> StoredWebhook | None:
    """Return the webhook that meets a condition, without a check of rights. Returns None if there is none."""
    is_owned = can_read(_w.principal_id, _w.region_code, now).label("is_owned")
    columns = (webhooks, _OWNER.label("owner"), build_state(now).label("state"), is_owned)
    result = session.execute(sa.select(*columns).where(condition)).one_or_none()
    if result is None:
        return None
    row = dict(result._mapping)
    state, owned, id = WebhookState(row.pop("state")), bool(row.pop("is_owned")), row["principal_id"]
    actor = find_reader(session, id) if id is not None else None
    watch = make_filter(actor, row["region_code"], row["kinds"]) if actor else None
    return StoredWebhook(row, state, owned, watch)


def make_filter(actor: Actor, region: str, kinds: list[str]) -> FeedFilter:
    """Return the feed of a webhook with that owner, which has `plan` for the webhook's kind `plan.*`."""
    return FeedFilter(actor, region, [kind.removesuffix(".*") for kind in kinds])


def list_due_webhooks(session: Session, now: datetime) -> list[int]:
    """Return the active, free webhooks that have a due delivery, or new entries in the feed and none pending."""
    end = sa.select(_heads.c.position).where(_heads.c.chain == FEED).scalar_subquery()
    waits = sa.exists().where(_d.webhook_id == _w.id, _d.state == DeliveryState.pending)
    is_due = sa.exists().where(
        _d.webhook_id == _w.id, _d.state == DeliveryState.pending, _d.next_attempt_at <= now
    )
    has_work = sa.or_(is_due, sa.and_(sa.not_(waits), _w.seen < end))
    statement = sa.select(_w.id).where(
        _w.is_active, has_work, is_free(now), build_state(now) == WebhookState.active.value
    )
    return list(session.scalars(statement.order_by(_w.id)))


def is_free(now: datetime) -> ColumnElement[bool]:
    """Return the predicate: no worker has a lease on the webhook, or the lease has expired."""
    return sa.or_(_w.leased_until.is_(None), _w.leased_until <= now)


@dataclass(frozen=True)
class PendingDelivery:
    """A delivery that waits for its next attempt."""

    id: str
    webhook_id: int
    created_at: datetime
    attempts: int
    next_attempt_at: datetime
    after: str
    next: str
    count: int
    kinds: list[str]
    first: int
    last: int
    place: list[object]

    def make_hint(self, region: str) -> Hint:
        """Return the content for the receiver."""
        return Hint(self.id, self.created_at, self.after, self.next, region, self.kinds, self.count)


def find_pending_delivery(session: Session, webhook: int) -> PendingDelivery | None:
    """Return the pending delivery that is due first. Returns None if none is pending."""
    columns = [_d[name] for name in PendingDelivery.__dataclass_fields__]
    pending = sa.select(*columns).where(_d.webhook_id == webhook, _d.state == DeliveryState.pending)
    row = session.execute(pending.order_by(_d.next_attempt_at, _d.id).limit(1)).one_or_none()
    return PendingDelivery(*row) if row else None


def list_sealed_secrets(session: Session, webhook: int) -> list[str]:
    """Return the encrypted secrets of a webhook, the newest first."""
    c = secrets.c
    return list(session.scalars(sa.select(c.sealed).where(c.webhook_id == webhook).order_by(c.id.desc())))
