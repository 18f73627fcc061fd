"""Layout of the matrix, declared once for the reader and the writer.

`COLUMNS` is the whole layout: position, header words, meaning of a cell and of a blank one, width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Holds(StrEnum):
    """Meaning of the cells of a column, which decides their reader and writer."""

    ORDINAL = "ordinal"
    STRATEGY = "strategy"
    AGENCY = "agency"
    CODE = "code"
    PROGRAM = "program"
    ACTIVITY = "activity"
    SUBACTIVITY = "subactivity"
    COMPONENTS = "components"
    RUPIAH = "rupiah"
    CHANGE = "change"
    SOURCES = "sources"
    REGULARITY = "regularity"
    PLACES = "places"
    RECIPIENTS = "recipients"
    UNIT = "unit"
    BENEFIT_AMOUNT = "benefit_amount"
    BENEFIT_FORM = "benefit_form"
    MONTHS = "months"


@dataclass(frozen=True)
class MatrixColumn:
    """One column of the matrix.

    `labels` are the header words; exports use the first. With a `group`, the group's words may be above or before
    them. `inherits`: a blank cell means "as above". `counts_once`: a cell merged over several rows counts in the first
    of them only, because its values add up. `required`: a file without the column is not a matrix, unless it has the
    `substitute`. `doubtful` are headings that may mean the column, which the caller has to choose.
    """

    number: int
    key: str
    holds: Holds
    labels: tuple[str, ...]
    width: float
    group: str | None = None
    inherits: bool = False
    counts_once: bool = False
    required: bool = False
    substitute: str | None = None
    doubtful: tuple[str, ...] = ()


REAL_ACTIVITY = "Aktifitas Real"
REALISATION = "Realisasi"

# Other spellings of the two group headers.
GROUP_VARIANTS: Mapping[str, tuple[str, ...]] = {
    REAL_ACTIVITY: ("aktivitas real", "aktivitas riil", "aktifitas riil", "aktivitas", "aktifitas"),
    REALISATION: (
        "realisasi anggaran",
        "realisasi keuangan",
        "realisasi rp",
        "realisasi belanja",
        "penyerapan anggaran",
        "serapan anggaran",
    ),
}

STAGE_LABELS: Mapping[str, tuple[str, ...]] = {
    "rkpd": ("Pagu Indikatif", "Anggaran RKPD", "Pagu RKPD", "Pagu Indikatif RKPD"),
    "kua_ppas": ("Pagu KUA-PPAS", "Anggaran KUA-PPAS", "Pagu PPAS", "Plafon", "Plafon Anggaran"),
    "apbd": (
        "Pagu DPA",
        "Anggaran DPA",
        "Pagu APBD",
        "Anggaran APBD",
        "APBD Murni",
        "Pagu Sebelum Perubahan",
        "Pagu Anggaran Sebelum Perubahan",
        "Anggaran Sebelum Perubahan",
    ),
    "apbd_p": (
        "Pagu DPPA",
        "Anggaran DPPA",
        "Pagu APBD-P",
        "Anggaran APBD-P",
        "APBD Perubahan",
        "Pagu APBD Perubahan",
        "Pagu Perubahan",
        "Anggaran Perubahan",
        "Pagu Setelah Perubahan",
        "Pagu Anggaran Setelah Perubahan",
        "Anggaran Setelah Perubahan",
    ),
}
"""Headings of the allocation that name its stage of budgeting."""

COLUMNS: tuple[MatrixColumn, ...] = (
    MatrixColumn(1, "number", Holds.ORDINAL, ("No", "Nomor", "No Urut"), 5),
    MatrixColumn(
        2,
        "strategy",
        Holds.STRATEGY,
        ("Strategi OPPKPKE", "Strategi", "Strategi PPKE", "Strategi Penanggulangan Kemiskinan"),
        24,
        inherits=True,
        doubtful=("Pilar", "Kebijakan", "Strategi Nasional"),
    ),
    MatrixColumn(
        3,
        "agency",
        Holds.AGENCY,
        (
            "Perangkat Daerah",
            "OPD",
            "SKPD",
            "Perangkat Daerah (OPD)",
            "Nama OPD",
            "Perangkat Daerah/Mitra",
            "Perangkat Daerah Pelaksana",
            "OPD Pelaksana",
            "Instansi",
            "Pelaksana",
        ),
        28,
        inherits=True,
        required=True,
        doubtful=(
            "Dinas",
            "Unit Kerja",
            "Nama SKPD",
            "Nama Sub Unit",
            "Nama Unit SKPD",
            "Penanggung Jawab",
            "Instansi Pelaksana",
            "Perangkat Daerah Penanggung Jawab",
        ),
    ),
    MatrixColumn(
        4,
        "code",
        Holds.CODE,
        ("Kode", "Kode Rekening", "Kode Sub Kegiatan", "Kode Kegiatan", "Kode Program", "Kode OPD"),
        24,
        inherits=True,
        doubtful=("Kode SKPD", "Kode Unit SKPD", "Kode Nomenklatur", "Kode Sub Unit", "No Rekening"),
    ),
    MatrixColumn(5, "program", Holds.PROGRAM, ("Program", "Nama Program"), 30, inherits=True),
    MatrixColumn(6, "activity", Holds.ACTIVITY, ("Kegiatan", "Nama Kegiatan"), 30, inherits=True),
    MatrixColumn(
        7,
        "subactivity",
        Holds.SUBACTIVITY,
        ("Sub Kegiatan", "Subkegiatan", "Sub-Kegiatan", "Nama Sub Kegiatan"),
        34,
        inherits=True,
        required=True,
        substitute="code",
        doubtful=(
            "Uraian",
            "Uraian Kegiatan",
            "Uraian Sub Kegiatan",
            "Rincian Kegiatan",
            "Aktivitas",
            "Nomenklatur",
            "Program/Kegiatan/Sub Kegiatan",
        ),
    ),
    MatrixColumn(8, "direct", Holds.COMPONENTS, ("Langsung",), 24, group=REAL_ACTIVITY),
    MatrixColumn(
        9, "indirect", Holds.COMPONENTS, ("Tidak Langsung", "Tak Langsung"), 24, group=REAL_ACTIVITY
    ),
    MatrixColumn(10, "supporting", Holds.COMPONENTS, ("Penunjang", "Pendukung"), 24, group=REAL_ACTIVITY),
    MatrixColumn(
        11,
        "allocation",
        Holds.RUPIAH,
        (
            "Alokasi Anggaran (Rp)",
            "Alokasi Anggaran",
            "Anggaran",
            "Pagu Anggaran",
            "Pagu",
            "Alokasi",
            *(label for labels in STAGE_LABELS.values() for label in labels),
        ),
        20,
        counts_once=True,
        required=True,
        doubtful=(
            "Belanja",
            "Biaya",
            "Nilai",
            "Jumlah Anggaran",
            "Jumlah Dana",
            "Total Anggaran",
            "Jumlah",
            "Total",
            "Total Pagu",
            "Pagu Validasi",
            "Pagu SIPD",
            "Usulan Anggaran",
            "Rencana Anggaran",
            "Kebutuhan Anggaran",
            "Kebutuhan Dana",
        ),
    ),
    MatrixColumn(
        12,
        "funding_sources",
        Holds.SOURCES,
        ("Sumber Pembiayaan", "Sumber Dana", "Sumber Pendanaan", "Sumber Anggaran"),
        18,
        doubtful=("Sumber", "Pendanaan", "Asal Dana", "Jenis Dana"),
    ),
    MatrixColumn(13, "regularity", Holds.REGULARITY, ("Sifat Bantuan", "Sifat"), 14),
    MatrixColumn(
        14,
        "location",
        Holds.PLACES,
        ("Lokasi", "Lokasi Kegiatan", "Lokasi Sasaran", "Lokus", "Lokus Kegiatan"),
        26,
        doubtful=(
            "Desa",
            "Kecamatan",
            "Desa/Kelurahan",
            "Kecamatan/Desa",
            "Wilayah",
            "Tempat",
            "Lokasi Pelaksanaan",
            "Lokasi Sub Kegiatan",
        ),
    ),
    MatrixColumn(
        15,
        "recipients",
        Holds.RECIPIENTS,
        (
            "Jumlah Sasaran Penerima Manfaat",
            "Jumlah Sasaran",
            "Sasaran Penerima Manfaat",
            "Jumlah Penerima Manfaat",
            "Penerima Manfaat",
            "Sasaran",
        ),
        20,
        counts_once=True,
        doubtful=(
            "Volume",
            "Vol",
            "Target",
            "Penerima",
            "Jumlah Penerima",
            "Jumlah Target",
            "Target Sasaran",
            "Kelompok Sasaran",
            "Volume Sasaran",
            "Jumlah KK",
            "Jumlah KPM",
        ),
    ),
    MatrixColumn(
        16,
        "benefit_amount",
        Holds.BENEFIT_AMOUNT,
        ("Besaran Manfaat", "Besaran Bantuan", "Nilai Manfaat"),
        18,
        doubtful=("Besaran", "Nominal", "Nominal Bantuan", "Nilai Bantuan", "Harga Satuan"),
    ),
    MatrixColumn(
        17,
        "benefit_form",
        Holds.BENEFIT_FORM,
        ("Jenis Bantuan", "Bentuk Bantuan"),
        16,
        doubtful=("Jenis Manfaat", "Bentuk Manfaat"),
    ),
    MatrixColumn(
        18,
        "duration",
        Holds.MONTHS,
        ("Durasi Pemberian Bantuan", "Durasi", "Durasi Bantuan", "Jangka Waktu"),
        16,
        doubtful=("Lama Bantuan", "Waktu Pemberian"),
    ),
    MatrixColumn(
        19,
        "spent_s1",
        Holds.RUPIAH,
        ("Sem.1", "Sem 1", "Semester 1", "Smt 1", "Sem I", "Semester I", "Smt I", "s.d. Semester 1"),
        20,
        group=REALISATION,
        counts_once=True,
    ),
    MatrixColumn(
        20,
        "spent_s2",
        Holds.CHANGE,
        ("Sem.2", "Sem 2", "Semester 2", "Smt 2", "Sem II", "Semester II", "Smt II", "s.d. Semester 2"),
        20,
        group=REALISATION,
        counts_once=True,
    ),
    MatrixColumn(
        21,
        "spent_total",
        Holds.RUPIAH,
        ("Total", "Total Realisasi", "Jumlah", "Jumlah Realisasi"),
        20,
        group=REALISATION,
        counts_once=True,
    ),
)

_NUMERALS = ("I", "II", "III", "IV")
QUARTERS = tuple(
    MatrixColumn(
        0,
        f"spent_q{n}",
        Holds.RUPIAH if n == 1 else Holds.CHANGE,
        tuple(
            f"{before}{word} {number}"
            for before in ("", "s.d. ")
            for word in ("Triwulan", "TW", "Trw", "Triw")
            for number in (numeral, str(n))
        ),
        20,
        group=REALISATION,
        counts_once=True,
    )
    for n, numeral in enumerate(_NUMERALS, 1)
)
"""Columns that a report may have instead of half-years, or with them. Exports have half-years."""

RECIPIENT_UNIT = MatrixColumn(
    0,
    "recipient_unit",
    Holds.UNIT,
    ("Satuan Sasaran",),
    16,
    doubtful=(
        "Satuan",
        "Sat",
        "Satuan Volume",
        "Satuan Target",
        "Satuan Penerima",
        "Satuan Penerima Manfaat",
    ),
)
"""The unit of a column of recipients that has numbers alone. Only a choice gives it a column."""

CODE_PARTS = (
    "Urusan",
    "Bidang",
    "Urusan/Bidang",
    "Bidang Urusan",
    "Program",
    "Kegiatan",
    "Sub Kegiatan",
    "Subkegiatan",
    "Sub",
)
"""Headings of columns of digits that hold a code together."""

BY_KEY: Mapping[str, MatrixColumn] = {column.key: column for column in (*COLUMNS, *QUARTERS, RECIPIENT_UNIT)}
PLANNING = tuple(column for column in COLUMNS if column.group != REALISATION)
SPENT = tuple(column for column in BY_KEY.values() if column.group == REALISATION)
