"""What is to be mended (E) or known (W) about a line, in both languages."""

from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.plans.actions.models import ActionIn
from app.plans.findings.rules import LineFacts, check_line
from app.reference.nomenclature.models import SubactivityRow
from tests.database import OneTransaction
from tests.plans.world import ACTION, AT, put

FACTS = LineFacts("63.02", 2026)
CODED = {"subactivity_code": "1.06.04.2.01.0001"}


def findings(client: TestClient, language: str = "id", **change: Any) -> list[dict[str, Any]]:
    put(client, "A-1", **{**CODED, **change})
    found: list[dict[str, Any]] = client.get(
        f"{AT}/actions/A-1", headers={"Accept-Language": language}
    ).json()["findings"]
    return found


def components(*of: tuple[str, int | None, bool]) -> dict[str, Any]:
    items = [
        {"code": f"C{n}", "component_class": name, "amount": amount, "is_travel": travel}
        for n, (name, amount, travel) in enumerate(of)
    ]
    return {"components": items}


def milestone(due: str | None) -> dict[str, Any]:
    return {"milestones": [{"code": "M1", "title": "t", "due": due}]}


WHOLE = ACTION["allocation"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"subactivity_code": None}, [("E02", "/subactivity_code")]),
        (components(("direct", WHOLE - 1, False)), [("E01", "/components")]),
        (components(("direct", WHOLE - 1, False), ("indirect", 1, False)), []),
        (components(("direct", WHOLE, False), ("indirect", None, False)), []),
        ({"budget_lines": [{"funding_source": "APBD", "amount": WHOLE + 1}]}, [("E01", "/budget_lines")]),
        (
            {"budget_lines": [{"funding_source": "APBD"}, {"funding_source": "DAU"}]},
            [("E01", "/budget_lines")],
        ),
        ({"budget_lines": []}, [("E09", "/budget_lines")]),
        (
            {"allocation": 0, "components": [], "budget_lines": [{"funding_source": "APBD", "amount": 0}]},
            [("E09", "/budget_lines")],
        ),
        ({"locations": [{"region_code": "63.02.01"}]}, [("W01", "/locations")]),
        ({"locations": []}, [("W01", "/locations")]),
        (components(("indirect", None, False), ("supporting", None, True)), [("W02", "/components")]),
        ({"components": []}, []),
        (
            components(("indirect", None, True), ("direct", None, True)),
            [("W08", "/components/1/component_class")],
        ),
        (milestone(None), [("W10", "/milestones/0/due")]),
        (milestone("2027-01-01"), [("W10", "/milestones/0/due")]),
        (milestone("2026-12-31"), []),
        (milestone("2025-11-30"), []),
    ],
)
def test_what_is_said_of_a_line(change: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    line = ActionIn.model_validate({**ACTION, **CODED, **change}).model_dump(mode="json")
    found = check_line(line, FACTS)
    assert [(finding.code, finding.pointer) for finding in found] == expected
    assert all(f.severity == ("error" if f.code.startswith("E") else "warning") for f in found)


def test_sentences_are_in_the_language_asked_for_with_rupiah_as_people_read_them(
    secretariat: TestClient,
) -> None:
    change = {"budget_lines": [{"funding_source": "APBD", "amount": 1_250_000}], **milestone("2027-01-01")}
    indonesian, english = findings(secretariat, "id", **change), findings(secretariat, "en", **change)
    assert [f["message"] for f in indonesian] == [
        "Baris anggaran berjumlah Rp 1.250.000, sedangkan alokasinya Rp 250.000.000",
        "Tonggak “M1” tidak bertenggat, atau tenggatnya setelah tahun 2026",
    ]
    assert [f["message"] for f in english] == [
        "Budget lines sum to Rp 1,250,000, but the allocation is Rp 250,000,000",
        "Milestone “M1” has no due date, or one after 2026",
    ]
    for found in (indonesian, english):
        assert found[0]["values"] == {"part": "budget_lines", "sum": 1_250_000, "allocation": 250_000_000}


def test_a_code_that_was_retired_names_its_successors(
    secretariat: TestClient, database: OneTransaction
) -> None:
    assert findings(secretariat) == []
    table = get_table(SubactivityRow)
    with database.writing() as session:
        this = sa.and_(table.c.edition == "2027", table.c.government_level == "regency")
        session.execute(
            sa.update(table).where(this, table.c.code == "1.06.04.2.01.0001").values(retired=True)
        )
        session.execute(
            sa.update(table)
            .where(this, table.c.code == "1.06.04.2.01.0002")
            .values(predecessor_code="1.06.04.2.01.0001", name="Pengganti")
        )
    (finding,) = secretariat.get(f"{AT}/actions/A-1", headers={"Accept-Language": "en"}).json()["findings"]
    assert (finding["code"], finding["severity"], finding["pointer"]) == ("E02", "error", "/subactivity_code")
    assert "1.06.04.2.01.0002 Pengganti" in finding["message"]
    assert finding["values"]["successors"] == "1.06.04.2.01.0002 Pengganti"


def test_findings_come_errors_first() -> None:
    line = {
        **ActionIn.model_validate(ACTION).model_dump(mode="json"),
        "milestones": [{"code": "M", "due": None}],
        "budget_lines": [],
        "locations": [],
        "components": [],
    }
    assert [finding.code for finding in check_line(line, FACTS)] == ["E02", "E09", "W01", "W10"]
