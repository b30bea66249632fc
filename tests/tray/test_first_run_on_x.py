"""The first run on a real screen: the tray of each is a program, and what clicks and types is not.

Two people sit before an X server of their own each. What their windows say is read as a screen
reader reads it, and where it says that a button is, there they click.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from bus_scene import write
from person import ClaimFailed, Person, surroundings, until
from tray.newcomers import Newcomer, newcomers
from tray.panels import NEEDED, Desktop, desktop
from tray.screen_reader import LAUNCHER, Element, ScreenReader

SECONDS_MAX = 60.0
BUTTON, ENTRY, FIELD = "push button", "list item", "text"  # as screen readers call them
WORD_COUNT, ASKED_COUNT = 24, 3


@dataclass(frozen=True, slots=True)
class Sitting:
    """Somebody before their screen."""

    newcomer: Newcomer
    place: Desktop
    reader: ScreenReader

    @property
    def person(self) -> Person:
        return self.newcomer.person

    # --- eyes and hands ---------------------------------------------------------------------------

    def see(self, name: str, role: str, text: str = "") -> Element:
        """What is called so, as soon as it can be used and has this in it."""
        found: list[Element] = []

        def is_there() -> bool:
            found[:] = [
                one
                for one in self.reader.elements()
                if one.name == name and one.role == role and one.is_enabled and text in one.text
            ]
            return len(found) == 1

        self._until(is_there, f"{name!r} can be used")
        return found[0]

    def read(self, pattern: str, count: int = 1) -> list[str]:
        """The words that are like this, as soon as there are so many."""
        found: list[str] = []

        def is_said() -> bool:
            found[:] = [one.name for one in self.reader.elements() if re.search(pattern, one.name)]
            return len(found) == count

        self._until(is_said, f"{pattern!r} is said {count} times")
        return found

    def click(self, name: str, role: str = BUTTON) -> None:
        self.place.click_at(*self.see(name, role).middle)

    def write_into(self, name: str, text: str) -> None:
        self.click(name, FIELD)
        self.place.type(text)

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        try:
            until(holds, f"{self.person.title}: {what}", SECONDS_MAX)
        except ClaimFailed as failed:
            self.place.shot().save(self.place.home / "screen.png")
            told = "\n".join(map(str, self.reader.elements()))
            where = f"See {self.place.home}/screen.png."
            raise ClaimFailed(f"{failed} {where}\n{told}\n{self.place.log()}") from failed

    # --- what they do -----------------------------------------------------------------------------

    def set_up(self) -> None:
        """The first run, up to its last page."""
        self.place.begin(sys.executable, "-m", "postroad_tray")  # from the list of programs
        self.click("First steps", ENTRY)
        self.write_into("Your name in your address, like anna:", self.person.name)
        self.place.press("Return")
        shown = self.read(r"^Word \d+: ", WORD_COUNT)
        self.click("I have written them down")
        asked = self.read(r"^Word \d+:$", 2 * ASKED_COUNT)  # a label and its field are called so
        for name in dict.fromkeys(asked):
            (word,) = (one.removeprefix(f"{name} ") for one in shown if one.startswith(f"{name} "))
            self.write_into(name, word)
        self.click("Make my address")
        self.read("^It could not be made to start by itself")  # there is no systemd here
        self.click("Continue")
        self.person.password = self.see("Password", FIELD, "-").text
        self.person.address = self.see("User name", FIELD, "@").text
        self.see("Incoming mail, IMAP", FIELD, str(self.person.imap_port))
        self.click("Send me a test letter")
        self.read("is in your mailbox")
        assert self.newcomer.has("Your mail program reads your mailbox")
        self.click("Continue")

    def invite(self, name: str) -> str:
        self.click("Invite someone …")
        self.write_into("For:", name)
        self.place.press("Return")
        link = self.see("The link", FIELD, "postroad:").text
        self.place.press("Escape")
        return link

    def accept(self, link: str) -> None:
        self.click("Accept an invitation …")
        self.write_into("Paste the link that you were sent:", link)
        self.click("Accept")
        self.read("is your contact now")
        self.place.press("Escape")


@contextmanager
def sitting(theirs: Newcomer) -> Iterator[Sitting]:
    with desktop(theirs.home, theirs.bus.address, needed=(*NEEDED, LAUNCHER)) as place:
        place.surroundings["PYTHONPATH"] = surroundings()["PYTHONPATH"]
        place.surroundings["PATH"] = f"{theirs.commands}:{place.surroundings['PATH']}"
        yield Sitting(theirs, place, ScreenReader(place))
        assert "Traceback" not in place.log()


def test_two_people_set_up_meet_and_write_to_each_other_each_before_a_screen() -> None:
    with newcomers("screens", "anna", "bora") as both, ExitStack() as stack:
        anna, bora = (stack.enter_context(sitting(one)) for one in both)
        for one in (anna, bora):
            one.set_up()
        bora.accept(anna.invite("Bora"))
        for author, to in ((anna, bora), (bora, anna)):
            subject = f"From {author.person.name}"
            write(author.person, to.person, 1, subject)
            until(partial(to.newcomer.has, subject), f"{subject!r} comes", SECONDS_MAX)
