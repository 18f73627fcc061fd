"""Validation, with field errors of our own: stable codes, both languages, the nearest values."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, Unpack

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from rapidfuzz import fuzz, process, utils

from app.kit.fields import Key
from app.kit.merge_patch import merge_patch
from app.kit.personal import find_new_numbers
from app.kit.problems import (
    MOST_ERRORS,
    BadRequest,
    ErrorPlace,
    FieldError,
    Invalid,
    Kind,
    NotFound,
    Problem,
    refuse,
)
from app.kit.wording import Text, declare_words

unknown_parameter = Kind(
    "unknown_parameter",
    id="alamat ini tidak mengenal parameter “{parameter}”",
    en="this address has no parameter “{parameter}”",
)
repeated_parameter = Kind(
    "repeated_parameter",
    id="parameter “{parameter}” hanya boleh sekali",
    en="the parameter “{parameter}” may be given only once",
)
unknown_value = Kind(
    "unknown_value",
    id="“{value}” bukan salah satu nilai yang diizinkan",
    en="“{value}” is not one of the allowed values",
)
unknown_reference = Kind(
    "unknown_reference", id="“{value}” tidak ada dalam {source:list}", en="“{value}” is not in {source:list}"
)
unavailable = Kind(
    "unavailable",
    id="“{value}” tidak tersedia di alamat ini.",
    en="“{value}” is not available at this address.",
)
duplicate_key = Kind(
    "duplicate_key", id="“{value}” muncul lebih dari sekali", en="“{value}” occurs more than once"
)

Model = TypeVar("Model", bound=BaseModel)
Narrow = TypeVar("Narrow", bound=BaseModel)
_KEY: TypeAdapter[str] = TypeAdapter(Key)
_BY_TYPE: dict[str, Kind] = {}


def _declare_kind(code: str, types: str, *, id: str, en: str) -> Kind:
    kind = Kind(code, id=id, en=en)
    _BY_TYPE.update(dict.fromkeys(types.split(), kind))
    return kind


missing = _declare_kind("missing", "missing", id="wajib diisi", en="is required")
_declare_kind("unknown_field", "extra_forbidden", id="bukan isian yang dikenal", en="is not a known field")
malformed_json = _declare_kind(
    "malformed_json",
    "json_invalid json_type",
    id="isi ini tidak dapat dibaca; ada kesalahan penulisan pada baris {line}, kolom {column}",
    en="cannot be read; there is a syntax error in line {line}, column {column}",
)
_declare_kind(
    "wrong_type",
    "string_type dict_type list_type model_type model_attributes_type bool_type bool_parsing tuple_type "
    "none_required string_unicode bytes_type",
    id="harus berupa {type:type}",
    en="must be {type:type}",
)
_declare_kind(
    "not_a_number",
    "not_a_number int_type int_parsing int_from_float float_type float_parsing finite_number int_parsing_size",
    id="harus berupa {type:type}",
    en="must be {type:type}",
)
_declare_kind(
    "out_of_range",
    "greater_than_equal less_than_equal greater_than less_than multiple_of",
    id="di luar batas; nilainya harus {allowed}",
    en="is out of range; must be {allowed}",
)
_declare_kind(
    "wrong_length",
    "string_too_short string_too_long too_short too_long",
    id="panjangnya harus {allowed}",
    en="must have a length of {allowed}",
)
_declare_kind(
    "wrong_pattern",
    "string_pattern_mismatch",
    id="harus ditulis sebagai {pattern:format}",
    en="must be written as {pattern:format}",
)
_declare_kind(
    "not_allowed",
    "enum literal_error",
    id="harus salah satu nilai yang diizinkan",
    en="must be one of the allowed values",
)
_declare_kind(
    "malformed_date",
    "date_type date_parsing date_from_datetime_parsing date_from_datetime_inexact datetime_type "
    "datetime_parsing datetime_from_date_parsing timezone_aware datetime_object_invalid",
    id="bukan tanggal yang sah; gunakan 2026-06-30 atau 2026-06-30T08:00:00+07:00",
    en="is not a valid date; use 2026-06-30 or 2026-06-30T08:00:00+07:00",
)
control_character = _declare_kind(
    "control_character",
    "control_character",
    id="memuat karakter kendali “{shown}”",
    en="contains the control character “{shown}”",
)
piled_marks = _declare_kind(
    "piled_marks",
    "piled_marks",
    id="memuat terlalu banyak tanda pada satu huruf",
    en="has too many combining characters on one letter",
)
unreadable_body = Kind(
    "unreadable_body", id="isi permintaan tidak dapat dibaca", en="the request body cannot be read"
)
too_many_errors = Kind(
    "too_many_errors",
    id="memuat {count} kesalahan; terlalu banyak untuk disebut satu per satu",
    en="has {count} errors; these are too many to list",
)
other = Kind("invalid_value", id="tidak sah: “{message}”", en="is not valid: “{message}”")

declare_words(
    {
        "string": Text("teks", "text"),
        "object": Text("objek dengan nama dan nilai", "an object"),
        "array": Text("daftar", "a list"),
        "boolean": Text("nilai boolean", "a boolean"),
        "null": Text("nilai kosong", "empty"),
        "integer": Text("bilangan bulat", "a whole number"),
        "number": Text("bilangan", "a number"),
    },
    form="type",
)
declare_words({"": Text("bentuk yang diizinkan", "the allowed form")}, form="format")
declare_words({"": Text("daftar yang berlaku", "the list that applies")}, form="list")

_BOUNDS = {
    "ge": "≥ {}",
    "gt": "> {}",
    "le": "≤ {}",
    "lt": "< {}",
    "multiple_of": "× {}",
    "min_length": "≥ {}",
    "max_length": "≤ {}",
}
_JSON_TYPES = {
    "string": "string",
    "dict": "object",
    "model": "object",
    "list": "array",
    "tuple": "array",
    "bool": "boolean",
    "none": "null",
    "int": "integer",
    "float": "number",
}


class RuleBroken(ValueError):
    """A broken rule over several fields, raised in a shape's validator, with its kind and place."""

    def __init__(self, kind: Kind, *, at: str = "", **values: object) -> None:
        super().__init__(kind.code)
        self.kind, self.at, self.values = kind, at, values


