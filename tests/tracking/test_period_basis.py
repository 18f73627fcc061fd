"""Figures of a single quarter are stored cumulatively; sending them again changes nothing."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.plans.world import ANY, AT, put, refused, report

pytestmark = pytest.mark.one_engine

A1 = f"{AT}/actions/A-1"


@pytest.fixture
def secretariat(secretariat: TestClient) -> TestClient:
    lines = [
        {"funding_source": "APBD", "amount": 200_000_000},
        {"funding_source": "DAU", "amount": 50_000_000},
    ]
    put(secretariat, "A-1", budget_lines=lines)
    put(secretariat, "A-2")
    return secretariat


def make_report(
    apbd: int, dau: int, direct: int, achieved: float, reached: int, **more: Any
) -> dict[str, Any]:
    return {
        "spending": [{"funding_source": "APBD", "amount": apbd}, {"funding_source": "DAU", "amount": dau}],
        "components": [
            {"component_class": "direct", "amount": direct},
            {"component_class": "supporting", "amount": apbd + dau - direct},
        ],
        "outputs": [{"code": "O1", "achieved": achieved}],
        "recipients": [{"code": "R1", "reached": reached}],
        **more,
    }


def get_progress(client: TestClient, quarter: int, code: str = "A-1") -> dict[str, Any]:
    result: dict[str, Any] = client.get(f"{AT}/actions/{code}/progress/2026-Q{quarter}").json()
    return result


def pick_figures(progress: dict[str, Any]) -> tuple[Any, ...]:
    money = [item["amount"] for item in (*progress["spending"], *progress["components"])]
    return progress["spent"], money, progress["outputs"][0]["achieved"], progress["recipients"][0]["reached"]


def test_quarters_add_up_across_skipped_ones(secretariat: TestClient) -> None:
    milestones = [{"code": "M1", "state": "done", "done_on": "2026-02-01"}]
    report(
        secretariat,
        "A-1",
        1,
        basis="period",
        **make_report(10, 5, 12, 0.1, 3, milestones=milestones, obstacle="a"),
    )
    report(secretariat, "A-1", 3, basis="period", **make_report(1, 0, 1, 0.2, 4, physical_reported_percent=5))
    assert pick_figures(get_progress(secretariat, 1)) == (15, [10, 5, 12, 3], 0.1, 3)
    third = get_progress(secretariat, 3)
    assert pick_figures(third) == (16, [11, 5, 13, 3], 0.3, 7)
    # Milestones, texts and percentages do not add up: milestones are kept, the others replaced.
    assert third["milestones"] == milestones
    assert (third["physical_reported_percent"], third["obstacle"]) == (5, "")
    for _ in range(2):
        repeated = report(
            secretariat, "A-1", 3, basis="period", **make_report(1, 0, 1, 0.2, 4, physical_reported_percent=5)
        )
        assert repeated == third


def test_figures_missing_from_a_quarter_keep_their_earlier_value(secretariat: TestClient) -> None:
    report(secretariat, "A-1", 1, **make_report(10, 5, 15, 1, 1))
    dau_only = {
        "spending": [{"funding_source": "DAU", "amount": 2}],
        "components": [{"component_class": "indirect", "amount": 2}],
    }
    progress = report(secretariat, "A-1", 2, basis="period", **dau_only)
    assert (progress["spent"], progress["outputs"], progress["recipients"]) == (
        17,
        [{"code": "O1", "achieved": 1}],
        [{"code": "R1", "reached": 1}],
    )
    assert {item["funding_source"]: item["amount"] for item in progress["spending"]} == {"APBD": 10, "DAU": 7}
    assert {item["component_class"]: item["amount"] for item in progress["components"]} == {
        "direct": 15,
        "supporting": 0,
        "indirect": 2,
    }


def test_a_new_year_starts_at_zero(secretariat: TestClient) -> None:
    secretariat.put("/v1/plans/63.02-2027", json={"title": "x"})
    put(secretariat, "A-1", plan="63.02-2027")
    report(secretariat, "A-1", 4, spent=100)
    assert report(secretariat, "A-1", 1, plan="63.02-2027", basis="period", spent=7)["spent"] == 7


def test_rewriting_an_earlier_quarter_does_not_change_later_ones(secretariat: TestClient) -> None:
    report(secretariat, "A-2", 1, basis="period", spent=5)
    report(secretariat, "A-2", 2, basis="period", spent=5)
    report(secretariat, "A-2", 1, basis="period", spent=20)
    assert [get_progress(secretariat, quarter, "A-2")["spent"] for quarter in (1, 2)] == [20, 10]
    assert [finding["code"] for finding in get_progress(secretariat, 2, "A-2")["findings"]] == ["E06", "E06"]
    assert report(secretariat, "A-2", 2, basis="period", spent=5)["spent"] == 25


def test_a_split_in_some_quarters_only_is_refused(secretariat: TestClient) -> None:
    report(secretariat, "A-1", 1, **make_report(10, 5, 15, 1, 1))
    single_path = f"{A1}/progress/2026-Q2"
    assert refused(secretariat.put(f"{single_path}?basis=period", json={"spent": 4})) == [
        ("/spending", "sums_differ")
    ]
    assert secretariat.get(single_path).status_code == 404
    many = {"items": [{"action": "A-2", "spent": 1}, {"action": "A-1", "spent": 4}]}
    path = f"{AT}/progress/2026-Q2?basis=period"
    assert refused(secretariat.put(path, json=many)) == [("/items/1/spending", "sums_differ")]
    result = secretariat.put(f"{path}&each=true", json=many).json()
    assert [item["status"] for item in result["items"]] == ["created", "refused"]
    # Totals without a split add up; the split of a single source follows.
    report(secretariat, "A-1", 1, spent=10)
    assert report(secretariat, "A-1", 2, basis="period", spent=4)["spent"] == 14
    assert get_progress(secretariat, 2, "A-2")["spending"] == [{"funding_source": "APBD", "amount": 1}]


def test_stored_figures_can_be_sent_back_as_cumulative(secretariat: TestClient) -> None:
    report(secretariat, "A-1", 1, basis="period", **make_report(10, 5, 12, 0.1, 3))
    progress = report(secretariat, "A-1", 2, basis="period", **make_report(1, 2, 3, 0.2, 1))
    names = ("spent", "spending", "components", "outputs", "recipients", "milestones")
    repeated = secretariat.put(
        f"{A1}/progress/2026-Q2", json={name: progress[name] for name in names}, headers=ANY
    )
    assert (repeated.status_code, repeated.json()["version"]) == (200, 1)


def test_an_unknown_basis_is_refused(secretariat: TestClient) -> None:
    assert secretariat.put(f"{A1}/progress/2026-Q1?basis=quarter", json={}).status_code == 400
