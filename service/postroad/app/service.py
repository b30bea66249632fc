"""Postroad as a service of its user's systemd: units, the trial of the sandbox, on and off.

Purpose: what `postroad service` and `setup` do with systemctl. A unit that a package brought is
used as it is; else it is written for the very program that was typed; so is the file by which
whoever calls Postroad on the session bus starts it. The ports of the
configuration go into a drop-in of the socket unit, the sandbox into one of the service, after a
trial unit with all of it has really run.
Invariants: only files of ours are written or removed, below ~/.config/systemd/user and
~/.local/share/dbus-1/services; what systemd refuses is told in words, with the line to type; mail
is never touched. It is long because what is laid and what is removed are read beside each other.
See: docs/adr/0019-systemd.md.
"""

import json
import os
import pwd
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from postroad.app import config as configuration
from postroad.app import durable
from postroad.app.config import Config
from postroad.base.errors import ConfigurationError
from postroad.contract import BUS_NAME

SERVICE, SOCKET, TRIAL = "postroad.service", "postroad.socket", "postroad-trial.service"
DOORS = ("smtp", "imap", "pop3")
ACTIVATION = f"{BUS_NAME}.service"  # for the session bus
OF_PACKAGES = (
    Path("/usr/lib/systemd/user"),
    Path("/etc/systemd/user"),
    Path("/usr/share/dbus-1/services"),
)
PACKAGED_PROGRAM = "/usr/bin/postroad"  # as the unit has it
COMMAND_SECONDS_MAX = 60.0
LINGERING = Path("/var/lib/systemd/linger")
NO_SYSTEMD = "Without it, run your node yourself: postroad run"


@dataclass(frozen=True, slots=True)
class Enabled:
    """What came of it. `sandbox`: why it is not there; empty: it is. `linger_line`: to be typed, so
    that the node also runs while its user is not logged in; empty: it does."""

    sandbox: str
    linger_line: str


def is_to_be_had() -> bool:
    """Whether this user has a systemd that could be asked."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return (
        runtime is not None
        and (Path(runtime) / "systemd" / "private").exists()
        and shutil.which("systemctl") is not None
    )


def is_laid() -> bool:
    """Whether a unit of the node is there, ours or a package's; systemd is not asked."""
    return any((folder / SERVICE).exists() for folder in (_folder(), *OF_PACKAGES))


def enable(config: Config) -> Enabled:
    """Lay the units for this configuration, and have the node run now and after each login.

    Raises ConfigurationError when systemd does not let us; what was laid stays, and may be laid
    again."""
    _expect_systemd()
    _lay_units()
    lay_activation()
    _lay_ports(config)
    _systemctl("daemon-reload")
    sandbox = _lay_sandbox(config)
    _systemctl("daemon-reload")
    _systemctl("enable", SOCKET, SERVICE)
    # The ports may be others now: the socket that holds the old ones has to go first.
    _systemctl("stop", SOCKET, SERVICE)
    _systemctl("start", SOCKET, SERVICE)
    return Enabled(sandbox, _linger())


def disable() -> None:
    """Stop the node and leave nothing of its units that is ours; no mail is touched."""
    _expect_systemd()
    for unit in (SOCKET, SERVICE):  # the socket first: a client would start the service again
        if _is_known(unit):
            _systemctl("disable", "--now", unit)
    for path in _ours():
        path.unlink(missing_ok=True)
        with suppress(OSError):  # something of its owner's is in there
            if path.parent.parent == _folder():
                path.parent.rmdir()
    _systemctl("daemon-reload")
    _reload_bus()


def restart() -> None:
    _expect_systemd()
    _expect_enabled()
    _systemctl("daemon-reload")
    _systemctl("restart", SERVICE)


def shown() -> dict[str, object]:
    """How systemd sees the node."""
    _expect_systemd()
    wanted = "ActiveState,SubState,StatusText,NRestarts,MainPID,UnitFileState,FragmentPath"
    of = _properties(SERVICE, wanted)
    return {
        "installed": bool(of["FragmentPath"]),
        "enabled": of["UnitFileState"] == "enabled",
        "state": of["ActiveState"] or "inactive",
        "status": of["StatusText"],
        "restarts": int(of["NRestarts"] or 0),
        "pid": int(of["MainPID"] or 0) or None,
        "unit": of["FragmentPath"] or None,
        "sandbox": _sandbox_path().exists(),
        "linger": _lingers(),
        "ports": sorted(held_ports()),
    }


def standing(seconds: float) -> dict[str, object] | None:
    """How systemd sees the node, for whoever waits so long at most; None when it says nothing.
    Nothing is started for it."""
    if not is_to_be_had():
        return None
    wanted = "FragmentPath,ActiveState,Result,StatusText"
    try:
        of = _properties(SERVICE, wanted, seconds)
    except ConfigurationError:
        return None
    return {
        "installed": bool(of["FragmentPath"]),
        "state": of["ActiveState"] or "inactive",
        "result": of["Result"],
        "status": of["StatusText"],
    }


