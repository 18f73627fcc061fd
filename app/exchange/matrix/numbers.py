"""Amounts as offices type them, read into whole rupiah.

The rule for separators, because `1.250` is a thousand in Jakarta and one and a quarter in London:

1. Both `.` and `,` occur: the last one is the decimal mark, the other parts thousands.
2. One of them occurs several times: it parts thousands.
3. One of them occurs once, with exactly three digits behind and one to three in front (not a lone
   `0`): it parts thousands, since rupiah have no thousandths (`1.250` = `1,250` = 1250).
4. One of them occurs once, with another number of digits behind: it is the decimal mark.
5. Thousands that are not groups of three (`1250.000`, `1.25.000`) are not guessed at.

A dash or "nihil" is zero, as accountants write it; a blank cell is "not stated", which is not zero.
A fraction of a rupiah is rounded half up, and said so.
"""

import math
import re
from decimal import ROUND_HALF_UP, Decimal

from app.exchange.matrix.models import Reading, Remark
from app.kit.files.books import Value
from app.kit.files.cells import as_text, clean, why_unusable
from app.kit.problems import Kind

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
