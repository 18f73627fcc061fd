"""Parser of locations: splits a cell into candidate names to look up.

It looks nothing up and assumes no level: `Desa A, B` gives a village A and a B of unknown level. A Kemendagri
code in front of a name (`63.02.07.2001 Desa A`) stays with the name, so that the import of an exported location
needs no search by name.
"""

import re
from dataclasses import replace

from app.exchange.matrix.amounts import read_usable_text
from app.exchange.matrix.models import ParsedPlace, PlaceLevel, Reading
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
_GROUP = re.compile(
    r"^(?P<outer>(?:kecamatan|kec\.?|distrik)\s+[^():]+?)\s*(?:\((?P<a>[^()]*)\)|:\s*(?P<b>.+))$",
    re.IGNORECASE,
)
# The alternative that begins with a parenthesis keeps its content in one piece.
_STRONG = re.compile(r"\([^()]*\)|([;\n])")
_CODED = re.compile(r"\([^()]*\)|(,\s*(?=\d{2}\.\d{2}))")
_WEAK = re.compile(r"\([^()]*\)|([,/&]|\bdan\b|\bserta\b)", re.IGNORECASE)
# A longer piece is not a name; the parser leaves it whole.
LONGEST_NAME = 200


def read_places(value: Value) -> Reading[tuple[ParsedPlace, ...]]:
    """Return the places of a cell, in its order; none for a blank cell or `-`."""
    text = read_usable_text(value, ())
    if isinstance(text, Reading):
        return text
    places: list[ParsedPlace] = []
    for group in _split(text, _STRONG):
        group = re.sub(r"^(?:\d{1,3}[.)]|[-•*])\s+", "", group.strip())
        places += _read_group(group)
    return Reading(tuple(places), text)


def _read_group(group: str) -> list[ParsedPlace]:
    """Return the places of one group; with a code in front, only another code begins another place."""
    if listed := _GROUP.match(group):
        district = parse_place(listed["outer"])
        inner = _split(listed["a"] or listed["b"] or "", _WEAK)
        places = [parse_place(piece) for piece in inner]
        return [replace(place, within=place.within or district.name) for place in places] or [district]
    return [parse_place(piece) for piece in _split(group, _CODED if _CODE.match(group) else _WEAK)]


def _split(text: str, parting: re.Pattern[str]) -> list[str]:
    pieces, start = [], 0
    for match in parting.finditer(text):
        if match[1]:
            pieces.append(text[start : match.start()].strip())
            start = match.end()
    pieces.append(text[start:].strip())
    return [piece for piece in pieces if piece]


def parse_place(text: str) -> ParsedPlace:
    """Parse one place from its words: level, code, "all of", the district around it."""
    text = text.strip().rstrip(".")
    if len(text) > LONGEST_NAME:
        return ParsedPlace(text, text)
    remainder, code = text, None
    if match := _CODE.match(remainder):
        code, remainder = match[1], remainder[match.end() :]
    every = False
    if match := _EVERY.match(remainder):
        every, remainder = True, remainder[match.end() :]
    within = None
    level: PlaceLevel | None = None
    if match := _LEVEL.match(remainder):
        level = next(key for key in _LEVELS if match[key])
        remainder = re.sub(r"^di\s+", "", remainder[match.end() :], flags=re.IGNORECASE)
    if (match := _WITHIN.match(remainder)) and level != "district":
        remainder, within = match["name"], match["within"].strip()
    return ParsedPlace(text, remainder.strip(), level, code, within, every)


def format_place(
    name: str, level: PlaceLevel | None = None, code: str | None = None, within: str | None = None
) -> str:
    """Format a place so that `parse_place` can parse it: `63.02.07.2001 Desa A (Kec. B)`."""
    word = (
        {"village": "Desa", "district": "Kec.", "regency": "Kab.", "province": "Prov."}[level]
        if level
        else ""
    )
    inside = f"(Kec. {within})" if within else ""
    return " ".join(part for part in (code, word, name, inside) if part)


def write_places(places: tuple[ParsedPlace, ...]) -> str | None:
    """Return the places' texts, separated by `;`, which no name contains."""
    return "; ".join(place.text for place in places) or None
