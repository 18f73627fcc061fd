"""Physical progress: as reported, else the weight of milestones done, else the mean of the outputs."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.plans.world import ANY, AT, put, report

pytestmark = pytest.mark.one_engine

A1 = f"{AT}/actions/A-1"


def milestones(*weights: float | None) -> dict[str, Any]:
    return {
        "milestones": [{"code": f"M{n}", "title": "t", "weight": weight} for n, weight in enumerate(weights)]
    }


def outputs(*targets: float) -> dict[str, Any]:
    return {
        "outputs": [
            {"code": f"O{n}", "indicator": "i", "unit": "u", "target": t} for n, t in enumerate(targets)
        ]
    }


def done(*numbers: int) -> dict[str, Any]:
    return {"milestones": [{"code": f"M{n}", "state": "done"} for n in numbers]}


def achieved(*values: float) -> dict[str, Any]:
    return {"outputs": [{"code": f"O{n}", "achieved": value} for n, value in enumerate(values)]}


WEIGHTED = {**milestones(30, 70), **outputs(40)}
PLAIN = {**milestones(None, None)}


@pytest.mark.parametrize(
    ("plan", "sent", "expected"),
    [
        (WEIGHTED, {"physical_reported_percent": 12.5, **done(0, 1), **achieved(40)}, (12.5, "reported")),
        (WEIGHTED, {"physical_reported_percent": 0, **done(0)}, (0, "reported")),
        (WEIGHTED, {**done(0), **achieved(40)}, (30, "milestones")),
        (
            WEIGHTED,
            {"milestones": [{"code": "M0", "state": "pending"}, {"code": "M1", "state": "done"}]},
            (70, "milestones"),
        ),
        (WEIGHTED, {}, (0, "milestones")),
        (WEIGHTED, done(0, 1), (100, "milestones")),
        # Weights off by rounding still end at 100: 2/3 and 3/3 of three thirds.
        ({**milestones(33.33, 33.33, 33.33)}, done(0, 2), (66.67, "milestones")),
        ({**milestones(33.33, 33.33, 33.33)}, done(0, 1, 2), (100, "milestones")),
        ({**PLAIN, **outputs(40)}, {**done(0, 1), **achieved(10)}, (25, "outputs")),
        # (10/40 + 3/3) / 2; what is beyond the target counts as reached.
        ({**PLAIN, **outputs(40, 3)}, achieved(10, 99), (62.5, "outputs")),
        # (1/3 + 0) / 2 = 16.666…; an output without a figure is at nothing, one without a target does not count.
        ({**PLAIN, **outputs(3, 5, 0)}, achieved(1), (16.67, "outputs")),
        # (1/8 + 1/8 + 0) / 3 = 8.3333…
        ({**PLAIN, **outputs(8, 8, 8)}, achieved(1, 1), (8.33, "outputs")),
        ({**PLAIN, **outputs(2000)}, achieved(6.7), (0.34, "outputs")),  # 0.335, a half: away from zero
        ({**PLAIN, **outputs(0)}, achieved(5), (None, None)),
        ({**PLAIN, "outputs": []}, done(0), (None, None)),
    ],
)
def test_worked_examples(
    secretariat: TestClient, plan: dict[str, Any], sent: dict[str, Any], expected: tuple[Any, Any]
) -> None:
    put(secretariat, "A-1", **plan)
    found = report(secretariat, "A-1", 1, **sent)
    assert (found["physical_percent"], found["physical_basis"]) == expected
    assert secretariat.get(A1).json()["physical_percent"] == expected[0]


def test_it_follows_the_action_when_targets_and_weights_change(secretariat: TestClient) -> None:
    put(secretariat, "A-1", **PLAIN, **outputs(40))
    report(secretariat, "A-1", 1, **achieved(10), **done(0))
    report(secretariat, "A-1", 2, **achieved(20), **done(0))

    def percents() -> list[Any]:
        quarters = secretariat.get(f"{A1}/progress").json()["items"]
        return [
            *((q["physical_percent"], q["physical_basis"], q["version"]) for q in quarters),
            secretariat.get(A1).json()["physical_percent"],
        ]

    assert percents() == [(25, "outputs", 1), (50, "outputs", 1), 50]
    secretariat.patch(A1, json=outputs(80), headers=ANY)
    assert percents() == [(12.5, "outputs", 1), (25, "outputs", 1), 25]
    secretariat.patch(A1, json=milestones(60, 40), headers=ANY)
    assert percents() == [(60, "milestones", 1), (60, "milestones", 1), 60]
    secretariat.patch(A1, json={"title": "lain"}, headers=ANY)
    assert percents() == [(60, "milestones", 1), (60, "milestones", 1), 60]
    secretariat.patch(A1, json=PLAIN, headers=ANY)
    assert percents()[0][:2] == (12.5, "outputs")
