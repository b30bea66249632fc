"""Look at everything that `postroad doctor` judges: the node, this computer, the mail programs.

Purpose: each look by itself, side by side, each with a limit; what does not end in time is said so.
Invariants: nothing is started, changed, or sent to anybody but our own running node; a look that
fails leaves its part unknown and stops no other.
"""

import os
import pwd
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postroad import __version__
from postroad.app import config as configuration
from postroad.app import policy as policies
from postroad.app import service as services
from postroad.app import session_bus, version_cli
from postroad.app.asking import NotRunning, ask
from postroad.app.config import Config
from postroad.app.mail_settings import IMAP, PROGRAMS, SMTP, wrong
from postroad.base import limits
from postroad.base.errors import ConfigurationError, PostroadError
from postroad.contract import BUS_NAME
from postroad.machine import looks
from postroad.protocol.doctor import Facts, Firewall, Folder, Port, Setting, Trouble, Way

COMMAND_SECONDS_MAX = 3.0
LOOK_SECONDS_MAX = 4.0
NETWORK_SECONDS_MAX = 8.0  # other nodes are asked
SETTINGS_BYTES_MAX = 4 * limits.MIB  # of a mail program's file
MADE_AT = 1_764_000_000  # 24 November 2025: no clock is right that is before this
Known = dict[str, Any]


@dataclass(slots=True)
class _Look:
    """One look: a thread that is not waited for when it takes too long."""

    what: str
    seconds: float
    work: Callable[[], Known]
    found: Known = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        threading.Thread(target=self._do, name=self.what, daemon=True).start()

    def _do(self) -> None:
        with suppress(OSError, ValueError, PostroadError, KeyError, subprocess.SubprocessError):
            self.found = self.work()
        self.ended.set()


@dataclass(frozen=True, slots=True)
class Examined:
    """`private`: words that are nobody else's business: names, addresses, folders."""

    facts: Facts
    private: frozenset[str]


def examine(path: Path) -> Examined:
    """All facts that can be had within ten seconds. `path`: of the configuration."""
    known = _configuration(path)
    config = known.pop("config")
    node = _Look("your node", LOOK_SECONDS_MAX, lambda: _node(config))
    looks_ = [
        node,
        _Look("the ways to other nodes", NETWORK_SECONDS_MAX, lambda: _ways(config)),
        _Look("the disk", LOOK_SECONDS_MAX, lambda: _disk(config)),
        _Look("permissions", LOOK_SECONDS_MAX, lambda: _permissions(config, path)),
        _Look("the service", LOOK_SECONDS_MAX, _service),
        _Look("the session bus", LOOK_SECONDS_MAX, _bus),
        _Look("firewalls", LOOK_SECONDS_MAX, _firewalls),
        _Look("the clock", LOOK_SECONDS_MAX, _clock),
        _Look("contacts", LOOK_SECONDS_MAX, lambda: _contacts(config)),
    ]
    _wait_for(looks_)
    for one in looks_:
        known |= one.found
    # These two need to know what the node said.
    ports = {SMTP: known.pop("smtp_port", 0), IMAP: known.pop("imap_port", 0)}
    names = known.pop("login_names", set())
    after = [
        _Look("ports", 1.0, lambda: _ports(config, ports, runs=known.get("runs", False))),
        _Look("mail programs", 1.5, lambda: _settings(path, config, ports, names)),
    ]
    _wait_for(after)
    for one in after:
        known |= one.found
    slow = tuple(one.what for one in [*looks_, *after] if not one.ended.is_set())
    private = known.pop("private", set()) | names | _own_words(config, path)
    return Examined(
        Facts(**known, versions=_versions(), installed=__version__, too_slow=slow),
        frozenset(one for one in private if len(one) > 1),
    )


def _wait_for(some: list[_Look]) -> None:
    began = time.monotonic()
    for one in some:
        one.begin()
    for one in some:
        one.ended.wait(max(0.0, one.seconds - (time.monotonic() - began)))


