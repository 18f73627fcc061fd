"""Reporting a quarter of many actions in one call, with a constant number of statements."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import ACTION, ANY, AT, put_many, refused, report, walk

QUARTER = f"{AT}/progress/2026-Q1"


@pytest.fixture
def secretariat(secretariat: TestClient) -> TestClient:
    put_many(secretariat, [{"code": f"A-{n:03}", **ACTION} for n in range(100)])
    return secretariat


def make_reports(number: int, spent: int = 1) -> dict[str, Any]:
    return {
        "items": [
            {
                "action": f"A-{n:03}",
                "spent": spent,
                "outputs": [{"code": "O1", "achieved": spent}],
                "milestones": [{"code": "M1", "state": "done"}],
                "recipients": [{"code": "R1", "reached": 1}],
            }
            for n in range(number)
        ]
    }


def test_a_repeated_batch_writes_only_the_changes(secretariat: TestClient) -> None:
    result = secretariat.put(QUARTER, json=make_reports(100)).json()
    assert (result["created"], result["updated"], result["unchanged"], result["refused"]) == (100, 0, 0, 0)
    assert secretariat.put(QUARTER, json=make_reports(100)).status_code == 428
    tag = secretariat.get(f"{QUARTER}?limit=1").headers["ETag"]
    changed = make_reports(100)
    changed["items"][3]["obstacle"] = "x"
    result = secretariat.put(QUARTER, json=changed, headers={"If-Match": tag}).json()
    assert (result["updated"], result["unchanged"], result["items"][3]["version"]) == (1, 99, 2)
    assert secretariat.put(QUARTER, json=changed, headers={"If-Match": tag}).status_code == 412
    reports = list(walk(secretariat, f"{QUARTER}?limit=40"))
    assert [item["action"] for item in reports] == [f"A-{n:03}" for n in range(100)]
    assert {item["spending"][0]["amount"] for item in reports} == {1}
    lines = secretariat.get(f"{AT}/actions?limit=500&reported=2026-Q1").json()["items"]
    assert {(line["spent"], line["physical_percent"]) for line in lines} == {(1, 30)}


WRONG: list[Any] = [
    {"action": "A-000", "spent": 1},
    {"action": "A-999", "spent": 1},
    {"action": "A-001", "spent": -1},
    {"action": "A-002", "spent": 2, "spending": [{"funding_source": "APBD", "amount": 1}]},
    {"action": "A-003", "outputs": [{"code": "O9", "achieved": 1}]},
    {"action": "A-000", "spent": 2},
]
PLACES = {
    ("/items/1/action", "unknown_reference"),
    ("/items/2/spent", "out_of_range"),
    ("/items/3/spending", "sums_differ"),
    ("/items/4/outputs/0/code", "unknown_reference"),
    ("/items/5/action", "duplicate_key"),
}


def test_a_batch_writes_all_none_or_each_of_its_reports(secretariat: TestClient) -> None:
    assert set(refused(secretariat.put(QUARTER, json={"items": WRONG}))) == PLACES
    assert secretariat.get(QUARTER).json()["items"] == []
    result = secretariat.put(f"{QUARTER}?each=true", json={"items": WRONG}).json()
    assert [item["status"] for item in result["items"]] == ["created"] + ["refused"] * 5
    assert {
        (error["pointer"], error["code"]) for item in result["items"] for error in item.get("errors", ())
    } == PLACES
    assert [report["action"] for report in secretariat.get(QUARTER).json()["items"]] == ["A-000"]


def test_period_figures_of_a_batch_add_to_the_earlier_ones_of_each_action(secretariat: TestClient) -> None:
    report(secretariat, "A-001", 1, spent=10)
    items = [{"action": "A-000", "spent": 1}, {"action": "A-001", "spent": 1}]
    for _ in range(2):
        reply = secretariat.put(f"{AT}/progress/2026-Q3?basis=period", json={"items": items}, headers=ANY)
        assert reply.status_code == 200
    assert [item["spent"] for item in secretariat.get(f"{AT}/progress/2026-Q3").json()["items"]] == [1, 11]


def test_a_batch_returns_the_findings_of_each_report(secretariat: TestClient) -> None:
    items = [{"action": "A-000", "spent": ACTION["allocation"] + 1}, {"action": "A-001", "spent": 1}]
    result = secretariat.put(QUARTER, json={"items": items}, headers={"Accept-Language": "en"}).json()
    findings = result["items"][0]["findings"]
    assert [(finding["code"], finding["pointer"]) for finding in findings] == [
        ("E07", "/spent"),
        ("E07", "/spending/0/amount"),
        ("W12", "/spent"),
    ]
    assert findings[0]["message"].startswith("Spending of Rp 250,000,001 exceeds")
    assert "findings" not in result["items"][1]


def test_a_hundred_reports_cost_as_many_statements_as_one(
    secretariat: TestClient, database: OneTransaction
) -> None:
    def count_write_statements(number: int, spent: int) -> int:
        database.statements.clear()
        assert secretariat.put(QUARTER, json=make_reports(number, spent), headers=ANY).status_code == 200
        return len(database.statements)

    def count_read_statements(path: str) -> int:
        database.statements.clear()
        assert secretariat.get(path).status_code == 200
        return len(database.statements)

    assert count_write_statements(1, 1) == count_write_statements(100, 1)
    assert count_write_statements(1, 2) == count_write_statements(100, 3)
    assert count_read_statements(f"{QUARTER}?limit=1") == count_read_statements(f"{QUARTER}?limit=100") <= 4
    assert count_read_statements(f"{AT}/actions/A-001/progress") <= 4
    assert count_read_statements(f"{AT}/summary?period=2026") <= 7
    assert count_read_statements("/v1/summaries?region=63&period=2026") <= 5
