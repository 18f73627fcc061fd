"""Operations that answer without a token, if the operator opened data to the public.

A route declares it (`openapi_extra=PUBLIC`), and no other place does. The OpenAPI document, the admission of requests
without a token, and the headers of the reply for caches and CORS all follow from that.
"""

from starlette.requests import Request
from starlette.responses import Response

PUBLIC = {"x-public": True}
"""`openapi_extra` of a GET that returns only adopted plans, frozen quarters and reference data."""
CACHE = "public, max-age=300"
"""`Cache-Control` of public replies, even immutable ones: shared caches must drop what the operator closes again."""


def is_public(request: Request) -> bool:
    """Return whether the operation of a request is public."""
    return PUBLIC.keys() <= (request.scope["route"].openapi_extra or {}).keys()


def has_no_token(request: Request) -> bool:
    """Return whether a request has no `Authorization` at all; a request with an invalid token gets 401."""
    return "authorization" not in request.headers


def mark_public(request: Request) -> None:
    """Mark a request as public, for the headers of its reply."""
    request.scope["is_anybodys"] = True


def add_public_headers(request: Request, response: Response) -> Response:
    """Return the response, with headers that open it to shared caches and other origins if its request is public.

    It holds no credentials, so every origin gets it. There is no answer to a preflight: a plain GET sends none.
    """
    if request.scope.get("is_anybodys"):
        response.headers["Access-Control-Allow-Origin"] = "*"
        if response.status_code < 400:
            response.headers["Cache-Control"] = CACHE
    return response
