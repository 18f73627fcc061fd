"""Numbers of persons in free texts: NIK and family card have 16 digits, NIP has 18. No text may bring a new one.

The free texts are the fields with `FREE`. A text that a write leaves unchanged is not judged, so a row that has a
number from before can still be corrected elsewhere. Names are not looked for.
"""

import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.kit.problems import ErrorPlace, FieldError, Kind

person_number = Kind(
    "person_number",
    id="memuat deretan 16 atau 18 angka (“{value}”) seperti NIK, nomor KK atau NIP. Hapus nomor itu; cukup sebut "
    "jabatan atau jumlah orangnya",
    en="has a run of 16 or 18 digits (“{value}”), as a NIK, a family card or a NIP has. Remove the number; name the "
    "position or count the persons instead",
)

FREE = object()
"""Metadata of the types of free texts, which people fill in their own words."""


# Numbers

# Characters without width part a run too: it looks whole. Other scripts have digits of their own (\\d).
_SIGN = "[ .\\-\u00a0\u00ad\u2000-\u200d\u2010-\u2015\u202f\u2060\u2212\ufeff]"
_WHOLE = re.compile(r"(?<!\d)(?<!\b0[.,])\d{16}(?:\d{2})?(?!\d)")
_PARTED = re.compile(rf"(?<!\d)(?<!\d{_SIGN})\d(?:{_SIGN}?\d){{15}}(?:(?:{_SIGN}?\d){{2}})?(?!{_SIGN}?\d)")
_DAY = re.compile(r"(19|20)[0-9]{2}(0[1-9]|1[0-2])([0-2][0-9]|3[01])")

_SUBACTIVITY = (1, 2, 2, 1, 2, 4)
_AGENCY = (1, 2, 1, 2, 1, 2, 2, 4)
_REGION = (2, 2, 2, 4)
_ACCOUNT = (1, 1, 2, 2, 2, 4)
_SOURCE = (1, 2, 2, 2, 2, 2)
_DAYS = {(2, 2, 4), (4, 2, 2)}
_WIDTHS = _DAYS | {
    code[:count]
    for code in (_SUBACTIVITY, _AGENCY, _REGION, _ACCOUNT, _SOURCE)
    for count in range(2, len(code) + 1)
}
"""Widths of the groups of every code, its beginnings, and days."""


def find_person_number(text: str) -> str | None:
    """Return the first run of exactly 16 or 18 digits in a text. Returns None without one.

    Single spaces, dots and dashes may part the run, unless its groups are codes, amounts, days or years.
    """
    if len(text) < 16:
        return None
    if whole := _WHOLE.search(text):
        return whole[0]
    return next((run[0] for run in _PARTED.finditer(text) if not _is_made_of_codes(run[0])), None)


def _is_made_of_codes(run: str) -> bool:
    """Return whether the groups of a run are years, or codes between years and numbers of up to three digits."""
    groups, signs = re.split(_SIGN, run), re.findall(_SIGN, run)
    if all(map(_is_year, groups)):
        return True
    # end of a beginning that is explained → whether it has a code
    reached: dict[int, set[bool]] = {0: {False}}
    for start in range(len(groups)):
        for has_code in reached.get(start, ()):
            for end in range(start + 1, len(groups) + 1):
                explained = _explain(groups, signs, start, end)
                if explained is not None:
                    reached.setdefault(end, set()).add(has_code or explained)
    return True in reached.get(len(groups), ())


def _explain(groups: Sequence[str], signs: Sequence[str], start: int, end: int) -> bool | None:
    """Return True if groups are a code, False if one is a year or a short number, None if they are neither.

    The sign inside a code is one, and it differs from those around it.
    """
    first = groups[start]
    if end == start + 1:
        if _DAY.fullmatch(first):
            return True
        return False if len(first) <= 3 or _is_year(first) else None
    inside = set(signs[start : end - 1])
    around = {*signs[max(start - 1, 0) : start], *signs[end - 1 : end]}
    is_code = len(inside) == 1 and not inside & around and _has_widths_of_code(groups[start:end])
    return True if is_code else None


def _has_widths_of_code(groups: Sequence[str]) -> bool:
    widths = tuple(map(len, groups))
    head, tail = widths[: len(_SUBACTIVITY)], widths[len(_SUBACTIVITY) :]
    is_thousands = widths[0] <= 3 and all(width == 3 for width in widths[1:])
    is_decimal = len(widths) == 2 and widths[0] <= 3 and widths[1] >= 4
    has_account = head == _SUBACTIVITY and tail in {_ACCOUNT[:count] for count in range(2, 7)}
    return widths in _WIDTHS or is_thousands or is_decimal or has_account


