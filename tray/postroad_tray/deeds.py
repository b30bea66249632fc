"""What a click does, as data: the menu, a notification and a page say it, the program does it.

Purpose: one vocabulary between those who offer something and whoever carries it out, so that what
is offered can be decided, compared and tested without Qt, GTK or a bus.
Invariants: a deed tells nothing private; whoever carries it out shows the sentence of an answer
that is not good.
See: docs/adr/0029-tray.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from postroad_tray.client import Question


class Place(StrEnum):
    """Where the window opens: a page, or a page with something begun on it."""

    OVERVIEW = "overview"
    PEERS = "peers"
    QUEUE = "queue"
    HEALTH = "health"
    CONNECTION = "connection"  # the check of what is open between us and others, begun
    CONTACTS = "contacts"
    REQUESTS = "requests"
    INVITE = "invite"
    ACCEPT = "accept"
    SETUP = "setup"
    FIRST_RUN = "first-run"


@dataclass(frozen=True, slots=True)
class Open:
    """Show the window there, and in front."""

    place: Place = Place.OVERVIEW


@dataclass(frozen=True, slots=True)
class OpenOrHide:
    """A click on the icon: the window comes where it was left, or goes."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Something of the service's."""

    question: Question


class Length(StrEnum):
    """Of a pause."""

    HOUR = "hour"
    MORNING = "morning"  # until the one after this day
    RESUMED = "resumed"  # until its owner ends it


@dataclass(frozen=True, slots=True)
class Pause:
    """Have the node off the network for a while, counted from the click."""

    length: Length


@dataclass(frozen=True, slots=True)
class StartService:
    """Have the bus start it."""


@dataclass(frozen=True, slots=True)
class StartAtLogin:
    """Whether this program is started with the desktop."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class EnableIcons:
    """Switch on the extension of GNOME that shows icons."""


@dataclass(frozen=True, slots=True)
class Quit:
    """End this program; the service stays."""


Deed = Open | OpenOrHide | Ask | Pause | StartService | StartAtLogin | EnableIcons | Quit
Do = Callable[[Deed], None]


UNLOCK = Question("Unlock", seconds=120.0)  # the desktop may ask its owner for a password first
HOUR = 3600
MORNING = 6  # o'clock, when tomorrow begins
NIGHT_ENDS = 4  # before, whoever is still up means by "tomorrow" the day that has begun


def pausing(length: Length, now: float) -> Question:
    """What the service is asked for a pause."""
    match length:
        case Length.HOUR:
            return Question("Pause", "u", (HOUR,))
        case Length.MORNING:
            return Question("Pause", "u", (until_morning(now),))
        case Length.RESUMED:
            return Question("Pause", "u", (0,))


def until_morning(now: float) -> int:
    """Seconds until the morning after this day, by the clock on the wall."""
    here = time.localtime(now)
    days = 0 if here.tm_hour < NIGHT_ENDS else 1
    then = (here.tm_year, here.tm_mon, here.tm_mday + days, MORNING, 0, 0, 0, 0, -1)
    return int(time.mktime(then) - now)
