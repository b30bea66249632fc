"""`postroad service`: the units that it lays, and what it says where they cannot be had.

What systemd makes of them is tried in booted systems, tests/system.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from needed import skip_without
from person import ROOT
from postroad.app import config as configuration
from postroad.app import sandbox, service, systemctl, trial, units
from postroad.base.errors import ConfigurationError
from postroad.machine import looks

SOCKET = "postroad.socket"
UNITS = {
    name: resources.files("postroad").joinpath("units", name).read_text("utf-8")
    for name in (
        "postroad.service",
        "postroad.socket",
        "postroad-without-sandbox.service",
        "40-pauses.conf",
        "50-sandbox.conf",
    )
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
    skip_without("systemd-analyze")
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
    assert told.startswith(units.OURS)
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
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(service, "OF_PACKAGES", (tmp_path / "package",))
    monkeypatch.setattr(service, "program", lambda: ["/a b/it's", "-m", "postroad"])
    path = tmp_path / "data/dbus-1/services" / service.ACTIVATION
    service.lay_activation()
    assert path in set(service.ours())
    told = path.read_text()
    assert told.startswith(units.OURS)
    line = next(one for one in told.splitlines() if one.startswith("Exec="))
    assert shlex.split(line.removeprefix("Exec=")) == ["/a b/it's", "-m", "postroad", "run"]
    assert "SystemdService=postroad.service\n" in told
    # A package brings its own: ours would hide it.
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / service.ACTIVATION).touch()
    service.lay_activation()
    assert not path.exists()


# Agrees to all and starts nothing; what it was asked is in a file, and so is what it shows.
SYSTEMCTL = """#!/bin/sh
cd "$XDG_RUNTIME_DIR" && echo "$@" >> asked
case "$*" in
    --version) echo "systemd $(cat version) (it)" ;;
    *ActiveState,Listen*) cat listens ;;
    *FragmentPath*) echo FragmentPath=/somewhere ;;
    *" start postroad-trial.service") cat found > postroad-trial ;;
esac
"""


class Systemd:
    """One that only says what it is to say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("loginctl", "busctl", "systemctl"):
            program = folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(SYSTEMCTL if name == "systemctl" else "#!/bin/sh\n")
            program.chmod(0o700)
        (folder / "systemd").mkdir()
        (folder / "systemd" / "private").touch()
        self.say("version", "257")
        self.say("found", '{"holds": []}')
        self.listens_at()

    def say(self, what: str, text: str) -> None:
        (self.folder / what).write_text(f"{text}\n")

    def listens_at(self, *ports: int) -> None:
        """The socket unit does, just now."""
        state = "active" if ports else "inactive"
        lines = [f"Listen=127.0.0.1:{port} (Stream)" for port in ports]
        self.say("listens", "\n".join([f"ActiveState={state}", *lines]))

    def asked(self) -> list[str]:
        """What systemctl was told to do since the last time."""
        path = self.folder / "asked"
        lines = path.read_text().splitlines()
        path.unlink()
        told = [line.removeprefix("--user ") for line in lines]
        return [line for line in told if line.split()[0] in ("stop", "start", "restart")]


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.setattr(service, "OF_PACKAGES", ())
    return Systemd(tmp_path)


PORTS = (10587, 10143, 10110)
BOTH = f"{SOCKET} postroad.service"
TRIED = "start postroad-trial.service"


def test_a_port_that_stays_is_never_let_go(config: configuration.Config, systemd: Systemd) -> None:
    service.enable(config)
    assert systemd.asked() == [TRIED, f"stop {BOTH}", f"start {SOCKET}", "start postroad.service"]
    systemd.listens_at(*PORTS)
    service.enable(config)
    assert systemd.asked() == [TRIED, "restart postroad.service"]
    other = replace(config, imap_port=10144)
    service.enable(other)
    assert f"stop {BOTH}" in systemd.asked()
    # A socket unit of systemd's that holds others than its file says is begun anew, too.
    service.enable(other)
    assert f"stop {BOTH}" in systemd.asked()


def test_an_upgrade_of_the_socket_unit_lets_no_port_go(
    config: configuration.Config, systemd: Systemd
) -> None:
    service.enable(config)
    systemd.listens_at(*PORTS)
    systemd.asked()
    path = units.folder() / SOCKET
    path.write_text(path.read_text().replace("Description=", "Description=Formerly: "))
    service.enable(config)
    assert "Formerly" not in path.read_text()
    assert systemd.asked() == [TRIED, "restart postroad.service"]