def held_ports() -> frozenset[int]:
    """The ports at which this user's own socket unit listens just now: they are ours."""
    if not is_to_be_had():
        return frozenset()
    try:
        of = _properties(SOCKET, "ActiveState,Listen")
    except ConfigurationError:
        return frozenset()
    if of["ActiveState"] != "active":
        return frozenset()
    found = (word.rpartition(":")[2] for word in of["Listen"].split())
    return frozenset(int(port) for port in found if port.isdecimal())


def program() -> list[str]:
    """How to start the very program that was typed."""
    own = Path(sys.argv[0]).absolute()
    if own.name == "__main__.py":
        return [sys.executable, "-m", "postroad"]
    return [str(own)]


# How the units are laid


def _lay_units() -> None:
    for name in (SERVICE, SOCKET):
        _lay(_folder() / name, _unit(name).replace(PACKAGED_PROGRAM, _quoted(program())))


def lay_activation() -> None:
    """Have a call on the session bus start the node; a bus that runs already hears of it."""
    # Two languages, one in the other: words as a shell has them, in a value with its own "\\".
    command = shlex.join(program()).replace("\\", "\\\\")
    _lay(_bus_folder() / ACTIVATION, _unit(ACTIVATION).replace(PACKAGED_PROGRAM, command))
    _reload_bus()


def _reload_bus() -> None:
    """Quietly: where no session bus is, the next one reads its files anyway."""
    bus = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
    with suppress(ConfigurationError):
        _command("busctl", "--user", "call", *bus, "ReloadConfig")


def _lay(path: Path, text: str) -> None:
    """Write what no package brought."""
    if any((folder / path.name).exists() for folder in OF_PACKAGES):
        if _is_ours(path):  # of a time before the package: it would hide the package's
            path.unlink()
        return
    if path.exists() and not _is_ours(path):
        raise ConfigurationError(
            f"{path} is not of Postroad's making. Move it away, then try again."
        )
    _write(path, text)


def _lay_ports(config: Config) -> None:
    path = _folder() / f"{SOCKET}.d" / "50-ports.conf"
    ports = {door: getattr(config, f"{door}_port") for door in DOORS}
    if not all(ports.values()):
        raise ConfigurationError(
            "A service needs ports of its own: give smtp_port, imap_port and pop3_port a number in "
            "your configuration."
        )
    text = "[Socket]\nListenStream=\n"
    for door, port in ports.items():
        text += f"# {door.upper()}\nListenStream=127.0.0.1:{port}\nListenStream=[::1]:{port}\n"
    usual = _unit(SOCKET)
    if all(f"127.0.0.1:{port}\n" in usual for port in ports.values()):
        path.unlink(missing_ok=True)
    else:
        _write(path, text)


def _lay_sandbox(config: Config) -> str:
    """Put the sandbox in place if a unit starts with it; else why it does not."""
    path = _sandbox_path()
    text = _unit("50-sandbox.conf") + "".join(_binds(config))
    with _trial(text):
        reason = _try(config)
    if reason:
        path.unlink(missing_ok=True)
    else:
        _write(path, text)
    return reason


def _binds(config: Config) -> Iterator[str]:
    """What this installation needs of the home beyond what each one does."""
    home = Path.home()
    if config.data != home / ".local/share/postroad":
        yield f"BindPaths={config.data}\n"
    needed = {Path(program()[0]).resolve(), Path(program()[0]), Path(sys.prefix)}
    needed |= {Path(sys.base_prefix), Path(str(resources.files("postroad"))).parent}
    for one in sorted(needed):
        if one.is_relative_to(home):
            yield f"BindReadOnlyPaths={one}\n"


@contextmanager
def _trial(sandbox: str) -> Iterator[None]:
    """While within, a unit that runs `postroad service trial` as the service would be run."""
    runtime = Path(os.environ["XDG_RUNTIME_DIR"])
    path = runtime / "systemd" / "user" / TRIAL
    lines = [line for line in _unit(SERVICE).splitlines() if not line.startswith(_NOT_FOR_TRIAL)]
    text = "\n".join(lines).partition("[Install]")[0].replace("RuntimeDirectory=postroad", "")
    start = f"Type=oneshot\nExecStart={_quoted([*program(), 'service', 'trial', '--json'])}\n"
    start += f"StandardOutput=truncate:{_said_at()}\nTimeoutStartSec=30\n"
    # The folder of the running node is not the trial's to make, or to take away.
    bound = sandbox.replace("BindPaths=%t/postroad", "BindPaths=-%t/postroad")
    _write(path, f"{text}\n{start}\n{bound}")
    try:
        _systemctl("daemon-reload")
        yield
    finally:
        path.unlink(missing_ok=True)
        _said_at().unlink(missing_ok=True)


