"""The install section of README.md, as it happens to somebody new on a fresh system.

Purpose: `COMMANDS` has each line of the section that is to be typed, `WORDS` each of its paragraphs
and who looks whether it is true. Invariant: what stands there and in neither table is `unknown`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from booted import Booted
from person import ROOT
from postroad.app.mail_clients import CLIENTS
from programs import terminal
from programs.transcript import PROMPTS, Replay, Step
from repository import KEYRING

README = ROOT / "README.md"
TITLE = "Install"
FILE, REPOSITORY = "a file", "a repository"
HOST = "example.org"
URL = f"https://{HOST}/postroad"
MUTT = "mutt -F ~/.config/postroad/muttrc"
INVITED = "accepted your invitation"
CONTINUE = "Do you want to continue? [Y/n] y"
KEPT = (".config/postroad", ".local/share/postroad")
SERVED = "/srv/postroad"


@dataclass(frozen=True, slots=True)
class Part:
    """A line to be typed, or a paragraph of words; in the order of the section."""

    is_typed: bool
    text: str


def parts(readme: str) -> list[Part]:
    """Of the section, as the text of the README has it."""
    (section,) = re.findall(rf"^## {TITLE}\n(.*?)^## ", readme, re.MULTILINE | re.DOTALL)
    found: list[Part] = []
    for block in re.split(r"\n{2,}", section.strip()):
        if fenced := re.fullmatch(r"```\w*\n(.*)\n```", block, re.DOTALL):
            found += [Part(True, line) for line in fenced[1].splitlines()]
        else:
            found.append(Part(False, " ".join(block.split())))
    return found


def unknown(section: list[Part]) -> list[str]:
    """What nobody here can type, or look at."""
    return [
        part.text for part in section if part.text not in (COMMANDS if part.is_typed else WORDS)
    ]


class Story:
    """Anna, who reads the section, and Bora, whom she invites; `way`: of those to install it."""

    def __init__(self, system: Booted, replay: Replay, way: str) -> None:
        self.system, self.replay, self.way = system, replay, way
        self.anna, self.bora = replay.people
        self.said: list[str] = []

    def tell(self, section: list[Part]) -> None:
        assert unknown(section) == []
        for part in section:
            if not part.is_typed:
                WORDS[part.text](self)
            elif WAYS.get(part.text, self.way) == self.way:
                self.said = COMMANDS[part.text](self, part.text)

    # --- typing -----------------------------------------------------------------------------------

    def type(self, line: str, *told: str, who: str = "") -> list[str]:
        """`told`: questions that may come, with the answers."""
        return self.replay.play(Step(who or self.anna, line, list(told)))

    def both(self, line: str, told: Callable[[str], str] = lambda _: "") -> list[str]:
        self.type(line, told(self.bora), who=self.bora)
        return self.type(line, told(self.anna))

    def open_mutt(self, line: str) -> list[str]:
        """She looks into her INBOX and leaves."""
        anna = self.replay.people[self.anna]
        keys = f"{line} -e 'push \"<exit>\"'"
        return terminal.run(anna.at_a_terminal(keys), anna.environment).splitlines()

    # --- looking ----------------------------------------------------------------------------------

    def nothing_runs(self) -> None:
        self.system.root("test", "-x", "/usr/bin/postroad")
        assert self.system.root("pgrep", "-f", "postroad run", check=False).stdout == ""
        known = self.system.root("apt-cache", "policy", "postroad").stdout
        assert (URL in known) == (self.way == REPOSITORY)  # where newer ones will come from

    def is_set_up_and_runs(self) -> None:
        said = "\n".join(self.said)
        anna = self.replay.people[self.anna]
        assert anna.address.startswith(f"{self.anna}.")
        assert len(re.findall(r"\b\d+ [a-z]+", said.split("24 words")[1].split("\n\n")[0])) == 24
        for door in ("IMAP", "POP3", "SMTP"):
            assert re.search(rf"{door} +127\.0\.0\.1 +port \d+", said)
        assert said.rstrip().endswith("starts by itself whenever you log in.")
        for name in self.replay.people:
            assert self.of_systemd(name, "is-active") == "active"
            assert self.of_systemd(name, "is-enabled") == "enabled"

    def of_systemd(self, name: str, question: str) -> str:
        done = self.system.user(
            name, "systemctl", "--user", question, "postroad.service", check=False
        )
        return done.stdout.strip()

    def can_write_to_each_other(self) -> None:
        wanted = f"Subject: {self.bora.capitalize()} {INVITED}"
        self.replay.read(Step(self.anna, MUTT, [wanted]))

    def theirs_is_left(self) -> None:
        for name in self.replay.people:
            for kept in (".local/share/postroad/keys", ".config/postroad/config.toml"):
                self.system.root("test", "-s", f"/home/{name}/{kept}")
            assert self.of_systemd(name, "is-active") == "inactive"
        assert self.system.root("pgrep", "-f", "postroad run", check=False).stdout == ""

    def nothing_else_is_left(self) -> None:
        search = "find / -xdev -iname '*postroad*' -not -path '/proc/*' || true"
        left = self.system.root("sh", "-c", search).stdout.split()
        others = ("/var/cache/apt/", "/var/lib/apt/lists/", SERVED, "/home/")
        assert [path for path in left if not path.startswith(others)] == []
        for name in self.replay.people:
            kept = tuple(f"/home/{name}/{each}" for each in (*KEPT, "postroad"))  # and downloads
            of_them = [path for path in left if path.startswith(f"/home/{name}/")]
            assert [path for path in of_them if not path.startswith(kept)] == []


def answered(name: str) -> str:
    return f"Your name in your address (like anna): {name}"


def settings(story: Story, line: str) -> list[str]:
    said = story.type(line)
    password = story.replay.people[story.anna].password
    assert password
    assert password not in "\n".join(said)
    assert any("IMAP" in one for one in said)
    return said


def knows_programs(_: Story) -> None:
    assert {"thunderbird", "evolution", "other"} < set(CLIENTS)
    assert {name for name, one in CLIENTS.items() if one.file} == {"mutt", "mbsync", "msmtp"}


def page_is_there(_: Story) -> None:
    """What stands on it is replayed by test_page.py."""
    assert (ROOT / "docs" / "first-run.md").is_file()


def has_a_test_of_its_own(_: Story) -> None:
    """Which installs and purges it so; it wants more of the distribution than this system has."""
    assert (ROOT / "tests" / "system" / "test_tray.py").is_file()


def shown_by_what_is_typed(_: Story) -> None:
    """And by nothing else."""


COMMANDS: dict[str, Callable[[Story, str], list[str]]] = {
    "sudo apt-get install ./postroad_*.deb": Story.type,
    f"wget {URL}/{KEYRING}.deb": Story.type,
    f"sudo apt-get install ./{KEYRING}.deb": Story.type,
    "sudo apt-get update": Story.type,
    "sudo apt-get install postroad": Story.type,
    "postroad setup": lambda story, line: story.both(line, answered),
    "postroad mail-client": settings,
    "postroad mail-client mutt --write": lambda story, line: story.type(line, PROMPTS[1]),
    MUTT: Story.open_mutt,
    "postroad invite": Story.type,
    "postroad accept": lambda story, line: story.type(
        line, f"{PROMPTS[2]}postroad:link", who=story.bora
    ),
    "postroad service disable": lambda story, line: story.both(line),
    "sudo apt-get purge postroad": lambda story, line: story.type(line, CONTINUE),
    f"sudo apt-get purge {KEYRING}": lambda story, line: story.type(line, CONTINUE),
}
# Those that are for one of the ways only.
WAYS = {line: FILE if "./postroad_" in line else REPOSITORY for line in list(COMMANDS)[:5]}
WAYS[f"sudo apt-get purge {KEYRING}"] = REPOSITORY
WORDS: dict[str, Callable[[Story], None]] = {
    "On Debian 12 and 13 and Ubuntu 24.04. There is no public repository yet: somebody gives you "
    "the package, or the address of theirs ([both are made of a clone](#make-the-package)). With "
    "the package, in the folder where it lies:": shown_by_what_is_typed,
    f"With a repository, which brings upgrades, too; `{URL}` stands for its address:": (
        shown_by_what_is_typed
    ),
    "On a desktop `postroad-tray` is beside it, installed and purged in the same way: an icon and "
    "a window that tell how your mail is.": has_a_test_of_its_own,
    "Nothing runs yet. Whoever wants an address types, as themselves:": Story.nothing_runs,
    "It asks for a name; shows your address, your 24 words (write them on paper) and what to type "
    "into your mail program; and starts your node, now and whenever you log in. All but the "
    "password is told again by": Story.is_set_up_and_runs,
    "which knows Thunderbird, Evolution and others, and writes the settings for mutt, mbsync and "
    "msmtp:": knows_programs,
    "You write to people whom you have met: one of you invites, the other accepts.": (
        shown_by_what_is_typed
    ),
    "[docs/first-run.md](docs/first-run.md) shows all of this as it happens, up to the first "
    "letter and its answer.": page_is_there,
    "To be rid of it, each person ends their node, which leaves their mail, and then one of them "
    "takes the program away for all:": Story.can_write_to_each_other,
    "Your mail and keys stay in `~/.local/share/postroad`, your settings in `~/.config/postroad`: "
    "they are yours to delete. Where a repository was used,": Story.theirs_is_left,
    "forgets it.": Story.nothing_else_is_left,
}
