"""Of which region villages are shown, and what of a region somebody sees. Pure."""

from app.access.models import TokenScope
from app.access.rules import Actor, is_within
from app.convergence.coverage.rules import regency_of
from app.kit.problems import BadRequest, FieldError, Kind

province_at_most = Kind(
    "province_at_most",
    id="hanya satu provinsi atau bagiannya, bukan {value}; gunakan {allowed}",
    en="of one province or a part of it, not of {value}; use {allowed}",
)


def check_region(region: str) -> None:
    """BadRequest for the nation: efforts of 84,000 villages are read province by province."""
    if region == "0":
        error = FieldError(province_at_most, parameter="region", value=region, allowed=["63", "63.02"])
        raise BadRequest(errors=[error])


def sees_of(actor: Actor, region: str) -> bool:
    """Whether the actor sees the region, what it lies in, or something in it."""
    home = regency_of(region)
    return TokenScope.read in actor.scopes and any(
        grant.reaches(home) or is_within(grant.region, region) for grant in actor.grants
    )
