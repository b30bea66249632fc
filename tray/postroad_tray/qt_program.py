"""The tray as Qt draws it: icon, window and notifications put together.

Invariants: no window comes by itself, but for the one that was asked for by starting us. Qt's
thread waits for nothing. SIGTERM, SIGINT and the end of the session end it cleanly.
See: docs/adr/0029-tray.md.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QCoreApplication,
    QLibraryInfo,
    QLocale,
    QMessageLogContext,
    QObject,
    QSocketNotifier,
    Qt,
    QTimer,
    QtMsgType,
    QTranslator,
    Signal,
    qInstallMessageHandler,
)
from PySide6.QtGui import QSessionManager
from PySide6.QtWidgets import QApplication

from postroad_tray import lean, notices, notifier, tongue, window
from postroad_tray.autostart import Autostart
from postroad_tray.choices import Choices
from postroad_tray.doer import Doer
from postroad_tray.gnome import Advice, Adviser
from postroad_tray.notifier import Notifier
from postroad_tray.outbox import Deliver
from postroad_tray.program import FAILED, PROGRAM, Started, again, now, tell
from postroad_tray.qt_icon import TrayIcon, load
from postroad_tray.state import APPLICATION
from postroad_tray.tongue import _
from postroad_tray.trails import Trails
from postroad_tray.window.advice_bar import AdviceBar

if TYPE_CHECKING:
    from postroad_tray.window.frame import Frame

HOST_SECONDS = 20.0  # at login a panel may come so much later than we do


def run(started: Started) -> int:
    """Until somebody wants it to end; its exit status."""
    application = _begun(started)
    poster = Poster()
    started.post.to(poster.post)
    with _signals():
        tray = _Tray(started, application)
        QTimer.singleShot(0, lambda: application.exit(0) if started.doorbell.is_leaving else None)
        lean.freeze()
        lean.give_back_libraries()
        application.exec()
        tray.close()
    return 0


def _begun(started: Started) -> QApplication:
    """Qt ends a program that it finds no display for, and asks nobody: until we know that there is
    one, its last words are ours."""

    def heard(kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
        if kind == QtMsgType.QtFatalMsg:
            _become_light(started)
        elif kind == QtMsgType.QtCriticalMsg:
            tell(text)

    before = qInstallMessageHandler(heard)
    QCoreApplication.setApplicationName("Postroad")
    application = QApplication([PROGRAM])
    qInstallMessageHandler(before)
    application.setApplicationDisplayName("Postroad")
    application.setDesktopFileName(APPLICATION)
    application.setWindowIcon(load(APPLICATION))
    application.setQuitOnLastWindowClosed(False)
    application.saveStateRequest.connect(_come_by_autostart_only)
    _write_as_here()
    words = QTranslator(application)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if words.load(QLocale(), "qtbase", "_", folder):
        application.installTranslator(words)
    return application


def _write_as_here() -> None:
    """Numbers and dates as the desktop writes them; as our language does, where LANGUAGE alone has
    chosen it."""
    general, ours = os.environ.get("LC_ALL") or os.environ.get("LANG", ""), tongue.language()
    if ours and not general.startswith(ours):
        QLocale.setDefault(QLocale(ours))
    tongue.write_numbers(QLocale().decimalPoint())


def _become_light(started: Started) -> None:
    sentence = _("Qt cannot open the display of this session.")
    if started.options.is_window or not started.options.has_icon:
        tell(f"{sentence} " + _("Without it there is no window."))
        os._exit(FAILED)
    tell(f"{sentence} " + _("The light icon takes its place."))
    os.execv(sys.executable, again("--light", *sys.argv[1:]))  # noqa: S606


def _come_by_autostart_only(manager: QSessionManager) -> None:
    """A session that is restored would start us beside our entry in its autostart."""
    manager.setRestartHint(QSessionManager.RestartHint.RestartNever)


class Poster(QObject):
    """From any thread into Qt's."""

    _posted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._posted.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def post(self, deliver: Deliver) -> None:
        self._posted.emit(deliver)

    def _deliver(self, deliver: Deliver) -> None:
        deliver()


