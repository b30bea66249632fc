"""Anna and Bora, who have met, for all tests of a session."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from person import Person, meet

# Slots that no other test uses: what is left of a node that was killed must not be in the way.
SLOT = 20


@pytest.fixture(scope="session")
def couple(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Person, Person]]:
    # An iroh endpoint looks for routers by multicast, and tests send nothing out of this machine:
    # iroh only where loopback is the only network, as under `make test`.
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        os.environ.setdefault("LINK", "tls")
    folder: Path = tmp_path_factory.mktemp("people")
    anna, bora = Person("anna", folder, SLOT), Person("bora", folder, SLOT + 1)
    try:
        for person in (anna, bora):
            person.set_up()
            person.start()
        meet(anna, bora)
        yield anna, bora
    finally:
        for person in (anna, bora):
            person.stop()
