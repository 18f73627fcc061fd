"""Lines to export, and helpers that take an export or a catalogue apart."""

import warnings
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from lxml import etree
from rdflib import Graph, Namespace

from tests.plans.world import HEALTH, PARTNER
from tests.workflow.moves import CODED

EXPORT = "/v1/exports/iati/63.02-2026"
AT = "/v1/catalogue"
HOST = "http://testserver"
SPDX = Namespace("http://spdx.org/rdf/terms#")
VILLAGE = "63.02.01.2001"
FULL: dict[str, Any] = {
    **CODED,
    "title": "Permakanan < lansia & difabel",
    "supporting_agencies": [PARTNER],
    "first_month": 2,
    "last_month": 11,
    "allocation": 250_000_000,
    "budget_lines": [
        {"funding_source": "APBD", "amount": 200_000_000, "stage": "apbd"},
        {"funding_source": "CSR", "amount": 50_000_000, "stage": "rkpd"},
    ],
    "outputs": [
        {
            "code": "O1",
            "indicator": "Lansia terlayani",
            "unit": "Orang",
            "baseline": 5,
            "target": 40,
            "quarterly_targets": [10, 20, 30, 40],
        },
        {"code": "O2", "indicator": "Tepat waktu", "unit": "%", "target": 92.5},
    ],
    "tags": ["lansia"],
}
BARE: dict[str, Any] = {**CODED, "title": "Posyandu", "lead_agency": HEALTH, "outputs": [], "recipients": []}


def load_schema() -> etree.XMLSchema:
    """Load IATI's published schema."""
    at = Path(__file__).parent / "iati-2.03" / "iati-activities-schema.xsd"
    return etree.XMLSchema(etree.parse(at))


SCHEMA = load_schema()


def read_export(client: TestClient) -> dict[str, Any]:
    """Return identifier → activity of an export after validating it."""
    reply = client.get(EXPORT)
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"].startswith("application/xml")
    root = etree.fromstring(reply.content)
    SCHEMA.assertValid(root)
    assert root.get("version") == "2.03"
    return {activity.findtext("iati-identifier"): activity for activity in root}


def find_narrative(element: Any, path: str) -> str:
    return str(element.findtext(f"{path}/narrative"))


def find_attributes(element: Any, path: str) -> list[dict[str, str]]:
    return [dict(child.attrib) for child in element.iterfind(path)]


def read_graph(client: TestClient, at: str = AT) -> Graph:
    """Return the graph of a page."""
    reply = client.get(at)
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"] == "application/ld+json"
    with warnings.catch_warnings():
        # rdflib 7 reads JSON-LD by a deprecated class of its own; callers have no other way
        warnings.filterwarnings("ignore", "ConjunctiveGraph is deprecated", DeprecationWarning)
        return Graph().parse(data=reply.text, format="json-ld")


def get_value(graph: Graph, subject: Any, predicate: Any) -> Any:
    """Return the only object of a property; raises ValueError for none or several."""
    (value,) = graph.objects(subject, predicate)
    return value
