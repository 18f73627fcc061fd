"""Many actions in one call: reading the items, saying what became of each."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SkipValidation, TypeAdapter, ValidationError
from pydantic import Field as ShapeField

from app.kit.fields import Shape
from app.kit.inputs import body_errors, duplicate_key
from app.kit.problems import ErrorShape, FieldError, Invalid, Language
from app.plans.commands import Draft, Outcome
from app.plans.models import ACTION_EXAMPLE, ActionIn, ActionItem

_ITEM = TypeAdapter(ActionItem)


class BatchQuery(BaseModel):
    each: bool = ShapeField(
        default=False, description="Write the items that are right and refuse the others, instead of all or none."
    )


class ActionBatch(Shape):
    """Up to 1,000 actions."""

    # Validated item by item below, so that with `each` one bad item does not refuse the others.
    items: list[SkipValidation[ActionItem]] = ShapeField(min_length=1, max_length=1000)

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [{"code": "A-001", **ACTION_EXAMPLE}]}]})


class ItemResult(BaseModel):
    """What became of one item."""

    code: str | None
    status: Literal["created", "updated", "unchanged", "refused"]
    version: int | None = None
    errors: list[ErrorShape] | None = None


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
                {"created": 1, "updated": 0, "unchanged": 0, "refused": 0,
                 "items": [{"code": "A-001", "status": "created", "version": 1}]}
            ]
        }
    )


def read_drafts(batch: ActionBatch, *, each: bool) -> tuple[list[Draft], dict[int, Outcome]]:
    """The drafts of a batch and, with `each`, the refused items by place. Otherwise Invalid names every error."""
    drafts: list[Draft] = []
    refused: dict[int, Outcome] = {}
    errors: list[FieldError] = []
    seen: set[str] = set()
    for n, raw in enumerate(batch.items):
        try:
            item = _ITEM.validate_python(raw)
        except ValidationError as error:
            found = body_errors(error, prefix=("items", n))
            errors += found
            refused[n] = Outcome(_code_of(raw), "refused", errors=tuple(found))
            continue
        if item.code in seen:
            repeated = FieldError(duplicate_key, pointer=f"/items/{n}/code", value=item.code)
            errors.append(repeated)
            refused[n] = Outcome(item.code, "refused", errors=(repeated,))
            continue
        seen.add(item.code)
        content = ActionIn.model_construct(**{name: getattr(item, name) for name in ActionIn.model_fields})
        drafts.append(Draft(item.code, content, pointer=f"/items/{n}"))
    if errors and not each:
        raise Invalid(errors=errors)
    return drafts, refused


def _code_of(raw: Any) -> str:
    return str(raw.get("code", "")) if isinstance(raw, dict) else ""


def batch_result(written: list[Outcome], refused: dict[int, Outcome], *, language: Language) -> BatchResult:
    """Both kinds of outcome, in the order in which the items were sent."""
    rest = iter(written)
    outcomes = [refused[n] if n in refused else next(rest) for n in range(len(written) + len(refused))]
    counts = {status: sum(o.status == status for o in outcomes) for status in ("created", "updated", "unchanged", "refused")}
    items = [
        ItemResult(
            code=o.code or None, status=o.status, version=o.version,
            errors=[error.shown(language) for error in o.errors] or None,
        )
        for o in outcomes
    ]
    return BatchResult(**counts, items=items)
