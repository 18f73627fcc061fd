"""The line before the work: fair between callers, bounded, left by who goes, and never in the way of health."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.kit.problems import Busy
from app.kit.server.admission import Admission, Slot, Slots
from app.kit.server.rate_limit import Caller
from app.kit.server.request_body import RequestBodies

LONG = 60.0
Scenario = Callable[["House"], Coroutine[Any, Any, None]]


class Asked:
    """One request, and the reply that came."""

    def __init__(self, house: "House", caller: str, body: bytes | None, path: str) -> None:
        self.caller, self.sent = caller, asyncio.Queue[Message]()
        self.status, self.headers, self.body = 0, {}, b""
        headers = [(b"authorization", caller.encode())]
        if body is not None:
            headers.append((b"content-length", str(len(body)).encode()))
        self.sent.put_nowait({"type": "http.request", "body": body or b"", "more_body": False})
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        scope |= {"server": ("test", 80), "scheme": "http", "client": None, "ended": asyncio.Event()}
        scope["caller"] = Caller("principal", caller)
        self.task = asyncio.ensure_future(house.app(scope, self.sent.get, self._take))

    async def _take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        self.body += message.get("body", b"")

    def go(self) -> None:
        self.sent.put_nowait({"type": "http.disconnect"})

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


class House:
    """An application whose requests work until they are told to end, behind the line."""

    def __init__(self, places: int = 1, length: int = 10, seconds: float = LONG) -> None:
        self.places = Slots(places, length=length, seconds=seconds)
        self.app = RequestBodies(Admission(self._work, places=self.places), limit=1000, together=2**20)
        self.in_work: list[str] = []
        self.ends: list[asyncio.Event] = []
        self.read: list[bytes] = []
        self.sends = asyncio.Event()

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.in_work.append(dict(scope["headers"])[b"authorization"].decode())
        self.ends.append(scope["ended"])
        self.read.append((await receive())["body"])
        await scope["ended"].wait()
        if scope["path"].endswith("/export"):
            scope["give_back_place"]()
            await self.sends.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"].endswith("/pull"):
            await self.sends.wait()
        await send({"type": "http.response.body", "body": b""})

    async def asks(self, caller: str, *, body: bytes | None = None, path: str = "/v1/plans") -> Asked:
        asked = Asked(self, caller, body, path)
        await settled()
        return asked

    async def end_one(self) -> None:
        self.ends.pop(0).set()
        await settled()


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def played(scenario: Scenario, **options: Any) -> None:
    async def play() -> None:
        await scenario(House(**options))

    asyncio.run(play())


def test_callers_take_turns_and_each_of_their_requests_in_order() -> None:
    async def scenario(house: House) -> None:
        for caller in ("a", "a", "a", "a", "b", "c", "b"):
            await house.asks(caller)
        assert (house.in_work, house.places.waiting) == (["a"], 6)
        for _ in range(6):
            await house.end_one()
        assert house.in_work == ["a", "a", "b", "c", "a", "b", "a"]
        await house.end_one()
        assert (house.places.waiting, house.places.free) == (0, 1)

    played(scenario)


def test_a_full_line_refuses_who_has_most_in_it() -> None:
    async def scenario(house: House) -> None:
        await house.asks("a")
        first, second, third = [await house.asks("a") for _ in range(3)]
        assert (third.status, third.code, third.headers["retry-after"]) == (503, "busy", "1")
        single = await house.asks("b")
        assert (second.status, single.status, house.places.waiting) == (503, 0, 2)
        assert (await house.asks("c")).status == 503  # one each: who comes last
        for _ in range(3):
            await house.end_one()
        assert (first.status, single.status, house.in_work) == (200, 200, ["a", "a", "b"])
        assert house.places.turned_away == {"full": 3}

    played(scenario, length=2)


def test_without_a_line_what_finds_no_place_is_refused() -> None:
    async def scenario(house: House) -> None:
        await house.asks("a")
        assert (await house.asks("b")).status == 503

    played(scenario, length=0)


def test_who_waited_too_long_is_told_and_takes_nothing_with_it() -> None:
    async def scenario(house: House) -> None:
        await house.asks("a")
        late = await house.asks("b")
        await late.task
        assert (late.status, house.places.waiting, house.places.turned_away) == (503, 0, {"late": 1})
        await house.end_one()
        assert house.places.free == 1

    played(scenario, seconds=0.01)


@pytest.mark.parametrize("body", [None, b"{}"])
def test_who_goes_leaves_the_line(body: bytes | None) -> None:
    async def scenario(house: House) -> None:
        await house.asks("a")
        gone, next_one = await house.asks("b", body=body), await house.asks("c", body=body)
        gone.go()
        await gone.task
        assert (house.places.waiting, house.places.turned_away) == (1, {"gone": 1})
        await house.end_one()
        assert (house.in_work, house.read[-1]) == (["a", "c"], body or b"")
        await house.end_one()
        assert (next_one.status, house.places.free) == (200, 1)

    played(scenario)


def test_who_goes_as_its_turn_comes_passes_the_place_on() -> None:
    async def scenario(house: House) -> None:
        await house.asks("a")
        gone, cancelled, last = [await house.asks(caller) for caller in "bcd"]
        house.ends.pop(0).set()
        gone.go()
        cancelled.task.cancel()
        await settled()
        assert (house.in_work, last.status) == (["a", "d"], 0)
        await house.end_one()
        assert house.places.free == 1

    played(scenario)


@pytest.mark.parametrize("path", ["/v1/pull", "/v1/export"])
def test_what_is_being_sent_or_made_elsewhere_holds_no_place(path: str) -> None:
    async def scenario(house: House) -> None:
        slow = await house.asks("a", path=path)
        await house.end_one()
        assert not slow.task.done()
        assert house.places.free == 1
        await house.asks("b")
        await house.end_one()
        house.sends.set()
        await slow.task
        assert (slow.status, house.places.free) == (200, 1)  # given back once

    played(scenario)


def test_what_comes_in_holds_no_place() -> None:
    async def scenario(house: House) -> None:
        coming = Asked(house, "a", b"{", "/v1/plans")
        coming.sent.get_nowait()
        coming.sent.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
        await settled()
        assert (house.places.free, house.in_work) == (1, [])
        coming.sent.put_nowait({"type": "http.request", "body": b"}", "more_body": False})
        await settled()
        assert (house.places.free, house.read) == (0, [b"{}"])
        await house.end_one()

    played(scenario)


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/metrics", "/docs", "/problems/busy", "/openapi.json"]
)
def test_what_says_how_it_is_never_waits(path: str) -> None:
    async def scenario(house: House) -> None:
        await house.asks("a")
        at_once = await house.asks("a", path=path)
        assert house.in_work == ["a", "a"]
        house.ends.pop().set()
        await at_once.task
        assert at_once.status == 200

    played(scenario)


def test_a_place_that_is_given_back_twice_is_one() -> None:
    places = Slots(1, length=1, seconds=LONG)
    assert places.take()
    place = Slot(places)
    place.give_back()
    place.give_back()
    assert places.free == 1


def test_busy_tells_to_come_after_as_long_as_the_last_one_waited() -> None:
    places = Slots(1, length=1, seconds=LONG)
    places._waited = 3.2
    assert isinstance(places.busy(), Busy)
    assert places.busy().headers == {"Retry-After": "4"}
