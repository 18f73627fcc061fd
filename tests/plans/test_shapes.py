"""The JSON that each engine builds has the fields of its model, in order."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from app.kit.database.engine import get_table
from app.plans.actions.models import PARTS, ActionOut, ActionRow
from app.plans.core.models import PlanOut, PlanRow, PriorityLocationRow
from app.plans.workflow.models import ActionReply, PlanReply
from app.tracking.progress.models import PROGRESS_PARTS, ProgressOut, ProgressReply, ProgressRow
from app.tracking.summaries.models import RegionSummary, Summary
from tests.plans.test_actions import BARE, WHOLE
from tests.plans.test_plans import WHOLE as WHOLE_PLAN
from tests.plans.world import AT, put, put_plan, report

pytestmark = pytest.mark.one_engine


def check_fields(shape: Any, content: Any) -> None:
    """Check that the content and its nested objects have exactly the fields of their models, in order."""
    model = shape.model_validate(content)
    _compare(model, content)


def _compare(model: Any, content: Any) -> None:
    if isinstance(model, BaseModel):
        assert list(content) == list(type(model).model_fields), type(model).__name__
        for name in content:
            _compare(getattr(model, name), content[name])
    elif isinstance(model, list):
        for item, value in zip(model, content, strict=True):
            _compare(item, value)


@pytest.fixture
def full(secretariat: TestClient) -> TestClient:
    put_plan(secretariat, "63.02-2027", **{k: v for k, v in WHOLE_PLAN.items() if k != "title"})
    put(secretariat, "A-1", base=WHOLE)
    put(secretariat, "A-2", base=BARE)
    put(secretariat, "A-3")
    report(
        secretariat,
        "A-3",
        2,
        spent=1,
        spending=[{"funding_source": "APBD", "amount": 1}],
        components=[{"component_class": "direct", "amount": 1}],
        outputs=[{"code": "O1", "achieved": 0.5}],
        recipients=[{"code": "R1", "reached": 2}],
        milestones=[{"code": "M1", "state": "done", "done_on": "2026-03-01"}],
        evidence=["https://example.org/a"],
        obstacle="o",
        follow_up="f",
        physical_reported_percent=12.34,
    )
    report(secretariat, "A-2", 2)
    return secretariat


def test_replies_have_exactly_the_fields_of_their_models(full: TestClient) -> None:
    lists: dict[str, type[BaseModel]] = {
        "/v1/plans": PlanOut,
        f"{AT}/actions": ActionOut,
        f"{AT}/progress/2026-Q2": ProgressOut,
        f"{AT}/actions/A-3/progress": ProgressOut,
    }
    for path, shape in lists.items():
        items = full.get(path).json()["items"]
        assert items
        for item in items:
            check_fields(shape, item)
    single: dict[str, type[BaseModel]] = {
        "/v1/plans/63.02-2027": PlanReply,
        f"{AT}/actions/A-1": ActionReply,
        f"{AT}/actions/A-2": ActionReply,
        f"{AT}/actions/A-3/progress/2026-Q2": ProgressReply,
        f"{AT}/actions/A-2/progress/2026-Q2": ProgressReply,
        f"{AT}/summary?period=2026-S1": Summary,
        "/v1/summaries?region=63&period=2026": RegionSummary,
    }
    for path, shape in single.items():
        check_fields(shape, full.get(path).json())


def test_empty_lists_and_objects_are_read_back_empty(full: TestClient) -> None:
    bare = full.get(f"{AT}/actions/A-2").json()
    assert [bare[name] for name in ("benefit_forms", "matrix_texts", "tags", "outputs")] == [[], {}, [], []]
    assert full.get(f"{AT}/actions/A-2/progress/2026-Q2").json()["evidence"] == []


def test_instants_carry_their_offset_once(full: TestClient) -> None:
    for path in (AT, f"{AT}/actions/A-1"):
        assert full.get(path).json()["updated_at"].count("+00:00") == 1


@pytest.mark.parametrize(
    "table",
    [get_table(row) for row in (PlanRow, PriorityLocationRow, ActionRow, ProgressRow)]
    + [p.table for p in PARTS]
    + [p.table for p in PROGRESS_PARTS],
    ids=lambda table: table.name,
)
def test_the_longest_allowed_text_fits_its_column(table: Any) -> None:
    """PostgreSQL refuses a longer text, SQLite stores it."""
    shapes = {part.table.name: part.shape for part in (*PARTS, *PROGRESS_PARTS) if part.shape}
    shape = shapes.get(table.name) or {
        "plan": PlanReply,
        "action": ActionReply,
        "progress": ProgressReply,
    }.get(table.name)
    if shape is None:
        return
    schema = shape.model_json_schema()["properties"]
    for column in table.c:
        if column.name in schema and getattr(column.type, "length", None):
            field = schema[column.name]
            lengths = [
                variant["maxLength"] for variant in (field, *field.get("anyOf", ())) if "maxLength" in variant
            ]
            assert all(length <= column.type.length for length in lengths), column.name
