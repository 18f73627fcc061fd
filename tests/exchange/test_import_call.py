"""The import as a call: atomicity, rights, valid files and forms, retries, languages."""

import io
import zipfile
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.kit.database.journal import JournalRow
from app.kit.files import reader
from app.plans.actions.models import ComponentRow
from tests.common import ConnectAs
from tests.exchange.office import DINSOS, OWN, Office, edited, find_letter, find_place, line, sheet
from tests.matrix.test_files import OLE, PNG, pack_sheet

pytestmark = pytest.mark.one_engine

NEW = line(agency="Badan Keuangan", code="5.02.0.00.0.00.01.0000")


def read_state(office: Office) -> tuple[Any, ...]:
    agencies = office.client.get("/v1/regions/63.02/agencies").json()["items"]
    reports = office.client.get(f"{office.url}/progress/2026-Q2").json()["items"]
    return office.lines(), office.journal(), agencies, reports


def test_an_error_in_the_last_row_leaves_nothing(office: Office) -> None:
    before = read_state(office)
    report = {"spent_s1": 5, "spent_total": 5}
    good = [{**NEW, **report}, {**line(allocation=2), **report}]
    for wrong in (
        {"duration": "13 bulan"},  # too long for an action
        OWN,  # cannot be resolved
        {"allocation": None},  # missing
        {"spent_s1": 2**53, "spent_total": 2**53},  # too large for a report
    ):
        data = sheet(*good, line(**{"allocation": 3, **report, **wrong}), realisation=True)
        reply = office.send(data, basis="period", new_agencies="create")
        assert reply.status_code == 422, wrong
        assert {find_place(error)[1:] for error in reply.json()["errors"]} == {"4"}
        assert read_state(office) == before


def test_a_dry_run_reports_the_same_and_keeps_nothing(office: Office) -> None:
    before = read_state(office)
    data = sheet({**NEW, "spent_s1": 5, "spent_total": 5}, line(**OWN), realisation=True)
    how: dict[str, Any] = {"basis": "period", "new_agencies": "create", "accept": "free_text"}
    trial = office.bring(data, **how, dry_run="true")
    assert (trial["created"], trial["agencies_created"]) == (2, [NEW["code"]])
    assert read_state(office) == before
    assert office.bring(data, **how) == trial
    assert read_state(office) != before


def test_who_may_import(office: Office, connect: ConnectAs, stranger: TestClient) -> None:
    data = sheet(line())
    for role in (("operator", "63.02", DINSOS), ("reviewer", "63"), ("chair", "63.02")):
        client = connect(role)
        for query in ({}, {"dry_run": "true"}):
            refused = office.send(data, client=client, **query)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), role
        # A caller without the right does not learn about errors in the file.
        assert office.send(b"", client=client).status_code == 403
        assert client.get(f"{office.url}/matrix.xlsx").status_code == 200
    for client in (stranger, connect(("secretariat", "63.03"))):
        assert office.send(data, client=client).status_code == 404
        assert client.get(f"{office.url}/matrix.csv").status_code == 404
    assert office.send(data, client=connect(("administrator", "63"))).status_code == 200
    office.plan, office.url = "63.02-2031", "/v1/plans/63.02-2031"
    assert office.send(data).status_code == 404


def bomb() -> bytes:
    return pack_sheet(" " * (8 * 1024 * 1024))


def zip_picture() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.png", PNG)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "filename", "code"),
    [
        (b"", "a.xlsx", "empty_file"),
        (b"", "a.csv", "empty_file"),
        (PNG, "a.xlsx", "not_a_workbook"),
        (PNG, "a.csv", "not_a_table"),
        (OLE, "a.xls", "old_workbook"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "a.xlsx", "password_protected"),
        (sheet(line())[:3000], "a.xlsx", "damaged_workbook"),
        (b"a,b\n1,2\n", "a.csv", "no_header"),
    ],
)
def test_a_file_that_is_no_matrix(office: Office, data: bytes, filename: str, code: str) -> None:
    before = read_state(office)
    reply = office.send(data, filename)
    problem = reply.json()
    assert (reply.status_code, problem["code"]) == (422, "unreadable_file"), reply.text
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [("/file", code)]
    assert reply.headers["content-type"] == "application/problem+json"
    assert read_state(office) == before


