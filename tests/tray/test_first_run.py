"""The first run, by mouse and keyboard: from nothing to a letter and its answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QDialog

from bus_scene import write
from person import Person
from postroad.contract import State
from postroad_tray.bus import Line
from postroad_tray.client import Answer
from postroad_tray.deeds import Place
from postroad_tray.facts import Picture
from postroad_tray.window import first_run_words, open_window
from postroad_tray.window.command import Command, CommandAnswer, understood
from postroad_tray.window.contacts import Contacts
from postroad_tray.window.first_run import FirstRun
from postroad_tray.window.frame import Frame
from postroad_tray.window.people_dialogs import Accept, Invite
from tray import pictures, seeing
from tray.newcomers import Newcomer, newcomers
from tray.standing_in import StandIn
from tray.test_window_alive import Poster

SECONDS_MAX = 60.0
WORDS = tuple(f"word{chr(97 + n)}" for n in range(24))
DRAFTED = Answer(({"Words": " ".join(WORDS), "Asked": [3, 11, 20]},))


@pytest.mark.parametrize(
    ("name", "fits"),
    [("anna", True), ("a", True), ("anna-2_b", True), ("", False), ("Anna", False),
     ("anna.b", False), ("-anna", False), ("a" * 32, False)],
)  # fmt: skip
def test_a_name_is_looked_at_before_it_is_sent(name: str, fits: bool) -> None:
    assert (first_run_words.what_is_wrong_with(name) == "") is fits


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"Words": " ".join(WORDS[:23]), "Asked": [1]},
        {"Words": " ".join(WORDS), "Asked": []},
        {"Words": " ".join(WORDS), "Asked": [25]},
        {"Words": " ".join(WORDS), "Asked": ["1"]},
        {"Words": 7, "Asked": 7},
    ],
)
def test_a_draft_that_makes_no_sense_is_none(told: dict[str, object]) -> None:
    assert first_run_words.draft(told) is None


def test_of_a_mail_program_that_is_there_the_path_is_known() -> None:
    found = first_run_words.found_programs({"thunderbird-esr": "/usr/bin/t"}.get)  # type: ignore[arg-type]
    assert [(one.title, path) for one, path in found] == [("Thunderbird", "/usr/bin/t")]


@pytest.mark.parametrize(
    ("octets", "status", "sentence"),
    [
        (b'{"ok": true, "linger": true}', 0, ""),
        (b'{"ok": false, "error": "No systemd."}', 1, "No systemd."),
        (b"nonsense", 0, "It gave no answer (status 0)."),
        (b"[]", 2, "It gave no answer (status 2)."),
        (b"{}", 5, "It failed (status 5)."),
    ],
)
def test_what_the_command_answers_is_understood(octets: bytes, status: int, sentence: str) -> None:
    assert understood(octets, status).sentence == sentence


def test_that_it_stops_at_logout_is_said_with_the_line_that_mends_it() -> None:
    line = "sudo loginctl enable-linger anna"
    assert line in first_run_words.enabled({"linger": False, "linger_line": line})
    assert "log out" not in first_run_words.enabled({"linger": True})


def not_set_up() -> Picture:
    node = pictures.node(state=State.SETUP_NEEDED, address="", sentence="Not set up.")
    return replace(pictures.empty(), node=node)


def begun(client: StandIn | Line) -> tuple[Frame, FirstRun]:
    frame = open_window(client, page="first-run")
    assert isinstance(frame.page, FirstRun)
    return frame, frame.page


def at(page: FirstRun) -> object:
    return page.step


def give_words_back(page: FirstRun, words: tuple[str, ...], numbers: tuple[int, ...]) -> None:
    for field, number in zip(page.asked.fields, numbers, strict=True):
        field.setText(words[number - 1])


@pytest.mark.usefixtures("qt")
class TestSteps:
    def test_it_is_listed_while_it_is_needed_and_to_its_end(self) -> None:
        client = StandIn(not_set_up())
        client.answers["Setup"] = DRAFTED
        frame, page = begun(client)
        assert frame._entries["first-run"].listed(client.picture)
        page.name.field.setText("anna")
        seeing.press(page.name.field, "Return")
        client.show(pictures.healthy())
        assert frame.page is page
        page._ends(Place.OVERVIEW)
        assert frame.page_name == "overview"
        client.show(pictures.healthy())
        assert not frame._entries["first-run"].listed(client.picture)

    def test_words_are_shown_asked_back_and_forgotten(self) -> None:
        client = StandIn(not_set_up())
        client.answers["Setup"] = DRAFTED
        made = {"Address": pictures.OWN_ADDRESS, "Password": "abcd-efgh"}
        client.answers["FinishSetup"] = Answer(error_name="x", sentence="These are not the words.")
        _, page = begun(client)
        assert not page.name.go_on.isEnabled()
        page.name.field.setText("Anna")
        seeing.click(page.name.go_on)
        assert client.asked[-1].body[0]["Name"].value == "anna"
        assert at(page) is page.words
        assert all(any(word in text for text in seeing.seen(page.words)) for word in WORDS)
        seeing.click(page.words.go_on)
        assert at(page) is page.asked
        assert [one.accessibleName() for one in page.asked.fields] == [
            "Word 3:",
            "Word 11:",
            "Word 20:",
        ]
        give_words_back(page, WORDS, (1, 2, 4))
        seeing.click(page.asked.go_on)
        assert page.asked.outcome.text() == "These are not the words."
        seeing.click(page.asked.back)
        assert at(page) is page.words
        seeing.click(page.words.go_on)
        give_words_back(page, WORDS, (3, 11, 20))
        client.answers["FinishSetup"] = Answer((made,))
        seeing.press(page.asked.fields[2], "Return")
        assert client.asked[-1].body == [["wordc", "wordk", "wordt"]]
        assert at(page) is page.network
        assert not any(word in text for text in seeing.seen(page) for word in WORDS)
        assert page.mail.password.text() == "abcd-efgh"
        page._ends(Place.OVERVIEW)
        assert page.mail.password.text() == ""

    def test_a_draft_that_the_service_has_lost_can_be_begun_anew(self) -> None:
        client = StandIn(not_set_up())
        client.answers["Setup"] = DRAFTED
        client.answers["FinishSetup"] = Answer(error_name="x", sentence="No words were shown.")
        _, page = begun(client)
        page.name.field.setText("anna")
        seeing.click(page.name.go_on)
        seeing.click(page.words.go_on)
        give_words_back(page, WORDS, (3, 11, 20))
        seeing.click(page.asked.go_on)
        seeing.click(page.asked.anew)
        assert at(page) is page.name
        assert not any(word in text for text in seeing.seen(page) for word in WORDS)
        assert not any(one.text() for one in page.words._labels)
        seeing.click(page.name.go_on)
        assert at(page) is page.words

    def test_where_the_last_answer_was_lost_it_goes_on(self) -> None:
        client = StandIn(not_set_up())
        client.answers["Setup"] = DRAFTED
        client.answers["FinishSetup"] = Answer(error_name="x", sentence="Not in time.")
        _, page = begun(client)
        page.name.field.setText("anna")
        seeing.click(page.name.go_on)
        seeing.click(page.words.go_on)
        give_words_back(page, WORDS, (3, 11, 20))
        seeing.click(page.asked.go_on)
        client.show(not_set_up())
        assert at(page) is page.asked
        client.show(pictures.healthy())
        assert at(page) is page.network
        seeing.click(page.network.go_on)
        assert "New password" in page.mail.outcome.text()
        assert not any(one.text() for one in page.words._labels)

    def test_what_is_typed_while_it_is_asked_asks_no_second_time(self) -> None:
        client = StandIn(not_set_up())
        client.answers["Setup"] = DRAFTED
        client.is_slow = True
        _, page = begun(client)
        page.name.field.setText("anna")
        seeing.click(page.name.go_on)
        page.name.field.setText("annab")
        seeing.press(page.name.field, "Return")
        client.answer()
        seeing.click(page.words.go_on)
        give_words_back(page, WORDS, (3, 11, 20))
        seeing.click(page.asked.go_on)
        page.asked.fields[0].setText("other")
        seeing.press(page.asked.fields[0], "Return")
        asked = [one.member for one in client.asked]
        assert (asked.count("Setup"), asked.count("FinishSetup")) == (1, 1)

    def test_a_service_that_cannot_draft_is_said(self) -> None:
        client = StandIn(not_set_up())
        client.answers["Setup"] = Answer(({"Words": "one two"},))
        _, page = begun(client)
        page.name.field.setText("anna")
        seeing.click(page.name.go_on)
        assert at(page) is page.name
        assert "cannot be read" in page.name.outcome.text()
        assert page.name.go_on.isEnabled()


class Ended:
    """What a command came to."""

    def __init__(self) -> None:
        self.outcome: CommandAnswer | None = None

    def __call__(self, outcome: CommandAnswer) -> None:
        assert self.outcome is None, "once"
        self.outcome = outcome


@pytest.mark.usefixtures("qt")
class TestCommand:
    def script(self, folder: Path, body: str) -> str:
        path = folder / "postroad"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o700)
        return str(path)

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            ('echo "{\\"ok\\": true, \\"words\\": \\"$*\\"}"', ""),
            ('echo "{\\"ok\\": false, \\"error\\": \\"It hurts.\\"}"; exit 1', "It hurts."),
            ("exec sleep 60", "It took too long, and was broken off."),
            ("trap '' TERM; while :; do sleep 0.1; done", "It took too long, and was broken off."),
            ("yes", "It answered far too much, and was broken off."),
        ],
    )
    def test_it_is_waited_for_without_waiting(
        self, tmp_path: Path, body: str, sentence: str
    ) -> None:
        parent, ended = QObject(), Ended()
        command = Command(parent, self.script(tmp_path, body))
        command.run(["a", "b c; d"], 1.0, ended)
        assert command.is_running
        seeing.until(lambda: ended.outcome is not None, 20)
        assert ended.outcome is not None
        assert ended.outcome.sentence == sentence
        if not sentence:
            assert ended.outcome.answer["words"] == "a b c; d --json"
        assert not command.is_running

    def test_one_that_was_stopped_does_not_end_the_next_one(self, tmp_path: Path) -> None:
        body = (
            f"if [ -e {tmp_path}/stopped ]; then sleep 1; echo '{{\"ok\": true}}'; exit; fi\n"
            f"trap 'touch {tmp_path}/stopped; sleep 0.3; exit 1' TERM\n"
            f"touch {tmp_path}/begun; while :; do sleep 0.1; done"
        )
        parent, first, second = QObject(), Ended(), Ended()
        command = Command(parent, self.script(tmp_path, body))
        command.run([], 20.0, first)
        seeing.until((tmp_path / "begun").exists)
        command.stop()
        seeing.until((tmp_path / "stopped").exists)
        command.run([], 20.0, second)
        seeing.until(lambda: second.outcome is not None, 20)
        assert second.outcome == CommandAnswer({"ok": True})
        assert first.outcome is None

    def test_a_program_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        parent, ended = QObject(), Ended()
        Command(parent, str(tmp_path / "postroad")).run([], 5.0, ended)
        seeing.until(lambda: ended.outcome is not None)
        assert ended.outcome is not None
        assert "was not found" in ended.outcome.sentence


@dataclass(frozen=True, slots=True)
class User:
    """Somebody at a desktop: a node that nobody has set up, on their own session bus."""

    newcomer: Newcomer
    line: Line
    frame: Frame

    @property
    def person(self) -> Person:
        return self.newcomer.person

    def set_up(self) -> None:
        """The first run, typed and clicked."""
        seeing.until(lambda: self.line.picture.node.state is State.SETUP_NEEDED, SECONDS_MAX)
        self.frame.come("first-run")
        page = self.frame.page
        assert isinstance(page, FirstRun)
        page.name.field.setText(self.person.name)
        seeing.press(page.name.field, "Return")
        seeing.until(lambda: at(page) is page.words, SECONDS_MAX)
        shown = [one.text().split()[-1] for one in page.words._labels]
        seeing.click(page.words.go_on)
        for field in page.asked.fields:
            number = int(field.accessibleName().strip(":").split()[1])
            field.setText(shown[number - 1])
        seeing.click(page.asked.go_on)
        seeing.until(lambda: at(page) is page.network, SECONDS_MAX)
        seeing.until(lambda: page.network.service.text().startswith("It could not"), SECONDS_MAX)
        seeing.until(lambda: self.line.picture.node.endpoints.imap > 0, SECONDS_MAX)
        seeing.click(page.network.go_on)
        self.person.address = self.line.picture.node.address
        self.person.password = page.mail.password.text()
        seeing.click(page.mail.letter)
        seeing.until(lambda: "is in your mailbox" in page.mail.outcome.text(), SECONDS_MAX)
        assert self.newcomer.has("Your mail program reads your mailbox")
        seeing.click(page.mail.go_on)

    def dialog(self, kind: type[QDialog]) -> QDialog:
        found = [one for one in self.frame.findChildren(kind) if one.isVisible()]
        assert len(found) == 1
        return found[0]


@contextmanager
def user(theirs: Newcomer) -> Iterator[User]:
    poster = Poster()
    line = Line(poster.posted.emit, bus_address=theirs.bus.address)
    line.start()
    try:
        yield User(theirs, line, open_window(line))
    finally:
        line.close()
        line.join(5.0)


def test_two_people_set_up_meet_and_write_to_each_other_with_mouse_and_keyboard(
    qt: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    with newcomers("first", "anna", "bora") as both, ExitStack() as stack:
        anna, bora = (stack.enter_context(user(one)) for one in both)
        for one in (anna, bora):
            monkeypatch.setenv("PATH", str(one.newcomer.commands), prepend=":")
            one.set_up()
        link = invite(anna)
        accept(bora, link)
        seeing.until(lambda: len(anna.line.picture.contacts) == 1, SECONDS_MAX)
        for author, to in ((anna, bora), (bora, anna)):
            subject = f"From {author.person.name}"
            write(author.person, to.person, 1, subject)
            seeing.until(partial(to.newcomer.has, subject), SECONDS_MAX)


def invite(one: User) -> str:
    """At the end of the first run, by its button."""
    one.frame.come()
    page = one.frame.page
    assert isinstance(page, FirstRun)
    seeing.click(page.people.invite)
    assert isinstance(one.frame.page, Contacts)
    dialog = one.dialog(Invite)
    assert isinstance(dialog, Invite)
    dialog.name.setText("Bora")
    seeing.press(dialog.name, "Return")
    seeing.until(lambda: bool(dialog.link.toPlainText()), SECONDS_MAX)
    seeing.click(dialog.copy)
    dialog.reject()
    return QApplication.clipboard().text()


def accept(one: User, link: str) -> None:
    """What lies in the clipboard."""
    one.frame.come()
    page = one.frame.page
    assert isinstance(page, FirstRun)
    seeing.click(page.people.accept)
    dialog = one.dialog(Accept)
    assert isinstance(dialog, Accept)
    seeing.click(dialog.paste)
    assert dialog.link.toPlainText() == link
    seeing.click(dialog.accept_it)
    seeing.until(lambda: "is your contact now" in dialog.outcome.text(), SECONDS_MAX)
    dialog.reject()
