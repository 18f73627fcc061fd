"""Requests that nobody thought of, made from the document by Schemathesis; the same ones in every run.

What it holds: no 500, no status and no reply that the document does not declare, nothing accepted that the document
forbids and nothing refused without a reason, no entry without a token. `make proofs GROUP=fuzz` goes on at running
services, for as long as it is asked to.
"""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.python import asgi
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.world import World
from tests.fuzz.links import link_replies
from tests.fuzz.rules import CALLERS, configuration, schema_of
from tests.fuzz.tally import Tally, run

EXAMPLES = 2
"""Of each operation and kind of data: the first is the least there can be, the second is anything."""
SCENARIOS, STEPS = 2, 6
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    positive_data_acceptance,
    negative_data_rejection,
]
Callers = list[tuple[World, str]]
"""On each engine a service, and the token of somebody there."""


@pytest.mark.parametrize("mode", MODES)
def test_nothing_unforeseen(worlds: list[World], mode: GenerationMode) -> None:
    anybody = cycle([[(world, token(world, name)) for world in worlds] for name in CALLERS])
    engines = cycle(range(len(worlds)))
    failures: list[str] = []
    worlds[0].turn = (0, 10)
    asked = worlds[0].share(worlds[0])  # a tenth of the operations; `make proofs GROUP=fuzz` asks all
    for result in schema(worlds[0]).get_all_operations():
        operation = result.ok()
        known = worlds[0].operations[operation.definition.raw["operationId"]]
        if not known.is_v1 or (known.body and not known.takes_json):
            continue
        if known not in asked or (not known.body and mode is GenerationMode.NEGATIVE):
            continue  # test_bad_input walks the parameters
        whose = [(world, world.client_for(known).headers["Authorization"]) for world in worlds]
        strategy = operation.as_strategy(generation_mode=mode, path_parameters=known.keys)
        turn = next(engines)  # each operation on one engine; `make proofs GROUP=fuzz` goes on at both
        callers = [next(anybody)[turn : turn + 1], whose[turn : turn + 1]]
        probe = prober(strategy, callers, {"If-Match": "*"} if known.is_conditional else {})
        try:
            probe()
        except (Exception, BaseExceptionGroup) as error:
            failures.append(f"{known}: {error}")
    assert not failures, "\n\n".join(failures[:5])


def prober(strategy: Any, callers: list[Callers], conditions: dict[str, str]) -> Callable[[], None]:
    """The callers take turns; what is made once is sent to each of their engines."""
    turns = cycle(callers)

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
        for world, authorization in next(turns):
            headers = {"Authorization": authorization, **conditions}
            with world.undone():
                reply = case.call(session=asgi.get_client(world.app), headers=headers)
                case.validate_response(reply, checks=CHECKS, headers=headers)

    return probe


@pytest.mark.parametrize("caller", ["secretariat", "reviewer"])
def test_links_lead_to_nothing_unforeseen(worlds: list[World], caller: str) -> None:
    """One engine for each caller; `make proofs GROUP=fuzz` takes all of them."""
    world = worlds[list(CALLERS).index(caller) % len(worlds)]
    along = schema(world, token(world, caller), phases=["stateful"])
    along.app = world.app
    tally = Tally()
    run(along, tally)
    assert not tally.failures, "\n\n".join(f"{key}: {told}" for key, told in tally.failures.items())
    assert tally.followed > SCENARIOS, "hardly any link was followed"


def token(world: World, caller: str) -> str:
    return str(world.caller(*CALLERS[caller]).headers["Authorization"])


def schema(world: World, authorization: str = "", *, phases: Sequence[str] = ()) -> BaseSchema:
    asked = configuration(
        authorization.removeprefix("Bearer "), world, seed=1, phases=phases, scenarios=SCENARIOS, steps=STEPS
    )
    if not phases:
        asked.projects.default.parameters.clear()  # the keys are given
    return schema_of(link_replies(world.document), asked)
