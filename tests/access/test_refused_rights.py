"""A refusal for lack of a right lists the memberships, and the scope, that would give it."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.access.models import Role, TokenScope
from app.access.rules import RIGHTS, Actor, Grant
from app.kit.problems import Forbidden
from tests.plans.world import HEALTH, SOCIAL, furnish, put_plan

ANY = {"If-Match": "*"}
PLAN = "/v1/plans/63.02-2026"


def find_errors(actor: Actor, *right: str) -> list[tuple[str, Any]]:
    """Return (code, allowed) of a refusal's errors."""
    with pytest.raises(Forbidden) as refused:
        actor.require(*right)
    return [(error.kind.code, error.allowed) for error in refused.value.errors]


def make_actor(*grants: Grant, scopes: frozenset[TokenScope] = frozenset(TokenScope)) -> Actor:
    return Actor("dasbor", "dasbor-2026", scopes, grants)


def test_a_right_from_above_names_the_regions_above() -> None:
    own = make_actor(Grant(Role.reviewer, "63.02", None))
    above = [{"role": "reviewer", "region": "63"}, {"role": "reviewer", "region": "0"}]
    assert find_errors(own, "endorse", "63.02") == [("missing_role", above)]
    assert find_errors(own, "endorse", "63") == [("missing_role", above[1:])]
    assert find_errors(own, "endorse", "0") == [("missing_role", [])]


def test_a_right_of_several_roles_names_each_with_its_regions() -> None:
    own = make_actor(Grant(Role.operator, "63.02", HEALTH))
    roots = [{"role": "administrator", "region": code} for code in ("63.02", "63", "0")]
    operators = [{"role": "operator", "region": "63.02", "agency": code} for code in ("A", "B")]
    secretariat = {"role": "secretariat", "region": "63.02"}
    right = ("write_actions", "63.02", "A", "B")
    assert find_errors(own, *right) == [("missing_role", [*roots, *operators, secretariat])]


def test_a_missing_scope_is_named_by_itself() -> None:
    chair = make_actor(Grant(Role.chair, "63.02", None), scopes=frozenset({TokenScope.read}))
    assert find_errors(chair, "submit", "63.02") == [("missing_scope", ["approve"])]
    assert [code for code, _ in find_errors(chair, "submit", "63.03")] == ["missing_role", "missing_scope"]


@pytest.mark.parametrize("verb", [verb for verb in RIGHTS if verb != "read"])
def test_each_membership_that_a_refusal_names_gives_the_right(verb: str) -> None:
    ((code, allowed),) = find_errors(make_actor(), verb, "63.02", SOCIAL)
    assert code == "missing_role"
    for membership in allowed:
        granted = make_actor(Grant(Role(membership["role"]), membership["region"], membership.get("agency")))
        assert granted.may(verb, "63.02", SOCIAL), membership


def test_a_reviewer_of_the_region_itself_sees_the_regions_above(
    connect: Callable[..., TestClient], database: Any
) -> None:
    furnish(database)
    put_plan(connect(("secretariat", "63.02")))
    own = connect(("reviewer", "63.02"))
    for language, detail in (
        ("en", "Only the reviewer of the province in region 63 or 0 can endorse the plan."),
        ("id", "Hanya penelaah provinsi di wilayah 63 atau 0 yang dapat menyetujui rencana."),
    ):
        reply = own.post(f"{PLAN}/endorse", json={}, headers={**ANY, "Accept-Language": language})
        assert (reply.status_code, reply.json()["detail"]) == (403, detail)
        (error,) = reply.json()["errors"]
        assert (error["code"], error["header"]) == ("missing_role", "Authorization")
        assert error["allowed"] == [{"role": "reviewer", "region": "63"}, {"role": "reviewer", "region": "0"}]
