"""Programs that are not part of the project, which a proof needs on the PATH."""

import shutil

import pytest


def program(name: str, package: str) -> str:
    """Path of a program. Fails the test, naming the Debian package, if it is not installed."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.fail(f"{name} is not installed: apt-get install {package}", pytrace=False)
    return path
