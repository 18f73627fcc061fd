"""Decisions: numbers without a gap, rows in the index, and the same parts in each page."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DECISIONS, name_of

INDEX = DECISIONS / "README.md"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))


def test_numbers_have_no_gap() -> None:
    assert [record.name[:5] for record in RECORDS] == [f"{n:04}-" for n in range(1, len(RECORDS) + 1)]
    assert {*DECISIONS.iterdir()} == {INDEX, *RECORDS}


def test_index_lists_each_decision_in_its_order() -> None:
    rows = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| \S.+ \| [a-z]+ \|$", INDEX.read_text(), re.MULTILINE)
    assert rows == [(record.name[:4], record.name) for record in RECORDS]


@pytest.mark.parametrize("record", RECORDS, ids=name_of)
def test_decision_says_why_and_when_a_change_violates_it(record: Path) -> None:
    text = record.read_text()
    assert text.startswith(f"# {record.name[:4]} ")
    assert "\n## Why\n" in text
    assert text.count("**A change violates this when it** ") == 1
