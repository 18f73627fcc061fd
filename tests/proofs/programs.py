"""Programs of Debian that proofs need on the PATH."""

import shutil

import pytest


def find_program(name: str, package: str) -> str:
    """Return the path of a program. Fails the test with the name of the Debian package if it is missing."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.fail(f"{name} is not installed: apt-get install {package}", pytrace=False)
    return path
