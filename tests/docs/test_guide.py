"""The service serves its documentation: each page of `docs/` renders, and no link from `/` on is broken."""

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.kit.server.guide import _render
from app.main import VERSION, create_app
from app.settings import Settings
from tests.calling import Client
from tests.docs.pages import ROOT, name_of
from tests.docs.test_mentions import _find_anchors

PAGES = sorted((ROOT / "docs").rglob("*.md"))
GUIDE = "/docs/guide"


@pytest.fixture(scope="module")
def application() -> FastAPI:
    return create_app(Settings(_env_file=None, database_url="sqlite://"))


@pytest.fixture
def anonymous(application: FastAPI, portal: BlockingPortal) -> Iterator[TestClient]:
    client = Client(application, portal)
    yield client
    client.close()


def find_address(page: Any) -> str:
    name = page.relative_to(ROOT / "docs").as_posix().removesuffix(".md")
    return f"{GUIDE}/{name}".removesuffix("/README")


class Elements(HTMLParser):
    """Elements of a page: the addresses of its links, its anchors, its tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        values = dict(attrs)
        if tag == "a":
            self.links.append(values["href"] or "")
        if values.get("id"):
            self.anchors.add(values["id"] or "")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_renders(anonymous: TestClient, page: Any) -> None:
    reply = anonymous.get(find_address(page))
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    elements = Elements(reply.text)
    title = re.search(r"<title>(.+) – Rata</title>", reply.text)
    assert title is not None
    assert elements.names <= {
        *(
            "html",
            "meta",
            "title",
            "link",
            "style",
            "nav",
            "main",
            "a",
            "h1",
            "h2",
            "h3",
            "h4",
            "p",
            "ul",
            "ol",
        ),
        *("li", "table", "thead", "tbody", "tr", "th", "td", "pre", "code", "strong", "em", "s", "br", "hr"),
        "blockquote",
    }
    assert elements.attributes <= {
        "lang",
        "charset",
        "name",
        "content",
        "rel",
        "href",
        "class",
        "id",
        "start",
    }
    assert "&lt;!--" not in re.sub(r"<(pre|code)\b.*?</\1>", "", reply.text, flags=re.DOTALL)
    assert f'<html lang="{"id" if page.name == "mulai.md" else "en"}">' in reply.text
    # `_anchors` also takes the comments of shell text for headings
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    heads = len(re.findall(r"^#+ ", text, re.MULTILINE))
    assert len(elements.anchors) == heads
    assert {
        re.sub(r"-\d+$", "", anchor) for anchor in elements.anchors - _find_anchors(page)
    } <= _find_anchors(page)


def test_no_link_is_broken(anonymous: TestClient) -> None:
    pages: dict[str, Elements] = {}
    waiting, wrong = ["/"], []
    while waiting:
        address = waiting.pop()
        reply = anonymous.get(address)
        if reply.status_code != 200:
            wrong.append(address)
        is_page = reply.headers["Content-Type"].startswith("text/html")
        pages[address] = elements = Elements(reply.text if is_page else "")
        inside = {link.partition("#")[0] for link in elements.links if not urlsplit(link).netloc}
        waiting += inside - pages.keys() - set(waiting) - {""}
    assert wrong == []
    anchored = [
        (address, link)
        for address, elements in pages.items()
        for link in elements.links
        if "#" in link and not urlsplit(link).netloc
    ]
    assert anchored
    for address, link in anchored:
        target, _, anchor = link.partition("#")
        assert anchor in pages[target or address].anchors, (address, link)
    assert {find_address(page) for page in PAGES} <= pages.keys(), "a page that no other page links to"
    assert {"/docs", "/openapi.json", "/health"} <= pages.keys()


@pytest.mark.parametrize(
    "accept", ["application/json", "text/html;q=0.5, application/json", "application/json, */*"]
)
def test_first_page_as_json_names_the_addresses(anonymous: TestClient, accept: str) -> None:
    reply = anonymous.get("/", headers={"Accept": accept})
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/json")
    assert "Accept," in reply.headers["Vary"]
    facts = reply.json()
    assert (facts["name"], facts["version"], set(facts["about"])) == ("Rata", VERSION, {"id", "en"})
    for name in ("guide", "documentation", "openapi", "health"):
        assert anonymous.get(facts[name]).status_code == 200


@pytest.mark.parametrize(
    "accept", ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "", "application/json;q=0"]
)
def test_first_page_is_html_unless_json_is_preferred(anonymous: TestClient, accept: str) -> None:
    reply = anonymous.get("/", headers={"Accept": accept})
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert f"Rata {VERSION}" in reply.text
    json = anonymous.get("/", headers={"Accept": "application/json", "If-None-Match": reply.headers["ETag"]})
    assert json.status_code == 200, "the representations share no tag"


@pytest.mark.parametrize("address", ["/", GUIDE, f"{GUIDE}/quarters"])
def test_page_is_tagged_guarded_and_answers_head(anonymous: TestClient, address: str) -> None:
    reply = anonymous.get(address)
    head = anonymous.head(address)
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", reply.headers["ETag"])
    same = anonymous.get(address, headers={"If-None-Match": reply.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    policy = dict(part.split(" ", 1) for part in reply.headers["Content-Security-Policy"].split("; "))
    (style,) = re.findall(r"<style>(.*?)</style>", reply.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == {
        **dict.fromkeys(("default-src", "base-uri", "form-action", "frame-ancestors"), "'none'"),
        "style-src": f"'sha256-{digest}'",
        "img-src": "data:",
    }
    assert not re.search(r"url\(|@import", style)
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "page", ["nothing", "quarters.md", "README", "", "../decisions", "%2e%2e/%2e%2e/pyproject"]
)
def test_unknown_page_is_a_problem(anonymous: TestClient, page: str) -> None:
    reply = anonymous.get(f"{GUIDE}/{page}", headers={"Accept": "text/html"})
    assert (reply.status_code, reply.headers["Content-Type"]) == (404, "application/problem+json")
    assert anonymous.post(f"{GUIDE}/quarters").json()["code"] == "method_not_allowed"


def test_guide_behind_a_path_of_a_proxy(application: FastAPI) -> None:
    client = TestClient(application, root_path="/rata")
    for address in ("/", GUIDE, f"{GUIDE}/quarters"):
        links = [link for link in Elements(client.get(address).text).links if not link.startswith("#")]
        assert [link for link in links if not link.startswith(("/rata/", "http"))] == []
    assert client.get("/", headers={"Accept": "application/json"}).json()["guide"] == f"/rata{GUIDE}"
    assert client.get("/openapi.json").json()["externalDocs"]["url"] == f"/rata{GUIDE}"


def test_documentation_of_the_api_names_the_guide(anonymous: TestClient) -> None:
    assert anonymous.get("/openapi.json").json()["externalDocs"]["url"] == GUIDE


def test_markdown_becomes_html() -> None:
    targets = {"a.md#b": "/a#b"}
    title, page = _render(
        "<!-- run -->\n"
        "# One `two` & three\n\n"
        "## Again\n\n## Again\n\n"
        "See [here](a.md#b), [the `file`](../LICENSE) and <script>x</script> <!-- gone -->[x](javascript:x).\n\n"
        "<div onclick=x>\n\n"
        "| a | b |\n|---|--:|\n| 1 | 2 |\n\n"
        "<!-- a comment\nof lines -->\n\n"
        "```mermaid\nA --> B <!-- stays -->\n```\n",
        targets.get,
    )
    assert title == "One two & three"
    assert '<h1 id="one-two--three">One <code>two</code> &amp; three</h1>' in page
    assert [f'<h2 id="{anchor}">Again</h2>' in page for anchor in ("again", "again-1")] == [True, True]
    assert (
        '<p>See <a href="/a#b">here</a>, the <code>file</code> and &lt;script&gt;x&lt;/script&gt; '
        "[x](javascript:x).</p>" in page
    )
    assert "&lt;div onclick=x&gt;" in page
    assert '<td class="right">2</td>' in page
    assert "lines" not in page
    assert '<pre><code class="language-mermaid">A --&gt; B &lt;!-- stays --&gt;\n</code></pre>' in page
