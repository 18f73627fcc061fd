"""`rata deliver`: turns what is new in the feed into hints and sends them. Any number of workers may run.

Nothing is queued when something is written: the journal itself is the outbox, and each webhook remembers up to where it
was looked at. A worker takes a webhook for a minute (its lease), and in that very transaction makes the hint that it is
going to send. Killed at any moment it leaves either nothing or a pending delivery, which another worker sends under the
same id once the lease is over.
"""

import secrets as random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from opentelemetry.trace import Tracer
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from app.changes.queries import Watch, end_of_feed, passed
from app.changes.rules import cursor_of
from app.changes.webhooks.commands import entry
from app.changes.webhooks.queries import (
    PendingDelivery,
    StoredWebhook,
    deliveries,
    due_webhooks,
    is_free,
    pending_delivery,
    sealed_secrets,
    stored_webhook,
    webhooks,
)
from app.changes.webhooks.rules import (
    GONE,
    DeliveryState,
    DisabledReason,
    Hint,
    Outcome,
    Sealer,
    WebhookState,
    delay_after,
    signed_headers,
    webhook_chain,
)
from app.changes.webhooks.sending import Sender
from app.kit.database.engine import Database
from app.kit.database.journal import Author, hold, record
from app.kit.problems import Busy
from app.kit.spans import step

log = structlog.get_logger("rata")

LEASE = timedelta(seconds=60)
"""For how long a worker that is not heard of keeps a webhook: longer than any attempt takes."""
KEPT = timedelta(days=30)
"""How long the log keeps what is over."""
PAUSE = 2.0
"""Seconds between two looks where nothing was due."""
THREADS = 8
"""Webhooks that a worker sends to at the same time: one that is slow keeps few waiting."""
ACTOR = "deliver"
"""Who the journal says switched a webhook off."""


class Job(NamedTuple):
    """What a worker holds: a delivery that is to be sent now."""

    webhook: int
    name: str
    address: str
    hint: Hint
    attempts: int
    secrets: list[str]
    worker: str
    """Name of the worker that leases the webhook."""


class Worker:
    """One worker; `now` and `luck` (from 0 to 1) are given by tests."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        sender: Sender,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        luck: Callable[[], float] = lambda: random.randbelow(1000) / 1000,
        threads: int = THREADS,
        tracer: Tracer | None = None,
    ) -> None:
        self._database, self._sealer, self._sender = database, sealer, sender
        self._now, self._luck, self._threads = now, luck, threads
        self._name, self._tracer = random.token_hex(16), tracer

    def run(self, stopped: threading.Event) -> None:
        """Work until told to stop; what is being sent is finished first. A database that is away is waited for."""
        while not stopped.is_set():
            try:
                sent = self.round()
            except (SQLAlchemyError, Busy) as error:
                log.warning("webhooks_wait", reason=type(error).__name__)
                sent = 0
            if not sent:
                stopped.wait(PAUSE)

    def until_idle(self) -> int:
        """Send all that is due, and give how many attempts that took: for a cron line."""
        total = 0
        while sent := self.round():
            total += sent
        return total

    def round(self) -> int:
        """One attempt for each webhook that has something due; how many there were."""
        with self._database.read_session() as session:
            due = due_webhooks(session, self._now())
        if self._threads == 1 or len(due) < 2:
            return sum(map(self._serve, due))
        with ThreadPoolExecutor(min(self._threads, len(due)), "deliver") as pool:
            return sum(pool.map(self._serve, due))

    def _serve(self, webhook: int) -> bool:
        """Whether something was sent to it, arrived or not. What goes wrong with one is no other's business."""
        try:
            with step("serve webhook", self._tracer):
                return self._send(webhook)
        except Exception as error:
            log.error("webhook_not_served", webhook=webhook, exc_info=error)
            return False

    def _send(self, webhook: int) -> bool:
        with self._database.writing() as session:
            job = take(session, webhook, self._now(), self._name)
        if job is None:
            return False
        secrets = [self._sealer.opened(one) for one in job.secrets]
        live = [secret for secret in secrets if secret is not None]
        if not live:
            # No fault of the receiver: it waits, by the lease, for the operator to mend the keys.
            log.error("webhook_secret_sealed_by_another_key", webhook=job.name)
            return False
        at = self._now()
        with step("send hint", self._tracer) as span:
            outcome = self._sender.post(job.address, signed_headers(job.hint, live, at), job.hint.body)
            if outcome.status is not None:
                span.set_attribute("http.response.status_code", outcome.status)
            if outcome.failure is not None:
                span.set_attribute("error.type", outcome.failure)
        log.info(
            "webhook_attempt",
            webhook=job.name,
            delivery=job.hint.id,
            status=outcome.status,
            error=outcome.failure,
            ms=outcome.milliseconds,
        )
        with self._database.writing() as session:
            settle(session, job, outcome, at=at, now=self._now(), luck=self._luck())
        return True


