"""Amounts of rupiah as offices type them: whole numbers, several of them in a cell, and half-years.

The rule for separators, because `1.250` is a thousand in Jakarta and one and a quarter in London:

1. Both `.` and `,` occur: the last one is the decimal mark, the other parts thousands.
2. One of them occurs several times: it parts thousands.
3. One of them occurs once, with exactly three digits behind and one to three in front (not a lone
   `0`): it parts thousands, since rupiah have no thousandths (`1.250` = `1,250` = 1250).
4. One of them occurs once, with another number of digits behind: it is the decimal mark.
5. Thousands that are not groups of three (`1250.000`, `1.25.000`) are not guessed at.

A dash or "nihil" is zero, as accountants write it; a blank cell is "not stated", which is not zero.
A fraction of a rupiah is rounded half up, and said so.

Funding sources and the components of an activity class may carry amounts in their cell (`APBD Rp 500.000.000;
DAK Rp 200.000.000`). The matrix has one allocation per line, so this is how a line with several sources keeps
what each of them gives when it goes out and comes in again. Funding sources are parted by `;` or a line break
where there is one, else by `,` `/` `&` `+` and "dan". A name with its official code in front (`1.01.01.15 Pajak
Bumi dan Bangunan`) is one name, and so is one that ends with `;` or that the caller knows.

A report states Sem.1, Sem.2 and Total. Stored is always the cumulative amount to the end of a
period. If the columns hold each half-year alone (`period`), Total = Sem.1 + Sem.2; if they are
cumulative already, Total = Sem.2. The caller states which; a Total that says otherwise is listed,
and nobody is corrected silently. In the real report of Kotabaru every Total is a sum, yet 28 of
these sums exceed their allocation, because many of its Sem.2 cells were cumulative already.
"""

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

from app.exchange.matrix.models import Basis, Line, MatrixRow, Reading, Remark, Share
from app.kit.files.books import Value
from app.kit.files.cells import as_text, clean, why_unusable
from app.kit.problems import FieldError, Kind

Nothing = TypeVar("Nothing", None, tuple[()])

NOT_A_NUMBER = Kind(
    "not_an_amount",
    "{value} bukan jumlah rupiah. Tulis angkanya saja, misalnya 1250000 atau Rp 1.250.000.",
    "{value} is not an amount of rupiah. Write the digits, for example 1250000 or Rp 1.250.000.",
)
AMBIGUOUS_NUMBER = Kind(
    "ambiguous_number",
    "{value} dapat dibaca lebih dari satu cara. Tulis tanpa pemisah, misalnya 1250000.",
    "{value} can be read in more than one way. Write it without separators, for example 1250000.",
)
NEGATIVE_NUMBER = Kind(
    "negative_number",
    "{value} bernilai negatif; jumlah rupiah tidak boleh di bawah nol.",
    "{value} is negative; an amount of rupiah is never below zero.",
)
LOST_DIGITS = Kind(
    "lost_digits",
    "{value} telah kehilangan angka (notasi ilmiah atau terlalu besar). Isi ulang sebagai angka penuh.",
    "{value} has lost digits (scientific notation or too large). Enter the full number again.",
)
ROUNDED = Kind(
    "rounded",
    "{value} dibulatkan menjadi {rounded} rupiah.",
    "{value} was rounded to {rounded} rupiah.",
)

# Above this a spreadsheet's numbers no longer hold every digit.
LARGEST = 2**53 - 1

_NIL = {"-", "–", "—", "nihil"}
_CURRENCY = re.compile(r"^(?:rp|idr)\.?\s*|(?<=\d)\s*(?:rupiah|idr)\s*$", re.IGNORECASE)
_NO_CENTS = re.compile(r"[.,]\s*[-–—]{1,2}$")  # "Rp 1.250.000,-"
_SCIENTIFIC = re.compile(r"^[+-]?\d+(?:[.,]\d+)?e[+-]?\d+$", re.IGNORECASE)
_SPACED = re.compile(r"^\d{1,3}(?: \d{3})+(?=$|[.,])")


def unusable(value: Value) -> Remark | None:
    """Why a cell cannot be used whatever its column: a formula, an error, a date."""
    kind = why_unusable(value)
    return Remark(kind, blocking=True) if kind else None


def read_usable_text(
    value: Value, nothing: Nothing, blank: Collection[str] = ("", "-")
) -> str | Reading[Nothing]:
    """Return a cell's text; of a blank cell, a dash, or one that cannot be used, the whole reading."""
    if (why := unusable(value)) is not None:
        return Reading(nothing, str(value), (why,))
    text = as_text(value)
    return text if text not in blank else Reading(nothing)


