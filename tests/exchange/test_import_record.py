"""The record of imports: file, choices, the row of each line until another write, and the versions before."""

from hashlib import sha256
from typing import Any

import pytest

from tests.common import ConnectAs
from tests.exchange.office import OWN, Office, line, sheet
from tests.pages import walk
from tests.plans.world import ANY

pytestmark = pytest.mark.both_engines

FIRST = {"import_number": 1, "sheet": "Matriks", "row": 2}


def read_origins(office: Office) -> dict[str, Any]:
    return {code: item["imported_from"] for code, item in office.lines().items()}


def list_imports(office: Office) -> list[dict[str, Any]]:
    return list(walk(office.client, f"{office.url}/imports"))


def test_an_import_is_on_record(office: Office) -> None:
    data = sheet(line(), line(number=2, **OWN))
    result = office.bring(data, "RAT 2026.xlsx", accept="free_text")
    assert result["import_number"] == 1
    assert result["before"] == [{"line": "A-001"}, {"line": "A-002"}]
    (entry,) = list_imports(office)
    assert (entry["number"], entry["file_name"]) == (1, "RAT 2026.xlsx")
    assert entry["sha256"] == sha256(data).hexdigest()
    assert entry["choices"]["accept"] == ["free_text"]
    whole = office.client.get(f"{office.url}/imports/1").json()
    assert whole["lines"] == [
        {"line": "A-001", "row": 2, "version": 1},
        {"line": "A-002", "row": 3, "version": 1},
    ]
    origins = read_origins(office)
    assert {code: origin["row"] for code, origin in origins.items()} == {"A-001": 2, "A-002": 3}
    assert office.client.get(f"{office.url}/actions/A-001").json()["imported_from"] == origins["A-001"]
    (recorded,) = [item for item in walk(office.client, f"{office.url}/history") if "import" in item["kind"]]
    assert (recorded["kind"], recorded["subject"]) == ("import.created", f"plans/{office.plan}/imports/1")
    assert recorded["changes"]["sha256"] == [None, entry["sha256"]]


def test_a_line_keeps_its_row_until_another_write(office: Office) -> None:
    office.bring(sheet(line(), line(number=2, **OWN)), accept="free_text")
    first = read_origins(office)
    # an import that leaves the first line unchanged writes the second one alone
    result = office.bring(sheet(line(), line(number=2, **OWN, allocation=5)), accept="free_text")
    assert result["before"] == [{"line": "A-002", "version": 1}]
    assert read_origins(office) == {"A-001": first["A-001"], "A-002": {**first["A-002"], "import_number": 2}}
    patched = office.client.patch(f"{office.url}/actions/A-001", json={"note": "Diubah"}, headers=ANY)
    assert patched.json()["imported_from"] is None
    assert [item["number"] for item in list_imports(office)] == [2, 1]


def test_an_import_without_a_change_leaves_no_record(office: Office) -> None:
    data = sheet(line())
    office.bring(data, dry_run="true")
    assert list_imports(office) == []
    office.bring(data)
    before = office.journal()
    again = office.bring(data)
    assert ("import_number" in again, again["before"]) == (False, [])
    assert (len(list_imports(office)), office.journal()) == (1, before)


def test_an_import_of_reports_alone_is_on_record(office: Office) -> None:
    office.bring(sheet(line()))
    reports = sheet(line(spent_s1=5, spent_total=5), realisation=True)
    result = office.bring(reports, basis="period")
    assert (result["import_number"], result["before"]) == (2, [])
    assert office.client.get(f"{office.url}/imports/2").json()["lines"] == []
    assert read_origins(office)["A-001"]["import_number"] == 1


def test_an_import_can_be_taken_back(office: Office) -> None:
    office.bring(sheet(line(allocation=1_000_000)))
    result = office.bring(sheet(line(allocation=2_000_000)))
    ((code, version),) = [(item["line"], item["version"]) for item in result["before"]]
    changes = [
        entry["changes"]
        for entry in walk(office.client, f"{office.url}/actions/{code}/history")
        if entry["version"] > version
    ]
    old = {field: pair[0] for change in changes for field, pair in change.items()}
    back = office.client.patch(f"{office.url}/actions/{code}", json=old, headers=ANY)
    assert (back.status_code, back.json()["allocation"]) == (200, 1_000_000)


def test_readers_without_drafts_see_no_imports(office: Office, connect: ConnectAs) -> None:
    office.bring(sheet(line()))
    reader = connect(("reader", "63"))
    for path in ("imports", "imports/1"):
        assert reader.get(f"{office.url}/{path}").status_code == 404
    for number in ("0", "2", "01", "x", "99999999999"):
        assert office.client.get(f"{office.url}/imports/{number}").status_code == 404


def test_the_record_has_no_number_of_a_person(office: Office) -> None:
    office.bring(sheet(line()), "rekap 7322014505850001.xlsx")
    (entry,) = list_imports(office)
    assert entry["file_name"] == "rekap ….xlsx"
