"""The shipped nginx configuration in front of `rata serve`: time-outs, limits, and otherwise unchanged replies."""

import http.client
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.kit.database.engine import Database
from tests.hostile.service import SETTINGS, Service, run_service
from tests.hostile.test_upgrades import OFFERS, REQUESTS, build_request, drop_changing, exchange
from tests.plans.world import ACTION
from tests.proofs.programs import find_program
from tests.proofs.proxies import IMPATIENT, run_proxy

HEAD = b"GET /health HTTP/1.1\r\nHost: rata\r\n"
UPLOAD = "POST /v1/plans/63.02-2026/validate HTTP/1.1\r\nHost: rata\r\nContent-Type: application/json\r\n"
PLAN = "/v1/plans/63.02-2026"


@pytest.fixture(scope="module")
def direct(sqlite_template: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with run_service(sqlite_template, tmp_path_factory.mktemp("served"), SETTINGS) as service:
        action = f"{PLAN}/actions/A-001"
        for target, body in ((PLAN, {"title": "RAT"}), (action, ACTION)):
            reply = service.ask(service.build_request("PUT", target, body=json.dumps(body).encode()))
            assert reply.status == 201, reply.data
        service.ask(service.build_request("GET", "/openapi.json"))  # the first request renders it
        yield service


@pytest.fixture(scope="module")
def through(direct: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with run_proxy(direct, tmp_path_factory.mktemp("nginx")) as proxy:
        yield proxy


@pytest.fixture
def proxy(through: Service, direct: Service) -> Iterator[Service]:
    faults = len(direct.list_faults())
    yield through
    assert through.is_serving()
    assert direct.list_faults()[faults:] == []


# Slow clients


def test_idle_connection_is_cut(proxy: Service) -> None:
    with proxy.open_line() as line:
        assert proxy.is_serving()
        assert line.is_cut()


@pytest.mark.parametrize(
    "head", [HEAD, HEAD + b"X-Long: ", b"GET /" + b"a" * 50], ids=["lines", "value", "address"]
)
def test_slow_head_is_cut(proxy: Service, head: bytes) -> None:
    with proxy.open_line() as line:
        line.send(head[:-3])
        line.drip(head[-3:] + b"a" * 10_000)


def test_slow_head_is_cut_on_a_kept_connection_too(proxy: Service) -> None:
    with proxy.open_line() as line:
        line.send(HEAD + b"\r\n")
        assert line.read_first().status == 200
        line.drip(HEAD + b"X: " + b"a" * 10_000)


@pytest.mark.parametrize("length", ["Content-Length: 10000", "Transfer-Encoding: chunked"])
def test_stalled_body_is_cut(proxy: Service, length: str) -> None:
    head = f"{UPLOAD}{proxy.authorization}{length}\r\n\r\n".encode()
    with proxy.open_line() as line:
        line.send(head + (b"1\r\n{\r\n" if "chunked" in length else b"{"))
        assert proxy.is_serving()
        assert line.is_cut()


def test_refused_body_that_continues_is_cut(proxy: Service) -> None:
    with proxy.open_line() as line:
        line.send(f"{UPLOAD}{proxy.authorization}Content-Length: 50000000\r\n\r\n".encode())
        assert b" 413 " in line.socket.recv(65536)
        line.drip(b"[" * 10_000)


def test_unread_reply_is_reset(proxy: Service) -> None:
    with proxy.open_line(receive_buffer=4096) as line:
        line.send(proxy.build_request("GET", "/openapi.json"))
        assert line.is_reset()


def test_reply_read_byte_by_byte_is_reset(proxy: Service) -> None:
    with proxy.open_line(receive_buffer=4096) as line:
        line.send(proxy.build_request("GET", "/openapi.json"))
        for _ in range(4000):
            if line.is_reset(0):
                return
            line.socket.recv(1)
            time.sleep(0.01)
        raise AssertionError("the proxy kept sending to a slow reader")


def test_slow_client_receives_its_whole_reply(proxy: Service) -> None:
    """Both directions take several time-outs, at 15 times 2 kB/s, since the time-outs are 15 times as short."""
    with proxy.open_line(receive_buffer=16384) as line:
        body = json.dumps({"title": "x" * 300_000}).encode()
        head = f"PUT {PLAN}?dry_run=true HTTP/1.1\r\nHost: rata\r\nContent-Length: {len(body)}\r\nIf-Match: *\r\n"
        line.send(f"{head}Content-Type: application/json\r\n{proxy.authorization}\r\n".encode())
        for at in range(0, len(body), 40_000):
            assert line.send(body[at : at + 40_000])
            time.sleep(0.6)
        assert line.read_first().status == 422
        line.send(proxy.build_request("GET", "/openapi.json"))
        size, began = 0, time.monotonic()
        while data := line.socket.recv(3000):
            size += len(data)
            if size > 10 * 30_000:  # then read the rest at once
                continue
            time.sleep(max(0, size / 30_000 - (time.monotonic() - began)))
        assert size > 1_000_000


# Bounds


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: rata\r\n\r\n",
        HEAD + b"X-Large: " + b"a" * 100_000 + b"\r\n\r\n",
        HEAD + b"X-More: 1\r\n" * 100_000,
        HEAD
        + b"X-Large: "
        + b"a" * 30_000
        + b"\r\nX-Larger: "
        + b"a" * 30_000
        + b"\r\nX-Sum: "
        + b"a" * 7000
        + b"\r\n\r\n",
        HEAD + b"X-More: 1\r\n" * 1000 + b"\r\n",
    ],
    ids=["address", "header", "without end", "sum", "number"],
)
def test_large_head_is_431(proxy: Service, head: bytes) -> None:
    reply = proxy.ask(head)
    assert reply.data == b"" or (reply.status, reply.problem["code"]) == (431, "head_too_large")


