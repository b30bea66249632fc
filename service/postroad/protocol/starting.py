"""Which line starts the owner's node, or starts it anew.

Purpose: whoever tells what to type asks here, so that no two places say different lines. Pure; who
keeps the node is found out by `app.keeper`, and a running node knows it.
"""

from collections.abc import Collection
from enum import Enum, auto

from postroad.phrases import phrase

# What stands in the units, too: another value of it needs them to be laid anew.
IN_UNITS = frozenset({"smtp_port", "imap_port", "pop3_port", "data", "runtime"})

COMING, GOING = frozenset({"activating", "reloading"}), "deactivating"  # as systemd calls them


class Keeper(Enum):
    """Who sees to it that the node runs."""

    SERVICE = auto()  # systemd, which knows a unit of it
    NOBODY_YET = auto()  # there is a systemd, and no unit
    TERMINAL = auto()  # its owner, where no systemd answers, or the node is not the usual one


ENABLE, RESTART, RUN = "postroad service enable", "postroad service restart", "postroad run"
STOP_FIRST = phrase("stop it with Ctrl-C, then type: postroad run")


def start(keeper: Keeper) -> str:
    """To be typed while the node is off."""
    return {Keeper.SERVICE: RESTART, Keeper.NOBODY_YET: ENABLE, Keeper.TERMINAL: RUN}[keeper]


def again(keeper: Keeper, changed: Collection[str] = ()) -> str:
    """To be typed while it runs, so that it stops and starts; one line for all keys of the
    configuration that were `changed`."""
    if keeper is not Keeper.SERVICE:
        return STOP_FIRST
    return RESTART if IN_UNITS.isdisjoint(changed) else ENABLE  # which also starts it again


def in_words(keeper: Keeper, changed: Collection[str] = ()) -> str:
    """The same within a sentence."""
    line = again(keeper, changed)
    return line if keeper is not Keeper.SERVICE else phrase("type: {command}", command=line)
