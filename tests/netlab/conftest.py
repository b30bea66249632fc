"""What these tests need is root, network namespaces and nftables; elsewhere they are skipped."""

import pytest

import lab


@pytest.fixture(scope="session", autouse=True)
def laboratory() -> None:
    if reason := lab.lacking():
        pytest.skip(reason)
