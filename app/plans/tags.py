"""ETags that cover a whole plan, for the routes of this area and of the areas above."""

from collections.abc import Callable

from app.access.actor import Call, recognised
from app.kit.database.journal import stamp
from app.kit.http.bodies import HouseRequest
from app.kit.http.etags import STATE, tag_of
from app.kit.problems import Language
from app.plans.core.models import Plan
from app.plans.core.queries import plan_of


def tag_in(call: Call, plan: Plan, *chains: str, language: Language | None = None) -> str:
    """Return the ETag of a reply that depends on its plan and on these other chains of the journal.

    Name the language if its text depends on it.
    """
    depends_on: list[str] = [language] if language else []
    if chains:
        depends_on.append(stamp(call.session, *chains))
    return tag_of(call.request.url, call.actor.fingerprint, *depends_on, version=plan.stamp[:STATE])


def make_early(make_tag: Callable[[Call, Plan], str]) -> Callable[[HouseRequest], str]:
    """Return a function that computes the ETag of a request before the server validates its parameters."""

    def compute_tag(request: HouseRequest) -> str:
        call = recognised(request)
        return make_tag(call, plan_of(call.session, call.actor, request.path_params["plan"]))

    return compute_tag


plan_tag = make_early(tag_in)
