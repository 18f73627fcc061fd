"""A real receiver in a thread, which answers as a test sets and verifies with the published library."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

Answer = Callable[["Post"], int]


class Post:
    """A request that the receiver got."""

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers, self.body = headers, body

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def read_by(self, secret: str) -> Any:
        """Return its content; the library raises an exception if that secret did not sign it."""
        return Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """A receiver that keeps every post; `answer` gives the status of each."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.posts: list[Post] = []
        self.answer: Answer = lambda post: 204

    def take(self) -> list[Post]:
        """Return the posts since the last call."""
        posts, self.posts = self.posts, []
        return posts


@contextmanager
def run_receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            post = Post({name.lower(): value for name, value in self.headers.items()}, body)
            receiver.posts.append(post)
            status = receiver.answer(post)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{receiver.address}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hooks")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
