"""Checks of a request before those of its fields: media type, JSON, number of values, characters.

The middleware receives the body whole (`request_body`). A worker thread parses and validates it after it has
authenticated the caller, so a body costs the event loop nothing, and one without a valid token is never parsed.
"""

import email.message
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from app.kit.fields import Batch
from app.kit.http.validation import control_character, find_json_position, list_body_errors, malformed_json
from app.kit.personal import PersonNumber, find_numbers
from app.kit.problems import BadRequest, FieldError, Kind, NotFound, Problem, UnsupportedMedia
from app.kit.wording import Text

MOST_VALUES = 50_000
"""Maximum number of values in the JSON of one resource, and of names in one object; a plan with 2,000 priority
locations has 14,000. A limit of bytes is not enough: a value of two bytes takes hundreds in memory."""
MOST_VALUES_OF_BATCH = 1_000_000
"""Maximum number of values in a batch, which validates item by item; coverage of 10,000 villages has 600,000."""
LARGE = 2**16
"""Bytes of a body above which a worker thread frees its parsed values: a million of them take 70 ms."""
MOST_PARAMETERS = 100
"""Maximum number of parameters in the query of a URL."""
LONGEST_QUERY = 16_000
"""Maximum bytes of the query; each reader of a parameter decodes all of them."""

too_many_values = Kind(
    "too_many_values",
    id="isi permintaan memuat terlalu banyak nilai; paling banyak {allowed}",
    en="the request body has too many values; at most {allowed} are allowed",
)

other_media_type = Kind(
    "other_media_type",
    id="Isi permintaan dikirim sebagai “{value}”, jenis yang tidak diterima alamat ini.",
    en="The body was sent as “{value}”, a type that this address does not take.",
)
no_media_type = Kind(
    "no_media_type",
    id="Isi permintaan dikirim tanpa keterangan jenisnya. Sebutkan jenisnya dalam Content-Type.",
    en="The body was sent without a media type. Name its type in Content-Type.",
)


class TooManyParameters(Problem):
    status = 400
    code = "too_many_parameters"
    title = Text("Terlalu banyak parameter", "Too many parameters")
    detail = Text(
        "Alamat memuat {count} parameter dalam {size} byte; paling banyak {allowed} dalam {longest} byte.",
        "The address has {count} parameters in {size} bytes; at most {allowed} in {longest} bytes are allowed.",
    )


class HouseRequest(Request):
    """A request with a body that has arrived; a worker thread reads it after the authentication."""

    _value: object = b""
    invalid: list[FieldError] | None = None
    """Errors of the body; FastAPI then gets a value that fits no shape, and the error handler these errors."""
    numbers: Sequence[PersonNumber] = ()
    """Numbers of persons in the query and in the body; the journal refuses the new ones."""

    def content(self) -> bytes:
        """Return the bytes of the body. For worker threads: it reads a file if the body is large."""
        content: bytes = self.scope["incoming"].content()
        return content

    async def body(self) -> bytes:
        """Return a placeholder if there is a body: FastAPI only tests it, after `validate` has read the body."""
        return b" " if self.scope["incoming"].size else b""

    async def json(self) -> object:
        """Return the value that `validate` parsed."""
        return self._value

    def validate(self, shape: "JsonShape") -> None:
        """Parse and validate the body, if any. Raises BadRequest if it is not JSON or has too many values."""
        content = self.content()
        if not content:
            return
        if sum(content.count(mark) for mark in (b",", b"[", b"{")) > shape.most_values:
            raise BadRequest(errors=[FieldError(too_many_values, pointer="", allowed=shape.most_values)])
        try:
            value = from_json(content, allow_inf_nan=False, cache_strings="keys")
        except ValueError as error:
            malformed = FieldError(
                malformed_json, pointer="", value=str(error), values=find_json_position(str(error))
            )
            raise BadRequest(errors=[malformed]) from None
        if isinstance(value, dict) and len(value) > MOST_VALUES:
            raise BadRequest(errors=[FieldError(too_many_values, pointer="", allowed=MOST_VALUES)])
        try:
            self._value = shape.adapter.validate_python(value)
        except ValidationError as error:
            self.invalid = list_body_errors(error)
        else:
            self.numbers = [*self.numbers, *find_numbers(self._value)]

    @property
    def is_large(self) -> bool:
        """Return whether freeing the parsed body would block the event loop."""
        return bool(self.scope["incoming"].size > LARGE)

    def let_go(self, refused: BaseException | None) -> None:
        """Free the parsed body. Call it in a worker thread.

        Also drops the tracebacks of the refusal and of its causes: their frames hold parts of the body.
        """
        self._value = b""
        if isinstance(refused, RequestValidationError):
            refused.body = None
        while refused is not None:
            refused.__traceback__, before = None, refused.__context__
            refused.__context__ = refused.__cause__ = None
            refused = before


class JsonShape(NamedTuple):
    """The shape of a JSON body, and its maximum number of values."""

    adapter: TypeAdapter[object]
    most_values: int


class Body(NamedTuple):
    """The request body of an operation: its media type, and its shape if it is JSON."""

    media_type: str
    shape: JsonShape | None

    @classmethod
    def of(cls, route: APIRoute) -> "Body | None":
        """Return the body of a route, a parameter of its endpoint or its declared form. Returns None without one."""
        if route.body_field is None:
            declared = (route.openapi_extra or {}).get("requestBody", {}).get("content", {})
            return next((cls(media_type, None) for media_type in declared), None)
        info = route.body_field.field_info
        kind: Any = info.annotation
        is_batch = isinstance(kind, type) and issubclass(kind, Batch)
        most = MOST_VALUES_OF_BATCH if is_batch else MOST_VALUES
        return cls(getattr(info, "media_type", "application/json"), JsonShape(TypeAdapter(kind), most))

    def check_media_type(self, request: Request) -> None:
        """Raise UnsupportedMedia if the body of the request has another media type."""
        sent = request.headers.get("content-type", "")
        if not sent and not request.scope["incoming"].size:
            return  # Without a body, the validation reports each missing field.
        parsed = email.message.Message()
        parsed["content-type"] = sent[:1000] or "application/octet-stream"
        kind = parsed.get_content_type()
        is_json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
        if not (kind == self.media_type if self.shape is None else is_json):
            allowed = [self.media_type]
            if self.shape is not None and self.media_type != "application/json":
                allowed.append("application/json")
            error = FieldError(
                other_media_type if sent else no_media_type,
                header="Content-Type",
                value=sent or None,
                allowed=allowed,
            )
            raise UnsupportedMedia(errors=[error])


def check_url(request: Request) -> None:
    """Refuse a URL with too many parameters or with control characters.

    No key or word has a control character, and PostgreSQL cannot store NUL. The count comes before the parsing.
    """
    if _CONTROL.search(request.url.path) or _CONTROL.search(request.scope["path"]):
        raise NotFound()
    query: bytes = request.scope["query_string"]
    count, size = query.count(b"&") + 1, len(query)
    if count > MOST_PARAMETERS or size > LONGEST_QUERY:
        raise TooManyParameters(count=count, size=size, allowed=MOST_PARAMETERS, longest=LONGEST_QUERY)
    for name, value in request.query_params.multi_items():
        if match := _CONTROL.search(name + value):
            shown = {"shown": repr(match[0])}
            error = FieldError(control_character, parameter=name, value=value, values=shown)
            raise BadRequest(errors=[error])


_CONTROL = re.compile("[\x00-\x1f\x7f]")
