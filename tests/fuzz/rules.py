"""What Schemathesis asks, as whom, and what counts as a failure: in the long run and in the suite."""

from collections.abc import Iterable, Sequence
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import AcceptedNegativeData

from tests.contract.operations import ADOPTED, AMENDED, Operation, strict

#: Who asks. The administrator of the nation sets what nobody else may: methods, calendars, indicators.
CALLERS: dict[str, tuple[tuple[str, str], ...]] = {
    "stranger": (),
    "reader": (("reader", "63.02"),),
    "secretariat": (("secretariat", "63.02"), ("administrator", "63.02")),
    "reviewer": (("reviewer", "63"),),
    "administrator": (("administrator", "0"), ("chair", "63.02")),
}

PHASES = ("examples", "coverage", "fuzzing", "stateful")

#: Refusals of what the document allows: a schema says what is well formed, the domain whether it fits what is there.
REFUSED_THOUGH_WELL_FORMED = {
    "400": "keys, periods and cursors are texts in the document, and have a form of their own",
    "401": "a token may have been revoked by the run itself",
    "403": "what this caller may not do",
    "404": "a key drawn by chance names nothing, and out of scope is as if it were not there",
    "406": "`Accept` names no format that there is",
    "409": "the state of a plan or quarter does not allow it",
    "410": "a cursor is older than what is kept",
    "412": "a condition drawn by chance is stale",
    "416": "a range drawn by chance lies outside",
    "422": "codes that are not in the reference data, sums and dates that contradict each other",
    "428": "what exists is not overwritten without a condition",
}
#: What is sent may be stale or out of sight besides being wrong: one refusal is as good as another.
REFUSED_AS_MALFORMED = ["4xx"]


def configuration(
    token: str,
    operations: Iterable[Operation],
    *,
    seed: int,
    phases: Sequence[str] = PHASES,
    examples: int = 4,
    scenarios: int = 25,
    steps: int = 12,
    seconds: int | None = None,
    address: str | None = None,
) -> SchemathesisConfig:
    """All checks. `examples` requests of each operation, then as many `scenarios` along the links, in turns until
    the time is spent."""
    known = known_keys(operations)
    generation = {"max-examples": examples, "database": "none", "no-shrink": True}
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            **({"max-time": seconds} if seconds else {}),
            **({"base-url": address} if address else {}),
            "suppress-health-check": ["all"],
            "headers": {"Authorization": f"Bearer {token}"},
            "request-timeout": 60,
            "continue-on-failure": True,
            "output": {
                "sanitization": {
                    "keys-to-sanitize": ["authorization"],
                    "sensitive-markers": ["authorization"],
                }
            },
            "checks": {
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", "304", *REFUSED_THOUGH_WELL_FORMED]
                },
                "negative_data_rejection": {"expected-statuses": REFUSED_AS_MALFORMED},
            },
            "phases": {
                "coverage": {"operation-ordering": "none", "enabled": "coverage" in phases},
                "examples": {"operation-ordering": "none", "enabled": "examples" in phases},
                "fuzzing": {"operation-ordering": "none", "enabled": "fuzzing" in phases},
                "stateful": {
                    "enabled": "stateful" in phases,
                    "max-steps": steps,
                    "generation": {**generation, "max-examples": scenarios, "mode": "positive"},
                    # the links of `tests/fuzz/links.py`, and none that were guessed
                    "inference": {"algorithms": []},
                },
            },
            "generation": generation,
            "dictionaries": {name: {"values": values} for name, values in known.items()},
            "parameters": {name: {"dictionary": name, "probability": 0.8} for name in known},
        }
    )


def known_keys(operations: Iterable[Operation]) -> dict[str, list[Any]]:
    """What the world holds, by parameter: drawn by chance alone a key would hardly ever name anything."""
    known: dict[str, set[Any]] = {"header.If-Match": {"*", '"1"'}, "path.plan": {ADOPTED, AMENDED}}
    for operation in operations:
        for name, key in operation.keys.items():
            known.setdefault(f"path.{name}", set()).add(key)
        for name, value in operation.needed.items():
            known.setdefault(f"query.{name}", set()).add(value)
    return {name: sorted(values) for name, values in sorted(known.items())}


def schema_of(document: dict[str, Any], config: SchemathesisConfig) -> BaseSchema:
    """The document with no room for fields that it does not declare, and bodies of which half are its examples."""
    schema = schemathesis.openapi.from_dict(strict(document), config=config)
    schema.hook(flatmap_case)
    schema.hook(filter_failure)
    return schema


def flatmap_case(context: Any, case: Any) -> st.SearchStrategy[Any]:
    """A body drawn by chance is well formed and hardly ever makes sense; the document's example does."""
    content = case.operation.definition.raw.get("requestBody", {}).get("content", {})
    example = content.get(case.media_type, {}).get("example")
    if example is None or not case.meta.generation.mode.is_positive:
        return st.just(case)

    def choose(takes_example: bool) -> Any:
        if takes_example:
            case.body = example
        return case

    return st.booleans().map(choose)


def filter_failure(context: Any, failure: Failure, case: Any, response: Response) -> bool:
    """With `mode=each` a wrong item is refused in a reply that succeeds: there it is told."""
    is_refused_inside = (
        isinstance(failure, AcceptedNegativeData)
        and case.query.get("mode") == "each"
        and response.status_code == 200
        and bool(response.json().get("errors"))
    )
    return not is_refused_inside