class _signals:
    """While within, Python hears of signals: Qt waits in a system call of its own."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()

    def __enter__(self) -> None:
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._notifier = QSocketNotifier(self._near.fileno(), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(self._woken)
        signal.set_wakeup_fd(self._far.fileno(), warn_on_full_buffer=False)

    def _woken(self, *_ignored: object) -> None:
        with suppress(OSError):
            self._near.recv(64)

    def __exit__(self, *_ignored: object) -> None:
        signal.set_wakeup_fd(-1)
        self._notifier.setEnabled(False)
        self._near.close()
        self._far.close()


class _Tray:
    """All that is seen, and what a click does."""

    def __init__(self, started: Started, application: QApplication) -> None:
        self._line = started.line
        self._options = started.options
        self._application = application
        self._leave = application.quit
        self._is_loaded = False  # what the window is made of: that takes a turn by itself
        self._frame: Frame | None = None
        self._advice_bar: AdviceBar | None = None
        self._trails = Trails()
        started.line.watch(lambda picture: self._trails.note(picture, now()))
        self._icon: TrayIcon | None = None
        self._notifier: Notifier | None = None
        self._adviser = Adviser(started.line, TrayIcon.is_shown, self._advise)
        self._autostart = Autostart()
        self._doer = Doer(
            started.line,
            now,
            open_window=self.open,
            open_or_hide=self._open_or_hide,
            leave=self._leave,
            start_at_login=self._autostart.turn,
            enable_icons=self._adviser.enable,
            say=self._say,
        )
        started.doorbell.answer = self._rung
        # In a turn of its own: Python hears of a signal also while a row is painted, and closing
        # the window then takes it from beneath the painter.
        started.doorbell.leave = partial(QTimer.singleShot, 0, self._leave)
        if not self._options.is_window:
            self._notifier = Notifier(
                started.line,
                self._doer.do,
                now,
                _later,
                notifier.memory_path(),
                Choices().shows_names,
            )
            if self._options.has_icon:
                self._icon = self._made_icon()
        if not self._options.in_background and not started.doorbell.is_second:
            self.open(self._options.page)

    def _made_icon(self) -> TrayIcon:
        icon = TrayIcon(
            self._line,
            self._doer.do,
            now,
            look=lambda wanted: self._line.look_closely(wanted, "menu"),
            starts_at_login=self._autostart.is_on,
            host_changed=self._adviser.look,
        )
        QTimer.singleShot(int(HOST_SECONDS * 1000), self._adviser.look)
        return icon

    def close(self) -> None:
        if self._icon is not None:
            self._icon.hide()
        if self._notifier is not None:
            self._notifier.close()

    def open(self, page: str = "") -> None:
        if not self._is_loaded:
            self._is_loaded = True
            window.load()
            lean.freeze()
            QTimer.singleShot(0, self._application, partial(self.open, page))
        elif self._frame is None:
            # A window that was closed is there no more, where nothing else goes on.
            self._frame = window.open_window(
                self._line,
                page=page,
                trails=self._trails,
                stays=lambda: not self._options.is_window,
                leave=self._leave,
                now=now,
            )
            self._advice_bar = AdviceBar(self._adviser.enable)
            self._frame.put_above(self._advice_bar)
            self._adviser.look()
        else:
            self._frame.come(page)

    def _open_or_hide(self) -> None:
        if self._frame is not None and self._frame.isVisible() and not self._frame.isMinimized():
            self._frame.close()
        else:
            self.open()

    def _rung(self, page: str, token: str) -> None:
        if token:  # Qt gives it to the compositor with the next window that comes to the front
            os.environ["XDG_ACTIVATION_TOKEN"] = token
        self.open(page)

    def _say(self, sentence: str) -> None:
        if self._notifier is not None:  # a window alone says it itself
            self._notifier.say(sentence)

    def _advise(self, advice: Advice | None) -> None:
        """On a desktop that shows no icon the window says what to do; while there is no window, a
        notification says so, once, since nobody would look for one."""
        if self._advice_bar is not None and self._icon is not None:
            self._advice_bar.show_advice(advice)
        if self._notifier is None or self._icon is None or advice is None:
            return
        if not (self._frame is not None and self._frame.isVisible()):
            self._notifier.tell_once(advice.sentence, notices.about_icons(advice.sentence))


def _later(seconds: float, call: Callable[[], None]) -> Callable[[], None]:
    timer = QTimer(singleShot=True, timerType=Qt.TimerType.CoarseTimer)
    timer.timeout.connect(call)
    timer.start(int(min(seconds * 1000 + 1, 2**31 - 1)))
    return partial(_called_off, timer)


def _called_off(timer: QTimer) -> None:
    timer.stop()
    timer.deleteLater()
