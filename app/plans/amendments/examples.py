"""The amendment of the OpenAPI document's examples."""

from typing import Any

from app.plans.actions.examples import ACTION_EXAMPLE, ACTION_OUT_EXAMPLE
from app.plans.core.examples import PLAN_EXAMPLE, REASON_EXAMPLE

AMENDED_ACTION_EXAMPLE: dict[str, Any] = {**ACTION_EXAMPLE, "reasons": []}

AMENDED_ACTION_OUT_EXAMPLE: dict[str, Any] = {
    **ACTION_OUT_EXAMPLE,
    "change": "changed",
    "reasons": [REASON_EXAMPLE],
    "lacking": ["/outputs/O1/target"],
}

AMENDMENT_EXAMPLE: dict[str, Any] = {**PLAN_EXAMPLE, "reasons": []}


def _amounts(before: int, after: int) -> dict[str, int]:
    return {"before": before, "after": after, "difference": after - before}


SUMS_EXAMPLE: dict[str, Any] = {
    "actions": _amounts(156, 157),
    "allocation": _amounts(632470087081, 632720087081),
    "locations": _amounts(88, 89),
    "recipients": [{"kind": "persons", **_amounts(1200, 1240)}],
    "strategies": [{"strategy": "reduce_spending_burden", **_amounts(401250000000, 401500000000)}],
    "agencies": [{"agency": "1.06.0.00.0.00.08.0000", **_amounts(18000000000, 18250000000)}],
}

AMENDMENT_OUT_EXAMPLE: dict[str, Any] = {
    **AMENDMENT_EXAMPLE,
    "plan": "63.02-2026",
    "state": "draft",
    "revision": 0,
    "version": 1,
    "opened_at": "2026-07-20T02:00:00+00:00",
    "purpose": "Penyesuaian APBD-P",
    "created": 1,
    "changed": 3,
    "removed": 0,
    "unchanged": 153,
    "lacking": [{"action": "A-001", "fields": ["/outputs/O1/target"]}],
    "sums": SUMS_EXAMPLE,
}