def _configuration(path: Path) -> Known:
    """The configuration as far as it can be understood, cut to the policy where that can be."""
    said: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    try:
        config, mistakes = configuration.looked_through(path)
        said = tuple(f"{path}: {one}." for one in mistakes)
        keys = tuple(one.key for one in mistakes if one.key in configuration.KEYS)
    except ConfigurationError as error:
        config, said = configuration.default(), (str(error),)
    with suppress(ConfigurationError):
        try:
            config = policies.narrowed(config, policies.load())
        except ConfigurationError as error:
            said = (*said, str(error))
    return {
        "config": config,
        "mistakes": said,
        "mistaken_keys": keys,
        "peer_port": config.peer_port,
        "reserve_bytes": round(config.reserve_mib * limits.MIB),
        "is_set_up": config.is_set_up,
    }


def _node(config: Config) -> Known:
    """What the node says of itself; the sandbox as it sees it."""
    if not config.is_set_up:
        return {"runs": False, "holders": None, "sandbox_missing": None, "troubles": None}
    try:
        status = ask(config.control_path, do="status")
    except NotRunning:
        return {"runs": False, "holders": None, "sandbox_missing": None, "troubles": None}
    known: Known = {"runs": True, "sandbox_missing": None, "troubles": None, "holders": None}
    if status.get("locked"):
        return {**known, "is_locked": True}
    known |= {
        "is_paused": status["paused"],
        "holders": status["holders"],
        "contacts": status["contact_count"],
        "smtp_port": status["smtp_port"] or 0,
        "imap_port": status["imap_port"] or 0,
        "login_names": _login_names(str(status["user_name"])),
    }
    with suppress(PostroadError):
        inside = ask(config.control_path, do="examined")
        known |= {
            "running": inside["version"],
            "not_reloaded": bool(inside["configuration_trouble"]),
            "after_restart": tuple(inside["after_restart"]),
            "sandbox_missing": tuple(
                what for what, holds in inside["sandbox"].items() if not holds
            ),
        }
    with suppress(PostroadError):
        verdict = ask(config.control_path, do="health")
        known["troubles"] = tuple(
            Trouble(one["code"], one["severity"], one["summary"], one["next_step"])
            for one in verdict["problems"]
        )
    return known


def _login_names(address: str) -> set[str]:
    local = address.partition("@")[0]
    return {address.lower(), local.lower(), local.partition(".")[0].lower()}


def _contacts(config: Config) -> Known:
    """The names that a report must not tell."""
    told = ask(config.control_path, do="contacts")["contacts"]
    words = {str(one[key]) for one in told for key in ("name", "address", "fingerprint")}
    return {"private": words}


def _ways(config: Config) -> Known:
    try:
        told = ask(config.control_path, do="netcheck")
    except PostroadError:
        return {"ways": None}
    return {
        "ways": tuple(
            Way(one["about"], one["state"], one["says"], one["advice"]) for one in told["findings"]
        )
    }


def _disk(config: Config) -> Known:
    folder = config.data
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    return {
        "free_bytes": found.f_bavail * found.f_frsize,
        "free_inodes": found.f_favail if found.f_files else None,
        "file_system": looks.file_system(folder),
    }


def _permissions(config: Config, path: Path) -> Known:
    places = [
        ("Your data folder", config.data),
        ("The file of your keys", config.data / "keys"),
        ("Your mail's database", config.data / "postroad.sqlite"),
        ("The folder of your configuration", path.parent),
        ("The node's runtime folder", config.runtime),
    ]
    return {"folders": tuple(_folder(what, one) for what, one in places)}


def _folder(what: str, path: Path) -> Folder:
    try:
        found = path.lstat()
    except OSError:
        return Folder(what, str(path), None)
    mode = stat.S_IMODE(found.st_mode)
    leads_elsewhere = stat.S_ISLNK(found.st_mode)
    if leads_elsewhere or (what.startswith("The folder of your conf") and mode & 0o022 == 0):
        mode = 0o700  # a configuration may be read: nothing in it is a secret
    return Folder(
        what,
        str(path),
        mode,
        found.st_uid == os.getuid(),
        leads_elsewhere,
        stat.S_ISDIR(found.st_mode),
    )


