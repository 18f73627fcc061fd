"""Every table: importing this module fills `Table.metadata`."""

from app.access import models as _access
from app.agencies import models as _agencies
from app.changes.webhooks import models as _webhooks
from app.convergence.coverage import models as _coverage
from app.convergence.editions.methods import models as _methods
from app.convergence.editions.step_templates import models as _step_templates
from app.convergence.indicators import models as _indicators
from app.convergence.scorecards import models as _scorecards
from app.convergence.steps import models as _steps
from app.kit.database import journal as _journal
from app.kit.database.engine import Table
from app.kit.http import idempotency as _idempotency
from app.plans.actions import models as _actions
from app.plans.amendments import models as _amendments
from app.plans.copies import models as _copies
from app.plans.core import models as _plans
from app.plans.imports import models as _imports
from app.plans.overlaps import models as _overlaps
from app.plans.revisions import models as _revisions
from app.plans.workflow import models as _workflow
from app.reference import models as _reference
from app.reference.coordinates import models as _coordinates
from app.reference.nomenclature import models as _nomenclature
from app.tracking.calendars import models as _calendars
from app.tracking.meetings import models as _meetings
from app.tracking.progress import models as _tracking
from app.tracking.quarters import models as _quarters
from app.tracking.quarters.snapshots import models as _snapshots

__all__ = ["Table"]
