"""The command `rata` of the package `rata-client`.

The service's package has a command of the same name that does more, and the package that pip installs last writes the
script. So this command hands over to the service's if that is installed too.
"""

from importlib.metadata import EntryPoint, distribution
from importlib.util import find_spec


def main() -> None:
    """Run the service's command if it is installed, else the client's."""
    service = find_service()
    if service is not None:
        service.load()()
    else:
        from .cli import main

        main()


def find_service() -> EntryPoint | None:
    """Return the command of the service's package. Returns None if that is not installed or cannot be imported."""
    try:
        scripts = distribution("rata").entry_points.select(group="console_scripts", name="rata")
        return next((script for script in scripts if find_spec(script.module)), None)
    except ModuleNotFoundError:
        return None
