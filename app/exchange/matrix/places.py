"""Locations as offices write them, taken apart into candidate names to look up.

Nothing is looked up here and no level is assumed: `Desa A, B` gives a village A and a B of unknown
level. A Kemendagri code in front of a name (`63.02.07.2001 Desa A`) is kept with it; this is how
an exported location finds its way back without a name search.
"""

import re
from dataclasses import replace

from app.exchange.matrix.amounts import read_usable_text
from app.exchange.matrix.models import Place, PlaceLevel, Reading
from app.kit.files.books import Value

_LEVELS: dict[PlaceLevel, str] = {
    "village": r"desa(?:\s+adat)?|ds\.?|kelurahan|kel\.?|kampung|kp\.?|nagari|gampong|lurah",
    "district": r"kecamatan|kec\.?|distrik|kapanewon|kemantren",
    "regency": r"kabupaten\s*/\s*kota|kabupaten|kab\.?|kota",
    "province": r"provinsi|prov\.?",
}
_LEVEL = re.compile(
    "(?:" + "|".join(f"(?P<{level}>{words})" for level, words in _LEVELS.items()) + r")(?:\s+|(?<=\.)|$)",
    re.IGNORECASE,
)
_EVERY = re.compile(
    r"(?:di\s+)?(?:seluruh|semua|se-?(?=kecamatan|kabupaten|kota|desa|kelurahan|provinsi))\s*", re.IGNORECASE
)
_CODE = re.compile(r"(\d{2}(?:\.\d{2}(?:\.\d{2}(?:\.\d{4})?)?)?)(?:\s+[-–]?\s*|$)")
_WITHIN = re.compile(
    r"^(?P<name>.*?)[\s,]*\(?\b(?:kecamatan|kec\.?|distrik)\s+(?P<within>[^()]+?)\)?$", re.IGNORECASE
)
_LISTED = re.compile(
    r"^(?P<outer>(?:kecamatan|kec\.?|distrik)\s+[^():]+?)\s*(?:\((?P<a>[^()]*)\)|:\s*(?P<b>.+))$",
    re.IGNORECASE,
)
# Alternatives that begin with a parenthesis keep what stands inside it together.
_STRONG = re.compile(r"\([^()]*\)|([;\n])")
_CODED = re.compile(r"\([^()]*\)|(,\s*(?=\d{2}\.\d{2}))")
_WEAK = re.compile(r"\([^()]*\)|([,/&]|\bdan\b|\bserta\b)", re.IGNORECASE)
# A longer piece is no name; it is kept whole and not looked into.
LONGEST_NAME = 200


def read_places(value: Value) -> Reading[tuple[Place, ...]]:
    """The places of a cell, in its order; blank and `-` are none."""
    text = read_usable_text(value, ())
    if isinstance(text, Reading):
        return text
    places: list[Place] = []
    for group in _split(text, _STRONG):
        group = re.sub(r"^(?:\d{1,3}[.)]|[-•*])\s+", "", group.strip())
        places += _listed(group)
    return Reading(tuple(places), text)


def _listed(group: str) -> list[Place]:
    """The places of one group; with a code in front, only another code begins another place."""
    if listed := _LISTED.match(group):
        district = place_of(listed["outer"])
        inner = _split(listed["a"] or listed["b"] or "", _WEAK)
        places = [place_of(piece) for piece in inner]
        return [replace(place, within=place.within or district.name) for place in places] or [district]
    return [place_of(piece) for piece in _split(group, _CODED if _CODE.match(group) else _WEAK)]


def _split(text: str, parting: re.Pattern[str]) -> list[str]:
    """The pieces between the partings that stand outside parentheses."""
    pieces, start = [], 0
    for found in parting.finditer(text):
        if found[1]:
            pieces.append(text[start : found.start()].strip())
            start = found.end()
    pieces.append(text[start:].strip())
    return [piece for piece in pieces if piece]


def place_of(text: str) -> Place:
    """One place from its words: level, code, "all of", district it lies in."""
    text = text.strip().rstrip(".")
    if len(text) > LONGEST_NAME:
        return Place(text, text)
    rest, code = text, None
    if found := _CODE.match(rest):
        code, rest = found[1], rest[found.end() :]
    every = False
    if found := _EVERY.match(rest):
        every, rest = True, rest[found.end() :]
    within = None
    level: PlaceLevel | None = None
    if found := _LEVEL.match(rest):
        level = next(key for key in _LEVELS if found[key])
        rest = re.sub(r"^di\s+", "", rest[found.end() :], flags=re.IGNORECASE)
    if (found := _WITHIN.match(rest)) and level != "district":
        rest, within = found["name"], found["within"].strip()
    return Place(text, rest.strip(), level, code, within, every)


def place_text(
    name: str, level: PlaceLevel | None = None, code: str | None = None, within: str | None = None
) -> str:
    """Words for a place that `place_of` reads back: `63.02.07.2001 Desa A (Kec. B)`."""
    word = (
        {"village": "Desa", "district": "Kec.", "regency": "Kab.", "province": "Prov."}[level]
        if level
        else ""
    )
    inside = f"(Kec. {within})" if within else ""
    return " ".join(part for part in (code, word, name, inside) if part)


def write_places(places: tuple[Place, ...]) -> str | None:
    """The words of the places, parted by `;`, which no name contains."""
    return "; ".join(place.text for place in places) or None
