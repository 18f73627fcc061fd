"""A proxy that injects faults into replies: it drops, resets, delays, cuts and changes them."""

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable

from tests.client.world import Line

Fault = Callable[[bytes, int], bytes]
"""A fault maps (piece of a connection's replies, its offset) to the piece that passes."""


class Dropped(Exception):
    """The end of a connection: nothing more passes."""


class Reset(Dropped):
    """The end of a connection by a reset."""


class FaultyLine(Line):
    """A proxy that draws a fault for each connection, each kind in turn; a seed repeats them."""

    def __init__(self, port: int, seed: int, size: int) -> None:
        self._chance, self._size = random.Random(seed), size
        self.is_bad, self.is_plain = True, False
        """If True, the proxy removes Accept-Encoding."""
        self.drawn: set[str] = set()
        self._next: list[str] = []
        super().__init__(port)

    def _draw(self) -> Fault:
        if not self.is_bad:
            return _nothing
        chance = self._chance
        # heads of replies are shorter than a kilobyte, and a third of the faults hits them
        at = chance.randrange(1000) if chance.random() < 0.3 else chance.randrange(self._size)
        faults = {
            "drop": _ends(at, Dropped),
            "reset": _ends(at, Reset),
            "delay": _delays(chance.random() / 100),
            "lose": _cuts_out(at, chance.randrange(1, 3000)),
            "change": _changes(at, chance.randrange(1, 256)),
            "change and drop": _both(_changes(at // 2, 1 << chance.randrange(8)), _ends(at, Dropped)),
        }
        if not self._next:
            self._next = chance.sample([*faults], len(faults))
        name = self._next.pop()
        self.drawn.add(name)
        return faults[name]

    def _serve(self, caller: socket.socket, fault: Fault) -> None:
        with caller, socket.create_connection(("127.0.0.1", self._port)) as service:
            asking = threading.Thread(target=self._ask, args=(caller, service), daemon=True)
            asking.start()
            at = 0
            try:
                while data := service.recv(8192):
                    caller.sendall(fault(data, at))
                    at += len(data)
            except Reset:
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except (Dropped, OSError):
                pass
            for side in (caller, service):
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
            asking.join(5)

    def _ask(self, caller: socket.socket, service: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := caller.recv(65536):
                if self.is_plain:
                    data = data.replace(b"Accept-Encoding: gzip\r\n", b"Accept-Encoding: identity\r\n")
                service.sendall(data)
            service.shutdown(socket.SHUT_RDWR)


def _nothing(data: bytes, at: int) -> bytes:
    return data


def _ends(end: int, how: type[Dropped]) -> Fault:
    left: list[bytes] = []

    def fault(data: bytes, at: int) -> bytes:
        if left or at >= end:
            raise how
        if at + len(data) > end:
            left.append(data)
            return data[: end - at]
        return data

    return fault


def _delays(seconds: float) -> Fault:
    def fault(data: bytes, at: int) -> bytes:
        time.sleep(seconds)
        return data

    return fault


def _cuts_out(begin: int, count: int) -> Fault:
    def fault(data: bytes, at: int) -> bytes:
        return data[: max(0, begin - at)] + data[max(0, begin + count - at) :]

    return fault


def _changes(place: int, by: int) -> Fault:
    def fault(data: bytes, at: int) -> bytes:
        if not at <= place < at + len(data):
            return data
        changed = bytearray(data)
        changed[place - at] ^= by
        return bytes(changed)

    return fault


def _both(first: Fault, second: Fault) -> Fault:
    return lambda data, at: second(first(data, at), at)
