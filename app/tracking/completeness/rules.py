"""What counts as done in a quarter. Pure.

Expected is every line of the plan in every quarter, whatever its schedule, because that is what a quarter is
submitted with: a line that has not begun is reported with nothing spent, one that has ended with its final figures.
Nothing is carried over from an earlier quarter, or silence would pass for a report.
"""

from app.tracking.quarters.models import QuarterState

SUBMITTED = (QuarterState.submitted, QuarterState.verified, QuarterState.frozen, QuarterState.correcting)
"""States in which a submission stands; a correction is of a quarter that was submitted."""
