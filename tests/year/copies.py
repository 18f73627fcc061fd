"""A copy that follows the feed alone, and hashes that compare it with the service."""

import hashlib
import re
from typing import Any

import rfc8785
from fastapi.testclient import TestClient

from app.plans.actions.models import ActionIn
from app.plans.core.models import PlanIn
from app.tracking.progress.models import ProgressIn
from tests.changes.feed import page
from tests.pages import walk
from tests.year.world import QUARTERS, YEAR

Content = dict[str, Any]
PAGE = 500

_KEPT = re.compile(r"plans/[^/]+(/actions/[^/]+(?P<report>/progress/[^/]+)?)?")
_PLAN = {*PlanIn.model_fields, "state", "revision"}


def get_fields(subject: str) -> set[str] | None:
    """Return the copied fields of a plan, an action or a report, or None for other subjects."""
    match = _KEPT.fullmatch(subject)
    if match is None:
        return None
    if match.lastgroup:
        return set(ProgressIn.model_fields)
    return set(ActionIn.model_fields) if match[1] else _PLAN


class Copy:
    """Plans with their actions and reports by address, updated by `[from, to]` of each change."""

    def __init__(self, client: TestClient, *, sees_drafts: bool) -> None:
        self.client, self.sees_drafts = client, sees_drafts
        self.cursor: str | None = None
        self.kept: dict[str, Content] = {}
        self.rows = self.pages = 0

    def follow(self) -> None:
        """Apply all new changes of the feed."""
        more = True
        while more:
            reply = page(self.client, self.cursor, changes="true", limit=PAGE)
            for change in reply["items"]:
                self._take(change)
            self.cursor, more = reply["next"], reply["more"]
            self.rows += len(reply["items"])
            self.pages += 1

    def _take(self, change: dict[str, Any]) -> None:
        subject, changes = change["subject"], change["changes"]
        fields = get_fields(subject)
        if fields is None:
            return
        if change["kind"] == "plan.adopted" and changes["revision"] == [None, 0] and not self.sees_drafts:
            self.kept |= read_plan(self.client, subject)
            return
        if change["kind"].endswith(".deleted"):
            self.kept.pop(subject, None)
            return
        content = self.kept.setdefault(subject, {"version": 0})
        # A plan read from the service can be ahead of the feed; a copy from the feed alone never is.
        is_ahead = not self.sees_drafts
        assert is_ahead or change["version"] >= content["version"], change
        if change["version"] < content["version"]:
            return
        for name in fields & changes.keys():
            old, new = changes[name]
            held = content.get(name)
            assert held == old or (is_ahead and held == new), (subject, name)
            content[name] = new
        content["version"] = change["version"]

    def compute_hashes(self) -> dict[str, str]:
        return compute_hashes(self.kept)


def read_plan(client: TestClient, plan: str) -> dict[str, Content]:
    """Read a plan, its actions and its reports from the service."""
    contents: dict[str, Content] = {}
    whole = client.get(f"/v1/{plan}")
    assert whole.status_code == 200, whole.text
    contents[plan] = whole.json()
    for action in walk(client, f"/v1/{plan}/actions?limit={PAGE}"):
        contents[f"{plan}/actions/{action['code']}"] = action
    for quarter in QUARTERS:
        for report in walk(client, f"/v1/{plan}/progress/{YEAR}-Q{quarter}?limit={PAGE}"):
            contents[f"{plan}/actions/{report['action']}/progress/{report['period']}"] = report
    return {
        subject: {
            name: value
            for name, value in content.items()
            if name == "version" or name in (get_fields(subject) or ())
        }
        for subject, content in contents.items()
    }


def compute_hashes(kept: dict[str, Content]) -> dict[str, str]:
    """Return the SHA-256 of the canonical JSON of each plan with its rows; null equals a missing field."""
    plans: dict[str, dict[str, Content]] = {}
    for subject, content in kept.items():
        plan = "/".join(subject.split("/")[:2])
        present = {name: value for name, value in content.items() if value is not None}
        plans.setdefault(plan, {})[subject] = present
    return {plan: hashlib.sha256(rfc8785.dumps(whole)).hexdigest() for plan, whole in plans.items()}
