"""Postroad as a service of its user's systemd: units, ports, on and off.

Purpose: what `postroad service` and `setup` do with systemctl. A unit that a package brought is
used as it is; else it is written for the very program that was typed; so is the file by which
whoever calls Postroad on the session bus starts it. The ports of the
configuration go into a drop-in of the socket unit, the sandbox into one of the service.
Invariants: only files of ours are written or removed, below ~/.config/systemd/user and
~/.local/share/dbus-1/services; what systemd refuses is told in words, with the line to type; mail
is never touched; while all ports stay ours, none of them is let go, not even for a moment, whatever
else is laid anew; where one is another, all of them are, until the new socket is there.
See: docs/adr/0019-systemd.md.
"""

import os
import pwd
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from postroad.app import config as configuration
from postroad.app import sandbox, systemctl, units
from postroad.app.config import Config
from postroad.app.systemctl import is_to_be_had
from postroad.app.units import PACKAGED_PROGRAM, SERVICE, SOCKET, program
from postroad.base.errors import ConfigurationError
from postroad.contract import BUS_NAME
from postroad.machine import looks

__all__ = ["is_to_be_had", "program"]  # and what is defined here
DOORS = ("smtp", "imap", "pop3")
ACTIVATION = f"{BUS_NAME}.service"  # for the session bus
OF_PACKAGES = (
    Path("/usr/lib/systemd/user"),
    Path("/etc/systemd/user"),
    Path("/usr/share/dbus-1/services"),
)
LINGERING = Path("/var/lib/systemd/linger")
STEPS_FROM = 254  # the systemd that knows RestartSteps=
PAUSES = "40-pauses.conf"
PORTS = "50-ports.conf"


@dataclass(frozen=True, slots=True)
class Enabled:
    """What came of it. `sandbox_reason`: why the sandbox is not there; empty: it is. `linger_line`:
    to be typed, so that the node also runs while its user is not logged in; empty: it does."""

    sandbox_reason: str
    linger_line: str


def is_laid() -> bool:
    """Whether a unit of the node is there, ours or a package's; systemd is not asked."""
    return any((folder / SERVICE).exists() for folder in (units.folder(), *OF_PACKAGES))


def enable(config: Config) -> Enabled:
    """Lay the units for this configuration, and have the node run now and after each login.

    Raises ConfigurationError when systemd does not let us; what was laid stays, and may be laid
    again."""
    systemctl.expect()
    sandbox.make_folders(config)  # first: what cannot be made leaves nothing half laid
    _lay_units()
    lay_activation()
    # systemd, told to read it again, may already say of the old socket what the new file says.
    ports_are_others = _lay_ports(config)
    _lay_pauses()
    systemctl.ask("daemon-reload")
    reason = sandbox.lay(config)
    systemctl.ask("daemon-reload")
    systemctl.ask("enable", SOCKET, SERVICE)
    if ports_are_others or held_ports() != _wanted(config):
        # The socket that holds the old ones has to go first.
        systemctl.ask("stop", SOCKET, SERVICE)
        _start_sockets(config)
        systemctl.ask("start", SERVICE)
    else:
        systemctl.ask("restart", SERVICE)
    return Enabled(reason, _linger())


def disable() -> None:
    """Stop the node and leave nothing of its units that is ours; no mail is touched."""
    systemctl.expect()
    for unit in (SOCKET, SERVICE):  # the socket first: a client would start the service again
        if systemctl.is_known(unit):
            systemctl.ask("disable", "--now", unit)
    sandbox.take_away()
    for path in ours():
        units.take_away(path)
    systemctl.ask("daemon-reload")
    _reload_bus()


def restart(config: Config) -> bool:
    """Whether the units had to be laid anew first, because the configuration is another one."""
    systemctl.expect()
    if not systemctl.is_known(SERVICE):
        raise ConfigurationError("Your node is no service yet. Type: postroad service enable")
    if config.is_set_up and not fits(config):
        enable(config)
        return True
    systemctl.ask("daemon-reload")
    systemctl.ask("restart", SERVICE)
    return False


def fits(config: Config) -> bool:
    """Whether what is laid is for these ports and folders."""
    held = held_ports()
    return held in (frozenset(), _wanted(config)) and sandbox.fits(config)


def shown() -> dict[str, object]:
    """How systemd sees the node."""
    systemctl.expect()
    wanted = "ActiveState,Job,StatusText,NRestarts,MainPID,UnitFileState,FragmentPath"
    of = systemctl.properties(SERVICE, wanted)
    return {
        "installed": bool(of["FragmentPath"]),
        "enabled": of["UnitFileState"] == "enabled",
        "state": _state(of),
        "status": of["StatusText"],
        "restarts": int(of["NRestarts"] or 0),
        "pid": int(of["MainPID"] or 0) or None,
        "unit": of["FragmentPath"] or None,
        "sandbox": sandbox.is_on(),
        "linger": _lingers(),
        "ports": sorted(held_ports()),
    }


