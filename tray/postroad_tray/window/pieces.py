"""What pages are put together from: words that stay words, cards, buttons that copy.

Invariants: text of others is shown as text and as nothing else: no markup, no link, no mnemonic.
Nothing has a size in pixels; spaces follow the font.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from PySide6.QtCore import QEvent, QMimeData, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from postroad_tray import plain
from postroad_tray.tongue import _

FAINT = 0.68  # of the ink in words that are read last
COPIED_SHOWN_MS = 2000
SECRET_COPIED_MS = 60_000
WIDTH_MAX_LINES = 12  # that the longest word of a text may ask for, in lines of its font
_ENDLESS = re.compile(r"\S{65,}")
_BREAK = "\u200b"


class Words(QLabel):
    """Plain text in lines that break. Its hints ask for as little room as it can do with, since
    QLabel's own make a page taller than its lines, and as wide as its longest word."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._is_faint = False
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self._is_broken = False
        self.setText(text)

    def setText(self, text: str) -> None:
        super().setText(text)
        was_broken, self._is_broken = self._is_broken, _BREAK in text
        if was_broken or self._is_broken:  # a screen reader would read it letter by letter
            self.setAccessibleName(text.replace(_BREAK, "") if self._is_broken else "")

    def make_faint(self) -> None:
        """For what is read last; still dark enough to be read well."""
        self._is_faint = True
        self._tint()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.ParentChange):
            self._tint()

    def _tint(self) -> None:
        if not self._is_faint:
            return
        around = self.parentWidget()
        palette = around.palette() if around is not None else QApplication.palette()
        ink = faint_ink(palette)
        if self.palette().color(QPalette.ColorRole.Text) != ink:
            for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text):
                palette.setColor(role, ink)
            self.setPalette(palette)

    def minimumSizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        if not self.wordWrap():
            return QSize(metrics.horizontalAdvance(self.text()), metrics.height())
        longest = max(self.text().split(), key=len, default="")
        width = min(metrics.horizontalAdvance(longest), WIDTH_MAX_LINES * metrics.height())
        return QSize(width, metrics.height())


def words(
    text: str = "", *, size: float = 1.0, bold: bool = False, faint: bool = False
) -> QLabel:
    """A text in lines that break; `size` in sizes of the font."""
    label = Words(breakable(text))
    font = label.font()
    font.setPointSizeF(font.pointSizeF() * size)
    font.setBold(bold)
    label.setFont(font)
    if faint:
        label.make_faint()
    return label


def faint_ink(palette: QPalette) -> QColor:
    """Between the ink and the paper, nearer to the ink."""
    ink = palette.color(QPalette.ColorRole.Text)
    paper = palette.color(QPalette.ColorRole.Base)
    return QColor.fromRgbF(
        FAINT * ink.redF() + (1 - FAINT) * paper.redF(),
        FAINT * ink.greenF() + (1 - FAINT) * paper.greenF(),
        FAINT * ink.blueF() + (1 - FAINT) * paper.blueF(),
    )


def taken_words(text: str = "", *, size: float = 1.0, bold: bool = False) -> QLabel:
    """The same, which can be selected with mouse and keyboard, and copied."""
    label = words(text, size=size, bold=bold)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse
        | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    return label


def value_field(name: str, *, size: float = 1.0) -> QLineEdit:
    """For what is copied as a whole: it is one line, which scrolls where there is no room."""
    field = QLineEdit()
    field.setReadOnly(True)
    field.setFrame(False)
    field.setAccessibleName(name)
    font = field.font()
    font.setPointSizeF(font.pointSizeF() * size)
    field.setFont(font)
    return field


