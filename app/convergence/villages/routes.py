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
    """Per village which strategies and agencies are planned, funded, delivering and on time, at the end of a quarter.

    The villages that a line of the year's plans, a priority location or a report of coverage names; those of plans
    that the caller sees. A line counts where it names the village itself; one that names a district, the regency or
    the province is counted in `wider` and never spread over villages. Lateness is judged as of the end of the
    quarter, whatever day it is. `totals` are those of all pages: villages, and families affected. Of one province or a
    part of it (400 for the nation).

    A priority location without raising income: `is_priority=true&missing_strategy=raise_income`. Three agencies, the
    same benefit, the same families: `overlap=true&min_agencies=3`. Planned but not funded: `not_funded=true`. Funded
    but late: `late=true`.
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
    """The same villages as points on a map (GeoJSON, RFC 7946): all that match, in one document.

    Those whose point is known; `totals` beside the features says how many are `without_coordinates`. The properties of
    a feature are the village as the list has it. 404 for a region of which the caller sees nothing.
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
