"""Slow bodies: the service cuts a body without progress and takes a slow one to its end.

Slow heads, unread replies and the number of connections are bounded by the proxy: `make proofs GROUP=proxy`.
"""

import json
import time

import pytest

from tests.hostile.service import Service

UPLOAD = "POST /v1/plans/63.02-2026/validate HTTP/1.1\r\nHost: rata\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("length", ["Content-Length: 10000", "Transfer-Encoding: chunked"])
def test_a_body_byte_by_byte_is_408_in_both_languages(service: Service, length: str) -> None:
    for language, word in (("en", "did not get on"), ("id", "tidak berlanjut")):
        head = f"{UPLOAD}{service.authorization}{length}\r\nAccept-Language: {language}\r\n\r\n".encode()
        reply = service.ask(head + (b"1\r\n{\r\n" if "chunked" in length else b"{"))
        assert (reply.status, reply.problem["code"]) == (408, "too_slow")
        assert word in reply.problem["detail"]


def test_dripping_bodies_are_cut(service: Service) -> None:
    with service.line() as line:
        line.send(f"{UPLOAD}{service.authorization}Content-Length: 100000\r\n\r\n".encode())
        line.drip(b"[" * 10_000)


def test_a_poor_line_is_served_to_its_end(service: Service) -> None:
    """Far longer than the time in which it must get on, with pauses, both ways."""
    with service.line(receive_buffer=65536) as line:
        body = json.dumps({"title": "x" * 300_000}).encode()
        head = (
            f"PUT /v1/plans/63.02-2031?dry_run=true HTTP/1.1\r\nHost: rata\r\nContent-Length: {len(body)}\r\n"
        )
        line.send(f"{head}Content-Type: application/json\r\n{service.authorization}\r\n".encode())
        for at in range(0, len(body), 40_000):
            assert line.send(body[at : at + 40_000])
            time.sleep(0.2)
        assert b"HTTP/1.1 422" in line.socket.recv(65536)
        line.send(service.request("GET", "/openapi.json"))
        size = 0
        while data := line.socket.recv(50_000):
            size += len(data)
            time.sleep(0.02)
        assert size > 1_000_000
