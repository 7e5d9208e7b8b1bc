"""Fixtures that many tests share, and how hypothesis tries examples."""

import pytest
from hypothesis import HealthCheck, settings
from recordings import EDGE_CASES

settings.register_profile(
    "spikelab",
    # How long an example takes depends on who else uses the machine.
    deadline=None,
    # Examples may share a folder: each replaces the file of the last. And a
    # test that subclasses inherit has several executors.
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)
settings.load_profile("spikelab")


@pytest.fixture(params=EDGE_CASES)
def edge_case(request):
    """Each of the small recordings that formats are known to stumble over."""
    return EDGE_CASES[request.param]()