def take(session: Session, webhook: int, now: datetime, worker: str) -> Job | None:
    """Lease a webhook and give what is to be sent to it, made here where it is new; None: nothing, or not ours."""
    c = webhooks.c
    leased = (
        sa.update(webhooks)
        .where(c.id == webhook, is_free(now))
        .values(leased_until=now + LEASE, leased_by=worker)
        .returning(c.id)
    )
    if session.execute(leased).one_or_none() is None:
        return None
    stored = stored_webhook(session, c.id == webhook, now)
    if stored is None or stored.watch is None or stored.state != WebhookState.active:
        _release(session, webhook, worker)
        return None
    row = pending_delivery(session, webhook)
    if row is not None and row.next_attempt_at <= now and not _still_told(session, stored.watch, row):
        _withdraw(session, stored, row)
        row = None
    if row is None:
        row = _look(session, stored, stored.watch, now)
    if row is None or row.next_attempt_at > now:
        _release(session, webhook, worker)
        return None
    hint = row.make_hint(stored.row["region_code"])
    sealed = sealed_secrets(session, webhook)
    return Job(webhook, stored.row["name"], stored.row["address"], hint, row.attempts, sealed, worker)


def _release(session: Session, webhook: int, worker: str) -> bool:
    """Whether the webhook was still this worker's."""
    c = webhooks.c
    free = sa.update(webhooks).where(c.id == webhook, c.leased_by == worker)
    freed = session.execute(free.values(leased_until=None, leased_by=None).returning(c.id))
    return freed.one_or_none() is not None


def _look(session: Session, webhook: StoredWebhook, watch: Watch, now: datetime) -> PendingDelivery | None:
    """A delivery of everything new; None where there is nothing that the owner may know of."""
    row, end = webhook.row, end_of_feed(session)
    new = passed(session, watch, after=row["seen"], until=end)
    moved: dict[str, object] = {"seen": end}
    made: PendingDelivery | None = None
    if new.last is not None:
        made = PendingDelivery(
            id=f"msg_{random.token_hex(12)}",
            webhook_id=row["id"],
            created_at=now,
            attempts=0,
            next_attempt_at=now,
            after=cursor_of(webhook.place, watch.filters),
            next=cursor_of(new.last, watch.filters),
            count=new.total,
            kinds=new.kinds,
            first=row["seen"],
            last=end,
            place=row["place"],
        )
        session.execute(sa.insert(deliveries).values(**asdict(made), state=DeliveryState.pending))
        moved["place"] = list(new.last)
    session.execute(sa.update(webhooks).where(webhooks.c.id == row["id"]).values(**moved))
    return made


def _still_told(session: Session, watch: Watch, row: PendingDelivery) -> bool:
    """Whether the owner may still know of all that a delivery tells of."""
    return passed(session, watch, after=row.first, until=row.last).total >= row.count


def _withdraw(session: Session, webhook: StoredWebhook, row: PendingDelivery) -> None:
    """Take a delivery back, and look anew at what it was made of."""
    over = {"state": DeliveryState.withdrawn, "next_attempt_at": None}
    session.execute(sa.update(deliveries).where(deliveries.c.id == row.id).values(**over))
    if webhook.row["seen"] > row.first:
        webhook.row.update(seen=row.first, place=row.place)
    _look_back(session, row.webhook_id, row.first, row.place)


def _look_back(session: Session, webhook: int, first: int, place: list[object]) -> None:
    """Have a webhook look again at what a delivery was made of, which did not arrive."""
    c = webhooks.c
    back = sa.update(webhooks).where(c.id == webhook, c.seen > first)
    session.execute(back.values(seen=first, place=place))


def settle(session: Session, job: Job, outcome: Outcome, *, at: datetime, now: datetime, luck: float) -> None:
    """Write down what came of an attempt and give the webhook back; nothing where it is another worker's by now."""
    attempts = job.attempts + 1
    delay = delay_after(attempts, luck)
    is_over = outcome.failure is not None and (outcome.status == GONE or delay is None)
    # The chain comes before the row, as in every write.
    chain = hold(session, webhook_chain(job.name)) if is_over else None
    if not _release(session, job.webhook, job.worker):
        return
    said: dict[str, object] = {
        "attempts": attempts,
        "attempted_at": at,
        "status": outcome.status,
        "duration_ms": outcome.milliseconds,
        "error": outcome.failure,
        "next_attempt_at": None,
    }
    if outcome.failure is None:
        said["state"] = DeliveryState.delivered
    elif is_over:
        said["state"] = DeliveryState.failed
    elif delay is not None:
        said["next_attempt_at"] = now + delay
    c = deliveries.c
    session.execute(sa.update(deliveries).where(c.id == job.hint.id).values(**said))
    old = sa.delete(deliveries).where(
        c.webhook_id == job.webhook, c.state != DeliveryState.pending, c.created_at < now - KEPT
    )
    session.execute(old)
    stored = stored_webhook(session, webhooks.c.id == job.webhook, now) if chain else None
    if chain is None or stored is None:
        return
    first, place = session.execute(sa.select(c.first, c.place).where(c.id == job.hint.id)).one()
    _look_back(session, job.webhook, first, place)
    reason = DisabledReason.gone if outcome.status == GONE else DisabledReason.exhausted
    changed = {"is_active": False, "disabled_reason": reason, "disabled_at": now, "updated_at": now}
    changed["version"] = stored.version + 1
    session.execute(sa.update(webhooks).where(webhooks.c.id == job.webhook).values(**changed))
    why = f"{job.hint.id}: {outcome.status or outcome.failure}, {attempts}×"
    done = entry("disabled", stored.row, {**stored.row, **changed}, why)
    record(session, chain, Author(ACTOR, now), [done])
