"""Nodes to be killed, for all tests of a session, and disks whose power can be cut."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crash import harness
from crash.disks import Disk, small_disk

SLOT = 30  # other tests use others: what is left of a killed node must not be in their way


@pytest.fixture(scope="session")
def cast(tmp_path_factory: pytest.TempPathFactory, quiet_network: None) -> Iterator[harness.Cast]:
    """Anna, Bora, and three who hold for her. A test revives those who are off."""
    folder: Path = tmp_path_factory.mktemp("cast")
    people = harness.settle_in(folder, SLOT)
    yield people
    harness.kill(*people.everybody)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path, 256) as made:
        yield made
