"""Writing webhooks and their secrets, and sending again. Each holds the webhook's chain first."""

import secrets as random
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from app.access.commands import NameTaken, not_administered, update_versioned
from app.access.models import Principal
from app.access.queries import MISSING_REGIONS
from app.access.rules import Actor
from app.changes.queries import end_for, end_of_feed, number_of
from app.changes.rules import expired_cursor, place_of
from app.changes.webhooks.models import ReplayIn, WebhookIn, WebhookSecretIn
from app.changes.webhooks.queries import (
    Stored,
    deliveries,
    pending_delivery,
    secrets,
    stored_webhook,
    watch_of,
    webhook_id,
    webhooks,
)
from app.changes.webhooks.rules import (
    MOST_SECRETS,
    DeliveryState,
    Sealer,
    is_acceptable,
    parsed_address,
    shown_secret,
    told,
    webhook_chain,
    webhook_subject,
)
from app.kit.database.engine import table_of
from app.kit.database.journal import Author, Chain, Entry, hold, next_version, record
from app.kit.http.etags import CheckVersion
from app.kit.http.pagination import foreign_cursor
from app.kit.http.validation import checked_key, unknown_reference
from app.kit.problems import BadRequest, FieldError, Invalid, Kind, NotFound, Problem, Text

_principals = table_of(Principal)

address_not_reached = Kind(
    "address_not_reached",
    id="ke {value} tidak ada yang dikirim; gunakan {allowed}",
    en="nothing is sent to {value}; use {allowed}",
)
region_stays = Kind(
    "region_stays",
    id="wilayah webhook tetap {allowed}; buat webhook lain untuk {value}",
    en="its region stays {allowed}; create another webhook for {value}",
)


class TooManySecrets(Problem):
    status = 409
    code = "too_many_secrets"
    title = Text("Terlalu banyak rahasia", "Too many secrets")
    detail = Text(
        "Webhook ini sudah memiliki {names}. Hapus satu lebih dahulu.",
        "This webhook has {names} already. Delete one first.",
    )


# Webhooks


def put_webhook(
    session: Session,
    author: Author,
    actor: Actor,
    name: str,
    content: WebhookIn,
    check: CheckVersion,
    *,
    allow_loopback: bool,
) -> bool:
    """Create a webhook that looks at the feed from here on (True), or replace what is said of it (False).

    It belongs to the actor, also where the owner it had can read nothing any more. Active again, it goes on from where
    it was.
    """
    if not any(actor.may("write_webhooks", grant.region) for grant in actor.grants):
        raise NotFound()
    chain = hold(session, webhook_chain(name))
    stored = stored_webhook(session, webhooks.c.name == name, author.at)
    if stored is not None and not actor.may("write_webhooks", stored.row["region_code"]):
        raise NameTaken(name=name)
    check(stored.row["version"] if stored else None)
    _check_content(session, actor, content, stored, allow_loopback=allow_loopback)
    said: dict[str, Any] = content.model_dump(mode="json")
    if stored is None:
        _create(session, chain, author, actor, {"name": checked_key(name), **said})
        return True
    before = stored.row
    if content.is_active:
        said |= {"disabled_reason": None, "disabled_at": None}
    if not stored.is_owned:
        said |= {"principal_id": _id_of(session, actor)}
    if all(before[field] == value for field, value in said.items()):
        return False
    changed = {**said, "version": before["version"] + 1, "updated_at": author.at}
    update_versioned(session, webhooks, before, changed)
    owner = actor.principal if "principal_id" in said else before["owner"]
    record(session, chain, author, [entry("changed", before, {**before, **changed, "owner": owner})])
    return False


def delete_webhook(session: Session, author: Author, actor: Actor, name: str, check: CheckVersion) -> None:
    """Delete a webhook with its secrets and its log; the history stays."""
    chain, stored = _held(session, author, actor, name)
    check(stored.row["version"])
    session.execute(sa.delete(webhooks).where(webhooks.c.id == stored.row["id"]))
    record(session, chain, author, [entry("deleted", stored.row, None)])


def _held(session: Session, author: Author, actor: Actor, name: str) -> tuple[Chain, Stored]:
    """A webhook that the actor may write, with its chain."""
    id = webhook_id(session, actor, name)
    chain = hold(session, webhook_chain(name))
    stored = stored_webhook(session, webhooks.c.id == id, author.at)
    if stored is None:
        raise NotFound()
    return chain, stored


