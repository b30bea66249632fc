"""The tray as GTK draws it: the light icon and notifications; the window is a program of its own.

Invariants: where there can be no light icon, a sentence says why and what to type. The window is
Qt's: it is started when it is wanted, and where it cannot be, that is said in a notification.
See: docs/adr/0029-tray.md.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import IO

from postroad_tray import notifier, plain
from postroad_tray.autostart import Autostart
from postroad_tray.choices import Choices
from postroad_tray.doer import Doer
from postroad_tray.light import Lacking, LightIcon
from postroad_tray.notifier import Notifier
from postroad_tray.outbox import PostTo
from postroad_tray.program import ENDS, FAILED, PROGRAM, Started, again, now, tell
from postroad_tray.tongue import _

LAST_WORDS_MAX = 4096  # octets
LAST_WORDS_SECONDS = 1.0


def run(started: Started) -> int:
    """Until somebody wants it to end; its exit status."""
    try:
        tray = _Tray(started)
    except Lacking as lacking:
        typed = _("Type: {line}").format(line=lacking.line) if lacking.line else ""
        tell(f"{lacking.sentence} {typed}".rstrip())
        return FAILED
    tray.run()
    return 0


class _Tray:
    def __init__(self, started: Started) -> None:
        self._window = WindowProgram(started.post, self._say)
        autostart = Autostart()
        self._doer = Doer(
            started.line,
            now,
            open_window=self._window.open,
            open_or_hide=self._window.open_or_end,
            leave=self._leave,
            start_at_login=autostart.turn,
            enable_icons=lambda: None,  # whoever sees this icon has them
            say=self._say,
        )
        self._icon = LightIcon(started.line, self._doer.do, now, starts_at_login=autostart.is_on)
        started.post.to(self._icon.post)
        self._notifier = Notifier(
            started.line,
            self._doer.do,
            now,
            self._icon.later,
            notifier.memory_path(),
            Choices().shows_names,
        )
        started.doorbell.answer = lambda page, token: self._window.open(page)
        started.doorbell.leave = self._leave
        self._doorbell = started.doorbell
        if started.options.page and not started.options.in_background:
            self._window.open(started.options.page)

    def run(self) -> None:
        glib = import_module("gi.repository.GLib")
        for number in ENDS:
            glib.unix_signal_add(glib.PRIORITY_DEFAULT, number, self._signalled)
        if self._doorbell.is_leaving:
            glib.idle_add(self._signalled)
        self._icon.run()
        self._notifier.close()
        self._window.end()

    def _leave(self) -> None:
        self._icon.stop()

    def _signalled(self) -> bool:
        self._leave()
        return True  # and is heard again

    def _say(self, sentence: str) -> None:
        self._notifier.say(sentence)


class WindowProgram:
    """The window, as a program beside this one; one that is there already comes to the front."""

    def __init__(self, post: PostTo, say: Callable[[str], None]) -> None:
        self._post = post
        self._say = say
        self._processes: list[subprocess.Popen[bytes]] = []

    def open(self, page: str = "") -> None:
        words = ["--window", *(["--page", page] if page else [])]
        try:
            process = subprocess.Popen(  # noqa: S603  (ourselves)
                again(*words), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        except OSError as error:
            self._say(_("The window could not be started: {why}").format(why=error))
            return
        self._processes.append(process)
        threading.Thread(target=self._wait, args=(process,), daemon=True).start()

    def open_or_end(self) -> None:
        if self._processes:
            self.end()
        else:
            self.open()

    def end(self) -> None:
        for process in self._processes:
            process.terminate()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        """In a thread of its own: what it says last is said in a notification, if it failed."""
        said = ""
        try:
            assert process.stderr is not None
            words = _LastWords(process.stderr)
            process.wait()
            words.join(LAST_WORDS_SECONDS)
            said = words.said()
        finally:
            self._post(partial(self._ended, process, said))

    def _ended(self, process: subprocess.Popen[bytes], said: str) -> None:
        self._processes.remove(process)
        if process.returncode == FAILED:
            self._say(plain.line(said.strip().removeprefix(f"{PROGRAM}: ")))


class _LastWords(threading.Thread):
    """The end of what a program writes. It is read as long as there is anybody who could write: a
    mail program that the window has started has its words go the same way, and outlives it."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._octets = b""
        self.start()

    def run(self) -> None:
        with self._stream:
            while octets := os.read(self._stream.fileno(), LAST_WORDS_MAX):
                self._octets = (self._octets + octets)[-LAST_WORDS_MAX:]

    def said(self) -> str:
        return self._octets.decode(errors="replace")
