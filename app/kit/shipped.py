"""Files that the service reads: next to the package in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def find_shipped(name: str) -> Path:
    """Return a file or folder of the checkout's top level, such as `migrations`, or the wheel's copy of it."""
    copy = _PACKAGE / "shipped" / name
    return copy if copy.exists() else _PACKAGE.parent / name
