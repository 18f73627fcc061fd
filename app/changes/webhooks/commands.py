"""Commands on webhooks, their secrets and their deliveries. Each locks the webhook's chain first."""

import secrets as random
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session

from app.access.commands import NameTaken, Write, not_administered
from app.access.models import Principal
from app.access.queries import MISSING_REGIONS
from app.changes.queries import find_feed_end, find_number, read_last_number
from app.changes.rules import decode_cursor, expired_cursor
from app.changes.webhooks.models import ReplayIn, WebhookIn, WebhookSecretIn
from app.changes.webhooks.queries import (
    StoredWebhook,
    deliveries,
    find_pending_delivery,
    find_webhook,
    find_webhook_id,
    make_filter,
    secrets,
    webhooks,
)
from app.changes.webhooks.rules import (
    MAX_SECRETS,
    DeliveryState,
    Sealer,
    format_secret,
    format_webhook_chain,
    format_webhook_subject,
    is_acceptable,
    parse_address,
    select_recorded_fields,
)
from app.kit.database.engine import get_table
from app.kit.database.journal import Chain, Entry, append, assign_version, lock_chain
from app.kit.database.resources import write_version
from app.kit.http.pagination import foreign_cursor
from app.kit.http.validation import check_key, describe_unknown
from app.kit.problems import BadRequest, FieldError, Invalid, Kind, Problem, refuse, require_found
from app.kit.wording import Text

_principals = get_table(Principal)

address_not_reached = Kind(
    "address_not_reached",
    id="Layanan ini tidak mengirim ke “{value}”. Gunakan alamat https di internet publik.",
    en="This service sends nothing to “{value}”. Use an https address on the public internet.",
)
region_stays = Kind(
    "region_stays",
    id="Wilayah webhook ini tetap {allowed}. Buat webhook lain untuk wilayah “{value}”.",
    en="The region of this webhook stays {allowed}. Create another webhook for region “{value}”.",
)


class TooManySecrets(Problem):
    status = 409
    code = "too_many_secrets"
    title = Text("Terlalu banyak rahasia", "Too many secrets")
    detail = Text(
        "Webhook ini sudah memiliki rahasia {names}. Hapus satu lebih dahulu.",
        "This webhook already has the secrets {names}. Delete one first.",
    )


# Webhooks


def put_webhook(write: Write, name: str, content: WebhookIn, *, allow_loopback: bool) -> bool:
    """Create a webhook that starts at the end of the feed (True), or replace its content (False).

    The creator is the owner; if the owner has lost all rights to read, the actor becomes it. A reactivated webhook
    goes on at the entry where it stopped.
    """
    write.actor.require_somewhere("write_webhooks")
    chain = lock_chain(write.session, format_webhook_chain(name))
    stored = find_webhook(write.session, webhooks.c.name == name, write.author.at)
    if stored is not None and not write.actor.may("write_webhooks", stored.row["region_code"]):
        raise NameTaken()
    write.precondition.check(stored.version if stored else None)
    _check_content(write, content, stored, allow_loopback=allow_loopback)
    values: dict[str, object] = content.model_dump(mode="json")
    if stored is None:
        _create(write, chain, {"name": check_key(name), **values})
        return True
    before = stored.row
    if content.is_active:
        values |= {"disabled_reason": None, "disabled_at": None}
    if not stored.is_owned:
        values |= {"principal_id": _find_actor_id(write)}
    if all(before[field] == value for field, value in values.items()):
        return False
    values |= {"updated_at": write.author.at}
    new = {**before, **values, "version": write_version(write.session, webhooks, stored, values)}
    if "principal_id" in values:
        new["owner"] = write.actor.principal
    append(write.session, chain, write.author, [build_webhook_entry("changed", before, new)])
    return False


def delete_webhook(write: Write, name: str) -> None:
    """Delete a webhook with its secrets and its log. The history stays."""
    chain, stored = _lock_webhook(write, name)
    write.precondition.check(stored.version)
    write.session.execute(sa.delete(webhooks).where(webhooks.c.id == stored.id))
    append(write.session, chain, write.author, [build_webhook_entry("deleted", stored.row, None)])


def _lock_webhook(write: Write, name: str) -> tuple[Chain, StoredWebhook]:
    """Lock the chain of a webhook and return both. Raises NotFound if the actor may not write it."""
    id = find_webhook_id(write.session, write.actor, name)
    chain = lock_chain(write.session, format_webhook_chain(name))
    stored = require_found(find_webhook(write.session, webhooks.c.id == id, write.author.at))
    return chain, stored


