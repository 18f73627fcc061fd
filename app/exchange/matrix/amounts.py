"""Reader of rupiah as offices type them: whole numbers, and several of them in a cell.

`app/kit/tables/numbers.py` has the rule for separators. If another cell of the column shows the mark of a lone group as
the decimal one (`0,06`), the table's reader refuses the cell.

A fraction of a rupiah below a thousand (850.5) is an error too: in the other notation it is 850,500, and a spreadsheet
drops the zeros. The fraction of a larger number is a remainder of some division: the reader rounds it half up, with a
remark.

Funding sources and the components of an activity class may have amounts in their cell (`APBD Rp 500.000.000;
DAK Rp 200.000.000`). The matrix has one allocation per line, so that is how an export keeps the amount of each of
several sources for the next import. A `;` or a line break separates funding sources; without either, `,` `/` `&`
`+` and "dan" do. A name with its official code in front (`1.01.01.15 Pajak Bumi dan Bangunan`) is one name, and so
is one that ends with `;` or that the caller knows.
"""

import math
import re
from collections.abc import Collection
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

from app.exchange.matrix.models import Reading, Remark, Share
from app.kit.files.books import Value
from app.kit.files.cells import clean_text, find_refusal, render_text
from app.kit.problems import Kind
from app.kit.tables.numbers import LARGEST, NIL, format_thousands, parse_decimal, split_sign

Empty = TypeVar("Empty", None, tuple[()])

NOT_A_NUMBER = Kind(
    "not_an_amount",
    "“{value}” bukan jumlah rupiah. Tulis angkanya saja, misalnya 1250000 atau Rp 1.250.000.",
    "“{value}” is not an amount of rupiah. Write the digits, for example 1250000 or Rp 1.250.000.",
)
AMBIGUOUS_NUMBER = Kind(
    "ambiguous_number",
    "“{value}” dapat dibaca lebih dari satu cara. Tulis tanpa pemisah, misalnya 1250000.",
    "“{value}” has more than one meaning. Write it without separators, for example 1250000.",
)
NEGATIVE_NUMBER = Kind(
    "negative_number",
    "“{value}” bernilai negatif. Jumlah rupiah tidak boleh di bawah nol.",
    "“{value}” is negative. An amount of rupiah is never below zero.",
)
LOST_DIGITS = Kind(
    "lost_digits",
    "“{value}” telah kehilangan angka, misalnya oleh notasi ilmiah. Isi ulang angka lengkapnya.",
    "“{value}” has lost digits, for example by scientific notation. Enter the full number again.",
)
OTHER_UNIT = Kind(
    "other_unit",
    "“{value}” menyebut rupiah, padahal kolomnya dalam satuan “{unit}”. Tulis angkanya saja.",
    "“{value}” names rupiah, but the column is in the unit “{unit}”. Write the number alone.",
)
ROUNDED = Kind(
    "rounded",
    "“{value}” dibulatkan menjadi {rounded} rupiah.",
    "The import rounded “{value}” to {rounded} rupiah.",
)

FRACTION_OF_RUPIAH = Kind(
    "fraction_of_rupiah",
    "“{value}” adalah pecahan rupiah dan dapat dibaca lebih dari satu cara. Isi angka lengkapnya tanpa pemisah.",
    "“{value}” is a fraction of a rupiah and has more than one meaning. Enter the full number without separators.",
)

_CURRENCY = re.compile(r"^(?:rp|idr)\.?\s*|(?<=\d)\s*(?:rupiah|idr)\s*$", re.IGNORECASE)
_NO_CENTS = re.compile(r"[.,]\s*[-–—]{1,2}$")  # "Rp 1.250.000,-"
_MARKED = re.compile(r"[0-9][0-9., ]*")
_SCIENTIFIC = re.compile(r"^[+-]?\d+(?:[.,]\d+)?e[+-]?\d+$", re.IGNORECASE)


def describe_unusable(value: Value) -> Remark | None:
    """Return a remark for a formula, an error or a date, None for a cell that is usable."""
    kind = find_refusal(value)
    return Remark(kind, blocking=True) if kind else None


def read_usable_text(
    value: Value, nothing: Empty, blank: Collection[str] = ("", "-")
) -> str | Reading[Empty]:
    """Return a cell's text, or its whole reading if it is blank, a dash or unusable."""
    if (why := describe_unusable(value)) is not None:
        return Reading(nothing, str(value), (why,))
    text = render_text(value)
    return text if text not in blank else Reading(nothing)


def read_rupiah(value: Value, times: int = 1) -> Reading[int | None]:
    """Read whole rupiah from a number of `times` rupiah: None for a blank cell, 0 for a dash.

    Anything else gives a blocking remark.
    """
    reading = read_change(value, times)
    if reading.value is not None and reading.value < 0:
        return _make_unread(NEGATIVE_NUMBER, render_text(value))
    return reading


