"""Route of the IATI export."""

from fastapi import Response

from app.access.actor import Caller
from app.exchange.iati.models import EXAMPLE
from app.exchange.iati.queries import read_export
from app.exchange.iati.rules import make_xml
from app.kit.http.anonymous import PUBLIC
from app.kit.http.replies import answer
from app.kit.http.routing import make_router
from app.plans.core.models import PlanKey
from app.plans.core.queries import find_published_plan

router = make_router(prefix="/exports", tags=["exchange"])

XML = "application/xml"
_XML: dict[int | str, dict[str, object]] = {
    200: {"content": {XML: {"schema": {"type": "string"}, "example": EXAMPLE}}}
}


@router.get("/iati/{plan}", response_class=Response, responses=_XML, openapi_extra=PUBLIC)
def read_iati_export(call: Caller, plan: PlanKey) -> Response:
    """Return the revision in force as IATI 2.03, valid against the published schema: an activity for each line, with
    its money, places, targets and reports.

    The expenditure of a quarter is the increase since the report before, dated the quarter's last day or, if earlier,
    the report's day in the region's zone; figures of outputs stay cumulative from January. A quarter has the targets of
    its own revision, and a frozen one the figures of its latest snapshot; the public reads figures of frozen quarters
    alone. A line that has ended is closed. 404 (`not_adopted`) for a plan without a revision.
    """
    row = find_published_plan(call.session, call.actor, plan)
    prefix: str = call.request.app.state.settings.iati_prefix
    export = read_export(call.session, call.actor, row, prefix, call.now)
    return answer(call.request, make_xml(export), media_type=XML)
