"""Steps over HTTP: evidence, grades, rights, windows in zones, history, the overview of a province."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.kit.periods import get_zone
from app.reference.models import Timezone
from tests.database import OneTransaction
from tests.pages import walk
from tests.plans.world import put_plan, refused
from tests.steps.world import ANY, AT, DECREE, OVER, compute_score, find_criterion, grade, read_steps, show

pytestmark = pytest.mark.one_engine


def test_a_step_is_done_with_all_required_evidence(secretariat: TestClient, database: OneTransaction) -> None:
    for kind, day in (("team_decree", "2025-02-03"), ("plan_decree", "2025-12-19")):
        show(secretariat, kind, "regulation", date=day)
    step = read_steps(database)["regulation"]
    assert (step["state"], step["done_on"], step["deadline_missed"]) == ("late", None, True)
    assert find_criterion({"regulation": step}, "decrees")["value"] == 66.67
    show(secretariat, "medium_term_decree", "regulation", date="2024-08-01")
    show(secretariat, "plan_decree", "regulation", "perubahan", date="2026-09-01")
    step = read_steps(database)["regulation"]
    assert (step["state"], step["done_on"], step["deadline_missed"]) == ("done", "2025-12-19", False)
    assert [(item["code"], item["count"], item["first_date"]) for item in step["evidence_kinds"]] == [
        ("team_decree", 1, "2025-02-03"),
        ("medium_term_decree", 1, "2024-08-01"),
        ("plan_decree", 2, "2025-12-19"),
    ]
    assert [item["key"] for item in step["evidence"]] == [
        "medium_term_decree",
        "perubahan",
        "plan_decree",
        "team_decree",
    ]
    secretariat.delete(f"{AT}/regulation/evidence/plan_decree", headers=ANY)
    step = read_steps(database)["regulation"]
    assert (step["state"], step["done_on"], step["deadline_missed"]) == ("done", "2026-09-01", True)


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"kind": "team_decre"}, [("/kind", "unknown_reference")]),
        ({"date": "2999-01-01"}, [("/date", "after_today")]),
        ({"document_number": None}, [("/url", "nothing_shown")]),
        ({"url": "http://kotabaru.go.id/sk.pdf"}, [("/url", "wrong_pattern")]),
        ({"village": "63.02.01"}, [("/village", "no_village_there")]),
        ({"village": "73.22.01.2001"}, [("/village", "no_village_there")]),
        ({"village": "63.02.01.2999"}, [("/village", "no_village_there")]),
        ({"nik": "1"}, [("/nik", "unknown_field")]),
    ],
)
def test_invalid_evidence_is_refused(
    secretariat: TestClient, changes: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    assert refused(secretariat.put(f"{AT}/regulation/evidence/sk", json={**DECREE, **changes})) == errors


def test_evidence_per_village_needs_a_village(secretariat: TestClient) -> None:
    path = f"{AT}/village_strengthening/evidence/sk"
    body = {**DECREE, "kind": "village_decree"}
    assert refused(secretariat.put(path, json=body)) == [("/village", "village_required")]
    assert secretariat.put(path, json={**body, "village": "63.02.01.2001"}).status_code == 201


def test_the_secretariat_sends_evidence_and_the_province_grades(
    secretariat: TestClient,
    provincial_reviewer: TestClient,
    stranger: TestClient,
    connect: Callable[..., TestClient],
) -> None:
    evidence, graded = f"{AT}/regulation/evidence/sk", f"{AT}/regulation/criteria/decrees/grade"
    body_of_grade = {"grade": "B", "reason": "RPKD belum diperbarui"}
    assert provincial_reviewer.put(evidence, json=DECREE).status_code == 403
    for caller in (secretariat, connect(("reviewer", "63.02")), connect(("administrator", "0"))):
        assert caller.put(graded, json=body_of_grade).status_code == 403, "a region does not grade itself"
    for address, body in ((evidence, DECREE), (graded, body_of_grade)):
        assert stranger.put(address, json=body).status_code == 404
        assert stranger.get(address).status_code == 404
    assert secretariat.put(evidence, json=DECREE).json()["allowed"] == ["edit", "delete"]
    assert provincial_reviewer.put(graded, json=body_of_grade).json()["allowed"] == ["edit", "delete"]
    assert (
        provincial_reviewer.get(evidence).json()["allowed"] == secretariat.get(graded).json()["allowed"] == []
    )
    assert secretariat.get(AT).json()["allowed"] == ["write_evidence"]
    assert provincial_reviewer.get(f"{AT}/regulation").json()["allowed"] == ["grade_steps"]
    assert refused(provincial_reviewer.put(graded, json={"grade": "E", "reason": "x"}, headers=ANY)) == [
        ("/grade", "not_allowed")
    ]
    assert refused(provincial_reviewer.put(graded, json={"grade": "A"}, headers=ANY)) == [
        ("/reason", "missing")
    ]


def test_a_criterion_keeps_both_grades(
    secretariat: TestClient, provincial_reviewer: TestClient, database: OneTransaction
) -> None:
    for kind in ("team_decree", "medium_term_decree", "plan_decree"):
        show(secretariat, kind, "regulation")
    first = read_steps(database)["regulation"]
    assert (first["machine_score"], first["panel_score"], first["score"]) == (100, None, 100)
    panel_grade = grade(provincial_reviewer, "regulation", "decrees", "D")
    assert (panel_grade["grade"], panel_grade["reason"], panel_grade["version"]) == ("D", "Menurut panel", 1)
    step = read_steps(database)["regulation"]
    item = find_criterion({"regulation": step}, "decrees")
    assert (item["machine_grade"], item["panel"]["grade"], item["grade"]) == ("A", "D", "D")
    assert (step["machine_score"], step["panel_score"], step["score"]) == (100, 25, 25)
    assert grade(provincial_reviewer, "regulation", "decrees", "none")["version"] == 2
    assert read_steps(database)["regulation"]["score"] == 0, "`none` is a grade, not a missing one"
    assert (
        provincial_reviewer.delete(f"{AT}/regulation/criteria/decrees/grade", headers=ANY).status_code == 204
    )
    assert read_steps(database)["regulation"]["score"] == 100


def test_a_step_that_is_not_open_cannot_be_graded(
    provincial_reviewer: TestClient, secretariat: TestClient
) -> None:
    path = "/v1/regions/63.02/steps/2099"
    early = provincial_reviewer.put(
        f"{path}/regulation/criteria/decrees/grade", json={"grade": "A", "reason": "x"}
    )
    assert (early.status_code, early.json()["code"]) == (409, "step_not_open")
    result = secretariat.get(path).json()
    assert (result["score"], result["missing"], result["deadlines_missed"]) == (None, [], 0)
    assert {step["state"] for step in result["steps"]} == {"not_open"}
    assert secretariat.get(f"{path}/regulasi").status_code == 404
    assert provincial_reviewer.get(f"{AT}/regulation/criteria/decree/grade").status_code == 404
    for wrong in ("63.02.01", "63.99", "0"):
        assert secretariat.get(f"/v1/regions/{wrong}/steps/2026").status_code == 404


def test_a_window_ends_at_midnight_in_the_regions_zone(
    secretariat: TestClient, database: OneTransaction
) -> None:
    def read_state(hour: int, minute: int, zone: Timezone) -> str:
        instant = datetime(2025, 2, 28, hour, minute, 59, tzinfo=get_zone(zone))
        return str(read_steps(database, instant)["situation_analysis"]["state"])

    assert read_state(23, 59, Timezone.wita) == "open"
    assert read_state(22, 59, Timezone.wib) == "open"
    assert read_state(23, 0, Timezone.wib) == "late", "it is midnight in Kotabaru"
    deadline = read_steps(database)["situation_analysis"]["deadline"]
    assert deadline == "2025-02-28T23:59:59+08:00"


def test_the_process_score_counts_the_open_steps(secretariat: TestClient, database: OneTransaction) -> None:
    before = datetime(2024, 12, 31, tzinfo=get_zone("WITA"))
    assert (compute_score(database, before).score, compute_score(database, before).missing) == (None, [])
    show(secretariat, "poverty_profile", "situation_analysis", date="2025-01-05")
    show(secretariat, "priority_list", "situation_analysis", date="2025-01-06")
    january = compute_score(database, datetime(2025, 1, 10, tzinfo=get_zone("WITA")))
    by_step = {step.step: step.score for step in january.steps}
    assert by_step["situation_analysis"] == 100
    assert (by_step["coordination_meeting"], by_step["regulation"], by_step["activity_plan"]) == (0, 0, None)
    # Three of the eight are open and have a score: (100 + 0 + 0) / 3.
    assert january.score == 33.33
    assert "complete_lines" not in january.missing
    assert "loci_with_fresh_data" in january.missing, "an open step without a plan"
    assert "complete_lines" in compute_score(database, OVER).missing


def test_the_history_shows_old_and_new_values_after_a_deletion(
    secretariat: TestClient, provincial_reviewer: TestClient
) -> None:
    show(secretariat, "team_decree", "regulation", "sk")
    path = f"{AT}/regulation/evidence/sk"
    assert secretariat.put(path, json={**DECREE, "title": "SK baru"}, headers=ANY).json()["version"] == 2
    assert secretariat.put(path, json={**DECREE, "title": "SK baru"}, headers=ANY).json()["version"] == 2
    assert secretariat.delete(path, headers=ANY).status_code == 204
    kinds = [entry["kind"] for entry in walk(secretariat, f"{path}/history")]
    assert sorted(kinds) == ["step_evidence.changed", "step_evidence.created", "step_evidence.deleted"]
    grade(provincial_reviewer, "regulation", "decrees", "B")
    (graded,) = walk(secretariat, f"{AT}/regulation/criteria/decrees/grade/history")
    assert (graded["kind"], graded["reason"]) == ("step_grade.created", "Menurut panel")
    assert graded["changes"]["grade"] == [None, "B"]


def test_the_overview_of_a_province_lists_the_visible_regions(
    secretariat: TestClient, provincial_reviewer: TestClient, stranger: TestClient, database: OneTransaction
) -> None:
    show(secretariat, "team_decree", "regulation")
    query = {"region": "63", "year": 2026}
    result = provincial_reviewer.get("/v1/steps", params=query).json()
    assert [item["region_code"] for item in result["regions"]] == ["63", "63.02", "63.03"]
    own_regions = secretariat.get("/v1/steps", params=query).json()["regions"]
    assert own_regions == [item for item in result["regions"] if item["region_code"] == "63.02"]
    by_step = {item["step"]: item for item in own_regions[0]["steps"]}
    assert by_step["regulation"]["state"] == "late"
    assert own_regions[0]["deadlines_missed"] == sum(
        item["deadline_missed"] for item in own_regions[0]["steps"]
    )
    assert stranger.get("/v1/steps", params=query).status_code == 404
    assert provincial_reviewer.get("/v1/steps", params={**query, "region": "0"}).status_code == 400


def test_a_province_costs_as_many_statements_as_a_regency(
    secretariat: TestClient, provincial_reviewer: TestClient, database: OneTransaction
) -> None:
    put_plan(secretariat)

    def count_statements(region: str) -> int:
        before = len(database.statements)
        assert (
            provincial_reviewer.get("/v1/steps", params={"region": region, "year": 2026}).status_code == 200
        )
        return len(database.statements) - before

    assert count_statements("63.02") == count_statements("63") <= 10