def refuse_repeated(keys: Iterable[object], *, at: str) -> None:
    """Raise RuleBroken at the first repeated key of a list's items; `at` is the list's pointer."""
    seen = set()
    for place, key in enumerate(keys):
        if key in seen:
            raise RuleBroken(duplicate_key, at=f"{at}/{place}", value=key)
        seen.add(key)


class Nearest(Sequence[str]):
    """The candidates most like a value, best first. The search is lazy, since few errors reach a reply."""

    def __init__(self, value: str, candidates: Iterable[str], limit: int, cutoff: float) -> None:
        self._value, self._candidates, self._limit, self._cutoff = value, candidates, limit, cutoff

    @cached_property
    def _names(self) -> list[str]:
        best = process.extract(
            self._value[:LONGEST_LIKENESS],
            list(self._candidates),
            scorer=fuzz.WRatio,
            processor=utils.default_process,
            limit=self._limit,
            score_cutoff=self._cutoff,
        )
        return [name for name, _, _ in best]

    def __getitem__(self, index: Any) -> Any:
        return self._names[index]

    def __len__(self) -> int:
        return len(self._names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._names == list(other)

    __hash__ = None  # type: ignore[assignment]  # as of a list


MOST_LISTED = 2_000
"""Number of errors of one body above which one error with the count replaces them."""
LONGEST_LIKENESS = 200
"""Maximum characters of a value that the search compares with the candidates."""


def find_nearest(
    value: str, candidates: Iterable[str], *, limit: int = 3, cutoff: float = 50
) -> Sequence[str]:
    """Return the candidates most like `value`, best first."""
    return Nearest(value, candidates, limit, cutoff)


def narrow(item: BaseModel, shape: type[Narrow]) -> Narrow:
    """Return the fields of a smaller shape from a valid item of a larger one."""
    return shape.model_construct(**{name: getattr(item, name) for name in shape.model_fields})


def describe_unknown(
    value: str, source: str, known: Iterable[str], *, allowed: object = None, **place: Unpack[ErrorPlace]
) -> FieldError:
    """Return the error of a value that a source lacks, with the nearest values that it has.

    `source` is the address of a list below /v1/; its last word has words of the form `list`.
    """
    near, values = find_nearest(value, known), {"source": source.rpartition("/")[2]}
    return FieldError(unknown_reference, value=value, allowed=allowed, nearest=near, values=values, **place)


def find_json_position(reason: str) -> dict[str, str]:
    """Return the line and column in a JSON parser's message, or a dash for each."""
    place = re.search(r"line (\d+) column (\d+)", reason)
    line, column = place.groups() if place else ("–", "–")
    return {"line": line, "column": column}


def make_pointer(parts: Sequence[object]) -> str:
    """Return the JSON Pointer (RFC 6901) of a path."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def make_problem(errors: Sequence[ErrorDetails], body: Sequence[FieldError] | None = None) -> Problem:
    """Return the problem of validation errors: 404 for a path, 400 for query or header, 422 for a body.

    The errors in `body`, of an earlier validation, replace those that FastAPI reports for the body.
    """
    places = {str(error["loc"][0]) for error in errors if error["loc"]}
    if "path" in places:
        return NotFound()
    kept = errors if body is None else [error for error in errors if error["loc"][0] != "body"]
    items = [*(_make_field_error(error, ()) for error in kept), *(body or ())]
    return BadRequest(errors=items) if places & {"query", "header"} else Invalid(errors=items)


def list_body_errors(error: ValidationError, *, prefix: Sequence[object] = ()) -> list[FieldError]:
    """Return the errors of a body, `MOST_ERRORS` at most, with pointers below `prefix`.

    Above `MOST_LISTED` errors, return one error with their number: the list would take a kilobyte each.
    """
    if (count := error.error_count()) > MOST_LISTED:
        return [FieldError(too_many_errors, pointer=make_pointer(prefix), values={"count": count})]
    errors = error.errors(include_url=False)[:MOST_ERRORS]
    return [_make_field_error({**e, "loc": ("body", *e["loc"])}, prefix) for e in errors]


def validate_items(
    shape: type[Model], raw_items: Sequence[object]
) -> Iterator[tuple[int, Model | list[FieldError]]]:
    """Yield (index, item or its errors) of the items of a batch, each validated on its own.

    Lists the first `MOST_ERRORS` errors of the batch; invalid items after them have an empty list.
    """
    adapter, left = TypeAdapter(shape), MOST_ERRORS
    for place, raw in enumerate(raw_items):
        try:
            yield place, adapter.validate_python(raw)
        except ValidationError as error:
            errors = list_body_errors(error, prefix=("items", place))[:left] if left else []
            left -= len(errors)
            yield place, errors


def read_each(
    shape: type[Model], raw_items: Sequence[object], *, key: Callable[[Model], object]
) -> list[Model]:
    """Return the items of a batch. Raises Invalid if an item is invalid or repeats a key."""
    items: list[Model] = []
    errors: list[FieldError] = []
    seen = set()
    for place, item in validate_items(shape, raw_items):
        if isinstance(item, list):
            errors += item
        elif (item_key := key(item)) in seen:
            errors.append(FieldError(duplicate_key, pointer=f"/items/{place}", value=item_key))
        else:
            seen.add(item_key)
            items.append(item)
    refuse(errors)
    return items


def apply_patch(shape: type[Model], stored: Mapping[str, object], patch: Mapping[str, object]) -> Model:
    """Return the stored content with a patch merged into it, as its shape.

    Raises Invalid if the result does not fit, or if the patch brings a number of a person.
    """
    content = validate(shape, merge_patch(stored, patch))
    refuse(find_new_numbers(content, stored))
    return content


def validate(shape: type[Model], content: object) -> Model:
    """Return a composed content as its shape. Raises Invalid if it does not fit."""
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        raise Invalid(errors=list_body_errors(error)) from None


def check_key(key: str) -> str:
    """Return the key of a new resource. Raises Invalid if it is malformed."""
    try:
        return str(_KEY.validate_python(key))
    except ValidationError as error:
        malformed = _make_field_error({**error.errors(include_url=False)[0], "loc": ("path", "key")}, ())
        raise Invalid(errors=[malformed]) from None


def _make_field_error(error: ErrorDetails, prefix: Sequence[object]) -> FieldError:
    place, path = (error["loc"][0], error["loc"][1:]) if error["loc"] else ("body", ())
    # an invalid key of an object has no place of its own
    path = tuple(part for part in path if part != "[key]")
    context = dict(error.get("ctx") or {})
    value = None if error["type"] in ("missing", "json_invalid") else error.get("input")
    if isinstance(value, (dict, list)):
        value = None
    raised = context.pop("error", None)
    where: ErrorPlace
    if place == "body":
        # The loc of a JSON syntax error is a position, not a path.
        where = {"pointer": make_pointer(prefix if error["type"] == "json_invalid" else [*prefix, *path])}
    else:
        name = ".".join(str(part) for part in path)
        where = {"header": name} if place == "header" else {"parameter": name}
    if isinstance(raised, RuleBroken):
        if "pointer" in where:
            where["pointer"] += raised.at
        return FieldError(
            raised.kind,
            value=raised.values.get("value", value),
            allowed=raised.values.get("allowed"),
            values=raised.values,
            **where,
        )
    kind = _BY_TYPE.get(error["type"], other)
    bounds = " ".join(text.format(context[name]) for name, text in _BOUNDS.items() if name in context)
    allowed: object = context.get("pattern") or bounds or None
    if "expected" in context:
        allowed = re.findall(r"'([^']*)'", str(context["expected"])) or context["expected"]
    near = find_nearest(value, allowed) if isinstance(allowed, list) and isinstance(value, str) else ()
    return FieldError(
        kind,
        value=value,
        allowed=allowed,
        nearest=near,
        values={
            "message": error["msg"],
            "type": _JSON_TYPES.get(error["type"].partition("_")[0], "number"),
            "error": raised or "",
            **find_json_position(str(raised or "")),
            **context,
        },
        **where,
    )