def _check_content(
    session: Session, actor: Actor, content: WebhookIn, stored: Stored | None, *, allow_loopback: bool
) -> None:
    """Invalid: names what cannot be reached, and what goes beyond the actor's regions."""
    errors, region = [], content.region_code
    address = parsed_address(content.address)
    if address is None or not is_acceptable(address, allow_loopback=allow_loopback):
        public = "https://… (internet)"
        errors.append(
            FieldError(address_not_reached, pointer="/address", value=content.address, allowed=public)
        )
    if any(region in find(session, {region}) for find in MISSING_REGIONS):
        values = {"source": "regions"}
        errors.append(FieldError(unknown_reference, pointer="/region_code", value=region, values=values))
    elif not actor.may("write_webhooks", region):
        errors.append(FieldError(not_administered, pointer="/region_code", value=region))
    elif stored is not None and region != stored.row["region_code"]:
        kept = stored.row["region_code"]
        errors.append(FieldError(region_stays, pointer="/region_code", value=region, allowed=kept))
    if errors:
        raise Invalid(errors=errors)


def _create(session: Session, chain: Chain, author: Author, actor: Actor, said: dict[str, Any]) -> None:
    watch = watch_of(actor, said["region_code"], said["kinds"])
    new = {
        **said,
        "principal_id": _id_of(session, actor),
        "seen": end_of_feed(session),
        "place": list(end_for(session, watch)),
        "version": next_version(session, webhook_subject(said["name"]), None),
        "updated_at": author.at,
    }
    session.execute(sa.insert(webhooks).values(**new))
    after = {**new, "owner": actor.principal, "disabled_reason": None}
    record(session, chain, author, [entry("created", None, after)])


def _id_of(session: Session, actor: Actor) -> int | None:
    return session.scalar(sa.select(_principals.c.id).where(_principals.c.name == actor.principal))


def entry(
    what: str, before: dict[str, Any] | None, after: dict[str, Any] | None, reason: str | None = None
) -> Entry:
    """What the journal is told of a webhook."""
    row = after or before
    assert row is not None
    version = row["version"] + (after is None)
    address = webhook_subject(row["name"])
    return Entry(f"webhook.{what}", row["region_code"], address, version, told(before), told(after), reason)


# Secrets


def put_secret(
    session: Session,
    author: Author,
    actor: Actor,
    webhook: str,
    name: str,
    content: WebhookSecretIn,
    check: CheckVersion,
    *,
    sealer: Sealer,
) -> str | None:
    """Create a secret, giving it, which is never shown again; or change what is said of one (None)."""
    chain, owner = _held(session, author, actor, webhook)
    known = _secrets_of(session, owner)
    stored = known.get(name)
    check(stored["version"] if stored else None)
    if stored is None:
        if len(known) >= MOST_SECRETS:
            raise TooManySecrets(names=", ".join(sorted(known)))
        secret = random.token_bytes(32)
        version = next_version(session, webhook_subject(webhook, checked_key(name)), None)
        new = {"name": name, "note": content.note, "version": version}
        row = {**new, "webhook_id": owner.row["id"], "sealed": sealer.seal(secret), "created_at": author.at}
        session.execute(sa.insert(secrets).values(**row))
        record(session, chain, author, [_secret_entry("created", owner, None, new)])
        return shown_secret(secret)
    if stored["note"] != content.note:
        new = {**stored, "note": content.note, "version": stored["version"] + 1}
        update_versioned(session, secrets, stored, {"note": new["note"], "version": new["version"]})
        record(session, chain, author, [_secret_entry("changed", owner, stored, new)])
    return None


def delete_secret(
    session: Session, author: Author, actor: Actor, webhook: str, name: str, check: CheckVersion
) -> None:
    """Delete a secret: the next attempt is not signed by it any more."""
    chain, owner = _held(session, author, actor, webhook)
    stored = _secrets_of(session, owner).get(name)
    if stored is None:
        raise NotFound()
    check(stored["version"])
    session.execute(sa.delete(secrets).where(secrets.c.id == stored["id"]))
    record(session, chain, author, [_secret_entry("deleted", owner, stored, None)])


