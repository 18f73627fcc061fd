"""Reads a plan as lines of the matrix."""

from collections.abc import Sequence

from sqlmodel import Session

from app.agencies.queries import read_agency_names
from app.exchange.matrix.cells import CodeNames, make_line, sort_codes
from app.exchange.matrix.models import Basis, Content, MatrixLine
from app.exchange.matrix.spending import split_spending
from app.kit.periods import Period
from app.plans.copies.queries import read_line_contents
from app.plans.core.models import Plan
from app.reference.names.queries import read_source_names
from app.reference.queries import find_regions_by_code
from app.tracking.lines.queries import LineSpending, read_spending
from app.tracking.quarters.queries import read_copies


def read_code_names(session: Session, plan: Plan, contents: Sequence[Content]) -> CodeNames:
    """Return the names that lines with these contents show for their codes."""
    places = {item["region_code"] for content in contents for item in content["locations"]}
    regions = {code: region.name for code, region in find_regions_by_code(session, places).items()}
    sources = read_source_names(session, plan.region_code)
    return CodeNames(
        read_agency_names(session, plan.region_code), regions, sources.list_words(), sources.find_code
    )


def read_matrix_lines(session: Session, plan: Plan, period: Period | None, basis: Basis) -> list[MatrixLine]:
    """Return every line of a visible plan, ordered by code.

    With a period: the lines of its last quarter's revision, with the spending by half-year.
    """
    copy_id = read_copies(session, plan).get(period.last_quarter) if period else None
    contents: dict[str, Content] = {
        code: dict(content) for code, content in read_line_contents(session, plan, copy_id).items()
    }
    first = read_spending(session, plan, f"{period.year}-Q2") if period else {}
    last = read_spending(session, plan, period.last_quarter) if period and period.part != "S1" else first
    for code in contents.keys() & last.keys():
        contents[code]["lead_agency"] = last[code].lead_agency
    names = read_code_names(session, plan, list(contents.values()))
    return [
        make_line(contents[code], names, make_columns(first.get(code), last.get(code), basis))
        for code in sort_codes(contents)
    ]


def make_columns(
    first: LineSpending | None, last: LineSpending | None, basis: Basis
) -> dict[str, int | None]:
    """Return the realisation columns of a line by its spending of Q2 and of the last quarter."""
    is_new = last is not None and last.reported_in is not None and last.reported_in[5:] > "Q2"
    return split_spending(first and first.spent, last and last.spent, basis, is_of_second_half=is_new)
