"""The window around the pages: the list of them, what is wrong above them, what came of a click.

Invariants: a page is made when it is first looked at, and drawn only while it is seen; no timer
runs and nothing is asked while nobody looks. What is not there (the service, the bus) is said above
every page as soon as the picture tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QByteArray, QEvent, QSettings, QSize, Qt, QTimer
from PySide6.QtGui import (
    QCloseEvent,
    QHideEvent,
    QKeySequence,
    QPixmapCache,
    QShortcut,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from postroad_tray import folders, lean
from postroad_tray.client import Answer, Client
from postroad_tray.facts import Picture
from postroad_tray.tongue import _
from postroad_tray.window import telling
from postroad_tray.window.bars import BannerBar, OutcomeBar
from postroad_tray.window.page import Entry, Page
from postroad_tray.window.page_list import PageList

REDRAWN_MS = 10_000
DRAWN_MS = 1000  # a page that was made is drawn by then, and what that needs of libraries has run


class Frame(QMainWindow):
    def __init__(
        self,
        client: Client,
        entries: Sequence[Entry],
        *,
        stays: Callable[[], bool],
        leave: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        """See `postroad_tray.window.open_window`."""
        super().__init__()
        self._client = client
        self._entries = {one.name: one for one in entries}
        self._pages: dict[str, Page] = {}
        self._areas: dict[str, QScrollArea] = {}
        self._stays = stays
        self._leave = leave
        self._now = now
        self._is_watched = False
        self._settings = QSettings(folders.OURS, "window")
        self.setWindowTitle(_("Postroad"))
        self._list = PageList()
        self._stack = QStackedWidget()
        self._banner = BannerBar(self._start)
        self._outcome = OutcomeBar()
        self.setCentralWidget(self._arranged())
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.VeryCoarseTimer)
        self._timer.setInterval(REDRAWN_MS)
        self._timer.timeout.connect(self._draw)
        self._list.currentItemChanged.connect(lambda *_ignored: self._turned())
        self._add_shortcuts()
        self._fill_list(client.picture)
        self._remember_size()
        client.watch(self._heard)

    # --- what others may ask of it ---------------------------------------------------------------

    def come(self, page: str = "") -> None:
        """Show it in front, at this page."""
        if page:
            self.turn_to(page)
        if self.isMinimized():
            self.showNormal()
        self.show()
        self.raise_()
        self.activateWindow()

    def turn_to(self, name: str) -> None:
        """Show the page of that name, or on which what is called so is begun; where none of the
        list is meant, all stays."""
        for one in self._entries.values():
            if name == one.name or name in one.begins:
                self._list.choose(one.name)
                page = self._made(one.name)
                if name in one.begins and page is not None and self.page is page:
                    page.begin(name)

    @property
    def page_name(self) -> str:
        return self._list.chosen()

    @property
    def page(self) -> Page | None:
        """The one that is seen, once it was made."""
        return self._pages.get(self.page_name)

    @property
    def outcome(self) -> str:
        """What was said last below the page."""
        return self._outcome.sentence

    # --- arranging -------------------------------------------------------------------------------

    def put_above(self, bar: QWidget) -> None:
        """Above every page, and above what is said of the picture."""
        self._right.insertWidget(0, bar)

    def _arranged(self) -> QWidget:
        right = self._right = QVBoxLayout()
        right.setSpacing(0)
        right.addWidget(self._banner)
        right.addWidget(self._stack, 1)
        right.addWidget(self._outcome)
        middle = QWidget()
        across = QHBoxLayout(middle)
        across.setContentsMargins(0, 0, 0, 0)
        across.setSpacing(0)
        across.addWidget(self._list)
        across.addLayout(right, 1)
        return middle

    def _add_shortcuts(self) -> None:
        for number in range(1, 10):
            shortcut = QShortcut(QKeySequence(f"Ctrl+{number}"), self)
            shortcut.activated.connect(lambda row=number - 1: self._list.choose_row(row))
        for keys in ("Ctrl+W", "Escape"):
            QShortcut(QKeySequence(keys), self).activated.connect(self.close)
        QShortcut(QKeySequence("Ctrl+Q"), self).activated.connect(self._quit)

    def _remember_size(self) -> None:
        kept = self._settings.value("window/geometry")
        em = self.fontMetrics().height()
        self.resize(QSize(em * 58, em * 36).boundedTo(self.screen().availableSize() * 0.9))
        if isinstance(kept, QByteArray):
            self.restoreGeometry(kept)
        self._list.choose(str(self._settings.value("window/page", "")))

    def _keep_size(self) -> None:
        self._settings.setValue("window/geometry", self.saveGeometry())
        self._settings.setValue("window/page", self.page_name)

    # --- drawing ---------------------------------------------------------------------------------

    def _heard(self, picture: Picture) -> None:
        if self._is_watched:
            self._draw()

    def _draw(self) -> None:
        picture = self._client.picture
        self._fill_list(picture)
        page = self._made(self.page_name)
        is_told = page is not None and page.tells_problems
        banner = telling.link_banner(picture) or telling.problem_banner(picture)
        self._banner.show_banner(None if is_told else banner)
        if page is not None:
            page.draw(picture, self._now())

    def _fill_list(self, picture: Picture) -> None:
        listed = [one for one in self._entries.values() if one.listed(picture)]
        self._list.fill([(one, one.waits(picture)) for one in listed])

    def _made(self, name: str) -> Page | None:
        if name not in self._entries:
            return None
        if name not in self._pages:
            page = self._entries[name].make()
            page.said.connect(self._outcome.say)
            page.turned_to.connect(self.turn_to)
            page.setAccessibleName(self._entries[name].title)
            self._pages[name] = page
            self._areas[name] = _scrolled(page)
            self._stack.addWidget(self._areas[name])
            QTimer.singleShot(DRAWN_MS, self, lean.give_back_libraries)
        self._stack.setCurrentWidget(self._areas[name])
        return self._pages[name]

    def _turned(self) -> None:
        self._outcome.say("")
        if self._is_watched:
            self._draw()

    # --- what the user does ----------------------------------------------------------------------

    def _start(self) -> None:
        def started(answer: Answer) -> None:
            self._banner.start_again()
            if not answer.is_good:
                self._outcome.say(answer.sentence)

        self._client.start_service(started)

    def _quit(self) -> None:
        self._keep_size()
        self.hide()
        self._leave()

    # --- being looked at -------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._look()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._look()
        if not event.spontaneous():  # it was closed, and not made small
            for page in self._pages.values():
                page.forget()
            for dialog in self.findChildren(QDialog):  # Qt would leave them, with what they show
                if dialog.isVisible():
                    dialog.reject()
            # What it looked like: 33 MB of a whole screen of 4K. Qt would keep it, and paints anew.
            if (painted := self.backingStore()) is not None:
                painted.resize(QSize(1, 1))
            # Else Qt wakes up every ten seconds, to throw away a quarter of what is left of it.
            QPixmapCache.clear()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange:
            self._look()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._keep_size()
        event.accept()
        if not self._stays():
            self._leave()

    def _look(self) -> None:
        is_watched = self.isVisible() and not self.isMinimized()
        if is_watched == self._is_watched:
            return
        self._is_watched = is_watched
        self._client.look_closely(is_watched)
        if is_watched:
            self._timer.start()
            self._draw()
        else:
            self._timer.stop()
            lean.give_back_libraries()


def _scrolled(page: Page) -> QScrollArea:
    """At 200 % on a small screen a page is larger than the window."""
    area = QScrollArea()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(page)
    return area
