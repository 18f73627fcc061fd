"""The rights to write lines, role by role (design, section 3)."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.access.models import TokenScope
from tests.plans.world import ACTION, ANY, AT, HEALTH, LEAN, SOCIAL, put, refused

pytestmark = pytest.mark.one_engine

Connect = Callable[..., TestClient]
OPERATOR = ("operator", "63.02", SOCIAL)
ITEM = {"action": "A-1", "spent": 1}


@pytest.fixture
def secretariat(secretariat: TestClient) -> TestClient:
    """The secretariat, once it wrote A-9, a line of another agency."""
    put(secretariat, "A-9", base=LEAN)
    return secretariat


def attempt_writes(caller: TestClient) -> list[int]:
    """Write an action and a report of Dinas Sosial in all eight ways and return the statuses."""
    of_action, of_report = f"{AT}/actions/A-1", f"{AT}/actions/A-1/progress/2026-Q1"
    item = {"code": "A-1", **ACTION}
    return [
        caller.put(of_action, json=ACTION, headers={}).status_code,
        caller.patch(of_action, json={"note": "x"}, headers=ANY).status_code,
        caller.put(f"{AT}/actions", json={"items": [item]}, headers=ANY).status_code,
        caller.put(of_report, json={"spent": 1}).status_code,
        caller.patch(of_report, json={"obstacle": "x"}, headers=ANY).status_code,
        caller.put(f"{AT}/progress/2026-Q1", json={"items": [ITEM]}, headers=ANY).status_code,
        caller.delete(of_report, headers=ANY).status_code,
        caller.delete(of_action, headers=ANY).status_code,
    ]


ALLOWED = [201, 200, 200, 201, 200, 200, 204, 204]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (OPERATOR, ALLOWED),
        (("operator", "63.02"), ALLOWED),
        (("secretariat", "63.02"), ALLOWED),
        (("administrator", "63"), ALLOWED),
        (("administrator", "0"), ALLOWED),
        (("reader", "63.02"), [404] * 8),  # a draft
        (("reader", "63"), [404] * 8),
        (("reviewer", "63"), [403] * 8),
        (("chair", "63.02"), [403] * 8),
        (("operator", "63.02", HEALTH), [403] * 8),
        (("secretariat", "63"), [404] * 8),
        (("secretariat", "63.03"), [404] * 8),
        (("operator", "63", SOCIAL), [404] * 8),
        (("administrator", "73"), [404] * 8),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_each_role_writes_as_the_table_of_rights_allows(
    secretariat: TestClient, connect: Connect, role: Any, expected: list[int]
) -> None:
    caller = connect(role)
    if expected[0] == 403:
        put(secretariat, "A-1")  # so that a refusal can only concern rights
        secretariat.put(f"{AT}/actions/A-1/progress/2026-Q1", json={"spent": 1})
    assert attempt_writes(caller) == expected


def test_a_token_needs_the_write_scope(secretariat: TestClient, connect: Connect) -> None:
    assert attempt_writes(connect(("secretariat", "63.02"), scopes=(TokenScope.read,)))[0] == 403
    assert attempt_writes(connect(("secretariat", "63.02"), scopes=(TokenScope.write,)))[0] == 404


def test_an_operator_takes_no_line_over_and_gives_none_away(
    secretariat: TestClient, connect: Connect
) -> None:
    operator = connect(OPERATOR)
    takeover = operator.put(f"{AT}/actions/A-9", json=ACTION, headers=ANY)
    assert refused(takeover, 403) == [("/lead_agency", "not_your_agency")]
    assert takeover.json()["errors"][0]["value"] == HEALTH
    assert operator.patch(f"{AT}/actions/A-9", json={"note": "x"}, headers=ANY).status_code == 403
    put(operator, "A-1")
    handover = operator.patch(f"{AT}/actions/A-1", json={"lead_agency": HEALTH}, headers=ANY)
    assert refused(handover, 403) == [("/lead_agency", "not_your_agency")]
    assert [item["lead_agency"] for item in secretariat.get(f"{AT}/actions").json()["items"]] == [
        SOCIAL,
        HEALTH,
    ]
    assert operator.get(f"{AT}/actions/A-9").json()["allowed"] == []
    assert operator.get(f"{AT}/actions/A-1").json()["allowed"] == ["edit", "delete", "report_progress"]


def test_an_operators_batch_is_refused_whole_or_line_by_line(
    secretariat: TestClient, connect: Connect
) -> None:
    operator = connect(OPERATOR)
    batch = {
        "items": [{"code": "A-1", **ACTION}, {"code": "A-9", **LEAN, "title": "x"}, {"code": "A-8", **LEAN}]
    }
    reply = operator.put(f"{AT}/actions", json=batch, headers=ANY)
    assert refused(reply, 403) == [
        ("/items/1/lead_agency", "not_your_agency"),
        ("/items/2/lead_agency", "not_your_agency"),
    ]
    assert secretariat.get(f"{AT}/actions/A-1").status_code == 404
    result = operator.put(f"{AT}/actions?each=true", json=batch, headers=ANY).json()
    assert [item["status"] for item in result["items"]] == ["created", "refused", "refused"]
    reports = {"items": [{"action": "A-9", "spent": 1}, {"action": "A-1", "spent": 1}]}
    reply = operator.put(f"{AT}/progress/2026-Q1", json=reports)
    assert refused(reply, 403) == [("/items/0/action", "not_your_agency")]
    result = operator.put(f"{AT}/progress/2026-Q1?each=true", json=reports).json()
    assert [item["status"] for item in result["items"]] == ["refused", "created"]
    assert [r["action"] for r in secretariat.get(f"{AT}/progress/2026-Q1").json()["items"]] == ["A-1"]


def test_missing_rights_come_before_any_other_refusal(secretariat: TestClient, connect: Connect) -> None:
    reviewer = connect(("reviewer", "63"))
    assert reviewer.put(f"{AT}/actions/A-9", json=ACTION).status_code == 403  # not 428
    assert (
        reviewer.put(f"{AT}/actions/A-9", json=ACTION, headers={"If-Match": '"7"'}).status_code == 403
    )  # not 412
    assert (
        reviewer.put(f"{AT}/actions/A-1", json={**ACTION, "lead_agency": "X"}).status_code == 403
    )  # not 422
    assert reviewer.delete(f"{AT}/actions/A-9").status_code == 403
