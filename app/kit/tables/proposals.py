"""Proposals of choices: the field that a column may have whose heading no label names.

They never decide. The reader asks about a heading that is almost a label, or that the layout declares as doubtful;
a refusal lists choices that the caller may send back.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from app.kit.problems import ColumnShape
from app.kit.tables.candidates import NEAR_NAME
from app.kit.tables.choices import ColumnChoice, HeadingIndex, Headings
from app.kit.tables.contents import ColumnContents
from app.kit.tables.layouts import TableField, TableLayout, drop_plain, fold_heading

_LABEL, _DOUBTFUL, _NEAR_LABEL, _NEAR_DOUBTFUL, _WORDS = 200.0, 100.0, 95.0, 90.0, 60.0
"""Likeness of a heading to a field: its label, a doubtful heading, a letter off one of them, or with its words."""
_LONG_WORD = 4


class Proposals(NamedTuple):
    """Fields by column: the best ones, each for one column, and those that the caller has to choose or refuse."""

    best: Mapping[int, TableField]
    asked: Mapping[int, TableField]


def propose_fields(
    layout: TableLayout, headings: Headings, taken: Mapping[str, int], contents: ColumnContents
) -> Proposals:
    """Return the fields that columns may have, without those that other columns have (`taken`).

    A field that completes another has a meaning only with a column of plain numbers.
    """
    best: dict[int, TableField] = {}
    asked: dict[int, TableField] = {}
    columns = dict(taken)
    rated = [
        (bool(item.beside), -likeness, c, place)
        for c, rows in headings.items()
        for place, item in enumerate(layout.fields)
        if item.key not in taken and (likeness := rate_heading(layout, item, [text for _, text in rows]))
    ]
    for _, likeness, c, place in sorted(rated):
        item = layout.fields[place]
        beside = columns.get(item.beside) if item.beside else None
        if c in best or (item.beside and (beside is None or not contents.holds_numbers(beside))):
            continue
        if -likeness >= _NEAR_DOUBTFUL:
            asked.setdefault(c, item)
        if item.key not in columns:
            best[c], columns[item.key] = item, c
    return Proposals(best, asked)


def rate_heading(layout: TableLayout, item: TableField, headings: Sequence[str]) -> float:
    """Return how much the headings of a column, the lowest first, are like those of a field; 0 for not at all."""
    words = drop_plain([fold_heading(text) for text in headings])
    if not words:
        return 0
    lowest, *above = words
    labels = [] if item.beside else [fold_heading(label) for label in item.labels]
    if not above and lowest in map(fold_heading, item.beside_group):
        return 0
    if layout.find_key(headings) == item.key:
        return _LABEL - (labels.index(lowest) if lowest in labels else len(labels))
    if item.is_measured and lowest in labels:
        return 0  # in brackets it has a word that makes it another column
    if item.groups:
        return _NEAR_LABEL if _is_near_grouped(item, lowest, above, labels) else 0
    doubtful = [fold_heading(text) for text in item.doubtful]
    if not layout.groups.isdisjoint(above):
        return 0
    if lowest in doubtful:
        return _DOUBTFUL
    if any(is_near(lowest, label) for label in labels):
        return _NEAR_LABEL
    if any(is_near(lowest, text) for text in doubtful):
        return _NEAR_DOUBTFUL
    ratio = max(fuzz.ratio(lowest, text) for text in (*labels, *doubtful))
    if ratio >= NEAR_NAME:
        return ratio * _NEAR_DOUBTFUL / 101
    has_words = any(set(label.split()) <= set(lowest.split()) for label in labels)
    return _WORDS if item.is_required and has_words else 0


def _is_near_grouped(item: TableField, lowest: str, above: Sequence[str], labels: Sequence[str]) -> bool:
    """Return whether a heading is almost that of a field below its group, or the group almost the field's."""
    groups = [fold_heading(group) for group in item.groups]
    is_label = any(lowest == label or is_near(lowest, label) for label in labels)
    if is_label and above:
        return any(text in groups or any(is_near(text, group) for group in groups) for text in above)
    joined = (f"{group} {label}" for group in groups for label in labels)
    return (is_label and not item.needs_group) or any(is_near(lowest, text) for text in joined)


def is_near(text: str, other: str) -> bool:
    """Return whether folded headings differ in spaces alone, or in one letter of a long word without digits."""
    if text.replace(" ", "") == other.replace(" ", ""):
        return text != other
    words, others = text.split(), other.split()
    pairs = [(a, b) for a, b in zip(words, others, strict=False) if a != b]
    if len(words) != len(others) or len(pairs) != 1:
        return False
    ((a, b),) = pairs
    is_long = min(len(a), len(b)) >= _LONG_WORD and a.isalpha() and b.isalpha()
    return is_long and OSA.distance(a, b, score_cutoff=1) <= 1


def list_proposals(
    valid: Iterable[ColumnChoice], fields: Mapping[int, str | None], index: HeadingIndex
) -> tuple[ColumnShape, ...]:
    """Return the valid choices of the caller, then a choice for each of these columns that headings can name."""
    choices = [
        *valid,
        *(choice for c in sorted(fields) if (choice := _name_column(c, fields, index))),
    ]
    unique = {(choice.heading, choice.row): choice for choice in reversed(choices)}
    return tuple(ColumnShape(**choice.model_dump()) for choice in reversed(unique.values()))


def _name_column(c: int, fields: Mapping[int, str | None], index: HeadingIndex) -> ColumnChoice | None:
    """Return the shortest choice of a column's field that names no column of another field; None if there is none."""
    key = fields[c]
    lowest_row, lowest = index.headings[c][0]
    for heading, row in ((lowest, None), (index.paths[c], None), (lowest, lowest_row + 1)):
        choice = ColumnChoice.model_construct(heading=heading, row=row, field=key)
        columns = index.find(choice)
        has_other = any(other not in fields or fields[other] != key for other in columns)
        if not has_other and (key is not None or index.has_equal_paths(columns)):
            return choice
    return None
