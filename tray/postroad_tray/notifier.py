"""The notifications of the desktop, over `org.freedesktop.Notifications`.

Purpose: show what `notices` finds due, do what is clicked on, and keep what was told, so that the
next login does not tell it again.
Invariants: a desktop that shows no notifications is no error. What is shown is plain: of what a
daemon reads as markup, nothing is left that it could read so. A click counts only on what is ours,
and does only what was offered there. A timer runs only while something is to be told later.
See: the Desktop Notifications Specification 1.3; docs/adr/0029-tray.md.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from postroad_tray import folders, notices, plain
from postroad_tray.client import Answer, Client, Question, Signal, Typed
from postroad_tray.deeds import Deed, Do
from postroad_tray.facts import Picture
from postroad_tray.instance import token_of
from postroad_tray.notices import Memory, Notice, Slot
from postroad_tray.state import APPLICATION

log = logging.getLogger(__name__)
NOTIFICATIONS = "org.freedesktop.Notifications"
NOTIFICATIONS_PATH = "/org/freedesktop/Notifications"
DEFAULT = "default"  # the key of a click on the notification itself
KEPT_BYTES_MAX = 256 * 1024

Later = Callable[[float, Callable[[], None]], Callable[[], None]]
"""Call that in so many seconds; what comes back calls it off."""


def memory_path(variables: Mapping[str, str] = os.environ) -> Path:
    return folders.state(variables) / folders.OURS / "told.json"


class Notifier:
    """`shows_names`: whether the owner wants to see there whom it is about."""

    def __init__(
        self,
        client: Client,
        do: Do,
        now: Callable[[], float],
        later: Later,
        keep_in: Path,
        shows_names: Callable[[], bool],
    ) -> None:
        self._client = client
        self._do = do
        self._now = now
        self._later = later
        self._keep_in = keep_in
        self._shows_names = shows_names
        self._memory = Memory(told=_kept(keep_in))
        self._capabilities: frozenset[str] | None = None
        self._waiting: list[Notice] = []  # for the capabilities to be told
        self._shown: dict[Slot, int] = {}
        self._offered: dict[int, dict[str, Deed]] = {}
        self._call_off: Callable[[], None] = lambda: None
        client.listen(NOTIFICATIONS, NOTIFICATIONS)
        client.hear(self._heard)
        client.watch(self._look)

    def close(self) -> None:
        """What is shown stays, as long as the desktop likes."""
        self._call_off()
        self._keep()

    def tell_once(self, name: str, notice: Notice) -> None:
        """Show this, if it was never shown before."""
        self._memory, is_new = notices.once(self._memory, name, self._now())
        if is_new:
            self._keep()
            self._show(notice)

    def say(self, sentence: str) -> None:
        """That a click came to nothing, and why."""
        self._show(notices.failed(sentence))

    def _look(self, picture: Picture) -> None:
        before = self._memory.told.keys()
        now = self._now()
        outcome = notices.look(self._memory, picture, now)
        self._memory = outcome.memory
        if outcome.memory.told.keys() != before:
            self._keep()
        for slot in outcome.gone:
            self._take_back(slot)
        for notice in outcome.notices:
            self._show(notice)
        self._call_off()
        self._call_off = lambda: None
        if outcome.look_at is not None:
            self._call_off = self._later(
                max(outcome.look_at - now, 0.0), lambda: self._look(self._client.picture)
            )

    def _heard(self, signal: Signal) -> None:
        if signal.interface == NOTIFICATIONS:
            self._clicked(signal)
            return
        self._memory = notices.hear(self._memory, signal, self._client.picture)
        self._look(self._client.picture)

    # --- showing ---------------------------------------------------------------------------------

    def _show(self, notice: Notice) -> None:
        if self._capabilities is not None:
            self._notify(notice, self._capabilities)
            return
        self._waiting.append(notice)
        if len(self._waiting) == 1:
            self._client.ask(_question("GetCapabilities"), self._can)

    def _can(self, answer: Answer) -> None:
        """Asked once something is to be shown; a daemon that is not there is asked again then."""
        waiting, self._waiting = self._waiting, []
        if not answer.is_good:
            log.info("no notifications: %s", answer.error_name)
            return
        told = answer.value if isinstance(answer.value, list | tuple) else ()
        self._capabilities = frozenset(str(one) for one in told)
        for notice in waiting:
            self._notify(notice, self._capabilities)

    def _notify(self, notice: Notice, capabilities: frozenset[str]) -> None:
        deeds: dict[str, Deed] = {}
        actions: list[str] = []
        if "actions" in capabilities:
            deeds[DEFAULT] = notice.deed
            actions += [DEFAULT, notice.buttons[0].label if notice.buttons else notice.title]
            for number, button in enumerate(notice.buttons):
                deeds[f"{number}"] = button.deed
                actions += [f"{number}", button.label]
        body = notice.words(shows_names=self._shows_names())
        if "body-markup" in capabilities:
            body = plain.escaped(body)
        hints = {"desktop-entry": Typed("s", APPLICATION), "category": Typed("s", "email")}
        replaced = self._shown.get(notice.slot, 0)
        words: tuple[Any, ...] = (
            "Postroad", replaced, APPLICATION, notice.title, body, actions, hints, -1,
        )  # fmt: skip

        def shown(answer: Answer) -> None:
            if isinstance(answer.value, int):
                self._offered.pop(replaced, None)
                self._shown[notice.slot] = answer.value
                self._offered[answer.value] = deeds
            else:
                self._capabilities = None  # whoever comes next may be another one

        self._client.ask(_question("Notify", "susssasa{sv}i", words), shown)

    def _take_back(self, slot: Slot) -> None:
        number = self._shown.pop(slot, 0)
        if number:
            self._offered.pop(number, None)
            self._client.ask(_question("CloseNotification", "u", (number,)))

    def _clicked(self, signal: Signal) -> None:
        match signal.member, signal.values:
            case "ActionInvoked", (int(number), str(key)):
                deed = self._offered.get(number, {}).get(key)
                if deed is not None:
                    self._do(deed)
            case "ActivationToken", (int(number), str(token)) if number in self._offered:
                # With it a Wayland compositor lets the window come to the front: it is read there.
                os.environ["XDG_ACTIVATION_TOKEN"] = token_of(token)
            case "NotificationClosed", (int(number), int()):
                self._offered.pop(number, None)
                for slot in [one for one, its in self._shown.items() if its == number]:
                    del self._shown[slot]
            case _:
                pass

    # --- keeping ---------------------------------------------------------------------------------

    def _keep(self) -> None:
        try:
            folders.keep(self._keep_in, notices.to_keep(self._memory, self._now()))
        except OSError as error:  # at worst something is told twice
            log.info("what was told cannot be kept: %s", error)


def _kept(path: Path) -> dict[str, float]:
    try:
        read = folders.kept(path, KEPT_BYTES_MAX)
    except (OSError, ValueError):
        return {}
    if not isinstance(read, dict):
        return {}
    return {
        name: float(when)
        for name, when in read.items()
        if isinstance(when, int | float) and 0 <= when <= notices.FOR_GOOD
    }


def _question(member: str, signature: str = "", body: tuple[Any, ...] = ()) -> Question:
    return Question(member, signature, body, NOTIFICATIONS_PATH, NOTIFICATIONS, NOTIFICATIONS)
