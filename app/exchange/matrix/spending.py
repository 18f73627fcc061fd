"""The realisation of a line: half-years and quarters, alone or cumulative.

A report has Sem.1, Sem.2 and Total, or quarters. The service stores the cumulative amount to the end of a period. If
the columns hold each half-year alone (`period`), Total = Sem.1 + Sem.2; if they are cumulative already, Total =
Sem.2. The caller states the basis; the import reports a Total that contradicts it and corrects nothing silently. In the
real report of Kotabaru every Total is a sum, yet 28 of these sums exceed their allocation, because many of its Sem.2
cells were cumulative already.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from app.exchange.matrix.models import Basis, MatrixLine, MatrixRow
from app.kit.problems import FieldError, Kind
from app.kit.tables.numbers import format_thousands

TOTAL_CONTRADICTS_BASIS = Kind(
    "total_contradicts_basis",
    "Total Rp {total} tidak sesuai dengan isi realisasi {basis:basis}. Seharusnya Rp {expected}.",
    "The total Rp {total} contradicts figures {basis:basis}. It should be Rp {expected}.",
)
TOTAL_ALONE = Kind(
    "total_alone",
    "Total Rp {total} tidak disertai semester atau triwulan. Isi kolomnya.",
    "The total Rp {total} has no half-years and no quarters. Enter them.",
)

QUARTERS_DISAGREE = Kind(
    "quarters_disagree",
    "Rp {total} tidak sama dengan kolom lain untuk akhir triwulan yang sama, yaitu Rp {expected}.",
    "Rp {total} differs from the other column for the end of the same quarter, which gives Rp {expected}.",
)


class SpentColumn(NamedTuple):
    """A column of realisation: the quarter that ends it, and the quarter before its own time, None for January."""

    key: str
    quarter: str
    before: str | None


SPENT_COLUMNS = (
    SpentColumn("spent_q1", "Q1", None),
    SpentColumn("spent_s1", "Q2", None),
    SpentColumn("spent_q2", "Q2", "Q1"),
    SpentColumn("spent_q3", "Q3", "Q2"),
    SpentColumn("spent_s2", "Q4", "Q2"),
    SpentColumn("spent_q4", "Q4", "Q3"),
)
"""The columns in the order of their quarters."""


def accumulate_spending(
    line: MatrixLine, basis: Basis, stored: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return column → a line's spending from January to the end of its quarter, under the stated basis.

    A blank column has none. If the time before a column is blank too, its figure adds to the stored spending of the
    quarter before, else to the last quarter that the line gives.
    """
    by_column: dict[str, int] = {}
    by_quarter: dict[str, int] = {}
    for column in SPENT_COLUMNS:
        amount: int | None = line[column.key]
        if amount is None:
            continue
        if basis == "period" and column.before is not None:
            known = {**(stored or {}), **by_quarter}
            earlier = [base for quarter, base in by_quarter.items() if quarter < column.before]
            amount += known.get(column.before, earlier[-1] if earlier else 0)
        by_column[column.key] = amount
        by_quarter.setdefault(column.quarter, amount)
    return by_column


def list_quarters(columns: Collection[str]) -> list[str]:
    """Return the quarters that columns of realisation end, in order."""
    return list(dict.fromkeys(column.quarter for column in SPENT_COLUMNS if column.key in columns))


def has_open_start(line: MatrixLine) -> bool:
    """Return whether a figure of the line follows a quarter that the line leaves blank."""
    given = {column.quarter for column in SPENT_COLUMNS if line[column.key] is not None}
    starts = {column.before for column in SPENT_COLUMNS if line[column.key] is not None}
    return not starts - {None} <= given


def split_spending(
    first: int | None, total: int | None, basis: Basis, *, is_of_second_half: bool
) -> dict[str, int | None]:
    """Return the cells of cumulative figures: `first` of Q2, `total` of the last quarter.

    The second half-year is blank while `total` only repeats a report of the first.
    """
    s2 = total if is_of_second_half or total != first else None
    if basis == "period" and s2 is not None:
        s2 -= first or 0
    return {"spent_s1": first, "spent_s2": s2, "spent_total": total}


def check_totals(
    rows: Iterable[MatrixRow], basis: Basis, bases: Mapping[int, Mapping[str, int]] | None = None
) -> list[FieldError]:
    """Return an error for each Total that contradicts the basis, and each column that contradicts another of its
    quarter, in the order of the rows.

    `bases` gives the stored spending by quarter for rows that leave quarters blank. In rows with a rounded amount, one
    rupiah of difference is no error.
    """
    errors = []
    for row in rows:
        spent = accumulate_spending(row, basis, (bases or {}).get(row.row))
        tolerance = 1 if row.rounded.intersection(("spent_total", *spent)) else 0
        by_quarter: dict[str, int] = {}
        for column in SPENT_COLUMNS:
            if column.key in spent:
                amount = by_quarter.setdefault(column.quarter, spent[column.key])
                if abs(amount - spent[column.key]) > tolerance:
                    errors.append(
                        _make_difference(QUARTERS_DISAGREE, row, column.key, spent[column.key], amount)
                    )
        total: int | None = row["spent_total"]
        # Without a reported second half, Total is the first half.
        expected = by_quarter[max(by_quarter)] if by_quarter else None
        if total is None or (expected is None and not total):
            continue
        if expected is None:
            values: dict[str, object] = {"total": format_thousands(total)}
            errors.append(FieldError(TOTAL_ALONE, cell=row.cell("spent_total"), value=total, values=values))
        elif abs(expected - total) > tolerance:
            errors.append(
                _make_difference(TOTAL_CONTRADICTS_BASIS, row, "spent_total", total, expected, basis=basis)
            )
    return errors


def _make_difference(
    kind: Kind, row: MatrixRow, key: str, total: int, expected: int, **more: object
) -> FieldError:
    values = {"total": format_thousands(total), "expected": format_thousands(expected), **more}
    return FieldError(kind, cell=row.cell(key), value=total, values=values)
