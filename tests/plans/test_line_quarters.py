"""The quarters in which a report on a line is due."""

from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.json_sql import dump_json
from app.kit.database.upsert import unnest_records
from app.plans.actions.queries import actions, is_expected_in
from app.plans.actions.rules import QuartersContent, is_expected
from tests.database import OneTransaction
from tests.plans.world import ANY, AT, LEAN, put, refused

TEXT = actions.c.starts_in.type
QUARTERS = [f"2026-Q{n}" for n in range(1, 5)]


@pytest.mark.both_engines
def test_the_rule_and_the_predicate_agree_on_every_combination(database: OneTransaction) -> None:
    lines: list[QuartersContent] = [
        {"starts_in": first, "ends_after": last}
        for first, last in product([None, *QUARTERS], [None, "2025-Q4", *QUARTERS])
    ]
    records = dump_json([{**line, "period": quarter} for line in lines for quarter in QUARTERS])
    with database.read_session() as session:
        rows = unnest_records(session, dict.fromkeys(("starts_in", "ends_after", "period"), TEXT))

        def select(condition: sa.ColumnElement[bool]) -> set[tuple[object, ...]]:
            query = sa.select(rows.c.starts_in, rows.c.ends_after, rows.c.period).where(condition)
            return {tuple(row) for row in session.execute(query, {"records": records})}

        due = select(is_expected_in(rows, rows.c.period))
        of_one = [
            select(sa.and_(rows.c.period == quarter, is_expected_in(rows, quarter))) for quarter in QUARTERS
        ]
    assert due == set().union(*of_one)
    assert due == {
        (line["starts_in"], line["ends_after"], quarter)
        for line in lines
        for quarter in QUARTERS
        if is_expected(line, quarter)
    }
    assert {quarter for first, last, quarter in due if first is None and last is None} == {*QUARTERS}
    assert not any(last == "2025-Q4" for _, last, _ in due)


@pytest.mark.parametrize(
    "change", [{"starts_in": "2026-Q2"}, {"ends_after": "2026-Q2"}, {"ends_after": "2025-Q4"}]
)
def test_a_first_draft_has_no_quarters(secretariat: TestClient, change: dict[str, Any]) -> None:
    (name,) = change
    assert refused(secretariat.put(f"{AT}/actions/A-1", json={**LEAN, **change})) == [
        (f"/{name}", "of_an_amendment")
    ]
    batch = {"items": [{"code": "A-1", **LEAN}, {"code": "A-2", **LEAN, **change}]}
    assert refused(secretariat.put(f"{AT}/actions", json=batch, headers=ANY)) == [
        (f"/items/1/{name}", "of_an_amendment")
    ]
    each = secretariat.put(f"{AT}/actions?each=true", json=batch, headers=ANY).json()
    assert [item["status"] for item in each["items"]] == ["created", "refused"]
    assert refused(secretariat.patch(f"{AT}/actions/A-1", json=change, headers=ANY)) == [
        (f"/{name}", "of_an_amendment")
    ]
    assert put(secretariat, "A-1", base=LEAN, starts_in=None, ends_after=None)["version"] == 1
