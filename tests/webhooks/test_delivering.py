"""Deliveries: signed, limited to the owner's rights, sent once, and retried after failures."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from standardwebhooks import WebhookVerificationError

from app.access.models import TokenScope
from app.changes.webhooks.rules import MAX_ATTEMPTS
from app.kit.server.tracing import SpanSender
from tests.changes.feed import follow
from tests.plans.world import ANY, put_plan
from tests.webhooks.conftest import Hook, Place
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.one_engine


@pytest.mark.both_engines
def test_a_hint_contains_the_cursor_and_no_content(place: Place, hook: Hook, receiver: Receiver) -> None:
    worker = place.worker()
    assert worker.send_all_due() == 0
    codes = [place.write(), place.write()]
    assert worker.send_all_due() == 1
    (post,) = receiver.take()
    hint = post.read_by(hook.secret)
    assert hint["type"] == "changes.available"
    data = hint["data"]
    assert (data["region"], data["kinds"], data["count"]) == ("63.02", ["agency.created"], 2)
    assert not any(code in post.body.decode() for code in codes)
    reader = place.connect(("reader", "63.02"))  # like the webhook, it reads only what is in force
    changes = list(follow(reader, data["after"], region="63.02"))
    assert [change["subject"].rpartition("/")[2] for change in changes] == codes
    assert list(follow(reader, data["next"], region="63.02")) == []
    (delivery,) = hook.log
    assert (delivery["id"], delivery["state"], delivery["status"], delivery["attempts"]) == (
        post.id,
        "delivered",
        204,
        1,
    )
    assert delivery["next_attempt_at"] is None
    assert worker.send_all_due() == 0


def test_a_worker_sends_spans_to_a_collector(place: Place, hook: Hook, receiver: Receiver) -> None:
    exporter = InMemorySpanExporter()
    traces = SpanSender("1", exporter)
    traces.watch(place.database)
    code = place.write()
    assert place.worker(tracer=traces.tracer).send_all_due() == 1
    (post,) = receiver.take()
    assert "traceparent" not in post.headers
    traces.close()
    spans = exporter.get_finished_spans()
    (served,) = [span for span in spans if span.name == "serve webhook"]
    (sent,) = [span for span in spans if span.name == "send hint"]
    assert dict(sent.attributes or {}) == {"http.response.status_code": 204}
    assert {span.parent.span_id for span in spans if span.parent} == {served.context.span_id}
    for span in spans:
        for word in (code, receiver.address, hook.at.rpartition("/")[2], post.id):
            assert word not in span.to_json()


@pytest.mark.both_engines  # no other test deletes a secret
def test_every_secret_signs_until_it_is_deleted(place: Place, hook: Hook, receiver: Receiver) -> None:
    second = hook.add_secret("second")
    place.write()
    place.worker().send_all_due()
    (post,) = receiver.take()
    assert post.read_by(hook.secret) == post.read_by(second)
    assert hook.client.delete(f"{hook.at}/secrets/first", headers=ANY).status_code == 204
    place.write()
    place.worker().send_all_due()
    (post,) = receiver.take()
    assert post.read_by(second)
    with pytest.raises(WebhookVerificationError):
        post.read_by(hook.secret)
    hook.client.delete(f"{hook.at}/secrets/second", headers=ANY)
    place.write()
    assert (place.worker().send_all_due(), receiver.take(), hook.state) == (0, [], "no_secret")


def test_a_webhook_reports_only_its_regions_and_kinds(place: Place, hook: Hook, receiver: Receiver) -> None:
    other = Hook(hook.client, "rencana", receiver.address, kinds=["plan.*"])
    place.write("63.03")
    assert (place.worker().send_all_due(), receiver.take()) == (0, [])
    secretariat = place.connect(("secretariat", "63.02"))
    put_plan(secretariat)
    place.write()
    place.worker().send_all_due()
    kinds = {}
    for post in receiver.take():
        for item in (hook, other):
            try:
                kinds[item.at] = post.read_by(item.secret)["data"]["kinds"]
            except WebhookVerificationError:
                continue
    assert kinds == {hook.at: ["agency.created", "plan.created"], other.at: ["plan.created"]}


def make_owner(place: Place, *grants: tuple[str, str]) -> dict[str, Any]:
    """Return memberships as PUT takes them."""
    return {
        "region_code": "63",
        "memberships": [{"role": role, "region_code": region} for role, region in grants],
    }


@pytest.mark.both_engines
def test_a_webhook_sees_what_its_owner_may_read_when_it_is_sent(
    place: Place, provincial_administrator: TestClient, receiver: Receiver
) -> None:
    theirs = place.connect(("administrator", "63"))
    principal = f"/v1/principals/{theirs.get('/v1/me').json()['principal']}"
    hook = Hook(theirs, "milik", receiver.address, region_code="63")
    receiver.answer = lambda post: 500
    secretariat = place.connect(("secretariat", "63.03"))
    put_plan(secretariat, "63.03-2027")
    place.write("63.02")
    place.worker().send_all_due()
    (first,) = receiver.take()
    assert first.read_by(hook.secret)["data"]["count"] == 2
    # A reader sees no drafts: the pending hint is withdrawn, and a new one covers the rest.
    receiver.answer = lambda post: 204
    assert (
        provincial_administrator.put(
            principal, json=make_owner(place, ("reader", "63")), headers=ANY
        ).status_code
        == 200
    )
    place.waited = timedelta(seconds=10)
    place.worker().send_all_due()
    (second,) = receiver.take()
    assert second.id != first.id
    assert second.read_by(hook.secret)["data"]["kinds"] == ["agency.created", "scope.changed"]
    address = "/v1/webhooks/milik"
    states = [
        delivery["state"]
        for delivery in provincial_administrator.get(f"{address}/deliveries").json()["items"]
    ]
    assert states == ["delivered", "withdrawn"]
    # An owner without a role, or deleted, pauses it; the next editor becomes owner, and it reports all since.
    for paused in (make_owner(place), None):
        if paused is None:
            assert provincial_administrator.delete(principal, headers=ANY).status_code == 204
        else:
            assert provincial_administrator.put(principal, json=paused, headers=ANY).status_code == 200
        place.write()
        assert place.worker().send_all_due() == 0
        assert provincial_administrator.get(address).json()["state"] == "no_owner"
    assert provincial_administrator.get(address).json()["owner"] is None
    again = provincial_administrator.put(address, json=hook.content, headers=ANY).json()
    assert again["owner"] == provincial_administrator.get("/v1/me").json()["principal"]
    assert place.worker().send_all_due() == 1
    assert receiver.take()[0].read_by(hook.secret)["data"]["count"] >= 2


@pytest.mark.both_engines
def test_an_owner_without_a_reading_token_pauses_the_webhook(place: Place, receiver: Receiver) -> None:
    theirs = place.connect(("administrator", "63"))
    hook = Hook(theirs, "dicabut", receiver.address)
    me = theirs.get("/v1/me").json()
    place.write()
    above = place.connect(("administrator", "0"))
    token = f"/v1/principals/{me['principal']}/tokens/{me['token']}"
    blind = {"scopes": [TokenScope.administer]}
    assert above.put(token, json=blind, headers=ANY).status_code == 200
    assert above.get(hook.at).json()["state"] == "no_owner"
    assert (place.worker().send_all_due(), receiver.take()) == (0, [])


@pytest.mark.both_engines
def test_a_failing_webhook_is_retried_then_disabled_and_loses_nothing(
    place: Place, hook: Hook, receiver: Receiver
) -> None:
    receiver.answer = lambda post: 503
    place.write()
    worker = place.worker()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert worker.send_all_due() == 1
        place.write()
        (delivery,) = hook.log
        assert (delivery["attempts"], delivery["status"], delivery["error"]) == (attempt, 503, "refused")
        if attempt < MAX_ATTEMPTS:
            assert (delivery["state"], hook.state) == ("pending", "active")
            place.waited += timedelta(hours=12)
    posts = receiver.take()
    assert len(posts) == MAX_ATTEMPTS
    assert len({(post.id, post.body) for post in posts}) == 1
    assert delivery["state"] == "failed"
    now = hook.client.get(hook.at).json()
    assert (now["state"], now["disabled_reason"], now["is_active"]) == ("disabled", "exhausted", False)
    (entry,) = hook.client.get(f"{hook.at}/history", params={"kind": "webhook.disabled"}).json()["items"]
    assert (entry["actor"], entry["version"]) == ("deliver", now["version"])
    assert "503" in entry["reason"]
    assert worker.send_all_due() == 0
    receiver.answer, place.waited = lambda post: 204, timedelta()
    assert hook.change(is_active=True)["state"] == "active"
    assert worker.send_all_due() == 1
    assert receiver.take()[0].read_by(hook.secret)["data"]["count"] == MAX_ATTEMPTS + 1


@pytest.mark.both_engines
def test_410_disables_a_webhook_and_a_redirect_is_a_failure(
    place: Place, hook: Hook, receiver: Receiver
) -> None:
    receiver.answer = lambda post: 302
    place.write()
    assert place.worker().send_all_due() == 1
    assert len(receiver.take()) == 1
    assert (hook.log[0]["error"], hook.log[0]["status"], hook.state) == ("redirected", 302, "active")
    receiver.answer = lambda post: 410
    place.waited = timedelta(seconds=10)
    assert place.worker().send_all_due() == 1
    assert (hook.log[0]["attempts"], hook.client.get(hook.at).json()["disabled_reason"]) == (2, "gone")


@pytest.mark.both_engines
def test_replay_of_a_delivery_and_from_a_cursor(place: Place, hook: Hook, receiver: Receiver) -> None:
    worker = place.worker()
    for _ in range(2):
        place.write()
        worker.send_all_due()
    first, second = receiver.take()
    for _ in range(2):  # two requests, one delivery
        assert hook.replay(delivery=first.id).status_code == 200
    assert worker.send_all_due() == 1
    (again,) = receiver.take()
    assert (again.id, again.body) == (first.id, first.body)
    assert hook.replay(after=first.read_by(hook.secret)["data"]["after"]).status_code == 200
    assert worker.send_all_due() == 1
    (all_again,) = receiver.take()
    data = all_again.read_by(hook.secret)["data"]
    assert (data["count"], data["next"]) == (2, second.read_by(hook.secret)["data"]["next"])
    kinds = [change["kind"] for change in follow_history(hook)]
    assert kinds.count("webhook.replayed") == 2
    wrong = [hook.replay(delivery="msg_none"), hook.replay(after="x"), hook.replay(), hook.replay(after="")]
    assert [reply.status_code for reply in wrong] == [422] * 4
    pointers = [reply.json()["errors"][0]["pointer"] for reply in wrong]
    assert pointers == ["/delivery", "/after", "", "/after"]
    # A replay sends a pending delivery at once.
    receiver.answer = lambda post: 500
    place.write()
    assert worker.send_all_due() == 1
    receiver.answer = lambda post: 200
    assert worker.send_all_due() == 0
    assert hook.replay(delivery=receiver.take()[0].id).status_code == 200
    assert worker.send_all_due() == 1
    assert hook.log[0]["state"] == "delivered"


def follow_history(hook: Hook) -> Any:
    return hook.client.get(f"{hook.at}/history").json()["items"]
