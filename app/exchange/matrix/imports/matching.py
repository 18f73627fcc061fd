"""Which line of the plan a line of the file is. Pure.

A line is known by strategy, lead agency and sub-activity: by its code, else by its names, else by the
words that an earlier file had for it. Lines that are alike are matched with the one that already says
the same, then in their order; so rows may be moved, added and taken out without any line changing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.exchange.matrix.codes import write_named
from app.exchange.matrix.imports.rules import Resolved
from app.exchange.matrix.lines import in_order
from app.exchange.matrix.models import Content, Named
from app.reference.rules import folded

Key = tuple[str, ...]


def words_key(strategy: str, agency: str, activity: str | None, name: str | None) -> Key:
    """What identifies a line by names."""
    return strategy, agency, folded(activity or ""), folded(name or "")


_BY_NAME_ALONE = 3


def keys_of(content: Content) -> tuple[Key | None, Key, Key, Key | None]:
    """By code, by names, by the words of an earlier file, by name alone: what identifies a line of the plan."""
    strategy, agency, code = content["strategy"], content["lead_agency"], content["subactivity_code"]
    activity, name = content["activity"], content["subactivity"] or content["title"]
    kept = content["matrix_texts"]
    return (
        (strategy, agency, code) if code else None,
        words_key(strategy, agency, activity, name),
        words_key(strategy, agency, kept.get("activity") or activity, kept.get("subactivity") or name),
        None if code else (strategy, agency, folded(name)),
    )


def _keys_of_line(found: Resolved) -> tuple[Key | None, Key, Key, Key | None]:
    strategy, agency, sub = found.line["strategy"], found.agency, found.subactivity
    named: Named = found.line["subactivity"]
    return (
        (strategy, agency, sub.code) if sub.code else None,
        words_key(strategy, agency, sub.activity, sub.name),
        words_key(
            strategy, agency, write_named(found.line["activity"]), named.name if sub.code else sub.name
        ),
        (strategy, agency, folded((named.name if sub.code else sub.name) or "")),
    )


def matched(
    stored: Mapping[str, Content], lines: Sequence[Resolved], says_the_same: Callable[[str, Resolved], bool]
) -> list[str | None]:
    """For each line of the file the code of the plan's line that it is; None: a new one."""
    keys = {code: keys_of(stored[code]) for code in in_order(stored)}
    of_lines = [_keys_of_line(line) for line in lines]
    result: list[str | None] = [None] * len(lines)
    waiting = list(keys)
    for respect in range(_BY_NAME_ALONE + 1):
        groups: dict[object, list[str]] = {}
        for code in waiting:
            groups.setdefault(keys[code][respect], []).append(code)
        claims: dict[Any, list[int]] = {}
        for place, line_keys in enumerate(of_lines):
            if result[place] is None and (key := line_keys[respect]) is not None and key in groups:
                claims.setdefault(key, []).append(place)
        for key, places in claims.items():
            if respect == _BY_NAME_ALONE and len(groups[key]) + len(places) > 2:
                continue
            _share_out(groups[key], places, lines, result, says_the_same)
        waiting = [code for code in waiting if code not in set(result)]
    return result


def _share_out(
    codes: list[str],
    places: list[int],
    lines: Sequence[Resolved],
    result: list[str | None],
    says_the_same: Callable[[str, Resolved], bool],
) -> None:
    """Give the lines at `places` the codes of lines that are alike."""
    if len(codes) > 1 or len(places) > 1:
        for place in places:
            code = next((code for code in codes if says_the_same(code, lines[place])), None)
            if code is not None:
                result[place] = code
                codes.remove(code)
    rest = [place for place in places if result[place] is None]
    for place, code in zip(rest, codes, strict=False):
        result[place] = code
