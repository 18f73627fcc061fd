"""The catalogue as a harvester reads it: linked data that DCAT-AP accepts."""

import hashlib

import pytest
from fastapi.testclient import TestClient
from rdflib import RDF, Literal, Namespace, URIRef
from rdflib.namespace import DCAT, DCTERMS, FOAF, XSD

from tests.common import ConnectAs, begin_with
from tests.database import OneTransaction
from tests.harvest.conftest import publish
from tests.harvest.world import AT, HOST, SPDX, get_value, read_graph

pytestmark = pytest.mark.one_engine


world, database = begin_with(publish)


@pytest.fixture
def published(connect: ConnectAs) -> TestClient:
    """The secretariat, with a plan in its second revision, a draft, and a frozen and corrected quarter."""
    return connect(("secretariat", "63.02"))


HYDRA = Namespace("http://www.w3.org/ns/hydra/core#")
PLAN, QUARTER = URIRef(f"{HOST}/v1/plans/63.02-2026"), URIRef(f"{HOST}/v1/snapshots/2026-Q2/63.02")


def test_the_catalogue_has_the_properties_of_dcat_ap(published: TestClient) -> None:
    graph = read_graph(published)
    (catalogue,) = graph.subjects(RDF.type, DCAT.Catalog)
    assert set(graph.objects(catalogue, DCAT.dataset)) == {PLAN, QUARTER}
    for subject in (catalogue, PLAN, QUARTER):
        assert get_value(graph, subject, DCTERMS.title).language == "id"
        assert get_value(graph, subject, DCTERMS.description)
        publisher = get_value(graph, subject, DCTERMS.publisher)
        assert (publisher, RDF.type, FOAF.Agent) in graph
        assert get_value(graph, publisher, FOAF.name)
    for subject in (PLAN, QUARTER):
        assert (subject, RDF.type, DCAT.Dataset) in graph
        for file in graph.objects(subject, DCAT.distribution):
            assert (file, RDF.type, DCAT.Distribution) in graph
            assert isinstance(get_value(graph, file, DCAT.accessURL), URIRef)
            assert get_value(graph, file, DCTERMS.license) == URIRef(
                "https://creativecommons.org/licenses/by/4.0/"
            )
    place = get_value(graph, PLAN, DCTERMS.spatial)
    assert (get_value(graph, place, DCTERMS.identifier), place) == (
        Literal("63.02"),
        URIRef(f"{HOST}/v1/regions/63.02"),
    )
    spans = [get_value(graph, subject, DCTERMS.temporal) for subject in (PLAN, QUARTER)]
    assert [get_value(graph, span, DCAT.endDate) for span in spans] == [
        Literal("2026-12-31", datatype=XSD.date),
        Literal("2026-06-30", datatype=XSD.date),
    ]


def test_every_file_exists_and_matches_its_checksum(published: TestClient) -> None:
    graph = read_graph(published)
    checked = []
    for subject in (PLAN, QUARTER):
        for file in graph.objects(subject, DCAT.distribution):
            address = str(get_value(graph, file, DCAT.downloadURL))
            reply = published.get(address.removeprefix(HOST))
            assert reply.status_code == 200, address
            kind = reply.headers["Content-Type"].partition(";")[0]
            assert str(get_value(graph, file, DCAT.mediaType)).endswith(f"/media-types/{kind}")
            for checksum in graph.objects(file, SPDX.checksum):
                checksum_value = graph.value(checksum, SPDX.checksumValue)
                assert str(checksum_value).casefold() == hashlib.sha256(reply.content).hexdigest()
                checked.append(address.removeprefix(HOST))
    assert sorted(checked) == [
        "/v1/plans/63.02-2026/revisions/0",
        "/v1/plans/63.02-2026/revisions/1",
        "/v1/snapshots/2026-Q2/63.02",
        "/v1/snapshots/2026-Q2/63.02/amendments/1",
    ]


def test_harvester_finds_the_next_page(published: TestClient) -> None:
    datasets, at = [], f"{AT}?limit=1&region=63"
    while at:
        graph = read_graph(published, at)
        datasets += list(graph.subjects(RDF.type, DCAT.Dataset))
        (view,) = graph.subjects(RDF.type, HYDRA.PagedCollection)
        at = str(graph.value(view, HYDRA.nextPage) or "").removeprefix(HOST)
    assert datasets == [PLAN, QUARTER]


def test_the_catalogue_lists_what_the_caller_sees(
    published: TestClient, stranger: TestClient, connect: ConnectAs
) -> None:
    ours = [dataset["identifier"] for dataset in published.get(AT).json()["items"]]
    assert ours == ["63.02-2026", "63.02-2026-Q2"]
    assert connect(("reader", "63")).get(AT).json()["items"] == published.get(AT).json()["items"]
    for other in (stranger, connect(("secretariat", "63.01"))):
        assert other.get(AT).json()["items"] == []
    assert published.get(f"{AT}?region=64").json()["items"] == []


def test_address_and_terms_are_the_operators(published: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = published.app.state.settings  # type: ignore[attr-defined]  # an ASGI application has it
    monkeypatch.setattr(settings, "public_url", "https://rata.example.go.id/api/")
    monkeypatch.setattr(settings, "catalogue_license", "https://example.go.id/lisensi")
    page = published.get(f"{AT}?limit=1").json()
    assert page["license"] == "https://example.go.id/lisensi"
    for address in (page["id"], page["items"][0]["id"], page["view"]["next_page"]):
        assert address.startswith("https://rata.example.go.id/api/v1/")


def test_statements_do_not_grow(published: TestClient, database: OneTransaction) -> None:
    counted = []
    for limit in (1, 2):
        database.statements.clear()
        published.get(f"{AT}?limit={limit}")
        counted.append(len(database.statements))
    assert counted[0] == counted[1]
