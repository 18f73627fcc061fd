"""Graceful shutdown: the service announces its stop to the proxy, and stops some seconds later.

Meanwhile `/ready` answers 503 and each reply closes its connection, so the proxy in front sends the next requests to
another service; this one still serves all that come. A request that arrives just as the server closes an idle
connection gets no reply.
"""

import os
import signal
import threading
from types import FrameType

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from app.kit.server.middleware import HttpMiddleware, wrap_send

STOPPING = threading.Event()
"""An event that is set once this process has received SIGTERM."""


def delay_stop(seconds: float) -> None:
    """Handle SIGTERM in two steps: set `STOPPING` at once, and call the previous handler so many seconds later."""
    if not seconds:
        return
    stop = signal.getsignal(signal.SIGTERM)
    assert callable(stop)
    again = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
    again.daemon = True

    def leave(number: int, frame: FrameType | None) -> None:
        if STOPPING.is_set():
            # the process may outlive the stop, and handle the signal in another way when the timer ends
            again.cancel()
            stop(number, frame)
            return
        STOPPING.set()
        again.start()

    signal.signal(signal.SIGTERM, leave)


class ConnectionClosing(HttpMiddleware):
    """Middleware that closes the connection after each reply, once the process has to stop."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        def close(message: Message) -> None:
            if STOPPING.is_set():
                MutableHeaders(scope=message)["Connection"] = "close"

        await self.app(scope, receive, wrap_send(send, close))
