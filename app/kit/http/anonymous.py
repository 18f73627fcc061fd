"""Operations that answer without a token, where the operator opened something to the public.

One is declared so where its route is (`openapi_extra=PUBLIC`), and nowhere else. From that follow what the document
says of it, whether a request without a token is let in, and what caches and pages of other sites may do with the reply.
"""

from starlette.requests import Request
from starlette.responses import Response

PUBLIC = {"x-public": True}
"""`openapi_extra` of a GET that tells nothing but what was adopted, what was frozen, and reference data."""
CACHE = "public, max-age=300"
"""Also of what never changes: what is closed again must be gone from caches that are not ours."""


def is_public(request: Request) -> bool:
    """Whether the operation is declared so."""
    return PUBLIC.keys() <= (request.scope["route"].openapi_extra or {}).keys()


def is_sent_without_token(request: Request) -> bool:
    """No `Authorization` at all: a token that does not hold is refused, never taken for the public."""
    return "authorization" not in request.headers


def let_in(request: Request) -> None:
    """Note that a request is answered as anybody's."""
    request.scope["is_anybodys"] = True


def shared(request: Request, response: Response) -> Response:
    """The response; of a request that is anybody's, one that caches and pages of other sites may have too.

    No credentials are in it, so no origin is told apart. Nothing is said to a preflight: a plain GET sends none.
    """
    if request.scope.get("is_anybodys"):
        response.headers["Access-Control-Allow-Origin"] = "*"
        if response.status_code < 400:
            response.headers["Cache-Control"] = CACHE
    return response
