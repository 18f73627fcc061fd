"""People with tokens of a real issuer: admission, refusals, and the load on the issuer."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi.testclient import TestClient

from app.access.issuer import FETCH_PAUSE, KEYS_MAX_AGE, KEYS_RENEW_AGE
from tests.access.issuer import OTHER, PERSON
from tests.access.people import ANY, HEAD, PeopleApp
from tests.common import ConnectAs
from tests.database import OneTransaction

pytestmark = pytest.mark.one_engine


def test_a_person_who_logs_in_acts_as_the_enrolled_position(people: PeopleApp) -> None:
    people.enrol()
    me = people.ask(people.real.log_in())
    assert me.status_code == 200, me.text
    body = me.json()
    assert (body["principal"], body["token"], body["kind"]) == (HEAD, HEAD, "person")
    assert body["scopes"] == ["approve", "read", "write"]
    (membership,) = body["memberships"]
    assert membership["rights"][:4] == ["read", "read_drafts", "write_agencies", "write_plan"]
    assert PERSON not in me.text
    plan = TestClient(people.app, headers={"Authorization": f"Bearer {people.real.log_in()}"})
    assert plan.put("/v1/plans/63.02-2026", json={"title": "RAT 2026"}).status_code == 201
    (row,) = plan.get("/v1/plans/63.02-2026/history").json()["items"]
    assert row["actor"] == HEAD


def test_an_authentic_token_without_enrolment_explains_the_next_step(people: PeopleApp) -> None:
    people.enrol()
    reply = people.ask(people.real.log_in(OTHER), **{"Accept-Language": "en"})
    assert (reply.status_code, reply.json()["code"]) == (403, "not_enrolled")
    assert OTHER in reply.json()["detail"]
    assert "administrator" in reply.json()["detail"]


def test_a_token_for_another_audience_is_refused(people: PeopleApp) -> None:
    people.enrol()
    reply = people.ask(people.real.log_in(client="elsewhere"))
    assert (reply.status_code, reply.json()["code"]) == (401, "unauthenticated")


def unsigned(people: PeopleApp) -> str:
    body = people.real.sign().split(".")[1]
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{header}.{body}."


def by_public_key(people: PeopleApp) -> str:
    """Sign HS256 with the public key as the secret: a service that trusts the header would accept it."""
    public: Any = jwt.PyJWK({n: people.real.keys[0][n] for n in ("kty", "n", "e")}, "RS512").key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    header = {"alg": "HS256", "typ": "JWT", "kid": people.real.keys[0]["kid"]}
    body = people.real.sign().split(".")[1]
    signature = hmac.new(pem, f"{part(header)}.{body}".encode(), hashlib.sha256).digest()
    return f"{part(header)}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def tampered(people: PeopleApp) -> str:
    header, body, signature = people.real.sign(sub=OTHER).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    other = base64.urlsafe_b64encode(json.dumps({**claims, "sub": PERSON}).encode()).decode().rstrip("=")
    return f"{header}.{other}.{signature}"


NOW = int(time.time())
FORGED: dict[str, Any] = {
    "expired": lambda p: p.real.sign(iat=NOW - 900, exp=NOW - 300),
    "not valid yet": lambda p: p.real.sign(nbf=int(time.time()) + 600),
    "issued in the future": lambda p: p.real.sign(iat=int(time.time()) + 600),
    "without an end": lambda p: p.real.sign(exp=None),
    "without a subject": lambda p: p.real.sign(sub=None),
    "with an end beyond the calendar": lambda p: p.real.sign(exp=10**18),
    "subject of another kind": lambda p: p.real.sign(sub=7),
    "for another service": lambda p: p.real.sign(aud="https://other.example"),
    "without an audience": lambda p: p.real.sign(aud=None),
    "of another issuer": lambda p: p.real.sign(iss="https://issuer.example"),
    "of an issuer with an extra slash": lambda p: p.real.sign(iss=f"{p.real.address}/"),
    "of an unknown key": lambda p: p.real.sign(header={"kid": "forged"}),
    "of a key that it does not name": lambda p: p.real.sign(key=1, header={"kid": p.real.keys[0]["kid"]}),
    "of another purpose by its type": lambda p: p.real.sign(header={"typ": "logout+jwt"}),
    "of another purpose by its claims": lambda p: p.real.sign(at_hash="x"),
    "with demands": lambda p: p.real.sign(header={"crit": ["exp"]}),
    "unsigned": unsigned,
    "signed with the public key": by_public_key,
    "tampered with": tampered,
    "no token at all": lambda p: "a.b.c",
    "too long": lambda p: f"{p.real.sign()}{'A' * 20_000}",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token_gets_the_reply_of_an_unknown_one(people: PeopleApp, name: str) -> None:
    people.enrol()
    assert people.ask(people.real.sign()).status_code == 200
    known, unknown = people.ask(FORGED[name](people)), people.ask("rata_unknown")
    assert (known.status_code, known.headers["WWW-Authenticate"]) == (401, 'Bearer realm="rata"')
    bodies = [{**reply.json(), "request_id": ""} for reply in (known, unknown)]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "application/at+jwt"])
def test_access_tokens_have_either_type(people: PeopleApp, kind: str) -> None:
    people.enrol()
    assert people.ask(people.real.sign(header={"typ": kind})).status_code == 200


def test_clocks_may_differ_a_little(people: PeopleApp) -> None:
    people.enrol()
    now = int(time.time())
    for claims in ({"exp": now - 30}, {"nbf": now + 30}, {"iat": now + 30}):
        assert people.ask(people.real.sign(**claims)).status_code == 200, claims


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, ["approve", "read", "write"]),
        ({"scope": "openid profile"}, ["approve", "read", "write"]),
        ({"scope": "openid rata:read"}, ["read"]),
        ({"scp": ["rata:read", "rata:write"]}, ["read", "write"]),
        ({"scope": "rata:everything"}, []),
        ({"scope": 7, "scp": {"rata:read": 1}}, ["approve", "read", "write"]),
    ],
)
def test_scopes_of_a_token_narrow_the_roles(
    people: PeopleApp, claims: dict[str, Any], scopes: list[str]
) -> None:
    people.enrol()
    token = people.real.sign(**claims)
    assert people.ask(token).json()["scopes"] == scopes
    wants = {"Authorization": f"Bearer {token}"}
    put = TestClient(people.app, headers=wants).put("/v1/plans/63.02-2026", json={"title": "RAT"})
    # A caller without the read scope does not learn that the resource exists.
    assert put.status_code == (201 if "write" in scopes else 403 if "read" in scopes else 404)


def test_a_removed_membership_ends_with_the_next_request(people: PeopleApp) -> None:
    people.enrol()
    token = people.real.log_in()
    address = "/v1/regions/63.02/agencies"
    assert people.ask(token, address).status_code == 200
    people.enrol(memberships=[])
    assert people.ask(token, address).status_code == 404
    people.enrol()
    assert people.ask(token, address).status_code == 200
    people.enrol(subject=OTHER)
    assert people.ask(token, address).json()["code"] == "not_enrolled"
    assert people.ask(people.real.log_in(OTHER), address).status_code == 200
    assert people.administrator.delete(f"/v1/principals/{HEAD}", headers=ANY).status_code == 204
    assert people.ask(people.real.log_in(OTHER)).json()["code"] == "not_enrolled"


def test_a_person_costs_one_statement_and_no_network(people: PeopleApp, database: OneTransaction) -> None:
    people.enrol()
    token = people.real.log_in()
    people.ask(token)
    requests, statements = people.real.times_asked(), len(database.statements)
    assert people.ask(token).status_code == 200
    assert len(database.statements) - statements == 1
    assert people.real.times_asked() == requests


# Keys


def test_rotated_keys_are_taken_without_a_restart(own_people: PeopleApp) -> None:
    people = own_people
    people.enrol()
    old = people.real.log_in()
    assert people.ask(old).status_code == 200
    people.real.rotate()
    new = people.real.log_in()
    assert jwt.get_unverified_header(new)["kid"] != jwt.get_unverified_header(old)["kid"]
    people.clock.now += FETCH_PAUSE
    people.issuer.start()
    # An honest client retries as the reply asks and succeeds; the service's own thread has fetched meanwhile.
    end = time.monotonic() + 60
    while (reply := people.ask(new)).status_code == 503:
        assert (reply.json()["code"], reply.headers["Retry-After"]) == ("issuer_unreachable", "1")
        assert time.monotonic() < end
        time.sleep(0.02)
    assert [reply.status_code, people.ask(old).status_code] == [200, 200]
    assert people.real.times_asked() == 2


def test_forged_keys_do_not_flood_the_issuer(people: PeopleApp) -> None:
    people.enrol()
    requests = people.real.times_asked()

    def forge() -> list[int]:
        replies = []
        for n in range(10):
            replies.append(people.ask(people.real.sign(header={"kid": f"forged-{n}"})).status_code)
            people.issuer.refresh_if_due()
        return replies

    assert (forge(), people.real.times_asked()) == ([401] * 10, requests)
    people.clock.now += FETCH_PAUSE
    assert (forge(), people.real.times_asked()) == ([503] + [401] * 9, requests + 1)


def test_a_stopped_issuer_matters_only_while_its_keys_are_unknown(own_people: PeopleApp) -> None:
    people = own_people
    people.enrol()
    token = people.real.sign(exp=int(time.time()) + 3600)
    assert people.ask(token).status_code == 200
    people.real.stop()
    people.clock.now += KEYS_RENEW_AGE
    people.issuer.refresh_if_due()
    assert people.ask(token).status_code == 200
    unknown = people.ask(people.real.sign(header={"kid": "new or forged"}))
    assert (unknown.status_code, unknown.headers["Retry-After"]) == (503, f"{FETCH_PAUSE:.0f}")
    people.clock.now += KEYS_MAX_AGE
    for _ in range(2):
        people.issuer.refresh_if_due()
        reply = people.ask(token)
        assert (reply.status_code, reply.json()["code"]) == (503, "issuer_unreachable")
        assert int(reply.headers["Retry-After"]) > 0
    # Tokens of this service do not need the issuer.
    assert people.administrator.get("/v1/me").status_code == 200


def test_keys_are_fetched_again_after_a_while(people: PeopleApp) -> None:
    people.enrol()
    requests = people.real.times_asked()
    for passed, times in ((0.0, 0), (KEYS_RENEW_AGE - 1, 0), (1.0, 1), (1.0, 1)):
        people.clock.now += passed
        people.issuer.refresh_if_due()
        assert people.ask(people.real.sign()).status_code == 200
        assert people.real.times_asked() == requests + times


def test_an_issuer_with_another_name_is_not_trusted(people: PeopleApp) -> None:
    people.enrol()
    people.issuer.address = people.real.address.replace("127.0.0.1", "localhost")
    people.clock.now += KEYS_MAX_AGE
    people.issuer.refresh_if_due()
    assert people.ask(people.real.sign(iss=people.issuer.address)).status_code == 503


def test_without_an_issuer_only_service_tokens_work(people: PeopleApp, connect: ConnectAs) -> None:
    people.enrol()
    people.app.state.issuer = None
    assert people.ask(people.real.sign()).status_code == 401
    assert connect(("reader", "63")).get("/v1/me").json()["kind"] == "service"