def field_label(text: str, field: QWidget) -> QLabel:
    """What stands above a field; its mnemonic leads there."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setBuddy(field)
    return label


def show_value(field: QLineEdit, text: str) -> None:
    """Its beginning; what is selected stays so while it says the same."""
    if field.text() != text:
        field.setText(text)
        field.setCursorPosition(0)


def say(label: QLabel, text: str) -> None:
    """Show it, or no label where there is nothing to say."""
    shown = breakable(text)
    if label.text() != shown:
        label.setText(shown)
    label.setVisible(bool(text))


def breakable(text: str) -> str:
    """It, with places to break in words that nobody would read: all others stay as they are, so
    that a copy of them is true."""
    return _ENDLESS.sub(lambda found: _BREAK.join(found[0]), text)


def tip(widget: QWidget, text: str) -> None:
    """A tooltip that is no markup, whatever it looks like."""
    widget.setToolTip(tip_text(text))


def tip_text(text: str) -> str:
    """Qt takes a tooltip for markup if it looks like some; so it is always some, of ours."""
    return f"<p>{plain.escaped(text)}</p>" if text else ""


def space(widget: QWidget, lines: float = 1.0) -> int:
    """As many pixels as so many lines of its font."""
    return round(widget.fontMetrics().height() * lines)


def button(text: str, does: Callable[[], None], explained: str = "") -> QPushButton:
    """`text` is ours, with its mnemonic; `explained`: the same in a sentence."""
    made = QPushButton(text)
    made.clicked.connect(lambda *_ignored: does())
    if explained:
        made.setAccessibleDescription(explained)
        tip(made, explained)
    return made


def copy_secret(text: str) -> None:
    """Copy what is no business of a clipboard's history, and take it away again after a while."""
    clipboard, copied = QGuiApplication.clipboard(), QMimeData()
    copied.setText(text)
    copied.setData("x-kde-passwordManagerHint", b"secret")  # others follow it, too
    clipboard.setMimeData(copied)

    def take_away() -> None:
        if clipboard.mimeData() is copied:
            clipboard.clear()

    QTimer.singleShot(SECRET_COPIED_MS, clipboard, take_away)


def copy_button(
    what: str, value: Callable[[], str], text: str = "", *, is_secret: bool = False
) -> QPushButton:
    """A button that copies; `what` it copies, in words, for whoever does not see its place;
    `text`: on it, where its place does not tell."""
    shown = text or _("Copy")
    made = QPushButton(shown)
    made.setAccessibleName(_("Copy: {what}").format(what=what))
    tip(made, made.accessibleName())
    back = QTimer(made)
    back.setSingleShot(True)
    back.timeout.connect(lambda: made.setText(shown))

    def copy() -> None:
        if is_secret:
            copy_secret(value())
        else:
            QGuiApplication.clipboard().setText(value())
        made.setText(_("Copied"))
        back.start(COPIED_SHOWN_MS)

    made.clicked.connect(lambda *_ignored: copy())
    return made


class Card(QFrame):
    """A framed part of a page with a headline; `inside` takes its content."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setBackgroundRole(QPalette.ColorRole.Base)
        self.setAutoFillBackground(True)
        self.setAccessibleName(title)
        self.inside = QVBoxLayout(self)
        gap = space(self, 0.8)
        self.inside.setContentsMargins(gap, gap, gap, gap)
        self.inside.setSpacing(space(self, 0.5))
        self.title = words(title, bold=True)
        self.inside.addWidget(self.title)


def row(*widgets: QWidget, stretch_first: bool = True) -> QHBoxLayout:
    """Side by side; the first one takes the room that is left."""
    made = QHBoxLayout()
    for number, one in enumerate(widgets):
        made.addWidget(one, 1 if stretch_first and number == 0 else 0)
    return made


def bring_into_view(widget: QWidget) -> None:
    """Scroll what is around it, once there is a place for it."""

    def bring() -> None:
        around = widget.parentWidget()
        while around is not None and not isinstance(around, QScrollArea):
            around = around.parentWidget()
        if around is not None:
            around.ensureWidgetVisible(widget)

    QTimer.singleShot(0, widget, bring)


def empty(layout: QLayout) -> None:
    """Take out and delete all that is in it."""
    while (item := layout.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.deleteLater()
        inner = item.layout()
        if inner is not None:
            empty(inner)


def ask_first(
    parent: QWidget, question: str, more: str, yes: str, then: Callable[[], None]
) -> QMessageBox:
    """Ask, and do it if the answer is yes; nothing waits meanwhile. Return means no."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle(_("Postroad"))
    box.setText(question)
    box.setInformativeText(more)
    for label in box.findChildren(QLabel):  # its own setTextFormat forgets the second one
        label.setTextFormat(Qt.TextFormat.PlainText)
    agree = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
    refuse = box.addButton(_("&Leave it"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(refuse)
    box.setEscapeButton(refuse)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

    def answered(chosen: QAbstractButton) -> None:
        if chosen is agree:
            then()

    box.buttonClicked.connect(answered)
    box.open()
    return box