def test_head_within_the_bounds_passes(proxy: Service) -> None:
    assert (
        proxy.ask(proxy.build_request("GET", "/v1/me", *(f"X-{n}: {'a' * 15_000}" for n in range(4)))).status
        == 200
    )


@pytest.mark.parametrize("is_chunked", [False, True])
def test_body_beyond_the_bound_is_413(proxy: Service, is_chunked: bool) -> None:
    head, piece = proxy.build_request("PUT", PLAN, body=b""), b"a" * 2**16
    framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % (26 * 2**20)
    with proxy.open_line() as line:
        line.send(head.replace(b"Content-Length: 0", framing))
        for _ in range(26 * 16):
            if not line.send(b"10000\r\n" + piece + b"\r\n" if is_chunked else piece):
                break
        reply = line.read_rest()
    assert reply.data == b"" or (reply.status, reply.problem["code"]) == (413, "too_large")
    whole = proxy.build_request("PUT", f"{PLAN}?dry_run=true", body=b" " * (25 * 2**20 - 2) + b"{}")
    assert proxy.ask(whole).status not in (413, None)


def test_busy_connections_are_limited_per_address(proxy: Service) -> None:
    unfinished = f"{UPLOAD}{proxy.authorization}Content-Length: 10\r\n\r\n".encode()
    lines = [proxy.open_line() for _ in range(20)]
    for line in lines:
        line.send(unfinished)
    time.sleep(0.2)
    reply = proxy.ask(proxy.build_request("GET", "/v1/me", "Accept-Language: en"))
    assert (reply.status, reply.problem["title"]) == (503, "Busy")
    assert "retry-after: 10" in reply.head
    for line in lines:
        line.socket.close()
    time.sleep(0.2)


def test_idle_connections_make_room(direct: Service, tmp_path: Path) -> None:
    few = {"worker_processes auto": "worker_processes 1", "worker_connections 2048": "worker_connections 40"}
    with run_proxy(
        direct, tmp_path, {**few, "client_header_timeout 30s": "client_header_timeout 300s"}
    ) as proxy:
        lines = [proxy.open_line() for _ in range(100)]
        assert proxy.is_serving()
        assert lines[0].is_cut()
        for line in lines:
            line.socket.close()


# Unchanged replies

REPLIED: list[tuple[str, str, dict[str, str], bytes | None]] = [
    ("GET", "/openapi.json", {}, None),
    ("GET", "/openapi.json", {"Accept-Encoding": "gzip"}, None),
    ("HEAD", "/openapi.json", {"Accept-Encoding": "gzip"}, None),
    ("GET", PLAN, {}, None),
    ("GET", f"{PLAN}/actions?limit=1", {"Accept-Encoding": "gzip"}, None),
    ("HEAD", f"{PLAN}/actions", {}, None),
    ("GET", "/v1/pulls/2026-Q2.csv?region=63", {}, None),
    ("GET", "/v1/pulls/2026-Q2.csv?region=63", {"Range": "bytes=5-20"}, None),
    ("GET", "/v1/pulls/2026-Q2.csv?region=63", {"Range": "bytes=99999999-"}, None),
    ("GET", "/v1/pulls/2026-Q2.csv?region=63", {"Accept-Encoding": "zstd"}, None),
    ("HEAD", "/v1/pulls/2026-Q2.parquet?region=63", {"Range": "bytes=5-20"}, None),
    ("GET", "/v1/pulls/2026-Q2?region=63", {}, None),
    ("GET", f"{PLAN}/matrix.xlsx", {}, None),
    ("GET", f"{PLAN}/actions/A-001", {"Accept-Encoding": "gzip"}, None),
    ("PUT", f"{PLAN}?dry_run=true", {}, b'{"title": "RAT"}'),
    ("PUT", f"{PLAN}?dry_run=true", {"If-Match": "*"}, b'{"title": "RAT"}'),
    ("PUT", f"{PLAN}?dry_run=true", {"If-Match": '"0"'}, b'{"title": "RAT"}'),
    ("PATCH", f"{PLAN}?dry_run=true", {"If-Match": "*"}, b'{"title": 5}'),
    ("GET", f"{PLAN}?unknown=1", {"Accept-Language": "en"}, None),
    ("GET", "/v1//plans/%2e/x%2Fy", {}, None),
    ("OPTIONS", PLAN, {}, None),
    ("DELETE", "/v1/me", {}, None),
]
OWN = {"date", "server", "connection", "transfer-encoding", "x-request-id"}
"""Headers that each hop writes."""


