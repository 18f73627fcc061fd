"""Requests that nobody thought of, made from the document by Schemathesis; the same ones in every run.

What it holds: no 500, no status and no reply that the document does not declare, nothing accepted that
the document forbids, no entry without a token.
"""

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.operations import Operation
from tests.contract.world import World, declared

EXAMPLES = 3
"""For each operation, kind of data and engine; enough to find what is found at all in the time there is."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
FUZZED = schemathesis.openapi.from_dict(declared()[0])
# What is sent may be stale besides being wrong: the one refusal is as good as the other.
FUZZED.config.checks.negative_data_rejection.expected_statuses = ["4xx"]
ROLES = {"secretariat": [("secretariat", "63.02"), ("administrator", "63.02")], "stranger": []}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_nothing_unforeseen(world: World, mode: GenerationMode) -> None:
    probe_all(world, "secretariat", mode)


def test_nothing_unforeseen_by_a_stranger(one_world: World) -> None:
    probe_all(one_world, "stranger", GenerationMode.POSITIVE)


def probe_all(world: World, role: str, mode: GenerationMode) -> None:
    headers = {"Authorization": world.caller(*ROLES[role]).headers["Authorization"]}
    failures: list[str] = []
    for result in FUZZED.get_all_operations():
        operation = result.ok()
        known = world.operations[operation.definition.raw["operationId"]]
        if not known.is_v1 or (known.body and not known.takes_json):
            continue
        # With `each` a wrong item is refused in a reply that succeeds; what becomes of it is told there.
        refuses = mode is GenerationMode.NEGATIVE and "each" not in known.query
        checks = [*CHECKS, negative_data_rejection] if refuses else CHECKS

        condition = {"If-Match": "*"} if known.is_conditional else {}
        run = prober(
            world,
            operation.as_strategy(generation_mode=mode, path_parameters=keys_of(known, role)),
            headers | condition,
            checks,
        )
        try:
            run()
        except (Exception, BaseExceptionGroup) as error:
            failures.append(f"{known}: {error}")
    assert not failures, "\n\n".join(failures[:5])


def keys_of(known: Operation, role: str) -> dict[str, str] | None:
    """The secretariat finds what it asks for, so that bodies are looked at; a stranger tries any key."""
    return known.keys if role == "secretariat" else None


def prober(world: World, strategy: Any, headers: dict[str, str], checks: list[Any]) -> Callable[[], None]:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def probe(case: schemathesis.Case) -> None:
        with world.undone():
            reply = case.call(app=world.app, headers=headers)
            case.validate_response(reply, checks=checks, headers=headers)

    return probe
