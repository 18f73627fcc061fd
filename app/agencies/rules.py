"""States and verbs of an agency, as one transitions table."""

from typing import Literal, NamedTuple

from app.kit.wording import Text, declare_words

AgencyVerb = Literal["edit", "retire", "restore", "merge", "delete"]
declare_words(
    {
        "edit": Text("diubah", "edited"),
        "retire": Text("dinonaktifkan", "retired"),
        "restore": Text("diaktifkan kembali", "restored"),
        "merge": Text("digabung", "merged"),
        "delete": Text("dihapus", "deleted"),
    },
    form="passive",
)


class AgencyStep(NamedTuple):
    """A transition: a verb, the states that allow it, and the next state.

    `to_state` is None for an unchanged state and for a deletion.
    """

    verb: AgencyVerb
    from_states: frozenset[str]
    to_state: str | None


AGENCY_STEPS = (
    AgencyStep("edit", frozenset({"active", "retired"}), None),
    AgencyStep("retire", frozenset({"active"}), "retired"),
    AgencyStep("restore", frozenset({"retired"}), "active"),
    AgencyStep("merge", frozenset({"active", "retired"}), "merged"),
    AgencyStep("delete", frozenset({"active", "retired", "merged"}), None),
)


def list_possible_verbs(state: str) -> list[AgencyVerb]:
    """Return the verbs that a state allows, before the checks of rights and references."""
    return [step.verb for step in AGENCY_STEPS if state in step.from_states]


def can_have_agencies(region_code: str) -> bool:
    """Return whether a region can have agencies: provinces, regencies and cities can."""
    return region_code != "0" and region_code.count(".") <= 1


def format_region_chain(region_code: str) -> str:
    """Return the journal chain of a region's agencies."""
    return f"region:{region_code}"
