"""Inviting, accepting, comparing safety numbers: each in a dialog that waits for nothing.

Invariants: a link or a number that is shown here was asked for by whoever looks, and goes with the
dialog; what comes back is said in it. Text of others is text.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from postroad_tray import plain
from postroad_tray.ages import lasting
from postroad_tray.client import Answer, Client, Question, Typed, question_about
from postroad_tray.facts import Contact
from postroad_tray.tongue import _
from postroad_tray.window import contact_rows, pieces
from postroad_tray.window.qr_code import QrCode

LINK_LENGTH_MAX = 2000
NAME_LENGTH_MAX = 64
ACCEPT_SECONDS = 60.0  # others are asked for the inviter's record


class _Dialog(QDialog):
    """What they share: a column, a sentence on what came of it, a button that closes."""

    def __init__(self, parent: QWidget, title: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._is_open = True
        self.finished.connect(self._over)
        self.column = QVBoxLayout(self)
        self.column.setSpacing(pieces.space(self, 0.6))
        self.outcome = pieces.taken_words()
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.rejected.connect(self.reject)

    def end_column(self) -> None:
        self.column.addWidget(self.outcome)
        self.column.addWidget(self.buttons)
        self.setMinimumWidth(pieces.space(self, 26))
        pieces.say(self.outcome, "")

    def _over(self) -> None:
        self._is_open = False

    def while_open(self, then: Callable[[Answer], None]) -> Callable[[Answer], None]:
        """An answer that comes when nobody looks any more is for nobody."""
        return lambda answer: then(answer) if self._is_open else None


class Invite(_Dialog):
    """Make an invitation for one person: a link, and the same as a code for their camera."""

    def __init__(self, parent: QWidget, client: Client, made: Callable[[], None]) -> None:
        super().__init__(parent, _("Invite someone"))
        self._client = client
        self._made = made
        self._link = ""
        self.column.addWidget(
            pieces.words(
                _(
                    "An invitation is for one person. Send them the link by any way that you "
                    "trust, or have them take a picture of the code."
                )
            )
        )
        self.name = QLineEdit()
        self.name.setMaxLength(NAME_LENGTH_MAX)
        self.name.setPlaceholderText(_("their name, for your list (may be empty)"))
        label = pieces.field_label(_("&For:"), self.name)
        self.make = pieces.button(_("&Make the invitation"), self._make)
        self.make.setDefault(True)
        for widget in (label, self.name, self.make):
            self.column.addWidget(widget)
        self.link = QPlainTextEdit()
        self.link.setReadOnly(True)
        self.link.setAccessibleName(_("The link"))
        self.link.setTabChangesFocus(True)
        self.link.setFixedHeight(pieces.space(self, 6))
        self.copy = pieces.copy_button(_("the link"), lambda: self._link)
        self.code = QrCode()
        self.code.shown.connect(self.adjustSize)
        self._later: tuple[QWidget, ...] = (self.link, self.copy)
        for later in (*self._later, self.code):
            later.hide()
            self.column.addWidget(later)
        self.end_column()

    def _make(self) -> None:
        self.make.setEnabled(False)
        self.make.setText(_("Making it …"))
        name = self.name.text().strip()
        options = {"Name": Typed("s", name)} if name else {}
        question = Question("Invite", "a{sv}", [options])
        self._client.ask(question, self.while_open(self._told))

    def _told(self, answer: Answer) -> None:
        self.make.setEnabled(True)
        self.make.setText(_("&Make the invitation"))
        link = answer.value if answer.is_good and isinstance(answer.value, str) else ""
        if not link or len(link) > LINK_LENGTH_MAX:
            pieces.say(self.outcome, plain.paragraph(answer.sentence))
            return
        self._link = link
        self.link.setPlainText(link)
        for widget in self._later:
            widget.show()
        self.code.show_text(link, _("The link, as a code for a camera"))
        self.name.setEnabled(False)
        self.make.hide()
        details = answer.second
        pieces.say(self.outcome, _works(details))
        self.copy.setFocus()
        self.adjustSize()
        self._made()


def _works(details: object) -> str:
    seconds = details.get("Seconds") if isinstance(details, dict) else None
    said = _("They need Postroad, too: they click on Accept an invitation and paste it.")
    if isinstance(seconds, int | float) and 0 < seconds < 10**9:
        works = _("It works once, for {time}.").format(time=lasting(float(seconds)))
        return f"{works} {said}"
    return said


class LinkField(QPlainTextEdit):
    """What is pasted or dropped there is a link, or no longer than one."""

    def insertFromMimeData(self, source: QMimeData) -> None:
        self.insertPlainText(source.text()[: LINK_LENGTH_MAX + 1].strip())


class Accept(_Dialog):
    """Take the link that somebody sent. The clipboard is looked into once somebody asks for that:
    whoever has copied something is waited for, and may hang."""

    def __init__(self, parent: QWidget, client: Client) -> None:
        super().__init__(parent, _("Accept an invitation"))
        self._client = client
        self._is_asking = False
        self.link = LinkField()
        self.link.setTabChangesFocus(True)
        self.link.setFixedHeight(pieces.space(self, 6))
        label = pieces.field_label(_("&Paste the link that you were sent:"), self.link)
        self.paste = pieces.button(_("Pa&ste"), self._paste)
        self.accept_it = pieces.button(_("&Accept"), self._accept)
        self.accept_it.setDefault(True)
        self.link.textChanged.connect(self._changed)
        self.column.addWidget(label)
        self.column.addWidget(self.link)
        self.column.addLayout(pieces.row(self.paste, self.accept_it, stretch_first=False))
        self.end_column()
        self._changed()

    def _paste(self) -> None:
        """In place of what is there: it is one link."""
        self.link.selectAll()
        self.link.paste()
        self.accept_it.setFocus()

    def _changed(self) -> None:
        has_some = bool(self.link.toPlainText().strip())
        self.accept_it.setEnabled(has_some and not self._is_asking)
        self.paste.setEnabled(not self._is_asking)

    def _accept(self) -> None:
        link = "".join(self.link.toPlainText().split())
        if len(link) > LINK_LENGTH_MAX:
            pieces.say(self.outcome, _("That is too long to be an invitation."))
            return
        self._is_asking = True
        self._changed()
        self.link.setReadOnly(True)
        self.accept_it.setText(_("Asking their node …"))
        pieces.say(self.outcome, "")
        question = Question("Accept", "s", [link], seconds=ACCEPT_SECONDS)
        self._client.ask(question, self.while_open(self._told))

    def _told(self, answer: Answer) -> None:
        self._is_asking = False
        self._changed()
        self.link.setReadOnly(False)
        self.accept_it.setText(_("&Accept"))
        if not answer.is_good:
            pieces.say(self.outcome, plain.paragraph(answer.sentence))
            return
        details = answer.second
        said = contact_rows.accepted(details if isinstance(details, dict) else {})
        pieces.say(self.outcome, said)
        self.link.clear()


class Verify(_Dialog):
    """Compare the safety number: the same twelve groups on both screens, read out or filmed."""

    def __init__(self, parent: QWidget, client: Client, contact: Contact) -> None:
        name = plain.apart(contact.name)
        super().__init__(parent, _("Safety number of {name}").format(name=name))
        self._client = client
        self._contact = contact
        self._number = ""
        self.column.addWidget(
            pieces.words(
                _(
                    "Call {name}, or meet them, and compare: their Postroad shows the same number. "
                    "Is it the same, nobody is between you."
                ).format(name=name)
            )
        )
        self.number = pieces.taken_words()
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPointSizeF(self.font().pointSizeF() * 1.4)
        self.number.setFont(font)
        self.number.setAccessibleName(_("The safety number"))
        self.code = QrCode()
        self.code.shown.connect(self.adjustSize)
        self.same = pieces.button(_("It is the &same"), self._is_same)
        self.forget = pieces.button(_("&Forget that it was compared"), self._forget)
        self.theirs = QLineEdit()
        self.theirs.setMaxLength(LINK_LENGTH_MAX)
        self.theirs.setPlaceholderText(_("what their code says, or their number"))
        label = pieces.field_label(_("&Or paste what they sent:"), self.theirs)
        self.compare = pieces.button(_("&Compare"), self._compare)
        self.theirs.textChanged.connect(lambda text: self.compare.setEnabled(bool(text.strip())))
        self.compare.setEnabled(False)
        for widget in (self.number, self.code, self.same, label, self.theirs, self.compare):
            self.column.addWidget(widget)
        self.column.addWidget(self.forget)
        self.forget.setVisible(bool(contact.verified_at))
        self.end_column()
        self.same.setEnabled(False)
        self._ask("GetSafetyNumber", "", [], self._shown)

    def _ask(
        self, member: str, signature: str, body: list[object], then: Callable[[Answer], None]
    ) -> None:
        question = question_about(self._contact, member, signature, body)
        self._client.ask(question, self.while_open(then))

    def _shown(self, answer: Answer) -> None:
        shown = contact_rows.number_lines(answer.value) if answer.is_good else ""
        if not shown:
            pieces.say(self.outcome, plain.paragraph(answer.sentence))
            return
        self._number = " ".join(shown.split())
        pieces.say(self.number, shown)
        code = answer.second
        if isinstance(code, str) and 0 < len(code) <= LINK_LENGTH_MAX:
            self.code.show_text(code, _("The safety number, as a code for a camera"))
        self.same.setEnabled(True)
        self.adjustSize()

    def _is_same(self) -> None:
        self._ask("Verify", "s", [self._number], self._verified)

    def _compare(self) -> None:
        self._ask("Verify", "s", [self.theirs.text().strip()], self._verified)

    def _verified(self, answer: Answer) -> None:
        good = _("{name} is verified.").format(name=plain.apart(self._contact.name))
        pieces.say(self.outcome, good if answer.is_good else plain.paragraph(answer.sentence))
        self.forget.setVisible(answer.is_good)

    def _forget(self) -> None:
        def told(answer: Answer) -> None:
            name = plain.apart(self._contact.name)
            good = _("{name} is not verified any more.").format(name=name)
            pieces.say(self.outcome, good if answer.is_good else plain.paragraph(answer.sentence))
            self.forget.setVisible(not answer.is_good)

        self._ask("ForgetVerification", "", [], told)


class Rename(_Dialog):
    """Call a contact otherwise."""

    def __init__(self, parent: QWidget, client: Client, contact: Contact) -> None:
        super().__init__(parent, _("Rename {name}").format(name=plain.apart(contact.name)))
        self._client = client
        self._contact = contact
        self.name = QLineEdit(contact.name)
        self.name.setMaxLength(NAME_LENGTH_MAX)
        self.name.selectAll()
        label = pieces.field_label(_("&Name, for you alone:"), self.name)
        self.rename = pieces.button(_("&Rename"), self._rename)
        self.rename.setDefault(True)
        for widget in (label, self.name, self.rename):
            self.column.addWidget(widget)
        self.end_column()

    def _rename(self) -> None:
        def told(answer: Answer) -> None:
            if answer.is_good:
                self.accept()
            else:
                pieces.say(self.outcome, plain.paragraph(answer.sentence))

        question = question_about(self._contact, "Rename", "s", [self.name.text().strip()])
        self._client.ask(question, self.while_open(told))
