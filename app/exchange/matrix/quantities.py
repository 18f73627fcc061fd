"""Counts of recipients as offices write them: one or several, with products and second counts.

| A part of the cell | is |
|---|---|
| `500 KK`, `1.250 KPM` | a count and its unit; the first known word gives the kind |
| `120 KK (480 jiwa)` | two counts |
| `15 KK/pekon (3 pekon)`, `25 KK per desa x 3 desa` | a product |
| `3 x 20 orang`, `50 KK x 2 desa`, `2 kelompok x 25 orang` | a product |

`,` `;` `&` `+` "dan" and line breaks before a number separate parts. A share, a range, a measure (`5.000 liter`), and
a count for each place without the number of places count nothing. Then the whole cell stays text, because half a
count is worse than none.
"""

import re
from collections.abc import Iterator

from app.exchange.matrix.amounts import read_usable_text
from app.exchange.matrix.models import Reading, RecipientCount, RecipientKind, Remark
from app.kit.files.books import Value
from app.kit.problems import Kind
from app.kit.tables.numbers import format_thousands

UNREAD_RECIPIENTS = Kind(
    "unread_recipients",
    "Sasaran “{value}” bukan jumlah dengan satuan; teksnya disimpan. Tulis misalnya “500 KK”.",
    "The recipients “{value}” are not a count with a unit; the text stays. Write for example “500 KK”.",
)
NOT_RECIPIENTS = Kind(
    "not_recipients",
    "“{value}” mengukur barang, bukan penerima; teksnya disimpan. Tulis misalnya “500 KK”.",
    "“{value}” measures goods, not recipients; the text stays. Write for example “500 KK”.",
)
READ_AS_PRODUCT = Kind(
    "read_as_product",
    "“{value}” dibaca sebagai {product}.",
    "The import read “{value}” as {product}.",
)
UNKNOWN_RECIPIENT_UNIT = Kind(
    "unknown_recipient_unit",
    "Satuan “{unit}” tidak dikenal. Gunakan misalnya “KK”, “orang”, “kelompok”, “desa” atau “unit”.",
    "The unit “{unit}” is unknown. Use for example “KK”, “orang”, “kelompok”, “desa” or “unit”.",
)

KIND_UNITS: dict[RecipientKind, str] = {
    "families": "KK", "persons": "orang", "groups": "kelompok", "villages": "desa", "units": "unit",
}  # fmt: skip

_KIND_WORDS: dict[RecipientKind, str] = {
    "families": "kk kpm keluarga krs rtm rts rtsm ruta rumahtangga kepalakeluarga families",
    "persons": (
        "orang jiwa siswa siswi murid pelajar mahasiswa anak balita bayi remaja pemuda ibu bumil lansia "
        "peserta petani nelayan pembudidaya peternak pedagang pekerja buruh guru kader penduduk warga "
        "perempuan penyandang pasien santri penerima persons"
    ),
    "groups": "kelompok poktan gapoktan kwt kube koperasi bumdes bumdesa lembaga posyandu groups",
    "villages": "desa kelurahan kampung pekon nagari gampong lembang tiyuh villages",
    "units": (
        "unit sekolah madrasah rumah rutilahu lokasi titik sambungan sr ruas umkm ikm usaha puskesmas pasar gedung "
        "ruang units"
    ),
}
_KIND_OF = {word: kind for kind, words in _KIND_WORDS.items() for word in words.split()}
_MEASURES = frozenset(
    [
        "ha",
        "hektar",
        "hektare",
        "meter",
        "m",
        "km",
        "liter",
        "ltr",
        "kg",
        "kilogram",
        "gram",
        "kuintal",
        "ton",
        "paket",
        "dokumen",
        "laporan",
        "ekor",
        "bidang",
        "batang",
        "persen",
    ]
)
# Each of a higher rank has several of a lower one. A product needs two ranks.
_RANKS = {
    word: rank
    for rank, words in enumerate(
        ("kelompok poktan gapoktan kwt kube posyandu sekolah madrasah puskesmas", "rt rw dusun lingkungan",
         _KIND_WORDS["villages"], "kecamatan distrik"), start=2,
    )
    for word in words.split()
}  # fmt: skip

_TWO_WORDS = re.compile(r"\b(rumah|kepala)\s+(tangga|keluarga)\b")
_MARKS = re.compile(r"[()]|\s*(?:[;\n&+]|(?<!\d),|,(?=\s)|\bdan\b)\s*(?=\d)", re.IGNORECASE)
_COUNT = r"(\d{1,3}(?:[.,]\d{3}){1,3}|\d{1,3}(?: \d{3}){1,3}|\d{1,12})(?![\d.,])"
_COUNTED = re.compile(rf"{_COUNT}\s*(\D.*)?", re.DOTALL)
# Behind a digit the sign is one of other numbers: `500 KK desil 1-4`.
_RANGE_OR_SHARE = re.compile(
    r"[-–/%]|persen\b|\D*?(?:[-–]|\bs\.?\s?/?\s?d\.?|\bsampai|\bhingga)\s*\d", re.IGNORECASE
)
_SECOND = re.compile(
    rf"([^\d()]*?)\s*(\(|[x×*]|\b(?:di|untuk|pada)\b)\s*{_COUNT}\s*([^\d()]*)\)?", re.IGNORECASE
)
_TIMES_OR_BRACKET = re.compile(r"(?:\(|[x×*])\s*\d", re.IGNORECASE)
_FOR_EACH = re.compile(r"\b(?:per|tiap|setiap|masing)\b|@", re.IGNORECASE)


