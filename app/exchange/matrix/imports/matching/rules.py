"""Matching of the file's lines with those of the plan, and with those of the quarters that the file reports. Pure.

Strategy, lead agency and sub-activity identify a line: the sub-activity by its code, else by its names, else by the
words that an earlier file had for it. Among similar lines, one with equal content matches first, the others in
their order; so rows may move, come and go without changing any other line.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from app.exchange.matrix.cells import sort_codes
from app.exchange.matrix.codes import write_named
from app.exchange.matrix.imports.rules import ResolvedLine
from app.exchange.matrix.models import Content, Named
from app.kit.fields import fold_name

Key = tuple[str, ...]


def make_words_key(strategy: str, agency: str, activity: str | None, name: str | None) -> Key:
    """Return the key of a line by names."""
    return strategy, agency, fold_name(activity or ""), fold_name(name or "")


_BY_NAME_ALONE = 3


def make_keys(content: Content) -> tuple[Key | None, Key, Key, Key | None]:
    """Return the keys of a plan's line: by code, by names, by the words of an earlier file, by name alone."""
    strategy, agency, code = content["strategy"], content["lead_agency"], content["subactivity_code"]
    activity, name = content["activity"], content["subactivity"] or content["title"]
    kept = content["matrix_texts"]
    return (
        (strategy, agency, code) if code else None,
        make_words_key(strategy, agency, activity, name),
        make_words_key(strategy, agency, kept.get("activity") or activity, kept.get("subactivity") or name),
        None if code else (strategy, agency, fold_name(name)),
    )


def _make_line_keys(resolved: ResolvedLine) -> tuple[Key | None, Key, Key, Key | None]:
    strategy, agency, sub = resolved.line["strategy"], resolved.agency, resolved.subactivity
    named: Named = resolved.line["subactivity"]
    return (
        (strategy, agency, sub.code) if sub.code else None,
        make_words_key(strategy, agency, sub.activity, sub.name),
        make_words_key(
            strategy, agency, write_named(resolved.line["activity"]), named.name if sub.code else sub.name
        ),
        (strategy, agency, fold_name((named.name if sub.code else sub.name) or "")),
    )


def match_lines(
    stored: Mapping[str, Content], lines: Sequence[ResolvedLine], is_equal: Callable[[str, int], bool]
) -> list[str | None]:
    """Return for each line of the file the code of the stored line that it matches, None for a new line.

    `is_equal` tells whether the stored line of a code equals the file's line at a place.
    """
    keys = {code: make_keys(stored[code]) for code in sort_codes(stored)}
    file_keys = [_make_line_keys(line) for line in lines]
    result: list[str | None] = [None] * len(lines)
    waiting = list(keys)
    for respect in range(_BY_NAME_ALONE + 1):
        groups: dict[object, list[str]] = {}
        for code in waiting:
            groups.setdefault(keys[code][respect], []).append(code)
        claims: dict[Any, list[int]] = {}
        for place, line_keys in enumerate(file_keys):
            if result[place] is None and (key := line_keys[respect]) is not None and key in groups:
                claims.setdefault(key, []).append(place)
        for key, places in claims.items():
            if respect == _BY_NAME_ALONE and len(groups[key]) + len(places) > 2:
                continue
            _assign_codes(groups[key], places, result, is_equal)
        matched = set(result)
        waiting = [code for code in waiting if code not in matched]
    return result


def _assign_codes(
    codes: list[str], places: list[int], result: list[str | None], is_equal: Callable[[str, int], bool]
) -> None:
    """Assign the codes of similar lines to the lines at `places`."""
    if len(codes) > 1 or len(places) > 1:
        for place in places:
            code = next((code for code in codes if is_equal(code, place)), None)
            if code is not None:
                result[place] = code
                codes.remove(code)
    open_places = [place for place in places if result[place] is None]
    for place, code in zip(open_places, codes, strict=False):
        result[place] = code


class Match(NamedTuple):
    """A line of a version of the plan that a line of the file matches."""

    version: int
    code: str


def match_versions(
    versions: Sequence[Mapping[str, Content]],
    lines: Sequence[ResolvedLine],
    is_equal: Callable[[int, str, int], bool],
) -> list[Match | None]:
    """Return for each line of the file the line that it matches in one of the versions, None for a new line.

    A file shows one version of the plan, so the one with the most equal lines and the fewest others has its equal
    lines first. Lines without an equal one match by their keys, those of the first version before the others.
    """
    result: list[Match | None] = [None] * len(lines)

    def count_equal(version: int) -> tuple[int, int]:
        codes = match_lines(versions[version], lines, partial(is_equal, version))
        equal = [place for place, code in enumerate(codes) if code and is_equal(version, code, place)]
        return len(equal), -len(versions[version])

    def match(version: int, *, only_equal: bool) -> None:
        taken = {found.code for found in result if found}
        left = {code: content for code, content in versions[version].items() if code not in taken}
        places = [place for place, found in enumerate(result) if found is None]
        codes = match_lines(
            left, [lines[place] for place in places], lambda code, n: is_equal(version, code, places[n])
        )
        for place, code in zip(places, codes, strict=True):
            if code and (not only_equal or is_equal(version, code, place)):
                result[place] = Match(version, code)

    order = range(len(versions))
    if len(versions) > 1:
        for version in sorted(order, key=count_equal, reverse=True):
            match(version, only_equal=True)
    for version in order:
        match(version, only_equal=False)
    return result
