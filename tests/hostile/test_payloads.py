"""Malicious bodies and queries over the wire: each is a problem, with bounded memory and no write."""

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
WITH_JSON = [operation for operation in OPERATIONS if operation.takes_json and operation.example]
FORMS = [
    operation for operation in OPERATIONS if operation.body is not None and "multipart" in operation.body[0]
]
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
    """An operation that takes one object, and one that takes many."""
    (operation,) = [item for item in WITH_JSON if item.id == request.param]
    return operation


def send(
    service: Service, operation: Operation, body: bytes, kind: str = "application/json", **query: str
) -> Reply:
    parameters = {**operation.needed, **({"dry_run": "true"} if operation.is_write else {}), **query}
    pairs = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
    target = f"{quote(operation.address())}?{pairs}"
    conditions = ["If-Match: *"] if operation.is_conditional else []
    return service.ask(
        service.build_request(operation.method.upper(), target, *conditions, body=body, kind=kind)
    )


@pytest.mark.parametrize("name", BODIES)
def test_malicious_json_is_refused(service: Service, taker: Operation, name: str) -> None:
    reply = send(service, taker, BODIES[name])
    assert reply.status in (400, 404, 422), reply.data[:300]
    assert len(reply.problem.get("errors", ())) <= MOST_ERRORS


def find_dates(value: Any) -> Iterator[tuple[list[Any], str]]:
    """Yield the path and the text of each date in an example."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, dict | list):
            yield from (([key, *rest], text) for rest, text in find_dates(item))
        elif isinstance(item, str) and re.match(r"\d{4}-\d\d-\d\d", item):
            yield [key], item


def test_invalid_dates_in_bodies_are_no_server_error(service: Service) -> None:
    tried = 0
    for operation in WITH_JSON:
        for path, _ in find_dates(operation.example):
            for date in DATES:
                body = operation.example
                holder = body
                for key in path[:-1]:
                    holder = holder[key]
                holder[path[-1]] = date
                reply = send(service, operation, json.dumps(body).encode())
                assert reply.is_answered_or_cut, f"{operation} {path} {date}: {reply.data[:300]!r}"
                tried += 1
    assert tried > 100


def test_invalid_dates_in_queries_are_no_server_error(service: Service) -> None:
    tried = 0
    for operation in OPERATIONS:
        for name, declared in operation.query.items():
            if operation.method != "get" or "date" not in json.dumps(declared):
                continue
            for date in DATES:
                parameters = {**operation.needed, name: date}
                query = "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters.items())
                reply = service.ask(service.build_request("GET", f"{quote(operation.address())}?{query}"))
                assert reply.is_answered_or_cut, f"{operation} {name}={date}: {reply.data[:300]!r}"
                tried += 1
    assert tried > 30


def build_part(name: str, content: bytes, file: str | None = None, more: str = "") -> bytes:
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
    "10,000 parts": b"".join(build_part(f"p{n}", b"x") for n in range(10_000)) + END,
    "10,000 files": b"".join(build_part("file", b"x", "a.csv") for _ in range(10_000)) + END,
    "headers without end": b"--b\r\n" + b"X-More: 1\r\n" * 100_000,
    "a header without end": b"--b\r\nX-More: " + b"a" * 10**6,
    "no end": build_part("file", b"region_code", "a.csv"),
    "half an end": build_part("file", b"region_code", "a.csv") + b"--b-",
    "other boundary": build_part("file", b"x", "a.csv").replace(b"--b", b"--c") + END,
    "huge file name": build_part("file", b"x", "a" * 10**6 + ".csv") + END,
    "file name of nothing": build_part("file", b"x", "") + END,
    "file name that climbs": build_part("file", b"x", "../../../etc/passwd") + END,
    "file name with NUL": build_part("file", b"x", "a\x00.csv") + END,
    "file name in halves": build_part("file", b"x", "\\ud800.csv") + END,
    "huge text": build_part("file", b"x" * 5 * 10**6) + END,
    "file of zeros": build_part("file", bytes(5 * 10**6), "a.csv") + END,
    "part without name": b"--b\r\n\r\nx\r\n" + END,
    "coded part": build_part("file", b"x", "a.csv", "Content-Transfer-Encoding: base64\r\n") + END,
    "unknown charset": build_part("file", b"x", "a.csv", "Content-Type: text/csv; charset=unknown\r\n") + END,
}


def zip_members(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return out.getvalue()


SHEET = {"xl__workbook.xml": b"<a/>", "[Content_Types].xml": b"<a/>"}
ENTITIES = b'<!DOCTYPE a [<!ENTITY b "' + b"b" * 1000 + b'">]><a>' + b"&b;" * 10_000 + b"</a>"
FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "bomb": ("a.xlsx", lambda: zip_members(**SHEET, **{"xl__worksheets__sheet1.xml": bytes(130 * 2**20)})),
    "many members": ("a.xlsx", lambda: zip_members(**SHEET, **{f"xl__m{n}": b"" for n in range(5_000)})),
    "archive in an archive": (
        "a.xlsx",
        lambda: zip_members(**{"xl__a.xlsx": zip_members(xl__a=bytes(10**7))}),
    ),
    "cut": ("a.xlsx", lambda: zip_members(**SHEET)[:50]),
    "entities": (
        "a.xlsx",
        lambda: zip_members(**{"xl__workbook.xml": ENTITIES, "[Content_Types].xml": ENTITIES}),
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
def test_malformed_forms_are_refused(service: Service, name: str) -> None:
    assert FORMS
    for operation in FORMS:
        reply = send(service, operation, PARTS[name], "multipart/form-data; boundary=b")
        assert reply.status in (400, 404, 413, 422), f"{operation}: {reply.data[:300]!r}"
        assert "code" in reply.problem


@pytest.mark.parametrize("label", FILES)
def test_malformed_files_are_refused(service: Service, label: str) -> None:
    name, content = FILES[label]
    body = build_part("file", content(), name) + END
    for operation in FORMS:
        reply = send(service, operation, body, "multipart/form-data; boundary=b")
        assert reply.status in (400, 404, 413, 422), f"{operation}: {reply.data[:300]!r}"
        assert "code" in reply.problem
