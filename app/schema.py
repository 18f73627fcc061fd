"""Every table: importing this module fills `Table.metadata`."""

from app.access import models as _access
from app.kit import idempotency as _idempotency
from app.kit import journal as _journal
from app.kit.db import Table

__all__ = ["Table"]
