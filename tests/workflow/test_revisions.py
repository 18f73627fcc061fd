"""Revisions: immutable bytes that a reader can recompute and check."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.kit.database.engine import get_table
from app.plans.actions.models import ActionIn
from app.plans.core.models import PlanIn
from app.plans.core.rules import dump_canonical
from app.plans.revisions.models import PlanRevisionRow
from tests.database import OneTransaction
from tests.plans.world import ANY, PARTNER, SOCIAL, put, read_rows
from tests.workflow.moves import AT, CODED, NOTES, PLAN, SIGNED, Movers

R0 = f"{AT}/revisions/0"


def dump_as_rfc_8785(value: Any) -> str:
    """Dump as RFC 8785 asks, independently of the service: sorted names, numbers as in ECMAScript."""
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
        return (
            "{" + ",".join(f"{dump_as_rfc_8785(name)}:{dump_as_rfc_8785(item)}" for name, item in pairs) + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(dump_as_rfc_8785, value)) + "]"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def build_content(client: TestClient) -> dict[str, Any]:
    """Build the expected content of a revision from the plan and its lines."""
    plan = client.get(AT).json()
    lines = client.get(f"{AT}/actions?limit=500").json()["items"]
    return {
        **{name: plan[name] for name in PlanIn.model_fields},
        "plan": PLAN,
        "region_code": "63.02",
        "year": 2025,
        "revision": plan["revision"],
        "instrument": "decree",
        "instrument_number": SIGNED["number"],
        "instrument_date": SIGNED["date"],
        "purpose": None,
        "reasons": [],
        "actions": [
            {name: line[name] for name in ("code", "version", *ActionIn.model_fields)} for line in lines
        ],
    }


def test_a_revision_is_the_plan_in_canonical_json(secretariat: TestClient, movers: Movers) -> None:
    secretariat.patch(AT, json={"priority_locations": [{"region_code": "63.02.05.2001"}]}, headers=ANY)
    put(secretariat, "A-0", plan=PLAN, base=CODED, title="“Bantuan” é €\n𝄞 <b>", outputs=[
        {"code": "O1", "indicator": "x", "unit": "ha", "target": 0.0001, "quarterly_targets": []}
    ])  # fmt: skip
    movers.bring("adopted")
    reply = secretariat.get(R0)
    assert reply.status_code == 200
    assert reply.text == dump_as_rfc_8785(build_content(secretariat))
    digest = hashlib.sha256(reply.content)
    assert reply.headers["ETag"] == f'"{digest.hexdigest()}"'
    assert reply.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert reply.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert secretariat.get(R0, headers={"If-None-Match": reply.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1.0, "a": [True, None, "é"]}, '{"a":[true,null,"é"],"b":1}'),
        (333333333.33333329, "333333333.3333333"),
        (1e30, "1e+30"),
        (1e-7, "1e-7"),
        (0.002, "0.002"),
        ('\u20ac$\u000f\n\'B"\\"/', '"€$\\u000f\\n\'B\\"\\\\\\"/"'),
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'),
    ],
)
def test_canonical_json_follows_rfc_8785(value: Any, text: str) -> None:
    """Some of the examples come from RFC 8785."""
    assert dump_canonical(value) == text


def test_a_revision_is_never_compressed(secretariat: TestClient, movers: Movers) -> None:
    movers.bring("adopted")
    plain, packed = (
        secretariat.get(R0, headers={"Accept-Encoding": encoding}) for encoding in ("identity", "gzip")
    )
    assert len(plain.content) > 1000
    assert "Content-Encoding" not in packed.headers
    assert (packed.content, packed.headers["ETag"]) == (plain.content, plain.headers["ETag"])


def test_revisions_are_listed_with_instrument_and_sums(secretariat: TestClient, movers: Movers) -> None:
    assert secretariat.get(f"{AT}/revisions").json()["items"] == []
    assert secretariat.get(R0).status_code == 404
    put(secretariat, "A-2", plan=PLAN, base=CODED)
    movers.bring("adopted")
    (revision,) = secretariat.get(f"{AT}/revisions").json()["items"]
    assert revision.pop("adopted_at")
    assert revision.pop("adopted_by").startswith("chair-63.02")
    assert revision == {
        "plan": PLAN,
        "revision": 0,
        "instrument": "decree",
        "instrument_number": SIGNED["number"],
        "instrument_date": SIGNED["date"],
        "action_count": 2,
        "allocation": 500_000_000,
        "sha256": hashlib.sha256(secretariat.get(R0).content).hexdigest(),
    }
    for number in ("1", "00", "-1", "x", "9" * 30, "٠"):
        assert secretariat.get(f"{AT}/revisions/{number}").status_code == 404


def test_later_changes_do_not_touch_a_revision(
    secretariat: TestClient, movers: Movers, database: OneTransaction
) -> None:
    movers.bring("adopted")
    before = secretariat.get(R0)
    merge = f"/v1/regions/63.02/agencies/{SOCIAL}/merge"
    assert secretariat.post(merge, json={"into": PARTNER}, headers=ANY).status_code == 200
    assert movers.move("amend").status_code == 200
    assert movers.move("submit").status_code == 200
    assert movers.move("return", body=NOTES).status_code == 200
    for verb in ("submit", "endorse"):
        assert movers.move(verb).status_code == 200
    earlier = movers.move("adopt", body={**SIGNED, "date": "2024-12-18"})
    assert earlier.status_code == 422, "an amendment's date is after that of the plan in force"
    assert movers.move("adopt", body={**SIGNED, "number": "2"}).json()["revision"] == 1
    assert secretariat.get(R0).content == before.content
    first = json.loads(secretariat.get(f"{AT}/revisions/1").content)
    assert (first["revision"], first["instrument_number"]) == (1, "2")
    assert first["actions"][0]["lead_agency"] == PARTNER
    assert [
        revision["revision"] for revision in secretariat.get(f"{AT}/revisions?sort=-revision").json()["items"]
    ] == [
        1,
        0,
    ]
    for method in ("put", "patch", "delete", "post"):
        assert secretariat.request(method, R0, headers=ANY).status_code == 405
    assert secretariat.delete(AT, headers=ANY).status_code == 409
    table = get_table(PlanRevisionRow)
    for content, sha256 in read_rows(database, sa.select(table.c.content, table.c.sha256)):
        assert hashlib.sha256(content.encode()).hexdigest() == sha256


def test_a_dry_run_of_the_adoption_freezes_nothing(
    secretariat: TestClient, movers: Movers, connect: Callable[..., TestClient]
) -> None:
    movers.bring("endorsed")
    trial = movers.move("adopt", dry_run="true").json()
    assert (trial["state"], trial["revision"]) == ("adopted", 0)
    assert secretariat.get(AT).json()["state"] == "endorsed"
    assert secretariat.get(R0).status_code == 404
    assert connect(("reader", "63")).get(AT).status_code == 404
