"""A copy that begins empty and is kept by the feed alone, and the hashes by which it is held against the service."""

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


def fields_of(subject: str) -> set[str] | None:
    """What is kept of a plan, an action or a report; None: of anything else nothing is."""
    found = _KEPT.fullmatch(subject)
    if found is None:
        return None
    if found.lastgroup:
        return set(ProgressIn.model_fields)
    return set(ActionIn.model_fields) if found[1] else _PLAN


class Copy:
    """Plans with their actions and reports by address, brought up to date by `[from, to]` of each change."""

    def __init__(self, client: TestClient, *, sees_drafts: bool) -> None:
        self.client, self.sees_drafts = client, sees_drafts
        self.cursor: str | None = None
        self.kept: dict[str, Content] = {}
        self.rows = self.pages = 0

    def follow(self) -> None:
        """Everything that is new."""
        more = True
        while more:
            found = page(self.client, self.cursor, changes="true", limit=PAGE)
            for change in found["items"]:
                self._take(change)
            self.cursor, more = found["next"], found["more"]
            self.rows += len(found["items"])
            self.pages += 1

    def _take(self, change: dict[str, Any]) -> None:
        subject, changes = change["subject"], change["changes"]
        fields = fields_of(subject)
        if fields is None:
            return
        if change["kind"] == "plan.adopted" and changes["revision"] == [None, 0] and not self.sees_drafts:
            self.kept |= read_plan(self.client, subject)
            return
        if change["kind"].endswith(".deleted"):
            self.kept.pop(subject, None)
            return
        content = self.kept.setdefault(subject, {"version": 0})
        # What was read anew is ahead of the feed; a copy that reads nothing but the feed never is.
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

    def hashes(self) -> dict[str, str]:
        return hashes_of(self.kept)


def read_plan(client: TestClient, plan: str) -> dict[str, Content]:
    """A plan, its actions and its reports as the service answers them."""
    found: dict[str, Content] = {}
    whole = client.get(f"/v1/{plan}")
    assert whole.status_code == 200, whole.text
    found[plan] = whole.json()
    for action in walk(client, f"/v1/{plan}/actions?limit={PAGE}"):
        found[f"{plan}/actions/{action['code']}"] = action
    for quarter in QUARTERS:
        for one in walk(client, f"/v1/{plan}/progress/{YEAR}-Q{quarter}?limit={PAGE}"):
            found[f"{plan}/actions/{one['action']}/progress/{one['period']}"] = one
    return {
        subject: {
            name: value
            for name, value in content.items()
            if name == "version" or name in (fields_of(subject) or ())
        }
        for subject, content in found.items()
    }


def hashes_of(kept: dict[str, Content]) -> dict[str, str]:
    """SHA-256 of the canonical JSON of each plan with all that hangs on it; nothing is as good as null."""
    plans: dict[str, dict[str, Content]] = {}
    for subject, content in kept.items():
        plan = "/".join(subject.split("/")[:2])
        said = {name: value for name, value in content.items() if value is not None}
        plans.setdefault(plan, {})[subject] = said
    return {plan: hashlib.sha256(rfc8785.dumps(whole)).hexdigest() for plan, whole in plans.items()}
