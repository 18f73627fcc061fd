"""Content and signature of a hint, retry delays, permitted addresses, and the sealing of secrets. Pure functions."""

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from app.changes.rules import WEBHOOK_CHAINS
from app.kit.database.json_sql import dump_json
from app.kit.problems import Problem
from app.kit.wording import Text
from app.settings import Settings, split_words

WebhookVerb = Literal["edit", "delete", "write_secrets", "replay"]
WEBHOOK_VERBS: list[WebhookVerb] = ["edit", "delete", "write_secrets", "replay"]
"""Every caller that sees a webhook administers its region, so all verbs are allowed."""

MAX_SECRETS = 3


class WebhookState(StrEnum):
    """States of a webhook, derived and never written. Only an `active` webhook gets hints."""

    active = "active"
    inactive = "inactive"
    disabled = "disabled"
    no_owner = "no_owner"
    no_secret = "no_secret"  # noqa: S105 - a state


class DisabledReason(StrEnum):
    """Reasons for which the service disables a webhook."""

    exhausted = "exhausted"
    gone = "gone"


class DeliveryState(StrEnum):
    """States of a delivery. `withdrawn`: the owner may no longer see its changes; another delivery takes its place."""

    pending = "pending"
    delivered = "delivered"
    failed = "failed"
    withdrawn = "withdrawn"


class Failure(StrEnum):
    """Failures of an attempt."""

    unresolved = "unresolved"
    refused_address = "refused_address"
    unreachable = "unreachable"
    insecure = "insecure"
    timed_out = "timed_out"
    malformed_reply = "malformed_reply"
    redirected = "redirected"
    refused = "refused"


def format_webhook_chain(webhook: str) -> str:
    """Return the journal chain of a webhook, with a digest: an unchecked name may be longer than a chain's."""
    return WEBHOOK_CHAINS + hashlib.sha256(webhook.encode()).hexdigest()[:40]


def format_webhook_subject(webhook: str, secret: str | None = None) -> str:
    """Return the address below /v1/ of a webhook, or of one of its secrets."""
    return f"webhooks/{webhook}" + (f"/secrets/{secret}" if secret else "")


# Hints


class Hint(NamedTuple):
    """The content of one delivery: number and kinds of the new entries between two cursors."""

    id: str
    at: datetime
    after: str
    next: str
    region: str
    kinds: Sequence[str]
    total: int

    @property
    def body(self) -> bytes:
        """Request body, equal at each attempt."""
        data = {
            "after": self.after,
            "next": self.next,
            "region": self.region,
            "kinds": list(self.kinds),
            "count": self.total,
        }
        return dump_json(
            {"type": "changes.available", "timestamp": self.at.isoformat(), "data": data}
        ).encode()


