"""What a row takes from the rows above it, and what must be true of it then.

The levels are strategy, agency, programme, activity, sub-activity; `rules.py` says how blanks are
understood.
"""

from dataclasses import dataclass, field
from typing import Any

from app.exchange.matrix.codes import CODE_CONFLICT, broken_chain
from app.exchange.matrix.models import MatrixRow, Named, Strategy
from app.exchange.matrix.rows import AMOUNTS, LEVELS
from app.kit.problems import FieldError, Kind

NO_SUBACTIVITY = Kind(
    "no_subactivity",
    "Ada jumlah tanpa sub kegiatan. Isi sub kegiatannya; bila ini subtotal, hapus jumlahnya.",
    "There is an amount without a sub-activity. Name it, or remove the amount if this is a subtotal.",
)
NO_AGENCY = Kind(
    "no_agency",
    "Baris tanpa perangkat daerah, dan di atasnya dalam strategi yang sama tidak ada.",
    "A line without an agency, with none above it in the same strategy.",
)


@dataclass
class Block:
    """A strategy's block: what its rows may take from above, and what its section row says."""

    strategy: Strategy | None = None
    # The section row's words when they name no strategy, and where they stand.
    unknown: FieldError | None = None
    section: bool = False
    above: dict[str, Named | None] = field(default_factory=dict)
    last_line: int | None = None


def inherit(
    block: Block,
    values: dict[str, Any],
    own: dict[str, Named | None],
    by_code: str | None,
    has_code_cell: bool,
) -> set[str]:
    """Fill blank levels from above, down to the first that differs; remember the row for those below."""
    above, inherited, same = block.above, set(), True
    for key in LEVELS:
        before = above.get(key)
        if key in own:
            mine = own[key]
            if before is not None and mine is not None:
                named_again = (
                    key == "agency" and not has_code_cell and (mine.code, mine.name) == (None, before.name)
                )
                coded_again = key == by_code and mine.code == before.code
                mine = before if named_again or coded_again else mine
            same = same and mine == before
            values[key] = mine
        elif same and before is not None:
            values[key] = before
            inherited.add(key)
        else:
            values[key] = None
    block.above = {key: values[key] for key in LEVELS}
    return inherited


def row_errors(row: MatrixRow) -> list[FieldError]:
    """What is wrong with a row as a whole."""
    errors: list[FieldError] = []
    amount = next((row[key] for key in AMOUNTS if row[key]), None)
    if row["subactivity"] is None and amount is not None and "subactivity" not in row.texts:
        errors.append(FieldError(NO_SUBACTIVITY, cell=row.cell("subactivity"), value=amount))
    if row["agency"] is None and "agency" not in row.texts:
        errors.append(FieldError(NO_AGENCY, cell=row.cell("agency")))
    if (broken := broken_chain(row.values)) is not None:
        key, code, above = broken
        errors.append(FieldError(CODE_CONFLICT, cell=row.cell(key), value=code, values={"other": above}))
    return errors
