"""Codes of agencies and of the nomenclature, alone or with a name behind them.

The number of groups gives the kind of a code (Permendagri 90/2019): eight groups are an agency
(`1.06.0.00.0.00.08.0000`), three a programme (`1.06.05`), five an activity, six a sub-activity; two
are only a field of government. Each group has a fixed width, so the parser can restore zeros that a
spreadsheet dropped from the front of a group. A number of two groups loses zeros from its *end*
(1.10 becomes 1.1), which no parser can restore.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.exchange.matrix.amounts import read_usable_text
from app.exchange.matrix.models import Code, CodeKind, MatrixLine, Named, Reading, Remark
from app.kit.files.books import Value
from app.kit.problems import Kind

CODE_UNREADABLE = Kind(
    "code_unreadable",
    "“{value}” bukan kode perangkat daerah (1.06.0.00.0.00.08.0000) atau kode program, kegiatan, sub "
    "kegiatan (1.06.05.2.02.0006).",
    "“{value}” is neither the code of an agency (1.06.0.00.0.00.08.0000) nor of a programme, activity "
    "or sub-activity (1.06.05.2.02.0006).",
)
CODE_LOST_ZEROS = Kind(
    "code_lost_zeros",
    "Kode “{value}” berupa angka; nolnya mungkin hilang. Format sel sebagai teks dan isi ulang.",
    "The code “{value}” is a number and may lack a zero. Format the cell as text and enter it again.",
)
CODE_PADDED = Kind(
    "code_padded",
    "Kode “{value}” dibaca sebagai {code}.",
    "The import read the code “{value}” as {code}.",
)
CODE_WRONG_LEVEL = Kind(
    "code_wrong_level",
    "“{value}” diawali kode tingkat lain. Kolom ini memuat kode {level:level}.",
    "“{value}” begins with a code of another level. This column has codes of {level:level}.",
)
CODE_PART_MISSING = Kind(
    "code_part_missing",
    "Bagian kode di sel ini kosong, padahal bagian sesudahnya terisi. Lengkapi kodenya.",
    "This part of the code is blank, but a later part is filled. Complete the code.",
)
CODE_CONFLICT = Kind(
    "code_conflict",
    "Kode “{value}” bertentangan dengan kode {other} pada baris yang sama.",
    "The code “{value}” contradicts the code {other} in its row.",
)

_NOMENCLATURE = (1, 2, 2, 1, 2, 4)
MOST_PARTS = len(_NOMENCLATURE)
_AGENCY = (1, 2, 1, 2, 1, 2, 2, 4)
_BY_GROUPS: Mapping[int, tuple[CodeKind, tuple[int, ...]]] = {
    2: (CodeKind.FIELD, _NOMENCLATURE[:2]),
    3: (CodeKind.PROGRAM, _NOMENCLATURE[:3]),
    5: (CodeKind.ACTIVITY, _NOMENCLATURE[:5]),
    6: (CodeKind.SUBACTIVITY, _NOMENCLATURE),
    8: (CodeKind.AGENCY, _AGENCY),
}
_CODE = r"(?:\d|X)(?:\.(?:\d{1,4}|XX))+"
# The apostrophe is the sign of spreadsheets for text; CSV keeps it.
_ALONE = re.compile(rf"'?\[?({_CODE})\.?\]?", re.IGNORECASE)
_IN_FRONT = re.compile(rf"'?[\[(]?({_CODE})(?:\.?[\])]?\s*[-–—:|]\s+|\.?[\])]?\s+)(?=\S)", re.IGNORECASE)
_SIGN_IN_FRONT = re.compile(r"[-–—:|]\s")


def normalise(text: str) -> Code | None:
    """Return a code in full width. Returns None if its shape is not one of the five."""
    groups = text.upper().split(".")
    known = _BY_GROUPS.get(len(groups))
    if known is None:
        return None
    kind, widths = known
    if kind is CodeKind.AGENCY and "X" in text.upper():
        return None
    padded = []
    for position, (group, width) in enumerate(zip(groups, widths, strict=True)):
        if not group or len(group) > width:
            return None
        if "X" in group and (position > 1 or group != "X" * width):
            return None
        padded.append(group.zfill(width))
    return Code(".".join(padded), kind)


def split_code(text: str) -> tuple[Code | None, str, str]:
    """Return (code, the code as written, the name behind it); without a code (None, "", text).

    Fewer than three groups in front of a name are an enumeration (`1.1 Bantuan …`), not a code.
    """
    alone = _ALONE.fullmatch(text)
    match = alone or _IN_FRONT.match(text)
    if match is None:
        return None, "", text
    code = normalise(match[1])
    if code is None or (code.kind is CodeKind.FIELD and not alone):
        return None, "", text
    return code, match[1], "" if alone else text[match.end() :].strip()


def read_code(value: Value) -> Reading[Named | None]:
    """Read a cell of the code column: a code, perhaps with a name. `Named.code` has full width.

    Anything else stays the cell's text, with a blocking remark.
    """
    text = read_usable_text(value, None, blank=("",))
    if isinstance(text, Reading):
        return text
    if isinstance(value, (int, float)) and not re.fullmatch(r"\d\.\d\d", text):
        return Reading(None, text, (Remark(CODE_LOST_ZEROS, blocking=True),))
    code, seen, name = split_code(text)
    if code is None:
        return Reading(None, text, (Remark(CODE_UNREADABLE, blocking=True),))
    return Reading(Named(code.text, name or None), "", _describe_padding(code, seen))


def read_code_part(value: Value) -> Reading[str | None]:
    """Read a cell with a part of a code; None for a blank cell or a dash."""
    text = read_usable_text(value, None)
    if isinstance(text, Reading):
        return text
    if isinstance(value, float) and not re.fullmatch(r"\d+\.\d\d", text):
        return Reading(None, text, (Remark(CODE_LOST_ZEROS, blocking=True),))
    return Reading(text)


def inherit_parts(parts: Sequence[str], above: Sequence[str]) -> list[str]:
    """Return the parts of a code with those of the row above for blank ones, down to the first that differs."""
    filled: list[str] = []
    is_same = True
    for own, before in zip(parts, above or [""] * len(parts), strict=True):
        is_same = is_same and own in ("", before)
        filled.append(own or (before if is_same else ""))
    return filled


def read_named(value: Value, level: CodeKind) -> Reading[Named | None]:
    """Read a cell of a name column: a name, a code and a name, or a code alone."""
    text = read_usable_text(value, None, blank=("",))
    if isinstance(text, Reading):
        return text
    code, seen, name = split_code(text)
    if code is None:
        return Reading(Named(None, text))
    if code.kind is not level:
        remark = Remark(CODE_WRONG_LEVEL, blocking=True, values={"level": level})
        return Reading(Named(None, text), "", (remark,))
    return Reading(Named(code.text, name or None), "", _describe_padding(code, seen))


def _describe_padding(code: Code, seen: str) -> tuple[Remark, ...]:
    return () if code.text == seen.upper() else (Remark(CODE_PADDED, values={"code": code.text}),)


def write_named(named: Named | None) -> str | None:
    """Format a name and its code so that `read_named` can parse them."""
    if named is None:
        return None
    if named.code and named.name and _SIGN_IN_FRONT.match(named.name):
        return f"{named.code} - {named.name}"  # otherwise the name's own dash would be the separator
    return " ".join(part for part in (named.code, named.name) if part)


def place_code(values: dict[str, Any], given: Named) -> str | None:
    """Move the code of the fourth column to the agency or the level it belongs to, in `values`.

    A code of a field of government stays in `values["code"]`. Returns the row's other code, and changes nothing, if
    the row already has a different code for the same level.
    """
    code = normalise(given.code or "")
    if code is None or code.kind is CodeKind.FIELD:
        values["code"] = code
        return None
    key = code.kind.value
    previous: Named | None = values.get(key)
    if previous is not None and previous.code is not None and previous.code != code.text:
        return previous.code
    name = previous.name if previous is not None else None
    values[key] = Named(code.text, name or given.name)
    return None


def find_broken_chain(line: MatrixLine) -> tuple[str, str, str] | None:
    """Return (column key, its code, the code it contradicts) if a level's code is not below that of the level above."""
    above: str | None = None
    for key in ("program", "activity", "subactivity"):
        named: Named | None = line[key]
        if named is None or named.code is None:
            continue
        if above is not None and not named.code.startswith(above + "."):
            return key, named.code, above
        above = named.code
    return None
