"""Wire shapes of the history and of the feed, two views of the journal (`kit.database.journal`)."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue

from app.kit.fields import SOMETIMES, RegionCode, show_example
from app.kit.http.pagination import PageQuery

NOW = "now"
"""Value of `after` in place of a cursor: the end of the feed."""

KindFilter = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+)?$", max_length=60)]

Sequence = Annotated[
    int,
    Field(
        ge=1,
        description="Place among the changes of one plan, of one region's agencies, of its meetings and "
        "commitments, of its targets, or of all observations, from 1 without a gap: without "
        "filters, a missing number is a missed change.",
    ),
]
Changes = Annotated[
    dict[str, list[object]],
    Field(description="Field → [from, to]; null for no value. Lists are complete."),
]
Kind = Annotated[
    str,
    Field(
        description="Noun and verb, such as `action.changed`, or `….deleted` for a deletion. `scope.changed`: "
        "the token's view of that region and those below has changed; read the region again."
    ),
]
Subject = Annotated[str, Field(description="Address of the resource below `/v1/`.")]
Actor = Annotated[
    str,
    Field(description="Position or service that wrote; its tokens may change. Never the name of a person."),
]
TokenName = Annotated[
    str | None,
    Field(description="Name of the token; null without the right to administer the home of `actor`."),
]

_CHANGE: dict[str, JsonValue] = {
    "sequence": 17,
    "at": "2026-04-14T02:11:09.481516+00:00",
    "kind": "progress.changed",
    "subject": "plans/63.02-2026/actions/A-001/progress/2026-Q1",
    "version": 2,
    "actor": "opd-dinsos",
    "token": None,
}


class HistoryEntry(BaseModel):
    """One write: position, time, old and new values, reason."""

    sequence: Sequence
    at: datetime
    kind: Kind
    subject: Subject
    version: int = Field(
        description="Row version that the write made; of a deletion, the one after the last."
    )
    actor: Actor
    token: TokenName
    reason: str | None = Field(description="Reason that the writer gave, if any.")
    changes: Changes
    request_id: str | None = Field(description="`X-Request-Id` of the request; null for the command line.")

    model_config = show_example(
        {
            **_CHANGE,
            "reason": None,
            "changes": {"spent": [60000000, 58500000], "obstacle": ["", "Salah catat"]},
            "request_id": "5f0c6a7e",
        }
    )


class HistoryQuery(PageQuery):
    """Filter and order of a history."""

    kind: list[KindFilter] = Field(
        default=[],
        max_length=20,
        description="Only these: a noun (`progress`) or a noun and a verb (`progress.changed`); repeatable.",
    )
    sort: Literal["sequence", "-sequence"] = "sequence"


class Change(BaseModel):
    """One change of the feed."""

    sequence: Sequence
    at: datetime
    kind: Kind
    region_code: RegionCode
    subject: Subject
    version: int = Field(
        description="Row version that the write made; of a deletion, the one after the last."
    )
    actor: Actor
    token: TokenName
    changes: Changes | None = Field(
        default=None, description="Field → [from, to]; only with `changes=true`.", json_schema_extra=SOMETIMES
    )

    model_config = show_example({**_CHANGE, "region_code": "63.02"})


class ChangePage(BaseModel):
    """Changes in the order of their commits."""

    items: list[Change]
    next: str = Field(description="Cursor to go on from (send it as `after`); keep it with your copy.")
    more: bool = Field(description="True if further changes exist already: ask again at once.")

    model_config = show_example(
        {
            "items": [{**_CHANGE, "region_code": "63.02"}],
            "next": "WyI2NTVmYzUyNjYzZWYiLCJwbGFuOjYzLjAyLTIwMjYiLDE3LCI5ZmYwYjU3ZSJd",
            "more": False,
        }
    )


class ChangesQuery(BaseModel):
    """Cursor and filters of the feed."""

    after: str | None = Field(
        default=None,
        max_length=2000,
        description="Cursor: `next` of the previous page. `now` returns no items, but the cursor of the "
        "feed's end. Without it, the feed starts at its beginning.",
    )
    region: RegionCode | None = Field(default=None, description="This region and everything below it.")
    kind: list[KindFilter] = Field(
        default=[],
        max_length=20,
        description="Only these: a noun (`action`) or a noun and a verb (`action.deleted`); repeatable. "
        "`scope.changed` always comes.",
    )
    changes: bool = Field(default=False, description="With the old and the new value of each field.")
    limit: int = Field(default=100, ge=1, le=500, description="Items on a page, at most 500.")
