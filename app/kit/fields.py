"""The types of fields, each with its unit, bounds and description in the OpenAPI document."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Path
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from app.kit.personal import FREE
from app.kit.wording import Text, declare_words

SOMETIMES: dict[str, JsonValue] = {"x-sometimes": True}
"""`json_schema_extra` of a reply's field that the server omits, instead of sending null, if it has no value."""


def show_example(*parts: Mapping[str, object], **fields: object) -> ConfigDict:
    """Return the configuration of a shape with one example: the parts and fields merged."""
    example: Any = {}
    for part in (*parts, fields):
        example |= part
    return ConfigDict(json_schema_extra={"examples": [example]})


class Shape(BaseModel):
    """Base of the shapes of requests and replies. Validation refuses an undeclared field and never drops it."""

    model_config = ConfigDict(extra="forbid")


class Batch(Shape):
    """Base of the request body of a batch. `validate_items` validates each of its `items` on its own."""


LONGEST = 40_000
"""Characters above which every field refuses a text for its length, so nothing else looks at it."""
MOST_MARKS = 30
"""Maximum run of combining characters, as in Unicode's stream-safe text format (UAX #15, section 13)."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""The characters of the categories Cc and Cs, except line feed and tab."""


_DROPPED = re.compile("['’‘ʼ`´]")
_BETWEEN = re.compile(r"[\W_]+")


def has_piled_marks(text: str) -> bool:
    """Return whether a text has more consecutive combining characters than any writing system uses.

    NFC and NFKC sort such a run in n² steps: a hundred thousand characters take half a minute.
    """
    if text.isascii():
        return False
    row = 0
    for character in text:
        row = row + 1 if unicodedata.combining(character) else 0
        if row > MOST_MARKS:
            return True
    return False


def fold_name(text: str) -> str:
    """Return a name for comparisons: without case, apostrophes, punctuation and repeated spaces.

    `fold_name("Jum’at  Berkah (I/II)") == "jumat berkah i ii"`.
    """
    if not has_piled_marks(text):  # it would take too long, and no name has such marks
        text = unicodedata.normalize("NFKC", text)
    text = text.casefold()
    return _BETWEEN.sub(" ", _DROPPED.sub("", text)).strip()


def split_words(text: str) -> list[str]:
    """Return the distinct words of a search, folded."""
    return list(dict.fromkeys(fold_name(text).split()))


def _clean(text: object) -> object:
    """Return a text in NFC, which both databases return unchanged. Raises an error if it has control characters."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return text
    if has_piled_marks(text):
        raise PydanticCustomError("piled_marks", "piles up combining characters")
    text = unicodedata.normalize("NFC", text)
    if match := _CONTROLS.search(text):
        raise PydanticCustomError(
            "control_character", "contains the control character {shown}", {"shown": repr(match[0])}
        )
    return text


def _require_number(value: object) -> object:
    if isinstance(value, (str, bool)):
        raise PydanticCustomError("not_a_number", "must be a number")
    return value


def _require_format(pattern: re.Pattern[str], value: object) -> object:
    """Return a date or a text of the pattern. Raises an error for digits: Pydantic reads them as seconds since 1970."""
    if isinstance(value, date) or (isinstance(value, str) and pattern.fullmatch(value)):
        return value
    raise PydanticCustomError("date_parsing", "must be written as RFC 3339 does")


# The BeforeValidator comes last in each type: the JSON Schema lacks every constraint after it.
_strip, _composed, _numeric = (
    StringConstraints(strip_whitespace=True),
    BeforeValidator(_clean),
    BeforeValidator(_require_number),
)

ExternalKey = Annotated[str, _strip, Field(min_length=1, max_length=500), _composed]
"""Key of another system, which may be any run of digits."""

# The types with `FREE` refuse numbers of persons (`personal`).
Line = Annotated[ExternalKey, FREE]
"""One line of text, 1 to 500 characters."""

Prose = Annotated[str, _strip, Field(max_length=10_000), _composed, FREE]
"""Text of several sentences, at most 10,000 characters."""

Statement = Annotated[str, _strip, Field(min_length=1, max_length=10_000), _composed, FREE]
"""Text of several sentences that is not empty."""

_KEY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Key = Annotated[str, _strip, Field(min_length=1, max_length=40, pattern=_KEY_PATTERN), _composed]
"""Key of an item in a list: letters, digits, dot, dash, underscore; at most 40 characters."""

Tag = Annotated[str, _strip, Field(min_length=1, max_length=60), _composed, FREE]

_LINK_PATTERN, _SECURE_LINK_PATTERN = r"^https?://[^\s]+$", r"^https://[^\s]+$"
Link = Annotated[str, _strip, Field(max_length=2_000, pattern=_LINK_PATTERN), _composed]
SecureLink = Annotated[str, _strip, Field(max_length=2_000, pattern=_SECURE_LINK_PATTERN), _composed]

Rupiah = Annotated[int, Field(ge=0, le=9_007_199_254_740_991, description="Whole rupiah."), _numeric]
"""Whole rupiah; at most 2**53 - 1, which every JSON reader keeps exactly."""

Count = Annotated[int, Field(ge=0, le=1_000_000_000), _numeric]

Quantity = Annotated[
    float, Field(ge=0, le=1e11, allow_inf_nan=False), AfterValidator(lambda value: round(value, 4)), _numeric
]
"""A measured amount in the unit of its output, at most four decimals: 15 digits, which SQLite shows in full."""

Figure = Annotated[float, Field(ge=-1e11, le=1e11, allow_inf_nan=False), _numeric]
"""A published figure in its own unit, negative too; its indicator's definition sets the decimals."""

