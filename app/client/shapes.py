"""Which tables the lines of a pull make: what is one value is a column, what is a list has rows of its own.

They follow from the shapes that the service declares (`data/pull.json`, written by `make openapi`): all of them are
there, with every column, whatever the lines hold.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

SHAPES = Path(__file__).parent / "data" / "pull.json"
"""`PullLine` and `PullSummary` with all that they refer to, as JSON Schema."""

_TYPES = {"string": "TEXT", "integer": "INTEGER", "number": "REAL", "boolean": "BOOLEAN"}

_LINE = {"plan": "TEXT", "action": "TEXT"}
"""What tells lines apart."""

Kind = Literal["root", "object", "items", "values", "entries"]
"""What a row is: a line; the object in a field; an object, or a value, of a list; a value under a name."""
_OWN_KEYS = {"items": {"position": "INTEGER"}, "values": {"position": "INTEGER"}, "entries": {"key": "TEXT"}}


@dataclass
class Table:
    """A table, the tables of what hangs on its rows, and the rows that are not written yet."""

    name: str
    kind: Kind
    keys: dict[str, str]
    """Columns that say which row it is → type."""
    about: str = ""
    columns: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Field of a row → name of its column, type, what it means."""
    parts: dict[str, "Table"] = field(default_factory=dict)
    """Field of a row → table of what is in it."""
    known: set[str] = field(default_factory=set)
    """Fields of a row that have their place."""
    is_coded: bool = False
    """What hangs on its rows names them by their `code`, not by their place in the list."""
    rows: list[tuple[object, ...]] = field(default_factory=list)

    def add_column(self, name: str, type_: str = "", about: str = "") -> None:
        self.known.add(name)
        self.is_coded |= self.kind == "items" and name == "code"
        self.columns[name] = (f"{name}_" if name in self.keys else name, type_, " ".join(about.split()))

    def add_part(self, name: str, kind: Kind, about: str = "") -> "Table":
        """The table of what is in that field."""
        keys = dict(self.keys)
        if self.kind == "items":
            keys.pop("position")
            keys |= {"code": "TEXT"} if self.is_coded else {self.name: "INTEGER"}
        own = name if kind == "object" else singular(name)
        called = own if self.kind == "root" else f"{self.name}_{own}"
        part = Table(called, kind, keys | _OWN_KEYS.get(kind, {}), " ".join(about.split()))
        self.known.add(name)
        self.parts[name] = part
        return part

    def keys_below(self, keys: tuple[object, ...], found: Mapping[str, object]) -> tuple[object, ...]:
        """The first keys of what hangs on a row."""
        return (*keys[:-1], found["code"]) if self.is_coded else keys

    def all(self) -> Iterator["Table"]:
        yield self
        for part in self.parts.values():
            yield from part.all()

    def created(self) -> str:
        """The statement that makes it, which is also what a reader is shown of it (`.schema`)."""
        lines = [(f"{quoted(name)} {type_} NOT NULL", "") for name, type_ in self.keys.items()]
        lines += [(f"{quoted(name)} {type_}".rstrip(), about) for name, type_, about in self.columns.values()]
        if self.keys:
            lines.append((f"PRIMARY KEY ({', '.join(map(quoted, self.keys))})", ""))
        if "action" in self.keys and self.kind != "root":
            lines.append(('FOREIGN KEY ("plan", "action") REFERENCES "action"', ""))
        last = len(lines) - 1
        text = [
            f"  {line}{',' if n < last else ''}{f' -- {about}' if about else ''}"
            for n, (line, about) in enumerate(lines)
        ]
        head = f"CREATE TABLE {quoted(self.name)} ({f' -- {self.about}' if self.about else ''}"
        return "\n".join([head, *text, ")"])

    def inserted(self) -> str:
        names = [*self.keys, *(name for name, _, _ in self.columns.values())]
        marks = ", ".join("?" * len(names))
        return f"INSERT INTO {quoted(self.name)} ({', '.join(map(quoted, names))}) VALUES ({marks})"  # noqa: S608  # names


def line_table() -> Table:
    """`action`, with all that a line has."""
    return _filled(Table("action", "root", _LINE, known={*_LINE}), "PullLine")


def end_table() -> Table:
    """`pull`, with what the end of a pull says, and where it was pulled from."""
    table = Table("pull", "root", {})
    table.add_column("address", "TEXT", "Where it was pulled from.")
    return _filled(table, "PullSummary")


def digest_table() -> Table:
    table = Table("digest", "root", {"plan": "TEXT", "lead_agency": "TEXT"})
    table.add_column("rows", "INTEGER", "Lines that the agency leads.")
    table.add_column("sha256", "TEXT", "Of these lines, each with its line feed, as /v1/digests tells it.")
    return table


def _filled(table: Table, shape: str) -> Table:
    shapes = json.loads(SHAPES.read_bytes())["$defs"]
    _fill(table, shapes[shape], shapes)
    return table


def _fill(table: Table, shape: dict[str, Any], shapes: dict[str, object]) -> None:
    """Give a table what its shape declares. Columns first: what hangs on a row is keyed by them."""
    parts = []
    for name, declared in shape["properties"].items():
        found = _resolved(declared, shapes)
        about = found.get("description", "")
        if found["type"] in _TYPES:
            if name not in table.known:
                table.add_column(name, _TYPES[found["type"]], about)
        elif found["type"] == "array":
            item = _resolved(found["items"], shapes)
            parts.append((name, "items" if "properties" in item else "values", about, item))
        else:
            parts.append((name, "object" if "properties" in found else "entries", about, found))
    kind: Any
    for name, kind, about, below in parts:
        part = table.add_part(name, kind, about)
        if "properties" in below:
            _fill(part, below, shapes)
        else:
            (value,) = below.get("patternProperties", {"": below}).values()
            part.add_column(singular(name), _TYPES[value["type"]], "")


def _resolved(declared: dict[str, Any], shapes: dict[str, Any]) -> dict[str, Any]:
    """What a field is where it is not null."""
    if "$ref" in declared:
        return {**_resolved(shapes[declared["$ref"].rpartition("/")[2]], shapes), **declared}
    if "anyOf" in declared:
        (found,) = [one for one in declared["anyOf"] if one.get("type") != "null"]
        return {**_resolved(found, shapes), **declared}
    return declared


def singular(name: str) -> str:
    return f"{name.removesuffix('ies')}y" if name.endswith("ies") else name.removesuffix("s")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
