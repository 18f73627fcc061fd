"""Requests that only a raw connection can send: the service refuses or cuts each and serves the next client.

The HTTP server refuses bytes that it cannot parse with 400 as plain text; the application refuses with a problem.
"""

import gzip
import time
import zlib
from collections.abc import Iterator

import pytest

from tests.hostile.service import Service

PLAN = "/v1/plans/63.02-2026"
GET = b"GET /v1/me HTTP/1.1\r\nHost: rata\r\nConnection: close\r\n"
POST = b"POST /v1/plans HTTP/1.1\r\nHost: rata\r\nContent-Type: application/json\r\nConnection: close\r\n"
HEADS: dict[str, tuple[bytes, set[int | None]]] = {
    "nothing of HTTP": (b"\x00\x01\x02\x03\r\n\r\n", {400}),
    "words": (b"hello there\r\n\r\n", {400}),
    "unknown method": (GET.replace(b"GET", b"STEAL") + b"\r\n", {405}),
    "method in small letters": (GET.replace(b"GET", b"get") + b"\r\n", {405}),
    "method without a route": (b"TRACE /v1/me HTTP/1.1\r\nHost: rata\r\nConnection: close\r\n\r\n", {405}),
    "no version": (b"GET /v1/me\r\n\r\n", {400}),
    "HTTP/0.9": (GET.replace(b"1.1", b"0.9") + b"\r\n", {401}),
    "HTTP/1.0": (b"GET /v1/me HTTP/1.0\r\n\r\n", {401}),
    "HTTP/9.9": (GET.replace(b"1.1", b"9.9") + b"\r\n", {401}),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00", {404}),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x07" * 300, {400}),
    "bare line feeds": (b"GET /v1/me HTTP/1.1\nHost: rata\nConnection: close\n\n", {400, 401}),
    "spaces in the address": (b"GET /v1/ me HTTP/1.1\r\nHost: rata\r\n\r\n", {400}),
    "no address": (b"GET  HTTP/1.1\r\nHost: rata\r\n\r\n", {400}),
    "address of bytes": (b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: rata\r\nConnection: close\r\n\r\n", {400, 404}),
    "NUL in the address": (b"GET /v1/me\x00 HTTP/1.1\r\nHost: rata\r\n\r\n", {400}),
    "dots": (b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: rata\r\nConnection: close\r\n\r\n", {404}),
    "coded dots": (
        b"GET /docs/static/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: rata\r\nConnection: close\r\n\r\n",
        {404},
    ),
    # the server does not support the absolute form, which only proxies receive; nginx does
    "absolute address": (GET.replace(b"/v1/me", b"http://elsewhere/v1/me") + b"\r\n", {404}),
    "absolute address of nothing": (GET.replace(b"/v1/me", b"http://elsewhere") + b"\r\n", {400, 404}),
    "a tunnel": (GET.replace(b"GET /v1/me", b"CONNECT elsewhere:443") + b"\r\n", {404}),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: rata\r\nConnection: close\r\n\r\n", {400, 404, 405}),
    "fragment": (GET.replace(b"/v1/me", b"/v1/me#x") + b"\r\n", {404}),
    "long address": (b"GET /v1/" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: rata\r\n\r\n", {431}),
    "long query": (b"GET /v1/me?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: rata\r\n\r\n", {431}),
    "header of a megabyte": (GET + b"X-Large: " + b"a" * 2**20 + b"\r\n\r\n", {400, 431, None}),
    "name of a megabyte": (GET + b"X" * 2**20 + b": 1\r\n\r\n", {400, 431, None}),
    "headers without end": (GET + b"X-More: 1\r\n" * 200_000, {400, 431, None}),
    "a large head": (GET + b"X-Large: " + b"a" * 65_000 + b"\r\n\r\n", {401}),
    "a head too large": (GET + b"X-Large: " + b"a" * 66_000 + b"\r\n\r\n", {431}),
    "a head too large in pieces": (GET + b"X-Large: " + b"a" * 120_000 + b"\r\n\r\n", {431}),
    "hundreds of headers": (GET + b"X-More: 1\r\n" * 400 + b"\r\n", {401}),
    "a thousand headers": (GET + b"X-More: 1\r\n" * 1000 + b"\r\n", {431}),
    "NUL in a header": (GET + b"X-Nul: a\x00b\r\n\r\n", {400}),
    "return in a header": (GET + b"X-Cr: a\rb\r\n\r\n", {400}),
    "folded header": (GET + b"X-Fold: a\r\n b\r\n\r\n", {400, 401}),
    "header without name": (GET + b": a\r\n\r\n", {400}),
    "space before the colon": (GET + b"X-Space : a\r\n\r\n", {400}),
    "header without colon": (GET + b"X-None\r\n\r\n", {400}),
    "no host": (b"GET /v1/me HTTP/1.1\r\nConnection: close\r\n\r\n", {400, 401}),
    "strange host": (b"GET /v1/me HTTP/1.1\r\nHost: a b/?#@:99999\r\nConnection: close\r\n\r\n", {400, 401}),
    "id that injects": (GET + b"X-Request-Id: a%0d%0aSet-Cookie: x\r\n\r\n", {401}),
    "language that injects": (GET + b"Accept-Language: en\x0bX: y\r\n\r\n", {400, 401}),
    "token of bytes": (GET + b"Authorization: Bearer \xff\xfe\r\n\r\n", {401}),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", {400}),
    "two equal lengths": (POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", {400, 401, 404, 405}),
    "list of lengths": (POST + b"Content-Length: 2, 2\r\n\r\n{}", {400, 405}),
    "length and chunks": (
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        {400, 405},
    ),
    "negative length": (POST + b"Content-Length: -1\r\n\r\n", {400}),
    "length with a sign": (POST + b"Content-Length: +2\r\n\r\n{}", {400}),
    "length in words": (POST + b"Content-Length: abc\r\n\r\n", {400}),
    "length of many digits": (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", {400}),
    "length beyond the limit": (POST + b"Content-Length: 52428800\r\n\r\n{", {413}),
    "unknown transfer coding": (POST + b"Transfer-Encoding: x\r\n\r\n{}", {400}),
    "coding after chunked": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", {400, 405}),
    "chunk that lies": (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}{}{}\r\n0\r\n\r\n", {400}),
    "chunk of no number": (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", {400}),
    "negative chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", {400}),
    "chunk beyond any number": (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n{}", {400}),
    "chunk extension without end": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"a" * 2**20,
        {400, 431, None},
    ),
    "headers behind a body": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n",
        {400, 401, 404, 405},
    ),
    "headers behind a body without end": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"X-More: 1\r\n" * 100_000,
        {400, 431, None},
    ),
    "expects something else": (GET + b"Expect: 200-ok\r\n\r\n", {401, 417}),
}


@pytest.mark.parametrize("name", HEADS)
def test_malformed_heads_are_refused_or_cut(service: Service, name: str) -> None:
    sent, statuses = HEADS[name]
    reply = service.ask(sent)
    assert reply.status in statuses, reply.data[:300]
    assert reply.is_answered_or_cut
    assert "set-cookie" not in reply.head


def test_pipelined_requests_are_served_in_order_until_malformed_bytes(service: Service) -> None:
    pipelined = b"".join(
        b"GET /problems/%b HTTP/1.1\r\nHost: rata\r\n\r\n" % code for code in (b"busy", b"nothing")
    )
    reply = service.ask(pipelined + b"GET /health HTTP/1.1\r\nHost: rata\r\nConnection: close\r\n\r\n")
    assert reply.statuses == [200, 404, 200]
    reply = service.ask(pipelined + b"\x00\x00\x00")
    assert reply.statuses == [200, 404, 400]


def test_a_flood_of_pipelined_requests_is_read_only_as_replies_are_read(service: Service) -> None:
    """The service stops reading from a client that reads no replies."""
    request = b"GET /problems/busy HTTP/1.1\r\nHost: rata\r\n\r\n"
    with service.open_line(receive_buffer=4096) as line:
        line.socket.setblocking(False)
        sent, last = 0, time.monotonic()
        while time.monotonic() < last + 1 and sent < 2**26:
            try:
                sent += line.socket.send(request * 1000)
                last = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert sent < 2**26


def test_expect_continue_receives_100_or_a_refusal(service: Service) -> None:
    head = service.build_request("POST", f"{PLAN}/validate", "Expect: 100-continue", body=b"").replace(
        b"Content-Length: 0", b"Content-Length: 2"
    )
    with service.open_line() as line:
        line.send(head)
        assert line.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.send(b"{}")
        assert line.read_rest().is_answered_or_cut
    refused = service.ask(head.replace(b"Content-Length: 2", b"Content-Length: 99999999"))
    assert refused.statuses == [413]


def build_bombs() -> Iterator[tuple[str, bytes]]:
    zeros = b"[" + b"0," * 10_000_000 + b"0]"
    yield "gzip", gzip.compress(zeros)
    yield "deflate", zlib.compress(zeros)
    yield "br", b"\x1b\xff\xff"
    yield "gzip, gzip", gzip.compress(gzip.compress(zeros))


def test_compressed_bodies_are_415_before_they_are_read(service: Service) -> None:
    for coding, body in build_bombs():
        sent = service.build_request("POST", f"{PLAN}/actions", f"Content-Encoding: {coding}", body=body)
        problem = service.ask(sent).problem
        assert (problem["status"], problem["errors"][0]["header"]) == (415, "Content-Encoding")
    plain = service.build_request(
        "PUT", f"{PLAN}?dry_run=true", "Content-Encoding: identity", body=b'{"title": "RAT"}'
    )
    assert service.ask(plain).status in (200, 201)


@pytest.mark.parametrize("size", [30 * 2**20, 50 * 2**20])
@pytest.mark.parametrize("has_length", [True, False])
def test_large_bodies_are_413(service: Service, size: int, has_length: bool) -> None:
    head = service.build_request("PUT", PLAN, body=b"")
    piece = b"a" * 2**16
    with service.open_line() as line:
        if has_length:
            line.send(head.replace(b"Content-Length: 0", b"Content-Length: %d" % size))
        else:
            line.send(head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        for _ in range(size // len(piece)):
            if not line.send(piece if has_length else b"10000\r\n" + piece + b"\r\n"):
                break
        reply = line.read_rest()
    assert reply.data == b"" or (reply.status, reply.problem["code"]) == (413, "too_large")


def test_a_body_is_never_parsed_as_a_further_request(service: Service) -> None:
    inner = b"GET /v1/me HTTP/1.1\r\nHost: rata\r\n\r\n"
    sent = POST.replace(b"Connection: close\r\n", b"") + b"Content-Length: %d\r\n\r\n" % len(inner) + inner
    reply = service.ask(sent + service.build_request("GET", "/problems/busy"))
    assert len(reply.statuses) == 2
    assert b'"instance":"/v1/plans"' in reply.data
    assert b'"code":"busy"' in reply.data
