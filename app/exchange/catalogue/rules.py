"""The catalogue as DCAT-AP says it. Pure."""

from datetime import date
from typing import Any

from app.exchange.catalogue.models import CONTEXT, File, Listed, Publication
from app.kit.periods import Period
from app.tracking.quarters.snapshots.rules import address_of

INDONESIAN = "http://publications.europa.eu/resource/authority/language/IND"
IRREGULAR = "http://publications.europa.eu/resource/authority/frequency/IRREG"
"""A plan changes when it is amended, a frozen quarter when it is corrected."""
SHA256 = "http://spdx.org/rdf/terms#checksumAlgorithm_sha256"
_MEDIA = "https://www.iana.org/assignments/media-types/"


def catalogue(
    where: Publication, datasets: list[dict[str, object]], view: dict[str, Any], page: dict[str, object]
) -> dict[str, object]:
    """A page of the catalogue (`CataloguePage`); `page` has its cursor, and the count if it was asked for."""
    at = f"{where.base}/v1/catalogue"
    return {
        "@context": CONTEXT,
        "id": at,
        "type": "dcat:Catalog",
        "title": "Rencana Aksi Tahunan penanggulangan kemiskinan",
        "description": "Rencana aksi tahunan yang berlaku dengan semua revisinya, dan laporan triwulan yang "
        "dibekukan dengan semua koreksinya.",
        "publisher": {"id": f"{at}#publisher", "type": "foaf:Agent", "name": where.publisher},
        "license": where.license,
        "language": INDONESIAN,
        "view": {"type": "hydra:PagedCollection", **view},
        "items": datasets,
        **page,
    }


def dataset(where: Publication, one: Listed, files: list[File]) -> dict[str, object]:
    """A plan or a frozen quarter (`Dataset`) with its files, of which there is at least one."""
    place = f"{where.base}/v1/regions/{one.region_code}"
    until = Period.parse(one.period or str(one.year)).last_day
    told = _quarter(where, one, files) if one.period else _plan(where, one, files)
    return {
        "type": "dcat:Dataset",
        "identifier": one.identifier,
        "publisher": {"id": f"{place}#tkpk", "type": "foaf:Agent", "name": f"TKPK {one.region_name}"},
        "language": INDONESIAN,
        "issued": files[0].at.isoformat(),
        "modified": files[-1].at.isoformat(),
        "frequency": IRREGULAR,
        # figures of a quarter are cumulative, so they are of the year until its end
        "temporal": {
            "type": "dct:PeriodOfTime",
            "start_date": date(one.year, 1, 1).isoformat(),
            "end_date": until.isoformat(),
        },
        "spatial": {
            "id": place,
            "type": "dct:Location",
            "identifier": one.region_code,
            "label": one.region_name,
        },
        **told,
    }


def _plan(where: Publication, one: Listed, files: list[File]) -> dict[str, object]:
    at = f"{where.base}/v1/plans/{one.identifier}"
    held = [
        _file(where, f"{at}/revisions/{file.number}", f"Revisi {file.number} (JSON)", file) for file in files
    ]
    iati = f"{where.base}/v1/exports/iati/{one.identifier}"
    return {
        "id": at,
        "title": f"Rencana Aksi Tahunan {one.region_name} {one.year}",
        "description": f"Rencana aksi penanggulangan kemiskinan {one.region_name} tahun {one.year}: kegiatan, "
        "anggaran, keluaran, sasaran dan lokasi, sebagaimana ditetapkan.",
        "distributions": [*held, _file(where, iati, "Revisi yang berlaku (IATI 2.03)")],
    }


def _quarter(where: Publication, one: Listed, files: list[File]) -> dict[str, object]:
    def at(number: int) -> str:
        return f"{where.base}/v1/{address_of(one.region_code, one.period, number)}"

    titles = ["Data yang dibekukan (JSON)", *(f"Koreksi {file.number} (JSON)" for file in files[1:])]
    return {
        "id": at(0),
        "title": f"Laporan triwulan {one.period} {one.region_name}",
        "description": f"Rencana aksi penanggulangan kemiskinan {one.region_name} dan realisasinya, kumulatif "
        f"sampai akhir {one.period}, sebagaimana dibekukan.",
        "distributions": [
            _file(where, at(file.number), title, file) for file, title in zip(files, titles, strict=True)
        ],
    }


def _file(where: Publication, at: str, title: str, file: File | None = None) -> dict[str, object]:
    """A distribution; without `file` it is made anew whenever it is asked for, as XML."""
    checksum = file and {"type": "spdx:Checksum", "algorithm": SHA256, "checksum_value": file.sha256}
    return {
        "id": f"{at}#file",
        "type": "dcat:Distribution",
        "title": title,
        "access_url": at,
        "download_url": at,
        "media_type": _MEDIA + ("application/json" if file else "application/xml"),
        "license": where.license,
        "issued": file and file.at.isoformat(),
        "checksum": checksum,
    }
