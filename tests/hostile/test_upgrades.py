"""Offers to upgrade the protocol, which the service ignores (RFC 9110 §7.8).

Java's `HttpClient`, Ktor and `curl --http2` offer `Upgrade: h2c` with each request over plain HTTP, writes included.
"""

import json
import re
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.service import Reply, Service
from tests.plans.world import SOCIAL

PLAN = "/v1/plans/63.02-2026"
MERGE = f"/v1/regions/63.02/agencies/{SOCIAL}/merge?dry_run=true"
BODY = json.dumps({"title": "RAT 2031"}).encode()
REQUESTS: dict[str, tuple[str, str, list[str], bytes]] = {
    "GET": ("GET", "/v1/regions/63.02", [], b""),
    "PUT": ("PUT", "/v1/plans/63.02-2031?dry_run=true", [], BODY),
    "PUT without a body": ("PUT", "/v1/plans/63.02-2031?dry_run=true", [], b""),
    "PATCH": ("PATCH", f"{PLAN}?dry_run=true", ["If-Match: *"], BODY),
    "POST": ("POST", MERGE, ["If-Match: *"], BODY),
    "POST nowhere": ("POST", "/v1/nowhere", [], BODY),
    "DELETE": ("DELETE", f"{PLAN}?dry_run=true", ["If-Match: *"], b""),
}
OFFERS: dict[str, list[str]] = {
    "h2c": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAA"],
    "h2c, keep-alive": [
        "Connection: keep-alive, Upgrade",
        "Upgrade: h2c",
        "HTTP2-Settings: AAEAAEAAAAIAAAAA",
    ],
    "websocket": [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ],
    "foo": ["Connection: Upgrade", "Upgrade: foo"],
    "several": ["Connection: upgrade", "Upgrade: TLS/1.0, h2c", "Upgrade: foo/2"],
    "not named by Connection": ["Upgrade: h2c"],
}
NEXT = b"GET /problems/busy HTTP/1.1\r\nHost: rata\r\nConnection: close\r\n\r\n"
CHANGING = re.compile(
    rb"^(date|etag|x-request-id): .*\r\n|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)|\"request_id\":\"\w+\"",
    re.MULTILINE | re.IGNORECASE,
)
"""Parts that differ between two replies to equal requests."""


def build_request(service: Service, name: str, offer: list[str], is_chunked: bool) -> bytes:
    method, target, headers, body = REQUESTS[name]
    lines = [f"{method} {target} HTTP/1.1", "Host: rata", *offer, *headers]
    if body:
        lines += ["Content-Type: application/json"]
        lines += ["Transfer-Encoding: chunked"] if is_chunked else [f"Content-Length: {len(body)}"]
        if is_chunked:
            body = b"5\r\n%b\r\n%x;x=y\r\n%b\r\n0\r\n\r\n" % (body[:5], len(body) - 5, body[5:])
    return ("\r\n".join(lines) + f"\r\n{service.authorization}\r\n").encode() + body


def exchange(service: Service, pieces: list[bytes], *, is_piped: bool) -> Reply:
    """Send a request in pieces and a further one on the connection; return both replies."""
    with service.open_line() as line:
        for piece in pieces[:-1]:
            line.send(piece)
            time.sleep(0.002)
        line.send(pieces[-1] + (NEXT if is_piped else b""))
        first = b"" if is_piped else line.read_first().data
        if not is_piped:
            line.send(NEXT)
        return Reply(first + line.read_rest().data)


def drop_changing(reply: Reply) -> bytes:
    return CHANGING.sub(b"", reply.data)


@pytest.mark.parametrize("name", REQUESTS)
def test_an_offered_upgrade_changes_no_reply(service: Service, name: str) -> None:
    head_and_body = build_request(service, name, [], is_chunked=False).partition(b"\r\n\r\n")
    plain = exchange(service, [b"".join(head_and_body)], is_piped=False)
    assert len(plain.statuses) == 2
    assert plain.status != 400
    for offer in OFFERS.values():
        head, end, body = build_request(service, name, offer, is_chunked=False).partition(b"\r\n\r\n")
        for pieces in ([head + end + body], [head + end, body] if body else [head, end]):
            for is_piped in (False, True):
                assert drop_changing(exchange(service, pieces, is_piped=is_piped)) == drop_changing(plain), (
                    offer
                )


@given(
    name=st.sampled_from(sorted(REQUESTS)),
    offer=st.sampled_from(sorted(OFFERS)),
    is_chunked=st.booleans(),
    is_piped=st.booleans(),
    cuts=st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), max_size=3),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_offer_changes_no_reply_with_any_cuts_of_the_request(
    service: Service, name: str, offer: str, is_chunked: bool, is_piped: bool, cuts: list[float]
) -> None:
    plain = exchange(service, [build_request(service, name, [], is_chunked)], is_piped=is_piped)
    request = build_request(service, name, OFFERS[offer], is_chunked)
    ends = sorted({0, *(int(cut * len(request)) for cut in cuts), len(request)})
    pieces = [request[at:end] for at, end in pairwise(ends)]
    assert drop_changing(exchange(service, pieces, is_piped=is_piped)) == drop_changing(plain)


def test_a_write_succeeds_with_any_cut_of_its_request(service: Service) -> None:
    request = build_request(service, "PUT", OFFERS["h2c"], is_chunked=True)
    plain = exchange(service, [request], is_piped=False)
    assert plain.statuses == [201, 200]
    for at in range(1, len(request), 7):
        assert drop_changing(
            exchange(service, [request[:at], request[at:]], is_piped=False)
        ) == drop_changing(plain), at


def test_offers_are_not_logged(service: Service) -> None:
    service.ask(
        build_request(service, "GET", OFFERS["h2c"], is_chunked=False).replace(
            b"Connection: ", b"Connection: close, "
        )
    )
    service.ask(build_request(service, "GET", OFFERS["foo"], is_chunked=False) + NEXT)
    assert "pgrade" not in service.log.read_text()
