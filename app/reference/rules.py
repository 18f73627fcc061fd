"""Codes as they are read, and the names of places as people write them."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from app.kit.fields import folded

_LEVELS = ("province", "regency", "district", "village")


def level_of(region_code: str) -> str:
    """`nation`, `province`, `regency`, `district` or `village`, read from a Kemendagri code."""
    return "nation" if region_code == "0" else _LEVELS[region_code.count(".")]


def parent_of(region_code: str) -> str | None:
    """The code one level up; None for the nation."""
    if region_code == "0":
        return None
    return region_code.rpartition(".")[0] or "0"


def nearest_ancestor(code: str, known: Iterable[str]) -> str | None:
    """The longest of the `known` dotted codes that `code` lies below; decrees leave out some in between."""
    while code := code.rpartition(".")[0]:
        if code in known:
            return code
    return None


#: First word of a location as people write it → what the word says: the levels it can mean, and the
#: form in which a name of that level begins in the register.
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
    """One way to read a location's text: a folded name, and the levels it may be of (empty: any)."""

    folded: str
    levels: tuple[str, ...]


def add_dots(code: str) -> str:
    """Return the code of a village with its dots: `63.02.05.2001` of `6302052001`, and any other text as it is."""
    if re.fullmatch(r"[0-9]{10}", code):
        return f"{code[:2]}.{code[2:4]}.{code[4:6]}.{code[6:]}"
    return code


def forms_of(text: str) -> list[NameForm]:
    """The ways to read a location's text, the literal one first: `Kec. Pulau Sebuku` may be a name itself."""
    literal = folded(text)
    forms = [NameForm(literal, ())] if literal else []
    first, _, rest = literal.partition(" ")
    if rest and first in _LEVEL_WORDS:
        levels, prefix = _LEVEL_WORDS[first]
        forms.append(NameForm(prefix + rest, levels))
    return forms
