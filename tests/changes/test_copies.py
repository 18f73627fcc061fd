"""A copy of the service that applies the `changes` of the feed."""

from random import Random
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.plans.actions.models import ActionIn
from app.plans.core.models import PlanIn
from app.tracking.progress.models import ProgressIn
from tests.changes.feed import now, page
from tests.changes.walks import BEGIN, STEPS, WAY, Walk
from tests.database import OneTransaction
from tests.plans.world import furnish_by_command
from tests.workflow.moves import PLAN, Connect, Movers

pytestmark = pytest.mark.one_engine

Fields = dict[str, Any]
PLAN_AT = f"plans/{PLAN}"

BEGIN_UNWRITTEN = ("quarter", "quarter_part", "amendment_action")
"""Nouns with values before the first write: a quarter is open, a drafted line has the values in force."""


class Copy:
    """One reader's copy, kept by the feed; a reader without drafts fetches a plan when it is adopted."""

    def __init__(self, client: TestClient, *, reads_drafts: bool) -> None:
        self.client, self._reads_drafts = client, reads_drafts
        self._cursor = now(client)
        self.held: dict[str, Fields] = {}
        self.versions: dict[str, tuple[int, str]] = {}

    def follow(self) -> None:
        """Apply all new changes."""
        result = page(self.client, self._cursor, changes="true", limit=500)
        self._cursor, changes = result["next"], result["items"]
        assert not result["more"]
        met = {change["subject"] for change in changes if self._is_met(change)}
        for change in changes:
            if change["subject"] in met:
                assert all(was is None for was, _ in change["changes"].values()), change
            if not any(change["subject"] == at or change["subject"].startswith(f"{at}/") for at in met):
                self._apply(change)
        for at in met:
            self._read(at)

    def _is_met(self, change: dict[str, Any]) -> bool:
        """True if the reader first sees the plan now, at its adoption."""
        return change["kind"] == "plan.adopted" and change["subject"] not in self.held

    def _apply(self, change: dict[str, Any]) -> None:
        subject, changes = change["subject"], change["changes"]
        noun = change["kind"].partition(".")[0]
        held = self.held.get(subject, {})
        if noun in BEGIN_UNWRITTEN or self._was_hidden(subject):
            held = {**{name: was for name, (was, _) in changes.items()}, **held}
        before = {name: was for name, (was, _) in changes.items()}
        assert {name: held.get(name) for name in changes} == before, change
        if change["kind"].endswith(".deleted"):
            assert all(new is None for _, new in changes.values()), change
            for at in [at for at in self.held if at == subject or at.startswith(f"{subject}/")]:
                del self.held[at]
            return
        self.held[subject] = {**held, **{name: new for name, (_, new) in changes.items()}}
        self.versions[subject] = (change["version"], change["at"])

    def _was_hidden(self, subject: str) -> bool:
        """True if the service wrote this while the plan was a draft that the reader may not see."""
        return not self._reads_drafts and subject.startswith(
            ("regions/63.02/quarters/", f"{PLAN_AT}/overlaps/")
        )

    def _read(self, plan: str) -> None:
        for at, body in read_replies(self.client).items():
            self.held[at] = {
                name: value for name, value in body.items() if name not in ("version", "updated_at")
            }
            self.versions[at] = (body["version"], body.get("updated_at", ""))
        (first,) = self.client.get(f"/v1/{plan}/revisions").json()["items"]
        self.held[plan] |= {name: first[f"instrument_{name}"] for name in ("number", "date")}
        self.held[plan]["instrument"] = first["instrument"]


def read_replies(client: TestClient) -> dict[str, Fields]:
    """Return the plan, its lines and their reports as the service sends them, in the fields of the feed."""
    reply = client.get(f"/v1/{PLAN_AT}")
    if reply.status_code == 404:
        return {}
    result = {
        PLAN_AT: _select_fields(reply.json(), {*PlanIn.model_fields, "state", "revision", "updated_at"})
    }
    for line in client.get(f"/v1/{PLAN_AT}/actions").json()["items"]:
        result[f"{PLAN_AT}/actions/{line['code']}"] = _select_fields(line, set(ActionIn.model_fields))
    for report in client.get(f"/v1/{PLAN_AT}/progress/2025-Q1").json()["items"]:
        result[f"{PLAN_AT}/actions/{report['action']}/progress/2025-Q1"] = _select_fields(
            report, set(ProgressIn.model_fields)
        )
    return result


def _select_fields(body: Fields, names: set[str]) -> Fields:
    return {name: value for name, value in body.items() if name in {*names, "version"}}


def check(copy: Copy) -> None:
    """Compare the copy with the replies to its reader, versions and instants of change included."""
    expected = read_replies(copy.client)
    addresses = {
        at
        for at in copy.held
        if at.startswith(PLAN_AT) and at.count("/amendment") + at.count("/overlaps") == 0
    }
    assert addresses == expected.keys()
    for at, body in expected.items():
        held = {name: copy.held[at].get(name) for name in body.keys() - {"version", "updated_at"}}
        version, instant = copy.versions[at]
        held["version"] = version
        if "updated_at" in body:
            held["updated_at"] = instant
        assert held == body, at


def walk(connect: Connect, database: OneTransaction, steps: list[str], seed: int) -> list[str]:
    """Take the steps; two readers follow each, one of them compares. Return the refused steps."""
    copies = [
        Copy(connect(("administrator", "63")), reads_drafts=True),
        Copy(connect(("reader", "63")), reads_drafts=False),
    ]
    movers = Movers(connect)
    furnish_by_command(database)
    refused, walker = [], Walk(movers, Random(seed))
    for turn, name in enumerate(steps):
        reply = walker.take(name)
        if reply.status_code >= 400:
            refused.append(f"{name}: {reply.text}")
            continue
        for copy in copies:
            copy.follow()
        check(copies[turn % len(copies)])
    for copy in copies:
        check(copy)
    return refused


def test_a_way_through_every_move(connect: Connect, database: OneTransaction) -> None:
    refused = walk(connect, database, WAY, seed=7)
    assert not refused, "\n".join(refused)


def test_a_walk_by_chance(connect: Connect, database: OneTransaction) -> None:
    walk_by_chance(connect, database, seed=1, steps=30)


def walk_by_chance(connect: Connect, database: OneTransaction, *, seed: int, steps: int) -> None:
    """Take so many random steps from a first draft."""
    walk(connect, database, [*BEGIN, *Random(seed).choices(STEPS, k=steps)], seed)
