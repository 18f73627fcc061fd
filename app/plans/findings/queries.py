"""Checking lines and plans: what the rules need, read by as many statements for many lines as for one."""

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
"""Called with a plan; gives what is to be said of the reports on its lines. `app.wiring` adds those of the areas above:
plans must not know progress."""


@dataclass(frozen=True)
class Checked:
    """A plan, checked."""

    lines: Mapping[str, ActionContent]
    found: list[Placed]
    """Everything that is open, in the order of the codes, then of the lines."""
    explained: int
    """Overlaps that are explained."""
    left_out: int
    """Open overlaps beyond those found."""


def check_plan(session: Session, plan: Plan) -> Checked:
    """Everything that is to be said of a visible plan, its lines and the reports on them, in one pass."""
    lines = contents_of(session, plan)
    found = check_lines(session, plan, lines)
    known = overlaps_of(session, plan)
    overlaps = completed(known, lines)
    open_ones = [overlap for overlap in overlaps if overlap.state != "explained"]
    found += _overlap_findings(session, plan, open_ones, lines)
    for check in REPORT_CHECKS:
        found += check(session, plan)
    return Checked(
        lines,
        in_order(found),
        explained=len(overlaps) - len(open_ones),
        left_out=known.total - len(known.pairs),
    )


def check_lines(session: Session, plan: Plan, lines: Mapping[str, ActionContent]) -> list[Placed]:
    """What is to be said of a plan if these (contents by code) were its lines, and of each of them; overlaps
    and reports aside, which are of stored lines."""
    priorities = stored_plan(session, plan)["priority_locations"]
    facts = _facts(session, plan, lines.values(), priorities, alike=lines.values())
    found = [Placed(code, finding) for code, line in lines.items() for finding in findings_of(line, facts)]
    found += [Placed(None, finding) for finding in findings_of_plan(lines.values(), priorities, plan.year)]
    return in_order(found)


def in_order(found: Iterable[Placed]) -> list[Placed]:
    """By code; of a code first the plan's own, then line by line, in the order in which they were found."""
    return sorted(found, key=lambda one: (one.finding.code, one.action or "", one.period or ""))


def findings_by_line(
    session: Session, plan: Plan, lines: Mapping[str, ActionContent]
) -> dict[str, list[Finding]]:
    """What is to be said of each of some of the plan's lines (contents by code), overlaps aside."""
    codes = {code for line in lines.values() if (code := line["subactivity_code"]) is not None}
    alike = _alike(session, plan, codes) if codes else ()
    priorities = stored_plan(session, plan)["priority_locations"]
    facts = _facts(session, plan, lines.values(), priorities, alike=alike)
    return {code: findings_of(line, facts) for code, line in lines.items()}


def findings_on(session: Session, plan: Plan, code: str, line: ActionContent) -> list[Finding]:
    """What is to be said of one stored line, the overlaps with other lines among it."""
    found = findings_by_line(session, plan, {code: line})[code]
    # Without one of these a line overlaps with none (`coincidence`).
    if not (line["benefit_forms"] and line["recipients"] and line["locations"]):
        return found
    known = overlaps_of(session, plan, action=code)
    if known.pairs:
        others = contents_of(session, plan, {key for pair in known.pairs for key in pair})
        open_ones = [one for one in completed(known, others) if one.state != "explained"]
        found += [placed.finding for placed in _overlap_findings(session, plan, open_ones, others)]
    return sorted(found, key=lambda finding: finding.code)


def _overlap_findings(
    session: Session, plan: Plan, overlaps: Collection[Overlap], lines: Mapping[str, ActionContent]
) -> list[Placed]:
    """W07: one for each pair, placed at its first line."""
    if not overlaps:
        return []
    names = agency_labels(session, plan.region_code)
    found = []
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
        found.append(Placed(first, finding))
    return found


# What rules know beside the line


def _facts(
    session: Session,
    plan: Plan,
    lines: Collection[ActionContent],
    priorities: Collection[PriorityContent],
    *,
    alike: Collection[CostContent],
) -> Facts:
    codes = {
        (edition, code)
        for line in lines
        if (code := line["subactivity_code"]) is not None and (edition := line["nomenclature_edition"])
    }
    level = government_level(plan.region_code)
    gone = codes_not_in_force(session, level, codes)
    return Facts(
        plan.region_code,
        plan.year,
        successors={
            code: [f"{one.code} {one.name}" for one in successors] for code, successors in gone.items()
        },
        eligible={
            one["region_code"]: one["target_families"]
            for one in priorities
            if one["target_families"] is not None
        },
        spreads=spreads_of(alike),
    )


def _alike(session: Session, plan: Plan, codes: Collection[str]) -> list[CostContent]:
    """Return the costs of the plan's lines of these sub-activities, and for how many."""
    columns = [column for column in action_columns() if column.name in CostContent.__annotations__]
    query = sa.select(*columns).where(actions.c.plan_id == plan.id, actions.c.subactivity_code.in_(codes))
    return [json.loads(text) for text in session.scalars(json_texts(query))]
