"""ETags that cover a whole plan, for the routes of this area and of the areas above."""

from collections.abc import Callable

from app.access.actor import RequestContext, authenticate_in_thread
from app.kit.database.journal import state_hash
from app.kit.http.bodies import HouseRequest
from app.kit.http.etags import STATE_LENGTH, make_etag
from app.kit.wording import Language
from app.plans.core.models import Plan
from app.plans.core.queries import find_plan


def make_plan_tag(call: RequestContext, plan: Plan, *chains: str, language: Language | None = None) -> str:
    """Return the ETag of a reply that depends on its plan and on these other chains of the journal.

    Name the language if its text depends on it.
    """
    depends_on: list[str] = [language] if language else []
    if chains:
        depends_on.append(state_hash(call.session, *chains))
    return make_etag(call.request.url, call.actor.fingerprint, *depends_on, version=plan.stamp[:STATE_LENGTH])


def make_early_tag(make_tag: Callable[[RequestContext, Plan], str]) -> Callable[[HouseRequest], str]:
    """Return a function that computes the ETag of a request before the server validates its parameters."""

    def compute_tag(request: HouseRequest) -> str:
        call = authenticate_in_thread(request)
        return make_tag(call, find_plan(call.session, call.actor, request.path_params["plan"]))

    return compute_tag


plan_tag = make_early_tag(make_plan_tag)