def read_rupiah(value: Value) -> Reading[int | None]:
    """Whole rupiah of a cell: None when blank, 0 for a dash; what cannot be read is a blocking remark."""
    reading = read_change(value)
    if reading.value is not None and reading.value < 0:
        return _unread(NEGATIVE_NUMBER, as_text(value))
    return reading


def read_change(value: Value) -> Reading[int | None]:
    """The same, but it may be below zero: money that came back."""
    if value is None:
        return Reading(None)
    if isinstance(value, bool):
        return _unread(NOT_A_NUMBER, str(value).upper())
    if isinstance(value, int):
        return _whole(Decimal(value), str(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            return _unread(NOT_A_NUMBER, str(value))
        return _whole(Decimal(repr(value)), repr(value))
    why = unusable(value)
    if why is not None:
        return Reading(None, str(value), (why,))
    text = clean(str(value))
    if not text:
        return Reading(None)
    return _read_text(text)


def _read_text(text: str) -> Reading[int | None]:
    plain = _CURRENCY.sub("", text).strip()
    plain = _NO_CENTS.sub("", plain).strip()
    if plain.lower() in _NIL:
        return Reading(0)
    if _SCIENTIFIC.match(plain):
        return _unread(LOST_DIGITS, text)
    bare, negative = _sign(plain)
    bare = _CURRENCY.sub("", bare).strip()
    if spaced := _SPACED.match(bare):
        bare = spaced[0].replace(" ", "") + bare[spaced.end() :]
    if not re.fullmatch(r"[0-9][0-9.,]*", bare):
        return _unread(NOT_A_NUMBER, text)
    number = _decimal(bare)
    if number is None:
        return _unread(AMBIGUOUS_NUMBER, text)
    return _whole(-number if negative else number, text)


def _sign(text: str) -> tuple[str, bool]:
    if len(text) > 2 and text[0] == "(" and text[-1] == ")":
        return text[1:-1].strip(), True
    if text[:1] in {"-", "–", "−"}:
        return text[1:].strip(), True
    if text[-1:] == "-":
        return text[:-1].strip(), True
    return text.removeprefix("+").strip(), False


def _decimal(text: str) -> Decimal | None:
    """The number that digits with `.` and `,` stand for, by the rule of this module; None if unclear."""
    marks = [c for c in text if c in ".,"]
    if not marks:
        return Decimal(text)
    if len(set(marks)) == 2:
        whole, _, fraction = text.rpartition(marks[-1])
        if marks.count(marks[-1]) > 1:
            return None
        grouped = _ungrouped(whole, marks[0])
        return None if grouped is None else Decimal(f"{grouped}.{fraction or 0}")
    if len(marks) > 1:
        grouped = _ungrouped(text, marks[0])
        return None if grouped is None else Decimal(grouped)
    whole, _, fraction = text.partition(marks[0])
    if len(fraction) != 3 or not whole.strip("0"):
        return Decimal(f"{whole}.{fraction or 0}")
    return Decimal(whole + fraction) if len(whole) <= 3 and whole[0] != "0" else None


def _ungrouped(text: str, mark: str) -> str | None:
    first, *rest = text.split(mark)
    if not 1 <= len(first) <= 3 or not first.strip("0") or any(len(group) != 3 for group in rest):
        return None
    return first + "".join(rest)


def _whole(number: Decimal, text: str) -> Reading[int | None]:
    if abs(number) > LARGEST:
        return _unread(LOST_DIGITS, text)
    rupiah = int(number.to_integral_value(ROUND_HALF_UP))
    if rupiah == number:
        return Reading(rupiah)
    return Reading(rupiah, "", (Remark(ROUNDED, values={"rounded": rupiah}),))


def _unread(kind: Kind, text: str) -> Reading[int | None]:
    return Reading(None, text, (Remark(kind, blocking=True),))


def thousands(number: int) -> str:
    """An amount as Indonesian text: 1250000 → `1.250.000`."""
    return f"{number:,}".replace(",", ".")


# Several amounts in a cell


_STRONG = re.compile(r"[;\n]")
_WEAK = re.compile(r",(?!\d)|(?<!\bkab)(?<!\bkabupaten)/|[&+]|\bdan\b", re.IGNORECASE)
_CODED = re.compile(r"^\d+(?:\.\d+)+\s+\S")
# Searched, not matched from the start: a name of any length costs one pass.
_AMOUNT = re.compile(r"\bRp\.?\s*(\d[\d.,]*?)(?:,-)?\)?$", re.IGNORECASE)
_DIGITS = re.compile(r"-?\d[\d.,]*")
_BEFORE_AMOUNT = " \n:=(–-"
# No official name has more places than this at which it could be taken apart.
MOST_PARTS = 12


def read_sources(value: Value, known: Collection[str] = ()) -> Reading[tuple[Share, ...]]:
    """Funding sources in the order of the cell; `known` names are never taken apart."""
    text = read_usable_text(value, ())
    if isinstance(text, Reading):
        return text
    return _shares(split_names(text, known))


def read_components(value: Value) -> Reading[tuple[Share, ...]]:
    """What a class of activity pays for.

    Free text stays one part, whatever its punctuation; only a cell each of whose lines ends in an
    amount is several. A cell with nothing but a number is an amount without words.
    """
    text = read_usable_text(value, ())
    if isinstance(text, Reading):
        return text
    if _DIGITS.fullmatch(text):  # the same in a workbook, where it is a number, and in CSV
        number = read_rupiah(value)
        shares = () if number.value is None else (Share("", number.value),)
        return Reading(shares, number.text, number.remarks)
    lines = [line for line in text.split("\n") if line]
    if all(_AMOUNT.search(line) for line in lines):
        return _shares(lines)
    return Reading((Share(text),))


def split_names(text: str, known: Collection[str] = ()) -> list[str]:
    """The names of a cell of funding sources, by the rule of this module."""
    whole = {name.casefold() for name in known}
    if text.casefold() in whole:
        return [text]
    if _STRONG.search(text):
        pieces = [piece.strip() for piece in _STRONG.split(text)]
        return [piece for piece in pieces if piece]
    if _CODED.match(text):
        return [text]
    # Longest run of parts first, so that a known name with "dan" in it survives inside a list.
    cuts = [(0, 0), *((m.start(), m.end()) for m in _WEAK.finditer(text)), (len(text), len(text))]
    names: list[str] = []
    i = 0
    while i < len(cuts) - 1:
        j = next(
            (
                j
                for j in range(min(len(cuts) - 1, i + MOST_PARTS), i, -1)
                if text[cuts[i][1] : cuts[j][0]].strip().casefold() in whole
            ),
            i + 1,
        )
        names.append(text[cuts[i][1] : cuts[j][0]].strip())
        i = j
    return [name for name in names if name]


def _shares(names: list[str]) -> Reading[tuple[Share, ...]]:
    shares: list[Share] = []
    remarks: list[Remark] = []
    for name in names:
        found = _AMOUNT.search(name)
        if found is None:
            shares.append(Share(name))
            continue
        amount = read_rupiah(found[1])
        if amount.value is None:
            return Reading((), "\n".join(names), amount.remarks or (Remark(NOT_A_NUMBER, blocking=True),))
        remarks += amount.remarks
        shares.append(Share(name[: found.start()].rstrip(_BEFORE_AMOUNT), amount.value))
    return Reading(tuple(shares), "", tuple(remarks))


def write_sources(shares: tuple[Share, ...]) -> str | None:
    """The inverse of `read_sources`, for names without `;` and line breaks."""
    if not shares:
        return None
    text = "; ".join(_written(share) for share in shares)
    # A lone name that would be taken apart is closed with the strong mark.
    return text + ";" if len(split_names(text)) != len(shares) else text


def write_components(shares: tuple[Share, ...]) -> str | None:
    """The inverse of `read_components`: a line for each part."""
    if not shares:
        return None
    return "\n".join(_written(share) for share in shares)


def _written(share: Share) -> str:
    if share.amount is None:
        return share.name
    if not share.name:
        return f"Rp {thousands(share.amount)}"
    return f"{share.name} (Rp {thousands(share.amount)})"


# Half-years


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
        total, spent = row["spent_total"], cumulative_spent(row, basis)
        # with the second half not reported yet, Total is the first half
        expected = spent.q2 if spent.q4 is None else spent.q4
        if total is None or (expected is None and not total):
            continue
        tolerance = 1 if row.rounded & {"spent_s1", "spent_s2", "spent_total"} else 0
        if expected is None:
            found.append(FieldError(TOTAL_ALONE, cell=row.cell("spent_total"), value=total))
        elif abs(expected - total) > tolerance:
            values = {"basis": basis, "expected": thousands(expected)}
            found.append(
                FieldError(TOTAL_CONTRADICTS_BASIS, cell=row.cell("spent_total"), value=total, values=values)
            )
    return found
