"""Findings of a line, errors (E) and warnings (W), in both languages."""

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


def put_and_check(client: TestClient, language: str = "id", **change: Any) -> list[dict[str, Any]]:
    put(client, "A-1", **{**CODED, **change})
    result: list[dict[str, Any]] = client.get(
        f"{AT}/actions/A-1", headers={"Accept-Language": language}
    ).json()["findings"]
    return result


def make_components(*rows: tuple[str, int | None, bool]) -> dict[str, Any]:
    items = [
        {"code": f"C{n}", "component_class": name, "amount": amount, "is_travel": travel}
        for n, (name, amount, travel) in enumerate(rows)
    ]
    return {"components": items}


def make_milestone(due: str | None) -> dict[str, Any]:
    return {"milestones": [{"code": "M1", "title": "t", "due": due}]}


WHOLE = ACTION["allocation"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"subactivity_code": None}, [("E02", "/subactivity_code")]),
        (make_components(("direct", WHOLE - 1, False)), [("E01", "/components")]),
        (make_components(("direct", WHOLE - 1, False), ("indirect", 1, False)), []),
        (make_components(("direct", WHOLE, False), ("indirect", None, False)), []),
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
        (make_components(("indirect", None, False), ("supporting", None, True)), [("W02", "/components")]),
        ({"components": []}, []),
        (
            make_components(("indirect", None, True), ("direct", None, True)),
            [("W08", "/components/1/component_class")],
        ),
        (make_milestone(None), [("W10", "/milestones/0/due")]),
        (make_milestone("2027-01-01"), [("W10", "/milestones/0/due")]),
        (make_milestone("2026-12-31"), []),
        (make_milestone("2025-11-30"), []),
    ],
)
def test_a_line_has_the_expected_findings(change: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    line = ActionIn.model_validate({**ACTION, **CODED, **change}).model_dump(mode="json")
    result = check_line(line, FACTS)
    assert [(finding.code, finding.pointer) for finding in result] == expected
    assert all(f.severity == ("error" if f.code.startswith("E") else "warning") for f in result)


def test_messages_follow_the_requested_language_and_format_rupiah(
    secretariat: TestClient,
) -> None:
    change = {
        "budget_lines": [{"funding_source": "APBD", "amount": 1_250_000}],
        **make_milestone("2027-01-01"),
    }
    indonesian, english = (
        put_and_check(secretariat, "id", **change),
        put_and_check(secretariat, "en", **change),
    )
    assert [f["message"] for f in indonesian] == [
        "Baris anggaran berjumlah Rp 1.250.000, sedangkan alokasinya Rp 250.000.000",
        "Tonggak “M1” tidak bertenggat, atau tenggatnya setelah tahun 2026",
    ]
    assert [f["message"] for f in english] == [
        "Budget lines sum to Rp 1,250,000, but the allocation is Rp 250,000,000",
        "Milestone “M1” has no due date, or one after 2026",
    ]
    for result in (indonesian, english):
        assert result[0]["values"] == {"part": "budget_lines", "sum": 1_250_000, "allocation": 250_000_000}


def test_a_retired_code_names_its_successors(secretariat: TestClient, database: OneTransaction) -> None:
    assert put_and_check(secretariat) == []
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
