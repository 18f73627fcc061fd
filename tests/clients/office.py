"""A small program on the generated Python client, as an office would write it; it prints what came of each step.

It runs where nothing of the service is installed: the client, what the client stands on, and the standard library.
"""

import json
import os

from rata_client import AuthenticatedClient
from rata_client.api.plans import delete_action, delete_plan, list_plans, patch_action, put_action, put_plan
from rata_client.models import (
    ActionIn,
    ActionPatch,
    ActionReply,
    BudgetLine,
    PlanIn,
    PlanPage,
    PlanReply,
    Problem,
)

PLAN, ACTION, AGENCY = "63.02-2027", "A-001", "1.05.0.00.0.00.07.0000"

client = AuthenticatedClient(
    base_url=os.environ["RATA_SERVER"],
    token=os.environ["RATA_TOKEN"],
    headers={"Accept-Language": "en"},
    raise_on_unexpected_status=True,
)
told: dict[str, object] = {}


def plans() -> list[str]:
    """Every plan of the province, page by page."""
    found, cursor = [], {}
    while True:
        page = list_plans.sync(client=client, region="63", sort="-plan", limit=1, **cursor)
        assert isinstance(page, PlanPage), page
        found += [plan.plan for plan in page.items]
        if not page.next_:
            return found
        cursor = {"after": page.next_}


with client:
    told["plans before"] = plans()
    plan = put_plan.sync(PLAN, client=client, body=PlanIn(title="RAT 2027"), if_none_match="*")
    assert isinstance(plan, PlanReply), plan
    told["plans with ours"] = plans()

    body = ActionIn(
        title="Bantuan pangan",
        strategy="reduce_spending_burden",
        lead_agency=AGENCY,
        subactivity="Bantuan pangan",
        allocation=250_000_000,
        budget_lines=[BudgetLine(funding_source="APBD", amount=250_000_000)],
    )
    line = put_action.sync(PLAN, ACTION, client=client, body=body, if_none_match="*")
    assert isinstance(line, ActionReply), line
    told["line"] = [line.version, line.budget_lines[0].amount, [finding.code for finding in line.findings]]

    fresh = f'"{line.version}"'
    edited = patch_action.sync(PLAN, ACTION, client=client, body=ActionPatch(note="Sah"), if_match=fresh)
    assert isinstance(edited, ActionReply), edited
    late = patch_action.sync(PLAN, ACTION, client=client, body=ActionPatch(note="Lambat"), if_match=fresh)
    assert isinstance(late, Problem), late
    told["late"] = [late.status, late.code]

    body.strategy, body.allocation = "raise_income", -5
    refused = put_action.sync(PLAN, ACTION, client=client, body=body, if_match=f'"{edited.version}"')
    assert isinstance(refused, Problem), refused
    told["refused"] = [[error.pointer, error.code, error.value] for error in refused.errors]

    assert delete_action.sync(PLAN, ACTION, client=client, if_match="*") is None
    assert delete_plan.sync(PLAN, client=client, if_match="*") is None
    told["plans after"] = plans()

print(json.dumps(told))  # noqa: T201
