"""What is said to a receiver and how it is signed, when it is tried again, and where nothing is ever sent. Pure."""

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
from app.kit.database.json_sql import to_json
from app.kit.problems import Problem, Text
from app.settings import Settings, words

Verb = Literal["edit", "delete", "write_secrets", "replay"]
ALLOWED: list[Verb] = ["edit", "delete", "write_secrets", "replay"]
"""Whoever sees a webhook administers its region, and may do all of this."""

MOST_SECRETS = 3


class WebhookState(StrEnum):
    """Derived, never written. Only an `active` webhook is told anything."""

    active = "active"
    inactive = "inactive"
    disabled = "disabled"
    no_owner = "no_owner"
    no_secret = "no_secret"  # noqa: S105 - a state


class DisabledReason(StrEnum):
    """Why the service switched a webhook off."""

    exhausted = "exhausted"
    gone = "gone"


class DeliveryState(StrEnum):
    """`withdrawn`: what it tells of is not the owner's to see any more; another takes its place."""

    pending = "pending"
    delivered = "delivered"
    failed = "failed"
    withdrawn = "withdrawn"


class Failure(StrEnum):
    """What kept a delivery from arriving."""

    unresolved = "unresolved"
    refused_address = "refused_address"
    unreachable = "unreachable"
    insecure = "insecure"
    timed_out = "timed_out"
    malformed_reply = "malformed_reply"
    redirected = "redirected"
    refused = "refused"


def webhook_chain(webhook: str) -> str:
    """The journal's chain of a webhook; what is no key may be longer than a chain's name."""
    return WEBHOOK_CHAINS + hashlib.sha256(webhook.encode()).hexdigest()[:40]


def webhook_subject(webhook: str, secret: str | None = None) -> str:
    """Address below /v1/ of a webhook, or of a secret of it."""
    return f"webhooks/{webhook}" + (f"/secrets/{secret}" if secret else "")


def feed_kinds(globs: Iterable[str]) -> list[str]:
    """The kinds of a webhook as the feed takes them: `plan.*` is `plan` there."""
    return [glob.removesuffix(".*") for glob in globs]


# What is sent


class Hint(NamedTuple):
    """One delivery: that there is something behind a cursor."""

    id: str
    at: datetime
    after: str
    next: str
    region: str
    kinds: Sequence[str]
    total: int

    @property
    def body(self) -> bytes:
        """The same bytes at each attempt."""
        data = {
            "after": self.after,
            "next": self.next,
            "region": self.region,
            "kinds": list(self.kinds),
            "count": self.total,
        }
        return to_json({"type": "changes.available", "timestamp": self.at.isoformat(), "data": data}).encode()


def signed_headers(hint: Hint, secrets: Iterable[bytes], at: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks: id, instant of this attempt, one signature for each live secret."""
    instant = str(int(at.timestamp()))
    content = f"{hint.id}.{instant}.".encode() + hint.body
    signatures = [base64.b64encode(hmac.digest(secret, content, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": hint.id,
        "webhook-timestamp": instant,
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }


SECRET_PREFIX = "whsec_"  # noqa: S105 - how Standard Webhooks marks a secret, none itself


def shown_secret(secret: bytes) -> str:
    """A secret as its receiver is given it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


# When


_DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    *[timedelta(hours=12)] * 4,
)
"""Between attempts: about three days in all, as Standard Webhooks proposes."""
MOST_ATTEMPTS = len(_DELAYS) + 1
_JITTER = 0.2


def delay_after(attempts: int, luck: float) -> timedelta | None:
    """How long to wait after so many attempts that failed; None: that was the last.

    `luck`, from 0 to 1, makes it longer by up to a fifth, so that receivers that went down together are not all
    tried together.
    """
    return _DELAYS[attempts - 1] * (1 + _JITTER * luck) if attempts <= len(_DELAYS) else None


