"""A plan as every route that reads or moves it shows it."""

from typing import Any

from fastapi import Response

from app.access.actor import Call
from app.kit.http.replies import answer, with_fields
from app.plans.core.models import PlanState
from app.plans.revisions.queries import plan_json
from app.plans.workflow.rules import Standing, allowed
from app.reference.rules import local_date


def plan_reply(call: Call, code: str, *, status: int = 200, **beside: Any) -> Response:
    """A plan with what the caller may do with it, and what else a reply says of it."""
    found = plan_json(call.session, call.actor, code)
    standing = Standing(
        plan=code,
        state=PlanState(found.state),
        revision=found.revision,
        year=found.year,
        action_count=found.action_count,
        today=local_date(call.now, found.timezone),
    )
    return answer(
        call.request,
        with_fields(found.json, allowed=allowed(call.actor, found.region_code, standing), **beside),
        status=status,
        version=found.version,
        location=f"/v1/plans/{code}" if status == 201 else None,
    )
