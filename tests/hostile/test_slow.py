"""The service serves a slow client to its end.

The proxy cuts stalled clients: `make proofs GROUP=proxy`.
"""

import json
import time

from tests.hostile.service import Service


def test_a_slow_client_receives_its_whole_reply(service: Service) -> None:
    with service.open_line(receive_buffer=65536) as line:
        body = json.dumps({"title": "x" * 300_000}).encode()
        head = (
            f"PUT /v1/plans/63.02-2031?dry_run=true HTTP/1.1\r\nHost: rata\r\nContent-Length: {len(body)}\r\n"
        )
        line.send(f"{head}Content-Type: application/json\r\n{service.authorization}\r\n".encode())
        for at in range(0, len(body), 40_000):
            assert line.send(body[at : at + 40_000])
            time.sleep(0.2)
        assert b"HTTP/1.1 422" in line.socket.recv(65536)
        line.send(service.build_request("GET", "/openapi.json"))
        size = 0
        while data := line.socket.recv(50_000):
            size += len(data)
            time.sleep(0.02)
        assert size > 1_000_000