def standing(seconds: float) -> dict[str, object] | None:
    """How systemd sees the node, for whoever waits so long at most; None when it says nothing.
    Nothing is started for it."""
    if not is_to_be_had():
        return None
    wanted = "FragmentPath,ActiveState,Job,Result,StatusText"
    try:
        of = systemctl.properties(SERVICE, wanted, seconds)
    except ConfigurationError:
        return None
    return {
        "installed": bool(of["FragmentPath"]),
        "state": _state(of),
        "result": of["Result"],
        "status": of["StatusText"],
    }


def _state(of: dict[str, str]) -> str:
    """As systemd calls it; also activating while it waits for its turn, right after a login."""
    state = of["ActiveState"] or "inactive"
    return "activating" if state == "inactive" and of["Job"] not in ("", "0") else state


def held_ports() -> frozenset[int]:
    """The ports at which this user's own socket unit listens just now: they are ours."""
    if not is_to_be_had():
        return frozenset()
    try:
        of = systemctl.properties(SOCKET, "ActiveState,Listen")
    except ConfigurationError:
        return frozenset()
    if of["ActiveState"] != "active":
        return frozenset()
    found = (word.rpartition(":")[2] for word in of["Listen"].split())
    return frozenset(int(port) for port in found if port.isdecimal())


def _wanted(config: Config) -> frozenset[int]:
    return frozenset(_ports(config).values())


def _ports(config: Config) -> dict[str, int]:
    return {door: getattr(config, f"{door}_port") for door in DOORS}


def _start_sockets(config: Config) -> None:
    """ConfigurationError names the port that somebody else has."""
    try:
        systemctl.ask("start", SOCKET)
    except ConfigurationError as error:
        for door, port in _ports(config).items():
            if any(one.uid != os.getuid() for one in looks.listeners(port)):
                raise ConfigurationError(
                    f"Port {port} is another user's. Choose another {door}_port in your "
                    "configuration, and in your mail program; then: postroad service enable"
                ) from error
        raise


# How the units are laid


def _lay_units() -> None:
    for unit in (SERVICE, SOCKET):
        _lay(units.folder() / unit, units.for_program(unit))


def lay_activation() -> None:
    """Have a call on the session bus start the node; a bus that runs already hears of it."""
    # Two languages, one in the other: words as a shell has them, in a value with its own "\\".
    command = shlex.join(program()).replace("\\", "\\\\")
    _lay(_bus_folder() / ACTIVATION, units.text(ACTIVATION).replace(PACKAGED_PROGRAM, command))
    _reload_bus()


def _reload_bus() -> None:
    """Quietly: where no session bus is, the next one reads its files anyway."""
    bus = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
    with suppress(ConfigurationError):
        systemctl.command("busctl", "--user", "call", *bus, "ReloadConfig")


def _lay(path: Path, content: str) -> None:
    """Write what no package brought."""
    if any((folder / path.name).exists() for folder in OF_PACKAGES):
        units.take_away(path)  # of a time before the package: it would hide the package's
    else:
        units.lay(path, content)


def _lay_ports(config: Config) -> bool:
    """Whether they are other ones than before."""
    path = units.folder() / f"{SOCKET}.d" / PORTS
    ports = _ports(config)
    if not all(ports.values()):
        raise ConfigurationError(
            "A service needs ports of its own: give smtp_port, imap_port and pop3_port a number in "
            "your configuration."
        )
    text = "[Socket]\nListenStream=\n"
    for door, port in ports.items():
        text += f"# {door.upper()}\nListenStream=127.0.0.1:{port}\nListenStream=[::1]:{port}\n"
    usual = units.text(SOCKET)
    if all(f"127.0.0.1:{port}\n" in usual for port in ports.values()):
        return units.take_away(path)
    return units.lay(path, text)


def _lay_pauses() -> None:
    """Pauses between starts that fail, where systemd itself has none that grow."""
    path = units.of_service(PAUSES)
    if systemctl.version() < STEPS_FROM:
        units.lay(path, units.text(PAUSES))
    else:
        units.take_away(path)


def _linger() -> str:
    if _lingers():
        return ""
    with suppress(ConfigurationError):
        systemctl.command("loginctl", "--no-ask-password", "enable-linger")
    return "" if _lingers() else f"sudo loginctl enable-linger {_user()}"


def _lingers() -> bool:
    return (LINGERING / _user()).exists()


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _bus_folder() -> Path:
    return configuration.default().data.parent / "dbus-1" / "services"


def ours() -> Iterator[Path]:
    for path in (
        units.folder() / SERVICE,
        units.folder() / SOCKET,
        units.of_service(PAUSES),
        units.folder() / f"{SOCKET}.d" / PORTS,
        _bus_folder() / ACTIVATION,
        units.of_service(sandbox.NAME),
        units.folder() / sandbox.LEAVING,
    ):
        if units.is_ours(path):
            yield path
