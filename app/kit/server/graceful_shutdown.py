"""A service that is asked to stop says so first, so that nobody finds it gone.

Its `/ready` answers 503 and each reply closes its connection, while requests are served as ever: the proxy in front
sees it and sends the next ones elsewhere. A request that comes just as an idle connection is closed has no answer.
"""

import os
import signal
import threading
from types import FrameType

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from app.kit.server.middleware import Layer, at_start

LEAVING = threading.Event()
"""Whether this process was asked to stop."""


def leave_first(seconds: float) -> None:
    """From here on SIGTERM is heard twice: it sets `LEAVING`, and so many seconds later it does what it did."""
    if not seconds:
        return
    stop = signal.getsignal(signal.SIGTERM)
    assert callable(stop)
    again = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
    again.daemon = True

    def leave(number: int, frame: FrameType | None) -> None:
        if LEAVING.is_set():
            # the process may live on and handle the signal otherwise by the time that the timer ends
            again.cancel()
            stop(number, frame)
            return
        LEAVING.set()
        again.start()

    signal.signal(signal.SIGTERM, leave)


class ClosesConnections(Layer):
    """Has the connection closed behind each reply, once the process is to stop."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        def close(message: Message) -> None:
            if LEAVING.is_set():
                MutableHeaders(scope=message)["Connection"] = "close"

        await self.app(scope, receive, at_start(send, close))