@pytest.mark.parametrize("version", ["252", "257"])
def test_disabling_leaves_nothing_of_it_and_all_that_is_its_owners(
    config: configuration.Config, systemd: Systemd, version: str
) -> None:
    systemd.say("version", version)
    own = units.of_service("90-own.conf")
    for left in ([], [own]):
        service.enable(replace(config, smtp_port=10588))
        assert own.parent.is_dir()
        for path in left:
            path.parent.mkdir(exist_ok=True)
            path.write_text("[Service]\nNice=5\n")
        service.disable()
        assert [path for path in units.folder().rglob("*") if path.is_file()] == left
        assert own.parent.is_dir() == bool(left)
        assert not (units.folder() / f"{SOCKET}.d").exists()


@pytest.mark.parametrize("key", ["data", "runtime"])
def test_a_folder_that_cannot_be_made_is_named_and_nothing_is_laid(
    config: configuration.Config, systemd: Systemd, tmp_path: Path, key: str
) -> None:
    (tmp_path / "a file").touch()
    for folder in (tmp_path / "a file", tmp_path / "a file" / "below it"):
        wrong = replace(config, data=folder) if key == "data" else replace(config, runtime=folder)
        with pytest.raises(ConfigurationError, match=f"To use another folder, change {key} in "):
            service.enable(wrong)
        assert not list(service.ours())


def test_a_restart_lays_anew_what_the_configuration_has_changed(
    config: configuration.Config, systemd: Systemd, tmp_path: Path
) -> None:
    config.data.mkdir()
    (config.data / "keys").touch()
    service.enable(config)
    systemd.listens_at(*PORTS)
    systemd.asked()
    assert not service.restart(config)
    assert systemd.asked() == ["restart postroad.service"]
    assert service.restart(replace(config, smtp_port=10588))
    systemd.listens_at(10588, *PORTS[1:])
    assert TRIED in systemd.asked()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "keys").touch()
    moved = replace(config, smtp_port=10588, data=tmp_path / "elsewhere")
    assert service.restart(moved)
    assert f'BindPaths="-{moved.data}"' in units.of_service(sandbox.NAME).read_text()
    systemd.asked()
    assert not service.restart(moved)


def test_a_port_that_somebody_else_took_meanwhile_is_named(
    config: configuration.Config, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*words: str) -> str:
        raise ConfigurationError("systemctl --user start failed: Job failed.")

    monkeypatch.setattr(systemctl, "ask", refused)
    theirs = [looks.Listener(os.getuid() + 1, "")]
    monkeypatch.setattr(looks, "listeners", lambda port: theirs if port == 10143 else [])
    with pytest.raises(ConfigurationError, match=r"Port 10143 is another user's.*imap_port"):
        service._start_sockets(config)


def test_all_folders_of_the_configuration_are_open_in_the_sandbox_whatever_their_names(
    config: configuration.Config, systemd: Systemd, tmp_path: Path
) -> None:
    odd = replace(config, data=tmp_path / 'my 100% "mail"', runtime=tmp_path / "other" / "run")
    service.enable(odd)
    told = units.of_service(sandbox.NAME).read_text()
    name = str(odd.data).replace("%", "%%").replace('"', '\\"')
    assert f'BindPaths="-{name}"\n' in told
    assert f'BindPaths="-{odd.runtime}"\n' in told
    assert "RuntimeDirectory=other/run\n" in told  # made anew by systemd with each boot
    assert odd.data in sandbox.open_folders(odd)
    with pytest.raises(ConfigurationError, match="cannot be told of a folder"):
        service.enable(replace(config, data=tmp_path / "two\nlines"))


def script_of(unit: str, key: str) -> str:
    """What a shell is told to do, as systemd hands it over."""
    line: str
    (line,) = re.findall(rf"^{key}=-?/bin/sh -e?c '(.*?)'$", UNITS[unit], re.M | re.S)
    assert "%" not in line.replace("%%", "")
    joined = line.replace("\\\n", " ").replace("\\\\", "\\")
    return joined.replace("$$", "$").replace("%%", "%")


