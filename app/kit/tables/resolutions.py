"""Resolutions of a call: the codes that a person chose for names in cells, and the cell that each of them settles."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Generic, Literal, NamedTuple, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from app.kit.fields import Prose, Shape, fold_name
from app.kit.http.validation import duplicate_key, list_body_errors
from app.kit.problems import Candidate, FieldError, Invalid, Kind

UNUSED_RESOLUTION = Kind(
    "unused_resolution",
    "Pilihan kode untuk “{value}” tidak cocok dengan sel mana pun. Perbaiki atau hapus.",
    "The chosen code for “{value}” fits no cell. Correct or remove it.",
)
RESOLUTION_NEEDS_ROW = Kind(
    "resolution_needs_row",
    "Pilihan kode untuk “{value}” mengenai sel-sel yang artinya berbeda. Sebutkan barisnya.",
    "The chosen code for “{value}” fits cells with different meanings. Name its row.",
)


class CellResolution(Shape):
    """The code for one name of the file, in one row or wherever the name occurs."""

    column: str
    value: Prose = Field(min_length=1, description="The name as the file has it, or the code in its place.")
    row: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Only in this row; null: wherever the name occurs."
    )
    code: str | None


Chosen = TypeVar("Chosen", bound=CellResolution)


MOST_RESOLUTIONS = 5_000


def parse_resolutions(adapter: TypeAdapter[list[Chosen]], text: str | bytes) -> list[Chosen]:
    """Parse a JSON list of resolutions. Raises Invalid if it is malformed."""
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        raise Invalid(errors=list_body_errors(error, prefix=("resolutions",))) from None


class Question(NamedTuple):
    """A cell that a resolution can settle: its column and row, its words, and what gives them their meaning there."""

    column: str
    row: int
    words: tuple[str | None, ...]
    context: object = None


class ResolutionSet(Generic[Chosen]):
    """The resolutions of a call. One without a row settles only cells in which its words mean one thing.

    `sources` are the lists that have the codes, by column.
    """

    def __init__(
        self, given: Sequence[Chosen], questions: Iterable[Question], sources: Mapping[str, str]
    ) -> None:
        self.given, self._questions, self._sources = given, questions, sources
        self.errors: list[FieldError] = []
        self._places: dict[tuple[str, str, int | None], int] = {}
        self._used: set[int] = set()
        self._vague: dict[int, list[int]] = {}
        for n, resolution in enumerate(given):
            key = (resolution.column, fold_name(resolution.value), resolution.row)
            if self._places.setdefault(key, n) != n:
                self.errors.append(self.build_error(duplicate_key, n, "value"))

    def find(self, column: str, row: int, *words: str | None) -> Chosen | None:
        """Find the resolution of a cell by any of its `words`; one for its row wins over one for all rows."""
        for of_row in (row, None):
            for word in filter(None, words):
                n = self._places.get((column, fold_name(word), of_row))
                if n is not None:
                    self._used.add(n)
                    if of_row is None and len(rows := self._list_rows(column, word)) > 1:
                        self._vague[n] = sorted(set().union(*rows))
                    return self.given[n]
        return None

    def needs_row(self, column: str, value: str) -> bool:
        """Return whether the words have several meanings in the file."""
        return len(self._contexts.get((column, fold_name(value)), ())) > 1

    def list_misfits(self) -> list[FieldError]:
        """Return an error for each resolution that no cell used, or that fits cells of several meanings."""
        unused = [n for n in range(len(self.given)) if n not in self._used]
        return [
            *(self.build_error(UNUSED_RESOLUTION, n, "value") for n in unused),
            *(
                self.build_error(RESOLUTION_NEEDS_ROW, n, "value", allowed=rows)
                for n, rows in self._vague.items()
            ),
        ]

    def build_error(
        self,
        kind: Kind,
        n: int,
        name: Literal["value", "code"],
        *,
        allowed: Sequence[int] | None = None,
        candidates: Sequence[Candidate] = (),
    ) -> FieldError:
        resolution = self.given[n]
        return FieldError(
            kind,
            pointer=f"/resolutions/{n}/{name}",
            value=getattr(resolution, name),
            allowed=allowed,
            values={"source": self._sources[resolution.column]},
            candidates=candidates,
        )

    def _list_rows(self, column: str, word: str) -> list[set[int]]:
        """Return the rows of each meaning of the words, without those that have a resolution of their own."""
        folded = fold_name(word)
        rows = self._contexts[column, folded].values()
        return [
            left for of in rows if (left := {row for row in of if (column, folded, row) not in self._places})
        ]

    @cached_property
    def _contexts(self) -> Mapping[tuple[str, str], Mapping[object, set[int]]]:
        contexts: dict[tuple[str, str], dict[object, set[int]]] = defaultdict(lambda: defaultdict(set))
        for question in self._questions:
            for word in {fold_name(word) for word in question.words if word}:
                contexts[question.column, word][question.context].add(question.row)
        return contexts
