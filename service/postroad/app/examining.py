"""Look at everything that `postroad doctor` judges: the node, this computer, the mail programs.

Purpose: each look by itself, side by side, each with a limit; what does not end in time is said so.
Invariants: nothing is started, changed, or sent to anybody but our own running node; a look that
fails leaves its part unknown, stops no other, and is told: what nobody saw is never well.
"""

import os
import pwd
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postroad import __version__
from postroad.app import config as configuration
from postroad.app import keeper, sandbox, session_bus, version_cli
from postroad.app import policy as policies
from postroad.app import service as services
from postroad.app.asking import NoAnswer, NotRunning, ask_soon
from postroad.app.config import Config
from postroad.app.mail_settings import DOORS, PROGRAMS, wrong
from postroad.base import limits
from postroad.base.errors import ConfigurationError, Locked, NotSetUp, PostroadError
from postroad.contract import BUS_NAME, Severity
from postroad.machine import firewalls, looks
from postroad.machine.clock import SystemClock
from postroad.phrases import heard
from postroad.protocol import starting
from postroad.protocol.doctor import Facts, Firewall, Folder, Port, Setting, Trouble
from postroad.protocol.netcheck import State, Way

COMMAND_SECONDS_MAX = 3.0
LOOK_SECONDS_MAX = 4.0
ANSWER_SECONDS_MAX = 3.0  # of our own node
CLOCK_SECONDS_OFF = 600.0
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
    found: Known | None = None  # None also when it failed
    ended: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        threading.Thread(target=self._do, name=self.what, daemon=True).start()

    def _do(self) -> None:
        with suppress(OSError, ValueError, PostroadError, KeyError, subprocess.SubprocessError):
            self.found = self.work()
        self.ended.set()

    @property
    def unseen(self) -> str:
        """What nobody knows now, and why; "" when it was seen."""
        if not self.ended.is_set():
            return f"{self.what} (it took longer than {self.seconds:g} s)"
        return self.what if self.found is None else ""


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
    asked = [
        _Look("how your node does", LOOK_SECONDS_MAX, lambda: _health(config)),
        _Look("how your node sees itself", LOOK_SECONDS_MAX, lambda: _inside(config)),
        _Look("the ways to other nodes", NETWORK_SECONDS_MAX, lambda: _ways(config)),
        _Look("the names of your contacts", LOOK_SECONDS_MAX, lambda: _contacts(config)),
    ]
    alone = [
        _Look("the disk", LOOK_SECONDS_MAX, lambda: _disk(config)),
        _Look("permissions", LOOK_SECONDS_MAX, lambda: _permissions(config, path)),
        _Look("the service", LOOK_SECONDS_MAX, lambda: _service(config)),
        _Look("the session bus", LOOK_SECONDS_MAX, _bus),
        _Look("firewalls", LOOK_SECONDS_MAX, lambda: _firewalls(config)),
        _Look("the clock", LOOK_SECONDS_MAX, lambda: _clock(config)),
    ]
    _wait_for([node, *asked, *alone])
    for one in [node, *asked, *alone]:
        known |= one.found or {}
    # These two need to know what the node said.
    at = known.pop("doors", {})
    names = known.pop("login_names", set())
    after = [
        _Look("ports", 2.0, lambda: _ports(config, at, says=bool(at), runs=known.get("runs"))),
        _Look("mail programs", 2.0, lambda: _settings(config, at, names)),
    ]
    _wait_for(after)
    for one in after:
        known |= one.found or {}
    # A node that hangs, or refuses all that it is asked, is said so, and that is enough.
    answers = not (known.get("hangs") or known.get("refusal"))
    looks_ = [node, *(asked if answers else []), *alone, *after]
    private = known.pop("private", set()) | names | _own_words(config, path)
    return Examined(
        Facts(
            **known,
            keeper=keeper.of(config.control_path),
            versions=_versions(),
            installed=__version__,
            unseen=tuple(one.unseen for one in looks_ if one.unseen),
        ),
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
    try:
        is_set_up = config.is_set_up
    except ConfigurationError as error:  # nobody can tell
        is_set_up, said = True, (*said, str(error))
    return {
        "config": config,
        "mistakes": said,
        "mistaken_keys": keys,
        "peer_port": config.peer_port,
        "transport": "tcp" if config.link == "tls" else "udp",
        "reserve_bytes": round(config.reserve_mib * limits.MIB),
        "is_set_up": is_set_up,
    }


def _asked(config: Config, do: str) -> dict[str, Any] | None:
    """What the node answers; None where there is none, or one whose keys wait for their owner.

    Raises NoAnswer when it hangs, and PostroadError with what it said in place of an answer."""
    if not config.is_set_up:
        return None
    try:
        return ask_soon(config, ANSWER_SECONDS_MAX, do=do)
    except (NotRunning, NotSetUp, Locked):
        return None


def _node(config: Config) -> Known:
    """Whether it runs, and what it says of itself."""
    try:
        status = _asked(config, "status")
    except NoAnswer:
        return {"runs": True, "hangs": True}
    except ConfigurationError:  # its data folder is away, as the configuration's part says
        return {"runs": False}
    except PostroadError as error:
        return {"runs": True, "refusal": str(error)}
    if status is None:
        return {"runs": False}
    if "cannot_start" in status:
        return {"runs": True, "refusal": str(status["cannot_start"])}
    known: Known = {"runs": True, "is_locked": bool(status.get("locked"))}
    if "user_name" in status:
        known |= {
            "is_paused": status["paused"],
            "doors": {door: status[f"{door.lower()}_port"] or 0 for door in DOORS},
            "login_names": _login_names(str(status["user_name"])),
        }
    if "holders" in status:  # where its store can be read
        known |= {"holders": status["holders"], "contacts": status["contact_count"]}
    return known


def _health(config: Config) -> Known:
    verdict = _asked(config, "health")
    if verdict is None:
        return {}
    troubles = tuple(
        Trouble(one["code"], Severity(one["severity"]), *_sentences(one))
        for one in verdict["problems"]
    )
    return {"troubles": troubles}


def _sentences(told: Mapping[str, Any]) -> tuple[str, str]:
    """What the node says of a thing, with the parts of it."""
    summary, step = told["summary"], told["next_step"]
    return heard(summary, told.get("summary_parts")), heard(step, told.get("next_step_parts"))


def _inside(config: Config) -> Known:
    """What of the sandbox holds for the node, and what else it alone knows."""
    if (inside := _asked(config, "examined")) is None:
        return {}
    return {
        "running": inside["version"],
        "not_reloaded": bool(inside["configuration_trouble"]),
        "after_restart": tuple(inside["after_restart"]),
        "sandbox_missing": tuple(what for what, holds in inside["sandbox"].items() if not holds),
        "bus_trouble": str(inside["bus_trouble"]),
    }


def _login_names(address: str) -> set[str]:
    local = address.partition("@")[0]
    return {address.lower(), local.lower(), local.partition(".")[0].lower()}


def _contacts(config: Config) -> Known:
    """The names that a report must not tell."""
    told = _asked(config, "contacts") or {"contacts": []}
    words = {
        str(one[key]) for one in told["contacts"] for key in ("name", "address", "fingerprint")
    }
    return {"private": words}


def _ways(config: Config) -> Known:
    if not config.is_set_up:
        return {}
    try:
        told = ask_soon(config, NETWORK_SECONDS_MAX - 1, do="netcheck")
    except (NotRunning, NotSetUp, Locked):
        return {}
    return {
        "ways": tuple(
            Way(one["about"], State(one["state"]), *_sentences(one))
            for one in told["findings"]
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
    except (FileNotFoundError, NotADirectoryError):
        return Folder(what, str(path), None)
    except OSError as error:
        return Folder(what, str(path), None, hidden=str(error.strerror))
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


def _service(config: Config) -> Known:
    known: Known = {"namespaces_line": looks.namespaces_line()}
    if not services.is_to_be_had():
        return {**known, "has_systemd": False, "lingers": None, "is_service": False}
    told = services.shown()
    user = pwd.getpwuid(os.getuid()).pw_name
    return {
        **known,
        "has_systemd": True,
        "is_service": told["installed"],
        "is_enabled": told["enabled"],
        "is_starting": told["state"] in starting.COMING and not told["restarts"],
        "restarts": told["restarts"],
        "lingers": told["linger"],
        "linger_line": f"sudo loginctl enable-linger {user}",
        "sandbox_wanted": told["sandbox"],
        "sandbox_fits": sandbox.fits(config),
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


def _firewalls(config: Config) -> Known:
    transport = "tcp" if config.link == "tls" else "udp"
    found = firewalls.at_work(config.peer_port, transport)
    return {"firewalls": tuple(Firewall(one.kind, one.lets_in) for one in found)}


def _clock(config: Config) -> Known:
    now = SystemClock().now()
    return {
        "clock_is_kept": looks.clock_is_kept(),
        "clock_is_past": now < max(MADE_AT, _last_written(config) - CLOCK_SECONDS_OFF),
    }


def _last_written(config: Config) -> float:
    """When our own store was, by the clock of then; 0 where there is none."""
    written = [0.0]
    for name in ("postroad.sqlite", "postroad.sqlite-wal", "keys"):
        with suppress(OSError):
            written.append((config.data / name).stat().st_mtime)
    return max(written)


def _wanted(config: Config, at: dict[str, int]) -> dict[str, int]:
    """Where each door is, or should be."""
    return {door: at.get(door) or getattr(config, f"{door.lower()}_port") for door in DOORS}


def _ports(config: Config, at: dict[str, int], *, says: bool, runs: bool | None) -> Known:
    """`at`: where the node's doors are, 0 for one that is shut; `says`: whether it told us."""
    held = services.held_ports() if services.is_to_be_had() else frozenset()
    may_be_nodes = runs is not False and not says
    return {
        "ports": tuple(
            _port(door, port, by_us=bool(at.get(door)) or port in held, may_be=may_be_nodes)
            for door, port in _wanted(config, at).items()
            if port
        )
    }


def _port(door: str, number: int, *, by_us: bool, may_be: bool) -> Port:
    """`by_us`: we know that it is the node's; `may_be`: the node itself does not say."""
    there = looks.listeners(number)
    if by_us or not there:
        return Port(door, number, bool(there), by_us)
    if others := [one for one in there if one.uid != os.getuid()]:
        return Port(door, number, by_us=False, program=others[0].program, other_user=True)
    program = next((one.program for one in there if one.program), "")
    return Port(door, number, by_us=None if may_be else False, program=program)


def _settings(config: Config, at: dict[str, int], names: set[str]) -> Known:
    wanted = _wanted(config, at)
    found: list[Setting] = []
    programs = []
    for one in PROGRAMS:
        for file in _files(one.files):
            text = _head(file)
            ours = [each for each in one.read(text) if each.is_for(wanted.values())]
            if ours and one.title not in programs:
                programs.append(one.title)
            found += wrong(one.title, str(file), ours, wanted, names)
    return {"mail_programs": tuple(programs), "settings": tuple(found)}


def _head(file: Path) -> str:
    """What stands in it; nothing where it may not be read."""
    try:
        with file.open("rb") as octets:
            return octets.read(SETTINGS_BYTES_MAX).decode(errors="replace")
    except OSError:
        return ""


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
