"""Cursors of the feed, the way back for whom it has left behind, and what makes a chain whole. Pure."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.kit.database.journal import NOT_HASHED, link_hash
from app.kit.database.json_sql import to_json
from app.kit.http.pagination import foreign_cursor
from app.kit.problems import BadRequest, FieldError, Kind, Problem, Text

expired_cursor = Kind(
    "expired_cursor",
    id="umpan tidak lagi memuat semua perubahan sejak kursor ini; ambil kursor baru, lalu baca ulang: {allowed}",
    en="the feed no longer has every change since this cursor; take a new cursor, then read again: {allowed}",
)


class FeedGone(Problem):
    status = 410
    code = "feed_gone"
    title = Text("Umpan tidak sampai ke situ", "The feed does not reach back that far")
    detail = Text(
        "Umpan memuat perubahan {days} hari terakhir. Ambil kursor baru dengan after=now, baca ulang alamat di "
        "errors, lalu lanjutkan dari kursor itu.",
        "The feed has the changes of the last {days} days. Take a new cursor with after=now, read the addresses "
        "in errors again, then go on from that cursor.",
    )


SOURCES = [
    "/v1/principals?region={region}",
    "/v1/regions/{place}/agencies",
    "/v1/webhooks?region={region}",
    "/v1/plans?region={region}",
    "/v1/plans/{plan}/actions",
    "/v1/coverage/{period}?region={place}",
    "/v1/indicators",
    "/v1/observations?region={region}",
    "/v1/targets?region={region}",
    "/v1/service-packages",
    "/v1/methods",
    "/v1/plans/{plan}/revisions",
    "/v1/step-templates",
    "/v1/regions/{place}/steps/{year}",
    "/v1/plans/{plan}/overlaps",
    "/v1/coordinates?region={region}",
    "/v1/meetings?region={region}",
    "/v1/commitments?region={region}",
    "/v1/quarters?region={region}",
    "/v1/plans/{plan}/progress/{period}",
    "/v1/snapshots?region={region}",
]
"""Addresses at which what changes is read in full. `?region={region}` narrows a list; `{place}` is a region that
must be named, one by one. They are addresses, not imports: the feed knows no plans, yet says where to read them."""


def way_back(region: str | None) -> list[str]:
    """List what to call, in this order, when the feed has left a reader behind.

    A regency is filled in. A province and the nation have others below them, so `{region}` is left for the reader.
    """
    narrowed = f"?region={region}" if region else ""
    place = region if region and "." in region else "{region}"
    sources = [source.replace("?region={region}", narrowed).replace("{place}", place) for source in SOURCES]
    return [f"/v1/changes?after=now{narrowed.replace('?', '&')}", *sources]


WEBHOOK_CHAINS = "webhook:"
"""With a webhook behind it: the journal's chain of it and its secrets, for the administrators of its region."""


# Cursors


class Place(NamedTuple):
    """A row of the feed, named by what its reader knows of it.

    Not by its number in the feed: the numbers between two that a reader sees would tell how much happens
    where it sees nothing. The hash makes it this very row: after a restored backup another row may stand there.
    """

    chain: str
    position: int
    hash: str


BEGINNING = Place("", 0, "")
_HASH_LENGTH = 16


def cursor_of(place: Place, filters: Sequence[object]) -> str:
    """The cursor that goes on behind a row, for a feed of these filters."""
    values = [place.chain, place.position, place.hash[:_HASH_LENGTH]]
    return (
        base64.urlsafe_b64encode(to_json([_digest(values, filters), *values]).encode()).decode().rstrip("=")
    )


def place_of(cursor: str, filters: Sequence[object]) -> Place:
    """The row behind which a cursor goes on; BadRequest for one that this feed did not give."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        digest, *values = json.loads(raw)
        place = Place(*values)
        if _is_place(place) and digest == _digest(values, filters) and cursor == cursor_of(place, filters):
            return place
    except (binascii.Error, ValueError, TypeError, RecursionError):
        pass  # said below, in one way for every kind of broken cursor
    raise BadRequest(errors=[FieldError(foreign_cursor, parameter="after", value=cursor)])


def _is_place(place: Place) -> bool:
    """The digest is no secret: somebody may have made a cursor of something else."""
    texts = (place.chain, place.hash)
    is_text = all(type(text) is str and "\0" not in text for text in texts)
    return is_text and type(place.position) is int and abs(place.position) < 2**63


def _digest(values: Sequence[object], filters: Sequence[object]) -> str:
    return hashlib.sha256(to_json(["changes", *filters, *values]).encode()).hexdigest()[:12]


# Whether the journal is whole


@dataclass(frozen=True)
class Break:
    """Where a chain, or the feed, does not hold."""

    chain: str
    position: int
    what: str
    subject: str | None = None
    version: int | None = None
    sequence: int | None = None

    def __str__(self) -> str:
        about = f" ({self.subject}, version {self.version}, number {self.sequence} of the feed)"
        return f"{self.chain}, link {self.position}{about if self.subject else ''}: {self.what}"


class End(NamedTuple):
    """Where a chain ends, as its head says."""

    position: int
    hash: str


def first_break(chain: str, rows: Iterable[Mapping[str, Any]], end: End) -> Break | None:
    """The first link of a chain that does not hold; `rows` are those of the journal, in their order."""
    link, place, number = "0" * 64, 0, 0
    for row in rows:
        place += 1
        found = _wrong(row, link, place, number, end)
        if found is not None:
            is_there = row["position"] == place
            shown = (row["subject"], row["version"], row["sequence"]) if is_there else (None, None, None)
            return Break(chain, place, found, *shown)
        link, number = row["hash"], row["sequence"]
    if place < end.position:
        return Break(chain, place + 1, f"missing; the chain has {end.position} links")
    if link != end.hash:
        return Break(chain, place, "the head of the chain has another hash")
    return None


def _wrong(row: Mapping[str, Any], link: str, place: int, number: int, end: End) -> str | None:
    if row["position"] != place:
        return f"missing; the next one there is {row['position']}"
    if place > end.position:
        return f"behind the end; the head of the chain says that it has {end.position}"
    said = {name: value for name, value in row.items() if name not in NOT_HASHED}
    if link_hash(link, {**said, "at": row["at"].isoformat()}) != row["hash"]:
        return "its hash is not that of the link before it and of what it says"
    if row["sequence"] <= number:
        return f"it stands in the feed before the link that it follows, at {number}"
    return None
