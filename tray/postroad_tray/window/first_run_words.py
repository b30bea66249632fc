"""What the first run says and reads: the 24 words, the mail programs that are there. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from postroad.contract import State
from postroad_tray import plain
from postroad_tray.facts import Picture
from postroad_tray.tongue import _

WORD_COUNT = 24
ASKED_MAX = 6
NAME_LENGTH_MAX = 31
_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Draft:
    """An identity that is drafted: its words, and which of them are asked back (from 1 on)."""

    words: tuple[str, ...]
    asked: tuple[int, ...]


@dataclass(slots=True)
class Run:
    """Whether a first run has begun and is not at its end: the list at the left asks this."""

    is_open: bool = False

    def is_listed(self, picture: Picture) -> bool:
        return self.is_open or (picture.is_there and picture.node.state is State.SETUP_NEEDED)


def draft(told: Mapping[str, Any]) -> Draft | None:
    """What `Setup` answered; None where that is not 24 words and some of their numbers."""
    said = told.get("Words")
    words = tuple(said.split()) if isinstance(said, str) else ()
    asked = told.get("Asked")
    numbers = tuple(asked) if isinstance(asked, list | tuple) else ()
    fits = all(isinstance(one, int) and 1 <= one <= WORD_COUNT for one in numbers)
    if len(words) != WORD_COUNT or not 0 < len(numbers) <= ASKED_MAX or not fits:
        return None
    return Draft(tuple(plain.line(one, 20) for one in words), numbers)


def what_is_wrong_with(name: str) -> str:
    """Why this cannot be the name in an address; nothing where it can."""
    if not name:
        return _("Type the name that stands at the beginning of your address.")
    if len(name) > NAME_LENGTH_MAX:
        return _("At most {n} letters.").format(n=NAME_LENGTH_MAX)
    if not _NAME.fullmatch(name):
        return _("Letters from a to z, digits, - and _ are allowed; it begins and ends with a "
                 "letter or a digit.")
    return ""


def example(name: str) -> str:
    """What the address will look like."""
    return _("Your address will be {address}").format(address=f"{name}.…@postroad.alt")


@dataclass(frozen=True, slots=True)
class MailProgram:
    """`programs`: what it is called on this computer."""

    title: str
    programs: tuple[str, ...]
    steps: Callable[[], str]


MAIL_PROGRAMS: Sequence[MailProgram] = (
    MailProgram(
        "Thunderbird",
        ("thunderbird", "thunderbird-esr"),
        lambda: _(
            "In Thunderbird: File, New, Existing mail account. Type your name, your address and "
            "the password below, and click Continue: it finds all else by itself."
        ),
    ),
    MailProgram(
        "Evolution",
        ("evolution",),
        lambda: _(
            "In Evolution: File, New, Mail account. Type your address, choose IMAP and SMTP, and "
            "the server 127.0.0.1 with the ports below, without encryption."
        ),
    ),
    MailProgram(
        "KMail",
        ("kmail",),
        lambda: _(
            "In KMail: Settings, Configure KMail, Accounts. Add IMAP for receiving and SMTP for "
            "sending, with the server 127.0.0.1 and the ports below, without encryption."
        ),
    ),
    MailProgram(
        "",
        (),
        lambda: _(
            "In your mail program add an account with IMAP and SMTP: the server is 127.0.0.1, "
            "without encryption, and the rest is below."
        ),
    ),
)


def found_programs(find: Callable[[str], str]) -> list[tuple[MailProgram, str]]:
    """Those that are on this computer, each with its path; `find` looks one up."""
    found = []
    for one in MAIL_PROGRAMS:
        path = next((path for name in one.programs if (path := find(name))), "")
        if path:
            found.append((one, path))
    return found


def enabled(answer: Mapping[str, Any]) -> str:
    """What came of having the node start by itself."""
    said = [_("Your node runs, and starts by itself.")]
    if answer.get("linger") is False:
        line = plain.line(answer.get("linger_line"))
        more = _("It stops when you log out.")
        if line:
            more = _("It stops when you log out; so that it does not, type in a terminal: {line}")
        said.append(more.format(line=line))
    return " ".join(said)
