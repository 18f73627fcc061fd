"""Servers that the workers of a run share, and `tests.common` for the processes that run tests.

The xdist controller imports nothing of the service: the workers wait for it to begin.
"""

import pytest

from tests import forked, postgres

pytest_plugins = ["tests.engines"]
# the conftest of a folder that is named on the command line imports it before it is a plugin
pytest.register_assert_rewrite("tests.common")


def pytest_configure(config: pytest.Config) -> None:
    forked.share_with_workers(config)
    postgres.share_with_workers(config)
    is_worker = hasattr(config, "workerinput")
    if is_worker or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.common")
