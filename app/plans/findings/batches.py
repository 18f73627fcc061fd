"""Many items in one call: reading them, saying what became of each. Serves actions and progress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, SkipValidation
from pydantic import Field as ShapeField

from app.kit.fields import SOMETIMES, Batch
from app.kit.http.validation import duplicate_key, validated_items
from app.kit.problems import LONGEST_SHOWN, MOST_ERRORS, ErrorShape, FieldError, Language
from app.plans.actions.examples import ACTION_EXAMPLE
from app.plans.actions.models import ActionItem
from app.plans.findings.kinds import Finding
from app.plans.findings.models import FindingShape

Item = TypeVar("Item", bound=BaseModel)
Status = Literal["created", "updated", "unchanged", "refused"]


class Done(Protocol):
    """What became of one item that was right in itself."""

    @property
    def code(self) -> str: ...
    @property
    def status(self) -> Status: ...
    @property
    def version(self) -> int | None: ...
    @property
    def errors(self) -> tuple[FieldError, ...]: ...


@dataclass(frozen=True)
class Refused:
    """An item that was not right in itself."""

    code: str
    errors: tuple[FieldError, ...]
    status: Status = "refused"
    version: int | None = None


class BatchQuery(BaseModel):
    each: bool = ShapeField(
        default=False,
        description="Write the items that are right and refuse the others, instead of all or none.",
    )


class ActionBatch(Batch):
    """Up to 1,000 actions."""

    # Validated item by item by `read_items`, so that with `each` one bad item does not refuse the others.
    items: list[SkipValidation[ActionItem]] = ShapeField(min_length=1, max_length=1000)

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [{"code": "A-001", **ACTION_EXAMPLE}]}]}
    )


class ItemResult(BaseModel):
    """What became of one item."""

    code: str | None = ShapeField(
        default=None, description="Key of the item, where it could be read.", json_schema_extra=SOMETIMES
    )
    status: Status
    version: int | None = ShapeField(default=None, json_schema_extra=SOMETIMES)
    errors: list[ErrorShape] | None = ShapeField(default=None, json_schema_extra=SOMETIMES)
    findings: list[FindingShape] | None = ShapeField(
        default=None,
        description="What is to be mended or known of an item that was written.",
        json_schema_extra=SOMETIMES,
    )


class BatchResult(BaseModel):
    """What became of each item, in the order they were sent."""

    created: int
    updated: int
    unchanged: int
    refused: int
    items: list[ItemResult]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "created": 1,
                    "updated": 0,
                    "unchanged": 0,
                    "refused": 0,
                    "items": [{"code": "A-001", "status": "created", "version": 1}],
                }
            ]
        }
    )


def read_items(
    shape: type[Item], raw_items: Sequence[Any], *, key: str
) -> tuple[list[tuple[int, Item]], dict[int, Refused]]:
    """The items of a batch that are right in themselves, with their places, and the others by place.

    A key that occurs twice is refused the second time.
    """
    items: list[tuple[int, Item]] = []
    refused: dict[int, Refused] = {}
    seen: set[str] = set()
    for n, item in validated_items(shape, raw_items):
        if isinstance(item, list):
            raw = raw_items[n]
            code = str(raw.get(key, ""))[:LONGEST_SHOWN] if isinstance(raw, dict) else ""
            refused[n] = Refused(code, tuple(item))
            continue
        code = getattr(item, key)
        if code in seen:
            refused[n] = Refused(code, (FieldError(duplicate_key, pointer=f"/items/{n}/{key}", value=code),))
            continue
        seen.add(code)
        items.append((n, item))
    return items, refused


def errors_of(refused: Mapping[int, Refused]) -> list[FieldError]:
    """Everything that is wrong with refused items."""
    return [error for of_item in refused.values() for error in of_item.errors]


def batch_result(
    written: Sequence[Done],
    refused: Mapping[int, Refused],
    findings: Mapping[str, Sequence[Finding]],
    *,
    language: Language,
) -> BatchResult:
    """Both kinds of outcome, in the order in which the items were sent; `findings` by the item's key.

    Of all errors the first `MOST_ERRORS` are listed; an item beyond them is `refused` without a list.
    """
    rest = iter(written)
    outcomes: list[Done] = [
        refused[n] if n in refused else next(rest) for n in range(len(written) + len(refused))
    ]
    counts = {status: sum(o.status == status for o in outcomes) for status in get_args(Status)}
    every = (error for outcome in outcomes for error in outcome.errors)
    shown = {id(error): error.shown(language) for error in islice(every, MOST_ERRORS)}
    items = [
        ItemResult(
            code=o.code or None,
            status=o.status,
            version=o.version,
            errors=[shown[id(error)] for error in o.errors if id(error) in shown] or None,
            findings=[FindingShape(**finding.shown(language)) for finding in findings.get(o.code, ())] or None
            if o.status != "refused"
            else None,
        )
        for o in outcomes
    ]
    return BatchResult(**counts, items=items)
