"""Villages and the efforts in them over HTTP."""

from fastapi import Response
from fastapi.responses import JSONResponse

from app.access.actor import Caller
from app.convergence.villages import queries
from app.convergence.villages.models import VillageMap, VillageMapQuery, VillagePage, VillagesQuery
from app.convergence.villages.rules import can_see_part, check_region
from app.kit.database.json_sql import dump_json
from app.kit.http.pagination import read_page
from app.kit.http.replies import answer, answer_page
from app.kit.http.routing import FromQuery, make_router
from app.kit.problems import NotFound

router = make_router(tags=["convergence"])


class GeoJson(JSONResponse):
    """Media type of maps in the OpenAPI document."""

    media_type = "application/geo+json"


@router.get("/convergence/villages", response_model=VillagePage)
def list_villages(call: Caller, query: FromQuery[VillagesQuery]) -> Response:
    """List villages with their lines by strategy and agency: all, funded, delivering and on time at a quarter's end.

    The list has each village that a line or a priority location of a visible plan or a coverage report names, within
    one province or a part of it (400 for the nation). A line counts in a village that it names itself; a line that
    names a district, a regency or a province counts in `wider`. `totals` covers all pages.

    Priority locations without raising income: `is_priority=true&missing_strategy=raise_income`. Three agencies with
    one benefit for the same families: `overlap=true&min_agencies=3`. Lines without funds: `not_funded=true`. Funded
    lines that are late: `late=true`.
    """
    check_region(query.region)
    villages = queries.find_villages(call.session, call.actor, query)
    page = read_page(call.session, call.request, queries.list_villages(villages), query, sort=query.sort)
    totals = queries.read_totals(call.session, villages)
    return answer_page(call.request, page[:-1] + f',"totals":{totals}}}'.encode())


@router.get(
    "/convergence/villages.geojson",
    response_model=VillageMap,
    response_class=GeoJson,
    openapi_extra={"x-problems": [404]},
)
def read_village_map(call: Caller, query: FromQuery[VillageMapQuery]) -> Response:
    """Return the villages that match filters as points on a map (GeoJSON, RFC 7946), all in one document.

    `totals` counts the villages without coordinates, which the map lacks. The properties of a feature are the village
    as in the list. 404 if the caller sees no part of the region.
    """
    check_region(query.region)
    if not can_see_part(call.actor, query.region):
        raise NotFound()
    villages = queries.find_villages(call.session, call.actor, query)
    features = ",".join(
        f'{{"type":"Feature","id":"{village.village}",'
        f'"geometry":{{"type":"Point","coordinates":{dump_json([village.longitude, village.latitude])}}},'
        f'"properties":{village.json}}}'
        for village in queries.read_village_points(call.session, villages)
    )
    totals = queries.read_totals(call.session, villages)
    body = f'{{"type":"FeatureCollection","features":[{features}],"totals":{totals}}}'
    return answer(call.request, body.encode(), media_type=GeoJson.media_type)
