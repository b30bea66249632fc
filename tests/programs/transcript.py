"""Replay a page of what people type and what they are told: word by word.

A line like `anna$ postroad setup` is typed by Anna, on a terminal; the lines behind it are what she
reads there, up to the next one. What differs each time (addresses, words, passwords, links,
moments, folders) is held to its form only. `postroad run` goes on until the end.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from person import until
from programs import terminal

READS = re.compile(r"^mutt -F (\S+)$")
TYPED = re.compile(r"^(\w+)\$ (.+)$")
NOT_TOLD = re.compile(  # the log of a node, and the progress that mutt tells when it has a terminal
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ \w+ postroad\.|"
    r"^(Authenticating|Closing connection|Connecting|Sending message|Mail sent)\b"
)
PROMPTS = (
    "Your name in your address (like anna): ",
    "Your mailbox password: ",
    "The invitation, or the link to a helper (it begins with postroad): ",
    "Do you want to continue? [Y/n] ",  # of apt
)
ADDRESS = re.compile(r"\b([a-z]+)\.[a-z2-7]{32}@postroad\.alt")
LINK = re.compile(r"postroad:[\w-]+")
FORMS = (
    (ADDRESS, r"\1.<fingerprint>@postroad.alt"),
    (LINK, "<link>"),
    (re.compile(r"(\b\d+ [a-z]+ +){5}\d+ [a-z]+"), "<six words>"),
    (re.compile(r"(password +)\S+( +\(normal)"), r"\1<password>\2"),
    (re.compile(r"(withdraw )[0-9a-f]+"), r"\1<id>"),
    (re.compile(r"\bport \d+"), "port <number>"),
    (re.compile(r"until \S+ \S+.*?:$"), "until <moment>:"),
)


@dataclass
class Step:
    """One line that somebody types, and what they read then."""

    who: str
    typed: str
    told: list[str] = field(default_factory=list)


def steps(page: str) -> list[Step]:
    """All that is typed in the blocks of the page."""
    found: list[Step] = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for line in block.splitlines():
            if typed := TYPED.match(line):
                found.append(Step(typed[1], typed[2]))
            else:
                found[-1].told.append(line)
    return found


def form(text: str) -> str:
    """The text with what differs each time replaced by what it is."""
    for pattern, stands in FORMS:
        text = pattern.sub(stands, text)
    return text.rstrip()


def forms(lines: list[str]) -> list[str]:
    """Their forms; a computer may have no IPv6."""
    return [form(line) for line in lines if ": ::1 port" not in line]


class Somebody:
    """A person of the page, with a home of their own."""

    def __init__(self, name: str, home: Path, environment: dict[str, str]) -> None:
        self.name, self.home = name, home
        self.environment = {**environment, "HOME": str(home), "TERM": "xterm", "COLUMNS": "120"}
        self.address = self.password = ""
        self.running: list[int] = []

    def at_a_terminal(self, line: str) -> list[str]:
        """The command by which they type this line, on the terminal that it is run at."""
        return ["sh", "-c", line]

    def kept(self, name: str) -> str:
        """What a file of their home says; empty when it is not there."""
        path = self.home / name
        return path.read_text() if path.exists() else ""

    def as_on_the_page(self, text: str) -> str:
        return text.replace(str(self.home), f"/home/{self.name}")

    def end(self) -> None:
        for child in self.running:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


class Replay:
    """Types what stands on the page, until `ends` by time.monotonic()."""

    def __init__(self, people: dict[str, Somebody], ends: float) -> None:
        self.people, self.ends = people, ends
        self.link = ""

    def really(self, text: str) -> str:
        """What of the page stands for somebody's own, as it is here."""
        for name, somebody in self.people.items():
            text = text.replace(f"/home/{name}", str(somebody.home))
            if somebody.address:
                text = re.sub(rf"\b{name}\.[a-z2-7]{{32}}@postroad\.alt", somebody.address, text)
        return LINK.sub(self.link, text) if self.link else text

    def play(self, step: Step) -> list[str]:
        """Type it, and learn from what is told; what was told, in the words of the page."""
        somebody = self.people[step.who]
        said = self._told(somebody, step)
        for line in said:
            if found := re.match(r"Your address: (\S+)", line):
                somebody.address = found[1]
            if found := re.search(r"password +(\S+) +\(normal", line):
                somebody.password = found[1]
            if found := re.search(r"paste this: +(postroad:\S+)", line):
                self.link = found[1]
        return [somebody.as_on_the_page(line) for line in said]

    def read(self, step: Step) -> list[str]:
        """Open the mail program, look until the letter of the page is there, and read it."""
        somebody = self.people[step.who]
        wanted = next(line for line in step.told if line.startswith("Subject: "))
        pattern = re.escape(wanted.removeprefix("Subject: ")).replace("\\ ", ".")
        kept = somebody.home / "read"
        keys = f"<search>~s {pattern}<enter><pipe-message>cat > {kept}<enter><exit>"
        settings = ("set wait_key=no pipe_decode=yes beep=no", f'push "{keys}"')
        line = " ".join([self.really(step.typed), *(f"-e {shlex.quote(one)}" for one in settings)])

        def is_there() -> bool:
            terminal.run(somebody.at_a_terminal(line), somebody.environment)
            return f"\n{wanted}\n" in "\n" + somebody.kept("read")

        until(is_there, f"{wanted} is there", self.ends - time.monotonic())
        shown = ("From: ", "To: ", "Subject: ")
        head, _, body = somebody.kept("read").partition("\n\n")
        lines = [line for line in head.splitlines() if line.startswith(shown)]
        return [*lines, "", *body.strip().splitlines()]

    def expect(self, step: Step) -> None:
        """Have it happen as it stands there."""
        said = self.read(step) if READS.match(step.typed) else self.play(step)
        assert forms(said) == forms(step.told), f"{step.who}$ {step.typed}"

    def _told(self, somebody: Somebody, step: Step) -> list[str]:
        stays = step.typed == "postroad run"
        child, terminal = pty.fork()
        if child == 0:
            line = ("exec " if stays else "") + self.really(step.typed)
            command = somebody.at_a_terminal(line)
            os.execvpe(command[0], command, somebody.environment)
        if stays:
            somebody.running.append(child)
        answers = list(self._answers(somebody, step))
        seen = ""
        while not (stays and step.told and self._is_told(seen, step.told[-1])):
            left = self.ends - time.monotonic()
            assert left > 0, f"{step.who}$ {step.typed}: not in time; {seen}"
            if not select.select([terminal], [], [], min(left, 0.2))[0]:
                continue
            try:
                octets = os.read(terminal, 65536)
            except OSError:  # it has closed its terminal
                break
            seen += octets.decode(errors="replace").replace("\r\n", "\n")
            if answers and seen.endswith(answers[0][0]):
                os.write(terminal, answers.pop(0)[1].encode() + b"\n")
        if not stays:
            os.close(terminal)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert status == 0, f"{step.who}$ {step.typed}: {seen}"
        return [line for line in seen.splitlines() if not NOT_TOLD.match(line)]

    @staticmethod
    def _is_told(seen: str, last: str) -> bool:
        return any(form(line) == form(last) for line in seen.splitlines())

    def _answers(self, somebody: Somebody, step: Step) -> Iterator[tuple[str, str]]:
        """What is asked, and what the page answers; a password is not seen on it."""
        for line in step.told:
            for prompt in PROMPTS:
                if line.rstrip() == prompt.rstrip() or line.startswith(prompt):
                    answer = self.really(line[len(prompt) :]).strip()
                    yield prompt, answer or somebody.password
