"""What may happen to an agency, as one table."""

from typing import Literal, NamedTuple

Verb = Literal["edit", "retire", "restore", "merge", "delete"]


class Step(NamedTuple):
    """From which states a verb leads where; None: the state stays, or the agency goes."""

    verb: Verb
    from_states: frozenset[str]
    to_state: str | None


STEPS = (
    Step("edit", frozenset({"active", "retired"}), None),
    Step("retire", frozenset({"active"}), "retired"),
    Step("restore", frozenset({"retired"}), "active"),
    Step("merge", frozenset({"active", "retired"}), "merged"),
    Step("delete", frozenset({"active", "retired", "merged"}), None),
)


def verbs_from(state: str) -> list[Verb]:
    """What can be done with an agency in this state, rights and references aside."""
    return [step.verb for step in STEPS if state in step.from_states]


def is_home(region_code: str) -> bool:
    """Whether a region has agencies of its own: provinces, regencies and cities do."""
    return region_code != "0" and region_code.count(".") <= 1


def region_chain(region_code: str) -> str:
    """Chain of the journal in which the agencies of a region are written."""
    return f"region:{region_code}"