def _secrets_of(session: Session, webhook: Stored) -> dict[str, dict[str, Any]]:
    rows = session.execute(sa.select(secrets).where(secrets.c.webhook_id == webhook.row["id"]))
    return {row.name: dict(row._mapping) for row in rows}


def _secret_entry(
    what: str, webhook: Stored, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> Entry:
    def said(row: dict[str, Any] | None) -> dict[str, Any] | None:
        return {"name": row["name"], "note": row["note"]} if row else None

    row: dict[str, Any] = after or before or {}
    address = webhook_subject(webhook.row["name"], row["name"])
    version, region = row["version"] + (after is None), webhook.row["region_code"]
    return Entry(f"webhook_secret.{what}", region, address, version, said(before), said(after))


def reseal_secrets(session: Session, sealer: Sealer) -> tuple[int, list[str]]:
    """Seal every secret by the first key: (how many, names of webhooks whose secret no key opens).

    Nothing that anybody reads changes by it, so nothing is recorded.
    """
    named = sa.select(secrets.c.id, secrets.c.sealed, webhooks.c.name).join(webhooks)
    done, lost = 0, []
    for row in session.execute(named.order_by(webhooks.c.name)).all():
        secret = sealer.opened(row.sealed)
        if secret is None:
            lost.append(row.name)
            continue
        session.execute(sa.update(secrets).where(secrets.c.id == row.id).values(sealed=sealer.seal(secret)))
        done += 1
    return done, lost


# Sending again


def replay(session: Session, author: Author, actor: Actor, name: str, wanted: ReplayIn) -> None:
    """Have one delivery sent again at once, or a hint of everything behind a cursor of the feed.

    What is to be sent anyhow is sent now. NotFound and Invalid: there is no such delivery, no such cursor.
    """
    chain, stored = _held(session, author, actor, name)
    if wanted.delivery is not None:
        said, is_new = {"delivery": wanted.delivery}, _send_again(session, author, stored, wanted.delivery)
    else:
        cursor = wanted.after or ""
        said, is_new = {"after": cursor}, _look_again(session, author, actor, stored, cursor)
    if not is_new:
        return
    row = stored.row
    subject = webhook_subject(row["name"])
    done = Entry("webhook.replayed", row["region_code"], subject, row["version"], None, said)
    record(session, chain, author, [done])


def _send_again(session: Session, author: Author, webhook: Stored, id: str) -> bool:
    """Whether there was something to change: what is due already is only sent once."""
    c = deliveries.c
    one = sa.select(deliveries).where(c.webhook_id == webhook.row["id"], c.id == id)
    row = session.execute(one).one_or_none()
    if row is None:
        values = {"source": "deliveries"}
        raise Invalid(errors=[FieldError(unknown_reference, pointer="/delivery", value=id, values=values)])
    if row.state == DeliveryState.pending and row.next_attempt_at <= author.at:
        return False
    again = {"state": DeliveryState.pending, "attempts": 0, "next_attempt_at": author.at, "error": None}
    session.execute(sa.update(deliveries).where(c.id == id).values(**again))
    return True


def _look_again(session: Session, author: Author, actor: Actor, webhook: Stored, cursor: str) -> bool:
    """The same. What lies behind a cursor that the webhook has not come to yet is told of anyhow."""
    row = webhook.row
    filters = watch_of(actor, row["region_code"], row["kinds"]).filters
    try:
        place = place_of(cursor, filters)
    except BadRequest:
        raise Invalid(errors=[FieldError(foreign_cursor, pointer="/after", value=cursor)]) from None
    number = number_of(session, place)
    if number is None:
        current = [f"/v1/changes?after=now&region={row['region_code']}"]
        raise Invalid(errors=[FieldError(expired_cursor, pointer="/after", value=cursor, allowed=current)])
    waiting = pending_delivery(session, row["id"])
    if waiting is not None and waiting["next_attempt_at"] > author.at:
        _send_again(session, author, webhook, waiting["id"])
    elif number >= row["seen"]:
        return False
    if number < row["seen"]:
        back = {"seen": number, "place": list(place)}
        session.execute(sa.update(webhooks).where(webhooks.c.id == row["id"]).values(**back))
    return True
