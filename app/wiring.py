"""Links between areas: functions of upper areas, which lower areas call without importing them, and words of lists.

The service and the console call `wire` before they use the areas.
"""

from app.access import queries as access
from app.agencies import commands as agency_commands
from app.agencies import queries as agencies
from app.changes.webhooks import worker
from app.convergence.coverage.queries import find_uncovered, has_coverage
from app.convergence.coverage.sums import commands as coverage_sums
from app.convergence.editions.methods.queries import EDITIONS
from app.convergence.editions.step_templates.queries import TEMPLATES
from app.convergence.scorecards.commands import store_scorecard
from app.convergence.scorecards.yardsticks.commands import settle_due
from app.convergence.steps.queries import has_step_entries
from app.kit.wording import Text, declare_words
from app.plans.actions import commands as action_commands
from app.plans.actions import queries as actions
from app.plans.amendments import commands as amendments
from app.plans.copies import queries as copies
from app.plans.copies.commands import detach_lines
from app.plans.core import commands as plans
from app.plans.core import queries as plan_queries
from app.plans.findings import queries as findings
from app.plans.revisions import commands as revisions
from app.reference.queries import find_missing_regions
from app.tracking.lines.queries import check_stored_reports
from app.tracking.meetings import commands as meetings
from app.tracking.meetings.queries import commitment_actions
from app.tracking.progress.queries import find_reported_items, find_reported_quarters, read_spent_figures
from app.tracking.quarters import commands as quarters
from app.tracking.quarters import queries as quarter_queries
from app.tracking.reporting.commands import refresh_after_adoption, refresh_figures

declare_words(
    {
        "regions": Text("daftar wilayah", "the list of regions"),
        "agencies": Text("daftar perangkat daerah wilayah ini", "the list of agencies of this region"),
        "actions": Text("daftar baris rencana ini", "the list of this plan's lines"),
        "meetings": Text("daftar rapat wilayah ini", "the list of meetings of this region"),
        "indicators": Text("daftar indikator", "the list of indicators"),
        "strategies": Text("daftar strategi", "the list of strategies"),
        "funding-sources": Text("daftar sumber pembiayaan", "the list of funding sources"),
        "nomenclatures": Text("daftar edisi nomenklatur", "the list of nomenclature editions"),
        "subactivities": Text("nomenklatur rencana ini", "the nomenclature of this plan"),
        "service-packages": Text("daftar paket layanan", "the list of service packages"),
    },
    form="list",
)


def wire() -> None:
    """Fill the hooks of every area. A second call changes nothing."""
    access.MISSING_REGIONS[:] = [find_missing_regions]

    # the merge or the deletion of an agency
    agency_commands.MERGE_HOOKS[:] = [
        quarters.move_parts,
        action_commands.move_lines,
        amendments.move_drafted,
        meetings.move_meetings,
    ]
    agencies.REFERRERS[:] = [
        *agencies.OWN_REFERRERS,
        *quarters.REFERRERS,
        *action_commands.REFERRERS,
        *amendments.REFERRERS,
        *copies.REFERRERS,
        *meetings.REFERRERS,
    ]

    # the change or the deletion of a line
    actions.REFERRERS["commitments"] = commitment_actions.c.action_id
    actions.REPORTED_IN[:] = [find_reported_quarters]
    action_commands.IN_USE_HOOKS[:] = [find_reported_items]
    action_commands.AFTER_ACTIONS[:] = [refresh_figures]
    action_commands.AFTER_REMOVAL[:] = [detach_lines]
    plans.AFTER_LOCATIONS[:] = [coverage_sums.refresh_after_locations]

    # an adoption
    revisions.AFTER_ADOPTION[:] = [refresh_after_adoption, coverage_sums.refresh_after_adoption]

    # the check of a plan and of an amendment
    findings.REPORT_CHECKS[:] = [check_stored_reports]
    findings.SPENT_FIGURES[:] = [read_spent_figures]

    # the submission and the freezing of a quarter, the passing of its closing day; the choice of an edition
    quarter_queries.UNCOVERED[:] = [find_uncovered]
    quarters.HOLD_COVERAGE[:] = [coverage_sums.hold_coverage]
    plan_queries.CORRECTIONS[:] = [quarter_queries.has_corrected_quarter]
    quarters.AFTER_BINDING[:] = [coverage_sums.settle_coverage]
    quarters.AFTER_FREEZING[:] = [store_scorecard]
    worker.PERIODIC[:] = [settle_due]
    EDITIONS.settled_by[:] = [has_coverage, quarter_queries.has_submitted_quarter]
    TEMPLATES.settled_by[:] = [has_step_entries]
