"""A new version replaces the old one under load, with processes and SIGTERM."""

from pathlib import Path

from tests.replicas.test_upgrading import InProcess, next_version, upgrade_under_load, url  # noqa: F401 - fixtures


def test_an_upgrade_under_load_fails_no_request(url: str, next_version: Path) -> None:  # noqa: F811
    upgrade_under_load(url, next_version, InProcess)
