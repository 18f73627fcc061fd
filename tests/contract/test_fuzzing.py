"""Schemathesis generates requests from the document, equal in every run.

They find a 500, an undeclared status or reply, an accepted value that the document forbids, a refused valid value,
and access without a token. `make proofs GROUP=fuzz` fuzzes running services for longer.
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
from tests.fuzz.rules import CALLERS, build_config
from tests.fuzz.rules import load_schema as load_schema_with
from tests.fuzz.tally import Tally, run

EXAMPLES = 2
"""Examples of each operation and mode: the first is minimal, the second arbitrary."""
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
"""For each engine its world and a token."""


@pytest.mark.parametrize("mode", MODES)
def test_generated_requests_have_declared_replies(worlds: list[World], mode: GenerationMode) -> None:
    anyone = cycle([[(world, create_token(world, name)) for world in worlds] for name in CALLERS])
    engines = cycle(range(len(worlds)))
    failures: list[str] = []
    worlds[0].turn = (0, 10)
    chosen = worlds[0].share(worlds[0])  # a tenth of the operations; `make proofs GROUP=fuzz` takes all
    for result in load_schema(worlds[0]).get_all_operations():
        operation = result.ok()
        known = worlds[0].operations[operation.definition.raw["operationId"]]
        if not known.is_v1 or (known.body and not known.takes_json):
            continue
        if known not in chosen or (not known.body and mode is GenerationMode.NEGATIVE):
            continue  # test_bad_input walks the parameters
        owners = [(world, world.get_client(known).headers["Authorization"]) for world in worlds]
        strategy = operation.as_strategy(generation_mode=mode, path_parameters=known.keys)
        turn = next(engines)  # each operation on one engine; `make proofs GROUP=fuzz` uses both
        callers = [next(anyone)[turn : turn + 1], owners[turn : turn + 1]]
        probe = build_probe(strategy, callers, {"If-Match": "*"} if known.is_conditional else {})
        try:
            probe()
        except (Exception, BaseExceptionGroup) as error:
            failures.append(f"{known}: {error}")
    assert not failures, "\n\n".join(failures[:5])


def build_probe(strategy: Any, callers: list[Callers], conditions: dict[str, str]) -> Callable[[], None]:
    """Return a function that sends generated requests as the callers in turn, on each of their engines."""
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
            with world.savepoint():
                reply = case.call(session=asgi.get_client(world.app), headers=headers)
                case.validate_response(reply, checks=CHECKS, headers=headers)

    return probe


@pytest.mark.parametrize("caller", ["secretariat", "reviewer"])
def test_requests_along_links_have_declared_replies(worlds: list[World], caller: str) -> None:
    """The callers run on one engine each; `make proofs GROUP=fuzz` takes both."""
    world = worlds[list(CALLERS).index(caller) % len(worlds)]
    graph = load_schema(world, create_token(world, caller), phases=["stateful"])
    graph.app = world.app
    tally = Tally()
    run(graph, tally)
    assert not tally.failures, "\n\n".join(f"{key}: {text}" for key, text in tally.failures.items())
    assert tally.followed > SCENARIOS, "hardly any link was followed"


def create_token(world: World, caller: str) -> str:
    return str(world.connect_as(*CALLERS[caller]).headers["Authorization"])


def load_schema(world: World, authorization: str = "", *, phases: Sequence[str] = ()) -> BaseSchema:
    config = build_config(
        authorization.removeprefix("Bearer "), world, seed=1, phases=phases, scenarios=SCENARIOS, steps=STEPS
    )
    if not phases:
        config.projects.default.parameters.clear()  # the test passes the keys
    return load_schema_with(link_replies(world.document), config)
