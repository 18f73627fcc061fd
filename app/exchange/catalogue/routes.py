"""Route of the catalogue."""

import json
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from app.access.actor import Caller
from app.exchange.catalogue.models import CataloguePage, CatalogueQuery, DatasetRow, Publication
from app.exchange.catalogue.queries import list_datasets, read_files
from app.exchange.catalogue.rules import make_catalogue, make_dataset
from app.kit.database.json_sql import dump_json
from app.kit.http.anonymous import PUBLIC
from app.kit.http.pagination import read_page
from app.kit.http.replies import answer_page
from app.kit.http.routing import FromQuery, make_router
from app.settings import Settings

router = make_router(tags=["exchange"])


class JsonLd(JSONResponse):
    """Declares the media type of linked data as JSON."""

    media_type = "application/ld+json"


@router.get("/catalogue", response_model=CataloguePage, response_class=JsonLd, openapi_extra=PUBLIC)
def read_catalogue(call: Caller, query: FromQuery[CatalogueQuery]) -> Response:
    """Return a catalogue for data portals as DCAT-AP: each plan in force with its revisions and each frozen quarter
    with its corrections that the token sees, with licence, period, region, publisher and checksums.

    The format is JSON-LD, with the meaning of each name in `@context`. A harvester follows `hydra:nextPage`, other
    clients `next`.
    """
    listing = list_datasets(call.actor, query)
    page = json.loads(read_page(call.session, call.request, listing, query, sort=query.sort))
    listed = [DatasetRow(**item) for item in page.pop("items")]
    files = read_files(call.session, listed)
    publication = _get_publication(call.request)
    datasets = [make_dataset(publication, item, files[item.identifier]) for item in listed]
    body = dump_json(
        make_catalogue(publication, datasets, _make_view(call.request, publication, page["next"]), page)
    )
    return answer_page(call.request, body.encode(), media_type=JsonLd.media_type)


def _get_publication(request: Request) -> Publication:
    settings: Settings = request.app.state.settings
    base = settings.public_url or str(request.base_url)
    return Publication(base.rstrip("/"), settings.catalogue_license, settings.catalogue_publisher)


def _make_view(request: Request, publication: Publication, cursor: str | None) -> dict[str, str | None]:
    """Return the addresses of this page and the next, under the service's public address."""
    address = f"{publication.base}/v1/catalogue"
    parameters = dict(request.query_params)
    own = f"{address}?{urlencode(parameters)}" if parameters else address
    return {"id": own, "next_page": cursor and f"{address}?{urlencode({**parameters, 'after': cursor})}"}
