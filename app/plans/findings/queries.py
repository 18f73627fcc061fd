"""Checks of lines and plans: read the facts for the rules, with as many statements for many lines as for one."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from app.agencies.queries import read_agency_names
from app.kit.database.json_sql import select_json
from app.plans.actions.queries import actions, build_action_columns, read_contents
from app.plans.actions.rules import ActionContent, CostContent
from app.plans.core.models import Plan, PriorityContent
from app.plans.core.queries import read_plan_content
from app.plans.core.rules import find_government_level
from app.plans.findings.kinds import W07, Finding
from app.plans.findings.rules import LineFacts, PlacedFinding, check_line, check_plan_lines, compute_spreads
from app.plans.findings.spending.rules import SpentContent
from app.plans.findings.thresholds import choose_thresholds
from app.plans.overlaps.queries import Overlap, complete_overlaps, read_overlaps
from app.reference.nomenclature.queries import find_codes_not_in_force

REPORT_CHECKS: list[Callable[[Session, Plan], Iterable[PlacedFinding]]] = []
"""Hooks of the areas above, from `app.wiring`: plans must not import progress. Each takes a plan and yields the
findings on the reports of its lines."""

SPENT_FIGURES: list[Callable[[Session, Plan, Collection[str]], Mapping[str, SpentContent]]] = []
"""Hooks of the areas above, from `app.wiring`. Each returns the money of the latest report on lines of these codes."""


@dataclass(frozen=True)
class CheckedPlan:
    """The findings of a plan."""

    lines: Mapping[str, ActionContent]
    found: list[PlacedFinding]
    """Open findings, by code, then by line."""
    explained: int
    """Number of overlaps with an explanation."""
    left_out: int
    """Number of open overlaps that `found` omits."""


def check_plan(session: Session, plan: Plan) -> CheckedPlan:
    """Return the findings of a visible plan, its lines and its reports, in one pass."""
    lines = read_contents(session, plan)
    findings = check_lines(session, plan, lines)
    known = read_overlaps(session, plan)
    overlaps = complete_overlaps(known, lines, plan.year)
    unexplained = [overlap for overlap in overlaps if overlap.state != "explained"]
    findings += _report_overlaps(session, plan, unexplained, lines)
    for check in REPORT_CHECKS:
        findings += check(session, plan)
    return CheckedPlan(
        lines,
        sort_findings(findings),
        explained=len(overlaps) - len(unexplained),
        left_out=known.total - len(known.pairs),
    )


def check_lines(
    session: Session, plan: Plan, lines: Mapping[str, ActionContent], *, is_amended: bool = False
) -> list[PlacedFinding]:
    """Return the findings of a plan with these lines (contents by code), without overlaps and reports.

    The budgets of lines of an amendment (`is_amended`) must cover what was spent.
    """
    spent = _read_spent(session, plan, lines) if is_amended else {}
    priorities = read_plan_content(session, plan)["priority_locations"]
    facts = _read_facts(session, plan, lines.values(), priorities, similar=lines.values())
    findings = [
        PlacedFinding(code, finding)
        for code, line in lines.items()
        for finding in check_line(line, facts, spent.get(code))
    ]
    findings += [
        PlacedFinding(None, finding) for finding in check_plan_lines(lines.values(), priorities, plan.year)
    ]
    return sort_findings(findings)


def sort_findings(findings: Iterable[PlacedFinding]) -> list[PlacedFinding]:
    """Return findings by code, then by line, the plan's own first; stable."""
    return sorted(findings, key=lambda item: (item.finding.code, item.action or "", item.period or ""))


def list_findings_by_line(
    session: Session, plan: Plan, lines: Mapping[str, ActionContent], *, is_amended: bool = False
) -> dict[str, list[Finding]]:
    """Return the findings of some of the plan's lines (contents by code), without overlaps.

    The budgets of lines of an amendment (`is_amended`) must cover what was spent.
    """
    spent = _read_spent(session, plan, lines) if is_amended else {}
    codes = {code for line in lines.values() if (code := line["subactivity_code"]) is not None}
    similar = _read_similar(session, plan, codes) if codes else ()
    priorities = read_plan_content(session, plan)["priority_locations"]
    facts = _read_facts(session, plan, lines.values(), priorities, similar=similar)
    return {code: check_line(line, facts, spent.get(code)) for code, line in lines.items()}


def _read_spent(session: Session, plan: Plan, codes: Collection[str]) -> dict[str, SpentContent]:
    return {code: money for read in SPENT_FIGURES for code, money in read(session, plan, codes).items()}


def list_line_findings(session: Session, plan: Plan, code: str, line: ActionContent) -> list[Finding]:
    """Return the findings of one stored line, with its overlaps."""
    findings = list_findings_by_line(session, plan, {code: line})[code]
    # A line without one of these overlaps with no other (`find_coincidence`).
    if not (line["benefit_forms"] and line["recipients"] and line["locations"]):
        return findings
    known = read_overlaps(session, plan, action=code)
    if known.pairs:
        lines = read_contents(session, plan, {key for pair in known.pairs for key in pair})
        overlaps = complete_overlaps(known, lines, plan.year)
        unexplained = [overlap for overlap in overlaps if overlap.state != "explained"]
        findings += [placed.finding for placed in _report_overlaps(session, plan, unexplained, lines)]
    return sorted(findings, key=lambda finding: finding.code)


def _report_overlaps(
    session: Session, plan: Plan, overlaps: Collection[Overlap], lines: Mapping[str, ActionContent]
) -> list[PlacedFinding]:
    """Return a finding W07 for each pair, at its first line."""
    if not overlaps:
        return []
    names = read_agency_names(session, plan.region_code)
    findings = []
    for overlap in overlaps:
        (first, second), common = overlap.pair, overlap.coincides
        agencies = [lines[key]["lead_agency"] for key in overlap.pair]
        finding = W07.find_at(
            "/locations",
            first=first,
            second=second,
            agencies=agencies,
            first_agency=names.get(agencies[0], agencies[0]),
            second_agency=names.get(agencies[1], agencies[1]),
            benefit_forms=common["benefit_forms"],
            recipients=sorted({recipient["kind"] for recipient in common["recipients"]}),
            places=common["places"][:5],
            place_count=len(common["places"]),
            first_month=common["first_month"],
            last_month=common["last_month"],
        )
        findings.append(PlacedFinding(first, finding))
    return findings


# Facts for the rules


def _read_facts(
    session: Session,
    plan: Plan,
    lines: Collection[ActionContent],
    priorities: Collection[PriorityContent],
    *,
    similar: Collection[CostContent],
) -> LineFacts:
    codes = {
        (edition, code)
        for line in lines
        if (code := line["subactivity_code"]) is not None and (edition := line["nomenclature_edition"])
    }
    level = find_government_level(plan.region_code)
    retired = find_codes_not_in_force(session, level, codes)
    return LineFacts(
        plan.region_code,
        plan.year,
        successors={
            code: [f"{successor.code} {successor.name}" for successor in successors]
            for code, successors in retired.items()
        },
        eligible={
            location["region_code"]: location["target_families"]
            for location in priorities
            if location["target_families"] is not None
        },
        spreads=compute_spreads(similar, choose_thresholds(plan.year)),
    )


def _read_similar(session: Session, plan: Plan, codes: Collection[str]) -> list[CostContent]:
    columns = [column for column in build_action_columns() if column.name in CostContent.__annotations__]
    query = sa.select(*columns).where(actions.c.plan_id == plan.id, actions.c.subactivity_code.in_(codes))
    return [json.loads(text) for text in session.scalars(select_json(query))]
