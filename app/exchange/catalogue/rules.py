"""Catalogue and datasets in the terms of DCAT-AP. Pure."""

from datetime import date
from typing import Any

from app.exchange.catalogue.models import CONTEXT, DatasetRow, FrozenFile, Publication
from app.kit.periods import Period
from app.tracking.quarters.snapshots.rules import format_address

INDONESIAN = "http://publications.europa.eu/resource/authority/language/IND"
IRREGULAR = "http://publications.europa.eu/resource/authority/frequency/IRREG"
"""A plan changes when it is amended, a frozen quarter when it is corrected."""
SHA256 = "http://spdx.org/rdf/terms#checksumAlgorithm_sha256"
_MEDIA = "https://www.iana.org/assignments/media-types/"


def make_catalogue(
    publication: Publication, datasets: list[dict[str, object]], view: dict[str, Any], page: dict[str, object]
) -> dict[str, object]:
    """Make a page of the catalogue (`CataloguePage`); `page` has the cursor, and the count if requested."""
    address = f"{publication.base}/v1/catalogue"
    return {
        "@context": CONTEXT,
        "id": address,
        "type": "dcat:Catalog",
        "title": "Rencana Aksi Tahunan penanggulangan kemiskinan",
        "description": "Rencana aksi tahunan yang berlaku dengan semua revisinya, dan laporan triwulan yang "
        "dibekukan dengan semua koreksinya.",
        "publisher": {"id": f"{address}#publisher", "type": "foaf:Agent", "name": publication.publisher},
        "license": publication.license,
        "language": INDONESIAN,
        "view": {"type": "hydra:PagedCollection", **view},
        "items": datasets,
        **page,
    }


def make_dataset(publication: Publication, listed: DatasetRow, files: list[FrozenFile]) -> dict[str, object]:
    """Make a `Dataset` of a plan or a frozen quarter with its files, at least one."""
    place = f"{publication.base}/v1/regions/{listed.region_code}"
    until = Period.parse(listed.period or str(listed.year)).last_day
    own = (
        _describe_quarter(publication, listed, files)
        if listed.period
        else _describe_plan(publication, listed, files)
    )
    return {
        "type": "dcat:Dataset",
        "identifier": listed.identifier,
        "publisher": {"id": f"{place}#tkpk", "type": "foaf:Agent", "name": f"TKPK {listed.region_title}"},
        "language": INDONESIAN,
        "issued": files[0].at.isoformat(),
        "modified": files[-1].at.isoformat(),
        "frequency": IRREGULAR,
        # A quarter's figures are cumulative, so the span begins with the year.
        "temporal": {
            "type": "dct:PeriodOfTime",
            "start_date": date(listed.year, 1, 1).isoformat(),
            "end_date": until.isoformat(),
        },
        "spatial": {
            "id": place,
            "type": "dct:Location",
            "identifier": listed.region_code,
            "label": listed.region_name,
        },
        **own,
    }


def _describe_plan(
    publication: Publication, listed: DatasetRow, files: list[FrozenFile]
) -> dict[str, object]:
    address = f"{publication.base}/v1/plans/{listed.identifier}"
    revisions = [
        _make_distribution(
            publication, f"{address}/revisions/{file.number}", f"Revisi {file.number} (JSON)", file
        )
        for file in files
    ]
    iati = f"{publication.base}/v1/exports/iati/{listed.identifier}"
    return {
        "id": address,
        "title": f"Rencana Aksi Tahunan {listed.region_title} {listed.year}",
        "description": f"Rencana aksi penanggulangan kemiskinan {listed.region_title} tahun {listed.year}: kegiatan, "
        "anggaran, keluaran, sasaran dan lokasi, sebagaimana ditetapkan.",
        "distributions": [
            *revisions,
            _make_distribution(publication, iati, "Revisi yang berlaku (IATI 2.03)"),
        ],
    }


def _describe_quarter(
    publication: Publication, listed: DatasetRow, files: list[FrozenFile]
) -> dict[str, object]:
    def make_address(number: int) -> str:
        return f"{publication.base}/v1/{format_address(listed.region_code, listed.period, number)}"

    titles = ["Data yang dibekukan (JSON)", *(f"Koreksi {file.number} (JSON)" for file in files[1:])]
    return {
        "id": make_address(0),
        "title": f"Laporan triwulan {listed.period} {listed.region_title}",
        "description": f"Rencana aksi penanggulangan kemiskinan {listed.region_title} dan realisasinya, kumulatif "
        f"sampai akhir {listed.period}, sebagaimana dibekukan.",
        "distributions": [
            _make_distribution(publication, make_address(file.number), title, file)
            for file, title in zip(files, titles, strict=True)
        ],
    }


def _make_distribution(
    publication: Publication, address: str, title: str, file: FrozenFile | None = None
) -> dict[str, object]:
    """Make a distribution; without `file` it is XML that the service generates on request."""
    checksum = file and {"type": "spdx:Checksum", "algorithm": SHA256, "checksum_value": file.sha256}
    return {
        "id": f"{address}#file",
        "type": "dcat:Distribution",
        "title": title,
        "access_url": address,
        "download_url": address,
        "media_type": _MEDIA + ("application/json" if file else "application/xml"),
        "license": publication.license,
        "issued": file and file.at.isoformat(),
        "checksum": checksum,
    }
