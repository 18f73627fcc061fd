"""The plan of Kotabaru that the tests of plans write in."""

from tests.plans.conftest import client

__all__ = ["client"]
