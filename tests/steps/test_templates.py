"""Editions of step templates: a new one needs no code and never changes existing grades."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.convergence.editions.step_templates.rules import MeasureName
from tests.coverage.test_editions import edited
from tests.database import OneTransaction
from tests.pages import walk
from tests.plans.world import refused
from tests.steps.world import ANY, AT, DECREE, grade, read_steps, show

pytestmark = pytest.mark.one_engine

TEMPLATES = "/v1/step-templates"
CHOICE = "/v1/regions/63.02/step-templates/2026"


def test_the_shipped_template_is_a_proposal_of_eight_steps(stranger: TestClient) -> None:
    (template,) = walk(stranger, TEMPLATES)
    assert (template["edition"], template["status"], template["in_use"]) == ("poverty-8.1", "proposal", False)
    assert len(template["steps"]) == 8
    criteria = [criterion for step in template["steps"] for criterion in step["criteria"]]
    assert {criterion["measure"] for criterion in criteria} - {None} == {name.value for name in MeasureName}
    assert all(
        sum(criterion["weight"] for criterion in step["criteria"]) == 100 for step in template["steps"]
    )


def test_a_template_in_use_cannot_be_changed(
    national_administrator: TestClient, secretariat: TestClient, database: OneTransaction
) -> None:
    body = edited(national_administrator, f"{TEMPLATES}/poverty-8.1", name="Lain")
    assert secretariat.put(f"{TEMPLATES}/poverty-8.1", json=body, headers=ANY).status_code == 403
    assert (
        national_administrator.put(f"{TEMPLATES}/poverty-8.1", json=body, headers=ANY).json()["version"] == 2
    )
    show(secretariat, "team_decree", "regulation")
    late = national_administrator.put(f"{TEMPLATES}/poverty-8.1", json={**body, "name": "Baru"}, headers=ANY)
    assert (late.status_code, late.json()["code"]) == (409, "edition_in_use")
    four = {**body, "steps": body["steps"][3:4], "first_year": 2026}
    assert national_administrator.put(f"{TEMPLATES}/poverty-4", json=four).status_code == 201
    assert len(read_steps(database)) == 8, "a year in progress keeps its template"
    assert list(read_steps(database, year=2027)) == ["regulation"]
    assert len(list(walk(secretariat, f"{TEMPLATES}/poverty-8.1/history"))) == 2


def test_the_template_of_a_region_and_year_can_be_chosen_until_it_is_used(
    national_administrator: TestClient,
    secretariat: TestClient,
    provincial_reviewer: TestClient,
    connect: Callable[..., TestClient],
) -> None:
    lean = edited(
        national_administrator, f"{TEMPLATES}/poverty-8.1", grades_counted="machine_first", first_year=2099
    )
    assert national_administrator.put(f"{TEMPLATES}/other", json=lean).status_code == 201
    unset = secretariat.get(CHOICE).json()
    assert (unset["template"], unset["version"], unset["allowed"]) == ("poverty-8.1", None, [])
    choice = {"template": "other", "legal_basis": "Keputusan Gubernur"}
    assert secretariat.put(CHOICE, json=choice).status_code == 403
    governor = connect(("administrator", "63"))
    assert refused(governor.put(CHOICE, json={"template": "othre"})) == [("/template", "unknown_reference")]
    assert governor.put(CHOICE, json=choice).status_code == 201
    grade(provincial_reviewer, "regulation", "decrees", "A")
    step = secretariat.get(f"{AT}/regulation").json()
    assert (step["template"], step["panel_score"], step["score"]) == ("other", 100, 0)
    late = governor.put(CHOICE, json={"template": "poverty-8.1"}, headers=ANY)
    assert (late.status_code, late.json()["code"]) == (409, "steps_begun")
    named = governor.put(CHOICE, json={**choice, "legal_basis": "SK 7/2026"}, headers=ANY)
    assert (named.json()["version"], named.json()["in_use"]) == (2, True)
    assert len(list(walk(secretariat, f"{CHOICE}/history"))) == 2


def _get_step(template: dict[str, Any], number: int = 3) -> Any:
    return template["steps"][number]


def _swap_windows(template: dict[str, Any]) -> None:
    _get_step(template).update(opens_month=0, due_month=-1)


def _make_all_optional(template: dict[str, Any]) -> None:
    for kind in _get_step(template)["evidence_kinds"]:
        kind["required"] = False


def _drop_villages(template: dict[str, Any]) -> None:
    for kind in _get_step(template, 4)["evidence_kinds"]:
        kind["per_village"] = False


def _repeat_code(template: dict[str, Any]) -> None:
    _get_step(template)["criteria"][0]["code"] = "complete_lines"


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (_swap_windows, ("/steps/3/due_month", "due_before_opening")),
        (_make_all_optional, ("/steps/3/evidence_kinds", "nothing_required")),
        (_drop_villages, ("/steps/4/criteria/0/measure", "nothing_per_village")),
        (_repeat_code, ("/steps/3/criteria/0/code", "duplicate_key")),
        (
            lambda t: _get_step(t)["criteria"][0]["thresholds"].update(a=-400),
            ("/steps/3/criteria/0/thresholds", "thresholds_out_of_order"),
        ),
        (
            lambda t: _get_step(t, 5)["criteria"][0]["thresholds"].update(a=9),
            ("/steps/5/criteria/0/thresholds", "thresholds_out_of_order"),
        ),
        (
            lambda t: _get_step(t)["criteria"][0].update(thresholds=None),
            ("/steps/3/criteria/0/thresholds", "thresholds_of_measure"),
        ),
        (
            lambda t: _get_step(t)["criteria"][0].update(measure="days_before"),
            ("/steps/3/criteria/0/measure", "not_allowed"),
        ),
    ],
)
def test_inconsistent_templates_are_refused(
    national_administrator: TestClient, spoil: Callable[[dict[str, Any]], None], error: tuple[str, str]
) -> None:
    template = edited(national_administrator, f"{TEMPLATES}/poverty-8.1")
    spoil(template)
    assert refused(national_administrator.put(f"{TEMPLATES}/new", json=template)) == [error]


def test_a_year_before_the_first_template_is_409(secretariat: TestClient) -> None:
    path = "/v1/regions/63.02/steps/2014/regulation/evidence/sk"
    reply = secretariat.put(path, json=DECREE)
    assert (reply.status_code, reply.json()["code"]) == (409, "no_step_template")
