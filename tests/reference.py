"""The small reference data that tests share: Kotabaru, its province, and two neighbours."""

from sqlmodel import Session


def load_small_reference(session: Session) -> None:
    """Filled by the reference area."""
