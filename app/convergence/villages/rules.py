"""Rules for the region of a query of villages. Pure."""

from app.access.models import TokenScope
from app.access.rules import Actor, is_within
from app.convergence.coverage.rules import find_regency
from app.kit.problems import BadRequest, FieldError, Kind

province_at_most = Kind(
    "province_at_most",
    id="wilayah “{value}” terlalu luas; pilih satu provinsi atau bagiannya, misalnya 63 atau 63.02",
    en="the region “{value}” is too large; choose a province or a part of it, such as 63 or 63.02",
)


def check_region(region: str) -> None:
    """Refuse the nation with BadRequest: clients read its 84,000 villages province by province."""
    if region == "0":
        error = FieldError(province_at_most, parameter="region", value=region, allowed=["63", "63.02"])
        raise BadRequest(errors=[error])


def can_see_part(actor: Actor, region: str) -> bool:
    """Return whether the actor sees the region, a region above it, or a part of it."""
    home = find_regency(region)
    return TokenScope.read in actor.scopes and any(
        grant.reaches(home) or is_within(grant.region, region) for grant in actor.grants
    )