def fetch(
    service: Service, method: str, target: str, headers: dict[str, str], body: bytes | None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    own = {"Host": "rata", "Authorization": f"Bearer {service.token}", "X-Request-Id": "the-same"}
    if body is not None:
        own["Content-Type"] = "application/json"
    connection.request(method, target, body, own | headers)
    reply = connection.getresponse()
    fields = {name.lower(): value for name, value in reply.getheaders() if name.lower() not in OWN}
    data = reply.read()
    connection.close()
    return reply.status, fields, data


@pytest.mark.parametrize("request_parts", REPLIED, ids=lambda parts: f"{parts[0]} {parts[1]} {parts[2]}")
def test_reply_equals_that_of_the_service(
    proxy: Service, direct: Service, request_parts: tuple[str, str, dict[str, str], bytes | None]
) -> None:
    unproxied = fetch(direct, *request_parts)
    assert fetch(proxy, *request_parts) == unproxied
    tag = unproxied[1].get("etag")
    if tag and request_parts[0] in ("GET", "HEAD"):
        method, target, headers, body = request_parts
        for name in ("If-None-Match", "If-Match", "If-Range"):
            for value in (tag, '"another"'):
                conditional = (method, target, {**headers, name: value}, body)
                assert fetch(proxy, *conditional) == fetch(direct, *conditional), (name, value)


@pytest.mark.parametrize("name", REQUESTS)
def test_an_offered_upgrade_changes_no_reply(proxy: Service, name: str) -> None:
    for is_chunked in (False, True):
        plain = exchange(proxy, [build_request(proxy, name, [], is_chunked)], is_piped=False)
        assert len(plain.statuses) == 2
        for offer in OFFERS.values():
            head, end, body = build_request(proxy, name, offer, is_chunked).partition(b"\r\n\r\n")
            for pieces in ([head + end + body], [head, end + body]):
                for is_piped in (False, True):
                    assert drop_changing(exchange(proxy, pieces, is_piped=is_piped)) == drop_changing(
                        plain
                    ), offer


def test_expect_continue_receives_100_or_a_refusal(proxy: Service) -> None:
    head = proxy.build_request("POST", f"{PLAN}/validate", "Expect: 100-continue", body=b"")
    with proxy.open_line() as line:
        line.send(head.replace(b"Content-Length: 0", b"Content-Length: 2"))
        assert line.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.send(b"{}")
        assert line.read_rest().is_answered_or_cut
    assert proxy.ask(head.replace(b"Content-Length: 0", b"Content-Length: 99999999")).statuses == [413]


# Forwarded headers and long replies


class Stub:
    """A server of one reply that records request heads and counts sent bytes."""

    def __init__(self, size: int) -> None:
        self.size, self.sent = size, 0
        self.heads: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            line, _ = self._socket.accept()
            with line:
                self.heads.append(line.recv(65536).decode("latin-1"))
                line.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(self.size // 2**16):
                    line.sendall(b"10000\r\n" + bytes(2**16) + b"\r\n")
                    self.sent += 2**16
                line.sendall(b"0\r\n\r\n")


@contextmanager
def run_stub(size: int, folder: Path) -> Iterator[tuple[Stub, Service]]:
    stub = Stub(size)
    with run_proxy(Service(stub.port, "none", 0, folder), folder) as proxy:
        yield stub, proxy


def test_service_receives_the_addresses_of_nginx_and_no_hop_header(tmp_path: Path) -> None:
    with run_stub(0, tmp_path) as (stub, proxy):
        lies = [
            "X-Forwarded-For: 1.2.3.4",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil",
            "Forwarded: for=1.2.3.4",
        ]
        lies += [
            "X-Real-IP: 1.2.3.4",
            "X-Request-Id: kept-id",
            "Proxy-Connection: keep-alive",
            "TE: trailers",
        ]
        proxy.ask(
            build_request(proxy, "GET", [*OFFERS["h2c"], *lies, "X-End: yes"], False).replace(
                b"Connection:", b"Connection: close,"
            )
        )
        proxy.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert dict(line.split(": ", 1) for line in stub.heads[0].split("\r\n")[1:] if line) == {
        "Host": "rata",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Request-Id": "kept-id",
        "Authorization": "Bearer none",
        "X-End": "yes",
    }
    assert "Host: _" in stub.heads[1]
    assert re.search(r"X-Request-Id: [0-9a-f]{32}\r\n", stub.heads[1])


def test_long_reply_passes_whole_at_the_speed_of_its_reader(tmp_path: Path) -> None:
    """nginx buffers less than a megabyte of a reply as long as a national pull, the kernel some more."""
    size = 512 * 2**20
    with run_stub(size, tmp_path) as (stub, proxy), proxy.open_line() as line:
        line.send(proxy.build_request("GET", "/v1/pulls/2026-Q2"))
        received = 0
        for _ in range(4):
            time.sleep(0.8)
            received += len(line.socket.recv(2**20))
            assert stub.sent - received < 12 * 2**20
        while data := line.socket.recv(2**20):
            received += len(data)
    assert stub.sent == size
    assert received >= size


# Refusals of the proxy


def get_problem(service: Service, data: bytes) -> dict[str, Any]:
    reply = service.ask(data)
    assert f"x-request-id: {reply.problem['request_id']}" in reply.head
    assert "cache-control: no-store" in reply.head
    return reply.problem


CLOSING = HEAD + b"Connection: close\r\n"


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"\x00\x01\x02\x03\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/9.9\r\nHost: rata\r\n\r\n", 400, "bad_request"),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: rata\r\nConnection: close\r\n\r\n", 400, "bad_request"),
        (CLOSING.replace(b"GET", b"TRACE") + b"\r\n", 400, "bad_request"),
        (CLOSING.replace(b"GET", b"POST") + b"Transfer-Encoding: gzip\r\n\r\n", 400, "bad_request"),
        (CLOSING.replace(b"/health", b"/_proxy/busy") + b"\r\n", 404, "not_found"),
        (CLOSING + b"Content-Length: 99999999\r\n\r\n", 413, "too_large"),
        (HEAD + b"X: " + b"a" * 100_000 + b"\r\n\r\n", 431, "head_too_large"),
    ],
)
def test_refusal_of_the_proxy_is_a_problem_in_both_languages(
    proxy: Service, data: bytes, status: int, code: str
) -> None:
    problem = get_problem(proxy, data)
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"/problems/{code}")
    english = get_problem(proxy, data.replace(b"Host: rata\r\n", b"Host: rata\r\nAccept-Language: en-GB\r\n"))
    assert english["code"] == code
    assert proxy.ask(proxy.build_request("GET", problem["type"])).status == 200


