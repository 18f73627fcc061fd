"""Shapes of the catalogue. They are plain JSON; `CONTEXT` maps each name to its meaning as linked data."""

from datetime import date, datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel, Field, JsonValue

from app.kit.fields import RegionCode, show_example
from app.kit.http.pagination import Page, PageQuery
from app.reference.rules import format_region


def _make_link(term: str) -> dict[str, JsonValue]:
    return {"@id": term, "@type": "@id"}


CONTEXT: dict[str, JsonValue] = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "hydra": "http://www.w3.org/ns/hydra/core#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "id": "@id",
    "type": "@type",
    "title": {"@id": "dct:title", "@language": "id"},
    "description": {"@id": "dct:description", "@language": "id"},
    "publisher": "dct:publisher",
    "name": "foaf:name",
    "license": _make_link("dct:license"),
    "language": _make_link("dct:language"),
    "identifier": "dct:identifier",
    "issued": {"@id": "dct:issued", "@type": "xsd:dateTime"},
    "modified": {"@id": "dct:modified", "@type": "xsd:dateTime"},
    "frequency": _make_link("dct:accrualPeriodicity"),
    "temporal": "dct:temporal",
    "start_date": {"@id": "dcat:startDate", "@type": "xsd:date"},
    "end_date": {"@id": "dcat:endDate", "@type": "xsd:date"},
    "spatial": "dct:spatial",
    "label": "skos:prefLabel",
    "distributions": "dcat:distribution",
    "access_url": _make_link("dcat:accessURL"),
    "download_url": _make_link("dcat:downloadURL"),
    "media_type": _make_link("dcat:mediaType"),
    "checksum": "spdx:checksum",
    "algorithm": _make_link("spdx:algorithm"),
    "checksum_value": {"@id": "spdx:checksumValue", "@type": "xsd:hexBinary"},
    "view": "hydra:view",
    "next_page": _make_link("hydra:nextPage"),
    "items": "dcat:dataset",
    "next": None,
    "count": None,
}


class CatalogueQuery(PageQuery):
    """Filter of the datasets."""

    region: RegionCode | None = Field(default=None, description="This region and everything below it.")
    sort: Literal["identifier", "-identifier"] = "identifier"


class Publisher(BaseModel):
    """Organisation that publishes, never a person."""

    id: str
    type: Literal["foaf:Agent"]
    name: str


class Span(BaseModel):
    """Days that the figures cover."""

    type: Literal["dct:PeriodOfTime"]
    start_date: date
    end_date: date


class Place(BaseModel):
    """Region that the figures cover."""

    id: str
    type: Literal["dct:Location"]
    identifier: RegionCode
    label: str


class Checksum(BaseModel):
    """Checksum for a copy."""

    type: Literal["spdx:Checksum"]
    algorithm: str
    checksum_value: str = Field(description="SHA-256 of the bytes at `download_url`, hex.")


class Distribution(BaseModel):
    """A file of a dataset."""

    id: str
    type: Literal["dcat:Distribution"]
    title: str
    access_url: str
    download_url: str
    media_type: str
    license: str
    issued: datetime | None = Field(description="Null for a file that the service generates on request.")
    checksum: Checksum | None = Field(description="Null for such a file.")


class Dataset(BaseModel):
    """A plan in force with its revisions, or a frozen quarter with its amendments."""

    id: str
    type: Literal["dcat:Dataset"]
    identifier: str = Field(
        description="Key of the plan, `63.02-2026`, or region and quarter, `63.02-2026-Q1`."
    )
    title: str
    description: str
    publisher: Publisher
    language: str
    issued: datetime
    modified: datetime
    frequency: str
    temporal: Span
    spatial: Place
    distributions: list[Distribution]


class View(BaseModel):
    """This page, with the address of the next one for harvesters."""

    id: str
    type: Literal["hydra:PagedCollection"]
    next_page: str | None = Field(description="Address of the next page; null on the last one.")


_BASE = "https://rata.example/v1"
_LICENSE = "https://creativecommons.org/licenses/by/4.0/"
_DATASET: dict[str, JsonValue] = {
    "id": f"{_BASE}/snapshots/2026-Q1/63.02",
    "type": "dcat:Dataset",
    "identifier": "63.02-2026-Q1",
    "title": "Laporan triwulan 2026-Q1 Kabupaten Kotabaru",
    "description": "Rencana aksi dan realisasi sampai akhir triwulan, dibekukan.",
    "publisher": {
        "id": f"{_BASE}/regions/63.02#tkpk",
        "type": "foaf:Agent",
        "name": "TKPK Kabupaten Kotabaru",
    },
    "language": "http://publications.europa.eu/resource/authority/language/IND",
    "issued": "2026-05-02T03:00:00+00:00",
    "modified": "2026-05-02T03:00:00+00:00",
    "frequency": "http://publications.europa.eu/resource/authority/frequency/IRREG",
    "temporal": {"type": "dct:PeriodOfTime", "start_date": "2026-01-01", "end_date": "2026-03-31"},
    "spatial": {
        "id": f"{_BASE}/regions/63.02",
        "type": "dct:Location",
        "identifier": "63.02",
        "label": "Kabupaten Kotabaru",
    },
    "distributions": [
        {
            "id": f"{_BASE}/snapshots/2026-Q1/63.02#file",
            "type": "dcat:Distribution",
            "title": "Data yang dibekukan (JSON)",
            "access_url": f"{_BASE}/snapshots/2026-Q1/63.02",
            "download_url": f"{_BASE}/snapshots/2026-Q1/63.02",
            "media_type": "https://www.iana.org/assignments/media-types/application/json",
            "license": _LICENSE,
            "issued": "2026-05-02T03:00:00+00:00",
            "checksum": {
                "type": "spdx:Checksum",
                "algorithm": "http://spdx.org/rdf/terms#checksumAlgorithm_sha256",
                "checksum_value": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            },
        }
    ],
}


class CatalogueFields(BaseModel):
    """Fields of the catalogue itself, on every page."""

    context: dict[str, object] = Field(alias="@context", description="Meaning of each name as linked data.")
    id: str
    type: Literal["dcat:Catalog"]
    title: str
    description: str
    publisher: Publisher
    license: str
    language: str
    view: View


class CataloguePage(Page[Dataset], CatalogueFields):
    """The catalogue, or a page of it."""

    model_config = show_example(
        {
            "@context": CONTEXT,
            "id": f"{_BASE}/catalogue",
            "type": "dcat:Catalog",
            "title": "Rencana Aksi Tahunan penanggulangan kemiskinan",
            "description": "Rencana yang berlaku dan triwulan yang dibekukan.",
            "publisher": {"id": f"{_BASE}/catalogue#publisher", "type": "foaf:Agent", "name": "Rata"},
            "license": _LICENSE,
            "language": _DATASET["language"],
            "view": {"id": f"{_BASE}/catalogue", "type": "hydra:PagedCollection", "next_page": None},
            "items": [_DATASET],
            "next": None,
        }
    )


class DatasetRow(NamedTuple):
    """Database row of a dataset."""

    identifier: str
    region_code: str
    region_name: str
    year: int
    period: str
    """The frozen quarter; "" for a plan."""

    @property
    def region_title(self) -> str:
        return format_region(self.region_code, self.region_name)


class FrozenFile(NamedTuple):
    """An adopted revision or a frozen amendment; its bytes never change."""

    number: int
    sha256: str
    at: datetime


class Publication(NamedTuple):
    """The operator's settings of the catalogue: address, licence and publisher."""

    base: str
    license: str
    publisher: str
