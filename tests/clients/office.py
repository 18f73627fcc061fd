"""A program with the generated Python client, which prints the result of each step.

It needs the client, its dependencies and the standard library alone.
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
results: dict[str, object] = {}


def list_codes() -> list[str]:
    """Return the codes of all plans of the province, page by page."""
    codes, cursor = [], {}
    while True:
        page = list_plans.sync(client=client, region="63", sort="-plan", limit=1, **cursor)
        assert isinstance(page, PlanPage), page
        codes += [plan.plan for plan in page.items]
        if not page.next_:
            return codes
        cursor = {"after": page.next_}


with client:
    results["plans before"] = list_codes()
    plan = put_plan.sync(PLAN, client=client, body=PlanIn(title="RAT 2027"), if_none_match="*")
    assert isinstance(plan, PlanReply), plan
    results["plans with ours"] = list_codes()

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
    results["line"] = [line.version, line.budget_lines[0].amount, [finding.code for finding in line.findings]]

    fresh = f'"{line.version}"'
    edited = patch_action.sync(PLAN, ACTION, client=client, body=ActionPatch(note="Sah"), if_match=fresh)
    assert isinstance(edited, ActionReply), edited
    late = patch_action.sync(PLAN, ACTION, client=client, body=ActionPatch(note="Lambat"), if_match=fresh)
    assert isinstance(late, Problem), late
    results["late"] = [late.status, late.code]

    body.strategy, body.allocation = "raise_income", -5
    refused = put_action.sync(PLAN, ACTION, client=client, body=body, if_match=f'"{edited.version}"')
    assert isinstance(refused, Problem), refused
    results["refused"] = [[error.pointer, error.code, error.value] for error in refused.errors]

    assert delete_action.sync(PLAN, ACTION, client=client, if_match="*") is None
    assert delete_plan.sync(PLAN, client=client, if_match="*") is None
    results["plans after"] = list_codes()

print(json.dumps(results))  # noqa: T201
