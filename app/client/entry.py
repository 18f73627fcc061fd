"""The command `rata` of the package `rata-client`.

The service's package also has a command `rata`, with more subcommands, and pip keeps the script of the package that it
installs last. So this command delegates to the service's if that is available.
"""

from importlib.metadata import EntryPoint, distribution
from importlib.util import find_spec


def main() -> None:
    """Run the service's command if it is available, else the client's."""
    service = find_service()
    if service is not None:
        service.load()()
    else:
        from .cli import main

        main()


def find_service() -> EntryPoint | None:
    """Return the command of the service's package. Returns None without that package, or without its module."""
    try:
        scripts = distribution("rata").entry_points.select(group="console_scripts", name="rata")
        return next((script for script in scripts if find_spec(script.module)), None)
    except ModuleNotFoundError:
        return None