def _is_year(group: str) -> bool:
    return len(group) == 4 and group[:2] in ("19", "20")


def mask_person_numbers(text: str) -> str:
    """Return a text with an ellipsis in place of each number of a person."""
    while number := find_person_number(text):
        text = text.replace(number, "…")
    return text


# Texts of shapes


class PersonNumber(NamedTuple):
    """A number of a person in a free text of a request."""

    field: str
    """Field of the content that has the text."""
    text: str
    number: str
    error: FieldError

    @classmethod
    def find(cls, pointer: str, text: str, place: ErrorPlace) -> "Iterator[PersonNumber]":
        """Yield the number in a text, if any; its error shows two digits of it."""
        if number := find_person_number(text):
            error = FieldError(person_number, value=f"{number[:2]}…", **place)
            yield cls(pointer.split("/")[1], text, number, error)


def is_free(field: FieldInfo) -> bool:
    """Return whether a field holds free texts, also in a list or beside null."""
    return any(item is FREE for item in (*field.metadata, *_list_parts(field.annotation)))


def list_texts(content: object) -> Iterator[tuple[str, str]]:
    """Yield (JSON Pointer, text) of the free texts of a shape and of the shapes in it."""
    return _list_texts(content, "", False)


def _list_texts(value: object, pointer: str, free: bool) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if free:
            yield pointer, value
    elif isinstance(value, BaseModel):
        for name, is_text in _select_fields(type(value)).items():
            yield from _list_texts(getattr(value, name), f"{pointer}/{name}", is_text)
    elif isinstance(value, (list, Mapping)):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for place, item in items:
            yield from _list_texts(item, f"{pointer}/{place}", free)


@cache
def _select_fields(shape: type[BaseModel]) -> dict[str, bool]:
    """Return field → whether its texts are free, for the fields with free texts or with shapes."""
    fields = {name: (is_free(field), field.annotation) for name, field in shape.model_fields.items()}
    return {
        name: free
        for name, (free, annotation) in fields.items()
        if free
        or any(isinstance(part, type) and issubclass(part, BaseModel) for part in _list_parts(annotation))
    }


def _list_parts(annotation: object) -> Iterator[object]:
    """Yield an annotation, its metadata and those of its parts."""
    yield annotation
    if get_origin(annotation) in (Annotated, Union, types.UnionType, list, dict):
        for part in get_args(annotation):
            yield from _list_parts(part)


def find_numbers(
    content: object, place: Callable[[str], ErrorPlace] = lambda pointer: {"pointer": pointer}
) -> list[PersonNumber]:
    """Return the numbers of persons in the free texts of a shape; `place` turns a pointer into that of the error."""
    return [
        number
        for pointer, text in list_texts(content)
        for number in PersonNumber.find(pointer, text, place(pointer))
    ]


def find_new_numbers(
    content: object,
    *stored: Mapping[str, object],
    place: Callable[[str], ErrorPlace] = lambda pointer: {"pointer": pointer},
) -> list[FieldError]:
    """Return the errors of free texts with a number of a person that no stored content has in the same field."""
    return [number.error for number in find_numbers(content, place) if not _has_text(number, *stored)]


def find_written_numbers(
    sent: Sequence[PersonNumber], writes: Sequence[tuple[Mapping[str, object], Mapping[str, object]]]
) -> list[FieldError]:
    """Return the errors of the numbers in a request that (old, new) contents bring into the service."""
    texts = {
        text
        for old, new in writes
        for name, value in new.items()
        for text in _collect_strings(value) - _collect_strings(old.get(name))
    }
    return [
        number.error
        for number in sent
        if any(number.number in text for text in texts) and not _has_text(number, *(old for old, _ in writes))
    ]


def _has_text(number: PersonNumber, *stored: Mapping[str, object]) -> bool:
    """Return whether a stored content has the whole text in the same field."""
    return any(number.text in _collect_strings(content.get(number.field)) for content in stored)


def _collect_strings(value: object) -> set[str]:
    """Return all texts in a JSON value."""
    if isinstance(value, str):
        return {value}
    items = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    )
    return set().union(*map(_collect_strings, items))
