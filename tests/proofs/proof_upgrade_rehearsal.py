"""A new version takes over from the old one under load, as operators do it: processes of their own and SIGTERM."""

from pathlib import Path

from tests.replicas.test_upgrading import InProcess, next_version, upgrade_under_load, url  # noqa: F401 - fixtures


def test_nobody_notices(url: str, next_version: Path) -> None:  # noqa: F811
    upgrade_under_load(url, next_version, InProcess)
