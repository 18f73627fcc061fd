"""The types of fields: each with its unit, its bounds and its words for the OpenAPI document."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
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
    StringConstraints,
)
from pydantic_core import PydanticCustomError

SOMETIMES: dict[str, JsonValue] = {"x-sometimes": True}
"""`json_schema_extra` of a reply's field that is left out, not null, where there is nothing to say."""


def show_example(*parts: Mapping[str, object], **fields: object) -> ConfigDict:
    """Return the configuration of a shape whose one example is these parts and fields together."""
    example: Any = {}
    for part in (*parts, fields):
        example |= part
    return ConfigDict(json_schema_extra={"examples": [example]})


class Shape(BaseModel):
    """Base of what goes over the wire. A field that is not declared is refused, never dropped."""

    model_config = ConfigDict(extra="forbid")


class Batch(Shape):
    """Base of the body of a call that writes many `items`; each is validated by itself (`inputs.validated_items`)."""


LONGEST = 40_000
"""Characters beyond which no field takes a text, composed or not: its length is what is wrong with it."""
MOST_MARKS = 30
"""In a row, as in the stream-safe text format of Unicode (UAX #15, section 13)."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Of the categories Cc and Cs, but for line feed and tabulator."""


_DROPPED = re.compile("['’‘ʼ`´]")
_BETWEEN = re.compile(r"[\W_]+")


def has_piled_marks(text: str) -> bool:
    """Whether more combining characters stand in a row than any writing has: sorting n of them, as composing does,
    takes n² steps, and a hundred thousand half a minute."""
    if text.isascii():
        return False
    row = 0
    for character in text:
        row = row + 1 if unicodedata.combining(character) else 0
        if row > MOST_MARKS:
            return True
    return False


def folded(text: str) -> str:
    """A name as it is compared: without case, apostrophes, punctuation and repeated spaces.

    `folded("Jum’at  Berkah (I/II)") == "jumat berkah i ii"`.
    """
    if not has_piled_marks(text):  # composing takes too long, and no name has such marks
        text = unicodedata.normalize("NFKC", text)
    text = text.casefold()
    return _BETWEEN.sub(" ", _DROPPED.sub("", text)).strip()


def words_of(text: str) -> list[str]:
    """The words of a search, each once."""
    return list(dict.fromkeys(folded(text).split()))


def _clean(text: object) -> object:
    """Composed Unicode without control characters: what both databases store and give back unchanged."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return text
    if has_piled_marks(text):
        raise PydanticCustomError("piled_marks", "piles up combining characters")
    text = unicodedata.normalize("NFC", text)
    if found := _CONTROLS.search(text):
        raise PydanticCustomError(
            "control_character", "contains the control character {shown}", {"shown": repr(found[0])}
        )
    return text


def _number(value: object) -> object:
    """No number is ever a string or a boolean."""
    if isinstance(value, (str, bool)):
        raise PydanticCustomError("not_a_number", "must be a JSON number")
    return value


def _written(form: re.Pattern[str], value: object) -> object:
    """Time is a text of that form: a number, or digits alone, would be read as seconds since 1970."""
    if isinstance(value, date) or (isinstance(value, str) and form.fullmatch(value)):
        return value
    raise PydanticCustomError("date_parsing", "must be written as RFC 3339 does")


# The checks before come last in each type: what stands outside of them would be missing in the JSON Schema.
_strip, _composed, _numeric = (
    StringConstraints(strip_whitespace=True),
    BeforeValidator(_clean),
    BeforeValidator(_number),
)

Line = Annotated[str, _strip, Field(min_length=1, max_length=500), _composed]
"""One line of text, 1 to 500 characters."""

Prose = Annotated[str, _strip, Field(max_length=10_000), _composed]
"""Text of several sentences, at most 10,000 characters."""

Statement = Annotated[str, _strip, Field(min_length=1, max_length=10_000), _composed]
"""The same where something must be said."""

Key = Annotated[
    str, _strip, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), _composed
]
"""Key that a list's items are matched by: letters, digits, dot, dash, underscore; at most 40."""

Tag = Annotated[str, _strip, Field(min_length=1, max_length=60), _composed]

Link = Annotated[str, _strip, Field(max_length=2_000, pattern=r"^https?://[^\s]+$"), _composed]
SecureLink = Annotated[str, _strip, Field(max_length=2_000, pattern=r"^https://[^\s]+$"), _composed]

Rupiah = Annotated[int, Field(ge=0, le=9_007_199_254_740_991, description="Whole rupiah."), _numeric]
"""Whole rupiah; at most 2**53 - 1, which every JSON reader keeps exactly."""

Count = Annotated[int, Field(ge=0, le=1_000_000_000), _numeric]

Quantity = Annotated[
    float, Field(ge=0, le=1e11, allow_inf_nan=False), AfterValidator(lambda value: round(value, 4)), _numeric
]
"""A measured amount in the unit of its output, at most four decimals: 15 digits, which SQLite shows in full."""

Figure = Annotated[float, Field(ge=-1e11, le=1e11, allow_inf_nan=False), _numeric]
"""A published figure in its own unit, below zero too; its decimals are its definition's business."""

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
    int, Field(ge=1, description='Row version; send it as `If-Match: "<version>"` to change this.')
]
Day = Annotated[date, BeforeValidator(partial(_written, re.compile(r"\d{4}-\d{2}-\d{2}")))]
"""A day of the calendar, as RFC 3339 writes it."""
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(partial(_written, re.compile(r"\d{4}-\d{2}-\d{2}[Tt ][0-9:.]+([Zz]|[+-][0-9:]+)?"))),
]
"""The same with a time and its offset."""

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

AgencyCode = Annotated[
    str,
    Field(
        pattern=r"^[A-Z0-9][A-Z0-9.-]{0,39}$",
        max_length=40,
        description="Official 22-character code (`1.06.0.00.0.00.08.0000`) or, for a partner, a short one (`BAZNAS`).",
    ),
]

FundingSourceCode = Annotated[
    str,
    Field(
        pattern=r"^[A-Z0-9][A-Z0-9.-]{0,39}$",
        max_length=40,
        description="Code of a funding source (`APBD`, `2.02.01.05`).",
    ),
]


def address(description: str, example: str) -> Any:
    """A key as a part of an address, with words and an example for the document.

    It has no pattern: what cannot be a key is not found, like what is none.
    """
    return Path(description=description, examples=[example])
