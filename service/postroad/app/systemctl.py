"""Ask the systemd of this user: systemctl, and what it says, in words.

Purpose: `app.service` and `app.sandbox` decide; here it is asked. Invariant: every question has an
end, and what systemd refuses is a ConfigurationError with its own first line.
"""

import os
import shutil
from pathlib import Path

from postroad.base.errors import ConfigurationError

# More than it takes to stop and to start at the limits of the unit (TimeoutStopSec=10,
# TimeoutStartSec=60), which a slow computer comes near to.
COMMAND_SECONDS_MAX = 90.0
NO_SYSTEMD = "Without it, run your node yourself: postroad run"


def is_to_be_had() -> bool:
    """Whether this user has a systemd that could be asked."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return (
        runtime is not None
        and (Path(runtime) / "systemd" / "private").exists()
        and shutil.which("systemctl") is not None
    )


def expect() -> None:
    if not is_to_be_had():
        raise ConfigurationError(f"No systemd of yours answers here. {NO_SYSTEMD}")


def is_known(unit: str) -> bool:
    return bool(properties(unit, "FragmentPath")["FragmentPath"])


def version() -> int:
    """Which systemd it is; 0 where it does not say."""
    _, told, _ = command("systemctl", "--version")
    number = [*told.split(), "", ""][1].partition(".")[0]  # like "systemd 252 (252.39-1)"
    return int(number) if number.isdecimal() else 0


def properties(unit: str, names: str, seconds_max: float = COMMAND_SECONDS_MAX) -> dict[str, str]:
    """The properties of these names; one that is there more than once in one line."""
    found = dict.fromkeys(names.split(","), "")
    shown = ask("show", unit, f"--property={names}", seconds_max=seconds_max)
    for line in shown.splitlines():
        name, _, value = line.partition("=")
        found[name] = f"{found.get(name, '')} {value}".strip()
    return found


def ask(*words: str, seconds_max: float = COMMAND_SECONDS_MAX) -> str:
    """What `systemctl --user` says to these words; ConfigurationError when it fails."""
    status, told, complaint = command("systemctl", "--user", *words, seconds_max=seconds_max)
    if status != 0:
        reason = (complaint.strip().splitlines() or ["it said nothing"])[0]
        raise ConfigurationError(f"systemctl --user {words[0]} failed: {reason}")
    return told


def command(*words: str, seconds_max: float = COMMAND_SECONDS_MAX) -> tuple[int, str, str]:
    """Exit status, output and complaints; ConfigurationError when there is no such program."""
    import subprocess  # most commands never need it

    try:
        done = subprocess.run(  # noqa: S603  (fixed words)
            words, capture_output=True, text=True, timeout=seconds_max, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(
            f"{' '.join(words)} did not end within {seconds_max:.0f} s. What your node said "
            "meanwhile: postroad log"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"systemd does not answer ({error}). {NO_SYSTEMD}") from error
    return done.returncode, done.stdout, done.stderr
