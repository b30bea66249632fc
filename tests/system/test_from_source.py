"""`pip install .` in a virtual environment of one's own, with no package: a service all the same.

The computer has no network here, so pip finds the locked wheels in a folder.
"""

from __future__ import annotations

import pytest

import deb
from booted import Booted
from environment import LOCKS
from system.people import Resident

WHEELS, SOURCE = "/opt/wheels", "/opt/source"
PROGRAM = "/home/carol/venv/bin/postroad"
UNITS = "~/.config/systemd/user/postroad.service ~/.config/systemd/user/postroad.socket"


@pytest.fixture(scope="module")
def carol(system: Booted) -> Resident:
    """Somebody new, who has the tree and the wheels."""
    assert system.root("test", "-e", "/usr/bin/postroad", check=False).returncode == 1
    system.root("useradd", "--create-home", "--shell=/bin/bash", "carol")
    system.root("loginctl", "enable-linger", "carol")
    build = (LOCKS / "build.lock").read_text()
    wheels = [deb.fetched(for_pip=True), deb.fetched(build, for_pip=True)]
    system.root("mkdir", "-p", WHEELS, SOURCE)
    for folder in wheels:
        for wheel in folder.glob("*.whl"):
            system.outside("cp", str(wheel), f"{system.tree}{WHEELS}")
    archive = f"git -C {deb.ROOT} archive HEAD | tar -x -C {system.tree}{SOURCE}"
    system.outside("sh", "-c", archive)
    system.root("chown", "-R", "carol:", SOURCE)
    return Resident(system, "carol")


def test_pip_installs_it_and_the_service_is_enabled(carol: Resident) -> None:
    script = f"""
        python3 -m venv --without-pip venv
        export PIP_NO_INDEX=1 PIP_FIND_LINKS={WHEELS}
        cd {SOURCE}
        ~/venv/bin/python "$(echo {WHEELS}/pip-*.whl)/pip" install --quiet .
    """
    carol.system.user("carol", "sh", "-e", "-c", script, seconds=300)
    carol.type(PROGRAM, "setup", "--name", "carol", "--no-service")
    assert carol.type("sh", "-c", f"ls {UNITS}", check=False).returncode != 0
    carol.type(PROGRAM, "service", "enable")
    told = carol.type("sh", "-c", f"cat {UNITS}").stdout
    assert f"ExecStart={PROGRAM} run" in told
    assert carol.shown("ActiveState") == "active"
    ports = carol.type(PROGRAM, "mail-client", "--json").stdout
    assert '"imap' in ports.lower()
    listening = carol.type("sh", "-c", "ss -Hltn | wc -l").stdout
    assert int(listening) >= 3


def test_disabling_it_takes_the_units_away_and_leaves_the_mail(carol: Resident) -> None:
    carol.type(PROGRAM, "service", "disable")
    assert carol.type("sh", "-c", f"ls {UNITS}", check=False).returncode != 0
    carol.type("test", "-s", ".local/share/postroad/keys")
