"""The tables of a pull in SQLite: a single value is a column, a list or an object a table of its own.

They follow from the service's JSON Schema (`data/pull.json`, from `make openapi`), so a file has every table and column
even if no line fills it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

SHAPES = Path(__file__).parent / "data" / "pull.json"
"""JSON Schema of `PullLine` and `PullSummary`, with the schemas that they refer to."""

_TYPES = {"string": "TEXT", "integer": "INTEGER", "number": "REAL", "boolean": "BOOLEAN"}

_LINE = {"plan": "TEXT", "action": "TEXT"}
"""Primary key of the lines."""

Kind = Literal["root", "object", "items", "values", "entries"]
"""Meaning of a row: a line; the object in a field; an object, or a value, of a list; a value under a name."""
_OWN_KEYS = {"items": {"position": "INTEGER"}, "values": {"position": "INTEGER"}, "entries": {"key": "TEXT"}}


@dataclass
class PullTable:
    """A table with the tables of its parts, and a buffer of rows to insert."""

    name: str
    kind: Kind
    keys: dict[str, str]
    """Columns of the primary key → type."""
    about: str = ""
    columns: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Field of a row → name of its column, type, description."""
    parts: dict[str, "PullTable"] = field(default_factory=dict)
    """Field of a row → table of its content."""
    known: set[str] = field(default_factory=set)
    """Fields with a column or a table."""
    is_coded: bool = False
    """True if the tables of its parts refer to its rows by `code`, not by position in the list."""
    rows: list[tuple[object, ...]] = field(default_factory=list)

    def add_column(self, name: str, type_: str = "", about: str = "") -> None:
        self.known.add(name)
        self.is_coded |= self.kind == "items" and name == "code"
        self.columns[name] = (f"{name}_" if name in self.keys else name, type_, " ".join(about.split()))

    def add_part(self, name: str, kind: Kind, about: str = "") -> "PullTable":
        """Add and return the table of a field's content."""
        keys = dict(self.keys)
        if self.kind == "items":
            keys.pop("position")
            keys |= {"code": "TEXT"} if self.is_coded else {self.name: "INTEGER"}
        own = name if kind == "object" else make_singular(name)
        table_name = own if self.kind == "root" else f"{self.name}_{own}"
        part = PullTable(table_name, kind, keys | _OWN_KEYS.get(kind, {}), " ".join(about.split()))
        self.known.add(name)
        self.parts[name] = part
        return part

    def build_foreign_key(self, keys: tuple[object, ...], fields: Mapping[str, object]) -> tuple[object, ...]:
        """Return the foreign key with which the parts of a row refer to it."""
        return (*keys[:-1], fields["code"]) if self.is_coded else keys

    def all(self) -> Iterator["PullTable"]:
        yield self
        for part in self.parts.values():
            yield from part.all()

    def build_create(self) -> str:
        """Return the CREATE statement, with descriptions as comments for the reader of `.schema`."""
        lines = [(f"{quote_name(name)} {type_} NOT NULL", "") for name, type_ in self.keys.items()]
        lines += [
            (f"{quote_name(name)} {type_}".rstrip(), about) for name, type_, about in self.columns.values()
        ]
        if self.keys:
            lines.append((f"PRIMARY KEY ({', '.join(map(quote_name, self.keys))})", ""))
        if "action" in self.keys and self.kind != "root":
            lines.append(('FOREIGN KEY ("plan", "action") REFERENCES "action"', ""))
        last = len(lines) - 1
        text = [
            f"  {line}{',' if n < last else ''}{f' -- {about}' if about else ''}"
            for n, (line, about) in enumerate(lines)
        ]
        head = f"CREATE TABLE {quote_name(self.name)} ({f' -- {self.about}' if self.about else ''}"
        return "\n".join([head, *text, ")"])

    def build_insert(self) -> str:
        names = [*self.keys, *(name for name, _, _ in self.columns.values())]
        marks = ", ".join("?" * len(names))
        return f"INSERT INTO {quote_name(self.name)} ({', '.join(map(quote_name, names))}) VALUES ({marks})"  # noqa: S608  # names


def create_line_table() -> PullTable:
    """Return the table `action` for the lines, with its parts."""
    return _apply_shape(PullTable("action", "root", _LINE, known={*_LINE}), "PullLine")


def create_summary_table() -> PullTable:
    """Return the table `pull` for the summary and the address of a pull."""
    table = PullTable("pull", "root", {})
    table.add_column("address", "TEXT", "Address of the pull.")
    return _apply_shape(table, "PullSummary")


def create_digest_table() -> PullTable:
    """Return the table `digest` for the hashes by plan and lead agency."""
    table = PullTable("digest", "root", {"plan": "TEXT", "lead_agency": "TEXT"})
    table.add_column("rows", "INTEGER", "Lines that the agency leads.")
    table.add_column("sha256", "TEXT", "SHA-256 of these lines with their line feeds, as in /v1/digests.")
    return table


def _apply_shape(table: PullTable, shape: str) -> PullTable:
    shapes = json.loads(SHAPES.read_bytes())["$defs"]
    _fill(table, shapes[shape], shapes)
    return table


def _fill(table: PullTable, shape: dict[str, Any], shapes: dict[str, object]) -> None:
    """Add the columns and then the parts of a shape: a part's keys depend on the columns."""
    parts = []
    for name, declared in shape["properties"].items():
        schema = _resolve(declared, shapes)
        about = schema.get("description", "")
        if schema["type"] in _TYPES:
            if name not in table.known:
                table.add_column(name, _TYPES[schema["type"]], about)
        elif schema["type"] == "array":
            item = _resolve(schema["items"], shapes)
            parts.append((name, "items" if "properties" in item else "values", about, item))
        else:
            parts.append((name, "object" if "properties" in schema else "entries", about, schema))
    kind: Any
    for name, kind, about, below in parts:
        part = table.add_part(name, kind, about)
        if "properties" in below:
            _fill(part, below, shapes)
        else:
            (value,) = below.get("patternProperties", {"": below}).values()
            part.add_column(make_singular(name), _TYPES[value["type"]], "")


def _resolve(declared: dict[str, Any], shapes: dict[str, Any]) -> dict[str, Any]:
    """Resolve the reference of a field's schema, and drop null from its alternatives."""
    if "$ref" in declared:
        return {**_resolve(shapes[declared["$ref"].rpartition("/")[2]], shapes), **declared}
    if "anyOf" in declared:
        (schema,) = [option for option in declared["anyOf"] if option.get("type") != "null"]
        return {**_resolve(schema, shapes), **declared}
    return declared


def make_singular(name: str) -> str:
    """Return the singular of an English plural in -s or -ies."""
    return f"{name.removesuffix('ies')}y" if name.endswith("ies") else name.removesuffix("s")


def quote_name(name: str) -> str:
    """Return a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
