"""The OIDC issuer of persons' tokens: a cache of its keys, and the checks of a token.

No request waits for the network. A background thread fetches the keys when the service starts, renews them as they
age, and fetches them early if a token names an unknown key. After each attempt it pauses, so forged tokens cannot make
the service flood the issuer. Until the keys arrive, a request that needs them gets 503 with `Retry-After` at once.
While the issuer does not answer, the last keys stay valid for a day.
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

from app.access.rules import IssuerUnreachable, UntrustedToken
from app.client.tls import create_trusting_context
from app.settings import Settings, is_safe_address, split_words

log = structlog.get_logger("rata")

FETCH_PAUSE = 30.0
"""Pause in seconds after an attempt to fetch the keys …"""
FIRST_FETCH_PAUSE = 5.0
"""… and while the cache is empty."""
KEYS_RENEW_AGE = 900.0
"""Age in seconds at which the thread renews the keys. A key that the issuer withdraws stays valid for so long."""
KEYS_MAX_AGE = 86_400.0
"""Age in seconds up to which keys are valid while the issuer does not answer."""
FETCH_SECONDS = 5.0
FETCH_BYTES = 256 * 1024
LONGEST_TOKEN = 16 * 1024

_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_ID_TOKEN_CLAIMS = frozenset({"at_hash", "c_hash", "s_hash"})
_OBJECT: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


class KeySet:
    """The issuer's last key set, with the instant of its fetch (monotonic clock)."""

    def __init__(self, keys: Mapping[str | None, dict[str, object]], at: float) -> None:
        self.at, self._keys, self._parsed = at, keys, dict[tuple[str | None, str], PyJWK]()

    def find(self, kid: str | None, algorithm: str) -> PyJWK | None:
        """Return the key of that id and algorithm; without an id, the only key. Returns None if the set lacks it."""
        if kid is None and len(self._keys) == 1:
            (kid,) = self._keys
        key = self._keys.get(kid)
        if key is None or key.get("alg", algorithm) != algorithm:
            return None
        if (kid, algorithm) not in self._parsed:
            try:
                self._parsed[kid, algorithm] = PyJWK(key, algorithm)
            except (jwt.PyJWTError, ValueError, TypeError):
                return None  # a key of another kind than the algorithm needs
        return self._parsed[kid, algorithm]

    def knows(self, kid: str | None) -> bool:
        """Return whether the set has a key of that id, or, without an id, exactly one key."""
        return kid in self._keys or (kid is None and len(self._keys) == 1)


