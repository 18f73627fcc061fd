"""What a request may be made of, before any field is looked at: its media type, its JSON, its characters."""

import email.message
import json
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from fastapi import Request, params
from fastapi.routing import APIRoute

from app.kit.inputs import control_character, nearest
from app.kit.problems import BadRequest, FieldError, Invalid, Kind, NotFound, UnsupportedMedia

unknown_part = Kind(
    "unknown_part",
    id="bagian formulir {part} tidak dikenal; yang ada: {allowed}",
    en="unknown part {part} of the form; there are: {allowed}",
)
repeated_part = Kind(
    "repeated_part",
    id="bagian formulir {part} hanya boleh sekali",
    en="the form may have only one part {part}",
)


class HouseRequest(Request):
    """A request whose JSON is the JSON of RFC 8259: UTF-8, no NaN, no halves of characters."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = _parsed(await self.body())
        return self._json


MOST_VALUES = 1_000_000
"""In one body; the largest that anybody needs, coverage of 10,000 villages, has about 600,000. As bytes a value is
two, in memory hundreds: a bound of bytes alone bounds nothing."""
MOST_NAMES = 500
"""In one object; no shape has as many. Each that is unknown would be an error of its own, of a kilobyte and more."""


def _parsed(body: bytes) -> Any:
    """The value; JSONDecodeError for whatever is none, so that there is one way to say so."""
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise json.JSONDecodeError(f"more than {MOST_VALUES} values", "", 0)
    try:
        text = body.decode()
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise
    except UnicodeError:
        reason = "not UTF-8 throughout"
    except RecursionError:
        reason = "nested too deeply"
    except ValueError:
        reason = "a number of too many digits"
    else:
        return value
    raise json.JSONDecodeError(reason, "", 0)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MOST_NAMES:
        raise json.JSONDecodeError(f"more than {MOST_NAMES} names in one object", "", 0)
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is no JSON", "", 0)


def check_media_type(request: Request, route: APIRoute) -> None:
    """UnsupportedMedia (415) where a route that takes a body is sent one of another kind."""
    if route.body_field is None:
        return
    sent = request.headers.get("content-type", "")
    if (
        not sent
        and request.headers.get("content-length", "0") == "0"
        and "transfer-encoding" not in request.headers
    ):
        return  # No body at all: what is missing is said field by field.
    parsed = email.message.Message()
    parsed["content-type"] = sent or "application/octet-stream"
    kind = parsed.get_content_type()
    info = route.body_field.field_info
    wanted = getattr(info, "media_type", "application/json")
    if isinstance(info, params.Form):
        is_right = kind == wanted
    else:
        is_right = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    if not is_right:
        raise UnsupportedMedia(allowed=wanted)


def only_parts(*known: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency for a form: what it holds beyond the `known` parts, or twice, is refused and never dropped."""

    async def check_form(request: Request) -> None:
        names = [name for name, _ in (await request.form()).multi_items()]
        errors = [
            FieldError(
                unknown_part,
                pointer=f"/{name}",
                allowed=known,
                nearest=nearest(name, known),
                values={"part": name},
            )
            for name in dict.fromkeys(names)
            if name not in known
        ]
        errors += [
            FieldError(repeated_part, pointer=f"/{name}", values={"part": name})
            for name in known
            if names.count(name) > 1
        ]
        if errors:
            raise Invalid(errors=errors)

    return check_form


def check_plain(request: Request) -> None:
    """No control characters in an address: PostgreSQL stores none of them, and no key or word has any."""
    if _controls(request.url.path) or _controls(request.scope["path"]):
        raise NotFound()
    for name, value in request.query_params.multi_items():
        if found := _controls(name + value):
            error = FieldError(control_character, parameter=name, value=value, values={"shown": repr(found)})
            raise BadRequest(errors=[error])


def _controls(text: str) -> str:
    return next((character for character in text if character < " " or character == "\x7f"), "")
