"""The OIDC issuer whose tokens persons come with: its keys, kept and renewed, and what makes a token authentic.

No request waits for the network. A background thread fetches the keys when the service starts, renews them as they
age, and fetches them early when a token names a key that is not among them; after each attempt it leaves the issuer
alone for a while, so forged tokens cannot make this service ask it without end. Until an answer is there, a request
that needs it gets 503 with `Retry-After` at once. While the issuer does not answer, the keys it gave last stay valid
for a day.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any

import httpx
import jwt
import structlog
from jwt import PyJWK
from pydantic import TypeAdapter, ValidationError

from app.access.rules import IssuerUnreachable, Untrusted
from app.client.tls import trusting_context
from app.settings import Settings, is_safe_address, words

log = structlog.get_logger("rata")

PATIENCE = 30.0
"""Seconds for which the issuer is left alone after an attempt to fetch its keys …"""
IMPATIENCE = 5.0
"""… and while there are none."""
RENEWED = 900.0
"""Age in seconds at which keys are fetched again: for so long a key that the issuer withdrew still counts."""
KEPT = 86_400.0
"""Age in seconds up to which keys count while the issuer does not answer."""
FETCH_SECONDS = 5.0
FETCH_BYTES = 256 * 1024
LONGEST_TOKEN = 16 * 1024

_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_ID_TOKEN_CLAIMS = frozenset({"at_hash", "c_hash", "s_hash"})
_OBJECT: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


class Keys:
    """What the issuer last gave, and when (by the clock that never goes back)."""

    def __init__(self, keys: Mapping[str | None, dict[str, object]], at: float) -> None:
        self.at, self._said, self._made = at, keys, dict[tuple[str | None, str], PyJWK]()

    def find(self, kid: str | None, algorithm: str) -> PyJWK | None:
        """The key of that id for that algorithm; without an id, the only key there is."""
        if kid is None and len(self._said) == 1:
            (kid,) = self._said
        said = self._said.get(kid)
        if said is None or said.get("alg", algorithm) != algorithm:
            return None
        if (kid, algorithm) not in self._made:
            try:
                self._made[kid, algorithm] = PyJWK(said, algorithm)
            except (jwt.PyJWTError, ValueError, TypeError):
                return None  # a key of another kind than the algorithm needs
        return self._made[kid, algorithm]

    def knows(self, kid: str | None) -> bool:
        return kid in self._said or (kid is None and len(self._said) == 1)


class Issuer:
    """One issuer as the settings name it. Safe to use from many threads."""

    def __init__(
        self,
        address: str,
        *,
        audience: str,
        algorithms: frozenset[str],
        skew_seconds: int,
        subject_claim: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address, self.subject_claim = address, subject_claim
        self._audience, self._algorithms, self._skew = audience, algorithms, skew_seconds
        self._clock = clock
        self._keys: Keys | None = None
        self._tried_at: float | None = None
        self._is_wanted = False
        self._awake, self._stopped = threading.Event(), threading.Event()
        # Made once, at the start: to load the authorities that it trusts takes longer than to fetch the keys.
        unkept = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(verify=trusting_context(), follow_redirects=False, limits=unkept)

    def claims_of(self, token: str) -> dict[str, Any]:
        """Return the claims of an authentic token, without ever waiting for the issuer.

        Raises Untrusted if the token is not authentic, IssuerUnreachable if that cannot be known yet.
        """
        try:
            if len(token) > LONGEST_TOKEN:
                raise Untrusted
            header = jwt.get_unverified_header(token)
            algorithm, kid = self._announced(header)
            key = self._find_key(kid, algorithm)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self.address,
                leeway=self._skew,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Untrusted from error
        self._check_purpose(claims)
        return claims

    def _announced(self, header: Mapping[str, Any]) -> tuple[str, str | None]:
        """(algorithm, key id) that a token's header names, where the settings allow what it says."""
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise Untrusted
        if not isinstance(kind, str) or kind.lower() not in _TYPES or "crit" in header:
            raise Untrusted
        return algorithm, kid

    def _check_purpose(self, claims: Mapping[str, Any]) -> None:
        """It names its bearer, and is made for asking a service, not for telling a client who logged in."""
        subject = claims.get(self.subject_claim)
        if not isinstance(subject, str) or not subject.isascii() or not 1 <= len(subject) <= 255:
            raise Untrusted
        if _ID_TOKEN_CLAIMS & claims.keys() or str(claims.get("typ", "")).upper() == "ID":
            raise Untrusted
        try:
            datetime.fromtimestamp(int(claims["exp"]), UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise Untrusted from error

    # Keys

    def start(self) -> None:
        """Start the background thread, which fetches the keys now and whenever a fetch is due."""
        stopped = self._stopped = threading.Event()

        def work() -> None:
            while not stopped.is_set():
                try:
                    self.refresh_if_due()
                except Exception:  # the thread must live on: without it no key is ever renewed
                    log.exception("issuer_fetch_failed", issuer=self.address)
                self._awake.wait(max(0.0, self._due_at() - self._clock()))
                self._awake.clear()

        threading.Thread(target=work, name="issuer", daemon=True).start()

    def stop(self) -> None:
        """End the background thread, without waiting for an issuer that hangs."""
        self._stopped.set()
        self._awake.set()

    def refresh_if_due(self) -> None:
        """Fetch the keys if they are missing, old or wanted, and the issuer was left alone for long enough."""
        if self._clock() < self._due_at():
            return
        try:
            self._keys = self._fetch() or self._keys
        finally:
            self._tried_at, self._is_wanted = self._clock(), False

    def _due_at(self) -> float:
        """Return the instant of the next fetch, which may have passed."""
        if self._tried_at is None:
            return 0.0
        if self._keys is None:
            return self._tried_at + IMPATIENCE
        earliest = self._tried_at + PATIENCE
        return earliest if self._is_wanted else max(earliest, self._keys.at + RENEWED)

    def _find_key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Return the key that a token names. Raises Untrusted if the issuer has none, IssuerUnreachable until known.

        Keys fetched in the last `PATIENCE` seconds decide alone. Older ones may lack a key that the issuer has
        begun to use since: the background thread fetches them again, and an honest client repeats its request.
        """
        keys, now = self._keys, self._clock()
        if keys is None or now - keys.at >= KEPT:
            raise self._unreachable()
        if not keys.knows(kid) and now - keys.at >= PATIENCE:
            if not self._is_wanted:
                self._is_wanted = True
                self._awake.set()
            raise self._unreachable()
        key = keys.find(kid, algorithm)
        if key is None:
            raise Untrusted
        return key

    def _unreachable(self) -> IssuerUnreachable:
        return IssuerUnreachable(headers={"Retry-After": str(max(1, ceil(self._due_at() - self._clock())))})

    def _fetch(self) -> Keys | None:
        """The issuer's keys by way of its discovery document (OpenID Connect Discovery 1.0, section 4)."""
        end = time.monotonic() + FETCH_SECONDS
        try:
            found = self._document(f"{self.address.rstrip('/')}/.well-known/openid-configuration", end)
            if found.get("issuer") != self.address:
                raise ValueError("the discovery document is another issuer's")
            place = found.get("jwks_uri")
            if not isinstance(place, str) or not is_safe_address(place):
                raise ValueError("the discovery document names no safe address of keys")
            keys = _usable(self._document(place, end))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            log.warning("issuer_unreachable", issuer=self.address, reason=f"{type(error).__name__}: {error}")
            return None
        return Keys(keys, self._clock())

    def _document(self, url: str, end: float) -> dict[str, object]:
        """A JSON object from an address, bounded in size and in time. ValueError: it is none."""
        body, rest = bytearray(), max(0.1, end - time.monotonic())
        # Not compressed: what is counted is what there is.
        wanted = {"Accept": "application/json", "Accept-Encoding": "identity"}
        with self._client.stream("GET", url, headers=wanted, timeout=rest) as reply:
            if reply.status_code != 200:
                raise ValueError(f"{url} answers {reply.status_code}")
            for chunk in reply.iter_raw():
                body += chunk
                if len(body) > FETCH_BYTES or time.monotonic() > end:
                    raise ValueError(f"{url} is too large or too slow")
        try:
            return _OBJECT.validate_json(bytes(body))
        except ValidationError:
            raise ValueError(f"{url} is no JSON object") from None


def _usable(document: Mapping[str, object]) -> dict[str | None, dict[str, object]]:
    """Key id → key, of those that are for signatures and public. ValueError: there are none."""
    said = document.get("keys")
    found = {
        one.get("kid"): one
        for one in (said if isinstance(said, list) else ())
        if isinstance(one, dict)
        and one.get("kty") in ("RSA", "EC", "OKP")
        and one.get("use", "sig") == "sig"
        and isinstance(one.get("kid"), str | None)
    }
    if not found:
        raise ValueError("the issuer has no keys for signatures")
    return found


def issuer_of(settings: Settings) -> Issuer | None:
    """The issuer that the settings name; None where they name none."""
    if settings.oidc_issuer is None:
        return None
    return Issuer(
        settings.oidc_issuer,
        audience=settings.oidc_audience or "",
        algorithms=frozenset(words(settings.oidc_algorithms)),
        skew_seconds=settings.oidc_clock_skew_seconds,
        subject_claim=settings.oidc_subject_claim,
    )
