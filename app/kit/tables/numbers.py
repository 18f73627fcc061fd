"""Numbers as offices type them: signs, groups of thousands, decimal marks; and whole counts.

The rule for separators, because `1.250` is a thousand in Jakarta and one and a quarter in London:

1. Both `.` and `,` occur: the last one is the decimal mark, the other separates thousands.
2. One of them occurs several times: it separates thousands.
3. One of them occurs once, with exactly three digits behind and one to three in front (not a lone `0`): it separates
   thousands (`1.250` = `1,250` = 1250), since neither rupiah nor counts have thousandths.
4. One of them occurs once, with another number of digits behind: it is the decimal mark.
5. Thousands that are not groups of three (`1250.000`, `1.25.000`) are an error: the reader does not guess.

A dash or "nihil" is zero, as accountants write it; a blank cell is "not stated", which is not zero.
"""

import re
from collections.abc import Iterable
from decimal import Decimal

from app.kit.files.books import Value
from app.kit.files.cells import clean_text, find_refusal
from app.kit.problems import Kind

NOT_A_COUNT = Kind(
    "not_a_count",
    "“{value}” bukan bilangan bulat dari nol ke atas. Tulis angkanya saja, misalnya 1250.",
    "“{value}” is not a whole number from zero up. Write the digits alone, for example 1250.",
)
FRACTION_OF_COUNT = Kind(
    "fraction_of_count",
    "“{value}” adalah pecahan, padahal kolom ini berisi hitungan. Tulis bilangan bulatnya.",
    "“{value}” is a fraction, but this column has counts. Write the whole number.",
)

LARGEST = 2**53 - 1
"""Above this a spreadsheet's numbers no longer hold every digit."""
LARGEST_COUNT = 1_000_000_000
LONGEST_NUMBER = 50
"""A longer text is no number."""
NIL = frozenset(("-", "–", "—", "nihil"))
_SPACED = re.compile(r"^\d{1,3}(?: \d{3})+(?=$|[.,])")
_LONE_MARK = re.compile(r"\D*\d{1,3}([.,])\d{3}(?![.,]?\d)\D*")
_DECIMAL = re.compile(r"\D*[\d.,]*?([.,])(\d{1,2}|\d{4,})(?![.,]?\d)\D*")


def read_count(value: Value, times: int = 1) -> int | Kind | None:
    """Read a whole count of `times` persons, families or things; None for a blank cell, 0 for a dash.

    Returns the kind of error for any other cell.
    """
    if refusal := find_refusal(value):
        return refusal
    if value is None or isinstance(value, bool):
        return None if value is None else NOT_A_COUNT
    # A typed apostrophe before digits is the sign of spreadsheets for text.
    text = clean_text(str(value)).removeprefix("'")
    if not text or text.lower() in NIL:
        return 0 if text else None
    bare, is_negative = split_sign(text)
    number = parse_decimal(bare) if isinstance(value, str) else Decimal(bare)
    if number is None or not number.is_finite() or is_negative or number * times > LARGEST_COUNT:
        return NOT_A_COUNT
    count = number * times
    return int(count) if count == int(count) else FRACTION_OF_COUNT


def is_number(value: Value) -> bool:
    """Return whether a cell has a number, also with a sign or marks."""
    if isinstance(value, str):
        return parse_decimal(split_sign(clean_text(value))[0]) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def split_sign(text: str) -> tuple[str, bool]:
    """Return a number without its sign, and whether it is negative: `-5`, `5-`, `(5)`."""
    if len(text) > 2 and text[0] == "(" and text[-1] == ")":
        return text[1:-1].strip(), True
    if text[:1] in {"-", "–", "−"}:
        return text[1:].strip(), True
    if text[-1:] == "-":
        return text[:-1].strip(), True
    return text.removeprefix("+").strip(), False


def parse_decimal(text: str) -> Decimal | None:
    """Parse digits with `.`, `,` and spaces by the rule of this module. Returns None for any other text."""
    if spaced := _SPACED.match(text):
        text = spaced[0].replace(" ", "") + text[spaced.end() :]
    if not re.fullmatch(r"[0-9][0-9.,]*", text) or len(text) > LONGEST_NUMBER:
        return None
    marks = [c for c in text if c in ".,"]
    if not marks:
        return Decimal(text)
    if len(set(marks)) == 2:
        whole, _, fraction = text.rpartition(marks[-1])
        if marks.count(marks[-1]) > 1:
            return None
        grouped = _join_groups(whole, marks[0])
        return None if grouped is None else Decimal(f"{grouped}.{fraction or 0}")
    if len(marks) > 1:
        grouped = _join_groups(text, marks[0])
        return None if grouped is None else Decimal(grouped)
    whole, _, fraction = text.partition(marks[0])
    if len(fraction) != 3 or not whole.strip("0"):
        return Decimal(f"{whole}.{fraction or 0}")
    return Decimal(whole + fraction) if len(whole) <= 3 and whole[0] != "0" else None


def _join_groups(text: str, mark: str) -> str | None:
    first, *groups = text.split(mark)
    if not 1 <= len(first) <= 3 or not first.strip("0") or any(len(group) != 3 for group in groups):
        return None
    return first + "".join(groups)


def find_lone_mark(value: Value) -> str | None:
    """Return the mark of a text with a lone group of three digits (`1.250`), None for any other cell."""
    match = _LONE_MARK.fullmatch(value) if isinstance(value, str) and len(value) < LONGEST_NUMBER else None
    return match[1] if match else None


def find_decimal_marks(values: Iterable[Value]) -> set[str]:
    """Return the marks that texts of a column show as decimal marks."""
    texts = (value for value in values if isinstance(value, str) and len(value) < LONGEST_NUMBER)
    return {match[1] for text in texts if (match := _DECIMAL.fullmatch(text))}


def format_thousands(number: int) -> str:
    """Format a number as Indonesian text: 1250000 → `1.250.000`."""
    return f"{number:,}".replace(",", ".")
