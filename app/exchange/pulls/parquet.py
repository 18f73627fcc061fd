"""A pull as Parquet: typed as the lines' shape declares, texts in dictionaries, what is said of it in the footer."""

import io
import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from app.exchange.pulls.models import PullLine
from app.kit.database.json_sql import to_json
from app.kit.exports.cache import Making, Written
from app.kit.openapi.schemas import fields_by_age

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP = 10_000
"""Lines of a row group: what is in memory at a time."""

#: The one field whose names are not declared: words of the matrix by column. Kept as its JSON text.
_OPEN = re.compile(rb'"matrix_texts":\s*(\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\})')


def write_parquet(making: Making, lines: Iterator[list[str]], told: dict[str, object]) -> None:
    """Write the lines; `told` goes into the footer, each value as JSON under `rata.` and its name."""
    # Half as large as all else of a worker together: loaded by the first who asks for it.
    import pyarrow as pa
    import pyarrow.json
    import pyarrow.parquet

    schema = schema_of(PullLine)
    reading = pa.json.ParseOptions(explicit_schema=_read_as(schema), unexpected_field_behavior="error")
    with pa.parquet.ParquetWriter(
        pa.PythonFile(Written(making), "w"),
        schema,
        compression="zstd",
        use_dictionary=True,
        store_schema=True,
    ) as writer:
        for group in _groups(lines):
            data = _OPEN.sub(_as_text, "\n".join(group).encode())
            options = pa.json.ReadOptions(use_threads=False, block_size=len(data) + 1)
            table = pa.json.read_json(io.BytesIO(data), read_options=options, parse_options=reading)
            writer.write_table(table.cast(schema))
        writer.add_key_value_metadata({f"rata.{name}": to_json(value) for name, value in told.items()})


def _groups(lines: Iterator[list[str]]) -> Iterator[list[str]]:
    group: list[str] = []
    for part in lines:
        group += part
        if len(group) >= _GROUP:
            yield group
            group = []
    if group:
        yield group


def _as_text(found: re.Match[bytes]) -> bytes:
    return b'"matrix_texts":' + to_json(to_json(json.loads(found[1]))).encode()


def schema_of(shape: type[BaseModel]) -> "pa.Schema":
    """The columns of a shape: a list is a list, an object a struct, money and counts 64-bit integers."""
    import pyarrow as pa

    return pa.schema([(name, _type_of(of.annotation)) for name, of in fields_by_age(shape).items()])


def _type_of(kind: Any) -> "pa.DataType":
    import pyarrow as pa

    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type_of(inner[0])
    if origin in (Union, UnionType):
        (only,) = (one for one in inner if one is not NoneType)
        return _type_of(only)
    if origin is list:
        return pa.list_(_type_of(inner[0]))
    if origin is dict:
        return pa.string()
    if issubclass(kind, BaseModel):
        return pa.struct([(name, _type_of(of.annotation)) for name, of in fields_by_age(kind).items()])
    plain = {
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        datetime: pa.timestamp("us", "UTC"),
        date: pa.date32(),
    }
    return plain.get(kind, pa.string())


def _read_as(schema: "pa.Schema") -> "pa.Schema":
    """The same with days and instants as the texts that JSON has for them."""
    import pyarrow as pa

    return pa.schema([(field.name, _read_type(field.type)) for field in schema])


def _read_type(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if pa.types.is_list(kind):
        return pa.list_(_read_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _read_type(field.type)) for field in kind])
    return pa.string() if pa.types.is_temporal(kind) else kind
