"""The menu of the icon, as data: what is in it now, and what each line does.

Purpose: one model for whoever draws it (`qt_icon`, `light`). Pure.
Invariants: an item keeps its `key` from picture to picture, so that a back end can change a menu in
place while somebody looks at it; keys are unique among neighbours, and what has a switch or items
keeps having them. Nothing is offered that cannot be done: what the service would have to do is
there only while it answers. Everything that a click on the icon does is in the menu as well, since
hosts differ in what they pass on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from postroad.contract import State
from postroad_tray.client import Question
from postroad_tray.deeds import (
    UNLOCK,
    Ask,
    Deed,
    Length,
    Open,
    Pause,
    Place,
    Quit,
    StartAtLogin,
    StartService,
)
from postroad_tray.facts import Link, Picture
from postroad_tray.state import care_sentence, queue_sentence, sentence
from postroad_tray.tongue import _, many


@dataclass(frozen=True, slots=True)
class Item:
    """A line: it does something, or opens `items`, or only says something; without a text it
    separates. `checked`: a switch, and how it stands."""

    key: str
    text: str = ""
    deed: Deed | None = None
    checked: bool | None = None
    items: tuple[Item, ...] = ()

    @property
    def is_separator(self) -> bool:
        return not self.text


def menu(picture: Picture, now: float, *, starts_at_login: bool | None = None) -> tuple[Item, ...]:
    """`starts_at_login`: None, where that is not for us to say."""
    return (
        *_how_it_is(picture, now),
        Item("does"),
        Item("open", _("Open Postroad"), Open()),
        *_what_to_do(picture),
        Item("program"),
        *_of_this_program(starts_at_login),
    )


def _how_it_is(picture: Picture, now: float) -> Iterator[Item]:
    yield Item("state", sentence(picture, now))
    if care := care_sentence(picture):
        yield Item("care", care, Open(Place.OVERVIEW))
    if _is_working(picture):
        yield Item("queue", queue_sentence(picture), Open(Place.QUEUE))
        if count := picture.node.requests_waiting:
            text = many(
                "{n} letter of a stranger waits for you",
                "{n} letters of strangers wait for you",
                count,
            )
            yield Item("requests", text, Open(Place.REQUESTS))


def _what_to_do(picture: Picture) -> Iterator[Item]:
    if picture.link is Link.ABSENT:
        yield Item("start", _("Start Postroad"), StartService())
    if not picture.is_there:
        return
    if picture.node.state is State.SETUP_NEEDED:
        yield Item("first-run", _("Set up Postroad …"), Open(Place.FIRST_RUN))
    elif picture.node.state is State.LOCKED:
        yield Item("unlock", _("Unlock the keys"), Ask(UNLOCK))
    else:
        yield Item("invite", _("Invite someone …"), Open(Place.INVITE))
        yield Item("accept", _("Accept an invitation …"), Open(Place.ACCEPT))
        yield _resume() if picture.node.paused else _pause()
        yield Item("check", _("Check the connection …"), Open(Place.CONNECTION))


def _is_working(picture: Picture) -> bool:
    idle = (State.SETUP_NEEDED, State.LOCKED)
    return picture.is_there and picture.node.state not in idle


def _pause() -> Item:
    lengths = (
        Item("hour", _("For 1 hour"), Pause(Length.HOUR)),
        Item("morning", _("Until tomorrow morning"), Pause(Length.MORNING)),
        Item("resumed", _("Until I resume"), Pause(Length.RESUMED)),
    )
    return Item("pause", _("Pause"), items=lengths)


def _resume() -> Item:
    return Item("resume", _("Resume"), Ask(Question("Resume")))


def _of_this_program(starts_at_login: bool | None) -> Iterator[Item]:
    if starts_at_login is not None:
        text = _("Show this icon at login")
        yield Item("login", text, StartAtLogin(not starts_at_login), checked=starts_at_login)
    yield Item("quit", _("Quit (mail stays with the service)"), Quit())