def _list_words(unit: str) -> list[str]:
    return re.findall(r"[a-z]+", _TWO_WORDS.sub(r"\1\2", unit.casefold()))


def _find_known_word(unit: str) -> str | None:
    """Return the first word that decides: of a kind, a measure or a place."""
    return next((w for w in _list_words(unit) if w in _KIND_OF or w in _MEASURES or w in _RANKS), None)


def find_recipient_kind(unit: str) -> RecipientKind | None:
    """Return the kind of the first known word in a unit. Returns None if no word is known."""
    return _KIND_OF.get(_find_known_word(unit) or "")


def read_recipients(value: Value) -> Reading[tuple[RecipientCount, ...]]:
    """Read counts with their units, in the order of the cell; the cell stays text if a part has no count."""
    text = read_usable_text(value, ())
    if isinstance(text, Reading):
        return text
    recipients: list[RecipientCount] = []
    remarks: list[Remark] = []
    for part in _split_parts(text):
        try:
            counts, is_product = _read_part(part)
        except _Unread as unread:
            return Reading((), text, (Remark(unread.kind),))
        if is_product:
            remarks.append(Remark(READ_AS_PRODUCT, values={"product": write_recipients(tuple(counts))}))
        remarks += [
            Remark(UNKNOWN_RECIPIENT_UNIT, values={"unit": count.unit or "–"})
            for count in counts
            if count.kind is None
        ]
        recipients += counts
    return Reading(tuple(recipients), "", tuple(remarks))


class _Unread(Exception):
    """A part that counts no recipients."""

    def __init__(self, kind: Kind = UNREAD_RECIPIENTS) -> None:
        self.kind = kind


def _split_parts(text: str) -> Iterator[str]:
    """Yield the parts of a cell; a separator inside brackets separates nothing."""
    start, is_inside = 0, False
    for mark in _MARKS.finditer(text):
        if mark[0] in "()":
            is_inside = mark[0] == "("
        elif not is_inside:
            yield text[start : mark.start()]
            start = mark.end()
    yield text[start:]


def _read_part(text: str) -> tuple[list[RecipientCount], bool]:
    """Return the counts of a part, and whether it is a product. Raises _Unread."""
    match = _COUNTED.fullmatch(text.strip().rstrip(",;"))
    if match is None:
        raise _Unread
    count, rest = _parse_count(match[1]), (match[2] or "").strip()
    if _RANGE_OR_SHARE.match(rest):
        raise _Unread
    second = _SECOND.fullmatch(rest)
    unit, place = _split_for_each(second[1] if second else rest)
    if second is None or (second[2].casefold() in ("di", "untuk", "pada") and not place):
        if place or _TIMES_OR_BRACKET.search(rest):
            raise _Unread
        return [_make_count(count, rest)], False
    link, number, other = second[2], _parse_count(second[3]), second[4].strip()
    if place:
        if _find_rank(place) > _find_rank(unit) > 0 and _find_rank(place) == _find_rank(other):
            return [_make_count(count * number, unit)], True
    elif link == "(":
        counts = [_make_count(count, unit), _make_count(number, other)]
        # Of `10 kelompok (20 orang)` it is unclear whether each group has 20.
        if {item.kind for item in counts} == {"families", "persons"}:
            return counts, False
    elif not unit and _find_rank(other) > 0:
        return [_make_count(count * number, other)], True
    elif 0 < _find_rank(unit) != _find_rank(other) > 0:
        return [_make_count(count * number, min(unit, other, key=_find_rank))], True
    raise _Unread


def _split_for_each(words: str) -> tuple[str, str]:
    """Return the unit and the place that the count repeats in, "" without one.

    A slash between words of one kind (`desa/kelurahan`) and between unknown words (`RT/RW`) is part of the unit.
    """
    if match := _FOR_EACH.search(words):
        return words[: match.start()].strip(" /"), words[match.end() :].strip() or "?"
    before, _, after = words.partition("/")
    kinds = find_recipient_kind(before), find_recipient_kind(after)
    if (
        not after
        or not _find_known_word(before)
        or (kinds[0] == kinds[1] and _find_rank(before) == _find_rank(after))
    ):
        return words.strip(), ""
    return before.strip(), after.strip()


def _find_rank(unit: str) -> int:
    """Return how high a unit is: 1 a recipient, more if it has several; 0 for a measure and an unknown word."""
    word = _find_known_word(unit)
    return _RANKS.get(word or "", 1 if word in _KIND_OF else 0)


def _make_count(count: int, unit: str) -> RecipientCount:
    if _find_known_word(unit) in _MEASURES:
        raise _Unread(NOT_RECIPIENTS)
    return RecipientCount(count, unit, find_recipient_kind(unit))


def _parse_count(text: str) -> int:
    return int(re.sub(r"[., ]", "", text))


def write_recipients(recipients: tuple[RecipientCount, ...]) -> str | None:
    """Format recipients so that `read_recipients` can parse them; one without a unit gets its kind's usual unit."""
    parts = []
    for recipient in recipients:
        unit = recipient.unit or (KIND_UNITS[recipient.kind] if recipient.kind else "")
        parts.append(f"{format_thousands(recipient.count)} {unit}".strip())
    return "; ".join(parts) or None
