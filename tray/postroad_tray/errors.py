"""What an answer that is an error says to a person.

Purpose: the service's own errors carry a sentence that may be shown; what the bus says, and what
says itself (nobody answered), gets one here. Pure.
Invariant: no sentence is empty, and each is plain, however the error was made.
"""

from __future__ import annotations

from postroad import contract
from postroad.contract import BusError
from postroad_tray import facts, plain
from postroad_tray.client import Answer
from postroad_tray.tongue import _

_BUS = "org.freedesktop.DBus.Error"
NO_REPLY = f"{_BUS}.NoReply"
DISCONNECTED = f"{_BUS}.Disconnected"  # from the bus: there is none
NO_OWNER = f"{_BUS}.NameHasNoOwner"
INVALID_ARGUMENTS = f"{_BUS}.InvalidArgs"
_SILENT = {NO_REPLY, f"{_BUS}.Timeout", f"{_BUS}.TimedOut"}
_ABSENT = {NO_OWNER, f"{_BUS}.ServiceUnknown"}
_OTHER_VERSION = {f"{_BUS}.Unknown{what}" for what in ("Method", "Interface", "Object", "Property")}


def refused(name: str, said: str = "", destination: str = contract.BUS_NAME) -> Answer:
    """The answer that this error is; `said`: what came with it."""
    return Answer(error_name=name or BusError.FAILED, sentence=_sentence(name, said, destination))


def not_started(why: Answer) -> Answer:
    """The service was to be started, and was not."""
    if why.error_name in _ABSENT:
        text = _(
            "Postroad is not set up to be started from here. Type in a terminal: "
            "postroad service enable"
        )
    elif why.error_name in (DISCONNECTED, NO_REPLY):
        return refused(why.error_name)
    else:
        text = _("Postroad did not start. Type in a terminal: postroad log")
    return Answer(error_name=why.error_name, sentence=text)


def _sentence(name: str, said: str, destination: str) -> str:
    is_service = destination == contract.BUS_NAME
    if name == DISCONNECTED:
        return _("The session bus of this desktop is not there. Log out, and in again.")
    if is_service and name in _SILENT:
        return _("Postroad did not answer in time. Try again in a moment.")
    if is_service and name in _ABSENT:
        return _("Postroad is off. Start it, and try again.")
    if is_service and name in _OTHER_VERSION:
        return _("The Postroad that runs is of another version and does not know this.")
    return plain.line(facts.as_one(said), plain.PARAGRAPH_MAX) or _("That did not work.")
