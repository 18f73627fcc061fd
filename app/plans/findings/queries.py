"""Checks of lines and plans: read the facts for the rules, with as many statements for many lines as for one."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session

from app.agencies.queries import agency_labels
from app.kit.database.json_sql import json_texts
from app.plans.actions.queries import action_columns, actions, contents_of
from app.plans.actions.rules import ActionContent, CostContent
from app.plans.core.models import Plan, PriorityContent
from app.plans.core.queries import stored_plan
from app.plans.core.rules import government_level
from app.plans.findings.kinds import W07, Finding
from app.plans.findings.rules import Facts, Placed, findings_of, findings_of_plan, spreads_of
from app.plans.overlaps.queries import Overlap, completed, overlaps_of
from app.reference.nomenclature.queries import codes_not_in_force

REPORT_CHECKS: list[Callable[[Session, Plan], Iterable[Placed]]] = []
"""Hooks of the areas above, from `app.wiring`: plans must not import progress. Each takes a plan and yields the
findings on the reports of its lines."""


@dataclass(frozen=True)
class Checked:
    """The findings of a plan."""

    lines: Mapping[str, ActionContent]
    found: list[Placed]
    """Open findings, by code, then by line."""
    explained: int
    """Number of overlaps with an explanation."""
    left_out: int
    """Number of open overlaps that `found` omits."""


def check_plan(session: Session, plan: Plan) -> Checked:
    """Return the findings of a visible plan, its lines and its reports, in one pass."""
    lines = contents_of(session, plan)
    findings = check_lines(session, plan, lines)
    known = overlaps_of(session, plan)
    overlaps = completed(known, lines)
    unexplained = [overlap for overlap in overlaps if overlap.state != "explained"]
    findings += _report_overlaps(session, plan, unexplained, lines)
    for check in REPORT_CHECKS:
        findings += check(session, plan)
    return Checked(
        lines,
        in_order(findings),
        explained=len(overlaps) - len(unexplained),
        left_out=known.total - len(known.pairs),
    )


def check_lines(session: Session, plan: Plan, lines: Mapping[str, ActionContent]) -> list[Placed]:
    """Return the findings of a plan with these lines (contents by code), without overlaps and reports."""
    priorities = stored_plan(session, plan)["priority_locations"]
    facts = _read_facts(session, plan, lines.values(), priorities, similar=lines.values())
    findings = [Placed(code, finding) for code, line in lines.items() for finding in findings_of(line, facts)]
    findings += [Placed(None, finding) for finding in findings_of_plan(lines.values(), priorities, plan.year)]
    return in_order(findings)


def in_order(findings: Iterable[Placed]) -> list[Placed]:
    """Return findings by code, then by line, the plan's own first; stable."""
    return sorted(findings, key=lambda item: (item.finding.code, item.action or "", item.period or ""))


def findings_by_line(
    session: Session, plan: Plan, lines: Mapping[str, ActionContent]
) -> dict[str, list[Finding]]:
    """Return the findings of some of the plan's lines (contents by code), without overlaps."""
    codes = {code for line in lines.values() if (code := line["subactivity_code"]) is not None}
    similar = _read_similar(session, plan, codes) if codes else ()
    priorities = stored_plan(session, plan)["priority_locations"]
    facts = _read_facts(session, plan, lines.values(), priorities, similar=similar)
    return {code: findings_of(line, facts) for code, line in lines.items()}


def findings_on(session: Session, plan: Plan, code: str, line: ActionContent) -> list[Finding]:
    """Return the findings of one stored line, with its overlaps."""
    findings = findings_by_line(session, plan, {code: line})[code]
    # A line without one of these overlaps with no other (`coincidence`).
    if not (line["benefit_forms"] and line["recipients"] and line["locations"]):
        return findings
    known = overlaps_of(session, plan, action=code)
    if known.pairs:
        lines = contents_of(session, plan, {key for pair in known.pairs for key in pair})
        unexplained = [overlap for overlap in completed(known, lines) if overlap.state != "explained"]
        findings += [placed.finding for placed in _report_overlaps(session, plan, unexplained, lines)]
    return sorted(findings, key=lambda finding: finding.code)


def _report_overlaps(
    session: Session, plan: Plan, overlaps: Collection[Overlap], lines: Mapping[str, ActionContent]
) -> list[Placed]:
    """Return a finding W07 for each pair, at its first line."""
    if not overlaps:
        return []
    names = agency_labels(session, plan.region_code)
    findings = []
    for overlap in overlaps:
        (first, second), common = overlap.pair, overlap.coincides
        agencies = [lines[key]["lead_agency"] for key in overlap.pair]
        finding = W07.at(
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
        findings.append(Placed(first, finding))
    return findings


# Facts for the rules


def _read_facts(
    session: Session,
    plan: Plan,
    lines: Collection[ActionContent],
    priorities: Collection[PriorityContent],
    *,
    similar: Collection[CostContent],
) -> Facts:
    codes = {
        (edition, code)
        for line in lines
        if (code := line["subactivity_code"]) is not None and (edition := line["nomenclature_edition"])
    }
    level = government_level(plan.region_code)
    retired = codes_not_in_force(session, level, codes)
    return Facts(
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
        spreads=spreads_of(similar),
    )


def _read_similar(session: Session, plan: Plan, codes: Collection[str]) -> list[CostContent]:
    """Return the costs and recipients of the plan's lines of these sub-activities."""
    columns = [column for column in action_columns() if column.name in CostContent.__annotations__]
    query = sa.select(*columns).where(actions.c.plan_id == plan.id, actions.c.subactivity_code.in_(codes))
    return [json.loads(text) for text in session.scalars(json_texts(query))]
