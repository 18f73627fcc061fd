"""Files that the service reads and that lie beside the package in a checkout: a wheel carries them inside it."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def find_shipped(name: str) -> Path:
    """Return a file or folder of the checkout's top level, such as `migrations`, or the copy that the wheel carries."""
    carried = _PACKAGE / "shipped" / name
    return carried if carried.exists() else _PACKAGE.parent / name
