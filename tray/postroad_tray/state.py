"""What the icon says at a glance: one of five signs, and the same in a few words.

Purpose: from a picture to a sign, the name of its icon, a short sentence and a tooltip. Pure.
Invariants: total; a sign that is no longer true is never shown: where the service does not answer,
what it told last decides nothing. The five differ in shape, and each has its word, so that nobody
depends on colours. What is said here is ours and translated; nothing of it was chosen by strangers.
"""

from __future__ import annotations

import time
from enum import StrEnum

from postroad.contract import Health, MessageState, State
from postroad_tray.facts import Link, Picture
from postroad_tray.tongue import _, many

APPLICATION = "org.postroad.Postroad"  # its icon and its desktop entry
DAY = 86400


class Sign(StrEnum):
    OK = "ok"  # letters come and go, and none of ours is under way
    WORKING = "working"  # it begins, or brings letters on their way at this moment
    WAITING = "waiting"  # letters of ours have not arrived yet, or nobody else can be reached
    ATTENTION = "attention"  # there is something for the owner to do
    OFF = "off"  # no letter comes or goes: paused, or not running


def icon_name(sign: Sign, *, symbolic: bool = False) -> str:
    """As the icon theme has it; symbolic ones take the colour of the panel."""
    return f"{APPLICATION}-{sign}{'-symbolic' if symbolic else ''}"


def sign(picture: Picture) -> Sign:
    node = picture.node
    match picture.link:
        case Link.NO_BUS | Link.ABSENT:
            return Sign.OFF
        case Link.SILENT:
            return Sign.ATTENTION
        case Link.ASKED:
            return Sign.WORKING
        case Link.THERE:
            pass
    if node.state in (State.SETUP_NEEDED, State.LOCKED) or node.health is not Health.OK:
        return Sign.ATTENTION
    if node.state is State.PAUSED:
        return Sign.OFF
    if node.state is State.STARTING:
        return Sign.WORKING
    if node.state is State.OFFLINE:
        return Sign.WAITING
    if not node.parcels_under_way:
        return Sign.OK
    # A letter that has met no obstacle is on its way now; all others wait for somebody.
    fresh = [one for one in picture.messages if one.state is MessageState.WAITING]
    return Sign.WORKING if any(not one.reason for one in fresh) else Sign.WAITING


def sentence(picture: Picture, now: float) -> str:
    """The head of the menu: how the node is, in a few words."""
    return link_sentence(picture.link) or _of_the_node(picture, now)


def link_sentence(link: Link) -> str:
    """Why nobody knows how the node is now; empty where it answers. Lines of a menu end without a
    full stop; a page sets one (`stopped`)."""
    match link:
        case Link.NO_BUS:
            return _("This session has no message bus, so Postroad cannot be asked")
        case Link.ABSENT:
            return _("Postroad is off: no letter comes or goes")
        case Link.ASKED:
            return _("Asking Postroad how it is …")
        case Link.SILENT:
            return _("Postroad does not answer")
        case Link.THERE:
            return ""


def stopped(line: str) -> str:
    """A line of the menu, as a sentence on a page."""
    return line if line.endswith("…") else f"{line}."


def _of_the_node(picture: Picture, now: float) -> str:
    node = picture.node
    match node.state:
        case State.SETUP_NEEDED:
            return _("Not set up yet")
        case State.LOCKED:
            return _("Locked: the keys wait for you")
        case State.STARTING:
            return _("Starting")
        case State.OFFLINE:
            return _("Offline: letters wait until other nodes answer")
        case State.DEGRADED:
            return _("Running, but not all is well")
        case State.PAUSED if node.paused_until:
            return _("Paused until {moment}").format(moment=moment(node.paused_until, now))
        case State.PAUSED:
            return _("Paused until you resume")
        case State.ONLINE if node.peers_online:
            return many(
                "Online, connected with {n} node", "Online, connected with {n} nodes",
                node.peers_online,
            )  # fmt: skip
        case State.ONLINE:
            return _("Online")


def queue_sentence(picture: Picture) -> str:
    """How many letters are under way, and whether that is as it should be."""
    count = max(picture.node.parcels_under_way, len(picture.messages))
    if not count:
        return _("No letter of yours is under way")
    return many("{n} letter is under way", "{n} letters are under way", count)


def care_sentence(picture: Picture) -> str:
    """That something is for the owner to do; empty, where nothing is."""
    if not picture.is_there or picture.node.state in (State.SETUP_NEEDED, State.LOCKED):
        return ""  # that is what the head says
    match picture.node.health:
        case Health.OK:
            return ""
        case Health.ATTENTION:
            return _("Something needs your attention")
        case Health.BROKEN:
            return _("Something is broken and needs you")


def tooltip(picture: Picture, now: float) -> str:
    """A line each for what is worth saying."""
    lines = [f"Postroad: {sentence(picture, now)}", care_sentence(picture)]
    if picture.is_there and picture.node.parcels_under_way:
        lines.append(queue_sentence(picture))
    return "\n".join(line for line in lines if line)


def moment(then: float, now: float) -> str:
    """A time of today, or a day and a time, as a clock on the wall would show them here."""
    there, here = time.localtime(then), time.localtime(now)
    clock = time.strftime("%H:%M", there)
    if there[:3] == here[:3]:
        return clock
    if then - now < 6 * DAY:  # a name of a day means the next one of it
        return _("{day}, {clock}").format(day=_weekday(there.tm_wday), clock=clock)
    return _("{day}, {clock}").format(day=time.strftime("%x", there), clock=clock)


def _weekday(number: int) -> str:
    """In the language of the sentence, which need not be that of the clock."""
    return (
        _("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"),
        _("Sunday"),
    )[number]  # fmt: skip
