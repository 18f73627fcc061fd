"""Units that headings and titles name: `(Rp)`, `(dalam ribuan Rp)`, `(x Rp1.000)`, `Satuan: juta rupiah`."""

import re
from collections.abc import Iterator, Sequence

_SCALES = {
    word: times
    for words, times in (
        ("ribu ribuan rb", 10**3),
        ("juta jutaan jt", 10**6),
        ("miliar milyar miliaran milyaran", 10**9),
        ("triliun trilyun triliunan", 10**12),
    )
    for word in words.split()
}
_CURRENCY = frozenset(("rp", "idr", "rupiah"))
_OTHER = frozenset(("usd", "us", "dollar", "dolar", "eur", "euro", "m", "t", "k"))
_BESIDE = _CURRENCY | {"dalam", "dlm", "satuan", "x", "nilai"}
_TOKENS = re.compile(r"[a-z]+|[.,]?\d[\d.,]*|%")
_ZEROS = re.compile(r"1?[.,]?000(?:[.,]?000)*")


def split_tokens(text: str) -> list[str]:
    """Return the words and numbers of a text, folded."""
    return _TOKENS.findall(text.casefold())


def _find_scale(token: str) -> int | None:
    if token in _SCALES:
        return _SCALES[token]
    token = token.rstrip(".,")
    return int("1" + "0" * 3 * token.count("000")) if _ZEROS.fullmatch(token) else None


def is_unit(tokens: Sequence[str]) -> bool:
    """Return whether tokens name a currency or a scale, and nothing else."""
    scales = [token for token in tokens if _find_scale(token)]
    rest = [token for token in tokens if token not in scales]
    return bool(scales or not _CURRENCY.isdisjoint(rest)) and all(token in _BESIDE for token in rest)


def drop_unit(tokens: Sequence[str]) -> list[str]:
    """Return the tokens of a heading without the unit at its end: `Pagu Rp. Juta` → pagu."""
    for start in range(len(tokens)):
        if is_unit(tokens[start:]):
            return list(tokens[:start])
    return list(tokens)


def find_heading_scales(text: str) -> set[int]:
    """Return the scales that a heading names in brackets, also of counts (`(ribu jiwa)`), or at its end."""
    outside = re.sub(r"\(.*?\)", " ", text)
    tokens = split_tokens(outside)
    units = [
        tokens[len(drop_unit(tokens)) :],
        *(split_tokens(inside) for inside in re.findall(r"\((.*?)\)", text)),
    ]
    return {times for unit in units for token in unit if (times := _find_scale(token))}


def names_other_unit(text: str) -> bool:
    """Return whether a heading names a currency or a scale in brackets that no reader multiplies: `(USD)`, `(Rp M)`."""
    units = [split_tokens(inside) for inside in re.findall(r"\((.*?)\)", text)]
    return any(
        not _OTHER.isdisjoint(unit) and all(token in _OTHER or token in _BESIDE for token in unit)
        for unit in units
    )


def find_title_scales(text: str) -> set[int]:
    """Return the scales that a title names beside a currency or "dalam"; `PROGRAM SERIBU DESA` names none."""
    return set(_list_title_scales(split_tokens(text)))


def _list_title_scales(tokens: Sequence[str]) -> Iterator[int]:
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        times = _find_scale(token)
        # "Rp 1.000.000" in a title is an amount.
        is_amount = token[0] == "1" and before != "x"
        if times and not is_amount and (before in _BESIDE or after in _CURRENCY):
            yield times
