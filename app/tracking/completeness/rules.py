"""Rules of completeness. Pure.

Completeness expects a report on every line of the plan in every quarter, as the submission of a quarter does: a line
before its start reports zero, a line after its end its final figures. Nothing carries over from an earlier quarter,
otherwise silence would pass for a report.
"""

from app.tracking.quarters.models import QuarterState

SUBMITTED = (QuarterState.submitted, QuarterState.verified, QuarterState.frozen, QuarterState.correcting)
"""States of a submitted quarter; a correction follows a submission."""