def test_unreachable_service_is_busy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with run_proxy(Service(port, "none", 0, tmp_path), tmp_path) as proxy:
        reply = proxy.ask(proxy.build_request("PUT", PLAN, "X-Request-Id: mine", body=b"{}"))
        assert (reply.status, reply.problem["code"], reply.problem["request_id"]) == (503, "busy", "mine")
        assert "retry-after: 10" in reply.head
        head = proxy.ask(proxy.build_request("HEAD", PLAN))
        assert head.statuses == [503]
        assert head.data.endswith(b"\r\n\r\n")


def test_log_has_no_query_and_no_address(proxy: Service) -> None:
    proxy.ask(proxy.build_request("GET", "/v1/me?secret=1", "X-Request-Id: look-for-me"))
    lines = [json.loads(line) for line in proxy.log.read_text().splitlines()]
    (entry,) = [line for line in lines if line["request_id"] == "look-for-me"]
    assert (entry["path"], entry["status"]) == ("/v1/me", "400")
    assert "secret" not in proxy.log.read_text()
    assert "127.0.0.1" not in proxy.log.read_text()


def test_variant_with_tls_works(direct: Service, tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    command = [
        find_program("openssl", "openssl"),
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", "/CN=rata", "-addext", "subjectAltName=DNS:rata"]
    command += ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run(command, check=True, capture_output=True)
    with run_proxy(direct, tmp_path / "nginx", IMPATIENT, tls=folder) as proxy:
        trusted = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
        with trusted.wrap_socket(proxy.open_line().socket, server_hostname="rata") as line:
            line.sendall(proxy.build_request("GET", "/v1/nowhere"))
            data = b""
            while piece := line.recv(65536):
                data += piece
        assert b'"type":"https://rata/problems/not_found"' in data
        assert get_problem(proxy, HEAD + b"\r\n")["code"] == "bad_request"
        with proxy.open_line() as idle:
            assert idle.is_cut()
