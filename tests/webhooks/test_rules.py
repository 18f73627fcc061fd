"""Delays of retries, signatures, and addresses that get nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from app.changes.webhooks.rules import (
    MAX_ATTEMPTS,
    Failure,
    Hint,
    can_reach,
    choose_delay,
    find_failure,
    format_secret,
    is_acceptable,
    parse_address,
    sign_headers,
)

HINT = Hint("msg_1", datetime(2026, 11, 21, tzinfo=UTC), "a", "b", "63.02", ["plan.adopted"], 1)


def test_retries_span_about_three_days() -> None:
    delays = [choose_delay(n, 0.0) for n in range(1, MAX_ATTEMPTS)]
    assert delays[0] == timedelta(seconds=5)
    assert delays == sorted(delays, key=lambda delay: delay or timedelta())
    assert delays[-1] == timedelta(hours=12)
    whole = sum((delay for delay in delays if delay), timedelta())
    assert timedelta(days=2.5) < whole < whole * 1.2 < timedelta(days=3.5)
    assert choose_delay(1, 1.0) == timedelta(seconds=6)
    assert choose_delay(MAX_ATTEMPTS, 0.0) is None


def test_signatures_are_those_of_the_published_library() -> None:
    secrets, at = [b"a" * 32, b"b" * 24], datetime(2026, 11, 21, 1, 2, 3, 999_999, tzinfo=UTC)
    headers = sign_headers(HINT, secrets, at)
    theirs = [Webhook(format_secret(secret)).sign("msg_1", at, HINT.body.decode()) for secret in secrets]
    assert headers["webhook-signature"].split(" ") == theirs


@pytest.mark.parametrize(
    "number",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104 - one that is refused
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "233.252.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:a00:1::1",
        "2001:0:a00:1::1",
        "2001:db8::1",
    ],
)
def test_private_addresses_are_refused(number: str) -> None:
    assert not can_reach(number, allow_loopback=False)
    assert can_reach(number, allow_loopback=True) == (number in ("127.0.0.1", "::1", "::ffff:127.0.0.1"))


@pytest.mark.parametrize(
    "number", ["8.8.8.8", "103.28.12.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_allowed(number: str) -> None:
    assert can_reach(number, allow_loopback=False)


def can_register(url: str, *, allow_loopback: bool = False) -> bool:
    address = parse_address(url)
    return address is not None and is_acceptable(address, allow_loopback=allow_loopback)


def test_addresses_of_webhooks() -> None:
    refused = (
        "http://rata.example/x",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        "http://127.0.0.1:8000/",
        "https://user:word@rata.example/",
        "https://rata.example/#part",
        "https://rata.example:0/",
        "https://rata.example:99999/",
        "https:///x",
        "ftp://rata.example/",
        "https://[::1",
    )
    assert [url for url in refused if can_register(url)] == []
    for url in ("https://rata.example/x?y=1", "https://8.8.8.8:8443/", "https://[2606:4700::1111]/"):
        assert can_register(url), url
    for url in ("http://127.0.0.1:8000/", "http://localhost/", "https://[::1]/", "https://rata.example/"):
        assert can_register(url, allow_loopback=True), url
    assert not can_register("http://rata.example/", allow_loopback=True)
    assert not can_register("https://10.0.0.1/", allow_loopback=True)


def test_only_2xx_is_a_success() -> None:
    failures = {status: find_failure(status) for status in (200, 204, 299, 301, 304, 400, 410, 500)}
    assert [status for status, failure in failures.items() if failure is None] == [200, 204, 299]
    assert [status for status, failure in failures.items() if failure == Failure.redirected] == [301, 304]
