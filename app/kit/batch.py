"""Writes of many items in one request: all or none, or with `each` those without errors.

Every batch command takes the same steps: rights, precondition, references, conflicts, difference, rows, journal.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel
from pydantic import Field as ShapeField

from app.kit.database.journal import Versioned
from app.kit.http.validation import duplicate_key, validate_items
from app.kit.personal import find_new_numbers
from app.kit.problems import ErrorPlace, FieldError, Forbidden, Invalid, Problem
from app.kit.wording import LONGEST_SHOWN

Status = Literal["created", "updated", "unchanged", "refused"]
Errors = Mapping[str, Sequence[FieldError]]
"""Errors by the key of the item."""


@dataclass(frozen=True)
class ItemOutcome:
    """The result of one item; `code` is its key."""

    code: str
    status: Status
    version: int | None = None
    errors: tuple[FieldError, ...] = ()


class StoredContent(Versioned, Protocol):
    """A stored item: its content and its version."""

    @property
    def content(self) -> Mapping[str, object]: ...


ItemShape = TypeVar("ItemShape", bound=BaseModel)


@dataclass(frozen=True)
class BatchItem(Generic[ItemShape]):
    """An item of a request, with its key and its JSON Pointer."""

    code: str
    content: ItemShape
    pointer: str = ""

    def locate(self, pointer: str) -> ErrorPlace:
        """Return the place of an error at a pointer into the content."""
        return {"pointer": self.pointer + pointer}


Item = TypeVar("Item", bound=BatchItem[Any])
Content = TypeVar("Content", bound=Mapping[str, object])


class BatchWrite(Generic[Item]):
    """The items of one batch write, and the errors of the refused ones."""

    def __init__(
        self, items: Iterable[Item], *, each: bool = False, errors_before: Sequence[FieldError] = ()
    ) -> None:
        """Keep the items; `errors_before` are the errors of items that do not parse."""
        self.items = {item.code: item for item in items}
        self.each, self.errors_before = each, errors_before
        self._invalid: dict[str, Sequence[FieldError]] = {}
        self._refused: dict[str, list[FieldError]] = {}
        self._numbers: dict[str, list[FieldError]] = {}

    @property
    def errors(self) -> dict[str, list[FieldError]]:
        """The errors of refused items by code: those of the content before those of rights and conflicts."""
        codes = [*self._invalid, *(code for code in self._refused if code not in self._invalid)]
        return {code: [*self._invalid.get(code, ()), *self._refused.get(code, ())] for code in codes}

    def forbid(self, errors: Errors) -> None:
        """Refuse items that the actor may not write. Raises Forbidden for all of them unless `each`."""
        self.refuse(errors, lambda listed: Forbidden(errors=listed, **listed[0].values))

    def find_numbers(
        self, *stored: Mapping[str, StoredContent], beside: Mapping[str, Mapping[str, object]] | None = None
    ) -> None:
        """Find numbers of persons that no stored content has; `invalidate` refuses them with the other errors.

        `beside` are further fields of the items, by code.
        """
        for code, item in self.items.items():
            before = [contents[code].content for contents in stored if code in contents]
            parts = (item.content, (beside or {}).get(code))
            self._numbers[code] = [
                error for part in parts for error in find_new_numbers(part, *before, place=item.locate)
            ]

    def invalidate(self, errors: Errors) -> None:
        """Refuse items with invalid content. Raises Invalid, `errors_before` first, unless `each`."""
        numbers = {code: found for code, found in self._numbers.items() if found}
        errors = {code: [*errors.get(code, ()), *numbers.get(code, ())] for code in {**errors, **numbers}}
        self._invalid.update(errors)
        if not self.each and (errors or self.errors_before):
            raise Invalid(errors=[*self.errors_before, *flatten(errors)])

    def refuse(self, errors: Errors, make_problem: Callable[[list[FieldError]], Problem]) -> None:
        """Refuse items for another reason. Raises the problem of all their errors unless `each`."""
        if errors and not self.each:
            raise make_problem(flatten(errors))
        for code, item_errors in errors.items():
            self._refused.setdefault(code, []).extend(item_errors)

    def select_accepted(self, contents: Mapping[str, Content]) -> dict[str, Content]:
        """Return the contents of items without errors."""
        refused = self.errors
        return {code: content for code, content in contents.items() if code not in refused}

    def changes(
        self, contents: Mapping[str, Content], stored: Mapping[str, StoredContent]
    ) -> dict[str, Content]:
        """Return the contents to write: those without errors that differ from the stored ones."""
        return {
            code: content
            for code, content in self.select_accepted(contents).items()
            if code not in stored or stored[code].content != content
        }

    def outcomes(self, stored: Mapping[str, Versioned], versions: Mapping[str, int]) -> list[ItemOutcome]:
        """Return the outcome of each item, in order; `versions` are those of the written rows."""
        refused = self.errors

        def conclude(code: str) -> ItemOutcome:
            if code in refused:
                return ItemOutcome(code, "refused", errors=tuple(refused[code]))
            if code not in versions:
                return ItemOutcome(code, "unchanged", stored[code].version)
            return ItemOutcome(code, "updated" if code in stored else "created", versions[code])

        return [conclude(code) for code in self.items]


class BatchQuery(BaseModel):
    """The query parameters of every batch."""

    each: bool = ShapeField(
        default=False, description="Write the valid items and refuse the others, instead of all or none."
    )


def read_items(
    shape: type[ItemShape], raw_items: Sequence[object], *, key: str
) -> tuple[list[tuple[int, ItemShape]], dict[int, ItemOutcome]]:
    """Return (index, item) of each valid item, and the outcome of each invalid one by its index.

    An item that repeats a key is invalid.
    """
    items: list[tuple[int, ItemShape]] = []
    refused: dict[int, ItemOutcome] = {}
    seen: set[str] = set()
    for n, item in validate_items(shape, raw_items):
        if isinstance(item, list):
            raw = raw_items[n]
            code = str(raw.get(key, ""))[:LONGEST_SHOWN] if isinstance(raw, dict) else ""
            refused[n] = ItemOutcome(code, "refused", errors=tuple(item))
            continue
        code = getattr(item, key)
        if code in seen:
            error = FieldError(duplicate_key, pointer=f"/items/{n}/{key}", value=code)
            refused[n] = ItemOutcome(code, "refused", errors=(error,))
            continue
        seen.add(code)
        items.append((n, item))
    return items, refused


def list_errors(refused: Mapping[int, ItemOutcome]) -> list[FieldError]:
    """Return the errors of refused items."""
    return [error for outcome in refused.values() for error in outcome.errors]


def flatten(errors: Errors) -> list[FieldError]:
    """Return the errors of all items in one list."""
    return [error for item_errors in errors.values() for error in item_errors]
