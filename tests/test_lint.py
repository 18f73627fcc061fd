"""The house's tools find nothing: style, layout, types, import direction. `make format` mends the first two."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = {
    "style": [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", "."],
    "layout": [sys.executable, "-m", "ruff", "format", "--no-cache", "--check", "."],
    "types": [sys.executable, "-m", "mypy", "app"],
    "imports": [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tool_finds_nothing(tool: str) -> None:
    done = subprocess.run(
        TOOLS[tool], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"{' '.join(TOOLS[tool])}\n{done.stdout}", pytrace=False)
