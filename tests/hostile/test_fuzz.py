"""Valid requests with random changes of bytes, headers, queries or JSON.

`make proofs GROUP=hostile` sends thousands. A failure names the number of the request, which the seed reproduces.
"""

import json
import random
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


def mutate(value: Any, chance: random.Random) -> Any:
    """Return JSON with a random change in one place."""
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
            copy[key] = mutate(copy[key], chance)
    return copy


def scramble(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with some of them changed, repeated or removed."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(changed) + 1)
        end = at + chance.choice((1, 1, 4, 40))
        match chance.randrange(4):
            case 0:
                changed[at:end] = chance.randbytes(end - at)
            case 1:
                changed[at:at] = changed[at:end] * chance.choice((1, 3, 300))
            case 2:
                del changed[at:end]
            case _:
                changed[at:at] = chance.choice(
                    (b"\r\n", b"\0", b"\n", b":", b"%", b"\xff", b" ", b"\r\n\r\n")
                )
    return bytes(changed)


def draw_request(service: Service, operation: Operation, chance: random.Random) -> bytes:
    part = chance.choice(("keys", "query", "headers", "body", "bytes"))
    keys, query, headers = (
        dict(operation.keys),
        dict(operation.needed),
        ["If-Match: *"] if operation.is_conditional else [],
    )
    if operation.is_write:
        query["dry_run"] = "true"
    if part == "keys" and operation.keys:
        keys[chance.choice(list(keys))] = render_text(chance.choice(WORDS))
    if part == "query":
        name = chance.choice([*operation.query, "dry_run", "unknown"])
        query[name] = render_text(chance.choice(WORDS))
    if part == "headers":
        headers = [f"{chance.choice(NAMES)}: {chance.choice(VALUES)}" for _ in range(chance.randint(1, 3))]
    kind, body = "application/json", None
    if operation.takes_json:
        changed = mutate(operation.example, chance) if part == "body" else operation.example
        body = json.dumps(changed).encode()
    elif operation.body is not None:
        kind, body = "multipart/form-data; boundary=b", chance.choice(list(PARTS.values()))[:200_000]
    target = quote(operation.path).replace("%7B", "{").replace("%7D", "}")
    target = target.format(**{name: quote(str(value), safe="") for name, value in keys.items()})
    target += "?" + "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
    whole = service.build_request(operation.method.upper(), target, *headers, body=body, kind=kind)
    # the empty line ends a head without an end, for which the service would wait
    return scramble(whole, chance) + b"\r\n\r\n" if part == "bytes" else whole


def render_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace").decode()[:500]


def test_randomly_changed_requests_have_a_valid_reply(service: Service) -> None:
    send_changed_by_chance(service, COUNT, SEED)


def send_changed_by_chance(service: Service, count: int, seed: int) -> None:
    """Send random requests; check that each reply is valid or the connection cut."""

    def attempt(number: int) -> str | None:
        chance = random.Random(f"{seed}/{number}")
        operation = chance.choice(OPERATIONS)
        with service.open_line() as line:
            line.send(draw_request(service, operation, chance))
            reply = line.read_first()
        try:
            return None if reply.is_answered_or_cut else f"{number} {operation}: {reply.data[:300]!r}"
        except (AssertionError, ValueError) as error:
            return f"{number} {operation}: {error} {reply.data[:300]!r}"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        failures = [failure for failure in pool.map(attempt, range(count)) if failure is not None]
    assert failures == []
