"""The shapes that `marks` paints, by what they mean."""

from __future__ import annotations

from enum import Enum


class Mark(Enum):
    """How something is."""

    OK = "ok"  # a disc with a hook
    WORKING = "working"  # three dots
    WAITING = "waiting"  # a clock
    ATTENTION = "attention"  # a triangle
    BROKEN = "broken"  # an octagon with a cross
    OFF = "off"  # a ring with a bar


class Glyph(Enum):
    """What a page is about."""

    OVERVIEW = "overview"
    PEERS = "peers"
    QUEUE = "queue"
    HEALTH = "health"
    CONTACTS = "contacts"
    SETUP = "setup"
