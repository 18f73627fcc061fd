"""Bodies and queries that nobody means well, over the wire: each a problem, in bounded memory, nothing written."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from app.kit.openapi.document import COMMITTED
from app.kit.problems import MOST_ERRORS
from tests.contract.operations import Operation, operations
from tests.files.parts import workbook
from tests.hostile.service import Reply, Service

OPERATIONS = list(operations(json.loads(COMMITTED.read_bytes())))
WITH_JSON = [one for one in OPERATIONS if one.takes_json and one.example]
FORMS = [one for one in OPERATIONS if one.body is not None and "multipart" in one.body[0]]
DEEP = 100_000
BODIES: dict[str, bytes] = {
    "arrays": b"[" * DEEP + b"]" * DEEP,
    "objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "arrays in a field": b'{"title":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "arrays that do not end": b"[" * DEEP,
    "two million values": b'{"items":[' + b"[]," * 2_000_000 + b"[]]}",
    "many items": b'{"items":[' + b"{}," * 50_000 + b"{}]}",
    "many names": b"{" + b",".join(b'"n%d":1' % n for n in range(50_000)) + b"}",
    "many names in each of many items": b'{"items":['
    + b",".join([b"{" + b",".join(b'"n%d":1' % n for n in range(100)) + b"}"] * 200)
    + b"]}",
    "one name often": b"{" + b",".join([b'"title":"x"'] * 100_000) + b"}",
    "a long name": b'{"' + b"n" * 10**6 + b'":1}',
    "a long text": b'{"title":"' + b"x" * 4 * 10**6 + b'"}',
    "piled marks": ('{"title":"' + "\u0300\u0316" * 10_000 + '"}').encode(),
    "a megabyte of piled marks": ('{"title":"' + "\u0300\u0316" * 500_000 + '"}').encode(),
    "escapes": b'{"title":"' + b"\\u0041" * 10**6 + b'"}',
    "invalid UTF-8": b'{"title":"\xc3\x28\xff"}',
    "overlong UTF-8": b'{"title":"\xc0\xaf"}',
    "UTF-16": '{"title":"x"}'.encode("utf-16"),
    "half a character": b'{"title":"\\ud800"}',
    "halves in the wrong order": b'{"title":"\\udc00\\ud800"}',
    "NUL": b'{"title":"\\u0000"}',
    "NUL itself": b'{"title":"\x00"}',
    "5,000 digits": b'{"allocation":' + b"9" * 5000 + b',"title":' + b"9" * 5000 + b"}",
    "4,000 digits": b'{"allocation":' + b"9" * 4000 + b',"title":' + b"9" * 4000 + b"}",
    "huge exponent": b'{"allocation":1e999999999}',
    "two documents": b"{}{}",
    "comment": b"/* */{}",
    "zeros": bytes(10**6),
}
DATES = (
    "0000-01-01",
    "0001-01-01",
    "10000-01-01",
    "9999-12-31",
    "2026-02-31",
    "2026-13-01",
    "2026-00-00",
    "-2026-01-01",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-02-31T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "2026-06-30T23:59:60Z",
    "2026-01-01T00:00:00+99:99",
    "9" * 400,
)


@pytest.fixture(scope="module", params=["put_plan", "put_actions"])
def taker(request: pytest.FixtureRequest) -> Operation:
    """What takes one object, and what takes many."""
    (found,) = [one for one in WITH_JSON if one.id == request.param]
    return found


def sent(
    service: Service, one: Operation, body: bytes, kind: str = "application/json", **query: str
) -> Reply:
    asked = {**one.needed, **({"dry_run": "true"} if one.is_write else {}), **query}
    target = quote(one.address()) + "?" + "&".join(f"{name}={quote(value)}" for name, value in asked.items())
    conditions = ["If-Match: *"] if one.is_conditional else []
    return service.ask(service.request(one.method.upper(), target, *conditions, body=body, kind=kind))


@pytest.mark.parametrize("name", BODIES)
def test_json_that_means_harm(service: Service, taker: Operation, name: str) -> None:
    reply = sent(service, taker, BODIES[name])
    assert reply.status in (400, 404, 422), reply.data[:300]
    assert len(reply.problem.get("errors", ())) <= MOST_ERRORS


def dated(value: Any) -> Iterator[tuple[list[Any], str]]:
    """The places of an example where a date stands."""
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(one, dict | list):
            yield from (([key, *rest], text) for rest, text in dated(one))
        elif isinstance(one, str) and re.match(r"\d{4}-\d\d-\d\d", one):
            yield [key], one


def test_every_date_of_every_body(service: Service) -> None:
    tried = 0
    for one in WITH_JSON:
        for path, _ in dated(one.example):
            for date in DATES:
                body = one.example
                holder = body
                for key in path[:-1]:
                    holder = holder[key]
                holder[path[-1]] = date
                reply = sent(service, one, json.dumps(body).encode())
                assert reply.is_answered_or_cut, f"{one} {path} {date}: {reply.data[:300]!r}"
                tried += 1
    assert tried > 100


def test_every_date_of_every_query(service: Service) -> None:
    tried = 0
    for one in OPERATIONS:
        for name, declared in one.query.items():
            if one.method != "get" or "date" not in json.dumps(declared):
                continue
            for date in DATES:
                asked = {**one.needed, name: date}
                query = "&".join(f"{key}={quote(value, safe='')}" for key, value in asked.items())
                reply = service.ask(service.request("GET", f"{quote(one.address())}?{query}"))
                assert reply.is_answered_or_cut, f"{one} {name}={date}: {reply.data[:300]!r}"
                tried += 1
    assert tried > 30


def part(name: str, content: bytes, file: str | None = None, more: str = "") -> bytes:
    shown = f'; filename="{file}"' if file is not None else ""
    return (
        f'--b\r\nContent-Disposition: form-data; name="{name}"{shown}\r\n{more}\r\n'.encode()
        + content
        + b"\r\n"
    )


END = b"--b--\r\n"
PARTS: dict[str, bytes] = {
    "nothing": b"",
    "only an end": END,
    "10,000 parts": b"".join(part(f"p{n}", b"x") for n in range(10_000)) + END,
    "10,000 files": b"".join(part("file", b"x", "a.csv") for _ in range(10_000)) + END,
    "headers without end": b"--b\r\n" + b"X-More: 1\r\n" * 100_000,
    "a header without end": b"--b\r\nX-More: " + b"a" * 10**6,
    "no end": part("file", b"region_code", "a.csv"),
    "half an end": part("file", b"region_code", "a.csv") + b"--b-",
    "other boundary": part("file", b"x", "a.csv").replace(b"--b", b"--c") + END,
    "huge file name": part("file", b"x", "a" * 10**6 + ".csv") + END,
    "file name of nothing": part("file", b"x", "") + END,
    "file name that climbs": part("file", b"x", "../../../etc/passwd") + END,
    "file name with NUL": part("file", b"x", "a\x00.csv") + END,
    "file name in halves": part("file", b"x", "\\ud800.csv") + END,
    "huge text": part("file", b"x" * 5 * 10**6) + END,
    "file of zeros": part("file", bytes(5 * 10**6), "a.csv") + END,
    "part without name": b"--b\r\n\r\nx\r\n" + END,
    "coded part": part("file", b"x", "a.csv", "Content-Transfer-Encoding: base64\r\n") + END,
    "charset of nobody": part("file", b"x", "a.csv", "Content-Type: text/csv; charset=nobody\r\n") + END,
}


def archive(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as found:
        for name, data in members.items():
            found.writestr(name.replace("__", "/"), data)
    return out.getvalue()


SHEET = {"xl__workbook.xml": b"<a/>", "[Content_Types].xml": b"<a/>"}
ENTITIES = b'<!DOCTYPE a [<!ENTITY b "' + b"b" * 1000 + b'">]><a>' + b"&b;" * 10_000 + b"</a>"
FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "bomb": ("a.xlsx", lambda: archive(**SHEET, **{"xl__worksheets__sheet1.xml": bytes(130 * 2**20)})),
    "many members": ("a.xlsx", lambda: archive(**SHEET, **{f"xl__m{n}": b"" for n in range(5_000)})),
    "archive in an archive": (
        "a.xlsx",
        lambda: archive(**{"xl__a.xlsx": archive(xl__a=bytes(10**7))}),
    ),
    "cut": ("a.xlsx", lambda: archive(**SHEET)[:50]),
    "entities": (
        "a.xlsx",
        lambda: archive(**{"xl__workbook.xml": ENTITIES, "[Content_Types].xml": ENTITIES}),
    ),
    "a cell in lower case": (
        "a.xlsx",
        lambda: workbook('<row r="1"><c r="xfd1048576"><v>1</v></c></row>'),
    ),
    "a cell beyond the last": ("a.xlsx", lambda: workbook('<row><c r="AAAA1"><v>1</v></c></row>')),
    "one cell in the last corner": (
        "a.xlsx",
        lambda: workbook('<row r="20000"><c r="CV20000"><v>1</v></c></row>'),
    ),
    "a million columns": ("a.csv", lambda: b"a," * 10**6 + b"a\n" + b"1," * 10**6 + b"1\n"),
    "a million rows": ("a.csv", lambda: b"a\n" * 10**6),
    "one long cell": ("a.csv", lambda: b'"' + b"a" * 5 * 10**6 + b'"\n'),
    "quotes without end": ("a.csv", lambda: b'"' * (10**6 + 1)),
    "zeros": ("a.csv", lambda: bytes(10**6)),
    "piled marks": ("a.csv", lambda: ("No;Strategi\n1;" + "\u0300\u0316" * 10**6 + "\n").encode()),
    "invalid UTF-8": ("a.csv", lambda: b"No;Strategi\n\xff\xfe;\xc3\x28\n"),
    "neither": ("a.exe", lambda: b"MZ" + bytes(1000)),
}


@pytest.mark.parametrize("name", PARTS)
def test_forms_that_are_none(service: Service, name: str) -> None:
    assert FORMS
    for one in FORMS:
        reply = sent(service, one, PARTS[name], "multipart/form-data; boundary=b")
        assert reply.status in (400, 404, 413, 422), f"{one}: {reply.data[:300]!r}"
        assert "code" in reply.problem


@pytest.mark.parametrize("what", FILES)
def test_files_that_are_none(service: Service, what: str) -> None:
    name, content = FILES[what]
    body = part("file", content(), name) + END
    for one in FORMS:
        reply = sent(service, one, body, "multipart/form-data; boundary=b")
        assert reply.status in (400, 404, 413, 422), f"{one}: {reply.data[:300]!r}"
        assert "code" in reply.problem