def test_deceptive_archives_are_refused(office: Office) -> None:
    for data, code in ((bomb(), "archive_bomb"), (zip_picture(), "not_a_workbook")):
        reply = office.send(data)
        assert (reply.status_code, reply.json()["code"]) == (422, "unreadable_file")
        assert [error["code"] for error in reply.json()["errors"]] == [code]


@pytest.mark.parametrize(
    "address", ["xfd1048576", "AAAA1", "A1048577", "A0", "a1", " A1", "A 1", "$A$1", "A01"]
)
def test_a_small_workbook_with_an_invalid_address(office: Office, address: str) -> None:
    data = pack_sheet(f'<row><c r="{address}"><v>1</v></c></row>')
    reply = office.send(data, dry_run="true")
    assert (reply.status_code, reply.json()["code"]) == (422, "unreadable_file"), reply.text
    assert [error["code"] for error in reply.json()["errors"]] == ["damaged_workbook"]


def test_a_sheet_is_chosen_by_its_name(office: Office) -> None:
    reply = office.send(sheet(line()), sheet="Rekap")
    (error,) = reply.json()["errors"]
    assert (reply.status_code, error["code"], error["value"], error["allowed"]) == (
        422,
        "unknown_sheet",
        "Rekap",
        ["Sheet"],
    )
    assert office.bring(sheet(line()), sheet="Sheet")["sheet"] == "Sheet"


def test_a_formula_is_named_and_never_evaluated(office: Office) -> None:
    data = edited(
        sheet(line(), line()), {(2, "allocation"): "=1+1", (3, "location"): '=HYPERLINK("http://x")'}
    )
    assert office.refused(data) == [("formula", "K2"), ("formula", "N3")]


