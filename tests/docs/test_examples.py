"""The shell text of the documentation runs word for word against `rata demo`, with the replies it shows."""

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import PAGES, README, TRANSLATIONS, Block, blocks_of, name_of
from tests.docs.server import Demo, Reader, find_curls, has_curl

pytestmark = pytest.mark.skipif(not has_curl(), reason="the examples are written for curl, and there is none")

RUN_PAGES = [
    page
    for page in PAGES
    if page not in TRANSLATIONS and any(block.marker in ("run", "cron") for block in blocks_of(page))
]
"""Pages with examples. A translation repeats the blocks of its original, which run once."""
COMPILED = [page for page in RUN_PAGES if any("npx " in block.text for block in blocks_of(page))]
"""Pages whose examples need compilers: `make proofs GROUP=clients` runs them."""
SET_UP = next(block for block in blocks_of(README) if block.marker == "set up")


@pytest.fixture
def reader(demo: Demo, tmp_path: Path) -> Reader:
    return Reader(demo, tmp_path / "checkout")


@pytest.mark.parametrize("page", [page for page in RUN_PAGES if page not in COMPILED], ids=name_of)
def test_examples_of_a_page_run_in_their_order(page: Path, reader: Reader) -> None:
    run_page(page, reader)


def run_page(page: Path, reader: Reader) -> None:
    """Run a page from its beginning and compare the output with the page."""
    printed, blocks = "", blocks_of(page)
    if all(block.marker != "set up" for block in blocks):
        _run(SET_UP, reader)
    for block in blocks:
        if block.marker == "save":
            (reader.examples / block.argument).write_text(block.text)
        elif block.marker in ("run", "set up"):
            printed = _run(block, reader)
        elif block.marker == "cron":
            _run_by_cron(block, reader)
        elif block.marker == "answer":
            text = printed.splitlines()[0] if block.argument == "ndjson" else printed
            _compare(json.loads(block.text), _read(text, block), block)
    assert reader.list_added_files() == set(), "an example leaves files in the checkout"


def test_every_page_sets_up_the_same_shell() -> None:
    """A page with the console sets it up first: otherwise a command uses another database."""
    for page in PAGES:
        blocks = blocks_of(page)
        assert {block.text for block in blocks if block.marker == "set up"} <= {SET_UP.text}
        if any("rata token create" in block.text for block in blocks if block.marker == "run"):
            first = next(block for block in blocks if block.marker in ("set up", "run"))
            assert first.marker == "set up", first.place


@pytest.mark.parametrize("page", TRANSLATIONS, ids=name_of)
def test_translation_has_the_blocks_of_its_original(page: Path) -> None:
    """The blocks are byte-equal, each below the same heading."""
    assert _read_outline(page) == _read_outline(TRANSLATIONS[page])


def _read_outline(page: Path) -> list[tuple[int, str, str, str, str]]:
    """Return each block of a page with the number of headings before it."""
    lines = page.read_text().splitlines()
    return [
        (
            sum(re.match("#+ [^#]", line) is not None for line in lines[: block.line]),
            block.marker,
            block.argument,
            block.language,
            block.text,
        )
        for block in blocks_of(page)
    ]


def _run(block: Block, reader: Reader) -> str:
    done = reader.run(block.text)
    report = f"{block.place}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    if block.argument:
        problem = _read(done.stdout, block)
        assert done.returncode == 22, f"no problem at {report}"
        assert problem["status"] == int(block.argument), f"another status than {block.argument} at {report}"
    elif done.returncode:
        pytest.fail(report, pytrace=False)
    return done.stdout


def _run_by_cron(block: Block, reader: Reader) -> None:
    for line in block.text.splitlines():
        done = reader.run_by_cron(" ".join(line.split()[5:]))
        assert done.returncode == 0, f"{block.place}: {line}\n{done.stdout}\n{done.stderr}"


def _read(text: str, block: Block) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pytest.fail(f"{block.place}: what came before printed no JSON but\n{text[:3000]}", pytrace=False)


def _compare(expected: Any, actual: Any, block: Block, at: str = "") -> None:
    """Fail unless `actual` has every expected field, and every expected item in its place."""
    if expected == "…":
        return
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, value in expected.items():
            if name not in actual:
                pytest.fail(f"{block.place}: the answer has no {at}/{name}", pytrace=False)
            _compare(value, actual[name], block, f"{at}/{name}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) <= len(actual):
        for n, value in enumerate(expected):
            _compare(value, actual[n], block, f"{at}/{n}")
    elif expected != actual:
        pytest.fail(f"{block.place}: shows {at} {expected!r}, the answer has {actual!r}", pytrace=False)


def test_demo_prints_lines_that_work(demo: Demo, reader: Reader) -> None:
    lines = find_curls(demo.greeting)
    assert len(lines) == 3
    for line in lines:
        done = reader.run(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}"
    (file,) = re.findall(r" -o (\S+/examples/rat\.xlsx) ", lines[-1])
    assert Path(file).read_bytes().startswith(b"PK")
    assert demo.address in demo.greeting
    assert demo.token in demo.greeting


def test_demo_prints_a_shell_for_the_console(demo: Demo, reader: Reader) -> None:
    exports = re.findall(r"^ *(export .+)$", demo.greeting, re.MULTILINE)
    assert len(exports) == 3
    done = reader.run("\n".join(exports) + "\ncommand -v rata")
    assert Path(done.stdout.strip()) == Path(sys.executable).with_name("rata")
    # its process need not import the service
    quick = shlex.quote(str(demo.folder / "bin" / "rata"))
    done = reader.run(f"{quick} token list\n{quick} pull 2025-Q2 --region 63 --out var/examples")
    assert done.returncode == 0, done.stderr
    assert "demo-" in done.stdout
