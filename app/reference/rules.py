"""Parser of region codes and of place names as people write them."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from app.kit.fields import fold_name

CHAIN = "reference"
"""Chain of the journal."""
_LEVELS = ("province", "regency", "district", "village")


def get_level(region_code: str) -> str:
    """Return the level of a Kemendagri code: `nation`, `province`, `regency`, `district` or `village`."""
    return "nation" if region_code == "0" else _LEVELS[region_code.count(".")]


def get_parent(region_code: str) -> str | None:
    """Return the code one level up, None for the nation."""
    if region_code == "0":
        return None
    return region_code.rpartition(".")[0] or "0"


def find_nearest_ancestor(code: str, known: Iterable[str]) -> str | None:
    """Return the longest of the `known` dotted codes above `code`; decrees omit some levels. None if there is none."""
    while code := code.rpartition(".")[0]:
        if code in known:
            return code
    return None


#: First word of a location as people write it → the levels that it can mean, and the first word of names of that
#: level in the register.
_LEVEL_WORDS: dict[str, tuple[tuple[str, ...], str]] = {
    "kab": (("regency",), "kabupaten "),
    "kabupaten": (("regency",), "kabupaten "),
    "kota": (("regency",), "kota "),
    "provinsi": (("province",), ""),
    "prov": (("province",), ""),
    **dict.fromkeys(("kec", "kecamatan", "distrik"), (("district",), "")),
    **dict.fromkeys(
        ("desa", "ds", "kelurahan", "kel", "kampung", "gampong", "nagari", "pekon", "negeri"),
        (("village",), ""),
    ),
}


class NameForm(NamedTuple):
    """One interpretation of a location's text: a folded name, and its possible levels (empty: any)."""

    folded: str
    levels: tuple[str, ...]


def add_dots(code: str) -> str:
    """Return the code of a village with dots (`63.02.05.2001` for `6302052001`), any other text unchanged."""
    if re.fullmatch(r"[0-9]{10}", code):
        return f"{code[:2]}.{code[2:4]}.{code[4:6]}.{code[6:]}"
    return code


def list_name_forms(text: str) -> list[NameForm]:
    """Return the interpretations of a location's text, the literal one first: `Kec. Pulau Sebuku` may be a name."""
    literal = fold_name(text)
    forms = [NameForm(literal, ())] if literal else []
    first, _, remainder = literal.partition(" ")
    if remainder and first in _LEVEL_WORDS:
        levels, prefix = _LEVEL_WORDS[first]
        forms.append(NameForm(prefix + remainder, levels))
    return forms
