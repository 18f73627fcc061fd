"""Rate limits per caller: a budget of reads and one of writes in each worker process, and one of invalid tokens.

The caller is a principal, with all of its tokens, if this worker recognised the secret of the request in the last ten
minutes; otherwise it is the client's address. A window is a minute from the caller's first request. Each reply reports
the remaining budget, in the fields of draft-ietf-httpapi-ratelimit-headers.

The look-up of an unknown secret reserves one failure of the address, and refunds it if the secret is valid. An
address without failures left gets 429 before any look-up. Recognised secrets still pass, so one machine cannot lock
out an office that shares its address.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from math import ceil
from threading import Lock
from typing import Literal, NamedTuple

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.http.credentials import read_address, read_secret
from app.kit.http.replies import answer_problem
from app.kit.http.unit_of_work import WRITES
from app.kit.problems import Problem, RateLimited, TooManyFailures, Unauthenticated
from app.kit.server.middleware import wrap_send
from app.kit.wording import Text, declare_words

WINDOW_SECONDS = 60
RECOGNISED_SECONDS = 600
"""Time for which a recognised secret counts for its principal, and is exempt from the failures of its address."""
MOST_CALLERS = 20_000
"""Most windows of a budget for addresses, and as many for principals; also most recognised secrets."""
SHARED_WINDOWS = 256
"""Windows that all further callers share."""


class Caller(NamedTuple):
    """The principal or the address that pays for a request."""

    kind: Literal["address", "principal"]
    key: str


class Remaining(NamedTuple):
    """The state of a budget after a request: whether the request fits, requests left, seconds to the window's end."""

    is_within: bool
    left: int
    seconds: int


class Budget:
    """A quota of requests per caller and window; 0 is no limit. Thread-safe, with a bound on its memory.

    A window stays until its end, so no flood of addresses resets a budget. Beyond `most` open windows, further
    callers share some, by a hash that changes with each process. Principals have windows apart from those of
    addresses: only a valid token opens one.
    """

    def __init__(self, name: str, quota: int, *, most: int = MOST_CALLERS) -> None:
        self.name, self.quota, self._most = name, quota, most
        self.policy = f'"{name}";q={quota};w={WINDOW_SECONDS}'.encode()
        # Kind → caller → (end, used), earliest end first.
        self._windows: dict[str, OrderedDict[str, tuple[float, int]]] = {}
        self._guard = Lock()

    def spend(self, caller: Caller, now: float, *, requests: int = 1) -> Remaining:
        """Count a request; one beyond the quota leaves the budget unchanged."""
        if not self.quota:
            return Remaining(True, 0, 0)
        with self._guard:
            windows, key = self._find_window(caller, now)
            ends, used = windows.get(key, (now + WINDOW_SECONDS, 0))
            is_within = used < self.quota
            used += requests if is_within else 0
            windows[key] = ends, used
        return Remaining(is_within, self.quota - used, max(1, ceil(ends - now)))

    def peek(self, caller: Caller, now: float) -> Remaining:
        """Return the state of the budget without counting a request."""
        return self.spend(caller, now, requests=0)

    def refund(self, caller: Caller, now: float) -> None:
        """Subtract one request from the current window."""
        with self._guard:
            windows, key = self._find_window(caller, now)
            if key in windows:
                ends, used = windows[key]
                windows[key] = ends, max(0, used - 1)

    def _find_window(self, caller: Caller, now: float) -> tuple[OrderedDict[str, tuple[float, int]], str]:
        """Return the open windows of the caller's kind, and the key of its own window or of a shared one."""
        windows = self._windows.setdefault(caller.kind, OrderedDict())
        while windows and windows[next(iter(windows))][0] <= now:
            windows.popitem(last=False)
        if caller.key in windows or len(windows) < self._most:
            return windows, caller.key
        return windows, f"\0{hash(caller.key) % SHARED_WINDOWS}"

    def __len__(self) -> int:
        return sum(map(len, self._windows.values()))


declare_words({"reads": Text("baca", "read"), "writes": Text("tulis", "write")}, form="budget")


class RecognisedSecrets:
    """A thread-safe cache: hash of a secret that this worker recognised lately → its caller.

    Beyond `most` it evicts the secret with the oldest recognition, which loses an exemption and no budget: budgets
    belong to principals.
    """

    def __init__(self, most: int = MOST_CALLERS) -> None:
        self._most, self._guard = most, Lock()
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    def find(self, secret: bytes, now: float) -> Caller | None:
        """Return the caller of a secret. Returns None without a recognition in the last ten minutes."""
        at, caller = self._known.get(secret, (now, None))
        return caller if now - at < RECOGNISED_SECONDS else None

    def keep(self, secret: bytes, caller: Caller, now: float) -> None:
        """Remember the caller of a secret from now on."""
        with self._guard:
            self._known[secret] = now, caller
            self._known.move_to_end(secret)
            if len(self._known) > self._most:
                self._known.popitem(last=False)

    def drop(self, secret: bytes) -> None:
        """Forget a secret that is no longer valid."""
        with self._guard:
            self._known.pop(secret, None)

    def __len__(self) -> int:
        return len(self._known)


