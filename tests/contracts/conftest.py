"""Each test of a network is run with all three bodies of it.

An iroh endpoint multicasts and asks the gateway for a port as soon as it exists, so its part runs
only where there is no way out: in a network namespace with nothing but loopback.
"""

import os

import pytest

from contracts.networks import REAL, only_loopback


@pytest.fixture(params=["simulated", *REAL])
def body(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "iroh" and not (only_loopback() or os.environ.get("POSTROAD_OPEN_NETWORK") == "1"):
        pytest.skip("iroh multicasts: run in a network namespace with only lo (make test does)")
    return name