def _service() -> Known:
    known: Known = {"namespaces_line": looks.namespaces_line()}
    if not services.is_to_be_had():
        return {**known, "has_systemd": False, "lingers": None, "is_service": False}
    told = services.shown()
    user = pwd.getpwuid(os.getuid()).pw_name
    return {
        **known,
        "is_service": told["installed"],
        "is_enabled": told["enabled"],
        "restarts": told["restarts"],
        "lingers": told["linger"],
        "linger_line": f"sudo loginctl enable-linger {user}",
        "sandbox_wanted": told["sandbox"],
    }


def _bus() -> Known:
    address = session_bus.address()
    if address is None:
        return {"bus": False, "bus_name": None}
    if shutil.which("busctl") is None:
        return {"bus": None, "bus_name": None}
    of_bus = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
    told = _command(
        "busctl", f"--address={address}", "call", *of_bus, "NameHasOwner", "s", BUS_NAME
    )
    return {"bus": told is not None, "bus_name": None if told is None else "true" in told}


def _firewalls() -> Known:
    return {"firewalls": tuple(Firewall(one) for one in looks.firewalls())}


def _clock() -> Known:
    return {
        "clock_is_kept": looks.clock_is_kept(),
        "clock_is_past": time.clock_gettime(time.CLOCK_REALTIME) < MADE_AT,
    }


def _ports(config: Config, of_node: dict[str, int], *, runs: bool) -> Known:
    held = services.held_ports() if services.is_to_be_had() else frozenset()
    return {
        "ports": tuple(
            _port(door, of_node[door] or wanted, held, is_nodes=runs and bool(of_node[door]))
            for door, wanted in ((SMTP, config.smtp_port), (IMAP, config.imap_port))
            if of_node[door] or wanted
        )
    }


def _port(door: str, number: int, held: frozenset[int], *, is_nodes: bool) -> Port:
    there = looks.listeners(number)
    others = [one for one in there if one.uid != os.getuid()]
    if others and not (is_nodes or number in held):
        return Port(door, number, by_us=False, program=others[0].program, other_user=True)
    program = next((one.program for one in there if one.program), "")
    by_us = is_nodes or number in held
    return Port(door, number, bool(there), by_us, program)


def _settings(path: Path, config: Config, ports: dict[str, int], names: set[str]) -> Known:
    wanted = {
        SMTP: ports[SMTP] or config.smtp_port,
        IMAP: ports[IMAP] or config.imap_port,
    }
    found: list[Setting] = []
    programs = []
    for one in PROGRAMS:
        for file in _files(one.files):
            text = file.read_bytes()[:SETTINGS_BYTES_MAX].decode(errors="replace")
            ours = [each for each in one.read(text) if each.is_for(wanted.values())]
            if ours and one.title not in programs:
                programs.append(one.title)
            found += wrong(one.title, str(file), ours, wanted, names)
    return {"mail_programs": tuple(programs), "settings": tuple(found)}


def _files(patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        with suppress(OSError):
            yield from sorted(one for one in Path.home().glob(pattern) if one.is_file())


def _versions() -> tuple[tuple[str, str], ...]:
    told = version_cli.told()
    found = [(name, str(told[name] or "not known")) for name in ("python", "iroh", "sqlite")]
    systemd = _command("systemctl", "--version")
    words = (systemd or "").split()
    if len(words) > 1:
        found.append(("systemd", words[1]))
    return tuple(found)


def _command(*words: str) -> str | None:
    """What it says; None when it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603  (of a fixed name)
            words, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def _own_words(config: Config, path: Path) -> set[str]:
    user = pwd.getpwuid(os.getuid())
    own = {user.pw_name, user.pw_gecos.partition(",")[0], os.uname().nodename, str(Path.home())}
    return own | {str(config.data), str(config.runtime), str(path), str(path.parent)}