def test_a_file_of_more_than_twenty_megabytes(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = office.send(b"x" * (20 * 2**20 + 1), "a.csv")
    assert (reply.status_code, reply.json()["code"]) == (413, "too_large")
    reply = office.send(b"x" * (26 * 2**20), "a.csv")
    assert (reply.status_code, reply.json()["code"]) == (413, "too_large")
    monkeypatch.setattr(reader, "LARGEST_FILE", 100)
    assert office.send(sheet(line())).status_code == 413


# Forms


def part(name: str, data: Any = b"x") -> tuple[str, tuple[str, Any]]:
    return (name, ("a.xlsx", data))


@pytest.mark.parametrize(
    ("call", "status", "errors"),
    [
        ({"data": {"resolutions": "[]"}}, (415, 422), None),
        ({"files": [("resolutions", (None, "[]"))]}, (422,), [("missing", "/file")]),
        ({"files": [part("file"), part("file")]}, (422,), [("repeated_part", "/file")]),
        ({"files": [part("berkas")]}, (422,), [("unknown_part", "/berkas"), ("missing", "/file")]),
        ({"files": [part("file")], "data": {"resolution": "[]"}}, (422,), [("unknown_part", "/resolution")]),
        ({"files": [part("file"), part("resolutions", b"[]")]}, (422,), None),
        ({"files": [("file", (None, "text"))]}, (422,), None),
        ({"json": {"file": "x"}}, (415,), None),
        ({"content": b"PK"}, (415,), None),
        ({"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}}, (400,), None),
        (
            {"content": b"--y", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            (400, 422),
            None,
        ),
        ({}, (422,), None),
    ],
)
def test_invalid_forms_are_refused(
    office: Office, call: dict[str, Any], status: tuple[int, ...], errors: list[tuple[str, str]] | None
) -> None:
    reply = office.client.post(f"{office.url}/imports", **call)
    assert reply.status_code in status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    if errors is not None:
        assert [(e["code"], e["pointer"]) for e in reply.json()["errors"]] == errors


@pytest.mark.parametrize(
    ("query", "parameter"),
    [({"basis": "both"}, "basis"), ({"accept": "all"}, "accept.0"), ({"mode": "x"}, "mode")],
)
def test_an_unknown_parameter_is_refused(office: Office, query: dict[str, str], parameter: str) -> None:
    reply = office.send(sheet(line()), **query)
    assert (reply.status_code, reply.json()["errors"][0]["parameter"]) == (400, parameter)


def test_a_retry_with_the_same_key_returns_the_first_reply(office: Office) -> None:
    data, key = sheet(line()), {"Idempotency-Key": "import-1"}
    url = f"{office.url}/imports"
    body, kind = multipart(data)
    first = office.client.post(url, content=body, headers={**key, "Content-Type": kind})
    journal = office.journal()
    again = office.client.post(url, content=body, headers={**key, "Content-Type": kind})
    assert (first.status_code, first.json()["created"]) == (200, 1)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    other, _ = multipart(sheet(line(allocation=7)))
    reused = office.client.post(url, content=other, headers={**key, "Content-Type": kind})
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert office.journal() == journal


def multipart(data: bytes) -> tuple[bytes, str]:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.xlsx"\r\n\r\n'
    return head + data + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


def test_messages_come_in_both_languages(office: Office) -> None:
    data = sheet(line(**OWN, duration="lama"))
    texts = {}
    for language in ("id", "en"):
        headers = {"Accept-Language": language}
        refused = office.send(data, headers=headers).json()
        taken = office.bring(data, headers=headers, accept="free_text", dry_run="true")
        texts[language] = (
            refused["title"],
            refused["errors"][0]["message"],
            taken["warnings"][0]["message"],
            [finding["message"] for finding in taken["findings"]],
        )
    assert texts["id"][0] == "Isi tidak sah"
    assert texts["en"][0] == "Invalid input"
    for indonesian, english in zip(texts["id"], texts["en"], strict=True):
        assert indonesian != english


def test_the_journal_names_the_file(office: Office) -> None:
    data = sheet(line())
    office.bring(data)
    table = get_table(JournalRow)
    with office.database.read_session() as session:
        reason = session.scalar(sa.select(table.c.reason).where(table.c.kind == "action.created"))
    assert reason == f"import sha256:{sha256(data).hexdigest()[:16]}"


NIK = "9999991505850001"  # no region has these digits


def test_a_number_of_a_person_is_refused_by_cell(office: Office) -> None:
    for key, value in (
        ("direct", f"Bantuan alat untuk NIK {NIK}"),
        ("location", f"Rumah {NIK}"),
        ("recipients", "KK 7322 0145 0585 0001"),
        ("benefit_amount", f"Beras ({NIK})"),
        ("benefit_form", f"Barang {NIK}"),
        ("duration", f"{NIK} kali"),
        ("subactivity", f"Bantuan untuk {NIK}"),
    ):
        cells = {"program": None, "activity": None, key: value} if key == "subactivity" else {key: value}
        errors = office.refused(sheet(line(), line(**cells)), accept="free_text")
        assert errors == [("person_number", f"{find_letter(key)}3")], key
    unknown = line(agency=f"Badan {NIK}", code="5.02.0.00.0.00.01.0000")
    assert office.refused(sheet(unknown), new_agencies="create") == [
        ("person_number", f"{find_letter('agency')}2")
    ]
    account = "Alat, rekening 5.1.02.01.01.0055, 20.12.2025"
    assert office.bring(sheet(line(direct=account)))["created"] == 1


def test_a_stored_number_does_not_stop_the_next_import(office: Office) -> None:
    """A line from before the rule: the file may bring other cells of it."""
    office.bring(sheet(line(direct="Bantuan alat")))
    table = get_table(ComponentRow)
    text = f"Bantuan alat untuk NIK {NIK}"
    with office.database.write_session() as session:
        session.execute(sa.update(table).values(description=text))
        session.commit()
    assert office.bring(sheet(line(direct=text)))["unchanged"] == 1
    assert office.bring(sheet(line(direct=text, duration="6 bulan")))["updated"] == 1
    assert office.refused(sheet(line(direct=f"{text}."))) == [("person_number", f"{find_letter('direct')}2")]
