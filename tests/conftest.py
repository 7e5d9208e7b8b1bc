"""Fixtures that many tests share."""

import pytest
from hypothesis import settings
from recordings import EDGE_CASES

# How long an example takes depends on who else uses the machine.
settings.register_profile("spikelab", deadline=None)
settings.load_profile("spikelab")


@pytest.fixture(params=EDGE_CASES)
def edge_case(request):
    """Each of the small recordings that formats are known to stumble over."""
    return EDGE_CASES[request.param]()
