"""What a plan refers to must exist: its region, its edition, its locations."""

from collections.abc import Iterable

from sqlmodel import Session

from app.kit.http.validation import nearest, unknown_reference
from app.kit.problems import FieldError, Invalid, Kind, NotFound
from app.plans.core.rules import is_inside
from app.reference.nomenclature.queries import (
    editions,
    latest_edition,
)
from app.reference.queries import (
    region_labels,
    regions_by_code,
)
from app.reference.rules import nearest_ancestor

outside_region = Kind(
    "outside_region",
    id="{value} di luar wilayah rencana; harus di dalam {allowed}",
    en="{value} is outside the plan's region; it must lie in {allowed}",
)


def check_region(session: Session, region: str) -> None:
    """NotFound where the region does not exist."""
    if region not in regions_by_code(session, [region]):
        raise NotFound()


def edition_in_force(session: Session, edition: str | None, *, pointer: str) -> str:
    """The edition named, or the newest. Invalid names the editions there are."""
    chosen = edition or latest_edition(session)
    if chosen not in (known := editions(session)):
        raise Invalid(errors=[unknown_edition(chosen, known, pointer)])
    return chosen


def unknown_edition(edition: str, known: list[str], pointer: str) -> FieldError:
    return FieldError(
        unknown_reference,
        pointer=pointer,
        value=edition,
        allowed=known,
        nearest=nearest(edition, known),
        values={"source": "nomenclatures"},
    )


def check_locations(session: Session, region: str, places: Iterable[tuple[str, str]]) -> list[FieldError]:
    """Errors of (pointer, region code) pairs that lie outside `region` or do not exist."""
    pairs = list(places)
    inside = [code for _, code in pairs if is_inside(code, region)]
    known = regions_by_code(session, inside) if inside else {}
    labels = region_labels(session, region) if len(known) < len(set(inside)) else {}
    return [
        FieldError(outside_region, pointer=pointer, value=code, allowed=f"{region}.…")
        if not is_inside(code, region)
        else unknown(pointer, code, _beside(code, labels), "regions")
        for pointer, code in pairs
        if code not in known
    ]


def _beside(code: str, labels: dict[str, str]) -> dict[str, str]:
    """The regions that lie where one of this code would; letters alone would take it elsewhere."""
    above = nearest_ancestor(code, labels) or ""
    return {one: name for one, name in labels.items() if one.startswith(f"{above}.")}


def unknown(pointer: str, value: str, labels: dict[str, str], source: str) -> FieldError:
    """Nearest by code and by name; each candidate is shown as `code name`."""
    shown = [f"{code} {name}" for code, name in labels.items()]
    return FieldError(
        unknown_reference,
        pointer=pointer,
        value=value,
        nearest=nearest(value, shown),
        values={"source": source},
    )
