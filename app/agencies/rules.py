"""Verbs on an agency and the states that allow them."""

from typing import Literal

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


_STATES: dict[AgencyVerb, tuple[str, ...]] = {
    "edit": ("active", "retired"),
    "retire": ("active",),
    "restore": ("retired",),
    "merge": ("active", "retired"),
    "delete": ("active", "retired", "merged"),
}
"""Verb → states that allow it."""


def list_possible_verbs(state: str) -> list[AgencyVerb]:
    """Return the verbs that a state allows, before the checks of rights and references."""
    return [verb for verb, states in _STATES.items() if state in states]


def can_have_agencies(region_code: str) -> bool:
    """Return whether a region can have agencies: provinces, regencies and cities can."""
    return region_code != "0" and region_code.count(".") <= 1


def format_region_chain(region_code: str) -> str:
    """Return the journal chain of a region's agencies."""
    return f"region:{region_code}"
