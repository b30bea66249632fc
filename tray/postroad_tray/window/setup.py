"""The page Set-up: what starts at login, a test letter, names in notifications, backup, settings.

What concerns the node is done by the command `postroad` or by the service, and the page only asks;
whether the icon starts and notifications name anybody are choices that the tray keeps itself.
"""

from __future__ import annotations

from PySide6.QtWidgets import QCheckBox, QFileDialog

from postroad_tray import plain
from postroad_tray.autostart import Autostart
from postroad_tray.choices import Choices
from postroad_tray.client import Answer, Client, Question
from postroad_tray.deeds import Place
from postroad_tray.facts import Picture
from postroad_tray.tongue import _
from postroad_tray.window import first_run_words, pieces, setup_words
from postroad_tray.window.again import Again
from postroad_tray.window.command import Command, CommandAnswer
from postroad_tray.window.page import Page
from postroad_tray.window.rows import Rows, Table
from postroad_tray.window.trial_letter import TrialLetter

STATUS_SECONDS = 20.0
BACKUP_SECONDS = 12 * 3600.0
TABLE_LINES = 12
ASKED_AGAIN_SECONDS = 60
LOGIN_ASKED_AGAIN_SECONDS = 600  # it is a program; and what it said may be in use meanwhile


class SetUp(Page):
    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self.login = LoginCard()
        self.mail = MailCard(client)
        self.mail.show_settings.clicked.connect(lambda *_ignored: self._turn(Place.OVERVIEW))
        self.notifications = NotificationsCard()
        self.backup = BackupCard()
        self.duties = DutiesCard(client)
        for card in (self.login, self.mail, self.notifications, self.backup, self.duties):
            self.column.addWidget(card)
        self.column.addStretch(1)

    def draw(self, picture: Picture, now: float) -> None:
        self.mail.may_write(picture.is_there and bool(picture.node.address))
        self.login.look(now)
        self.notifications.look()
        if picture.is_there:
            self.duties.look(now)

    def _turn(self, place: Place) -> None:
        self.turned_to.emit(place)


class LoginCard(pieces.Card):
    """The icon and the node, each of which may start by itself."""

    def __init__(self) -> None:
        super().__init__(_("At login"))
        self._autostart = Autostart()
        self._command = Command(self)
        self._again = Again(LOGIN_ASKED_AGAIN_SECONDS)
        self._now = 0.0
        self._is_known = False
        self.icon = QCheckBox(_("Show the &icon when I log in"))
        self.icon.setChecked(self._autostart.is_on())
        self.icon.clicked.connect(self._turned)
        self.service = pieces.taken_words(_("Asking …"))
        self.enable = pieces.button(_("&Have my node start by itself"), self._enable)
        self.enable.hide()
        self.inside.addWidget(self.icon)
        self.inside.addLayout(pieces.row(self.service, self.enable))

    def look(self, now: float) -> None:
        """The icon may be switched in the menu, too; systemd is asked whether our service runs or
        not."""
        self._now = now
        self.icon.setChecked(self._autostart.is_on())
        if self._again.is_due(now) and not self._command.is_running:
            self._again.asked(now)
            self._command.run(["service", "status"], STATUS_SECONDS, self._told)

    def _turned(self, on: bool) -> None:
        if not self._autostart.turn(on):
            self.icon.setChecked(not on)
            pieces.say(self.service, _("That could not be written into your settings."))

    def _told(self, outcome: CommandAnswer) -> None:
        if outcome.is_good:
            self._is_known = True
            pieces.say(self.service, setup_words.service(outcome.answer))
            self.enable.setVisible(outcome.answer.get("enabled") is not True)
            return
        self._again.failed()
        if not self._is_known:
            pieces.say(self.service, outcome.sentence)

    def _enable(self) -> None:
        self._command.stop()  # it may be asking
        self._again.asked(self._now)
        self.enable.setEnabled(False)
        self._command.enable_service(self._enabled)

    def _enabled(self, outcome: CommandAnswer) -> None:
        self._is_known = True
        self.enable.setEnabled(True)
        self.enable.setVisible(not outcome.is_good)
        good = first_run_words.enabled(outcome.answer)
        pieces.say(self.service, good if outcome.is_good else outcome.sentence)


