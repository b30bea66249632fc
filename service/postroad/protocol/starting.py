"""Which line starts the owner's node, or starts it anew.

Purpose: whoever tells what to type asks here, so that no two places say different lines. Pure; who
keeps the node is found out by `app.keeper`, and a running node knows it.
"""

from collections.abc import Collection
from enum import Enum, auto

# What stands in the units, too: another value of it needs them to be laid anew.
IN_UNITS = frozenset({"smtp_port", "imap_port", "pop3_port", "data", "runtime"})


class Keeper(Enum):
    """Who sees to it that the node runs."""

    SERVICE = auto()  # systemd, which knows a unit of it
    NOBODY_YET = auto()  # there is a systemd, and no unit
    TERMINAL = auto()  # its owner, where no systemd answers, or the node is not the usual one


ENABLE, RESTART, RUN = "postroad service enable", "postroad service restart", "postroad run"
STOP_FIRST = "stop it with Ctrl-C, then type: "


def start(keeper: Keeper) -> str:
    """To be typed while the node is off."""
    return {Keeper.SERVICE: RESTART, Keeper.NOBODY_YET: ENABLE, Keeper.TERMINAL: RUN}[keeper]


def again(keeper: Keeper) -> str:
    """To be typed while it runs, so that it stops and starts."""
    return RESTART if keeper is Keeper.SERVICE else f"{STOP_FIRST}{RUN}"


def typed(line: str) -> str:
    """The line within a sentence."""
    return line if line.startswith(STOP_FIRST) else f"type: {line}"


def anew(keeper: Keeper, changed: Collection[str]) -> str:
    """The same after these keys of the configuration were changed: one line does for all."""
    if keeper is Keeper.SERVICE and not IN_UNITS.isdisjoint(changed):
        return ENABLE  # it also starts the node again
    return again(keeper)
