"""Who am I."""

from fastapi import Response

from app.access.actor import Caller
from app.access.models import Me, MembershipShape
from app.kit.requests import answer, house_router

router = house_router(tags=["access"])


@router.get("/me", response_model=Me)
def read_me(call: Caller) -> Response:
    """Who the token stands for, which roles it has where, and until when."""
    me = Me(
        principal=call.actor.principal,
        token=call.actor.token,
        scopes=sorted(call.actor.scopes),
        memberships=[
            MembershipShape(role=g.role, region_code=g.region, agency_code=g.agency)
            for g in call.actor.grants
        ],
        expires_at=call.expires_at,
    )
    return answer(call.request, me.model_dump_json().encode())
