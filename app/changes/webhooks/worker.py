"""`rata deliver`: workers that turn new entries of the feed into hints and send them. Any number of them may run.

The journal itself is the outbox, and each webhook stores its position in the feed (`seen`). In one transaction a
worker leases a webhook for a minute and creates the delivery that it is going to send. A worker that dies leaves either
nothing or a pending delivery, which another worker sends under the same id after the lease has expired.
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

from app.changes.queries import FeedFilter, count_entries, read_last_number
from app.changes.rules import encode_cursor
from app.changes.webhooks.commands import build_webhook_entry
from app.changes.webhooks.queries import (
    PendingDelivery,
    StoredWebhook,
    deliveries,
    find_pending_delivery,
    find_webhook,
    is_free,
    list_due_webhooks,
    list_sealed_secrets,
    webhooks,
)
from app.changes.webhooks.rules import (
    GONE,
    AttemptResult,
    DeliveryState,
    DisabledReason,
    Hint,
    Sealer,
    WebhookState,
    choose_delay,
    format_webhook_chain,
    sign_headers,
)
from app.changes.webhooks.sending import Sender
from app.kit.database.engine import Database
from app.kit.database.journal import Author, append, keep_order, lock_chain
from app.kit.problems import Busy
from app.kit.spans import open_span

log = structlog.get_logger("rata")

LEASE = timedelta(seconds=60)
"""Duration of a lease: longer than any attempt takes."""
LOG_DURATION = timedelta(days=30)
"""Age up to which the log keeps finished deliveries."""
PERIODIC: list[Callable[[Database, datetime], None]] = []
"""Hooks that run once a minute. `app.wiring` adds those of the areas above."""
PERIOD = timedelta(seconds=60)
PAUSE = 2.0
"""Seconds between two polls if nothing is due."""
THREADS = 8
"""Webhooks that a worker serves at the same time, so that a slow receiver delays few others."""
ACTOR = "deliver"
"""Actor in the journal when a worker disables a webhook."""


class Job(NamedTuple):
    """A delivery that a worker has leased and sends now."""

    webhook: int
    name: str
    address: str
    hint: Hint
    attempts: int
    secrets: list[str]
    worker: str
    """Name of the worker that leases the webhook."""


class Worker:
    """One worker. Tests replace `now` and `luck` (from 0 to 1)."""

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
        """Send until the event stops it, after the current round. If the database is away, wait and try again."""
        due = self._now()
        while not stopped.is_set():
            try:
                if self._now() >= due:
                    due = self._now() + PERIOD
                    self._run_hooks()
                sent = self.run_round()
            except (SQLAlchemyError, Busy) as error:
                log.warning("webhooks_wait", reason=type(error).__name__)
                sent = 0
            if not sent:
                stopped.wait(PAUSE)

    def send_all_due(self) -> int:
        """Send all due deliveries and return the number of attempts. For cron."""
        self._run_hooks()
        total = 0
        while sent := self.run_round():
            total += sent
        return total

    def _run_hooks(self) -> None:
        """Run the periodic hooks; log every error, so that the others run and deliveries go on."""
        for hook in PERIODIC:
            try:
                hook(self._database, self._now())
            except Exception as error:
                log.error("periodic_work_failed", hook=hook.__name__, exc_info=error)

    def run_round(self) -> int:
        """Make one attempt for each due webhook and return the number of attempts."""
        with self._database.read_session() as session:
            due = list_due_webhooks(session, self._now())
        if self._threads == 1 or len(due) < 2:
            return sum(map(self._serve, due))
        with ThreadPoolExecutor(min(self._threads, len(due)), "deliver") as pool:
            return sum(pool.map(self._serve, due))

    def _serve(self, webhook: int) -> bool:
        """Serve one webhook; return whether an attempt took place. Logs every error, so that others go on."""
        try:
            with open_span("serve webhook", self._tracer):
                return self._send(webhook)
        except Exception as error:
            log.error("webhook_not_served", webhook=webhook, exc_info=error)
            return False

    def _send(self, webhook: int) -> bool:
        with self._database.writing() as session:
            job = lease_webhook(session, webhook, self._now(), self._name)
        if job is None:
            return False
        secrets = [self._sealer.unseal(sealed) for sealed in job.secrets]
        live = [secret for secret in secrets if secret is not None]
        if not live:
            # Not the receiver's fault: the lease delays the retry until the operator has corrected the keys.
            log.error("webhook_secret_sealed_by_another_key", webhook=job.name)
            return False
        at = self._now()
        with open_span("send hint", self._tracer) as span:
            outcome = self._sender.post(job.address, sign_headers(job.hint, live, at), job.hint.body)
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
            store_outcome(session, job, outcome, at=at, now=self._now(), luck=self._luck())
        return True


def lease_webhook(session: Session, webhook: int, now: datetime, worker: str) -> Job | None:
    """Lease a webhook and return its due delivery, created here if the feed has new entries.

    Returns None if nothing is due or another worker has the lease.
    """
    c = webhooks.c
    lease = (
        sa.update(webhooks)
        .where(c.id == webhook, is_free(now))
        .values(leased_until=now + LEASE, leased_by=worker)
        .returning(c.id)
    )
    if session.execute(lease).one_or_none() is None:
        return None
    stored = find_webhook(session, c.id == webhook, now)
    if stored is None or stored.watch is None or stored.state != WebhookState.active:
        _release(session, webhook, worker)
        return None
    row = find_pending_delivery(session, webhook)
    if row is not None and row.next_attempt_at <= now:
        visible = count_entries(session, stored.watch, after=row.first, until=row.last).total
        if visible < row.count:
            _withdraw(session, stored, row)
            row = None
    if row is None:
        row = _create_delivery(session, stored, stored.watch, now)
    if row is None or row.next_attempt_at > now:
        _release(session, webhook, worker)
        return None
    hint = row.make_hint(stored.row["region_code"])
    sealed = list_sealed_secrets(session, webhook)
    return Job(webhook, stored.row["name"], stored.row["address"], hint, row.attempts, sealed, worker)


def _release(session: Session, webhook: int, worker: str) -> bool:
    """End the lease. Returns False if this worker no longer had it."""
    c = webhooks.c
    statement = sa.update(webhooks).where(c.id == webhook, c.leased_by == worker)
    row = session.execute(statement.values(leased_until=None, leased_by=None).returning(c.id)).one_or_none()
    return row is not None


def _create_delivery(
    session: Session, webhook: StoredWebhook, watch: FeedFilter, now: datetime
) -> PendingDelivery | None:
    """Create a delivery of all new entries and advance the webhook. Returns None if its owner may know of none."""
    row, end = webhook.row, read_last_number(session)
    new = count_entries(session, watch, after=row["seen"], until=end)
    values: dict[str, object] = {"seen": end}
    delivery: PendingDelivery | None = None
    if new.last is not None:
        delivery = PendingDelivery(
            id=f"msg_{random.token_hex(12)}",
            webhook_id=row["id"],
            created_at=now,
            attempts=0,
            next_attempt_at=now,
            after=encode_cursor(webhook.place, watch.filters),
            next=encode_cursor(new.last, watch.filters),
            count=new.total,
            kinds=new.kinds,
            first=row["seen"],
            last=end,
            place=row["place"],
        )
        session.execute(sa.insert(deliveries).values(**asdict(delivery), state=DeliveryState.pending))
        values["place"] = list(new.last)
    session.execute(sa.update(webhooks).where(webhooks.c.id == row["id"]).values(**values))
    return delivery


def _withdraw(session: Session, webhook: StoredWebhook, row: PendingDelivery) -> None:
    """Withdraw a delivery and move the webhook back to its first entry."""
    values = {"state": DeliveryState.withdrawn, "next_attempt_at": None}
    session.execute(sa.update(deliveries).where(deliveries.c.id == row.id).values(**values))
    if webhook.row["seen"] > row.first:
        webhook.row.update(seen=row.first, place=row.place)
    _rewind(session, row.webhook_id, row.first, row.place)


def _rewind(session: Session, webhook: int, first: int, place: list[object]) -> None:
    """Move a webhook back to the first entry of a delivery that did not arrive."""
    c = webhooks.c
    statement = sa.update(webhooks).where(c.id == webhook, c.seen > first)
    session.execute(statement.values(seen=first, place=place))


def store_outcome(
    session: Session, job: Job, outcome: AttemptResult, *, at: datetime, now: datetime, luck: float
) -> None:
    """Store the outcome of an attempt and end the lease. Stores nothing if another worker has the lease by now."""
    attempts = job.attempts + 1
    delay = choose_delay(attempts, luck)
    is_over = outcome.failure is not None and (outcome.status == GONE or delay is None)
    # Lock the chain before the row, as every write does.
    chain = lock_chain(session, format_webhook_chain(job.name)) if is_over else None
    if not _release(session, job.webhook, job.worker):
        return
    values: dict[str, object] = {
        "attempts": attempts,
        "attempted_at": at,
        "status": outcome.status,
        "duration_ms": outcome.milliseconds,
        "error": outcome.failure,
        "next_attempt_at": None,
    }
    if outcome.failure is None:
        values["state"] = DeliveryState.delivered
    elif is_over:
        values["state"] = DeliveryState.failed
    elif delay is not None:
        values["next_attempt_at"] = now + delay
    c = deliveries.c
    session.execute(sa.update(deliveries).where(c.id == job.hint.id).values(**values))
    old = sa.delete(deliveries).where(
        c.webhook_id == job.webhook, c.state != DeliveryState.pending, c.created_at < now - LOG_DURATION
    )
    session.execute(old)
    stored = find_webhook(session, webhooks.c.id == job.webhook, now) if chain else None
    if chain is None or stored is None:
        return
    first, place = session.execute(sa.select(c.first, c.place).where(c.id == job.hint.id)).one()
    _rewind(session, job.webhook, first, place)
    reason = DisabledReason.gone if outcome.status == GONE else DisabledReason.exhausted
    author = keep_order(session, Author(ACTOR, now))
    changed = {
        "is_active": False,
        "disabled_reason": reason,
        "disabled_at": author.at,
        "updated_at": author.at,
    }
    changed["version"] = stored.version + 1
    session.execute(sa.update(webhooks).where(webhooks.c.id == job.webhook).values(**changed))
    why = f"{job.hint.id}: {outcome.status or outcome.failure}, {attempts}×"
    done = build_webhook_entry("disabled", stored.row, {**stored.row, **changed}, why)
    append(session, chain, author, [done])
