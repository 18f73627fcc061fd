"""What a request may be made of, before any field is looked at: its media type, its JSON, its characters.

The middleware has received a body whole (`incoming`). It is parsed and validated by a worker thread once the
caller is authenticated, so a body costs the event loop nothing and a stranger's is never looked into.
"""

import email.message
import re
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from app.kit.fields import Batch
from app.kit.http.validation import body_errors, control_character, malformed_json, place_in_json
from app.kit.problems import BadRequest, FieldError, Kind, NotFound, Problem, Text, UnsupportedMedia

MOST_VALUES = 50_000
"""In the JSON of one thing, and names of one object; a plan with 2,000 priority locations has 14,000. As bytes a value
is two, in memory hundreds, and each may be an error of its own: a bound of bytes alone bounds nothing."""
MOST_VALUES_OF_BATCH = 1_000_000
"""In a call that writes many things; coverage of 10,000 villages has 600,000. Its items are validated one by one."""
LARGE = 2**16
"""Bytes of a body above which a worker thread frees what was made of it: a million values take 70 ms."""
MOST_PARAMETERS = 100
"""In the query of an address."""
LONGEST_QUERY = 16_000
"""Bytes of it; each layer that reads a parameter decodes all of them."""

too_many_values = Kind(
    "too_many_values",
    id="isi memuat terlalu banyak nilai; paling banyak {allowed}",
    en="the body has too many values; at most {allowed} are allowed",
)

other_media_type = Kind(
    "other_media_type",
    id="Isi permintaan dikirim sebagai {value}; alamat ini menerima {allowed}.",
    en="The body was sent as {value}; this address takes {allowed}.",
)
no_media_type = Kind(
    "no_media_type",
    id="Isi permintaan dikirim tanpa keterangan jenisnya; alamat ini menerima {allowed}.",
    en="The body was sent without a media type; this address takes {allowed}.",
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
    """A request whose body is there whole; a worker thread reads it once the caller is authenticated."""

    _value: object = b""
    invalid: list[FieldError] | None = None
    """Why the body does not fit its shape; FastAPI then gets a value that fits none, and the handler these errors."""

    def content(self) -> bytes:
        """Return the bytes of the body. Reads a file if the body is large: for worker threads."""
        content: bytes = self.scope["incoming"].content()
        return content

    async def body(self) -> bytes:
        """FastAPI asks this for whether there is a body at all; `validate` has read it by then."""
        return b" " if self.scope["incoming"].size else b""

    async def json(self) -> object:
        """What `validate` made of the body."""
        return self._value

    def validate(self, shape: "JsonShape") -> None:
        """Parse and validate the body, if there is one. Raises BadRequest if it is not JSON or has too many values."""
        content = self.content()
        if not content:
            return
        if sum(content.count(mark) for mark in (b",", b"[", b"{")) > shape.most_values:
            raise BadRequest(errors=[FieldError(too_many_values, pointer="", allowed=shape.most_values)])
        try:
            value = from_json(content, allow_inf_nan=False, cache_strings="keys")
        except ValueError as error:
            found = FieldError(malformed_json, pointer="", value=str(error), values=place_in_json(str(error)))
            raise BadRequest(errors=[found]) from None
        if isinstance(value, dict) and len(value) > MOST_VALUES:
            raise BadRequest(errors=[FieldError(too_many_values, pointer="", allowed=MOST_VALUES)])
        try:
            self._value = shape.adapter.validate_python(value)
        except ValidationError as error:
            self.invalid = body_errors(error)

    @property
    def is_large(self) -> bool:
        """Return whether freeing what was made of the body would hold up the event loop."""
        return bool(self.scope["incoming"].size > LARGE)

    def let_go(self, refused: BaseException | None) -> None:
        """Free what was made of the body. Call it in a worker thread.

        The traceback of the refusal, and of what it followed from, holds frames with parts of the body: it goes too.
        """
        self._value = b""
        if isinstance(refused, RequestValidationError):
            refused.body = None
        while refused is not None:
            refused.__traceback__, before = None, refused.__context__
            refused.__context__ = refused.__cause__ = None
            refused = before


class JsonShape(NamedTuple):
    """The shape of a JSON body, and how many values it may have."""

    adapter: TypeAdapter[object]
    most_values: int


class Body(NamedTuple):
    """What an operation takes as its body: the media type, and of JSON its shape."""

    media_type: str
    shape: JsonShape | None

    @classmethod
    def of(cls, route: APIRoute) -> "Body | None":
        """The body of a route: a parameter of its endpoint, or the form that it declares. None without a body."""
        if route.body_field is None:
            declared = (route.openapi_extra or {}).get("requestBody", {}).get("content", {})
            return next((cls(media_type, None) for media_type in declared), None)
        info = route.body_field.field_info
        kind: Any = info.annotation
        is_batch = isinstance(kind, type) and issubclass(kind, Batch)
        most = MOST_VALUES_OF_BATCH if is_batch else MOST_VALUES
        return cls(getattr(info, "media_type", "application/json"), JsonShape(TypeAdapter(kind), most))

    def check_media_type(self, request: Request) -> None:
        """Raise UnsupportedMedia if the request has a body of another media type."""
        sent = request.headers.get("content-type", "")
        if not sent and not request.scope["incoming"].size:
            return  # No body at all: what is missing is reported field by field.
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
            raise UnsupportedMedia(errors=[error], allowed=", ".join(allowed))


def check_plain(request: Request) -> None:
    """Refuse an address of too many parameters, or with control characters.

    PostgreSQL stores none of these characters, and no key or word has any. The query is parsed after it is counted.
    """
    if _CONTROL.search(request.url.path) or _CONTROL.search(request.scope["path"]):
        raise NotFound()
    query: bytes = request.scope["query_string"]
    count, size = query.count(b"&") + 1, len(query)
    if count > MOST_PARAMETERS or size > LONGEST_QUERY:
        raise TooManyParameters(count=count, size=size, allowed=MOST_PARAMETERS, longest=LONGEST_QUERY)
    for name, value in request.query_params.multi_items():
        if found := _CONTROL.search(name + value):
            shown = {"shown": repr(found[0])}
            error = FieldError(control_character, parameter=name, value=value, values=shown)
            raise BadRequest(errors=[error])


_CONTROL = re.compile("[\x00-\x1f\x7f]")
