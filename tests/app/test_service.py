"""`postroad service`: the units that it lays, and what it says where they cannot be had.

What systemd makes of them is tried in booted systems, tests/system.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from person import ROOT
from postroad.app import config as configuration
from postroad.app import service, trial
from postroad.base.errors import ConfigurationError

SOCKET = "postroad.socket"
UNITS = {
    name: resources.files("postroad").joinpath("units", name).read_text("utf-8")
    for name in ("postroad.service", "postroad.socket", "50-sandbox.conf")
}


@pytest.fixture
def config(tmp_path: Path) -> configuration.Config:
    return configuration.Config(tmp_path / "data", tmp_path / "run")


def home_without_systemd(tmp_path: Path) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    return {**ours, "HOME": str(tmp_path), "PYTHONPATH": f"{ROOT}/service"}


def typed(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "postroad", *words],
        env=home_without_systemd(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("command", ["disable", "restart", "status"])
def test_without_a_systemd_of_ones_own_it_says_what_to_type_instead(
    tmp_path: Path, command: str
) -> None:
    done = typed(tmp_path, "service", command, "--json")
    assert done.returncode == 1
    assert "No systemd of yours answers here" in json.loads(done.stdout)["error"]
    assert "postroad run" in json.loads(done.stdout)["error"]


def test_nobody_is_enabled_who_is_not_set_up(tmp_path: Path) -> None:
    done = typed(tmp_path, "service", "enable")
    assert done.returncode == 4
    assert "postroad setup" in done.stderr


def test_another_configuration_is_no_services(tmp_path: Path) -> None:
    import sys

    other = tmp_path / "other.toml"
    other.write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "postroad", "--config", str(other), "service", "enable"],
        env=home_without_systemd(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "A service uses" in done.stderr


def test_the_socket_has_the_ports_of_a_new_configuration() -> None:
    usual = configuration.default()
    ports = {getattr(usual, f"{door}_port") for door in service.DOORS}
    told = {int(port) for port in re.findall(r"ListenStream=127\.0\.0\.1:(\d+)", UNITS[SOCKET])}
    six = {int(port) for port in re.findall(r"ListenStream=\[::1\]:(\d+)", UNITS[SOCKET])}
    assert told == six == ports


def test_the_units_keep_to_what_was_learnt_on_real_systems() -> None:
    """Each of these has cost somebody mail, or 25 seconds."""
    everything = "\n".join(
        line for text in UNITS.values() for line in text.splitlines() if not line.startswith("#")
    )
    assert "StateDirectory" not in everything  # another folder on 252 than on 255
    assert "Condition" not in everything  # whoever calls an activated unit would hang
    assert "ProtectKernelLogs" not in everything  # fails with 226 in a user unit
    base = UNITS["postroad.service"]
    for needs_users in ("PrivateUsers", "ProtectSystem", "ProtectHome", "PrivateTmp", "Capability"):
        assert needs_users not in base
        assert needs_users in UNITS["50-sandbox.conf"]
    assert "StartLimitIntervalSec=0" in base
    assert "TriggerLimitIntervalSec=0" in UNITS[SOCKET]


def test_systemd_itself_finds_nothing_wrong_in_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    for name, text in UNITS.items():
        folder = tmp_path / "postroad.service.d" if name.endswith(".conf") else tmp_path
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text.replace("/usr/bin/postroad", "/bin/true"))
    (tmp_path / "run").mkdir()
    done = subprocess.run(
        ["systemd-analyze", "--user", "--man=no", "verify", str(tmp_path / "postroad.service")],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    newer = ("RestartSteps", "RestartMaxDelaySec")  # which systemd knows from 254 on
    told = [
        line
        for line in done.stderr.splitlines()
        if str(tmp_path) in line and not any(one in line for one in newer)
    ]
    assert told == []


def test_other_ports_go_into_a_drop_in_and_the_usual_ones_into_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "systemd/user/postroad.socket.d/50-ports.conf"
    folders = (tmp_path / "data", tmp_path / "run")
    service._lay_ports(configuration.Config(*folders, smtp_port=10588, imap_port=10144))
    told = path.read_text()
    assert told.startswith(service.OURS)
    assert "ListenStream=\n" in told  # what the unit has is taken away first
    for port in (10588, 10144, 10110):
        assert f"ListenStream=127.0.0.1:{port}\nListenStream=[::1]:{port}\n" in told
    service._lay_ports(configuration.Config(*folders))
    assert not path.exists()
    with pytest.raises(ConfigurationError, match="ports of its own"):
        service._lay_ports(configuration.Config(*folders, smtp_port=0))


def test_a_unit_of_somebody_else_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(service, "OF_PACKAGES", ())
    theirs = tmp_path / "systemd/user/postroad.service"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("[Service]\nExecStart=/bin/true\n")
    with pytest.raises(ConfigurationError, match="not of Postroad's making"):
        service._lay_units()
    assert "/bin/true" in theirs.read_text()


def test_a_call_on_the_bus_starts_the_program_that_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(service, "OF_PACKAGES", (tmp_path / "package",))
    monkeypatch.setattr(service, "program", lambda: ["/a b/it's", "-m", "postroad"])
    path = tmp_path / "data/dbus-1/services" / service.ACTIVATION
    service.lay_activation()
    assert path in set(service._ours())
    told = path.read_text()
    assert told.startswith(service.OURS)
    line = next(one for one in told.splitlines() if one.startswith("Exec="))
    assert shlex.split(line.removeprefix("Exec=")) == ["/a b/it's", "-m", "postroad", "run"]
    assert "SystemdService=postroad.service\n" in told
    # A package brings its own: ours would hide it.
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / service.ACTIVATION).touch()
    service.lay_activation()
    assert not path.exists()


def test_what_enable_lays_is_what_disable_takes_away(
    config: configuration.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a systemctl that agrees to all, and starts nothing."""
    for name in ("systemctl", "loginctl", "busctl"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o700)
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "private").touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setattr(service, "OF_PACKAGES", ())
    others = tmp_path / "share/dbus-1/services" / "org.example.Other.service"
    others.parent.mkdir(parents=True)
    others.write_text("[D-BUS Service]\nName=org.example.Other\nExec=/bin/true\n")
    service.enable(config)
    laid = {path.name for path in service._ours()}
    assert laid == {"postroad.service", SOCKET, service.ACTIVATION}
    service.disable()
    assert list(service._ours()) == []
    files = [path for path in (tmp_path / "share").rglob("*") if path.is_file()]
    assert files == [others]


def test_what_the_package_brings_is_where_it_is_looked_for() -> None:
    rules = (ROOT / "packaging" / "debian" / "rules").read_text()
    (laid,) = [line for line in rules.splitlines() if service.ACTIVATION in line]
    assert any(f"$(ROOT){folder}" in laid.split("=") for folder in service.OF_PACKAGES)


def test_a_command_with_odd_names_is_one_that_systemd_reads_as_typed() -> None:
    assert service._quoted(["/a b/100%/$x", "run"]) == '"/a b/100%%/$$x" run'


def test_outside_of_any_sandbox_the_trial_says_so(config: configuration.Config) -> None:
    config.data.mkdir()
    told = trial.holds(config)
    assert told["its own data folder can be written"]
    assert told["loopback"]
    assert told["what seals and sends works"]
    assert not told["a filter of system calls"] or not told["users of its own"]
