"""GNOME without icons: what is said, and what the one button does."""

from __future__ import annotations

from typing import Any

import pytest

from postroad_tray.client import Answer, Question
from postroad_tray.facts import Picture
from postroad_tray.gnome import (
    EXTENSIONS,
    SHELL,
    SHELL_INTERFACE,
    SHELL_PATH,
    Advice,
    Adviser,
    Icons,
    advice,
    icons,
    is_gnome,
)
from tray.standing_in import StandIn

UBUNTU, OTHER = EXTENSIONS
GNOME = {"XDG_CURRENT_DESKTOP": "ubuntu:GNOME"}


class Shell(StandIn):
    """GNOME with these extensions, which runs one as soon as it is switched on."""

    def __init__(self, extensions: dict[str, Any] | None) -> None:
        super().__init__(Picture())
        self.extensions = extensions

    def ask(self, question: Question, then: Any = lambda _answer: None) -> None:
        self.asked.append(question)
        assert (question.destination, question.object_path) == (SHELL, SHELL_PATH)
        assert question.interface == SHELL_INTERFACE
        if self.extensions is None:
            then(Answer(error_name="org.freedesktop.DBus.Error.ServiceUnknown", sentence="No."))
        elif question.member == "ListExtensions":
            then(Answer((self.extensions,)))
        else:
            (name,) = question.body
            if name in self.extensions:
                self.extensions[name] = {"enabled": True, "state": 1.0}
            then(Answer((name in self.extensions,)))


def advised(shell: Shell, *, has_host: bool = False, **variables: str) -> tuple[Adviser, list[Any]]:
    said: list[Advice | None] = []
    adviser = Adviser(shell, lambda: has_host, said.append, variables=variables or GNOME)
    adviser.look()
    return adviser, said


@pytest.mark.parametrize(
    ("desktop", "expected"),
    [("GNOME", True), ("ubuntu:GNOME", True), ("KDE", False), ("", False), ("GNOMELIKE", False)],
)
def test_gnome_is_known_by_its_name(desktop: str, expected: bool) -> None:
    assert is_gnome({"XDG_CURRENT_DESKTOP": desktop}) is expected


def test_where_icons_are_shown_nothing_is_said_or_asked() -> None:
    for more in ({"XDG_CURRENT_DESKTOP": "KDE"}, {}):
        shell = Shell({})
        assert advised(shell, has_host=not more, **more)[1] == [None]
        assert shell.asked == []


def test_where_the_extension_is_not_installed_the_line_to_type_is_there() -> None:
    (said,) = advised(Shell({"other@example.org": {"enabled": True}}))[1]
    assert said.line == "sudo apt install gnome-shell-extension-appindicator"
    assert "gnome-shell-extension-appindicator" in said.sentence


def test_a_shell_that_does_not_answer_is_one_without_the_extension() -> None:
    assert advised(Shell(None))[1] == [advice(Icons.TO_INSTALL)]


@pytest.mark.parametrize("name", EXTENSIONS)
def test_an_extension_that_is_off_is_switched_on_by_the_button(name: str) -> None:
    shell = Shell({name: {"enabled": False, "state": 2.0}})
    adviser, said = advised(shell)
    assert said == [advice(Icons.TO_ENABLE)]
    assert not [one for one in shell.asked if one.member == "EnableExtension"]
    adviser.enable()
    assert shell.extensions == {name: {"enabled": True, "state": 1.0}}
    assert said[-1] == advice(Icons.AFTER_LOGIN)


def test_a_refusal_is_no_loop() -> None:
    shell = Shell({})
    adviser, said = advised(shell)
    adviser.enable()
    assert [one.body for one in shell.asked if one.member == "EnableExtension"] == [
        (UBUNTU,),
        (OTHER,),
    ]
    assert said[-1] == advice(Icons.TO_INSTALL)


@pytest.mark.parametrize("told", [None, 7, [], {UBUNTU: "on"}, {UBUNTU: None}, {7: {}}])
def test_whatever_the_shell_tells_can_be_read(told: object) -> None:
    assert icons(told) is Icons.TO_INSTALL


def test_every_advice_says_something_and_a_button_does_something() -> None:
    for what in Icons:
        assert advice(what).sentence
        assert not advice(what).line or advice(what).button
