"""The pages for people: the Markdown files of `docs/` as HTML, and the page at `/`, which links to them.

A page loads nothing, and its security policy lets no script run. A process renders each page once.
"""

import base64
import hashlib
import json
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from html import escape
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from fastapi import FastAPI, Request, Response

from app.kit.http.constants import Constant, LateConstant
from app.kit.http.preferences import read_weights
from app.kit.openapi.document import DOCUMENT, GUIDE
from app.kit.problems import require_found
from app.kit.shipped import find_shipped

if TYPE_CHECKING:
    from markdown_it.token import Token

PAGES = find_shipped("docs")
ABOUT = {
    "id": "Rata menyimpan Rencana Aksi Tahunan (RAT) penanggulangan kemiskinan provinsi dan kabupaten/kota. Daerah "
    "menyusun dan menetapkan rencananya serta melaporkan kemajuannya tiap triwulan; sistem lain menariknya.",
    "en": "Rata keeps the yearly poverty-reduction action plans (RAT) of Indonesia's provinces and regencies. Regions "
    "write and adopt their plans and report progress every quarter; other systems pull both.",
}
LINKS = {"guide": GUIDE, "documentation": "/docs", "openapi": DOCUMENT, "health": "/health"}

_TEMPLATE = Path(__file__).with_name("page.html").read_text("utf-8")
_STYLE = _TEMPLATE.partition("<style>")[2].partition("</style>")[0]
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_GUARDS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def install_guide(app: FastAPI) -> None:
    """Serve `/`, and the files of `docs/` at `/docs/guide`."""
    files = [file.relative_to(PAGES).as_posix() for file in PAGES.rglob("*.md")]
    pages = {_find_address(file): file for file in files}

    @cache
    def find_page(root: str, address: str) -> LateConstant:
        return LateConstant(partial(_make_guide, root, address, pages))

    async def read_guide(request: Request) -> Response:
        name = request.path_params.get("page")
        address = GUIDE if name is None else f"{GUIDE}/{name}"
        require_found(pages.get(address))
        return await find_page(request.scope.get("root_path", ""), address).answer(request)

    async def read_home(request: Request) -> Response:
        weights = dict(read_weights(request.headers.get("accept", "")))
        is_json = weights.get("application/json", 0) > weights.get("text/html", 0)
        return _make_home(request.scope.get("root_path", ""), app.version, is_json).answer(request)

    app.add_route("/", read_home, include_in_schema=False)
    app.add_route(GUIDE, read_guide, include_in_schema=False)
    app.add_route(f"{GUIDE}/{{page:path}}", read_guide, include_in_schema=False)


@cache
def _make_home(root: str, version: str, is_json: bool) -> Constant:
    links = {name: f"{root}{address}" for name, address in LINKS.items()}
    if is_json:
        facts = {"name": "Rata", "version": version, "about": ABOUT, **links}
        return Constant(
            json.dumps(facts, ensure_ascii=False).encode(), "application/json", {"Vary": "Accept"}
        )
    texts = "".join(f'<p lang="{language}">{escape(text)}</p>\n' for language, text in ABOUT.items())
    names = ("Panduan · Guide", "Dokumentasi API · API documentation", "OpenAPI", "Health")
    pairs = zip(names, links.values(), strict=True)
    items = "".join(f'<li><a href="{escape(address)}">{name}</a></li>\n' for name, address in pairs)
    return _make_page(
        root, "Rata", f"<h1>Rata {version}</h1>\n{texts}<ul>\n{items}</ul>\n", "id", {"Vary": "Accept"}
    )


def _make_guide(root: str, address: str, pages: Mapping[str, str]) -> Constant:
    file = pages[address]

    def resolve(link: str) -> str | None:
        """Return the address that a link of the file leads to; None if the service does not serve its target."""
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or not parts.path:
            return link
        target = _find_address(posixpath.join(posixpath.dirname(file), unquote(parts.path)))
        return parts._replace(path=f"{root}{target}").geturl() if target in pages else None

    title, content = _render((PAGES / file).read_text("utf-8"), resolve)
    return _make_page(root, f"{title} – Rata", content, "id" if file == "mulai.md" else "en", {})


def _find_address(file: str) -> str:
    """Return the address of a path in `docs/`. A `README.md` has the address of its folder."""
    return posixpath.normpath(f"{GUIDE}/{file.removesuffix('.md').removesuffix('README')}")


def _make_page(root: str, title: str, content: str, language: str, headers: Mapping[str, str]) -> Constant:
    values = {"root": escape(root), "title": escape(title), "content": content, "language": language}
    text = Template(_TEMPLATE).substitute(values)
    return Constant(text.encode(), "text/html", {**_GUARDS, **headers})


def _render(text: str, resolve: Callable[[str], str | None]) -> tuple[str, str]:
    """Return (title, HTML) of Markdown. Links that `resolve` has no address for become plain text."""
    from markdown_it import MarkdownIt  # takes 50 ms, which a command without requests does not pay

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    parser.add_render_rule("html_block", _escape_html)
    parser.add_render_rule("html_inline", _escape_html)
    tokens = parser.parse(text)
    titles, anchors = [], Counter[str]()
    for token, following in pairwise(tokens):
        if token.type == "heading_open":
            parts = [p for p in following.children or () if p.type in ("text", "code_inline")]
            titles.append("".join(part.content for part in parts))
            anchor = re.sub(r"[^\w\- ]", "", titles[-1].lower()).replace(" ", "-")  # as GitHub makes it
            token.attrSet("id", f"{anchor}-{anchors[anchor]}" if anchors[anchor] else anchor)
            anchors[anchor] += 1
        if align := token.attrs.pop("style", None):  # the policy lets no inline style pass
            token.attrSet("class", str(align).removeprefix("text-align:"))
        _resolve_links(token.children or (), resolve)
    return titles[0] if titles else "", parser.renderer.render(tokens, parser.options, {})


def _resolve_links(parts: "Sequence[Token]", resolve: Callable[[str], str | None]) -> None:
    address: str | None = None
    for part in parts:
        if part.type == "link_open":
            address = resolve(str(part.attrs["href"]))
            part.attrSet("href", address or "")
        if part.type in ("link_open", "link_close"):
            part.hidden = address is None


def _escape_html(_self: object, tokens: "Sequence[Token]", index: int, *_: object) -> str:
    """Return raw HTML as text, without its comments."""
    return escape(re.sub(r"<!--.*?-->", "", tokens[index].content, flags=re.DOTALL))
