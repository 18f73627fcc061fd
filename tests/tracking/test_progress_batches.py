"""A quarter reported on many actions in one call, by as many statements as one."""

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


def reports(number: int, spent: int = 1) -> dict[str, Any]:
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


def test_many_at_once_and_again(secretariat: TestClient) -> None:
    done = secretariat.put(QUARTER, json=reports(100)).json()
    assert (done["created"], done["updated"], done["unchanged"], done["refused"]) == (100, 0, 0, 0)
    assert secretariat.put(QUARTER, json=reports(100)).status_code == 428
    tag = secretariat.get(f"{QUARTER}?limit=1").headers["ETag"]
    again = reports(100)
    again["items"][3]["obstacle"] = "x"
    done = secretariat.put(QUARTER, json=again, headers={"If-Match": tag}).json()
    assert (done["updated"], done["unchanged"], done["items"][3]["version"]) == (1, 99, 2)
    assert secretariat.put(QUARTER, json=again, headers={"If-Match": tag}).status_code == 412
    listed = list(walk(secretariat, f"{QUARTER}?limit=40"))
    assert [one["action"] for one in listed] == [f"A-{n:03}" for n in range(100)]
    assert {one["spending"][0]["amount"] for one in listed} == {1}
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


def test_all_or_none_or_each(secretariat: TestClient) -> None:
    assert set(refused(secretariat.put(QUARTER, json={"items": WRONG}))) == PLACES
    assert secretariat.get(QUARTER).json()["items"] == []
    each = secretariat.put(f"{QUARTER}?each=true", json={"items": WRONG}).json()
    assert [item["status"] for item in each["items"]] == ["created"] + ["refused"] * 5
    assert {
        (error["pointer"], error["code"]) for item in each["items"] for error in item.get("errors", ())
    } == PLACES
    assert [one["action"] for one in secretariat.get(QUARTER).json()["items"]] == ["A-000"]


def test_period_figures_in_a_batch_add_to_each_ones_own_past(secretariat: TestClient) -> None:
    report(secretariat, "A-001", 1, spent=10)
    items = [{"action": "A-000", "spent": 1}, {"action": "A-001", "spent": 1}]
    for _ in range(2):
        done = secretariat.put(f"{AT}/progress/2026-Q3?basis=period", json={"items": items}, headers=ANY)
        assert done.status_code == 200
    assert [one["spent"] for one in secretariat.get(f"{AT}/progress/2026-Q3").json()["items"]] == [1, 11]


def test_what_is_to_be_said_of_the_figures_is_told_for_each(secretariat: TestClient) -> None:
    items = [{"action": "A-000", "spent": ACTION["allocation"] + 1}, {"action": "A-001", "spent": 1}]
    done = secretariat.put(QUARTER, json={"items": items}, headers={"Accept-Language": "en"}).json()
    (finding,) = done["items"][0]["findings"]
    assert (finding["code"], finding["pointer"]) == ("E07", "/spent")
    assert finding["message"].startswith("Spending of Rp 250,000,001 exceeds")
    assert "findings" not in done["items"][1]


def test_a_hundred_cost_as_many_statements_as_one(secretariat: TestClient, database: OneTransaction) -> None:
    def statements(number: int, spent: int) -> int:
        database.statements.clear()
        assert secretariat.put(QUARTER, json=reports(number, spent), headers=ANY).status_code == 200
        return len(database.statements)

    def read(path: str) -> int:
        database.statements.clear()
        assert secretariat.get(path).status_code == 200
        return len(database.statements)

    assert statements(1, 1) == statements(100, 1)
    assert statements(1, 2) == statements(100, 3)
    assert read(f"{QUARTER}?limit=1") == read(f"{QUARTER}?limit=100") <= 4
    assert read(f"{AT}/actions/A-001/progress") <= 4
    assert read(f"{AT}/summary?period=2026") <= 7
    assert read("/v1/summaries?region=63&period=2026") <= 5
