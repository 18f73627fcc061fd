"""Columns of the tables that people open in a spreadsheet: heading and meaning, declared at the field."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from app.kit.wording import Text


class ColumnWords(NamedTuple):
    """Heading, meaning and width in characters of a column."""

    heading: Text
    description: Text
    width: float


def column(heading: Text, description: Text, *, width: float = 16, **more: Any) -> Any:
    """Return the field of a column. The OpenAPI document shows the English description."""
    field: Any = Field(description=description.en, **more)
    field.metadata.append(ColumnWords(heading, description, width))
    return field


def read_columns(row: type[BaseModel]) -> Mapping[str, ColumnWords]:
    """Return name → words of the fields of a row that `column` declares."""
    return {
        name: words
        for name, field in row.model_fields.items()
        for words in field.metadata
        if isinstance(words, ColumnWords)
    }
