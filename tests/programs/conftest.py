"""Anna and Bora, who have met: one couple for all tests of a session, or one of a test's own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from person import Person, meet

# Slots that no other test uses: what is left of a node that was killed must not be in the way.
SLOT = 20
OWN_SLOT = 22
SINGLE_SLOT = 24


@pytest.fixture(scope="session")
def couple(
    tmp_path_factory: pytest.TempPathFactory, quiet_network: None
) -> Iterator[tuple[Person, Person]]:
    with _started(tmp_path_factory.mktemp("people"), SLOT, "anna", "bora") as (anna, bora):
        meet(anna, bora)
        yield anna, bora


@pytest.fixture(scope="module")
def own_couple(
    tmp_path_factory: pytest.TempPathFactory, quiet_network: None
) -> Iterator[tuple[Person, Person]]:
    """A couple whose nodes have no other mail and no other clients, for whoever measures them."""
    with _started(tmp_path_factory.mktemp("people"), OWN_SLOT, "anna", "bora") as (anna, bora):
        meet(anna, bora)
        yield anna, bora


@pytest.fixture
def single(tmp_path_factory: pytest.TempPathFactory, quiet_network: None) -> Iterator[Person]:
    """Somebody with a new node."""
    with _started(tmp_path_factory.mktemp("people"), SINGLE_SLOT, "anna") as (anna,):
        yield anna


@contextlib.contextmanager
def _started(folder: Path, slot: int, *names: str) -> Iterator[list[Person]]:
    people = [Person(name, folder, slot + number) for number, name in enumerate(names)]
    try:
        for person in people:
            person.set_up()
            person.start()
        yield people
    finally:
        for person in people:
            person.stop()
