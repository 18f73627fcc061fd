"""The predicate that filters a revision's lines agrees with the SELECT that filters today's."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from app.kit.database.engine import get_table
from app.plans.actions.models import ActionRow
from app.plans.actions.queries import ActionQuery, list_actions, read_whole_actions
from app.plans.core.models import PlanRow
from app.plans.revisions.queries import is_chosen
from tests.amendments.world import HEALTHY
from tests.database import OneTransaction
from tests.plans.world import AT, HEALTH, LEAN, PARTNER, put, put_many, report
from tests.workflow.moves import CODED

ONE = datetime(2026, 9, 1, 3, 0, tzinfo=UTC)


@pytest.mark.one_engine
def test_a_plan_without_adoption_was_never_in_force(secretariat: TestClient) -> None:
    reply = secretariat.get(AT, params={"as_of": ONE.isoformat()})
    assert (reply.status_code, reply.json()["code"]) == (404, "not_in_force_then")


LINES_TO_CHOOSE: list[dict[str, Any]] = [
    {**CODED, "code": "A-1", "tags": ["lansia", "Pesisir"], "supporting_agencies": [PARTNER]},
    {**HEALTHY, "code": "A-2", "locations": [{"region_code": "63.02.01"}, {"region_code": "63.02"}]},
    {**LEAN, "code": "A-3", "title": "Jum'at Berkah (II)", "locations": []},
    {**LEAN, "code": "A-4", "budget_lines": [], "allocation": 0, "strategy": "reduce_poverty_pockets"},
]

queries = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(["reduce_spending_burden", "raise_income"]),
        "lead_agency": st.sampled_from([HEALTH, PARTNER]),
        "supporting_agency": st.sampled_from([PARTNER, HEALTH]),
        "location": st.sampled_from(["0", "63", "63.02", "63.02.01", "63.02.01.2001", "63.02.0", "73"]),
        "funding_source": st.sampled_from(["APBD", "APBN"]),
        "subactivity_code": st.sampled_from(
            ["1", "1.06", "1.06.", "1.06.04.2.01.0001", "1.0", ".", "0", "1%"]
        ),
        "tag": st.sampled_from(["lansia", "LANSIA", "Pesisir"]),
        "q": st.sampled_from(
            ["jumat", "Jum’at ii", "sub baris", "permakanan", "%", "_", "posyandu PERMAKANAN"]
        ),
        "reported": st.sampled_from(["2026-Q1", "2026-Q2"]),
    },
)


@pytest.fixture
def plan_session(database: OneTransaction, secretariat: TestClient) -> Session:
    put_many(secretariat, LINES_TO_CHOOSE)
    put(secretariat, "A-5", base=LEAN, title="Dilaporkan")
    report(secretariat, "A-5", 1, spent=1)
    report(secretariat, "A-1", 2, spent=1)
    return database.read_session()


def test_the_predicate_selects_the_same_lines_as_the_select(plan_session: Session) -> None:
    session = plan_session
    plan = session.execute(sa.select(get_table(PlanRow))).one()
    lines = read_whole_actions(session, plan)
    table = get_table(ActionRow)
    actions = session.execute(sa.select(table.c.id, table.c.code)).all()
    code_of = {row.id: row.code for row in actions}

    @settings(max_examples=150, deadline=None)
    @given(queries)
    def check_agreement(params: dict[str, Any]) -> None:
        try:
            query = ActionQuery(**params)
        except ValueError:
            return  # validation refuses the query
        by_select = {code_of[id] for id in session.scalars(list_actions(plan, query).query)}
        assert {code for code, line in lines.items() if is_chosen(line, query)} == by_select, params

    check_agreement()
