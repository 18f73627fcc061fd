"""The table of settings in docs/install.md, from `Settings`: `make openapi` writes it, a test compares it."""

import re
from types import NoneType
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from app.settings import Settings
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "install.md"
_BETWEEN = re.compile(r"(?<=-->\n)(?:\|.*\n)*(?=<!-- end of settings -->)")


def render_table() -> str:
    """Return the table: variable, default, values and description of each setting."""
    rows = ["| Variable | Default | Values | Meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = _write_code(field.default)
        rows.append(f"| `RATA_{name.upper()}` | {default} | {_write_values(field)} | {field.description} |")
    return "\n".join(rows) + "\n"


def write_table(page: str) -> str:
    """Return the text of the page with the table between its markers. Raises AssertionError without markers."""
    assert len(_BETWEEN.findall(page)) == 1, f"{PAGE} has no place for the table"
    return _BETWEEN.sub(lambda _: render_table(), page)


def _write_code(value: object) -> str:
    """Return a value as the environment takes it; "" for None."""
    return "" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _write_values(field: FieldInfo) -> str:
    """Return the choices or the bounds of a setting; "" for text."""
    kind = next((part for part in get_args(field.annotation) if part is not NoneType), field.annotation)
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if kind is bool:
        return "`true`, `false`"
    bounds = {
        name: getattr(item, name)
        for item in field.metadata
        for name in ("ge", "gt", "le")
        if getattr(item, name, None) is not None
    }
    lowest = f"above {bounds['gt']}" if "gt" in bounds else f"{bounds.get('ge', '')}"
    if not lowest:
        return ""
    return f"{lowest} to {bounds['le']}" if "le" in bounds else f"from {lowest}"


if __name__ == "__main__":
    PAGE.write_text(write_table(PAGE.read_text()))
