"""What areas register with those below them: importing this module makes the areas whole, without any HTTP.

An area that must tell a lower one something puts it into a list of that one when it is imported. Whoever writes
outside the service imports this, or a merger of agencies would leave behind what only an upper area knows of.
"""

import app.convergence.coverage.totals
import app.convergence.scorecards.commands
import app.convergence.steps.queries
import app.plans.actions.moves
import app.plans.amendments.adoption
import app.plans.amendments.moves
import app.startup.schema
import app.tracking.commands
import app.tracking.meetings.moves
import app.tracking.quarters.commands
import app.tracking.storing  # noqa: F401 - what these are imported for is what they register
