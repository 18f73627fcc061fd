"""Slow clients: who does not get on is cut, who gets on slowly is not, and nobody else notices either."""

import json
import time

import pytest

from tests.hostile.service import SETTINGS, Service

HEAD = b"GET /health HTTP/1.1\r\nHost: rata\r\n"
UPLOAD = "POST /v1/plans/63.02-2026/validate HTTP/1.1\r\nHost: rata\r\nContent-Type: application/json\r\n"


def test_who_says_nothing_is_cut(service: Service) -> None:
    with service.line() as line:
        assert service.serves()
        assert line.is_cut()


@pytest.mark.parametrize(
    "head", [HEAD, HEAD + b"X-Long: ", b"GET /" + b"a" * 50], ids=["lines", "value", "address"]
)
def test_headers_byte_by_byte_are_cut_with_a_word(service: Service, head: bytes) -> None:
    with service.line() as line:
        line.send(head[:-3])
        assert service.serves()
        line.drip(head[-3:] + b"a" * 10_000)
        # what was sent after the cut may have taken the answer with it
        reply = line.rest()
        assert reply.data == b"" or reply.problem["code"] == "too_slow"


def test_headers_that_stop_hear_why(service: Service) -> None:
    reply = service.ask(HEAD)
    assert (reply.status, reply.problem["code"]) == (408, "too_slow")


def test_a_further_request_on_the_same_connection_may_not_drip_either(service: Service) -> None:
    with service.line() as line:
        line.send(HEAD + b"\r\n")
        assert b"200 OK" in line.socket.recv(65536)
        line.drip(HEAD + b"X: " + b"a" * 10_000)


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


def test_a_refused_body_may_not_go_on_for_ever(service: Service) -> None:
    with service.line() as line:
        line.send(f"{UPLOAD}{service.authorization}Content-Length: 50000000\r\n\r\n".encode())
        assert b"413 " in line.socket.recv(65536)
        line.drip(b"[" * 10_000)


def test_who_does_not_read_its_reply_is_cut(service: Service) -> None:
    with service.line(receive_buffer=4096) as line:
        line.send(service.request("GET", "/openapi.json"))
        assert line.is_reset()


def test_who_reads_byte_by_byte_is_cut(service: Service) -> None:
    with service.line(receive_buffer=4096) as line:
        line.send(service.request("GET", "/openapi.json"))
        for _ in range(4000):
            if line.is_reset(0):
                return
            line.socket.recv(1)
            time.sleep(0.01)
        raise AssertionError("was read to for as long as it liked")


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


def test_connections_that_ask_for_nothing_make_room(service: Service) -> None:
    lines = [service.line() for _ in range(int(SETTINGS["RATA_CONNECTIONS"]))]
    assert service.serves()
    assert lines[0].is_cut()
    for line in lines:
        line.socket.close()
