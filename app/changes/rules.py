"""Cursors of the feed, the addresses to read again after a 410, and the check of a hash chain. Pure functions."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.kit.database.journal import COVERED, hash_row
from app.kit.database.json_sql import dump_json
from app.kit.http.pagination import foreign_cursor
from app.kit.problems import BadRequest, FieldError, Kind, Problem
from app.kit.wording import Text

expired_cursor = Kind(
    "expired_cursor",
    id="Umpan tidak lagi memuat semua perubahan sejak kursor ini. Baca ulang alamat yang terdaftar.",
    en="The feed no longer has every change since this cursor. Read the listed addresses again.",
)


class FeedGone(Problem):
    status = 410
    code = "feed_gone"
    title = Text("Umpan tidak lagi memuat perubahan itu", "The feed no longer has these changes")
    detail = Text(
        "Umpan memuat perubahan {days} hari terakhir. Ambil kursor baru, baca ulang alamat yang "
        "terdaftar di bawah, lalu lanjutkan dari kursor itu.",
        "The feed has the changes of the last {days} days. Take a new cursor, read the addresses "
        "listed below again, then continue from that cursor.",
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
    "/v1/yardsticks?region={region}",
]
"""Addresses of all resources in the feed. `?region={region}` narrows a list; `{place}` is one region, to repeat for
each. Plain addresses, since this area cannot import the areas that own them."""


def list_sources(region: str | None) -> list[str]:
    """Return the addresses to read again, in order, if the feed no longer reaches back to a reader's cursor.

    Fills in `{place}` for a regency. A province and the nation have regions below, so the reader fills in `{region}`.
    """
    narrowed = f"?region={region}" if region else ""
    place = region if region and "." in region else "{region}"
    sources = [source.replace("?region={region}", narrowed).replace("{place}", place) for source in SOURCES]
    return [f"/v1/changes?after=now{narrowed.replace('?', '&')}", *sources]


WEBHOOK_CHAINS = "webhook:"
"""Prefix of the journal chain of a webhook and its secrets; only administrators of its region see the entries."""


# Cursors


class FeedPosition(NamedTuple):
    """A row of the feed as a cursor names it.

    Without the number in the feed: gaps between the numbers would reveal how much happens in regions that the reader
    does not see. The hash identifies the row: after the restore of a backup another row may have its position.
    """

    chain: str
    position: int
    hash: str


BEGINNING = FeedPosition("", 0, "")
_HASH_LENGTH = 16


def encode_cursor(place: FeedPosition, filters: Sequence[object]) -> str:
    """Return the cursor after a row, for a feed with these filters."""
    values = [place.chain, place.position, place.hash[:_HASH_LENGTH]]
    return (
        base64.urlsafe_b64encode(dump_json([_hash_values(values, filters), *values]).encode())
        .decode()
        .rstrip("=")
    )


def decode_cursor(cursor: str, filters: Sequence[object]) -> FeedPosition:
    """Return the row of a cursor. Raises BadRequest if the cursor is not of a feed with these filters."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        digest, *values = json.loads(raw)
        place = FeedPosition(*values)
        if (
            _is_place(place)
            and digest == _hash_values(values, filters)
            and cursor == encode_cursor(place, filters)
        ):
            return place
    except (binascii.Error, ValueError, TypeError, RecursionError):
        pass  # one error for every kind of broken cursor
    raise BadRequest(errors=[FieldError(foreign_cursor, parameter="after", value=cursor)])


def _is_place(place: FeedPosition) -> bool:
    """Return whether the values have the right types. The digest is no secret, so a client can make up any cursor."""
    texts = (place.chain, place.hash)
    is_text = all(type(text) is str and "\0" not in text for text in texts)
    return is_text and type(place.position) is int and abs(place.position) < 2**63


def _hash_values(values: Sequence[object], filters: Sequence[object]) -> str:
    return hashlib.sha256(dump_json(["changes", *filters, *values]).encode()).hexdigest()[:12]


# Verification of the journal


@dataclass(frozen=True)
class ChainBreak:
    """The first broken link of a chain, or the first gap of the feed."""

    chain: str
    position: int
    what: str
    subject: str | None = None
    version: int | None = None
    sequence: int | None = None

    def __str__(self) -> str:
        about = f" ({self.subject}, version {self.version}, number {self.sequence} of the feed)"
        return f"{self.chain}, link {self.position}{about if self.subject else ''}: {self.what}"


class ChainEnd(NamedTuple):
    """Position and hash of a chain's last link, of its head."""

    position: int
    hash: str


def find_first_break(chain: str, rows: Iterable[Mapping[str, Any]], end: ChainEnd) -> ChainBreak | None:
    """Return the first broken link of a chain, from its journal rows in order. Returns None if it is intact."""
    link, place, number = "0" * 64, 0, 0
    for row in rows:
        place += 1
        error = _find_error(row, link, place, number, end)
        if error is not None:
            is_there = row["position"] == place
            shown = (row["subject"], row["version"], row["sequence"]) if is_there else (None, None, None)
            return ChainBreak(chain, place, error, *shown)
        link, number = row["hash"], row["sequence"]
    if place < end.position:
        return ChainBreak(chain, place + 1, f"missing; the chain has {end.position} links")
    if link != end.hash:
        return ChainBreak(chain, place, "the head of the chain has another hash")
    return None


def _find_error(row: Mapping[str, Any], link: str, place: int, number: int, end: ChainEnd) -> str | None:
    if row["position"] != place:
        return f"missing; the next link is number {row['position']}"
    if place > end.position:
        return f"behind the end; the head of the chain has {end.position} links"
    if row["format"] not in COVERED:
        return f"this version does not know its format, {row['format']}"
    if not _has_hash(row, link):
        return "its hash does not match its content and the previous link"
    if row["sequence"] <= number:
        return f"its number in the feed is lower than that of the previous link, {number}"
    return None


def _has_hash(row: Mapping[str, Any], link: str) -> bool:
    try:
        return bool(hash_row(link, row) == row["hash"])
    except (AttributeError, LookupError, TypeError, ValueError):
        return False  # a changed cell may have any shape