def _check_content(
    write: Write, content: WebhookIn, stored: StoredWebhook | None, *, allow_loopback: bool
) -> None:
    """Raise Invalid for a forbidden address, and for a region that is unknown, changed or not the actor's."""
    errors, region = [], content.region_code
    address = parse_address(content.address)
    if address is None or not is_acceptable(address, allow_loopback=allow_loopback):
        allowed = "https://… (internet)"
        errors.append(
            FieldError(address_not_reached, pointer="/address", value=content.address, allowed=allowed)
        )
    if any(region in find(write.session, {region}) for find in MISSING_REGIONS):
        errors.append(describe_unknown(region, "regions", (), pointer="/region_code"))
    elif not write.actor.may("write_webhooks", region):
        errors.append(FieldError(not_administered, pointer="/region_code", value=region))
    elif stored is not None and region != stored.row["region_code"]:
        kept = stored.row["region_code"]
        errors.append(FieldError(region_stays, pointer="/region_code", value=region, allowed=kept))
    refuse(errors)


def _create(write: Write, chain: Chain, content: dict[str, Any]) -> None:
    watch = make_filter(write.actor, content["region_code"], content["kinds"])
    new = {
        **content,
        "principal_id": _find_actor_id(write),
        "seen": read_last_number(write.session),
        "place": list(find_feed_end(write.session, watch)),
        "version": assign_version(write.session, format_webhook_subject(content["name"]), None),
        "updated_at": write.author.at,
    }
    write.session.execute(sa.insert(webhooks).values(**new))
    after = {**new, "owner": write.actor.principal, "disabled_reason": None}
    append(write.session, chain, write.author, [build_webhook_entry("created", None, after)])


def _find_actor_id(write: Write) -> int | None:
    return write.session.scalar(
        sa.select(_principals.c.id).where(_principals.c.name == write.actor.principal)
    )


def build_webhook_entry(
    what: str, before: dict[str, Any] | None, after: dict[str, Any] | None, reason: str | None = None
) -> Entry:
    """Return the journal entry of a write to a webhook."""
    row = after or before
    assert row is not None
    version = row["version"] + (after is None)
    address = format_webhook_subject(row["name"])
    return Entry(
        f"webhook.{what}",
        row["region_code"],
        address,
        version,
        select_recorded_fields(before),
        select_recorded_fields(after),
        reason,
    )


# Secrets


def put_secret(
    write: Write, webhook: str, name: str, content: WebhookSecretIn, *, sealer: Sealer
) -> str | None:
    """Create a secret and return it, the only time; or change the note of one and return None."""
    chain, owner = _lock_webhook(write, webhook)
    known = _list_secrets(write.session, owner)
    stored = known.get(name)
    write.precondition.check(stored.version if stored else None)
    if stored is None:
        if len(known) >= MAX_SECRETS:
            raise TooManySecrets(names=[f"“{other}”" for other in sorted(known)])
        secret = random.token_bytes(32)
        version = assign_version(write.session, format_webhook_subject(webhook, check_key(name)), None)
        new = StoredSecret(0, name, content.note, version)
        row = {
            "webhook_id": owner.id,
            "name": name,
            "note": content.note,
            "sealed": sealer.seal(secret),
            "created_at": write.author.at,
            "version": version,
        }
        write.session.execute(sa.insert(secrets).values(**row))
        append(write.session, chain, write.author, [_build_secret_entry("created", owner, None, new)])
        return format_secret(secret)
    if stored.note != content.note:
        version = write_version(write.session, secrets, stored, {"note": content.note})
        new = stored._replace(note=content.note, version=version)
        append(write.session, chain, write.author, [_build_secret_entry("changed", owner, stored, new)])
    return None


def delete_secret(write: Write, webhook: str, name: str) -> None:
    """Delete a secret. It signs no further attempt."""
    chain, owner = _lock_webhook(write, webhook)
    stored = require_found(_list_secrets(write.session, owner).get(name))
    write.precondition.check(stored.version)
    write.session.execute(sa.delete(secrets).where(secrets.c.id == stored.id))
    append(write.session, chain, write.author, [_build_secret_entry("deleted", owner, stored, None)])


class StoredSecret(NamedTuple):
    """A row of the secrets, without the secret itself."""

    id: int
    name: str
    note: str
    version: int