class RateBudgets:
    """The budgets of one worker, and the secrets that it recognised."""

    def __init__(
        self, *, reads: int, writes: int, failures: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.reads, self.writes = Budget("reads", reads), Budget("writes", writes)
        self.failures = Budget("failures", failures)
        self.recognised = RecognisedSecrets()
        self.clock = clock


class Charge:
    """The account of one request: its caller, and the remaining budget to report."""

    __slots__ = ("_address", "_budget", "_is_recognised", "_rates", "_reported", "_secret", "caller")

    def __init__(self, rates: RateBudgets, scope: Scope) -> None:
        self._rates = rates
        self._budget = rates.writes if scope["method"] in WRITES else rates.reads
        self._address = Caller("address", read_address(scope))
        secret = read_secret(scope)
        self._secret = None if secret is None else blake2b(secret.encode(), digest_size=16).digest()
        known = None if self._secret is None else rates.recognised.find(self._secret, rates.clock())
        self._is_recognised = known is not None
        self.caller = known or self._address
        self._reported: tuple[Budget, Remaining] | None = None

    def begin(self) -> None:
        """Spend the caller's budget. Raises RateLimited, or TooManyFailures if the address has no failures left."""
        if self._secret is not None and not self._is_recognised:
            failures = self._rates.failures
            self._check(TooManyFailures, failures, failures.peek(self._address, self._rates.clock()))
        self._check(RateLimited, self._budget, self._spend(self.caller))

    @contextmanager
    def look_up(self) -> Iterator[None]:
        """Reserve a failure of the address for a block that looks the secret up; keep it on Unauthenticated only.

        Raises TooManyFailures if none is left, so concurrent requests look up no more secrets than the quota.
        """
        failures, clock = self._rates.failures, self._rates.clock
        is_reserved, is_refused = not self._is_recognised, False
        if is_reserved:
            self._check(TooManyFailures, failures, failures.spend(self._address, clock()))
        try:
            yield
        except Unauthenticated:
            is_refused = True
            if self._secret is not None:
                self._rates.recognised.drop(self._secret)
            self._is_recognised = False
            raise
        finally:
            if is_reserved and not is_refused:
                failures.refund(self._address, clock())
            elif is_refused and not is_reserved:
                failures.spend(self._address, clock())
                self._recharge(self._address)

    def recognise(self, principal: str) -> None:
        """Charge the request to the principal of its secret. Raises RateLimited.

        One request counts once: later calls for the same principal charge nothing.
        """
        now, caller = self._rates.clock(), Caller("principal", principal)
        if self._secret is not None:
            self._rates.recognised.keep(self._secret, caller, now)
            self._is_recognised = True
        if caller != self.caller:
            self._check(RateLimited, self._budget, self._recharge(caller))

    def report_fields(self) -> list[tuple[bytes, bytes]]:
        """Return the rate-limit headers of the reply: those of the last charge, or of the exhausted budget."""
        if self._reported is None or not self._reported[0].quota:
            return []
        budget, (_, left, seconds) = self._reported
        return [
            (b"ratelimit-policy", budget.policy),
            (b"ratelimit", f'"{budget.name}";r={left};t={seconds}'.encode()),
        ]

    def _spend(self, caller: Caller) -> Remaining:
        remaining = self._budget.spend(caller, self._rates.clock())
        self._reported = self._budget, remaining
        return remaining

    def _recharge(self, caller: Caller) -> Remaining:
        """Refund the request to its caller so far, and charge another."""
        self._budget.refund(self.caller, self._rates.clock())
        self.caller = caller
        return self._spend(caller)

    def _check(self, refusal: type[Problem], budget: Budget, remaining: Remaining) -> None:
        if remaining.is_within:
            return
        self._reported = budget, remaining
        raise refusal(
            headers={"Retry-After": str(remaining.seconds)},
            quota=budget.quota,
            budget=budget.name,
            seconds=remaining.seconds,
        )


class RateLimits:
    """Middleware that refuses requests beyond a budget with 429, and reports the budget on every reply of `/v1`.

    It puts the request's `Charge` in the scope, where authentication names the principal of the secret.
    """

    def __init__(self, app: ASGIApp, *, rates: RateBudgets) -> None:
        self.app, self.rates = app, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_of_api(scope):
            await self.app(scope, receive, send)
            return
        charge = scope["charge"] = Charge(self.rates, scope)
        scope["caller"] = charge.caller

        def report(message: Message) -> None:
            message["headers"] = [*message["headers"], *charge.report_fields()]

        send_remaining = wrap_send(send, report)
        try:
            charge.begin()
        except Problem as refusal:
            await answer_problem(Request(scope), refusal)(scope, receive, send_remaining)
            return
        await self.app(scope, receive, send_remaining)


def is_of_api(scope: Scope) -> bool:
    """Return whether a request is for `/v1`, behind a server's own path prefix too."""
    if scope["type"] != "http":
        return False
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path.startswith("/v1/")
