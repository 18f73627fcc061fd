"""Grammar of places as offices write them: `Desa Suka Marga, Kec. Suoh`, `Suoh: A dan B`, `Seluruh Pekon`.

Names of the register come first, the longest one at each place, so that `Kota Agung` is a district and a comma inside
a name separates nothing. `;` and line breaks separate groups. In a group, a region with places that lie in it is their
context and no place of its own, in any order. Nothing is a guess: what can mean several regions, lies outside or
contradicts its district is asked, and words without a name stay words.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from rapidfuzz import fuzz, process

from app.access.rules import is_within, list_ancestors
from app.kit.fields import fold_name
from app.reference.rules import add_dots, get_kind

Doubt = Literal["ambiguous", "outside"]

CLOSENESS = 88
"""Likeness of two spellings, from 0 to 100, from which on a place is asked. It never decides."""
MOST_NEAR = 5

LEVELS = {
    **dict.fromkeys(
        [
            "desa",
            "ds",
            "kelurahan",
            "kel",
            "lurah",
            "kampung",
            "kp",
            "nagari",
            "gampong",
            "pekon",
            "negeri",
            "tiyuh",
            "lembang",
        ],
        "village",
    ),
    **dict.fromkeys(["kecamatan", "kec", "distrik", "kapanewon", "kemantren"], "district"),
    **dict.fromkeys(("kabupaten", "kab"), "kabupaten"),
    "kota": "kota",
    **dict.fromkeys(("provinsi", "prov"), "province"),
}
_ORDER = ("province", "kabupaten", "kota", "district", "village")
_EVERY, _INSIDE, _AND = {"seluruh", "semua", "se"}, {"di", "dalam", "pada", "wilayah"}, {"dan", "serta"}
_GROUP = re.compile(r"(?<!:)\s*\n|;")
_BULLET = re.compile(r"^\s*(?:\d{1,3}[.)]|[-•*])\s+")
_TOKEN = re.compile(
    r"(?P<code>\d{2}(?:\.\d{2}){1,2}(?:\.\d{4})?(?!\.?\d)|\d{2}(?=\s+prov))|(?P<word>[^\W_]+)"
    r"|(?P<sign>[,/&+():]|(?<=\s)[-–](?=\s))",
    re.IGNORECASE,
)
_APOSTROPHES = re.compile("['’‘`ʼ]")


@dataclass(frozen=True)
class AskedPlace:
    """Words that are no clear place, with the codes that they may mean."""

    words: str
    doubt: Doubt
    codes: tuple[str, ...]
    around: tuple[str, ...] = ()
    """Places of the text that are only the context of these codes: no places if one of them is chosen."""

    def lies_in(self, region: str) -> bool:
        """Return whether one of the codes is below a region."""
        return any(code != region and is_within(code, region) for code in self.codes)


@dataclass(frozen=True)
class FoundPlaces:
    """The places of a text: codes in the order of the text, and what is not clear."""

    codes: tuple[str, ...] = ()
    every: tuple[str, ...] = ()
    """Words such as `Seluruh Pekon`, which count as the region around them."""
    asked: tuple[AskedPlace, ...] = ()
    unread: tuple[str, ...] = ()
    """Words that name no region."""


@dataclass
class _Piece:
    """Words of one place. `sign` has the signs between it and the piece before."""

    sign: str
    start: int
    end: int
    levels: set[str] = field(default_factory=set)
    codes: list[str] = field(default_factory=list)
    is_code: bool = False
    is_every: bool = False
    has_name: bool = False
    is_unread: bool = False

    @property
    def is_listed(self) -> bool:
        return any(sign in self.sign for sign in "&+")

    @property
    def is_tight(self) -> bool:
        return not self.sign or any(sign in self.sign for sign in "(:")


@dataclass
class _Parse:
    """The pieces of a group so far; the last one is open while it may still get its name."""

    pieces: list[_Piece] = field(default_factory=list)
    signs: str = ""
    is_open: bool = False

    @property
    def last(self) -> _Piece | None:
        """The last piece if no sign is behind it."""
        return self.pieces[-1] if self.pieces and not self.signs else None

    def add(self, piece: _Piece, *, is_open: bool = False) -> None:
        self.pieces.append(piece)
        self.signs, self.is_open = "", is_open

    def add_sign(self, sign: str) -> None:
        self.signs, self.is_open = self.signs + sign, False

    def add_name(self, start: int, end: int, codes: list[str]) -> None:
        if self.is_open:
            self.pieces[-1].codes, self.pieces[-1].has_name = codes, True
        elif (
            self.last is None or not self.last.is_unread
        ):  # else behind words without a name, as in `Pasar Suoh`
            self.add(_Piece(self.signs, start, end, codes=codes, has_name=True))
        self.pieces[-1].end, self.is_open = end, False

    def add_level(self, start: int, end: int, word: str, *, is_joined: bool) -> None:
        level = LEVELS.get(word) or LEVELS.get(word[2:])
        if not (self.is_open and level and (self.pieces[-1].is_every or is_joined)):
            self.add(_Piece(self.signs, start, end, is_every=word not in LEVELS), is_open=True)
        self.pieces[-1].levels |= {level} if level else set()
        self.pieces[-1].end = end

    def add_word(self, start: int, end: int) -> None:
        """Add a word that begins no name: it belongs to the piece in front, whose name is then unknown."""
        if self.last is None or (self.last.is_code and not self.is_open):
            self.add(_Piece(self.signs, start, end, is_unread=True))
        self.pieces[-1].is_unread, self.pieces[-1].end, self.is_open = True, end, False


class PlaceNames:
    """The names of a region and of all below it, and those of the regencies and provinces elsewhere."""

    def __init__(self, region: str, labels: Mapping[str, str], bps_codes: Mapping[str, str]) -> None:
        self.region, self.labels, self._bps_codes = region, labels, bps_codes
        self._names: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
        for code, name in labels.items():
            folded = fold_name(name)
            for form in dict.fromkeys((folded, folded.removeprefix(f"{get_kind(code, name)} "))):
                words = tuple(form.split())
                if words:
                    self._names.setdefault(words[0], []).append((words, code, name))
        for names in self._names.values():
            names.sort(key=lambda item: -len(item[0]))

    def find(self, text: str) -> FoundPlaces:
        """Find the places of a text."""
        result = FoundPlaces()
        for group in _GROUP.split(_APOSTROPHES.sub("", text)):
            found = self._resolve(_BULLET.sub("", group))
            result = FoundPlaces(
                *(tuple(dict.fromkeys([*getattr(result, name), *getattr(found, name)])) for name in _FIELDS)
            )
        return result

    # From words to pieces

    def _parse(self, group: str) -> list[_Piece]:
        parse = _Parse()
        tokens = list(_TOKEN.finditer(group))
        words = [fold_name(token["word"]) if token["word"] else "" for token in tokens]
        i = 0
        while i < len(tokens):
            start, end, word = tokens[i].start(), tokens[i].end(), words[i]
            if sign := tokens[i]["sign"]:
                if (
                    sign != "/"
                    or not parse.is_open
                    or words[i + 1 : i + 2] == []
                    or words[i + 1] not in LEVELS
                ):
                    parse.add_sign(sign)  # the slash of `Desa/Kel.` separates nothing
            elif code := tokens[i]["code"] or self._read_number(word):
                parse.add(_Piece(parse.signs, start, end, codes=[code], is_code=True))
            elif match := self._match_name(tokens, words, i):
                codes, behind = match
                i = behind - 1
                parse.add_name(start, tokens[i].end(), codes)
            elif word in LEVELS or word in _EVERY or (word[:2] == "se" and word[2:] in LEVELS):
                parse.add_level(start, end, word, is_joined=i > 0 and tokens[i - 1]["sign"] == "/")
            elif word in _AND:
                parse.add_sign("+")
            elif word in _INSIDE:
                parse.is_open = parse.is_open and word == "wilayah"
            else:
                parse.add_word(start, end)
            i += 1
        return parse.pieces

    def _read_number(self, word: str) -> str | None:
        """Return the code in digits without dots: a village's, or one of BPS with a `b` in front."""
        if word.isdecimal() and word in self._bps_codes:
            return "b" + word
        return add_dots(word) if len(word) == 10 and add_dots(word) in self.labels else None

    def _match_name(
        self, tokens: list[re.Match[str]], words: list[str], i: int
    ) -> tuple[list[str], int] | None:
        """Return the codes of the longest name that begins at a token, and the token behind it."""
        best: list[str] = []
        end, length = i, 0
        for name, code, spelling in self._names.get(words[i], ()):
            if best and len(name) < length:
                break
            at = _find_end(tokens, words, i, name, spelling)
            if at is not None:
                best.append(code)
                end, length = at, len(name)
        return (best, end) if best else None

    # From pieces to places

    def _resolve(self, group: str) -> FoundPlaces:
        pieces = self._parse(group)
        asked: list[AskedPlace] = []
        unread: list[str] = []
        every: list[str] = []
        clear: list[_Piece] = []
        has_code = False
        for piece in pieces:
            words = group[piece.start : piece.end]
            inside = self._list_inside(piece)
            has_code = has_code or piece.is_code
            if piece.is_every and piece.levels & {"district", "village"} and not piece.is_unread:
                every += [words] if not {self._get_kind(code) for code in inside} & piece.levels else []
            if inside:
                clear.append(replace(piece, codes=inside))
            elif piece.is_every and not piece.has_name and not piece.is_unread:
                clear.append(piece)
            elif outside := self._list_outside(piece):
                if len(pieces) > 1 and not piece.is_listed and is_within(self.region, outside[0]):
                    continue  # the province around the plan's region
                if any(set(outside) <= set(item.codes) for item in asked):
                    continue  # the name of a code in front
                asked.append(AskedPlace(words, "outside", tuple(outside)))
            elif has_code and not piece.is_code and (piece.is_tight or piece.sign in ("-", "–")):
                pass  # words behind a code describe it
            elif near := self._find_near(piece, words):
                asked.append(AskedPlace(words, "ambiguous", tuple(near)))
            else:
                unread.append(words)
        codes: list[str] = []
        for piece, doubtful in self._settle(clear):
            if doubtful:
                asked.append(AskedPlace(group[piece.start : piece.end], "ambiguous", tuple(piece.codes)))
            else:
                codes += piece.codes
        asked = [replace(item, around=tuple(filter(item.lies_in, codes))) for item in asked]
        return FoundPlaces(tuple(codes), tuple(every), tuple(asked), tuple(unread))

    def _settle(self, pieces: list[_Piece]) -> Iterator[tuple[_Piece, bool]]:
        """Yield the places among the clear pieces, each with whether it is still in doubt; no contexts."""
        self._narrow(pieces)
        above = [{above for code in piece.codes for above in list_ancestors(code)} for piece in pieces]
        contexts = Counter(code for codes in above for code in codes)
        # Piece → (piece with the sign between, neighbour) on both sides
        beside = [
            [(pieces[max(n, m)], m) for m in (n - 1, n + 1) if 0 <= m < len(pieces)]
            for n in range(len(pieces))
        ]
        denied = {
            m: n
            for n, piece in enumerate(pieces)
            for side, m in beside[n]
            if _contradicts(piece, pieces[m], side)
        }
        for n, piece in enumerate(pieces):
            around = [code for code in piece.codes if contexts[code] > (code in above[n])]
            hosts = [m for m, denier in denied.items() if denier == n]
            if not piece.codes:
                # `Seluruh Desa di Kec. Suoh` is Suoh; without a region around it, the plan's region
                if not any(other.codes for other in pieces):
                    yield replace(piece, codes=[self.region]), False
            elif around:
                touching = [(side, m) for side, m in beside[n] if above[m] & set(around)]
                is_loose = not piece.levels and any(not side.is_tight for side, _ in touching)
                if any(side.is_listed for side, _ in touching) or (
                    is_loose and len(around) < len(piece.codes)
                ):
                    inside = [code for _, m in touching for code in pieces[m].codes]
                    yield replace(piece, codes=[*piece.codes, *inside]), True
            elif hosts:
                yield replace(piece, codes=[*piece.codes, *pieces[hosts[0]].codes]), True
            elif n not in denied:
                yield piece, len(piece.codes) > 1

    def _narrow(self, pieces: list[_Piece]) -> None:
        """Keep those meanings of each piece that a code in the group gives, or that lie in other pieces' regions."""
        count = Counter(code for piece in pieces for code in set(piece.codes))
        given = {piece.codes[0] for piece in pieces if piece.is_code}
        for piece in pieces:
            depths = {
                code: sum(count[above] > (above in piece.codes) for above in list_ancestors(code))
                + 9 * (code in given)
                for code in piece.codes
            }
            piece.codes = [code for code in piece.codes if depths[code] == max(depths.values())]

    def _list_inside(self, piece: _Piece) -> list[str]:
        """Return the codes in the region that a piece may mean."""
        if piece.is_unread:
            return []
        if not piece.has_name and not piece.is_code:
            return [self.region] if self._get_kind(self.region) in piece.levels and not piece.is_every else []
        return [code for code in self._list_fitting(piece) if is_within(code, self.region)]

    def _list_outside(self, piece: _Piece) -> list[str]:
        if piece.is_unread or not (piece.has_name or piece.is_code):
            return []
        bps = [self._bps_codes[code[1:]] for code in piece.codes if code.startswith("b")]
        return bps or self._list_fitting(piece)

    def _list_fitting(self, piece: _Piece) -> list[str]:
        known = [code for code in piece.codes if code in self.labels]
        fitting = [code for code in known if not piece.levels or self._get_kind(code) in piece.levels]
        if fitting or not piece.is_every:
            return fitting
        # `Seluruh Kecamatan Lampung Barat`: all of a level below the region
        lowest = max(map(_ORDER.index, piece.levels))
        return [code for code in known if _ORDER.index(self._get_kind(code)) < lowest]

    def _get_kind(self, code: str) -> str:
        return get_kind(code, self.labels[code])

    def _find_near(self, piece: _Piece, words: str) -> list[str]:
        """Return the regions with the name at another level, or with almost its letters."""
        inside = [code for code in piece.codes if code in self.labels and is_within(code, self.region)]
        if inside or piece.is_code:
            return inside
        name = [word for word in fold_name(words).split() if word not in {*LEVELS, *_EVERY}]
        near = process.extract(
            "".join(name)[:100], self._letters, scorer=fuzz.ratio, score_cutoff=CLOSENESS, limit=MOST_NEAR
        )
        fitting = [code for _, _, code in near if not piece.levels or self._get_kind(code) in piece.levels]
        return fitting or [code for _, _, code in near]

    @cached_property
    def _letters(self) -> dict[str, str]:
        """Code → the letters of its name, of the regions inside."""
        return {
            code: fold_name(name).replace(" ", "")
            for code, name in self.labels.items()
            if is_within(code, self.region)
        }


def list_codes(text: str) -> list[str]:
    """Return the codes with dots that a text has."""
    return [match["code"] for match in _TOKEN.finditer(text) if match["code"]]


def _contradicts(piece: _Piece, other: _Piece, side: _Piece) -> bool:
    """Return whether a piece has another code in front, or a higher region next to it that does not contain it.

    `side` is the one of both that has the sign between them.
    """
    if side.is_listed or not other.codes or not piece.codes or ")" in side.sign:
        return False
    if other.is_code and side is piece and not side.sign:
        return other.codes[0] not in piece.codes
    depth = piece.codes[0].count(".")
    return all(
        code.count(".") < depth and not any(is_within(own, code) for own in piece.codes)
        for code in other.codes
    )


_FIELDS = tuple(FoundPlaces.__dataclass_fields__)


def _find_end(
    tokens: list[re.Match[str]], words: list[str], i: int, name: Collection[str], spelling: str
) -> int | None:
    """Return the token behind a name that begins at a token. Signs count only if the name has them."""
    for word in name:
        while i < len(tokens) and tokens[i]["sign"] and tokens[i]["sign"] in spelling:
            i += 1
        if i >= len(tokens) or words[i] != word:
            return None
        i += 1
    return i
