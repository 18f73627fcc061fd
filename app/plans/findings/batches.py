"""Replies to a write of many items, with the findings of each."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import get_args

from pydantic import BaseModel, ConfigDict, SkipValidation
from pydantic import Field as ShapeField

from app.kit.batch import Outcome, Status
from app.kit.fields import SOMETIMES, Batch
from app.kit.problems import MOST_ERRORS, ErrorShape, Language
from app.plans.actions.examples import ACTION_EXAMPLE
from app.plans.actions.models import ActionItem
from app.plans.findings.kinds import Finding
from app.plans.findings.models import FindingShape


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


def batch_result(
    written: Sequence[Outcome],
    refused: Mapping[int, Outcome],
    findings: Mapping[str, Sequence[Finding]],
    *,
    language: Language,
) -> BatchResult:
    """Return the outcomes of all items, in the order in which they were sent; `findings` by the item's key.

    Of all errors the first `MOST_ERRORS` are listed; an item beyond them is `refused` without a list.
    """
    rest = iter(written)
    outcomes = [refused[n] if n in refused else next(rest) for n in range(len(written) + len(refused))]
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
