"""The page Set-up: what it asks of the command and of the service, and what it says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QFileDialog

from postroad_tray.autostart import Autostart
from postroad_tray.choices import Choices
from postroad_tray.client import Answer
from postroad_tray.facts import Link, Picture
from postroad_tray.window import open_window, setup_words
from postroad_tray.window.again import AFTER_FAILURE_SECONDS
from postroad_tray.window.frame import Frame
from postroad_tray.window.setup import LOGIN_ASKED_AGAIN_SECONDS, SetUp
from tray import pictures, seeing
from tray.standing_in import StandIn

BACKED_UP = {"ok": True, "messages": 12, "total_bytes": 3_400_000, "same_disk": False}


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ({}, "0 messages"),
        ({"messages": 1, "total_bytes": 2_000_000}, "1 message is in the backup (2.0 MB)."),
        ({"messages": 3, "same_disk": True}, "a broken disk would take both"),
        ({"messages": 3, "missing": ["a", "b"]}, "2 files of the store were lost before"),
        ({"messages": "many", "missing": 7}, "0 messages"),
    ],
)
def test_what_a_backup_holds_is_said(answer: dict[str, Any], part: str) -> None:
    assert part in setup_words.backed_up(answer)


def test_settings_are_told_with_who_said_so() -> None:
    told = {
        "Settings": [
            {"Key": "hold_for", "Value": "contacts", "Source": "configuration"},
            {"Key": "lan", "Value": False, "Source": "policy"},
            {"Key": "odd\u202e", "Value": [1, "b"], "Source": "tomorrow"},
            "nonsense",
        ]
    }
    rows = [[cell.text for cell in row.cells] for row in setup_words.settings(told)]
    assert rows == [
        ["hold_for", "contacts", "your configuration"],
        ["lan", "no", "the administrator"],
        ["odd", "1, b", "Postroad itself"],
    ]
    assert setup_words.settings({"Settings": 7}) == []


@pytest.mark.usefixtures("qt")
class TestPage:
    @pytest.fixture(autouse=True)
    def command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A program called postroad that writes down its words and answers what a file says."""
        place = tmp_path / "bin"
        place.mkdir()
        program = place / "postroad"
        program.write_text(
            f'#!/bin/sh\necho "$*" >> {tmp_path}/typed\n'
            f'if [ -e "{tmp_path}/$1-$2" ]; then exec cat "{tmp_path}/$1-$2"; fi\nexec sleep 60\n'
        )
        program.chmod(0o700)
        monkeypatch.setenv("PATH", str(place), prepend=":")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
        self.answer(tmp_path, "service-status", {"ok": True, "enabled": False, "linger": False})
        return tmp_path

    def answer(self, folder: Path, name: str, told: dict[str, Any]) -> None:
        (folder / name).write_text(json.dumps(told))

    def opened(self) -> tuple[Frame, StandIn, SetUp]:
        client = StandIn(pictures.healthy())
        frame = open_window(client, page="setup", now=lambda: pictures.NOW)
        assert isinstance(frame.page, SetUp)
        return frame, client, frame.page

    def test_a_node_that_does_not_start_by_itself_is_made_to(self, command: Path) -> None:
        self.answer(command, "service-enable", {"ok": True, "linger": True})
        frame, _, page = self.opened()
        seeing.until(lambda: seeing.shows(frame, "does not start by itself"))
        seeing.click(page.login.enable)
        seeing.until(lambda: seeing.shows(frame, "Your node runs, and starts by itself."))
        assert (command / "typed").read_text().splitlines() == [
            "service status --json",
            "service enable --json",
        ]
        assert not page.login.enable.isVisibleTo(frame)

    def test_what_systemd_did_not_say_in_time_is_asked_again(self, command: Path) -> None:
        self.answer(command, "service-status", {"ok": False, "error": "Not now."})
        frame, client, page = self.opened()

        def asked_at(seconds: float) -> int:
            page.draw(client.picture, pictures.NOW + seconds)
            seeing.until(lambda: not page.login._command.is_running)
            return len((command / "typed").read_text().splitlines())

        assert asked_at(0) == 1
        assert seeing.shows(frame, "Not now.")
        self.answer(command, "service-status", {"ok": True, "enabled": False})
        assert asked_at(AFTER_FAILURE_SECONDS - 1) == 1
        assert asked_at(AFTER_FAILURE_SECONDS) == 2
        assert seeing.shows(frame, "does not start by itself")
        self.answer(command, "service-status", {"ok": False, "error": "Not now."})
        assert asked_at(LOGIN_ASKED_AGAIN_SECONDS) == 2
        assert asked_at(LOGIN_ASKED_AGAIN_SECONDS + AFTER_FAILURE_SECONDS) == 3
        assert seeing.shows(frame, "does not start by itself")  # what is known stays
        assert page.login.enable.isVisibleTo(frame)

    def test_a_click_counts_while_systemd_is_asked_again(self, command: Path) -> None:
        self.answer(command, "service-enable", {"ok": True, "linger": True})
        frame, client, page = self.opened()
        seeing.until(lambda: seeing.shows(frame, "does not start by itself"))
        (command / "service-status").unlink()  # it answers nothing now
        page.draw(client.picture, pictures.NOW + LOGIN_ASKED_AGAIN_SECONDS)
        assert page.login._command.is_running
        seeing.click(page.login.enable)
        seeing.until(lambda: seeing.shows(frame, "Your node runs, and starts by itself."))

    def test_the_icon_at_login_is_a_file_of_the_user(self, command: Path) -> None:
        _, _, page = self.opened()
        assert not page.login.icon.isChecked()
        page.login.icon.click()
        entries = list((command / "config" / "autostart").iterdir())
        assert len(entries) == 1
        assert page.login.icon.isChecked()
        page.login.icon.click()
        assert not list((command / "config" / "autostart").iterdir())

    def test_names_in_notifications_are_switched_off_for_icon_and_window(self) -> None:
        frame, client, page = self.opened()
        assert page.notifications.names.isChecked()
        seeing.button(frame, "Show names in notifications").click()
        assert not Choices().shows_names()
        assert Choices().show_names(True)  # another window of ours
        client.show(pictures.trouble())
        assert page.notifications.names.isChecked()

    def test_a_choice_that_cannot_be_kept_is_not_shown_as_made(self, command: Path) -> None:
        (command / "config").write_text("a file")
        frame, _, page = self.opened()
        stands = page.notifications.names.isChecked()
        page.notifications.names.click()
        assert page.notifications.names.isChecked() is stands
        assert seeing.shows(frame, "could not be written into your settings")

    def test_a_backup_goes_into_the_folder_that_was_chosen(self, command: Path) -> None:
        self.answer(command, "backup-to", BACKED_UP)
        frame, _, page = self.opened()
        seeing.click(page.backup.choose)
        (dialog,) = page.findChildren(QFileDialog)
        dialog.fileSelected.emit(str(command / "my disk; rm"))
        dialog.reject()
        seeing.until(lambda: seeing.shows(frame, "12 messages are in the backup (3.4 MB)."))
        typed = (command / "typed").read_text()
        assert f"backup to {command}/my disk; rm --json" in typed

    def test_a_backup_can_be_stopped(self) -> None:
        frame, _, page = self.opened()
        page.backup.back_up("/somewhere")
        assert page.backup.stop.isVisibleTo(frame)
        seeing.click(page.backup.stop)
        assert seeing.shows(frame, "Stopped.")
        assert page.backup.choose.isVisibleTo(frame)

    def test_settings_are_shown_and_taken_over(self) -> None:
        client = StandIn(pictures.healthy())
        one = {"Key": "hold_for", "Value": "contacts", "Source": "default"}
        client.answers["GetPolicy"] = Answer(({"Settings": [one]},))
        frame = open_window(client, page="setup", now=lambda: pictures.NOW)
        assert isinstance(frame.page, SetUp)
        assert frame.page.duties.table.rows.row(0).key == "hold_for"
        seeing.click(frame.page.duties.reload)
        assert [asked.member for asked in client.asked if asked.member[0] in "GR"][-2:] == [
            "ReloadConfiguration",
            "GetPolicy",
        ]

    def test_settings_that_could_not_be_had_are_told_and_asked_for_again(self) -> None:
        client = StandIn(pictures.healthy())
        one = {"Key": "hold_for", "Value": "contacts", "Source": "default"}
        good = Answer(({"Settings": [one]},))
        busy = Answer(error_name="x.Busy", sentence="Try again.")
        client.answers["GetPolicy"] = good
        frame = open_window(client, page="setup", now=lambda: pictures.NOW)
        page = frame.page
        assert isinstance(page, SetUp)
        for later, answer, asked in ((30, busy, 1), (60, busy, 2), (64, good, 2), (65, good, 3)):
            client.answers["GetPolicy"] = answer
            page.draw(client.picture, pictures.NOW + later)
            assert [each.member for each in client.asked].count("GetPolicy") == asked
            assert page.duties.table.rows.row(0).key == "hold_for"
            assert seeing.shows(frame, "Try again.") is (later in (60, 64))

    def test_a_test_letter_is_asked_for_and_an_error_is_said(self) -> None:
        frame, client, page = self.opened()
        client.answers["WriteTestLetter"] = Answer(error_name="x", sentence="Just now.")
        seeing.click(page.mail.letter)
        assert seeing.shows(frame, "Just now.")
        seeing.click(page.mail.show_settings)
        assert frame.page_name == "overview"

    def test_what_starts_at_login_is_told_while_the_service_is_off(self) -> None:
        client = StandIn(Picture(Link.ABSENT))
        frame = open_window(client, page="setup", now=lambda: pictures.NOW)
        seeing.until(lambda: seeing.shows(frame, "does not start by itself"))
        assert not seeing.shows(frame, "Asking …")

    def test_what_the_menu_has_switched_is_shown(self) -> None:
        _, client, page = self.opened()
        Autostart().turn(True)
        client.show(pictures.trouble())
        assert page.login.icon.isChecked()

    def test_a_second_click_is_no_second_letter(self) -> None:
        _, client, page = self.opened()
        client.is_slow = True
        for _times in range(2):
            seeing.click(page.mail.letter)
            client.show(pictures.trouble())
        client.answer()
        assert [one.member for one in client.asked].count("WriteTestLetter") == 1
        assert page.mail.letter.isEnabled()
