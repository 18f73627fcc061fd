"""The pages of the service about itself: the meaning of an error's code, and the documentation.

The documentation page works without internet: it uses the static files of the package `fastapi-offline`, and
nothing else of that package. Its security policy lets no other script run.
"""

import base64
import hashlib
import re
from functools import cache, partial
from importlib.util import find_spec
from mimetypes import guess_type
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from pydantic import BaseModel, Field

from app.extras import is_installed
from app.kit.fields import SOMETIMES, describe_key, show_example
from app.kit.http.constants import CONSTANT, Constant, LateConstant
from app.kit.http.routing import make_router
from app.kit.openapi.document import DOCUMENT
from app.kit.problems import Kind, NotFound, Problem, require_extra, require_found

STATIC = "/docs/static"


class Both(BaseModel):
    """A sentence in Indonesian and English; `{name}` takes the error's values."""

    id: str
    en: str


class Meaning(BaseModel):
    """Meaning of a code: status, title and detail of a problem, message of one of its errors."""

    code: str
    status: int | None = Field(default=None, json_schema_extra=SOMETIMES)
    title: Both | None = Field(default=None, json_schema_extra=SOMETIMES)
    detail: Both | None = Field(default=None, json_schema_extra=SOMETIMES)
    message: Both | None = Field(default=None, json_schema_extra=SOMETIMES)

    model_config = show_example(
        code="not_found",
        status=404,
        title=NotFound.title.strip_forms()._asdict(),
        detail=NotFound.detail.strip_forms()._asdict(),
    )


def find_meaning(code: str) -> Meaning:
    """Return the meaning of a code, which may be a problem's, an error's or both. Raises NotFound if it is neither."""
    problem, kind = Problem.known.get(code), Kind.known.get(code)
    if problem is None and kind is None:
        raise NotFound()
    meaning = Meaning(code=code)
    if problem is not None:
        meaning.status = problem.status
        meaning.title, meaning.detail = (
            Both(**problem.title.strip_forms()._asdict()),
            Both(**problem.detail.strip_forms()._asdict()),
        )
    if kind is not None:
        meaning.message = Both(**kind.text.strip_forms()._asdict())
    return meaning


@cache
def _make_meaning(code: str) -> Constant:
    """Return the document of a code. Raises NotFound, which the cache does not keep."""
    return Constant(find_meaning(code).model_dump_json(exclude_none=True).encode(), "application/json")


def service_router() -> APIRouter:
    router = make_router(root="", tags=["service"])

    @router.get("/problems/{code}", response_model=Meaning, openapi_extra=CONSTANT)
    def read_problem(
        request: Request, code: str = describe_key("Code of a problem or of one of its errors.", "not_found")
    ) -> Response:
        """Return the meaning of a problem's or an error's code, in both languages; `type` of problems points here."""
        return _make_meaning(code).answer(request)

    return router


# Documentation


def install_docs(app: FastAPI) -> None:
    """Serve `/docs` from the files of the extra `docs`."""
    files = {file.name: LateConstant(partial(_read_file, file)) for file in _list_files()}

    async def read_docs_file(request: Request) -> Response:
        file = require_found(files.get(request.path_params["name"]))
        return await file.answer(request)

    app.add_route(f"{STATIC}/{{name}}", read_docs_file, include_in_schema=False)

    @cache
    def make_page(root: str) -> Constant:
        page = get_swagger_ui_html(
            openapi_url=f"{root}{DOCUMENT}",
            title=app.title,
            swagger_js_url=f"{root}{STATIC}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{STATIC}/swagger-ui.css",
            swagger_favicon_url=f"{root}{STATIC}/favicon.png",
            swagger_ui_parameters={
                "validatorUrl": None,
                "displayRequestDuration": True,
                "filter": True,
                "docExpansion": "list",
                "defaultModelsExpandDepth": 0,
                "tryItOutEnabled": True,
                "persistAuthorization": False,
            },
        )
        body = bytes(page.body)
        guards = {
            "Content-Security-Policy": build_policy(body.decode()),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return Constant(body, "text/html", guards)

    @app.get("/docs", include_in_schema=False)
    def read_docs(request: Request) -> Response:
        require_extra("docs")
        return make_page(request.scope.get("root_path", "")).answer(request)


def _list_files() -> list[Path]:
    """Return the files of Swagger UI; none without the extra `docs`."""
    package = find_spec("fastapi_offline") if is_installed("docs") else None
    if package is None or package.origin is None:
        return []
    return list((Path(package.origin).parent / "static").iterdir())


def _read_file(file: Path) -> Constant:
    return Constant(file.read_bytes(), guess_type(file.name)[0] or "application/octet-stream")


def build_policy(page: str) -> str:
    """Return the Content-Security-Policy of a page: only the service's files and the page's inline scripts run.

    Inline styles pass, since Swagger UI styles its elements one by one.
    """
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self' " + " ".join(f"'sha256-{digest}'" for digest in hashes),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
