"""Read a list to its end by the `Link` header."""

from collections.abc import Iterator
from typing import Any

from fastapi.testclient import TestClient


def walk(client: TestClient, path: str) -> Iterator[dict[str, Any]]:
    """Yield every item of a list, page by page."""
    url: str | None = path
    while url is not None:
        reply = client.get(url)
        assert reply.status_code == 200, reply.text
        yield from reply.json()["items"]
        url = reply.links.get("next", {}).get("url")
        assert (url is None) == (reply.json()["next"] is None)
