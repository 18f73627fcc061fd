"""What the documentation shows is what happens: its shell text runs, word for word, against `rata demo`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.tools import node_modules
from tests.docs.pages import PAGES, Block, blocks_of, name_of
from tests.docs.server import Demo, has_curl, printed_curls

pytestmark = pytest.mark.skipif(not has_curl(), reason="the examples are written for curl, and there is none")

RUN_PAGES = [page for page in PAGES if any(block.marker == "run" for block in blocks_of(page))]


@pytest.mark.parametrize("page", RUN_PAGES, ids=name_of)
def test_examples_of_a_page_run_in_their_order(page: Path, demo: Demo, tmp_path: Path) -> None:
    printed = ""
    if any("npx " in block.text for block in blocks_of(page) if block.marker == "run"):
        (tmp_path / "node_modules").symlink_to(node_modules())
    for block in blocks_of(page):
        if block.marker == "save":
            (tmp_path / block.argument).write_text(block.text)
        elif block.marker == "run":
            printed = _run(block, demo, tmp_path)
        elif block.marker == "answer":
            text = printed.splitlines()[0] if block.argument == "ndjson" else printed
            _hold(json.loads(block.text), _read(text, block), block)


def _run(block: Block, demo: Demo, folder: Path) -> str:
    done = demo.shell(block.text, folder)
    said = f"{block.place}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    if block.argument:
        problem = _read(done.stdout, block)
        assert done.returncode == 22, f"no problem at {said}"
        assert problem["status"] == int(block.argument), f"another status than {block.argument} at {said}"
    elif done.returncode:
        pytest.fail(said, pytrace=False)
    return done.stdout


def _read(text: str, block: Block) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pytest.fail(f"{block.place}: what came before printed no JSON but\n{text[:3000]}", pytrace=False)


def _hold(shown: Any, found: Any, block: Block, at: str = "") -> None:
    """`shown` is part of `found`: every field that is shown is there, every item that is shown in its place."""
    if shown == "…":
        return
    if isinstance(shown, dict) and isinstance(found, dict):
        for name, value in shown.items():
            if name not in found:
                pytest.fail(f"{block.place}: the answer has no {at}/{name}", pytrace=False)
            _hold(value, found[name], block, f"{at}/{name}")
    elif isinstance(shown, list) and isinstance(found, list) and len(shown) <= len(found):
        for n, value in enumerate(shown):
            _hold(value, found[n], block, f"{at}/{n}")
    elif shown != found:
        pytest.fail(f"{block.place}: shows {at} {shown!r}, the answer has {found!r}", pytrace=False)


def test_demo_prints_three_lines_that_work(demo: Demo, tmp_path: Path) -> None:
    lines = printed_curls(demo.greeting)
    assert len(lines) == 3
    for line in lines:
        done = demo.shell(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}"
    assert (tmp_path / "rat.xlsx").read_bytes().startswith(b"PK")
    assert demo.address in demo.greeting
    assert demo.token in demo.greeting