class Outcome(NamedTuple):
    """What came of one attempt."""

    failure: Failure | None
    status: int | None
    milliseconds: int


GONE = 410
"""By this status a receiver says that it wants nothing more."""


def failure_of(status: int) -> Failure | None:
    """What a reply's status means: 2xx arrived, a redirect is never followed, all else is refused."""
    if 200 <= status < 300:
        return None
    return Failure.redirected if 300 <= status < 400 else Failure.refused


# Where


class Address(NamedTuple):
    """A receiver's address taken apart."""

    scheme: str
    host: str


_HOST = re.compile(
    r"[a-z0-9._-]*[a-z0-9_\u0080-\U0010ffff][a-z0-9._\u0080-\U0010ffff-]*|[0-9a-f.]*:[0-9a-f:.]+"
)
"""A name, an IDN, or a number. Programs disagree on other characters: one escapes what the next takes as it is."""


def parsed_address(url: str) -> Address | None:
    """Scheme and host of an address that names a receiver and nothing else; None: it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return None
    if parts.username is not None or port == 0:
        return None
    return None if "#" in url else Address(parts.scheme, host)


def is_acceptable(address: Address, *, allow_loopback: bool) -> bool:
    """Whether a webhook may have this address: https, and no network of ours spelled out in it.

    What a name leads to is asked when something is sent, each time.
    """
    try:
        number: ipaddress.IPv4Address | ipaddress.IPv6Address | None = ipaddress.ip_address(address.host)
    except ValueError:
        number = None
    is_own = address.host == "localhost" or (number is not None and number.is_loopback)
    if address.scheme == "http" or is_own:
        return is_own and allow_loopback
    return number is None or may_reach(address.host, allow_loopback=allow_loopback)


_GLOBAL_6 = ipaddress.ip_network("2000::/3")
_TRANSLATED_6 = ipaddress.ip_network("64:ff9b::/96")


def may_reach(number: str, *, allow_loopback: bool) -> bool:
    """Whether something may be sent to this IP address: to the public internet alone.

    Private networks, this machine, its link, carriers' networks and groups are where a stranger's address could make
    the service talk to what only it can reach. An IPv4 address inside an IPv6 one is judged as what it is.
    """
    address = ipaddress.ip_address(number)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        if inner is None and address in _TRANSLATED_6:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return may_reach(str(inner), allow_loopback=allow_loopback)
        if address.sixtofour is not None or address.teredo is not None:
            return False
        if not address.is_loopback and address not in _GLOBAL_6:
            return False
    if address.is_loopback:
        return allow_loopback
    return address.is_global and not address.is_multicast and not address.is_reserved


def told(fields: dict[str, object] | None) -> dict[str, object] | None:
    """A webhook as the journal is told of it."""
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
        "Operator layanan ini belum menyetel RATA_SECRETS_KEY, sehingga rahasia webhook tidak dapat disimpan.",
        "The operator of this service has not set RATA_SECRETS_KEY, so secrets of webhooks cannot be kept.",
    )


class Sealer:
    """Secrets that must be usable again, sealed: a reader of the database alone cannot open them.

    The first key seals and any opens, so that a key can be changed while the service runs.
    """

    def __init__(self, keys: list[str]) -> None:
        from cryptography.fernet import Fernet, MultiFernet

        self._keys = MultiFernet([Fernet(key) for key in keys])

    def seal(self, secret: bytes) -> str:
        return self._keys.encrypt(secret).decode()

    def opened(self, sealed: str) -> bytes | None:
        """Return the secret. Returns None if it was sealed by a key that is not here any more."""
        from cryptography.fernet import InvalidToken

        try:
            return self._keys.decrypt(sealed)
        except InvalidToken:
            return None


def sealer_of(settings: Settings) -> Sealer:
    """NoSecretsKey (503): the settings have no key."""
    if settings.secrets_key is None:
        raise NoSecretsKey()
    return Sealer(words(settings.secrets_key))
