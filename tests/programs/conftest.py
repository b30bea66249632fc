"""Anna and Bora, who have met, for all tests of a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from programs.people import Person


@pytest.fixture(scope="session")
def couple(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Person, Person]]:
    folder: Path = tmp_path_factory.mktemp("people")
    anna = Person("anna", folder / "anna")
    try:
        bora = Person("bora", folder / "bora")
        try:
            anna.meet(bora)
            yield anna, bora
        finally:
            bora.stop()
    finally:
        anna.stop()