_NOT_FOR_TRIAL = (
    "Type=",
    "ExecStart=",
    "ExecReload=",
    "Restart",
    "Watchdog",
    "NotifyAccess=",
    "Wants=",
    "After=",
)


def _try(config: Config) -> str:
    """Why the trial did not work; empty: it did."""
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        _systemctl("start", TRIAL)
    except ConfigurationError:
        result = _properties(TRIAL, "Result,ExecMainStatus")
        _command("systemctl", "--user", "reset-failed", TRIAL)
        status = result["ExecMainStatus"]
        if status in _CANNOT:
            return f"this system denies what it needs ({_CANNOT[status]})"
        return f"a trial of it did not start ({result['Result']}, {status})"
    try:
        told = json.loads(_said_at().read_text("utf-8"))["holds"]
    except (OSError, ValueError, KeyError):
        return "a trial of it said nothing"
    missing = [one["what"] for one in told if not one["holds"]]
    return f"a trial of it showed that this does not hold: {', '.join(missing)}" if missing else ""


_CANNOT = {"217": "user namespaces", "226": "mounts of its own", "228": "a filter of system calls"}


def _said_at() -> Path:
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "postroad-trial"


def _linger() -> str:
    if _lingers():
        return ""
    with suppress(ConfigurationError):
        _command("loginctl", "--no-ask-password", "enable-linger")
    return "" if _lingers() else f"sudo loginctl enable-linger {_user()}"


def _lingers() -> bool:
    return (LINGERING / _user()).exists()


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _folder() -> Path:
    return configuration.default_path().parent.parent / "systemd" / "user"


def _bus_folder() -> Path:
    return configuration.default().data.parent / "dbus-1" / "services"


def _sandbox_path() -> Path:
    return _folder() / f"{SERVICE}.d" / "50-sandbox.conf"


def _ours() -> Iterator[Path]:
    for path in (
        _folder() / SERVICE,
        _folder() / SOCKET,
        _sandbox_path(),
        _folder() / f"{SOCKET}.d" / "50-ports.conf",
        _bus_folder() / ACTIVATION,
    ):
        if _is_ours(path):
            yield path


OURS = "# Written by `postroad service enable`, and removed by `postroad service disable`.\n"


def _is_ours(path: Path) -> bool:
    try:
        return path.read_text("utf-8").startswith(OURS)
    except (OSError, UnicodeDecodeError):
        return False


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        durable.write(path, f"{OURS}{text}".encode(), 0o666)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error


def _unit(name: str) -> str:
    return resources.files("postroad").joinpath("units", name).read_text("utf-8")


def _quoted(words: Sequence[str]) -> str:
    """As a command line of systemd; the first word is a path, or what is found in it."""
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return " ".join(
        f'"{word}"' if any(one in word for one in " \t\"'") else word
        for word in (one.replace("%", "%%").replace("$", "$$") for one in escaped)
    )


# How systemd is asked


def _expect_systemd() -> None:
    if not is_to_be_had():
        raise ConfigurationError(f"No systemd of yours answers here. {NO_SYSTEMD}")


def _expect_enabled() -> None:
    if not _is_known(SERVICE):
        raise ConfigurationError("Your node is no service yet. Type: postroad service enable")


def _is_known(unit: str) -> bool:
    return bool(_properties(unit, "FragmentPath")["FragmentPath"])


def _properties(unit: str, names: str, seconds_max: float = COMMAND_SECONDS_MAX) -> dict[str, str]:
    """The properties of these names; one that is there more than once in one line."""
    found = dict.fromkeys(names.split(","), "")
    shown = _systemctl("show", unit, f"--property={names}", seconds_max=seconds_max)
    for line in shown.splitlines():
        name, _, value = line.partition("=")
        found[name] = f"{found.get(name, '')} {value}".strip()
    return found


def _systemctl(*words: str, seconds_max: float = COMMAND_SECONDS_MAX) -> str:
    command = ("systemctl", "--user", *words)
    status, told, complaint = _command(*command, seconds_max=seconds_max)
    if status != 0:
        reason = (complaint.strip().splitlines() or ["it said nothing"])[0]
        raise ConfigurationError(f"systemctl --user {words[0]} failed: {reason}")
    return told


def _command(*words: str, seconds_max: float = COMMAND_SECONDS_MAX) -> tuple[int, str, str]:
    """Exit status, output and complaints; ConfigurationError when there is no such program."""
    import subprocess  # most commands never need it

    try:
        done = subprocess.run(  # noqa: S603  (fixed words)
            words, capture_output=True, text=True, timeout=seconds_max, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"systemd does not answer ({error}). {NO_SYSTEMD}") from error
    return done.returncode, done.stdout, done.stderr