def _list_secrets(session: Session, webhook: StoredWebhook) -> dict[str, StoredSecret]:
    columns = [secrets.c[name] for name in StoredSecret._fields]
    rows = session.execute(sa.select(*columns).where(secrets.c.webhook_id == webhook.id))
    return {row.name: StoredSecret(*row) for row in rows}


def _build_secret_entry(
    what: str, webhook: StoredWebhook, before: StoredSecret | None, after: StoredSecret | None
) -> Entry:
    def describe(row: StoredSecret | None) -> dict[str, object] | None:
        return {"name": row.name, "note": row.note} if row else None

    row = after or before
    assert row is not None
    address = format_webhook_subject(webhook.row["name"], row.name)
    version, region = row.version + (after is None), webhook.row["region_code"]
    return Entry(f"webhook_secret.{what}", region, address, version, describe(before), describe(after))


def reseal_secrets(session: Session, sealer: Sealer) -> tuple[int, list[str]]:
    """Encrypt every secret again with the first key.

    Returns the number of secrets, and the webhooks with a secret that no key decrypts. Records nothing, since no
    visible field changes.
    """
    statement = sa.select(secrets.c.id, secrets.c.sealed, webhooks.c.name).join(webhooks)
    done, lost = 0, []
    for row in session.execute(statement.order_by(webhooks.c.name)).all():
        secret = sealer.unseal(row.sealed)
        if secret is None:
            lost.append(row.name)
            continue
        session.execute(sa.update(secrets).where(secrets.c.id == row.id).values(sealed=sealer.seal(secret)))
        done += 1
    return done, lost


# Replays


def replay_delivery(write: Write, name: str, content: ReplayIn) -> None:
    """Queue a delivery again at once, or a hint of all changes after a cursor of the feed.

    A delivery that waits for its retry becomes due now. Raises NotFound for an unknown webhook, Invalid for an
    unknown delivery or cursor.
    """
    chain, stored = _lock_webhook(write, name)
    if content.delivery is not None:
        source, is_new = {"delivery": content.delivery}, _requeue_delivery(write, stored, content.delivery)
    else:
        cursor = content.after or ""
        source, is_new = {"after": cursor}, _rewind(write, stored, cursor)
    if not is_new:
        return
    row = stored.row
    subject = format_webhook_subject(row["name"])
    done = Entry("webhook.replayed", row["region_code"], subject, row["version"], None, source)
    append(write.session, chain, write.author, [done])


def _requeue_delivery(write: Write, webhook: StoredWebhook, id: str) -> bool:
    """Make a delivery due now. Returns False if it already is."""
    c = deliveries.c
    statement = sa.select(c.state, c.next_attempt_at).where(c.webhook_id == webhook.id, c.id == id)
    row = write.session.execute(statement).one_or_none()
    if row is None:
        raise Invalid(errors=[describe_unknown(id, "deliveries", (), pointer="/delivery")])
    if row.state == DeliveryState.pending and row.next_attempt_at <= write.caller.at:
        return False
    again = {"state": DeliveryState.pending, "attempts": 0, "next_attempt_at": write.caller.at, "error": None}
    write.session.execute(sa.update(deliveries).where(c.id == id).values(**again))
    return True


def _rewind(write: Write, webhook: StoredWebhook, cursor: str) -> bool:
    """Move the webhook back to a cursor. Returns False if it is not yet past the cursor and no delivery waits."""
    row = webhook.row
    filters = make_filter(write.actor, row["region_code"], row["kinds"]).filters
    try:
        place = decode_cursor(cursor, filters)
    except BadRequest:
        raise Invalid(errors=[FieldError(foreign_cursor, pointer="/after", value=cursor)]) from None
    number = find_number(write.session, place)
    if number is None:
        current = [f"/v1/changes?after=now&region={row['region_code']}"]
        raise Invalid(errors=[FieldError(expired_cursor, pointer="/after", value=cursor, allowed=current)])
    waiting = find_pending_delivery(write.session, row["id"])
    if waiting is not None and waiting.next_attempt_at > write.caller.at:
        _requeue_delivery(write, webhook, waiting.id)
    elif number >= row["seen"]:
        return False
    if number < row["seen"]:
        back = {"seen": number, "place": list(place)}
        write.session.execute(sa.update(webhooks).where(webhooks.c.id == row["id"]).values(**back))
    return True
