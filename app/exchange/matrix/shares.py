"""Cells that name several parts: funding sources, and the components of an activity class.

Amounts may stand in the cell (`APBD Rp 500.000.000; DAK Rp 200.000.000`). The matrix has one
allocation per line, so this is how a line with several sources keeps what each of them gives when
it goes out and comes in again.

Funding sources are parted by `;` or a line break where there is one, else by `,` `/` `&` `+` and
"dan". A name with its official code in front (`1.01.01.15 Pajak Bumi dan Bangunan`) is one name, and
so is one that ends with `;` or that the caller knows.
"""

import re
from collections.abc import Collection

from app.exchange.matrix.models import Reading, Remark, Share
from app.exchange.matrix.numbers import NOT_A_NUMBER, read_rupiah, thousands, unusable
from app.kit.files.books import Value
from app.kit.files.cells import as_text

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
    why = unusable(value)
    if why is not None:
        return Reading((), str(value), (why,))
    text = as_text(value)
    if not text or text == "-":
        return Reading(())
    return _shares(split_names(text, known))


def read_components(value: Value) -> Reading[tuple[Share, ...]]:
    """What a class of activity pays for.

    Free text stays one part, whatever its punctuation; only a cell each of whose lines ends in an
    amount is several. A cell with nothing but a number is an amount without words.
    """
    why = unusable(value)
    if why is not None:
        return Reading((), str(value), (why,))
    text = as_text(value)
    if _DIGITS.fullmatch(text):  # the same in a workbook, where it is a number, and in CSV
        number = read_rupiah(value)
        shares = () if number.value is None else (Share("", number.value),)
        return Reading(shares, number.text, number.remarks)
    if not text or text == "-":
        return Reading(())
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
