"""Entity tags that depend on a whole plan, for the routes of this area and of those above."""

from app.access.actor import Call, recognised
from app.kit.http.bodies import HouseRequest
from app.kit.http.etags import STATE, tag_of
from app.plans.core.models import Plan
from app.plans.core.queries import plan_of


def tag_in(call: Call, plan: Plan) -> str:
    """Return the tag of a reply that only writes in its plan can change."""
    return tag_of(call.request.url, call.actor.fingerprint, version=plan.stamp[:STATE])


def plan_tag(request: HouseRequest) -> str:
    """Return the tag of a request before its parameters are read."""
    call = recognised(request)
    return tag_in(call, plan_of(call.session, call.actor, request.path_params["plan"]))
