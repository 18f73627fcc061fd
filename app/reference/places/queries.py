"""Finds the regions that texts name, inside the region of a plan."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlmodel import Session

from app.kit.database.engine import get_table
from app.reference.models import RegionLevel, RegionRow
from app.reference.places.rules import FoundPlaces, PlaceNames, list_codes
from app.reference.queries import find_regions_by_code, read_region_labels

_region = get_table(RegionRow)


class PlaceFinder:
    """Finds the places of some texts. Never chooses between several."""

    def __init__(
        self, session: Session, region: str, texts: Collection[str], codes: Collection[str] = ()
    ) -> None:
        c = _region.c
        above = sa.select(c.code, c.name, c.bps_code).where(
            c.level.in_([RegionLevel.province, RegionLevel.regency]), c.retired.is_(False)
        )
        rows = session.execute(above.order_by(c.code)).all()
        labels = {row.code: row.name for row in rows} | read_region_labels(session, region)
        named = {code for text in texts for code in list_codes(text)} | set(codes)
        # also retired ones, which stored lines may have
        labels |= {
            row.code: row.name for row in find_regions_by_code(session, named - labels.keys()).values()
        }
        self._names = PlaceNames(region, labels, {row.bps_code: row.code for row in rows if row.bps_code})
        self._found = {text: self._names.find(text) for text in texts}
        self.labels = labels
        """Code → name of the regions that a place can be."""

    def find(self, text: str) -> FoundPlaces:
        """Return the places of one of the texts."""
        return self._found[text]