def sign_headers(hint: Hint, secrets: Iterable[bytes], at: datetime) -> dict[str, str]:
    """Return the headers of Standard Webhooks: id, instant of this attempt, one signature for each secret."""
    instant = str(int(at.timestamp()))
    content = f"{hint.id}.{instant}.".encode() + hint.body
    signatures = [base64.b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": hint.id,
        "webhook-timestamp": instant,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


SECRET_PREFIX = "whsec_"  # noqa: S105 - how Standard Webhooks marks a secret, none itself


def format_secret(secret: bytes) -> str:
    """Return a secret in the form for its receiver, `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


# Retries


_DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    *[timedelta(hours=12)] * 4,
)
"""Delays between attempts: about three days in all, as Standard Webhooks proposes."""
MAX_ATTEMPTS = len(_DELAYS) + 1
_JITTER = 0.2


def choose_delay(attempts: int, luck: float) -> timedelta | None:
    """Return the delay after so many failed attempts. Returns None after the last.

    `luck`, from 0 to 1, adds up to a fifth, so that the retries of receivers that failed together spread out.
    """
    return _DELAYS[attempts - 1] * (1 + _JITTER * luck) if attempts <= len(_DELAYS) else None


class AttemptResult(NamedTuple):
    """The result of one attempt."""

    failure: Failure | None
    status: int | None
    milliseconds: int


GONE = 410
"""Status with which a receiver asks for no more hints."""


def find_failure(status: int) -> Failure | None:
    """Return the failure of a reply's status, None for 2xx. A redirect is a failure: the sender follows none."""
    if 200 <= status < 300:
        return None
    return Failure.redirected if 300 <= status < 400 else Failure.refused


# Addresses


class ReceiverAddress(NamedTuple):
    """Scheme and host of a receiver's address."""

    scheme: str
    host: str


_HOST = re.compile(
    r"[a-z0-9._-]*[a-z0-9_\u0080-\U0010ffff][a-z0-9._\u0080-\U0010ffff-]*|[0-9a-f.]*:[0-9a-f:.]+"
)
"""A name, an IDN, or an IP address. Programs disagree on other characters: some escape them, some do not."""


def parse_address(url: str) -> ReceiverAddress | None:
    """Return scheme and host of a receiver's URL. Returns None for any other URL, and for credentials or a fragment."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return None
    if parts.username is not None or port == 0:
        return None
    return None if "#" in url else ReceiverAddress(parts.scheme, host)


def is_acceptable(address: ReceiverAddress, *, allow_loopback: bool) -> bool:
    """Return whether a webhook may have this address: https, and no IP address of a private network.

    Each attempt resolves and checks a host name again (`sending`).
    """
    try:
        number: ipaddress.IPv4Address | ipaddress.IPv6Address | None = ipaddress.ip_address(address.host)
    except ValueError:
        number = None
    is_own = address.host == "localhost" or (number is not None and number.is_loopback)
    if address.scheme == "http" or is_own:
        return is_own and allow_loopback
    return number is None or can_reach(address.host, allow_loopback=allow_loopback)


_GLOBAL_6 = ipaddress.ip_network("2000::/3")
_TRANSLATED_6 = ipaddress.ip_network("64:ff9b::/96")


def can_reach(number: str, *, allow_loopback: bool) -> bool:
    """Return whether the service may send to this IP address: only if it is on the public internet.

    Private, loopback, link-local, carrier-grade and multicast addresses could make the service reach hosts that only
    it can reach (SSRF). An IPv4 address inside an IPv6 one counts as IPv4.
    """
    address = ipaddress.ip_address(number)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        if inner is None and address in _TRANSLATED_6:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return can_reach(str(inner), allow_loopback=allow_loopback)
        if address.sixtofour is not None or address.teredo is not None:
            return False
        if not address.is_loopback and address not in _GLOBAL_6:
            return False
    if address.is_loopback:
        return allow_loopback
    return address.is_global and not address.is_multicast and not address.is_reserved


def select_recorded_fields(fields: dict[str, object] | None) -> dict[str, object] | None:
    """Return the fields of a webhook that the journal records."""
    if fields is None:
        return None
    names = ("address", "region_code", "kinds", "is_active", "note", "owner", "disabled_reason")
    return {name: fields[name] for name in names}


# Secrets at rest


class NoSecretsKey(Problem):
    status = 503
    code = "no_secrets_key"
    title = Text("Webhook belum disiapkan", "Webhooks are not set up")
    detail = Text(
        "Rahasia webhook tidak dapat disimpan sebelum operator layanan menyetel RATA_SECRETS_KEY.",
        "The service cannot store secrets of webhooks until its operator sets RATA_SECRETS_KEY.",
    )


class Sealer:
    """Encryption of the webhooks' secrets, so that the database alone does not reveal them.

    The first key encrypts and every key decrypts, so that the operator can rotate keys while the service runs.
    """

    def __init__(self, keys: list[str]) -> None:
        from cryptography.fernet import Fernet, MultiFernet

        self._keys = MultiFernet([Fernet(key) for key in keys])

    def seal(self, secret: bytes) -> str:
        return self._keys.encrypt(secret).decode()

    def unseal(self, sealed: str) -> bytes | None:
        """Return the secret. Returns None if none of the keys decrypts it."""
        from cryptography.fernet import InvalidToken

        try:
            return self._keys.decrypt(sealed)
        except InvalidToken:
            return None


def create_sealer(settings: Settings) -> Sealer:
    """Return the sealer of the settings' keys. Raises NoSecretsKey if they have none."""
    if settings.secrets_key is None:
        raise NoSecretsKey()
    return Sealer(split_words(settings.secrets_key))
