"""A file of any version of a plan finds the lines of that version, beside other versions. Without a database."""

from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from app.exchange.matrix.cells import CodeNames, make_line
from app.exchange.matrix.imports.matching.rules import Match, match_versions
from app.exchange.matrix.imports.rules import ResolvedLine, Subactivity, has_equal_content
from app.exchange.matrix.rules import read_matrix
from app.exchange.matrix.writing import make_matrix_csv
from app.plans.actions.models import ActionIn
from tests.exchange.test_amending import FULL

AGENCIES = ["1.06.0.00.0.00.08.0000", "1.02.0.00.0.00.02.0000"]
NAMES = CodeNames(dict(zip(AGENCIES, ["Dinas Sosial", "Dinas Kesehatan"], strict=True)), {}, {})
BARE = {
    **FULL,
    "supporting_agencies": [],
    "locations": [],
    "budget_lines": [],
    "recipients": [],
    "components": [],
}


def build_content(agency: str, strategy: str, allocation: int) -> dict[str, Any]:
    changed = {"lead_agency": agency, "strategy": strategy, "allocation": allocation}
    return ActionIn.model_validate({**BARE, **changed}).model_dump(mode="json")


CONTENT = some.builds(
    build_content,
    some.sampled_from(AGENCIES),
    some.sampled_from(["raise_income", "reduce_spending_burden"]),
    some.integers(1, 4),
)
VERSIONS = some.lists(
    some.dictionaries(some.sampled_from([f"A-{n:03}" for n in range(1, 7)]), CONTENT, min_size=1),
    min_size=1,
    max_size=3,
)  # fmt: skip


def read_lines(version: dict[str, dict[str, Any]]) -> list[ResolvedLine]:
    """Return the lines of the version's export, in its order."""
    lines = [make_line(version[code], NAMES) for code in sorted(version)]
    matrix = read_matrix(make_matrix_csv(lines, ["", ""], realisation=False), "a.csv")
    assert matrix.errors == ()
    return [
        ResolvedLine(
            row,
            row["agency"].code,
            Subactivity(row["subactivity"].code, row["subactivity"].name, None, None, None),
        )
        for row in matrix.rows
    ]


def match(versions: list[dict[str, dict[str, Any]]], lines: list[ResolvedLine]) -> list[Match | None]:
    @cache
    def is_equal(version: int, code: str, place: int) -> bool:
        return has_equal_content(lines[place], versions[version][code], NAMES)

    return match_versions(versions, lines, is_equal)


@given(versions=VERSIONS, chosen=some.integers(0, 2))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_file_of_a_version_equals_it_line_by_line(
    versions: list[dict[str, dict[str, Any]]], chosen: int
) -> None:
    version = versions[chosen % len(versions)]
    lines = read_lines(version)
    matches = match(versions, lines)
    contents = [versions[found.version][found.code] if found else None for found in matches]
    assert all(
        has_equal_content(line, content or {}, NAMES) for line, content in zip(lines, contents, strict=True)
    )
    codes = [found.code for found in matches if found]
    assert len(set(codes)) == len(version)
    others = [other for other in versions if other != version]
    if not any(content in other.values() for other in others for content in version.values()):
        assert sorted(codes) == sorted(version), "no other version has a line like one of the file"
