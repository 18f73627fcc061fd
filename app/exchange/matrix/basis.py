"""The cumulative trap: whether the half-year columns of a report hold what the caller says they hold.

A report states Sem.1, Sem.2 and Total. Stored is always the cumulative amount to the end of a
period. If the columns hold each half-year alone (`period`), Total = Sem.1 + Sem.2; if they are
cumulative already, Total = Sem.2. The caller states which; a Total that says otherwise is listed,
and nobody is corrected silently. In the real report of Kotabaru every Total is a sum, yet 28 of
these sums exceed their allocation, because many of its Sem.2 cells were cumulative already.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from app.exchange.matrix.models import Basis, Line, MatrixRow
from app.exchange.matrix.numbers import thousands
from app.kit.problems import FieldError, Kind

TOTAL_CONTRADICTS_BASIS = Kind(
    "total_contradicts_basis",
    "Total {value} bertentangan dengan pernyataan {basis}: seharusnya {expected}.",
    "The total {value} contradicts the statement {basis}: it would be {expected}.",
)
TOTAL_ALONE = Kind(
    "total_alone",
    "Total {value} tanpa Sem.1 dan Sem.2; tidak jelas sampai periode mana.",
    "A total of {value} without Sem.1 and Sem.2; it is not clear up to which period.",
)


@dataclass(frozen=True)
class Spent:
    """Whole rupiah spent from January to the end of June (`q2`) and December (`q4`); None: not reported."""

    q2: int | None
    q4: int | None


def cumulative_spent(line: Line, basis: Basis) -> Spent:
    """A line's spending as it is stored, under the stated basis.

    A blank half-year is not reported and stays None; beside a reported second half, a blank first
    one adds nothing.
    """
    s1: int | None = line["spent_s1"]
    s2: int | None = line["spent_s2"]
    if basis == "cumulative" or s2 is None:
        return Spent(s1, s2)
    return Spent(s1, (s1 or 0) + s2)


def basis_contradictions(rows: Iterable[MatrixRow], basis: Basis) -> list[FieldError]:
    """The Total cells that contradict the statement, in the order of the rows.

    Where a cell lost a fraction of a rupiah, one rupiah of difference is that rounding.
    """
    found = []
    for row in rows:
        total = row["spent_total"]
        if not total and row["spent_s1"] is None and row["spent_s2"] is None:
            continue
        if total is None:
            continue
        expected = _expected(row, basis)
        if expected is None:
            found.append(FieldError(TOTAL_ALONE, cell=row.cell("spent_total"), value=total))
        elif not _fits(row, basis):
            values = {"basis": basis, "expected": thousands(expected)}
            found.append(
                FieldError(TOTAL_CONTRADICTS_BASIS, cell=row.cell("spent_total"), value=total, values=values)
            )
    return found


def _expected(row: MatrixRow, basis: Basis) -> int | None:
    """What Total would be: with the second half not reported yet, it is the first half."""
    s1, s2 = row["spent_s1"], row["spent_s2"]
    if s1 is None and s2 is None:
        return None
    if basis == "period":
        return int((s1 or 0) + (s2 or 0))
    return int(s2 if s2 is not None else s1)


def _fits(row: MatrixRow, basis: Basis) -> bool:
    expected, total = _expected(row, basis), row["spent_total"]
    tolerance = 1 if row.rounded & {"spent_s1", "spent_s2", "spent_total"} else 0
    return expected is not None and total is not None and abs(expected - total) <= tolerance
