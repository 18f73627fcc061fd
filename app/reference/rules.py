"""Parser of region codes, and names of regions."""

import re
from collections.abc import Iterable, Mapping

from app.kit.fields import fold_name

CHAIN = "reference"
"""Chain of the journal."""
_LEVELS = ("province", "regency", "district", "village")


def get_level(region_code: str) -> str:
    """Return the level of a Kemendagri code: `nation`, `province`, `regency`, `district` or `village`."""
    return "nation" if region_code == "0" else _LEVELS[region_code.count(".")]


def get_kind(code: str, name: str) -> str:
    """Return the level of a region, but `kabupaten` or `kota` of a regency by its name."""
    level = get_level(code)
    return fold_name(name).partition(" ")[0] if level == "regency" else level


def get_parent(region_code: str) -> str | None:
    """Return the code one level up, None for the nation."""
    if region_code == "0":
        return None
    return region_code.rpartition(".")[0] or "0"


_LEVEL_NAMES = {
    "province": ("Provinsi",),
    "regency": ("Kabupaten", "Kota"),
    "district": ("Kecamatan", "Distrik"),
    "village": ("Desa", "Kelurahan"),
}


def format_region(code: str, name: str) -> str:
    """Return the name of a region with its level once: `Provinsi Aceh`, `Kabupaten Kotabaru`, `Desa Sekapung`.

    Names of regencies have their level in the register, most others have none.
    """
    levels = _LEVEL_NAMES.get(get_level(code), ())
    return name if not levels or name.partition(" ")[0] in levels else f"{levels[0]} {name}"


def find_nearest_ancestor(code: str, known: Iterable[str]) -> str | None:
    """Return the longest of the `known` dotted codes above `code`; decrees omit some levels. None if there is none."""
    while code := code.rpartition(".")[0]:
        if code in known:
            return code
    return None


def add_dots(code: str) -> str:
    """Return the code of a village with dots (`63.02.05.2001` for `6302052001`), any other text unchanged."""
    if re.fullmatch(r"[0-9]{10}", code):
        return f"{code[:2]}.{code[2:4]}.{code[4:6]}.{code[6:]}"
    return code


# Names

OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "11": ("Nanggroe Aceh Darussalam",),
    "12.12": ("Kabupaten Toba Samosir",),
    "19": ("Bangka Belitung",),
    "31": ("DKI Jakarta", "DK Jakarta", "Daerah Khusus Jakarta", "Jakarta"),
    "34": ("DI Yogyakarta", "DIY", "Yogyakarta"),
    "52": ("NTB",),
    "53": ("NTT",),
    "61.02": ("Kabupaten Pontianak",),
    "64.11": ("Kabupaten Mahakam Hulu",),
    "71.09": ("Kabupaten Siau Tagulandang Biaro",),
    "76.01": ("Kabupaten Mamuju Utara",),
    "81.03": ("Kabupaten Maluku Tenggara Barat",),
}
"""Short and former names of regions, by code."""
_TYPE = re.compile(r"(?:kabupaten|kota(?: administrasi)?) (?=.)")


def list_other_names(code: str, folded: str) -> list[str]:
    """Return the former and short names of a region, and that of a regency without its type; `folded` is its own."""
    bare = [_TYPE.sub("", folded, count=1)] if get_level(code) == "regency" else []
    return [*bare, *OTHER_NAMES.get(code, ())]
