"""Requests, callers and failures of Schemathesis, for the suite and the long run."""

from collections.abc import Iterable, Sequence
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import AcceptedNegativeData

from tests.contract.operations import ADOPTED, AMENDED, Operation, close_schemas

#: Roles of the callers. Only the administrator of the nation writes methods, calendars and indicators.
CALLERS: dict[str, tuple[tuple[str, str], ...]] = {
    "stranger": (),
    "reader": (("reader", "63.02"),),
    "secretariat": (("secretariat", "63.02"), ("administrator", "63.02")),
    "reviewer": (("reviewer", "63"),),
    "administrator": (("administrator", "0"), ("chair", "63.02")),
}

PHASES = ("examples", "coverage", "fuzzing", "stateful")

#: Refusals of requests that the document allows: a schema checks the form, the service the data.
REFUSED_THOUGH_WELL_FORMED = {
    "400": "keys, periods and cursors are texts in the document, with patterns of the service",
    "401": "the run may have revoked the token",
    "403": "the caller lacks the right",
    "404": "a random key names no row, and rows out of scope are hidden",
    "406": "`Accept` names no supported format",
    "409": "the state of a plan or quarter forbids it",
    "410": "a cursor is older than the journal",
    "412": "a random condition is stale",
    "416": "a random range lies outside",
    "422": "codes outside the reference data, sums and dates that contradict each other",
    "428": "existing rows need a condition",
}
#: A malformed request may also be stale or out of scope, so any refusal counts.
REFUSED_AS_MALFORMED = ["4xx"]


def build_config(
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
    """Return the configuration with all checks: `examples` of each operation, then `scenarios` along links, until the
    time ends."""
    known = collect_keys(operations)
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
                    # the links of `tests/fuzz/links.py` alone, without guesses
                    "inference": {"algorithms": []},
                },
            },
            "generation": generation,
            "dictionaries": {name: {"values": values} for name, values in known.items()},
            "parameters": {name: {"dictionary": name, "probability": 0.8} for name in known},
        }
    )


def collect_keys(operations: Iterable[Operation]) -> dict[str, list[Any]]:
    """Return the existing keys by parameter, since random keys rarely name a row."""
    known: dict[str, set[Any]] = {"header.If-Match": {"*", '"1"'}, "path.plan": {ADOPTED, AMENDED}}
    for operation in operations:
        for name, key in operation.keys.items():
            known.setdefault(f"path.{name}", set()).add(key)
        for name, value in operation.needed.items():
            known.setdefault(f"query.{name}", set()).add(value)
    return {name: sorted(values) for name, values in sorted(known.items())}


def load_schema(document: dict[str, Any], config: SchemathesisConfig) -> BaseSchema:
    """Load the document with schemas that forbid undeclared fields; half of the bodies are its examples."""
    schema = schemathesis.openapi.from_dict(close_schemas(document), config=config)
    schema.hook(flatmap_case)
    schema.hook(filter_failure)
    return schema


def flatmap_case(context: Any, case: Any) -> st.SearchStrategy[Any]:
    """Replace half of the random bodies by the example of the document, which the service accepts."""
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
    """Ignore an accepted wrong item under `mode=each` if the reply lists its error."""
    is_refused_inside = (
        isinstance(failure, AcceptedNegativeData)
        and case.query.get("mode") == "each"
        and response.status_code == 200
        and bool(response.json().get("errors"))
    )
    return not is_refused_inside
