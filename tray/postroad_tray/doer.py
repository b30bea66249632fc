"""Carries out deeds: what was clicked in the menu, in a notification or on a page.

Invariants: a click that came to nothing says so in a sentence, where it can be read.
See: docs/adr/0029-tray.md.
"""

from __future__ import annotations

from collections.abc import Callable

from postroad_tray.client import Answer, Client
from postroad_tray.deeds import (
    Ask,
    Deed,
    EnableIcons,
    Open,
    OpenOrHide,
    Pause,
    Quit,
    StartAtLogin,
    StartService,
    pausing,
)
from postroad_tray.tongue import _


class Doer:
    """`start_at_login` answers whether it stands so now."""

    def __init__(
        self,
        client: Client,
        now: Callable[[], float],
        *,
        open_window: Callable[[str], None],
        open_or_hide: Callable[[], None],
        leave: Callable[[], None],
        start_at_login: Callable[[bool], bool],
        enable_icons: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._now = now
        self._open_window = open_window
        self._open_or_hide = open_or_hide
        self._leave = leave
        self._start_at_login = start_at_login
        self._enable_icons = enable_icons
        self._say = say

    def do(self, deed: Deed) -> None:
        match deed:
            case Open(place):
                self._open_window(place.value)
            case OpenOrHide():
                self._open_or_hide()
            case Ask(question):
                self._client.ask(question, self._said)
            case Pause(length):
                self._client.ask(pausing(length, self._now()), self._said)
            case StartService():
                self._client.start_service(self._said)
            case StartAtLogin(wanted):
                if not self._start_at_login(wanted):
                    self._say(_("The entry in your desktop's autostart could not be written."))
            case EnableIcons():
                self._enable_icons()
            case Quit():
                self._leave()

    def _said(self, answer: Answer) -> None:
        if not answer.is_good:
            self._say(answer.sentence)
