"""Which notification is due: what the owner should hear of while they do not look.

Purpose: from pictures, hints and the time to what to say, to take back, and when to look again.
Pure.
Invariants: never one for each letter, in either direction: what is alike is one notice with a
number. Each cause is told once, however long it lasts; one that was away for AWAY_SECONDS is a new
one. What must last a while before it is told does not count the time in which this computer slept.
A title is ours alone; a body may carry names and reasons, which are plain text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from postroad import contract
from postroad.contract import MessageState, Severity, State
from postroad_tray import facts, plain
from postroad_tray.client import Signal
from postroad_tray.deeds import UNLOCK, Ask, Deed, Open, Place, StartService
from postroad_tray.facts import Link, Message, Picture, Problem
from postroad_tray.tongue import _, many

MINUTE, HOUR = 60.0, 3600.0
STUCK_SECONDS = 4 * HOUR  # a letter that nobody else has after so long, and
STUCK_TRIES = 3  # so many tries, is worth a word
AWAY_SECONDS = 6 * HOUR
SLEPT_SECONDS = 2 * MINUTE  # so much later than was asked for: the computer slept
TOLD_MAX = 1000
FOR_GOOD = 2**53
# Said otherwise, or not while it is so.
_NOT_TOLD = frozenset({"not-set-up", "locked", "late-here"})


class Slot(StrEnum):
    """What is alike: a later notice takes the place of the one before."""

    RETURNED = "returned"
    STUCK = "stuck"
    REQUESTS = "requests"
    CARE = "care"
    SERVICE = "service"
    ICON = "icon"
    CLICK = "click"


_QUIET = {  # how long after a notice the next one of its slot waits
    Slot.RETURNED: 10 * MINUTE,
    Slot.STUCK: HOUR,
    Slot.REQUESTS: 30 * MINUTE,
    Slot.CARE: 10 * MINUTE,
    Slot.SERVICE: MINUTE,
    Slot.ICON: 0.0,
    Slot.CLICK: 0.0,
}


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    deed: Deed


@dataclass(frozen=True, slots=True)
class Notice:
    """`deed` is what a click on it does; `nameless` its body where no names are to be shown, for
    whoever may look at this screen: neither whom it is about, nor what others gave as a reason."""

    slot: Slot
    title: str
    body: str
    deed: Deed
    buttons: tuple[Button, ...] = ()
    nameless: str = ""

    def words(self, *, shows_names: bool) -> str:
        return self.body if shows_names else self.nameless or self.body


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that is so now, and is told once it was so for `delay` seconds."""

    name: str
    slot: Slot
    delay: float
    what: Message | Problem | str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known from before; `told` alone outlasts this program."""

    told: Mapping[str, float] = field(default_factory=dict)  # by cause: when it was so last
    since: Mapping[str, float] = field(default_factory=dict)
    told_at: Mapping[Slot, float] = field(default_factory=dict)
    returned: tuple[Cause, ...] = ()  # that no picture shows any more
    showing: frozenset[Slot] = frozenset()
    look_at: float | None = None  # when we wanted to look again
    was_there: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    memory: Memory
    notices: tuple[Notice, ...] = ()
    gone: frozenset[Slot] = frozenset()  # is true no more: take it back

    @property
    def look_at(self) -> float | None:
        """When to look again, though nothing changes until then."""
        return self.memory.look_at


def hear(memory: Memory, signal: Signal, picture: Picture) -> Memory:
    """Keep what a hint says of a letter that came back."""
    if (signal.interface, signal.member) != (contract.MANAGER_INTERFACE, "MessageFailed"):
        return memory
    match signal.values:
        case (str(path), "failed", str(reason), Mapping() as details):
            name = f"returned {path}"
        case (str(path), "failed", str(reason)):
            name, details = f"returned {path}", {}
        case _:
            return memory
    known = {one.name for one in memory.returned} | memory.told.keys()
    if name in known or len(memory.returned) >= TOLD_MAX:
        return memory
    recipient = next((one.recipient for one in picture.messages if one.object_path == path), "")
    # A hint is passed on to us as it came.
    why = plain.apart(facts.retold({**details, "Text": reason}, "Text", plain.LINE_MAX))
    words = f"{plain.apart(recipient)}: {why}" if recipient else why
    cause = Cause(name, Slot.RETURNED, 20.0, words)  # those of one letter come together
    return replace(memory, returned=(*memory.returned, cause))


def look(memory: Memory, picture: Picture, now: float) -> Outcome:
    """What is due now."""
    causes = [*_causes(picture, memory.was_there, now), *memory.returned]
    slept = memory.look_at is not None and now > memory.look_at + SLEPT_SECONDS
    since = {
        one.name: now if slept else min(memory.since.get(one.name, now), now) for one in causes
    }
    told = _still_told(memory, causes, now)
    notices: list[Notice] = []
    told_at = {slot: min(at, now) for slot, at in memory.told_at.items()}  # clocks are set back
    look_at: list[float] = []
    showing = set(memory.showing)
    returned = memory.returned
    for slot in Slot:
        fresh = [one for one in causes if one.slot is slot and one.name not in told]
        ripe_at = min((since[one.name] + one.delay for one in fresh), default=None)
        if ripe_at is None:
            continue
        ripe_at = max(ripe_at, told_at.get(slot, -FOR_GOOD) + _QUIET[slot])
        if ripe_at > now:
            look_at.append(ripe_at)
            continue
        # Those that are not due yet are told along, instead of soon after.
        notices.append(_notice(slot, fresh))
        told |= {one.name: now for one in fresh}
        told_at[slot] = now
        showing.add(slot)
        if slot is Slot.RETURNED:
            returned = ()
    here = {one.slot for one in causes} | {Slot.RETURNED, Slot.ICON}
    gone = frozenset(showing - here) if picture.is_there else frozenset()
    return Outcome(
        Memory(
            told=told,
            since=since,
            told_at=told_at,
            returned=returned,
            showing=frozenset(showing - gone),
            look_at=min(look_at, default=None),
            was_there=memory.was_there or picture.is_there,
        ),
        tuple(notices),
        gone,
    )


def _still_told(memory: Memory, causes: Iterable[Cause], now: float) -> dict[str, float]:
    """What was told, and lasts or has not been away for long."""
    here = {one.name for one in causes}
    kept = {
        name: when if when >= FOR_GOOD else now if name in here else when
        for name, when in to_keep(memory, now).items()
        if now - when < AWAY_SECONDS
    }
    return dict(sorted(kept.items(), key=lambda one: -one[1])[:TOLD_MAX])


def to_keep(memory: Memory, now: float) -> dict[str, float]:
    """What was told, and when it was so last: what was so when we looked last has lasted."""
    return {
        name: when if when >= FOR_GOOD else now if name in memory.since else min(when, now)
        for name, when in memory.told.items()
    }


def _causes(picture: Picture, was_there: bool, now: float) -> Iterator[Cause]:
    match picture.link:
        case Link.SILENT:
            yield Cause("silent", Slot.SERVICE, 3 * MINUTE)
        case Link.ABSENT if was_there:  # where it never ran, somebody has a reason
            yield Cause("off", Slot.SERVICE, 10 * MINUTE)
        case Link.THERE:
            yield from _of_the_node(picture, now)
        case _:
            pass


def _of_the_node(picture: Picture, now: float) -> Iterator[Cause]:
    if picture.node.state is State.LOCKED:
        yield Cause("locked", Slot.SERVICE, MINUTE)
    for request in picture.requests:
        name = f"request {request.object_path}"
        yield Cause(name, Slot.REQUESTS, 5.0, request.address)
    for message in picture.messages:
        if _is_stuck(message, now):
            yield Cause(f"stuck {message.object_path}", Slot.STUCK, 15 * MINUTE, message)
    for problem in picture.node.problems:
        if problem.severity is not Severity.INFO and problem.code not in _NOT_TOLD:
            lasts = 3 * MINUTE if problem.severity is Severity.BROKEN else 30 * MINUTE
            yield Cause(f"problem {problem.code}", Slot.CARE, lasts, problem)


def _is_stuck(message: Message, now: float) -> bool:
    is_here_only = message.state in (MessageState.WAITING, MessageState.LATE)
    is_old = message.accepted_at + STUCK_SECONDS <= now
    return is_here_only and not message.holders and is_old and message.tries >= STUCK_TRIES


def _notice(slot: Slot, causes: list[Cause]) -> Notice:
    count, first = len(causes), causes[0].what
    match slot:
        case Slot.RETURNED:
            title = many("A letter came back", "{n} letters came back", count)
            more = many("And {n} more.", "And {n} more.", count - 1) if count > 1 else ""
            body = "\n".join(line for line in (str(first), more) if line)
            return _showing(
                slot, title, body, Place.QUEUE, _("Postroad shows which, and why.")
            )
        case Slot.STUCK:
            title = many(
                "A letter could not leave yet", "{n} letters could not leave yet", count
            )  # fmt: skip
            nameless = many(
                "It is on this computer alone, after hours of trying. Postroad goes on trying.",
                "They are on this computer alone, after hours of trying. Postroad goes on trying.",
                count,
            )
            return _showing(slot, title, _of_stuck(causes), Place.QUEUE, nameless)
        case Slot.REQUESTS:
            title = many(
                "Somebody new has written to you", "{n} new people have written to you", count
            )
            body = nameless = many(
                "The letter waits until you have accepted who wrote it.",
                "The letters wait until you have accepted who wrote them.",
                count,
            )
            if count == 1:
                body = _("A letter of {address} waits until you have accepted them.").format(
                    address=plain.apart(str(first))
                )
            return _showing(slot, title, body, Place.REQUESTS, nameless)
        case Slot.CARE:
            worst = [one.what for one in causes if isinstance(one.what, Problem)]
            title = _("Postroad needs your attention")
            if any(one.severity is Severity.BROKEN for one in worst):
                title = _("Postroad cannot do its work")
            nameless = _("Postroad shows what it is, and what to do.")
            return _showing(slot, title, worst[0].summary, Place.OVERVIEW, nameless)
        case Slot.SERVICE:
            return _of_the_service(causes[0].name)
        case Slot.ICON | Slot.CLICK:
            raise AssertionError("those notices have functions of their own, below")


def _showing(slot: Slot, title: str, body: str, place: Place, nameless: str = "") -> Notice:
    return Notice(slot, title, body, Open(place), (Button(_("Show"), Open(place)),), nameless)


def _of_stuck(causes: list[Cause]) -> str:
    names = [one.what.recipient for one in causes if isinstance(one.what, Message)]
    first = plain.apart(names[0])
    if len(names) == 1:
        return _(
            "The letter to {name} is on this computer alone, after hours of trying. Postroad "
            "goes on trying."
        ).format(name=first)
    return _(
        "Letters to {name} and others are on this computer alone, after hours of trying. "
        "Postroad goes on trying."
    ).format(name=first)


def _of_the_service(name: str) -> Notice:
    match name:
        case "locked":
            title = _("Postroad is locked")
            body = _("No letter comes or goes until its keys are open.")
            deed: Deed = Ask(UNLOCK)
            button = Button(_("Unlock"), deed)
        case "off":
            title = _("Postroad is off")
            body = _("No letter comes or goes until it is started again.")
            deed = Open(Place.OVERVIEW)
            button = Button(_("Start"), StartService())
        case _:
            title = _("Postroad does not answer")
            body = _("Your mail program may not be able to send or read either.")
            deed = Open(Place.OVERVIEW)
            button = Button(_("Show"), deed)
    return Notice(Slot.SERVICE, title, body, deed, (button,))


def once(memory: Memory, name: str, now: float) -> tuple[Memory, bool]:
    """Whether that was never said before; from now on it was, for good."""
    if name in memory.told:
        return memory, False
    return replace(memory, told={**memory.told, name: float(FOR_GOOD)}), True


def failed(sentence: str) -> Notice:
    """What a click came to; that of the one before is not worth a second place."""
    return Notice(Slot.CLICK, _("That did not work"), sentence, Open(Place.OVERVIEW))


def about_icons(sentence: str) -> Notice:
    """For a desktop that shows no icon: that Postroad runs, and where it is."""
    return _showing(Slot.ICON, _("Postroad is running without an icon"), sentence, Place.OVERVIEW)
