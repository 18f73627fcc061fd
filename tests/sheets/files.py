"""The sheets in `cases/`: made up, in the shapes, spellings and codes of real offices; `cases.json` lists them."""

import json
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
CASES = {case["file"]: case for case in json.loads((_HERE / "cases.json").read_text())}


def read_case(name: str) -> tuple[bytes, dict[str, Any]]:
    """Return the file of a case and the query of its call."""
    return (_HERE / "cases" / name).read_bytes(), dict(CASES[name]["query"])
