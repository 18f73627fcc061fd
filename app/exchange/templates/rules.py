"""Declarations of the templates: columns with content and example. Headings of the matrix are those of its layout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.convergence.editions.methods.models import Service
from app.exchange.matrix.columns import COLUMNS, PLANNING, Holds, MatrixColumn
from app.exchange.matrix.words import BENEFIT_FORM_NAMES, REGULARITY_NAMES, STRATEGY_NAMES
from app.kit.files.new_workbooks import AMOUNT
from app.kit.tables.layouts import LONGEST_LABEL
from app.kit.tables.templates import TemplateColumn
from app.kit.wording import Text


@dataclass(frozen=True)
class TableTemplate:
    """A table that offices send: its name in the address, and the address of its import."""

    name: str
    title: Text
    description: Text
    import_address: str


TEMPLATES = (
    TableTemplate(
        "matrix",
        Text("Matriks RAT", "Matrix of the plan"),
        Text(
            "Matriks rencana aksi tahunan dengan 18 kolom.", "The matrix of a yearly action plan, 18 columns."
        ),
        "/v1/plans/{plan}/imports",
    ),
    TableTemplate(
        "matrix_realisation",
        Text("Matriks RAT dengan realisasi", "Matrix of the plan with realisation"),
        Text(
            "Matriks rencana aksi tahunan dengan realisasi per semester, 21 kolom.",
            "The matrix of a yearly action plan with the realisation of half-years, 21 columns.",
        ),
        "/v1/plans/{plan}/imports",
    ),
    TableTemplate(
        "coverage",
        Text("Cakupan layanan per desa", "Coverage of services by village"),
        Text(
            "Jumlah sasaran dan terlayani tiap layanan, satu baris untuk setiap desa.",
            "Eligible and served of each service, a row for each village.",
        ),
        "/v1/coverage/{period}",
    ),
    TableTemplate(
        "observations",
        Text("Indikator hasil", "Outcome indicators"),
        Text(
            "Angka indikator, satu baris untuk setiap wilayah, indikator dan periode.",
            "Figures of indicators, a row for each region, indicator and period.",
        ),
        "/v1/observations/import",
    ),
    TableTemplate(
        "coordinates",
        Text("Titik koordinat", "Coordinates"),
        Text("Titik setiap desa dalam derajat desimal.", "The point of each village in decimal degrees."),
        "/v1/coordinates/import",
    ),
)
BY_NAME: Mapping[str, TableTemplate] = {template.name: template for template in TEMPLATES}


class _Hint(NamedTuple):
    content: Text
    example: str


_MATRIX_HINTS: Mapping[str, _Hint] = {
    "number": _Hint(Text("Nomor urut baris dalam strategi.", "Number of the line in its strategy."), "1"),
    "strategy": _Hint(
        Text("Strategi; kosong berarti seperti baris di atas.", "Strategy; blank means as above."),
        STRATEGY_NAMES["raise_income"],
    ),
    "agency": _Hint(
        Text("Perangkat daerah penanggung jawab.", "Agency that leads the line."), "Dinas Sosial"
    ),
    "code": _Hint(Text("Kode perangkat daerah.", "Code of the agency."), "1.06.0.00.0.00.08.0000"),
    "program": _Hint(
        Text("Kode atau nama program.", "Code or name of the programme."),
        "PROGRAM PERLINDUNGAN DAN JAMINAN SOSIAL",
    ),
    "activity": _Hint(
        Text("Kode atau nama kegiatan.", "Code or name of the activity."),
        "Pengelolaan Data Fakir Miskin Cakupan Daerah Kabupaten/Kota",
    ),
    "subactivity": _Hint(
        Text("Kode dan nama sub kegiatan.", "Code and name of the sub-activity."),
        "1.06.05.2.02.0006 Fasilitasi Bantuan Sosial Kesejahteraan Keluarga",
    ),
    "direct": _Hint(
        Text("Komponen bagi penerima, dengan nilainya.", "Components for recipients, with their amounts."),
        "Beras (Rp 75.000.000)",
    ),
    "indirect": _Hint(
        Text("Komponen tidak langsung, dengan nilainya.", "Indirect components, with their amounts."),
        "Pelatihan (Rp 15.000.000)",
    ),
    "supporting": _Hint(
        Text("Komponen penunjang, dengan nilainya.", "Supporting components, with their amounts."),
        "Rapat koordinasi (Rp 10.000.000)",
    ),
    "allocation": _Hint(Text("Rupiah penuh, tanpa pecahan.", "Whole rupiah."), "100000000"),
    "funding_sources": _Hint(
        Text("Sumber dana; beberapa sumber dengan nilainya.", "Funding sources; several with their amounts."),
        "APBD",
    ),
    "regularity": _Hint(Text("Sifat bantuan.", "Regularity of the benefit."), "Rutin"),
    "location": _Hint(
        Text("Desa, kecamatan atau kabupaten.", "Villages, districts or the regency."),
        "Desa Rampa, Kec. Pulau Sebuku",
    ),
    "recipients": _Hint(Text("Jumlah dengan satuannya.", "Counts with their units."), "40 KK"),
    "benefit_amount": _Hint(Text("Rupiah untuk setiap penerima.", "Rupiah for each recipient."), "1875000"),
    "benefit_form": _Hint(
        Text("Jenis bantuan; beberapa dengan koma.", "Forms of the benefit; several with commas."), "Barang"
    ),
    "duration": _Hint(Text("Bulan pemberian bantuan.", "Months of the benefit."), "12 bulan"),
    "spent_s1": _Hint(
        Text(
            "Realisasi semester I, rupiah penuh; dasarnya disebut saat impor.",
            "Spent in half-year 1, whole rupiah; the import states the basis.",
        ),
        "40000000",
    ),
    "spent_s2": _Hint(
        Text(
            "Realisasi semester II, rupiah penuh; dasarnya disebut saat impor.",
            "Spent in half-year 2, whole rupiah; the import states the basis.",
        ),
        "50000000",
    ),
    "spent_total": _Hint(
        Text("Realisasi sampai akhir tahun, rupiah penuh.", "Spent to the end of the year, whole rupiah."),
        "90000000",
    ),
}
_ALLOWED: Mapping[Holds, tuple[str, ...]] = {
    Holds.STRATEGY: tuple(STRATEGY_NAMES.values()),
    Holds.REGULARITY: tuple(REGULARITY_NAMES.values()),
    Holds.BENEFIT_FORM: tuple(BENEFIT_FORM_NAMES.values()),
}


def list_matrix_columns(*, realisation: bool) -> list[TemplateColumn]:
    """Return the columns of the matrix as its guide explains them."""
    return [_explain(column) for column in (COLUMNS if realisation else PLANNING)]


def _explain(column: MatrixColumn) -> TemplateColumn:
    hint = _MATRIX_HINTS[column.key]
    return TemplateColumn(
        f"{column.group}: {column.labels[0]}" if column.group else column.labels[0],
        hint.content,
        hint.example,
        _ALLOWED.get(column.holds, ()),
        is_required=column.required,
    )


_CODE = TemplateColumn(
    "Kode Desa", Text("Kode Kemendagri.", "Kemendagri code."), "63.02.05.2001", is_required=True
)
_NAME = TemplateColumn(
    "Desa", Text("Nama desa atau kelurahan.", "Name of the village."), "Sekapung", width=26
)
_SOURCE = TemplateColumn(
    "Sumber Data", Text("Asal angka.", "Origin of the figures."), "DTSEN", width=22, is_required=True
)


def list_coverage_columns(services: Sequence[Service]) -> list[TemplateColumn]:
    """Return the columns of coverage, two for each service."""
    figures = (
        ("Sasaran", Text("Jumlah yang berhak atas layanan.", "Number of the eligible."), "120"),
        ("Terlayani", Text("Jumlah yang sudah terlayani.", "Number of the served."), "96"),
    )
    return [
        _CODE,
        TemplateColumn(
            "Kecamatan", Text("Nama kecamatan.", "Name of the district."), "Pulau Sebuku", width=22
        ),
        _NAME,
        TemplateColumn(
            "Keluarga Sasaran",
            Text(
                "Keluarga sasaran di desa. Hapus baris desa yang tidak dilaporkan.",
                "Target families of the village. Delete the rows of villages without a report.",
            ),
            "141",
            number_format=AMOUNT,
            is_required=True,
        ),
        TemplateColumn(
            "Keluarga Lengkap",
            Text("Keluarga yang mendapat semua layanan.", "Families that have all services."),
            "80",
            number_format=AMOUNT,
        ),
        *(
            TemplateColumn(_name_figure(service, figure), content, example, number_format=AMOUNT)
            for service in services
            for figure, content, example in figures
        ),
        _SOURCE,
        TemplateColumn(
            "Periode Data",
            Text("Tahun, semester atau triwulan data.", "Year, half-year or quarter of the data."),
            "2026-S1",
            is_required=True,
        ),
    ]


def _name_figure(service: Service, figure: str) -> str:
    # A longer heading is no label for the readers of tables.
    heading = f"{service.name} {figure}"
    return heading if len(heading) <= LONGEST_LABEL else f"{service.code} {figure}"


def list_observation_columns() -> list[TemplateColumn]:
    """Return the columns of observations."""
    return [
        TemplateColumn(
            "Kode Wilayah",
            Text(
                "Kode BPS atau Kemendagri; impor menyebut yang mana.",
                "BPS or Kemendagri; the import states which.",
            ),
            "63.02",
            is_required=True,
        ),
        TemplateColumn(
            "Nama Wilayah", Text("Nama wilayah.", "Name of the region."), "Kabupaten Kotabaru", width=28
        ),
        TemplateColumn(
            "Indikator",
            Text("Kode atau nama indikator.", "Code or name of the indicator."),
            "p0",
            is_required=True,
        ),
        TemplateColumn(
            "Periode",
            Text("Tahun atau semester.", "Year or half-year."),
            "2026-S1",
            is_required=True,
        ),
        TemplateColumn(
            "Nilai",
            Text("Angka dalam satuan indikator.", "Figure in the unit of the indicator."),
            "4,39",
            number_format="",
            is_required=True,
        ),
    ]


def list_coordinate_columns() -> list[TemplateColumn]:
    """Return the columns of coordinates."""
    return [
        _CODE,
        _NAME,
        TemplateColumn(
            "Bujur",
            Text("Derajat desimal ke timur.", "Decimal degrees east."),
            "116,218",
            number_format="",
            is_required=True,
        ),
        TemplateColumn(
            "Lintang",
            Text(
                "Derajat desimal; selatan khatulistiwa negatif.",
                "Decimal degrees; south of the equator below zero.",
            ),
            "-3,2889",
            number_format="",
            is_required=True,
        ),
        TemplateColumn("Sumber", Text("Asal titik.", "Origin of the point."), "Bappeda"),
    ]
