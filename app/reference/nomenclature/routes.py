"""Routes of the official programme codes."""

from fastapi import Response

from app.access.actor import Caller
from app.kit.http.anonymous import PUBLIC
from app.kit.http.pagination import Page, PageQuery
from app.kit.http.replies import answer
from app.kit.http.routing import FromQuery, make_router
from app.kit.problems import NotFound
from app.reference.nomenclature import queries
from app.reference.nomenclature.models import (
    EditionKey,
    LevelKey,
    NomenclatureOut,
    SubactivityKey,
    SubactivityOut,
    SubactivityQuery,
    SubactivityReply,
)

router = make_router(prefix="/nomenclatures", tags=["reference"])


@router.get("", response_model=Page[NomenclatureOut], openapi_extra=PUBLIC)
def list_nomenclatures(call: Caller, query: FromQuery[PageQuery]) -> Response:
    """List the editions of the official programme codes, with source and legal basis.

    Codes retire, without reuse, and change from edition to edition; each line of a plan names its edition.
    """
    return call.answer_list(queries.list_nomenclatures(), query, sort="edition")


@router.get("/{edition}/subactivities", response_model=Page[SubactivityOut], openapi_extra=PUBLIC)
def list_subactivities(call: Caller, edition: EditionKey, query: FromQuery[SubactivityQuery]) -> Response:
    """Search the sub-activities of an edition by words, level of government, field, programme or activity.

    `q` finds those with every word in their names (sub-activity, activity, programme). `predecessor` finds the
    successors of a code, also of one that only an earlier edition has. 404 for an unknown edition.
    """
    if edition not in queries.list_editions(call.session):
        raise NotFound()
    return call.answer_list(queries.list_subactivities(call.session, edition, query), query, sort=query.order)


@router.get(
    "/{edition}/subactivities/{government_level}/{code}",
    response_model=SubactivityReply,
    openapi_extra=PUBLIC,
)
def read_subactivity(
    call: Caller, edition: EditionKey, government_level: LevelKey, code: SubactivityKey
) -> Response:
    """Return one sub-activity with its predecessor and its successors.

    A code can have different meanings for a `province` and a `regency`, so both are part of the address. 404 if the
    edition has no such code at this level.
    """
    return answer(
        call.request, queries.read_subactivity(call.session, edition, government_level, code).encode()
    )
