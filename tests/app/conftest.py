"""What several files of this folder need: somebody, and a service manager that runs their node."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from person import Person
from service_manager import ServiceManager


@pytest.fixture
def anna(tmp_path: Path) -> Iterator[Person]:
    folder = Path("/tmp") / f"pr-{os.getpid()}-{tmp_path.name[-8:]}"  # a socket's path is short
    folder.mkdir(mode=0o700)
    made = Person("anna", folder, 0)
    yield made
    made.kill()
    shutil.rmtree(folder)


@pytest.fixture
def systemd(anna: Person) -> Iterator[ServiceManager]:
    made = ServiceManager(anna)
    yield made
    made.close()
