"""The messages of 412, 415 and malformed conditions: cause, remedy and header, in both languages."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.common import ConnectAs
from tests.database import OneTransaction
from tests.plans.world import LEAN, furnish, put, put_plan

PLAN = "/v1/plans/63.02-2026"
NEW = "/v1/plans/63.02-2027"
CONTENT = {"title": "Rencana Aksi Tahunan"}


@pytest.fixture
def office(database: OneTransaction, connect: ConnectAs) -> TestClient:
    furnish(database)
    client = connect(("secretariat", "63.02"))
    put_plan(client)
    put(client, "A-1")
    return client


@pytest.mark.parametrize(
    ("address", "header", "value", "status", "code", "english", "indonesian"),
    [
        (
            NEW,
            "If-Match",
            "*",
            412,
            "nothing_to_match",
            "There is nothing at this address, so `If-Match: *`",
            "Tidak ada",
        ),
        (
            NEW,
            "If-Match",
            '"7"',
            412,
            "nothing_to_match",
            "nothing at this address",
            "Tidak ada data di alamat",
        ),
        (
            PLAN,
            "If-Match",
            '"7"',
            412,
            "stale_version",
            "you sent version 7, and version 1",
            "Anda mengirim versi 7",
        ),
        (PLAN, "If-None-Match", "*", 412, "exists_already", "`If-None-Match: *` only creates", "sudah ada"),
        (PLAN, "If-Match", "7", 400, "malformed_etag", "“7” is not an entity tag", "“7” bukan tanda versi"),
        (PLAN, "If-None-Match", '"7"', 400, "only_create", "no precondition of a write", "tidak berlaku"),
    ],
)
def test_a_failed_condition_names_its_cause(
    office: TestClient,
    address: str,
    header: str,
    value: str,
    status: int,
    code: str,
    english: str,
    indonesian: str,
) -> None:
    for language, sentence in (("en", english), ("id", indonesian)):
        reply = office.put(address, json=CONTENT, headers={header: value, "Accept-Language": language})
        assert reply.status_code == status, reply.text
        (error,) = reply.json()["errors"]
        assert (error["code"], error["header"], error["value"]) == (code, header, value)
        assert sentence in error["message"]
        assert "–" not in error["message"]
        if status == 412:
            assert reply.json()["detail"] == error["message"]
        if language == "id":
            assert not any(word in error["message"] for word in ("If-", "ETag", "JSON"))


def test_a_stale_list_is_412(office: TestClient) -> None:
    stale = {"If-Match": office.get(f"{PLAN}/actions").headers["ETag"], "Accept-Language": "en"}
    put(office, "A-2")
    reply = office.put(f"{PLAN}/actions", json={"items": [{"code": "A-1", **LEAN}]}, headers=stale)
    assert reply.status_code == 412, reply.text
    assert reply.json()["errors"][0]["code"] == "stale_list"
    assert reply.json()["detail"].startswith("This list has changed")


@pytest.mark.parametrize(
    ("method", "address", "sent", "allowed", "english"),
    [
        (
            "PUT",
            NEW,
            "text/plain",
            ["application/json"],
            "The body was sent as “text/plain”, a type",
        ),
        (
            "PUT",
            NEW,
            None,
            ["application/json"],
            "The body was sent without a media type.",
        ),
        (
            "PATCH",
            PLAN,
            "text/csv",
            ["application/merge-patch+json", "application/json"],
            "that this address does not take.",
        ),
        (
            "POST",
            f"{PLAN}/imports",
            "application/json",
            ["multipart/form-data"],
            "sent as “application/json”, a type",
        ),
    ],
)
def test_an_unsupported_media_type_is_415_with_the_supported_ones(
    office: TestClient, method: str, address: str, sent: str | None, allowed: list[str], english: str
) -> None:
    headers: dict[str, Any] = {"Accept-Language": "en"} | ({"Content-Type": sent} if sent else {})
    reply = office.request(method, address, content=b'{"title": "x"}', headers=headers)
    assert reply.status_code == 415, reply.text
    (error,) = reply.json()["errors"]
    assert (error["header"], error.get("value"), error["allowed"]) == ("Content-Type", sent, allowed)
    assert english in error["message"]
    assert reply.json()["detail"] == error["message"]
