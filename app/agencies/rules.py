"""States and verbs of an agency, as one transitions table."""

from typing import Literal, NamedTuple

Verb = Literal["edit", "retire", "restore", "merge", "delete"]


class Step(NamedTuple):
    """A transition: a verb, the states that allow it, and the next state.

    `to_state` is None if the state stays or the agency is deleted.
    """

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
    """Return the verbs that a state allows, before the checks of rights and references."""
    return [step.verb for step in STEPS if state in step.from_states]


def is_home(region_code: str) -> bool:
    """Return whether a region can have agencies: provinces, regencies and cities can."""
    return region_code != "0" and region_code.count(".") <= 1


def region_chain(region_code: str) -> str:
    """Return the journal chain of a region's agencies."""
    return f"region:{region_code}"
