"""Valid requests, changed by chance: bytes, headers, queries, JSON. Some dozens here; `make proofs GROUP=hostile`
sends thousands.

A failure names the number of the request; the same seed makes the same one.
"""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from tests.contract.operations import Operation
from tests.hostile.service import Service
from tests.hostile.test_payloads import OPERATIONS, PARTS

COUNT, SEED = 30, 5
AT_ONCE = 8
WORDS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**18,
        10**30,
        2**63,
        -(2**63) - 1,
        1e308,
        [],
        {},
        [[]],
        [{}],
        {"": ""},
    ),
    *(
        "",
        " ",
        "\0",
        "\ud800",
        "x" * 5000,
        "%",
        "%_",
        "'",
        '"',
        "\\",
        "../..",
        "{}",
        "${x}",
        "\u202e",
        "\ufeff",
    ),
    *(
        "0",
        "-0",
        "1e5",
        "٣",
        "NaN",
        "null",
        "2026-02-30",
        "2026-Q5",
        "2026-W01",
        "63.02",
        "99.99.99.9999",
        "A-0",
    ),
)
NAMES = (
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Content-Type",
    "Cookie",
    "Forwarded",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Idempotency-Key",
    "Range",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Request-Id",
)
VALUES = (
    *(
        "",
        "*",
        '"',
        '"7"',
        'W/"7"',
        "bytes=0-",
        "bytes=5-2,9-",
        "en;q=9..9",
        "id-ID,*;q=0",
        "Bearer",
        "Basic !!",
    ),
    *(
        "text/html",
        "application/json; charset=utf-7",
        "multipart/form-data",
        "multipart/form-data; boundary=" + "b" * 300,
    ),
    *("gzip;q=x", "zstd, gzip", "a" * 4000, "\xff\xfe", "\x7f", "::1, , 1.2.3.4", "javascript", ";=;=", "\t"),
)


def mutated(value: Any, chance: random.Random) -> Any:
    """The same JSON with something else in one place."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.15:
        return chance.choice(WORDS)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, copy = chance.choice(keys), value.copy()
    match chance.randrange(5):
        case 0:
            del copy[key]
        case 1 if isinstance(copy, dict):
            copy[str(chance.choice(WORDS))] = copy[key]
        case 1:
            copy += [copy[key]] * chance.choice((1, 2, 1500))
        case _:
            copy[key] = mutated(copy[key], chance)
    return copy


def scrambled(data: bytes, chance: random.Random) -> bytes:
    """The same bytes, some of them changed, doubled, gone, or cut off."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(found) + 1)
        end = at + chance.choice((1, 1, 4, 40))
        match chance.randrange(4):
            case 0:
                found[at:end] = chance.randbytes(end - at)
            case 1:
                found[at:at] = found[at:end] * chance.choice((1, 3, 300))
            case 2:
                del found[at:end]
            case _:
                found[at:at] = chance.choice((b"\r\n", b"\0", b"\n", b":", b"%", b"\xff", b" ", b"\r\n\r\n"))
    return bytes(found)


def request_of(service: Service, one: Operation, chance: random.Random) -> bytes:
    how = chance.choice(("keys", "query", "headers", "body", "bytes"))
    keys, query, headers = dict(one.keys), dict(one.needed), ["If-Match: *"] if one.is_conditional else []
    if one.is_write:
        query["dry_run"] = "true"
    if how == "keys" and one.keys:
        keys[chance.choice(list(keys))] = text_of(chance.choice(WORDS))
    if how == "query":
        name = chance.choice([*one.query, "dry_run", "nobody"])
        query[name] = text_of(chance.choice(WORDS))
    if how == "headers":
        headers = [f"{chance.choice(NAMES)}: {chance.choice(VALUES)}" for _ in range(chance.randint(1, 3))]
    kind, body = "application/json", None
    if one.takes_json:
        changed = mutated(one.example, chance) if how == "body" else one.example
        body = json.dumps(changed).encode()
    elif one.body is not None:
        kind, body = "multipart/form-data; boundary=b", chance.choice(list(PARTS.values()))[:200_000]
    target = quote(one.path).replace("%7B", "{").replace("%7D", "}")
    target = target.format(**{name: quote(str(value), safe="") for name, value in keys.items()})
    target += "?" + "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
    whole = service.request(one.method.upper(), target, *headers, body=body, kind=kind)
    # the empty line ends a head that has lost its end: the service by itself waits for one as long as it takes
    return scrambled(whole, chance) + b"\r\n\r\n" if how == "bytes" else whole


def text_of(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace").decode()[:500]


def test_requests_changed_by_chance(service: Service) -> None:
    send_changed_by_chance(service, COUNT, SEED)


def send_changed_by_chance(service: Service, count: int, seed: int) -> None:
    """Send so many requests; each is answered in the one shape, or the line is cut."""

    def tried(number: int) -> str | None:
        chance = random.Random(f"{seed}/{number}")
        one = chance.choice(OPERATIONS)
        sent = request_of(service, one, chance)
        with service.line() as line:
            line.send(sent)
            reply = line.first()
        try:
            return None if reply.is_answered_or_cut else f"{number} {one}: {reply.data[:300]!r}"
        except (AssertionError, ValueError) as error:
            return f"{number} {one}: {error} {reply.data[:300]!r}"

    assert failures(tried, count) == []


def failures(tried: Callable[[int], str | None], count: int) -> list[str]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [found for found in pool.map(tried, range(count)) if found is not None]
