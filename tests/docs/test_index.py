"""docs/README.md lists every page once, with its readers and its use, and nothing else."""

import re

from tests.docs.pages import DECISIONS, ROOT

DOCS = ROOT / "docs"
ROWS = re.findall(
    r"^\| \[[^\]]+\]\(([^)]+)\) \| (\S[^|]*) \| (\S[^|]*) \|$", (DOCS / "README.md").read_text(), re.MULTILINE
)


def test_table_lists_every_page_once() -> None:
    listed = [(DOCS / file).resolve() for file, _, _ in ROWS]
    pages = {page for page in DOCS.glob("*.md") if page.name != "README.md"} | {DECISIONS / "README.md"}
    assert sorted(listed) == sorted(pages)


def test_the_page_has_no_other_list() -> None:
    table = re.findall(r"^\| .+ \|$", (DOCS / "README.md").read_text(), re.MULTILINE)
    assert len(table) == len(ROWS) + 1, "a row lacks its link, its readers or its use"