def read_change(value: Value, times: int = 1) -> Reading[int | None]:
    """Read whole rupiah that may be negative: money that came back."""
    if value is None:
        return Reading(None)
    if isinstance(value, bool):
        return _make_unread(NOT_A_NUMBER, str(value).upper())
    if isinstance(value, int):
        return _round_rupiah(Decimal(value) * times, str(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            return _make_unread(NOT_A_NUMBER, str(value))
        return _round_rupiah(Decimal(repr(value)) * times, repr(value))
    why = describe_unusable(value)
    if why is not None:
        return Reading(None, str(value), (why,))
    text = clean_text(str(value))
    if not text:
        return Reading(None)
    return _parse_text(text, times)


def names_currency(value: Value) -> bool:
    """Return whether a cell names rupiah itself, so that the unit of its column may be another."""
    return isinstance(value, str) and bool(re.search(r"\brp|rupiah|\bidr", value, re.IGNORECASE))


def _parse_text(text: str, times: int) -> Reading[int | None]:
    # A typed apostrophe before digits is the sign of spreadsheets for text.
    plain = _CURRENCY.sub("", text.removeprefix("'")).strip()
    plain = _NO_CENTS.sub("", plain).strip()
    if plain.lower() in NIL:
        return Reading(0)
    if _SCIENTIFIC.match(plain):
        return _make_unread(LOST_DIGITS, text)
    bare, negative = split_sign(plain)
    bare = _CURRENCY.sub("", bare).strip()
    number = parse_decimal(bare)
    if number is None:
        return _make_unread(AMBIGUOUS_NUMBER if _MARKED.fullmatch(bare) else NOT_A_NUMBER, text)
    return _round_rupiah((-number if negative else number) * times, text)


def _round_rupiah(number: Decimal, text: str) -> Reading[int | None]:
    if abs(number) > LARGEST:
        return _make_unread(LOST_DIGITS, text)
    rupiah = int(number.to_integral_value(ROUND_HALF_UP))
    if rupiah == number:
        return Reading(rupiah)
    thousands = number * 1000
    if abs(number) < 1 or (abs(number) < 1000 and thousands == int(thousands)):
        nearest = [format_thousands(rupiah)] + [format_thousands(int(thousands))] * (abs(number) >= 1)
        return Reading(None, text, (Remark(FRACTION_OF_RUPIAH, blocking=True, nearest=nearest),))
    return Reading(rupiah, "", (Remark(ROUNDED, values={"rounded": rupiah}),))


def _make_unread(kind: Kind, text: str) -> Reading[int | None]:
    return Reading(None, text, (Remark(kind, blocking=True),))


# Several amounts in a cell


_STRONG = re.compile(r"[;\n]")
_WEAK = re.compile(r",(?!\d)|(?<!\bkab)(?<!\bkabupaten)/|[&+]|\bdan\b", re.IGNORECASE)
_CODED = re.compile(r"^\d+(?:\.\d+)+\s+\S")
# For `search`, not `match`: a name of any length costs one pass.
_AMOUNT = re.compile(r"\bRp\.?\s*(\d[\d.,]*?)(?:,-)?\)?$", re.IGNORECASE)
# In a cell of sources a grouped number in brackets can only be an amount: `APBD (10.000.000)`.
_AMOUNT_OF_SOURCE = re.compile(
    rf"{_AMOUNT.pattern}|\((\d{{1,3}}(?:[.,]\d{{3}})+(?:,\d\d)?)(?:,-)?\)$", re.IGNORECASE
)
_DIGITS = re.compile(r"-?\d[\d.,]*")
_BEFORE_AMOUNT = " \n:=(–-"
# No official name has more separators than this.
MOST_PARTS = 12


def read_sources(value: Value, known: Collection[str] = (), times: int = 1) -> Reading[tuple[Share, ...]]:
    """Read funding sources in the order of the cell, without splitting `known` names.

    An amount in brackets without "Rp" is in units of `times` rupiah.
    """
    text = read_usable_text(value, ())
    if isinstance(text, Reading):
        return text
    return _parse_shares(split_names(text, known), _AMOUNT_OF_SOURCE, times)


def read_components(value: Value, times: int = 1) -> Reading[tuple[Share, ...]]:
    """Read the components of an activity class.

    Free text is one component, with any punctuation; only a cell with an amount at the end of each line is several.
    A number alone is an amount without a name.
    """
    text = read_usable_text(value, ())
    if isinstance(text, Reading):
        return text
    if _DIGITS.fullmatch(text):  # a number in a workbook, text in CSV
        number = read_rupiah(value, times)
        shares = () if number.value is None else (Share("", number.value),)
        return Reading(shares, number.text, number.remarks)
    lines = [line for line in text.split("\n") if line]
    if all(_AMOUNT.search(line) for line in lines):
        return _parse_shares(lines, _AMOUNT)
    return Reading((Share(text),))


def split_names(text: str, known: Collection[str] = ()) -> list[str]:
    """Split a cell of funding sources into names, by the rule of this module."""
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


def _parse_shares(names: list[str], pattern: re.Pattern[str], times: int = 1) -> Reading[tuple[Share, ...]]:
    shares: list[Share] = []
    remarks: list[Remark] = []
    for name in names:
        match = pattern.search(name)
        if match is None:
            shares.append(Share(name))
            continue
        amount = read_rupiah(match[1]) if match[1] else read_rupiah(match[2], times)
        if amount.value is None:
            return Reading((), "\n".join(names), amount.remarks or (Remark(NOT_A_NUMBER, blocking=True),))
        remarks += amount.remarks
        shares.append(Share(name[: match.start()].rstrip(_BEFORE_AMOUNT), amount.value))
    return Reading(tuple(shares), "", tuple(remarks))


def write_sources(shares: tuple[Share, ...]) -> str | None:
    """Format shares so that `read_sources` can parse them, if no name has `;` or line breaks."""
    if not shares:
        return None
    text = "; ".join(_format_share(share) for share in shares)
    # The strong separator protects a lone name from being split.
    return text + ";" if len(split_names(text)) != len(shares) else text


def write_components(shares: tuple[Share, ...]) -> str | None:
    """Format shares so that `read_components` can parse them: a line for each."""
    if not shares:
        return None
    return "\n".join(_format_share(share) for share in shares)


def _format_share(share: Share) -> str:
    if share.amount is None:
        return share.name
    if not share.name:
        return f"Rp {format_thousands(share.amount)}"
    return f"{share.name} (Rp {format_thousands(share.amount)})"
