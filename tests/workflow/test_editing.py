"""Writes by state: a first draft is editable at its region, reports are open until the plan closes."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.coverage.world import VILLAGES, make_report
from tests.plans.world import ANY, HEALTH, PARTNER, SOCIAL, put, report
from tests.workflow.moves import AT, CODED, PLAN, WAYS, Movers

pytestmark = pytest.mark.one_engine

EDITABLE = ("draft", "returned")
Q1 = f"{AT}/actions/A-1/progress/2025-Q1"


def export_matrix(client: TestClient, **changes: str) -> dict[str, Any]:
    text = client.get(f"{AT}/matrix.csv").text
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return {"file": ("rat.csv", text.encode(), "text/csv")}


def make_writes(client: TestClient) -> dict[str, Callable[..., Any]]:
    """Return the calls that change the content of a plan, by name."""
    item = {"code": "A-2", **CODED}
    changed = export_matrix(client, Verifikasi="Pendataan")
    return {
        "put plan": lambda: client.put(AT, json={"title": "x"}, headers=ANY),
        "patch plan": lambda: client.patch(AT, json={"note": "x"}, headers=ANY),
        "put action": lambda: client.put(f"{AT}/actions/A-1", json={**CODED, "note": "x"}, headers=ANY),
        "new action": lambda: client.put(f"{AT}/actions/A-3", json=CODED),
        "put actions": lambda: client.put(f"{AT}/actions", json={"items": [item]}, headers=ANY),
        "put each": lambda: client.put(f"{AT}/actions?each=true", json={"items": [item]}, headers=ANY),
        "patch action": lambda: client.patch(f"{AT}/actions/A-1", json={"note": "y"}, headers=ANY),
        "import": lambda: client.post(f"{AT}/imports?accept=free_text", files=changed),
        "delete action": lambda: client.delete(f"{AT}/actions/A-1", headers=ANY),
        "delete plan": lambda: client.delete(AT, headers=ANY),
    }


@pytest.mark.parametrize("state", WAYS)
def test_only_a_first_draft_at_its_region_is_editable(
    secretariat: TestClient, movers: Movers, state: str
) -> None:
    movers.bring(state)
    before, lines = secretariat.get(AT).json(), secretariat.get(f"{AT}/actions").json()
    for name, write in make_writes(secretariat).items():
        reply = write()
        if (state, name) == ("amended", "import"):
            assert reply.status_code == 200, "a file goes into the open amendment"
        elif state in EDITABLE:
            expected = (200, 201, 204) if name != "delete plan" else (409,)
            assert reply.status_code in expected, f"{name}: {reply.text}"
        else:
            assert (reply.status_code, reply.json()["code"]) == (409, "plan_not_editable"), name
    if state not in EDITABLE:
        assert (secretariat.get(AT).json(), secretariat.get(f"{AT}/actions").json()) == (before, lines)


def test_the_refusal_names_the_next_step(secretariat: TestClient, movers: Movers) -> None:
    def read_detail() -> str:
        headers = {**ANY, "Accept-Language": "en"}
        return str(secretariat.patch(AT, json={"note": "x"}, headers=headers).json()["detail"])

    ways = {
        "submit": "Ask the reviewer of the province to return it.",
        "endorse": "Ask the reviewer of the province to return it.",
        "adopt": "Open an amendment first.",
        "amend": "Change the open amendment.",
    }
    for verb, way in ways.items():
        assert movers.move(verb).status_code == 200
        assert read_detail().endswith(way)


def test_writing_a_returned_plan_keeps_its_state(secretariat: TestClient, movers: Movers) -> None:
    movers.bring("returned")
    assert secretariat.put(AT, json={"title": "x"}, headers=ANY).json()["state"] == "returned"
    assert secretariat.patch(AT, json={"title": "y"}, headers=ANY).json()["state"] == "returned"


@pytest.mark.parametrize("state", WAYS)
def test_progress_can_be_reported_until_the_plan_closes(
    secretariat: TestClient, movers: Movers, state: str
) -> None:
    report(secretariat, "A-1", 1, plan=PLAN, spent=1)
    movers.bring(state)
    batch = {"items": [{"action": "A-1", "spent": 3}]}
    replies = [
        secretariat.patch(Q1, json={"spent": 2}, headers=ANY),
        secretariat.put(f"{AT}/progress/2025-Q1", json=batch, headers=ANY),
        secretariat.put(Q1, json={"spent": 4}, headers=ANY),
        secretariat.delete(Q1, headers=ANY),
    ]
    statuses = [reply.status_code for reply in replies]
    if state == "closed":
        assert {reply.json()["code"] for reply in replies} == {"plan_closed"}
        assert secretariat.get(Q1).json()["allowed"] == []
    else:
        assert statuses == [200, 200, 200, 204]


def test_a_closed_plan_takes_reports_and_coverage_of_a_correction(
    secretariat: TestClient, movers: Movers
) -> None:
    for quarter in (1, 2):
        report(secretariat, "A-1", quarter, plan=PLAN, spent=1)
    movers.bring("closed")
    at = "/v1/regions/63.02/quarters/2025-Q1"
    for verb, body in {**dict.fromkeys(("submit", "verify", "freeze")), "correct": {"reason": "BPK"}}.items():
        assert secretariat.get(AT).json()["allowed"] == []
        caller = movers.reviewer if verb in ("verify", "freeze") else secretariat
        assert caller.post(f"{at}/{verb}", json=body or {}, headers=ANY).status_code == 200, verb
    for resource in (AT, f"{AT}/actions/A-1"):
        assert secretariat.get(resource).json()["allowed"] == ["report_progress"]
    batch = {"items": [{"action": "A-1", "spent": 3}]}
    for period, is_corrected in (("2025-Q1", True), ("2025-Q2", False)):
        one = f"{AT}/actions/A-1/progress/{period}"
        assert secretariat.get(one).json()["allowed"] == (["edit", "delete"] if is_corrected else [])
        for reply in (
            secretariat.patch(one, json={"spent": 2}, headers=ANY),
            secretariat.put(f"{AT}/progress/{period}", json=batch, headers=ANY),
            secretariat.put(one, json={"spent": 4}, headers=ANY),
            secretariat.delete(one, headers=ANY),
        ):
            assert is_corrected == reply.is_success
            assert is_corrected or reply.json()["code"] == "plan_closed"
    coverage = secretariat.put(f"/v1/coverage/2025-Q1/{VILLAGES[0]}", json=make_report(families=9))
    assert coverage.status_code == 201
    assert movers.chair.get(AT).json()["allowed"] == []
    assert secretariat.post(f"{AT}/amend", json={"note": "APBD-P"}, headers=ANY).status_code == 409


def test_a_plan_in_force_takes_imported_realisation(secretariat: TestClient, movers: Movers) -> None:
    report(secretariat, "A-1", 2, plan=PLAN, spent=7_000_000)
    movers.bring("adopted")
    file = secretariat.get(f"{AT}/matrix.csv?period=2025").content
    assert secretariat.delete(f"{AT}/actions/A-1/progress/2025-Q2", headers=ANY).status_code == 204
    files = {"file": ("rat.csv", file, "text/csv")}
    reply = secretariat.post(f"{AT}/imports?basis=cumulative", files=files)
    assert reply.status_code == 200, reply.text
    assert secretariat.get(f"{AT}/actions/A-1").json()["spent"] == 7_000_000


@pytest.mark.parametrize("state", WAYS)
def test_allowed_follows_the_state(secretariat: TestClient, movers: Movers, state: str) -> None:
    movers.bring(state)
    edits = ["edit", "write_actions"] if state in EDITABLE else []
    reports = [] if state == "closed" else ["report_progress"]
    allowed = secretariat.get(AT).json()["allowed"]
    amend = ["amend"] if state == "adopted" else []
    assert allowed == edits + reports + (["import_matrix"] if edits else []) + amend
    line = secretariat.get(f"{AT}/actions/A-1").json()["allowed"]
    assert line == (["edit", "delete"] if edits else []) + reports


@pytest.mark.parametrize("state", ["submitted", "adopted", "closed"])
def test_agencies_can_merge_in_any_state(secretariat: TestClient, movers: Movers, state: str) -> None:
    put(secretariat, "A-2", plan=PLAN, base=CODED, supporting_agencies=[HEALTH])
    movers.bring(state)
    merge = f"/v1/regions/63.02/agencies/{SOCIAL}/merge"
    assert secretariat.post(merge, json={"into": PARTNER}, headers=ANY).status_code == 200
    assert secretariat.get(f"{AT}/actions/A-1").json()["lead_agency"] == PARTNER
