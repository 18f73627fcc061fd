"""The plan of Kotabaru that the tests of plans write in."""

from tests.plans.conftest import secretariat

__all__ = ["secretariat"]