class MailCard(pieces.Card):
    def __init__(self, client: Client) -> None:
        super().__init__(_("Mail programs"))
        self.outcome = pieces.taken_words(
            _("A test letter shows whether your mail program reads your mailbox.")
        )
        self.show_settings = pieces.button(_("&Settings for it"), lambda: None)
        self._trial = TrialLetter(client, self.outcome, _("&Test letter"))
        self.letter = self._trial.button
        self.inside.addLayout(pieces.row(self.outcome, self.show_settings, self.letter))

    def may_write(self, allowed: bool) -> None:
        self._trial.allow(allowed)


class NotificationsCard(pieces.Card):
    """What they tell; a desktop may show them to whoever passes by, also while it is locked."""

    def __init__(self) -> None:
        super().__init__(_("Notifications"))
        self._choices = Choices()
        self.names = QCheckBox(_("Show &names in notifications"))
        self.names.clicked.connect(self._turned)
        self.outcome = pieces.words(
            _(
                "Without them a notification tells that a letter came back or somebody wrote, but "
                "not who, nor why."
            ),
            faint=True,
        )
        self.inside.addWidget(self.names)
        self.inside.addWidget(self.outcome)
        self.look()

    def look(self) -> None:
        self.names.setChecked(self._choices.shows_names())

    def _turned(self, on: bool) -> None:
        if not self._choices.show_names(on):
            self.look()
            pieces.say(self.outcome, _("That could not be written into your settings."))


class BackupCard(pieces.Card):
    """All mail, keys and contacts into a folder, best on another disk; each time what is new."""

    def __init__(self) -> None:
        super().__init__(_("Backup"))
        self._command = Command(self)
        self.outcome = pieces.taken_words(
            _(
                "All your mail, contacts and keys go into a folder, sealed for your 24 words; best "
                "on another disk. The next time only what is new is written."
            )
        )
        self.choose = pieces.button(_("&Back up into a folder …"), self._choose)
        self.stop = pieces.button(_("S&top"), self._stopped)
        self.stop.hide()
        self.inside.addLayout(pieces.row(self.outcome, self.choose, self.stop))

    def _choose(self) -> None:
        dialog = QFileDialog(self, _("Folder for the backup"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self.back_up)
        dialog.open()

    def back_up(self, folder: str) -> None:
        if self._command.is_running:
            return
        pieces.say(self.outcome, _("Backing up … Your mail goes on meanwhile."))
        self._running(True)
        self._command.run(["backup", "to", folder], BACKUP_SECONDS, self._done)

    def _done(self, outcome: CommandAnswer) -> None:
        self._running(False)
        good = setup_words.backed_up(outcome.answer)
        pieces.say(self.outcome, good if outcome.is_good else outcome.sentence)

    def _stopped(self) -> None:
        self._command.stop()
        self._running(False)
        pieces.say(self.outcome, _("Stopped. What was backed up before is whole."))

    def _running(self, is_running: bool) -> None:
        self.choose.setVisible(not is_running)
        self.stop.setVisible(is_running)


class DutiesCard(pieces.Card):
    """The settings that take effect: among them for whom this node holds letters and relays."""

    def __init__(self, client: Client) -> None:
        super().__init__(_("Duties and settings"))
        self._client = client
        self._words = pieces.words(
            _(
                "What your node does for others, and all else that can be set. To change it, edit "
                "the file config.toml in ~/.config/postroad, and take it over."
            )
        )
        self.reload = pieces.button(_("Take over &changes"), self._reload)
        self.table = Table(Rows(setup_words.columns()), _("Settings"))
        self.table.setMinimumHeight(pieces.space(self, 2.0 * TABLE_LINES))
        self.inside.addLayout(pieces.row(self._words, self.reload))
        self._missing = pieces.taken_words()  # why the table is not as of now
        self._again = Again(ASKED_AGAIN_SECONDS)
        self._now = 0.0
        self.inside.addWidget(self._missing)
        self.inside.addWidget(self.table)
        pieces.say(self._missing, "")

    def look(self, now: float) -> None:
        """Nobody tells of settings: another program may have them read again."""
        self._now = now
        if self._again.is_due(now):
            self._ask()

    def _ask(self) -> None:
        self._again.asked(self._now)
        self._client.ask(Question("GetPolicy"), self._told)

    def _told(self, answer: Answer) -> None:
        pieces.say(self._missing, answer.sentence)
        if answer.is_good:
            self.table.show_rows(setup_words.settings(answer.fields))
        else:
            self._again.failed()

    def _reload(self) -> None:
        def told(answer: Answer) -> None:
            good = _("The configuration was read again.")
            pieces.say(self._words, good if answer.is_good else plain.paragraph(answer.sentence))
            self._ask()

        self._client.ask(Question("ReloadConfiguration"), told)
