"""What several files of this folder need: somebody, and a service manager that runs their node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from person import Person
from service_manager import ServiceManager


@pytest.fixture
def anna(short_folder: Path) -> Iterator[Person]:
    made = Person("anna", short_folder, 0)
    yield made
    made.kill()


@pytest.fixture
def systemd(anna: Person) -> Iterator[ServiceManager]:
    made = ServiceManager(anna)
    yield made
    made.close()