Percent = Annotated[
    float, Field(ge=0, le=100, allow_inf_nan=False), AfterValidator(lambda value: round(value, 2)), _numeric
]
"""0 to 100, at most two decimals."""

Longitude = Annotated[
    float,
    Field(ge=95, le=141.1, allow_inf_nan=False, description="Degrees east, WGS 84, inside Indonesia."),
    AfterValidator(lambda value: round(value, 6)),
    _numeric,
]
Latitude = Annotated[
    float,
    Field(
        ge=-11.1,
        le=6.1,
        allow_inf_nan=False,
        description="Degrees north, WGS 84, inside Indonesia: south of the equator below zero.",
    ),
    AfterValidator(lambda value: round(value, 6)),
    _numeric,
]
"""Six decimals are a tenth of a metre."""

Month = Annotated[int, Field(ge=1, le=12), _numeric]
Decile = Annotated[
    int, Field(ge=1, le=10, description="DTSEN decile: 1 the poorest, 10 the best off."), _numeric
]
Year = Annotated[int, Field(ge=2015, le=2100), _numeric]
Version = Annotated[
    int, Field(ge=1, description='Row version; send it as `If-Match: "<version>"` to change the resource.')
]
Day = Annotated[date, BeforeValidator(partial(_require_format, re.compile(r"\d{4}-\d{2}-\d{2}")))]
"""A day of the calendar, as RFC 3339 writes it."""
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(
        partial(_require_format, re.compile(r"\d{4}-\d{2}-\d{2}[Tt ][0-9:.]+([Zz]|[+-][0-9:]+)?"))
    ),
]
"""A date, a time and its offset, as RFC 3339 writes them."""

_DAY, _INSTANT = TypeAdapter[date](Day), TypeAdapter[datetime](Instant)


def _read_day_or_instant(value: object) -> date:
    adapter = _DAY if isinstance(value, str) and len(value) == len("2026-06-30") else _INSTANT
    try:
        return adapter.validate_python(value)
    except ValidationError:
        raise PydanticCustomError("date_parsing", "must be a day or an instant of RFC 3339") from None


DayOrInstant = Annotated[
    date,
    PlainValidator(_read_day_or_instant),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.]+([Zz]|[+-][0-9:]+))?$",
            "examples": ["2026-06-30", "2026-06-30T08:00:00+07:00"],
        }
    ),
]
"""A `Day` or an `Instant`, which is the value's type: `datetime` for an instant."""

REGION_PATTERN = r"^(0|[0-9]{2}(\.[0-9]{2}(\.[0-9]{2}(\.[0-9]{4})?)?)?)$"
RegionCode = Annotated[
    str,
    Field(
        pattern=REGION_PATTERN,
        max_length=13,
        description="Kemendagri code: province `73`, regency `73.22`, district `73.22.01`, village `73.22.01.2001`; "
        "`0` is the nation.",
    ),
]

_CODE_PATTERN = r"^[A-Z0-9][A-Z0-9.-]{0,39}$"
AgencyCode = Annotated[
    str,
    Field(
        pattern=_CODE_PATTERN,
        max_length=40,
        description="Official 22-character code (`1.06.0.00.0.00.08.0000`) or, for a partner, a short one (`BAZNAS`).",
    ),
]

FundingSourceCode = Annotated[
    str,
    Field(
        pattern=_CODE_PATTERN, max_length=40, description="Code of a funding source (`APBD`, `2.02.01.05`)."
    ),
]

declare_words(
    {
        _KEY_PATTERN: Text(
            "huruf, angka, titik, tanda hubung dan garis bawah, misalnya A-014",
            "letters, digits, dots, dashes and underscores, such as A-014",
        ),
        _CODE_PATTERN: Text(
            "huruf besar, angka, titik dan tanda hubung, misalnya 1.06.0.00.0.00.08.0000",
            "capital letters, digits, dots and dashes, such as 1.06.0.00.0.00.08.0000",
        ),
        **dict.fromkeys(
            (_LINK_PATTERN, _SECURE_LINK_PATTERN),
            Text("alamat web, misalnya https://contoh.go.id", "a web address, such as https://contoh.go.id"),
        ),
        REGION_PATTERN: Text(
            "kode wilayah Kemendagri, misalnya 63 atau 63.02",
            "a region code of Kemendagri, such as 63 or 63.02",
        ),
    },
    form="format",
)


def describe_key(description: str, example: str) -> Any:
    """Return the path parameter of a key, with its description and an example for the document.

    It has no pattern: the answer to a malformed key is 404, as to an unknown one.
    """
    return Path(description=description, examples=[example])
