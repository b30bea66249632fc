"""Calls to the bus itself, and what becomes of calls to this program. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from postroad_tray import errors
from postroad_tray.client import Offer
from postroad_tray.connection import DAEMON, DAEMON_PATH, Sent
from postroad_tray.wire import Came, Kind

OBJECT_MANAGER = f"{DAEMON}.ObjectManager"
PROPERTIES = f"{DAEMON}.Properties"
PEER = f"{DAEMON}.Peer"


def to_the_bus(member: str, *words: str | int) -> Sent:
    """A question to the bus itself."""
    return Sent(
        destination=DAEMON,
        path=DAEMON_PATH,
        interface=DAEMON,
        member=member,
        signature="".join("s" if isinstance(word, str) else "u" for word in words),
        body=words,
    )


def answered(offer: Offer, came: Came) -> tuple[Sent, Callable[[Sequence[Any]], None] | None]:
    """The answer, and what is to be done with the arguments."""
    takes, work = offer.methods.get(came.member, ("", None))
    error = ""
    if came.interface == PEER and came.member == "Ping":
        work = None
    elif came.path != offer.object_path or came.interface not in ("", offer.interface):
        error = f"{DAEMON}.Error.UnknownObject"
    elif work is None:
        error = f"{DAEMON}.Error.UnknownMethod"
    elif takes != came.signature:
        error = errors.INVALID_ARGUMENTS
    if not error:
        return Sent(Kind.RETURN, destination=came.sender, reply_to=came.serial), work
    refusal = Sent(
        Kind.ERROR,
        destination=came.sender,
        reply_to=came.serial,
        error_name=error,
        signature="s",
        body=[f"There is {', '.join(offer.methods)} of {offer.object_path}."],
    )
    return refusal, None
