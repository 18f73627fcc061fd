"""Shapes of the list of templates, and the queries of a template."""

from typing import Annotated

from pydantic import BaseModel, Field

from app.kit.fields import RegionCode, describe_key, show_example
from app.kit.server.documentation import Both
from app.kit.tables.options import CsvOptions

TemplateName = Annotated[
    str,
    describe_key("`matrix`, `matrix_realisation`, `coverage`, `observations` or `coordinates`.", "matrix"),
]


class TemplateQuery(BaseModel):
    """Content that a template has in advance."""

    region: RegionCode | None = Field(
        default=None,
        description="Names the region of the matrix, and fills the rows of its villages, for observations of its "
        "regencies.",
    )
    year: int | None = Field(
        default=None,
        ge=2015,
        le=2100,
        description="Year of the matrix, and of the services of coverage; default: this year.",
    )


class TemplateCsvQuery(TemplateQuery, CsvOptions):
    """Content that a template has in advance, and the signs of its CSV."""


class TemplateOut(BaseModel):
    """Template with its addresses and that of its import."""

    template: str
    title: Both
    description: Both
    xlsx_address: str
    csv_address: str
    import_address: str


class TemplateList(BaseModel):
    """List of the templates."""

    templates: list[TemplateOut]

    model_config = show_example(
        templates=[
            {
                "template": "matrix",
                "title": {"id": "Matriks RAT", "en": "Matrix of the plan"},
                "description": {
                    "id": "Matriks rencana aksi tahunan dengan 18 kolom.",
                    "en": "The matrix of a yearly action plan, 18 columns.",
                },
                "xlsx_address": "/v1/templates/matrix.xlsx",
                "csv_address": "/v1/templates/matrix.csv",
                "import_address": "/v1/plans/{plan}/imports",
            }
        ]
    )
