"""Fixtures of the tests that have a session bus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus_scene import Scene, scene


@pytest.fixture(scope="module", params=["dbus-next", "dbus-fast"])
def both(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """The same node with each library."""
    with scene(request.param) as found:
        yield found
