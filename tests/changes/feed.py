"""Reading the feed as a client does."""

from collections.abc import Iterator
from typing import Any

from fastapi.testclient import TestClient


def page(client: TestClient, after: str | None = None, **query: Any) -> Any:
    """One page of the feed."""
    reply = client.get("/v1/changes", params={**query, **({"after": after} if after else {})})
    assert reply.status_code == 200, reply.text
    assert ("next" in reply.links) == reply.json()["more"]
    return reply.json()


def now(client: TestClient, **query: Any) -> str:
    """The cursor from here on."""
    found = page(client, "now", **query)
    assert (found["items"], found["more"]) == ([], False)
    return str(found["next"])


def follow(client: TestClient, after: str | None = None, **query: Any) -> Iterator[dict[str, Any]]:
    """Every change behind a cursor, page by page."""
    while True:
        found = page(client, after, **query)
        yield from found["items"]
        after = found["next"]
        if not found["more"]:
            return


def told(changes: Any) -> list[tuple[str, str]]:
    """(kind, subject) of changes, the subject below its plan or region."""
    return [(one["kind"], one["subject"].partition("/")[2].partition("/")[2]) for one in changes]