class Issuer:
    """The issuer of the settings. Thread-safe."""

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
        self._keys: KeySet | None = None
        self._tried_at: float | None = None
        self._is_wanted = False
        self._awake, self._stopped = threading.Event(), threading.Event()
        # One client for all fetches: loading the trusted authorities takes longer than fetching the keys.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(verify=create_trusting_context(), follow_redirects=False, limits=limits)

    def verify_token(self, token: str) -> dict[str, Any]:
        """Return the claims of an authentic token, from cached keys alone.

        Raises UntrustedToken if the token is not authentic, IssuerUnreachable if the cached keys cannot decide.
        """
        try:
            if len(token) > LONGEST_TOKEN:
                raise UntrustedToken
            header = jwt.get_unverified_header(token)
            algorithm, kid = self._read_header(header)
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
            raise UntrustedToken from error
        self._check_purpose(claims)
        return claims

    def _read_header(self, header: Mapping[str, Any]) -> tuple[str, str | None]:
        """Return (algorithm, key id) of a token's header. Raises UntrustedToken if the settings do not allow them."""
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise UntrustedToken
        if not isinstance(kind, str) or kind.lower() not in _TYPES or "crit" in header:
            raise UntrustedToken
        return algorithm, kid

    def _check_purpose(self, claims: Mapping[str, Any]) -> None:
        """Raise UntrustedToken for a token without a subject, and for an ID token, which is for a login client."""
        subject = claims.get(self.subject_claim)
        if not isinstance(subject, str) or not subject.isascii() or not 1 <= len(subject) <= 255:
            raise UntrustedToken
        if _ID_TOKEN_CLAIMS & claims.keys() or str(claims.get("typ", "")).upper() == "ID":
            raise UntrustedToken
        try:
            datetime.fromtimestamp(int(claims["exp"]), UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise UntrustedToken from error

    # Keys

    def start(self) -> None:
        """Start the background thread, which fetches the keys now and at each due instant."""
        stopped = self._stopped = threading.Event()

        def work() -> None:
            while not stopped.is_set():
                try:
                    self.refresh_if_due()
                except Exception:  # the thread must live on: nothing else renews the keys
                    log.exception("issuer_fetch_failed", issuer=self.address)
                self._awake.wait(max(0.0, self._find_due_time() - self._clock()))
                self._awake.clear()

        threading.Thread(target=work, name="issuer", daemon=True).start()

    def stop(self) -> None:
        """End the background thread, without waiting for an issuer that hangs."""
        self._stopped.set()
        self._awake.set()

    def refresh_if_due(self) -> None:
        """Fetch the keys if they are missing, old or needed, and the pause after the last attempt is over."""
        if self._clock() < self._find_due_time():
            return
        try:
            self._keys = self._fetch() or self._keys
        finally:
            self._tried_at, self._is_wanted = self._clock(), False

    def _find_due_time(self) -> float:
        """Return the instant of the next fetch, which may have passed."""
        if self._tried_at is None:
            return 0.0
        if self._keys is None:
            return self._tried_at + FIRST_FETCH_PAUSE
        earliest = self._tried_at + FETCH_PAUSE
        return earliest if self._is_wanted else max(earliest, self._keys.at + KEYS_RENEW_AGE)

    def _find_key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Return the key that a token names.

        Raises UntrustedToken if keys younger than `FETCH_PAUSE` seconds lack it. Older ones may lack a key that the
        issuer added since: this wakes the background thread and raises IssuerUnreachable, so that the client retries.
        """
        keys, now = self._keys, self._clock()
        if keys is None or now - keys.at >= KEYS_MAX_AGE:
            raise self._make_unreachable()
        if not keys.knows(kid) and now - keys.at >= FETCH_PAUSE:
            if not self._is_wanted:
                self._is_wanted = True
                self._awake.set()
            raise self._make_unreachable()
        key = keys.find(kid, algorithm)
        if key is None:
            raise UntrustedToken
        return key

    def _make_unreachable(self) -> IssuerUnreachable:
        return IssuerUnreachable(
            headers={"Retry-After": str(max(1, ceil(self._find_due_time() - self._clock())))}
        )

    def _fetch(self) -> KeySet | None:
        """Fetch the issuer's keys through its discovery document (OpenID Connect Discovery 1.0, section 4).

        Returns None, with a warning in the log, if the fetch fails.
        """
        end = time.monotonic() + FETCH_SECONDS
        try:
            document = self._fetch_document(
                f"{self.address.rstrip('/')}/.well-known/openid-configuration", end
            )
            if document.get("issuer") != self.address:
                raise ValueError("the discovery document is another issuer's")
            keys_address = document.get("jwks_uri")
            if not isinstance(keys_address, str) or not is_safe_address(keys_address):
                raise ValueError("the discovery document names no safe address of keys")
            keys = _find_signature_keys(self._fetch_document(keys_address, end))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            log.warning("issuer_unreachable", issuer=self.address, reason=f"{type(error).__name__}: {error}")
            return None
        return KeySet(keys, self._clock())

    def _fetch_document(self, url: str, end: float) -> dict[str, object]:
        """Fetch a JSON object, bounded in size and time. Raises ValueError for any other reply."""
        body, timeout = bytearray(), max(0.1, end - time.monotonic())
        # No compression: the loop counts raw bytes.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        with self._client.stream("GET", url, headers=headers, timeout=timeout) as reply:
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


def _find_signature_keys(document: Mapping[str, object]) -> dict[str | None, dict[str, object]]:
    """Return key id → key of the public keys for signatures. Raises ValueError if the document has none."""
    keys = document.get("keys")
    usable = {
        key.get("kid"): key
        for key in (keys if isinstance(keys, list) else ())
        if isinstance(key, dict)
        and key.get("kty") in ("RSA", "EC", "OKP")
        and key.get("use", "sig") == "sig"
        and isinstance(key.get("kid"), str | None)
    }
    if not usable:
        raise ValueError("the issuer has no keys for signatures")
    return usable


def create_issuer(settings: Settings) -> Issuer | None:
    """Return the issuer of the settings. Returns None if they have none."""
    if settings.oidc_issuer is None:
        return None
    return Issuer(
        settings.oidc_issuer,
        audience=settings.oidc_audience or "",
        algorithms=frozenset(split_words(settings.oidc_algorithms)),
        skew_seconds=settings.oidc_clock_skew_seconds,
        subject_claim=settings.oidc_subject_claim,
    )
