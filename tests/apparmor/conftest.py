"""Ubuntu 24.04 on its own kernel, with the package installed and two people in it.

`make test-apparmor` runs these, and is the only one that does: elsewhere they are not collected.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulated import Emulated, emulated
from roots import Unavailable
from system.people import MAIL_PROGRAM, Resident
from together.mail_programs import write_settings_of_curl

PACKAGE = os.environ.get("POSTROAD_PACKAGE", "")

collect_ignore_glob = [] if PACKAGE else ["test_*.py"]


@pytest.fixture(scope="session")
def ubuntu() -> Iterator[Emulated]:
    try:
        with emulated(Path(PACKAGE)) as running:
            running.write(f"/opt/{MAIL_PROGRAM.name}", MAIL_PROGRAM.read_text())
            yield running
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def alice(ubuntu: Emulated) -> Resident:
    person = Resident(ubuntu, "alice")
    person.set_up()
    write_settings_of_curl(person)
    return person


@pytest.fixture(scope="session")
def bora(ubuntu: Emulated, alice: Resident) -> Resident:
    person = Resident(ubuntu, "bora")
    person.set_up()
    write_settings_of_curl(person)
    return person
