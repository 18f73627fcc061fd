"""Helpers that read the feed as a client does."""

from collections.abc import Iterator
from typing import Any

from fastapi.testclient import TestClient


def page(client: TestClient, after: str | None = None, **query: Any) -> Any:
    """Read one page of the feed."""
    reply = client.get("/v1/changes", params={**query, **({"after": after} if after else {})})
    assert reply.status_code == 200, reply.text
    assert ("next" in reply.links) == reply.json()["more"]
    return reply.json()


def now(client: TestClient, **query: Any) -> str:
    """Return the cursor of the feed's end."""
    result = page(client, "now", **query)
    assert (result["items"], result["more"]) == ([], False)
    return str(result["next"])


def follow(client: TestClient, after: str | None = None, **query: Any) -> Iterator[dict[str, Any]]:
    """Yield every change after a cursor, page by page."""
    while True:
        result = page(client, after, **query)
        yield from result["items"]
        after = result["next"]
        if not result["more"]:
            return


def told(changes: Any) -> list[tuple[str, str]]:
    """Return (kind, subject) of changes, the subject below its plan or region."""
    return [(change["kind"], change["subject"].partition("/")[2].partition("/")[2]) for change in changes]
