"""Words with a fixed meaning: strategies, routine or incidental, the form of a benefit, months.

Each reader takes a number, an English key or Indonesian words in the spellings offices use. It leaves an unknown
word unchanged and reports it with the allowed ones.
"""

import re
from collections.abc import Mapping
from typing import cast

from rapidfuzz import fuzz, process

from app.exchange.matrix.amounts import read_rupiah, read_usable_text
from app.exchange.matrix.models import BenefitForm, Reading, Regularity, Remark, Strategy
from app.kit.files.books import Value
from app.kit.problems import Kind

UNKNOWN_STRATEGY = Kind(
    "unknown_strategy",
    "Strategi “{value}” tidak dikenal. Yang dikenal: {allowed}.",
    "The strategy “{value}” is unknown. Known: {allowed}.",
)
UNKNOWN_REGULARITY = Kind(
    "unknown_regularity",
    "Sifat bantuan “{value}” tidak dikenal; teksnya disimpan. Tulis “Rutin” atau “Insidentil”.",
    "The regularity “{value}” is unknown; its text stays. Write “Rutin” or “Insidentil”.",
)
UNKNOWN_BENEFIT_FORM = Kind(
    "unknown_benefit_form",
    "Jenis bantuan “{value}” tidak dikenal; teksnya disimpan. Yang dikenal: {allowed}.",
    "The form of benefit “{value}” is unknown; its text stays. Known: {allowed}.",
)
UNREAD_DURATION = Kind(
    "unread_duration",
    "Durasi “{value}” tidak terbaca sebagai bulan; teksnya disimpan. Tulis misalnya “12 bulan”.",
    "The duration “{value}” is not in months; its text stays. Write for example “12 bulan”.",
)

STRATEGY_NAMES: Mapping[Strategy, str] = {
    "reduce_spending_burden": "Pengurangan Beban Pengeluaran Masyarakat",
    "raise_income": "Peningkatan Pendapatan Masyarakat",
    "reduce_poverty_pockets": "Penurunan Jumlah Kantong-Kantong Kemiskinan",
}
REGULARITY_NAMES: Mapping[Regularity, str] = {"routine": "Rutin", "incidental": "Insidentil"}
BENEFIT_FORM_NAMES: Mapping[BenefitForm, str] = {
    "cash": "Tunai",
    "goods": "Barang",
    "service": "Jasa",
    "subsidy": "Subsidi",
    "access": "Akses",
}

_NUMERALS: Mapping[str, Strategy] = {
    numeral: strategy
    for strategy, numerals in zip(STRATEGY_NAMES, (("1", "i"), ("2", "ii"), ("3", "iii")), strict=True)
    for numeral in numerals
}
_STRATEGY_WORDS: Mapping[Strategy, re.Pattern[str]] = {
    "reduce_spending_burden": re.compile(
        r"(?=.*\b(pengurangan|mengurangi|penurunan|menurunkan)\b)(?=.*\bbeban\b)"
    ),
    "raise_income": re.compile(r"(?=.*\b(pe|me)ningkat\w*)(?=.*\bpendapatan\b)"),
    "reduce_poverty_pockets": re.compile(
        r"(?=.*\b(penurunan|pengurangan|menurunkan|mengurangi|minimalisasi|meminimalkan)\b)(?=.*\bkantong)"
    ),
}
_ENUMERATED = re.compile(
    r"^(?:strategi\s*(?:ke\s*)?|s)?([1-3]|i{1,3})(?:\s*[.):\-–]\s*|\s+|$)(.*)$", re.IGNORECASE
)
_LETTERED = re.compile(r"^[a-c]\s*[.)]\s*", re.IGNORECASE)

_REGULARITY_WORDS: Mapping[str, Regularity] = {
    "rutin": "routine", "routine": "routine", "berkala": "routine",
    "insidentil": "incidental", "insidental": "incidental", "incidental": "incidental",
    "insidentiil": "incidental",
}  # fmt: skip
_FORM_WORDS: Mapping[str, BenefitForm] = {
    "tunai": "cash", "uang": "cash", "uang tunai": "cash", "bantuan tunai": "cash", "cash": "cash",
    "barang": "goods", "bantuan barang": "goods", "goods": "goods",
    "jasa": "service", "layanan": "service", "pelayanan": "service", "bantuan jasa": "service",
    "service": "service",
    "subsidi": "subsidy", "subsidy": "subsidy",
    "akses": "access", "access": "access",
}  # fmt: skip
_DURATION = re.compile(
    r"(?:(\d{1,2})(?:[.,](5|0))?\s*(?:tahun|thn|th|years?)\.?)?[\s,]*(?:dan\s+)?(?:(\d{1,3})\s*(?:bulan|bln|bl|months?)\.?)?",
    re.IGNORECASE,
)


