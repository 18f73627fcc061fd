"""The queue before the work: fair between callers, bounded, without disconnected requests, and bypassed by health."""

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
Scenario = Callable[["Service"], Coroutine[Any, Any, None]]


class Request:
    """A request and its reply."""

    def __init__(self, service: "Service", caller: str, body: bytes | None, path: str) -> None:
        self.caller, self.sent = caller, asyncio.Queue[Message]()
        self.status, self.headers, self.body = 0, {}, b""
        headers = [(b"authorization", caller.encode())]
        if body is not None:
            headers.append((b"content-length", str(len(body)).encode()))
        self.sent.put_nowait({"type": "http.request", "body": body or b"", "more_body": False})
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        scope |= {"server": ("test", 80), "scheme": "http", "client": None, "ended": asyncio.Event()}
        scope["caller"] = Caller("principal", caller)
        self.task = asyncio.ensure_future(service.app(scope, self.sent.get, self._take))

    async def _take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        self.body += message.get("body", b"")

    def disconnect(self) -> None:
        self.sent.put_nowait({"type": "http.disconnect"})

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


class Service:
    """An application behind the queue, with requests that run until the test ends them."""

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

    async def send(self, caller: str, *, body: bytes | None = None, path: str = "/v1/plans") -> Request:
        request = Request(self, caller, body, path)
        await settle()
        return request

    async def end_first(self) -> None:
        self.ends.pop(0).set()
        await settle()


async def settle() -> None:
    """Run all tasks that can proceed."""
    for _ in range(20):
        await asyncio.sleep(0)


def play(scenario: Scenario, **options: Any) -> None:
    async def run() -> None:
        await scenario(Service(**options))

    asyncio.run(run())


def test_callers_take_turns_and_their_requests_run_in_order() -> None:
    async def scenario(service: Service) -> None:
        for caller in ("a", "a", "a", "a", "b", "c", "b"):
            await service.send(caller)
        assert (service.in_work, service.places.waiting) == (["a"], 6)
        for _ in range(6):
            await service.end_first()
        assert service.in_work == ["a", "a", "b", "c", "a", "b", "a"]
        await service.end_first()
        assert (service.places.waiting, service.places.free) == (0, 1)

    play(scenario)


def test_a_full_queue_refuses_the_caller_with_most_requests() -> None:
    async def scenario(service: Service) -> None:
        await service.send("a")
        first, second, third = [await service.send("a") for _ in range(3)]
        assert (third.status, third.code, third.headers["retry-after"]) == (503, "busy", "1")
        single = await service.send("b")
        assert (second.status, single.status, service.places.waiting) == (503, 0, 2)
        assert (await service.send("c")).status == 503  # one request each: the last is refused
        for _ in range(3):
            await service.end_first()
        assert (first.status, single.status, service.in_work) == (200, 200, ["a", "a", "b"])
        assert service.places.turned_away == {"full": 3}

    play(scenario, length=2)


def test_without_a_queue_a_request_without_a_free_slot_is_refused() -> None:
    async def scenario(service: Service) -> None:
        await service.send("a")
        assert (await service.send("b")).status == 503

    play(scenario, length=0)


def test_a_request_that_waits_too_long_is_503_and_keeps_no_slot() -> None:
    async def scenario(service: Service) -> None:
        await service.send("a")
        late = await service.send("b")
        await late.task
        assert (late.status, service.places.waiting, service.places.turned_away) == (503, 0, {"late": 1})
        await service.end_first()
        assert service.places.free == 1

    play(scenario, seconds=0.01)


@pytest.mark.parametrize("body", [None, b"{}"])
def test_a_disconnected_request_leaves_the_queue(body: bytes | None) -> None:
    async def scenario(service: Service) -> None:
        await service.send("a")
        gone, following = await service.send("b", body=body), await service.send("c", body=body)
        gone.disconnect()
        await gone.task
        assert (service.places.waiting, service.places.turned_away) == (1, {"gone": 1})
        await service.end_first()
        assert (service.in_work, service.read[-1]) == (["a", "c"], body or b"")
        await service.end_first()
        assert (following.status, service.places.free) == (200, 1)

    play(scenario)


def test_a_request_that_disconnects_at_its_turn_passes_the_slot_on() -> None:
    async def scenario(service: Service) -> None:
        await service.send("a")
        gone, cancelled, last = [await service.send(caller) for caller in "bcd"]
        service.ends.pop(0).set()
        gone.disconnect()
        cancelled.task.cancel()
        await settle()
        assert (service.in_work, last.status) == (["a", "d"], 0)
        await service.end_first()
        assert service.places.free == 1

    play(scenario)


@pytest.mark.parametrize("path", ["/v1/pull", "/v1/export"])
def test_a_reply_in_transfer_and_an_export_in_the_background_hold_no_slot(path: str) -> None:
    async def scenario(service: Service) -> None:
        slow = await service.send("a", path=path)
        await service.end_first()
        assert not slow.task.done()
        assert service.places.free == 1
        await service.send("b")
        await service.end_first()
        service.sends.set()
        await slow.task
        assert (slow.status, service.places.free) == (200, 1)  # released once

    play(scenario)


def test_an_arriving_body_holds_no_slot() -> None:
    async def scenario(service: Service) -> None:
        coming = Request(service, "a", b"{", "/v1/plans")
        coming.sent.get_nowait()
        coming.sent.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
        await settle()
        assert (service.places.free, service.in_work) == (1, [])
        coming.sent.put_nowait({"type": "http.request", "body": b"}", "more_body": False})
        await settle()
        assert (service.places.free, service.read) == (0, [b"{}"])
        await service.end_first()

    play(scenario)


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/metrics", "/docs", "/problems/busy", "/openapi.json"]
)
def test_service_addresses_bypass_the_queue(path: str) -> None:
    async def scenario(service: Service) -> None:
        await service.send("a")
        at_once = await service.send("a", path=path)
        assert service.in_work == ["a", "a"]
        service.ends.pop().set()
        await at_once.task
        assert at_once.status == 200

    play(scenario)


def test_a_slot_released_twice_counts_once() -> None:
    places = Slots(1, length=1, seconds=LONG)
    assert places.take()
    place = Slot(places)
    place.give_back()
    place.give_back()
    assert places.free == 1


def test_retry_after_is_the_wait_of_the_last_request() -> None:
    places = Slots(1, length=1, seconds=LONG)
    places._waited = 3.2
    assert isinstance(places.busy(), Busy)
    assert places.busy().headers == {"Retry-After": "4"}