def test_a_sandbox_that_is_denied_later_is_covered_until_the_next_boot(
    config: configuration.Config, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.enable(config)
    assert sandbox.is_on()
    systemd.asked()

    def ended(status: int) -> str:
        monkeypatch.setenv("MONITOR_EXIT_STATUS", str(status))
        script = script_of("postroad-without-sandbox.service", "ExecStart")
        done = subprocess.run(
            ["/bin/sh", "-ec", script], capture_output=True, text=True, check=True
        )
        return done.stdout

    assert ended(1) == ""  # something else: nothing of ours
    assert sandbox.is_on()
    assert not (systemd.folder / "asked").exists()
    assert ended(217).startswith("<4>This system denies the sandbox now (user namespaces): ")
    assert systemd.asked() == ["start --no-block postroad.service"]
    assert not sandbox.is_on()
    assert units.of_service(sandbox.NAME).exists()  # the next boot tries it again
    covering = systemd.folder / "systemd/user.control/postroad.service.d" / sandbox.NAME
    assert covering.read_text() == f'[Service]\nEnvironment="{sandbox.LOST}=user namespaces"\n'
    monkeypatch.setenv(sandbox.LOST, "user namespaces")
    assert sandbox.lost() == "user namespaces"
    service.enable(config)
    assert sandbox.is_on()
    assert not covering.exists()
    for status in re.findall(r"RestartPreventExitStatus=(.*)", UNITS["50-sandbox.conf"])[0].split():
        assert sandbox.CANNOT[status] in ended(int(status))
    service.disable()
    assert not covering.exists()


@pytest.mark.parametrize(("version", "is_laid"), [("252", True), ("254", False), ("257.9", False)])
def test_pauses_that_do_not_grow_by_themselves_are_laid(
    config: configuration.Config, systemd: Systemd, version: str, is_laid: bool
) -> None:
    systemd.say("version", version)
    service.enable(config)
    path = units.of_service(service.PAUSES)
    assert path.exists() == is_laid
    systemd.say("version", "257")
    service.enable(config)
    assert not path.exists()


@pytest.mark.parametrize("more", [(), ("/run/user/1000/other",)])
def test_the_fourth_crash_of_five_minutes_waits_and_a_stop_forgets_them(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    """The line of the unit, as systemd hands it to a shell, with a `sleep` that says how long."""
    script = script_of("40-pauses.conf", "ExecStopPost")
    (tmp_path / "sleep").write_text("#!/bin/sh\necho $1\n")
    (tmp_path / "sleep").chmod(0o700)

    own = tmp_path / "own folder"
    own.mkdir()

    def ended(result: str) -> str:
        surroundings = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "RUNTIME_DIRECTORY": ":".join(map(str, (own, *more))),
            "SERVICE_RESULT": result,
        }
        command = ["/bin/sh", "-c", script]
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert [ended("signal") for _ in range(13)] == ["", "", "", *map(str, range(1, 9)), "8", "8"]
    assert ended("success") == ""
    assert ended("exit-code") == ""
    os.utime(own / "crashes", (0, 0))
    assert [ended("exit-code") for _ in range(4)] == ["", "", "", "1"]


def test_what_enable_lays_is_what_disable_takes_away(
    config: configuration.Config, systemd: Systemd, tmp_path: Path
) -> None:
    systemd.say("version", "252")
    others = tmp_path / "share/dbus-1/services" / "org.example.Other.service"
    others.parent.mkdir(parents=True)
    others.write_text("[D-BUS Service]\nName=org.example.Other\nExec=/bin/true\n")
    service.enable(config)
    laid = {path.name for path in service.ours()}
    assert laid == {*UNITS, service.ACTIVATION}
    service.disable()
    assert list(service.ours()) == []
    files = [path for path in (tmp_path / "share").rglob("*") if path.is_file()]
    assert files == [others]


def test_what_the_package_brings_is_where_it_is_looked_for() -> None:
    rules = (ROOT / "packaging" / "debian" / "rules").read_text()
    (laid,) = [line for line in rules.splitlines() if service.ACTIVATION in line]
    assert any(f"$(ROOT){folder}" in laid.split("=") for folder in service.OF_PACKAGES)


def test_a_command_with_odd_names_is_one_that_systemd_reads_as_typed() -> None:
    assert units.quoted(["/a b/100%/$x", "run"]) == '"/a b/100%%/$$x" run'


def test_outside_of_any_sandbox_the_trial_says_so(config: configuration.Config) -> None:
    config.data.mkdir()
    told = trial.holds(config)
    assert told["its own data folder can be written"]
    assert told["loopback"]
    assert told["what seals and sends works"]
    assert not told["a filter of system calls"] or not told["users of its own"]


def test_whatever_of_the_home_leads_to_nothing_of_ours_is_too_much(tmp_path: Path) -> None:
    ours = [tmp_path / ".local/share/postroad", tmp_path / ".config/postroad"]
    for one in ours:
        one.mkdir(parents=True)
        (one / "file").touch()
    assert not trial.has_more(tmp_path, ours)
    for place in ("diary", ".ssh/key", ".local/share/other/file", ".config/other"):
        there = tmp_path / place
        there.parent.mkdir(exist_ok=True)
        there.touch()
        assert trial.has_more(tmp_path, ours), place
        there.unlink()
        if not any(one.is_relative_to(there.parent) for one in ours):
            there.parent.rmdir()
    (tmp_path / "link").symlink_to(ours[0])
    assert trial.has_more(tmp_path, ours)


def test_what_denies_user_namespaces_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (setting := tmp_path / "setting").write_text("1\n")
    monkeypatch.setattr(looks, "DENYING", ((str(setting), "1", "kernel.restricts=0"),))
    assert looks.denying_namespaces() == ["kernel.restricts"]
    assert sandbox.denied("226").endswith("(mounts of its own, by kernel.restricts)")
    setting.write_text("0\n")
    assert looks.denying_namespaces() == []
    assert sandbox.denied("226").endswith("(mounts of its own)")