def parse_strategy(text: str) -> Strategy | None:
    """Return the strategy that a text names by number, key or words. Returns None if it names none or several."""
    plain = " ".join(text.split()).casefold()
    if plain in STRATEGY_NAMES:
        return cast(Strategy, plain)
    by_number: Strategy | None = None
    if match := _ENUMERATED.match(plain):
        by_number, plain = _NUMERALS[match[1]], match[2].strip()
        if not plain:
            return by_number
    plain = _LETTERED.sub("", plain)
    by_words = [strategy for strategy, words in _STRATEGY_WORDS.items() if words.match(plain)]
    if len(by_words) != 1:
        return None
    # Some offices number their blocks ("2. Pengurangan Beban …"), so words win over the number.
    return by_words[0]


def read_strategy(value: Value) -> Reading[Strategy | None]:
    """Read a strategy by number, English key or Indonesian words; anything else gives a blocking remark."""
    text = read_usable_text(value, None, blank=("",))
    if isinstance(text, Reading):
        return text
    strategy = parse_strategy(text)
    if strategy is not None:
        return Reading(strategy)
    names = list(STRATEGY_NAMES.values())
    close = process.extract(text, names, scorer=fuzz.WRatio, limit=3, score_cutoff=60)
    remark = Remark(UNKNOWN_STRATEGY, blocking=True, allowed=names, nearest=[name for name, _, _ in close])
    return Reading(None, text, (remark,))


def read_regularity(value: Value) -> Reading[Regularity | None]:
    """Read routine or incidental; other words stay text with a remark."""
    text = read_usable_text(value, None)
    if isinstance(text, Reading):
        return text
    regularity = _REGULARITY_WORDS.get(text.casefold().rstrip("."))
    if regularity is not None:
        return Reading(regularity)
    return Reading(None, text, (Remark(UNKNOWN_REGULARITY, allowed=list(REGULARITY_NAMES.values())),))


def read_benefit_form(value: Value) -> Reading[tuple[BenefitForm, ...]]:
    """Read one or several forms of benefit; with an unknown word among them, all stay text with a remark."""
    text = read_usable_text(value, ())
    if isinstance(text, Reading):
        return text
    parts = [part for part in re.split(r"\s*(?:[,;/&+\n]|\bdan\b|\bserta\b)\s*", text.casefold()) if part]
    forms = [_FORM_WORDS.get(part.rstrip(".")) for part in parts]
    known = tuple(dict.fromkeys(form for form in forms if form is not None))
    if None not in forms and known:
        return Reading(known)
    return Reading((), text, (Remark(UNKNOWN_BENEFIT_FORM, allowed=list(BENEFIT_FORM_NAMES.values())),))


def read_months(value: Value) -> Reading[int | None]:
    """Read a duration in months (`12 bulan`, `1 tahun 6 bln`); a bare number has no unit and stays text."""
    text = read_usable_text(value, None)
    if isinstance(text, Reading):
        return text
    match = _DURATION.fullmatch(text.strip())
    if match is not None:
        years, half, months = match.groups()
        total = int(years or 0) * 12 + (6 if half == "5" else 0) + int(months or 0)
        if total > 0 and not (half == "5" and months):
            return Reading(total)
    return Reading(None, text, (Remark(UNREAD_DURATION),))


def write_benefit_form(forms: tuple[BenefitForm, ...]) -> str | None:
    """Return the Indonesian words, separated by commas."""
    return ", ".join(BENEFIT_FORM_NAMES[form] for form in forms) or None


def write_months(months: int | None) -> str | None:
    """Return months as text: `12 bulan`."""
    return None if months is None else f"{months} bulan"


# The benefit of each recipient


UNREAD_BENEFIT_AMOUNT = Kind(
    "unread_benefit_amount",
    "Besaran manfaat “{value}” bukan rupiah per penerima; teksnya disimpan.",
    "The benefit “{value}” is not in rupiah for each recipient; its text stays.",
)

# A longer text is not an amount, and the pattern would take quadratic time on it.
LONGEST_AMOUNT = 200
_PER_RECIPIENT = re.compile(
    r"(?P<amount>.*\d[\d.,\-]*)\s*(?:/|per)\s*(?:kk|kpm|keluarga|orang|jiwa|siswa|anak|kelompok|unit|desa|penerima|"
    r"sekolah|rumah|paket)",
    re.IGNORECASE,
)


def read_benefit_amount(value: Value, times: int = 1) -> Reading[int | None]:
    """Read rupiah per recipient, also `Rp 500.000/KK`, which stays as text too. Other words get a remark."""
    text = read_usable_text(value, None)
    if isinstance(text, Reading):
        return text
    amount = read_rupiah(value, times)
    if amount.value is not None:
        return amount
    if len(text) <= LONGEST_AMOUNT and (match := _PER_RECIPIENT.fullmatch(text)):
        amount = read_rupiah(match["amount"], times)
        if amount.value is not None:
            return Reading(amount.value, text, amount.remarks)
    return Reading(None, text, (Remark(UNREAD_BENEFIT_AMOUNT),))
