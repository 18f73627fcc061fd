"""`/docs` works without internet: it loads local files alone and runs no other script."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings


@pytest.fixture(scope="module")
def anonymous() -> TestClient:
    return TestClient(create_app(Settings(_env_file=None, database_url="sqlite://")))


def list_addresses(page: str) -> list[str]:
    """List the addresses that the page loads by elements and by its script."""
    return re.findall(r'(?:src|href)="([^"]+)"', page) + re.findall(
        r"""["']?url["']?: ["']([^"']+)["']""", page
    )


def test_every_address_is_local_and_available(anonymous: TestClient) -> None:
    page = anonymous.get("/docs")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    addresses = list_addresses(page.text)
    assert {Path(address).name for address in addresses} == {
        "swagger-ui-bundle.js",
        "swagger-ui.css",
        "favicon.png",
        "openapi.json",
    }
    for address in addresses:
        assert address.startswith("/")
        assert not address.startswith("//")
        reply = anonymous.get(address)
        assert reply.status_code == 200, address
        assert reply.content
    outside = re.findall(r"https?://[^\"'\s<]+", page.text)
    assert outside == []


def test_styles_load_no_other_files(anonymous: TestClient) -> None:
    style = anonymous.get("/docs/static/swagger-ui.css").text
    assert re.findall(r"@import|url\((?!['\"]?data:)[^)]*\)", style) == []


def test_policy_allows_only_the_script_of_the_page(anonymous: TestClient) -> None:
    page = anonymous.get("/docs")
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert '"validatorUrl": null' in script, "the page would send the document to a validator on the internet"


def test_addresses_have_the_path_of_the_proxy() -> None:
    client = TestClient(create_app(Settings(_env_file=None, database_url="sqlite://")), root_path="/rata")
    assert all(address.startswith("/rata/") for address in list_addresses(client.get("/docs").text))
