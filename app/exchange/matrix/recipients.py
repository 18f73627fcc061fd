"""Who benefits and by how much: `500 KK, 20 kelompok` and `Rp 500.000 per KK`.

A recipients cell is read only if every part of it begins with a number; otherwise all of it stays
text, because half a count is worse than none. `1.200` is a thousand two hundred. The first known
word behind the number gives the kind; an unknown word gives none and is reported.
"""

import re

from app.exchange.matrix.models import Reading, Recipient, RecipientKind, Remark
from app.exchange.matrix.numbers import read_rupiah, thousands, unusable
from app.kit.files.books import Value
from app.kit.files.cells import as_text
from app.kit.problems import Kind

UNREAD_RECIPIENTS = Kind(
    "unread_recipients",
    "Sasaran {value} tidak dapat dibaca sebagai jumlah dan satuan, misalnya 500 KK. Teksnya dipertahankan.",
    "The recipients {value} cannot be read as a count and a unit, for example 500 KK. The text is kept.",
)
UNKNOWN_RECIPIENT_UNIT = Kind(
    "unknown_recipient_unit",
    "Satuan sasaran {unit} tidak dikenal; yang dikenal antara lain KK, orang, kelompok, desa, unit.",
    "The unit of recipients {unit} is not known; known are KK, orang, kelompok, desa, unit and more.",
)
UNREAD_BENEFIT_AMOUNT = Kind(
    "unread_benefit_amount",
    "Besaran manfaat {value} tidak dapat dibaca sebagai rupiah per penerima. Teksnya dipertahankan.",
    "The benefit {value} cannot be read as rupiah per recipient. The text is kept.",
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
    "villages": "desa kelurahan kampung nagari villages",
    "units": (
        "unit sekolah rumah rutilahu paket lokasi titik sambungan sr bidang dokumen ekor ha hektar hektare "
        "meter km ruas umkm ikm usaha puskesmas pasar gedung ruang units"
    ),
}
# A longer text is a story; the pattern for an amount would take quadratic time on it.
LONGEST_AMOUNT = 200
_KIND_OF = {word: kind for kind, words in _KIND_WORDS.items() for word in words.split()}
_TWO_WORDS = re.compile(r"\b(rumah|kepala)\s+(tangga|keluarga)\b")
_PARTS = re.compile(r"\s*(?:[;\n&+]|(?<!\d),|,(?=\s)|\bdan\b)\s*(?=\d)", re.IGNORECASE)
_PART = re.compile(r"(\d{1,3}(?:[.,]\d{3}){1,3}|\d{1,12})(?![\d.,%])\s*([^\d\s].*)?", re.DOTALL)
_PER_RECIPIENT = re.compile(
    r"(?P<amount>.*\d[\d.,\-]*)\s*(?:/|per)\s*(?:kk|kpm|keluarga|orang|jiwa|siswa|anak|kelompok|unit|desa|penerima|"
    r"sekolah|rumah|paket)",
    re.IGNORECASE,
)


def kind_of(unit: str) -> RecipientKind | None:
    """The kind that the first known word of a unit stands for."""
    plain = _TWO_WORDS.sub(r"\1\2", unit.casefold())
    for word in re.findall(r"[a-z]+", plain):
        if word in _KIND_OF:
            return _KIND_OF[word]
    return None


def read_recipients(value: Value) -> Reading[tuple[Recipient, ...]]:
    """Counts with their units, in the order of the cell, or the cell's text when a part has no count."""
    why = unusable(value)
    if why is not None:
        return Reading((), str(value), (why,))
    text = as_text(value)
    if not text or text == "-":
        return Reading(())
    recipients: list[Recipient] = []
    remarks: list[Remark] = []
    for part in _PARTS.split(text):
        found = _PART.fullmatch(part.strip().rstrip(",;"))
        unit = (found[2] or "").strip() if found else ""
        if found is None or unit[:1] in {"-", "–", "/"}:
            return Reading((), text, (Remark(UNREAD_RECIPIENTS),))
        kind = kind_of(unit)
        if kind is None:
            remarks.append(Remark(UNKNOWN_RECIPIENT_UNIT, values={"unit": unit or "–"}))
        recipients.append(Recipient(int(re.sub(r"[.,]", "", found[1])), unit, kind))
    return Reading(tuple(recipients), "", tuple(remarks))


def write_recipients(recipients: tuple[Recipient, ...]) -> str | None:
    """The inverse of `read_recipients`; a recipient without words gets its kind's usual unit."""
    parts = []
    for recipient in recipients:
        unit = recipient.unit or (KIND_UNITS[recipient.kind] if recipient.kind else "")
        parts.append(f"{thousands(recipient.count)} {unit}".strip())
    return "; ".join(parts) or None


def read_benefit_amount(value: Value) -> Reading[int | None]:
    """Rupiah per recipient; `Rp 500.000/KK` too, its words kept. Other words stay text with a remark."""
    why = unusable(value)
    if why is not None:
        return Reading(None, str(value), (why,))
    text = as_text(value)
    if not text or text == "-":
        return Reading(None)
    amount = read_rupiah(value)
    if amount.value is not None:
        return amount
    if len(text) <= LONGEST_AMOUNT and (found := _PER_RECIPIENT.fullmatch(text)):
        amount = read_rupiah(found["amount"])
        if amount.value is not None:
            return Reading(amount.value, text, amount.remarks)
    return Reading(None, text, (Remark(UNREAD_BENEFIT_AMOUNT),))
