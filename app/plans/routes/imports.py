"""Routes of the imports of a plan: which file wrote what."""

from fastapi import Response

from app.access.actor import Caller
from app.kit.http.pagination import Page
from app.kit.http.replies import answer
from app.kit.http.routing import FromQuery, make_router
from app.plans.core.models import PlanKey
from app.plans.core.queries import find_plan
from app.plans.imports.models import ImportNumber, PlanImport, PlanImportReply
from app.plans.imports.queries import ImportsQuery, list_imports, read_import

router = make_router("/plans/{plan}/imports", tags=["plans"])


@router.get("", response_model=Page[PlanImport])
def list_plan_imports(call: Caller, plan: PlanKey, query: FromQuery[ImportsQuery]) -> Response:
    """List the imports that changed a plan, its amendment or its reports, the latest first.

    Each has the file's name and SHA-256, the author and the choices of the call. 404 without the right to read drafts.
    """
    row = find_plan(call.session, call.actor, plan)
    return call.answer_list(list_imports(call.actor, row), query, sort=query.sort)


@router.get("/{number}", response_model=PlanImportReply)
def read_plan_import(call: Caller, plan: PlanKey, number: ImportNumber) -> Response:
    """Return one import with the row and the version of each line that it wrote.

    A line whose version is still that one has the import as its last writer.
    """
    row = find_plan(call.session, call.actor, plan)
    return answer(call.request, read_import(call.session, call.actor, row, number).encode())
