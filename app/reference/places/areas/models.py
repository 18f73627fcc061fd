"""Resolution of the name of an area."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from app.kit.fields import RegionCode, show_example
from app.kit.tables.resolutions import MOST_RESOLUTIONS, CellResolution


class AreaResolution(CellResolution):
    """The region for one name of the file, in one row or wherever the name occurs."""

    column: Literal["district", "village", "name"]
    code: RegionCode

    model_config = show_example(column="village", value="Sukamarga", row=None, code="18.04.09.2003")


AREA_RESOLUTIONS = TypeAdapter(Annotated[list[AreaResolution], Field(max_length=MOST_RESOLUTIONS)])
RESOLUTIONS_PART = (
    "JSON list of resolutions: the regions for names that fit none or several, `[{column, value, row?, code}]`.",
    "[]",
)
"""Description and default of the part `resolutions` of a form."""
