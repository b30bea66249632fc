"""The sandbox of the service: what is open in it, a trial of it, and doing without.

Purpose: a drop-in of the unit, laid once a trial unit with all of it has really run. A system may
deny it later (user namespaces taken away, an update that confines them): then systemd cannot start
the unit with it, and starts postroad-without-sandbox.service, which covers the drop-in by one of
the same name among those that live until the next boot, and has the unit started without.
Invariants: what is bound, tried and compared is one list, `open_folders`; what covers the sandbox
says why, in the environment of the node, whose health tells it.
See: docs/adr/0019-systemd.md; systemd.exec(5), "Process Exit Codes".
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from postroad.app import config as configuration
from postroad.app import systemctl, units
from postroad.app.config import Config
from postroad.app.units import SERVICE
from postroad.base.errors import ConfigurationError
from postroad.machine import looks

TRIAL, LEAVING = "postroad-trial.service", "postroad-without-sandbox.service"
NAME = "50-sandbox.conf"
LOST = "POSTROAD_SANDBOX_LOST"  # why, for the node that runs without
# As what systemd reports a unit that it could not confine, systemd.exec(5).
CANNOT = {
    "217": "user namespaces",
    "218": "a set of capabilities",
    "226": "mounts of its own",
    "228": "a filter of system calls",
}
ENABLE_ANEW = "Have the service laid anew: postroad service enable"


def make_folders(config: Config) -> None:
    """Have what is bound be there; ConfigurationError when it cannot be."""
    for key, folder in (("data", config.data), ("runtime", config.runtime)):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"The folder {folder} cannot be made: {error.strerror}. To use another folder, "
                f"change {key} in {configuration.default_path()}."
            ) from error


def lay(config: Config) -> str:
    """Put the sandbox in place if a unit starts with it; else why it does not. Its folders are
    there."""
    _uncover()
    content = text(config)
    with _trial(content):
        reason = _try()
    if reason:
        take_away()
    else:
        units.lay(units.folder() / LEAVING, units.text(LEAVING))
        units.lay(units.of_service(NAME), content)
    return reason


def take_away() -> None:
    _uncover()
    for path in (units.of_service(NAME), units.folder() / LEAVING):
        units.take_away(path)


def _uncover() -> None:
    """Have the drop-in count again."""
    _covering().unlink(missing_ok=True)


def is_on() -> bool:
    return units.of_service(NAME).exists() and not _covering().exists()


def fits(config: Config) -> bool:
    """Whether the one that is in place, if any, is that of this configuration and program."""
    said = units.said_by(units.of_service(NAME))
    return said is None or said == text(config)


def lost() -> str:
    """Why this very process runs without; empty: it was not denied."""
    return os.environ.get(LOST, "")


def expect_reach(config: Config) -> None:
    """Raise ConfigurationError where the sandbox that we are in was made for other folders."""
    for key, folder in (("data", config.data), ("runtime", config.runtime)):
        if looks.is_shut_out(folder):
            raise ConfigurationError(
                f"The sandbox of the service is closed for {folder}, which is {key} in your "
                f"configuration. {ENABLE_ANEW}"
            )


def text(config: Config) -> str:
    """The drop-in for this configuration and the program that was typed."""
    return units.text(NAME) + "".join(f"{line}\n" for line in _binds(config))


def _binds(config: Config) -> Iterator[str]:
    """What this installation needs beyond what each one does."""
    home = Path.home()
    if config.data != home / ".local/share/postroad":
        yield f"BindPaths={units.quoted_path(config.data)}"
    runtime = Path(os.environ["XDG_RUNTIME_DIR"])
    if config.runtime.is_relative_to(runtime) and config.runtime != runtime / "postroad":
        # It is gone with the next boot, and made by systemd then.
        yield f"RuntimeDirectory={config.runtime.relative_to(runtime)}"
    if config.runtime != runtime / "postroad":
        yield f"BindPaths={units.quoted_path(config.runtime)}"
    for one in _of_program():
        yield f"BindReadOnlyPaths={units.quoted_path(one)}"


def _of_program() -> list[Path]:
    """Where it lies, as far as that is in the home."""
    needed = {Path(units.program()[0]).resolve(), Path(units.program()[0]), Path(sys.prefix)}
    needed |= {Path(sys.base_prefix), Path(str(resources.files("postroad"))).parent}
    return sorted(one for one in needed if one.is_relative_to(Path.home()))


def open_folders(config: Config) -> list[Path]:
    """All that is there of the home."""
    home = Path.home()
    usual = [home / ".local/share/postroad", home / ".config/postroad"]
    return [*usual, config.data, config.runtime, *_of_program()]


def _covering() -> Path:
    """What the unit LEAVING makes: it counts instead of the drop-in, until the next boot."""
    runtime = Path(os.environ["XDG_RUNTIME_DIR"])
    return runtime / "systemd" / "user.control" / f"{SERVICE}.d" / NAME


@contextmanager
def _trial(content: str) -> Iterator[None]:
    """While within, a unit that runs `postroad service trial` as the service would be run."""
    runtime = Path(os.environ["XDG_RUNTIME_DIR"])
    path = runtime / "systemd" / "user" / TRIAL
    whole = units.text(SERVICE).partition("[Install]")[0] + content
    lines = [line for line in whole.splitlines() if not line.startswith(_NOT_FOR_TRIAL)]
    command = units.quoted([*units.program(), "service", "trial", "--json"])
    lines += ["[Service]", "Type=oneshot", f"ExecStart={command}", "TimeoutStartSec=30"]
    lines += [f"StandardOutput=truncate:{_said_at()}"]
    units.write(path, "\n".join(lines) + "\n")
    try:
        systemctl.ask("daemon-reload")
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
    "OnFailure=",
    "Wants=",
    "After=",
)


def _try() -> str:
    """Why the trial did not work; empty: it did."""
    try:
        systemctl.ask("start", TRIAL)
    except ConfigurationError:
        result = systemctl.properties(TRIAL, "Result,ExecMainStatus")
        systemctl.command("systemctl", "--user", "reset-failed", TRIAL)
        status = result["ExecMainStatus"]
        if status in CANNOT:
            return denied(status)
        return f"a trial of it did not start ({result['Result']}, {status})"
    try:
        told = json.loads(_said_at().read_text("utf-8"))["holds"]
    except (OSError, ValueError, KeyError):
        return "a trial of it said nothing"
    missing = [one["what"] for one in told if not one["holds"]]
    return f"a trial of it showed that this does not hold: {', '.join(missing)}" if missing else ""


def denied(status: str) -> str:
    """What this status of CANNOT means here."""
    by = ", ".join(looks.denying_namespaces())
    return f"this system denies what it needs ({CANNOT[status]}{f', by {by}' if by else ''})"


def _said_at() -> Path:
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "postroad-trial"
