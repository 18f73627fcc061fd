"""Layout of a table: its fields, and the headings that name them."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from app.kit.tables.units import drop_unit, split_tokens

# No label is longer, but names of sub-activities often are, and the search looks at every row.
LONGEST_LABEL = 80
_YEAR = re.compile(r"\b(?:(?:t\s?a|tahun(?: anggaran)?) )?20\d\d\b")


@lru_cache(maxsize=4_096)
def fold_heading(text: str) -> str:
    """Return the words of a heading for comparisons, without brackets, unit and year; "" for a text beyond a label.

    A share stays one in brackets too: `Sem.1 (%)` is not `Sem.1`.
    """
    if len(text) > LONGEST_LABEL:
        return ""
    plain = re.sub(r"\(.*?\)", lambda match: " % " if "%" in match[0] else " ", text.casefold())
    words = " ".join(re.findall(r"[a-z0-9]+|%", " ".join(drop_unit(split_tokens(plain)))))
    return " ".join(_YEAR.sub(" ", words).split())


@dataclass(frozen=True)
class TableField:
    """A field of a table and the headings that name it.

    With `groups`, the words of one may be above or before the heading; other words above make it another column.
    `needs_group`: the heading alone could mean something else. `is_required`: a file without it is not such a table.
    `substitute`: the key of a field that a file may have instead of a required one.
    `is_money`: the unit of a title holds for its numbers, as the unit of its own heading does.
    `doubtful`: headings that may mean the field, which the caller has to choose.
    `beside`: the key of a field of plain numbers that this one completes; only a choice gives it a column, and
    its label is just its name.
    `parts`: headings of columns of digits that hold parts of the value, which has `most_parts` between dots; 0: one
    column alone can have the field.
    `beside_group`: labels that without a group's words name the field only if the table has another of its groups.
    `is_measured`: the reader of the table compares the unit of its heading with one that it knows.
    """

    key: str
    labels: tuple[str, ...]
    groups: tuple[str, ...] = ()
    needs_group: bool = False
    is_required: bool = False
    substitute: str | None = None
    is_money: bool = False
    doubtful: tuple[str, ...] = ()
    beside: str | None = None
    parts: tuple[str, ...] = ()
    most_parts: int = 0
    is_measured: bool = False
    beside_group: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The first label, behind the words of its group."""
        return f"{self.groups[0]} {self.labels[0]}" if self.groups else self.labels[0]


@dataclass(frozen=True)
class TableLayout:
    """The fields of a table. A row with fewer than `fewest` labels is no header.

    `order` are the keys by official number, for a row that numbers the columns; it decides if it numbers as many
    columns as one of `lengths`.

    `compose` makes the key of a column from all its headings, the lowest first, such as a year below an indicator; it
    returns None if it does not know one of them. With it the words above a label no longer name a column alone.
    """

    fields: Sequence[TableField]
    fewest: int
    order: Sequence[str] = ()
    lengths: Collection[int] = ()
    compose: Callable[[Sequence[str]], str | None] | None = None
    most_rows: int = 3
    by_label: Mapping[str, TableField] = field(init=False)
    """Folded label, alone and behind each of its groups → field."""
    joined: frozenset[str] = field(init=False)
    """Folded labels behind one of their groups."""
    groups: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        by_label: dict[str, TableField] = {}
        joined: dict[str, TableField] = {}
        # A label alone is the field that needs no group.
        for item in sorted(self.fields, key=lambda item: not item.needs_group):
            labels = [] if item.beside else [fold_heading(label) for label in item.labels]
            by_label |= dict.fromkeys(labels, item)
            joined |= {f"{fold_heading(group)} {label}": item for group in item.groups for label in labels}
        object.__setattr__(self, "by_label", by_label | joined)
        object.__setattr__(self, "joined", frozenset(joined))
        object.__setattr__(
            self, "groups", frozenset(fold_heading(g) for item in self.fields for g in item.groups)
        )

    def find_key(self, headings: Sequence[str]) -> str | None:
        """Return the key of a column by its headings, the lowest first. Returns None if they name none."""
        words = [fold_heading(text) for text in headings]
        if self.compose is None:
            found = self.match(words)
        elif (key := self.compose(headings)) is not None:
            return key
        else:
            found = self.match(words[:1])
            # Folding drops brackets and years, and "P0 (Perkotaan)" is not P0.
            found = None if found and found.is_measured else found
        return found.key if found else None

    def match(self, words: Sequence[str]) -> TableField | None:
        """Return the field of a column by its folded headings, the lowest first. Returns None if none names it."""
        words = drop_plain(words)
        if not words:
            return None
        lowest, *above = words
        for text in above:
            label = f"{text} {lowest}"
            found = self.by_label.get(label)
            if found is not None and (label in self.joined or not found.needs_group):
                return found
        found = self.by_label.get(lowest)
        if found is not None and (lowest in self.joined or self._fits_below(found, above)):
            return found
        # The heading above names the field if the one below only describes it.
        fields = (self.by_label.get(text) for text in above)
        return next((item for item in fields if item and not item.groups), None)

    def list_missing(self, columns: Collection[str]) -> list[TableField]:
        """Return the required fields that a table with these has neither itself nor by a substitute."""
        return [
            item
            for item in self.fields
            if item.is_required and item.key not in columns and item.substitute not in columns
        ]

    def _fits_below(self, item: TableField, above: Sequence[str]) -> bool:
        if not item.groups:
            return not self.groups.intersection(above)
        if not above:
            return not item.needs_group
        return not {fold_heading(group) for group in item.groups}.isdisjoint(above)


_PLAIN = frozenset(("keuangan", "anggaran"))


def drop_plain(words: Sequence[str]) -> list[str]:
    """Return the folded headings of a column without blank ones and a lowest one that only says "money"."""
    # "Keuangan" below "Triwulan I" says as little as "(Rp)".
    return [text for n, text in enumerate(words) if text and (n or text not in _PLAIN or len(words) == 1)]
