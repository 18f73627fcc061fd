"""Physical progress: as reported, else the weight of milestones done, else the mean of the outputs."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.plans.world import ANY, AT, put, report

pytestmark = pytest.mark.one_engine

A1 = f"{AT}/actions/A-1"


def make_milestones(*weights: float | None) -> dict[str, Any]:
    return {
        "milestones": [{"code": f"M{n}", "title": "t", "weight": weight} for n, weight in enumerate(weights)]
    }


def make_outputs(*targets: float) -> dict[str, Any]:
    return {
        "outputs": [
            {"code": f"O{n}", "indicator": "i", "unit": "u", "target": t} for n, t in enumerate(targets)
        ]
    }


def report_done(*numbers: int) -> dict[str, Any]:
    return {"milestones": [{"code": f"M{n}", "state": "done"} for n in numbers]}


def report_achieved(*values: float) -> dict[str, Any]:
    return {"outputs": [{"code": f"O{n}", "achieved": value} for n, value in enumerate(values)]}


WEIGHTED = {**make_milestones(30, 70), **make_outputs(40)}
PLAIN = {**make_milestones(None, None)}


@pytest.mark.parametrize(
    ("plan", "body", "expected"),
    [
        (
            WEIGHTED,
            {"physical_reported_percent": 12.5, **report_done(0, 1), **report_achieved(40)},
            (12.5, "reported"),
        ),
        (WEIGHTED, {"physical_reported_percent": 0, **report_done(0)}, (0, "reported")),
        (WEIGHTED, {**report_done(0), **report_achieved(40)}, (30, "milestones")),
        (
            WEIGHTED,
            {"milestones": [{"code": "M0", "state": "pending"}, {"code": "M1", "state": "done"}]},
            (70, "milestones"),
        ),
        (WEIGHTED, {}, (0, "milestones")),
        (WEIGHTED, report_done(0, 1), (100, "milestones")),
        # Rounded weights still reach 100: 2/3 and 3/3 of three thirds.
        ({**make_milestones(33.33, 33.33, 33.33)}, report_done(0, 2), (66.67, "milestones")),
        ({**make_milestones(33.33, 33.33, 33.33)}, report_done(0, 1, 2), (100, "milestones")),
        ({**PLAIN, **make_outputs(40)}, {**report_done(0, 1), **report_achieved(10)}, (25, "outputs")),
        # (10/40 + 3/3) / 2; more than the target counts as the target.
        ({**PLAIN, **make_outputs(40, 3)}, report_achieved(10, 99), (62.5, "outputs")),
        # (1/3 + 0) / 2 = 16.666…; an output without a figure counts as 0, one without a target does not count.
        ({**PLAIN, **make_outputs(3, 5, 0)}, report_achieved(1), (16.67, "outputs")),
        # (1/8 + 1/8 + 0) / 3 = 8.3333…
        ({**PLAIN, **make_outputs(8, 8, 8)}, report_achieved(1, 1), (8.33, "outputs")),
        (
            {**PLAIN, **make_outputs(2000)},
            report_achieved(6.7),
            (0.34, "outputs"),
        ),  # 0.335, a half: away from zero
        ({**PLAIN, **make_outputs(0)}, report_achieved(5), (None, None)),
        ({**PLAIN, "outputs": []}, report_done(0), (None, None)),
    ],
)
def test_the_percentage_follows_reports_milestones_or_outputs(
    secretariat: TestClient, plan: dict[str, Any], body: dict[str, Any], expected: tuple[Any, Any]
) -> None:
    put(secretariat, "A-1", **plan)
    progress = report(secretariat, "A-1", 1, **body)
    assert (progress["physical_percent"], progress["physical_basis"]) == expected
    assert secretariat.get(A1).json()["physical_percent"] == expected[0]


def test_the_percentage_follows_changed_targets_and_weights(secretariat: TestClient) -> None:
    put(secretariat, "A-1", **PLAIN, **make_outputs(40))
    report(secretariat, "A-1", 1, **report_achieved(10), **report_done(0))
    report(secretariat, "A-1", 2, **report_achieved(20), **report_done(0))

    def read_percentages() -> list[Any]:
        quarters = secretariat.get(f"{A1}/progress").json()["items"]
        return [
            *((q["physical_percent"], q["physical_basis"], q["version"]) for q in quarters),
            secretariat.get(A1).json()["physical_percent"],
        ]

    assert read_percentages() == [(25, "outputs", 1), (50, "outputs", 1), 50]
    secretariat.patch(A1, json=make_outputs(80), headers=ANY)
    assert read_percentages() == [(12.5, "outputs", 1), (25, "outputs", 1), 25]
    secretariat.patch(A1, json=make_milestones(60, 40), headers=ANY)
    assert read_percentages() == [(60, "milestones", 1), (60, "milestones", 1), 60]
    secretariat.patch(A1, json={"title": "lain"}, headers=ANY)
    assert read_percentages() == [(60, "milestones", 1), (60, "milestones", 1), 60]
    secretariat.patch(A1, json=PLAIN, headers=ANY)
    assert read_percentages()[0][:2] == (12.5, "outputs")
