"""Registration of webhooks: rights, refusals, and secrets that are sealed and shown once."""

from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from fastapi.testclient import TestClient

from app.changes.webhooks.commands import reseal_secrets
from app.changes.webhooks.models import WebhookSecretRow
from app.changes.webhooks.rules import Sealer
from app.kit.database.engine import get_table
from app.main import create_app
from app.settings import Settings
from tests.access.people import check_taken
from tests.plans.world import ANY
from tests.webhooks.conftest import Hook, Place
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.one_engine

WANTED: dict[str, Any] = {"address": "https://dasbor.example/rata", "region_code": "63.02"}


def find_errors(reply: Any) -> list[tuple[str, str]]:
    assert reply.status_code == 422, reply.text
    return [(error["pointer"], error["code"]) for error in reply.json()["errors"]]


def test_refusals_point_to_their_field(place: Place, provincial_administrator: TestClient) -> None:
    def put(**content: Any) -> Any:
        return provincial_administrator.put("/v1/webhooks/salah", json={**WANTED, **content})

    assert find_errors(put(address="https://10.1.2.3/")) == [("/address", "address_not_reached")]
    assert find_errors(put(address="http://dasbor.example/")) == [("/address", "address_not_reached")]
    assert find_errors(put(address="https://user:word@dasbor.example/")) == [
        ("/address", "malformed_address")
    ]
    for host in ("<x>.example", "a%41.example", "exa,mple.example", "-"):
        assert find_errors(put(address=f"https://{host}/")) == [("/address", "malformed_address")]
    assert find_errors(put(region_code="73")) == [("/region_code", "region_not_administered")]
    assert find_errors(put(region_code="63.99")) == [("/region_code", "unknown_reference")]
    assert find_errors(put(kinds=["plan"])) == [("/kinds/0", "wrong_pattern")]
    assert find_errors(put(kinds=["plan.*", "plan.*"])) == [("/kinds/1", "duplicate_key")]
    assert put(secret="whsec_x").status_code == 422
    long = provincial_administrator.put("/v1/webhooks/w" + "x" * 60, json=WANTED)
    assert (long.status_code, long.json()["errors"][0]["code"]) == (422, "wrong_length")
    assert provincial_administrator.get("/v1/webhooks").json()["items"] == []


def test_only_administrators_of_the_region_see_a_webhook(place: Place, hook: Hook) -> None:
    for role in (("secretariat", "63.02"), ("administrator", "73"), ("administrator", "63.03")):
        other = place.connect(role)
        assert other.get(hook.at).status_code == 404
        assert other.get(f"{hook.at}/history").status_code == 404
        assert other.get("/v1/webhooks").json()["items"] == []
        kinds = [change["kind"] for change in other.get("/v1/changes?kind=webhook").json()["items"]]
        assert kinds == []
    taken = place.connect(("administrator", "73")).put(hook.at, json={**WANTED, "region_code": "73"})
    check_taken(taken)
    theirs = place.connect(("administrator", "63.02"))
    assert theirs.get(hook.at).json()["allowed"] == ["edit", "delete", "write_secrets", "replay"]
    moved = theirs.put(hook.at, json={**hook.content, "region_code": "63.02.01"}, headers=ANY)
    assert find_errors(moved) == [("/region_code", "region_stays")]


def test_a_secret_is_shown_once_sealed_and_at_most_three(place: Place, hook: Hook) -> None:
    secret = hook.add_secret("second")
    assert secret.startswith("whsec_")
    trial = hook.client.put(f"{hook.at}/secrets/third?dry_run=true", json={})
    assert (trial.status_code, "secret" in trial.json()) == (201, False)
    again = hook.client.put(f"{hook.at}/secrets/second", json={"note": "cadangan"}, headers=ANY)
    assert (again.status_code, again.json()["version"], "secret" in again.json()) == (200, 2, False)
    hook.add_secret("third")
    fourth = hook.client.put(f"{hook.at}/secrets/fourth", json={})
    assert (fourth.status_code, fourth.json()["code"]) == (409, "too_many_secrets")
    for address in ("", "/secrets", "/secrets/second", "/history", "/deliveries"):
        assert secret not in hook.client.get(hook.at + address).text
    with place.database.read_session() as session:
        stored = session.scalars(sa.select(get_table(WebhookSecretRow).c.sealed)).all()
    assert not any(secret.removeprefix("whsec_") in value for value in stored)


@pytest.mark.both_engines
def test_the_key_can_change_while_the_service_runs(place: Place, hook: Hook, receiver: Receiver) -> None:
    old, new = str(place.settings.secrets_key), Fernet.generate_key().decode()
    with place.database.writing() as session:
        assert reseal_secrets(session, Sealer([new, old])) == (1, [])
    place.write()
    # A worker without the new key sends nothing and counts no failure of the receiver.
    assert (place.worker().send_all_due(), receiver.take()) == (0, [])
    assert hook.log[0]["attempts"] == 0
    with place.database.writing() as session:
        assert reseal_secrets(session, Sealer([old])) == (0, ["dasbor"])
        assert reseal_secrets(session, Sealer([old, new])) == (1, [])


def test_without_a_key_nothing_is_registered(place: Place) -> None:
    bare = create_app(Settings(_env_file=None, database_url="sqlite://"), place.database)
    caller = place.connect(("administrator", "63"))
    with TestClient(bare, headers=dict(caller.headers)) as client:
        reply = client.put("/v1/webhooks/dasbor", json=WANTED)
    assert (reply.status_code, reply.json()["code"]) == (503, "no_secrets_key")
