"""A patch reads and checks no more than a PUT does."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.database import OneTransaction
from tests.plans.world import ACTION, ANY, AT, put, report


@pytest.mark.parametrize(
    ("path", "content", "patch"),
    [
        (AT, {"title": "Diganti"}, {"title": "Ditambal"}),
        (f"{AT}/actions/A-1", {**ACTION, "note": "Diganti"}, {"note": "Ditambal"}),
        (f"{AT}/actions/A-1/progress/2026-Q1", {"spent": 2}, {"spent": 3}),
    ],
    ids=["plan", "line", "report"],
)
def test_a_patch_costs_no_more_statements_than_a_put(
    secretariat: TestClient,
    database: OneTransaction,
    path: str,
    content: dict[str, Any],
    patch: dict[str, Any],
) -> None:
    def count_statements(method: str, body: dict[str, Any]) -> int:
        database.statements.clear()
        reply = secretariat.request(method, path, json=body, headers=ANY)
        assert reply.status_code == 200, reply.text
        return len(database.statements)

    put(secretariat, "A-1")
    report(secretariat, "A-1", 1, spent=1)
    put_statements = count_statements("PUT", content)
    assert count_statements("PATCH", patch) <= put_statements
    assert patch.items() <= secretariat.get(path).json().items()
