"""The main job before one's eyes: a letter arrives although its sender and a holder are destroyed.

Five real nodes, each a process of its own: Anna, Bora, and three of Bora's contacts whose nodes
hold letters for her. Everything is done as a person would: `postroad` commands, SMTP, IMAP, kill
-9. Exit status 0 only if every claim held. STAY=1 leaves Anna and Bora running for your mail
program.
"""

from __future__ import annotations

import contextlib
import email.message
import hashlib
import imaplib
import json
import os
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any

from rich.console import Console

HOLDERS = ("hana", "hugo", "hedi")
START_SECONDS_MAX = 20.0
WAIT_SECONDS_MAX = 30.0
LINK = os.environ.get("LINK", "iroh")
ROOT = Path(__file__).resolve().parents[1]


class ClaimFailed(Exception):
    """Something that Postroad promises did not happen."""


class Person:
    """Somebody with a node: its folder, its process, and what setup told them."""

    def __init__(self, name: str, base: Path, slot: int) -> None:
        self.name = name
        self.folder = base / name
        self.config = self.folder / "config.toml"
        self.process: subprocess.Popen[bytes] | None = None
        self.state = "not set up"
        self.address = self.password = ""
        self.smtp_port = self.imap_port = 0
        self.folder.mkdir()
        self.config.write_text(
            f'data = "{self.folder}/data"\nruntime = "{self.folder}/run"\n'
            f'peer_hosts = ["127.0.0.1"]\nlink = "{LINK}"\n'
            f"smtp_port = {10587 + slot}\nimap_port = {10143 + slot}\npeer_port = {46464 + slot}\n"
        )

    @property
    def title(self) -> str:
        return self.name.capitalize()

    def postroad(self, *words: str) -> dict[str, Any]:
        """Type a postroad command, and read its JSON answer."""
        command = [sys.executable, "-m", "postroad", "--config", str(self.config), *words, "--json"]
        done = subprocess.run(command, capture_output=True, timeout=90, check=False)
        answer: dict[str, Any] = json.loads(done.stdout or b'{"error": "no answer"}')
        if done.returncode:
            raise ClaimFailed(f"{self.title}: postroad {words[0]}: {answer['error']}")
        return answer

    def set_up(self) -> None:
        made = self.postroad("setup", "--name", self.name)
        self.address, self.password = made["address"], made["password"]
        self.smtp_port, self.imap_port = made["smtp_port"], made["imap_port"]

    def begin_start(self) -> None:
        log = open(self.folder / "log", "ab")  # noqa: SIM115  (the process keeps it)
        command = [sys.executable, "-m", "postroad", "--config", str(self.config), "run"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def end_start(self) -> None:
        until(lambda: self.answers(), f"{self.title}'s node starts", START_SECONDS_MAX)
        self.state = "on"

    def start(self) -> None:
        self.begin_start()
        self.end_start()

    def answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise ClaimFailed(f"{self.title}'s node ended:\n{self.last_words()}")
        with contextlib.suppress(OSError), imaplib.IMAP4("127.0.0.1", self.imap_port) as imap:
            imap.noop()
            return True
        return False

    def last_words(self) -> str:
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-8:])

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        self.state = "off"

    def destroy(self) -> None:
        """kill -9, and everything on its disk deleted."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        shutil.rmtree(self.folder / "data")
        self.state = "destroyed"

    @contextlib.contextmanager
    def imap(self) -> Iterator[imaplib.IMAP4]:
        with imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=20) as imap:
            imap.login(self.address, self.password)
            imap.select("INBOX")
            yield imap

    def find(self, subject: str) -> bytes | None:
        """The octets of the message with this subject in the INBOX, as IMAP gives them."""
        with self.imap() as imap:
            numbers = imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            if not numbers:
                return None
            answer = imap.fetch(numbers[-1], "(BODY.PEEK[])")[1][0]
            assert isinstance(answer, tuple)
            return answer[1]


class Stage:
    """Tells what happens, with the time since the beginning."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.began = time.monotonic()
        self.timeline: list[tuple[float, str]] = []

    def say(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/bold]")

    def done(self, text: str) -> None:
        at = time.monotonic() - self.began
        self.timeline.append((at, text))
        self.console.print(f"  [green]✓[/green] {at:6.2f} s  {text}")

    def show(self, people: list[Person]) -> None:
        marks = {
            "on": "[green]● on[/green]",
            "off": "[yellow]○ off[/yellow]",
            "destroyed": "[red]✗ destroyed[/red]",
        }
        row = "    ".join(f"{one.title} {marks.get(one.state, one.state)}" for one in people)
        self.console.print(f"             {row}")

    def tell_timeline(self) -> None:
        self.say("The timeline")
        for at, text in self.timeline:
            self.console.print(f"  {at:6.2f} s  {text}")


def until(holds: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS_MAX) -> None:
    """Wait for something to become true; ClaimFailed when it does not."""
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            raise ClaimFailed(f"This did not happen within {seconds:.0f} s: {what}.")
        time.sleep(0.02)


def meet(inviter: Person, guest: Person) -> None:
    """One invites, the other accepts; both find the other's introduction in their INBOX."""
    guest.postroad("accept", inviter.postroad("invite")["link"])


def write_letter(anna: Person, bora: Person) -> bytes:
    """A letter with an attachment, as a mail program would make it."""
    letter = email.message.EmailMessage()
    letter["From"] = f"Anna <{anna.address}>"
    letter["To"] = f"Bora <{bora.address}>"
    letter["Subject"] = "The plans"
    letter["Date"] = formatdate()
    letter["Message-ID"] = "<the-plans@postroad.alt>"
    letter.set_content("Dear Bora,\n\nhere are the plans. Do not lose them!\n\nAnna\n")
    plans = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(6000))
    letter.add_attachment(plans, maintype="application", subtype="pdf", filename="plans.pdf")
    return re.sub(rb"\r?\n", b"\r\n", letter.as_bytes())


def submit(anna: Person, bora: Person, octets: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", anna.smtp_port, timeout=20) as smtp:
        smtp.login(anna.address, anna.password)
        refused = smtp.sendmail(anna.address, [bora.address], octets)
    if refused:
        raise ClaimFailed(f"SMTP refused the letter: {refused}")


def is_held(anna: Person) -> bool:
    queue = anna.postroad("queue")["queue"]
    return len(queue) == 1 and queue[0]["holders"] == len(HOLDERS)


def play(stage: Stage, base: Path) -> None:
    anna, bora = Person("anna", base, 0), Person("bora", base, 1)
    holders = [Person(name, base, slot) for slot, name in enumerate(HOLDERS, 2)]
    everybody = [anna, bora, *holders]
    try:
        _prepare(stage, anna, bora, holders)
        if os.environ.get("STAY") == "1":
            stay(stage, anna, bora)
            return
        stage.say("Bora switches her computer off.")
        bora.stop()
        stage.done("Bora's node is stopped")
        stage.show(everybody)

        stage.say("Anna writes her a letter with an attachment, in her own mail program (SMTP).")
        octets = write_letter(anna, bora)
        submit(anna, bora, octets)
        stage.done(f"Anna's node said 250: it has the letter ({len(octets):,} bytes) on disk")
        until(lambda: is_held(anna), "all three holders keep the letter")
        stage.done("sealed, it waits at Hana, Hugo and Hedi: they can neither read nor change it")

        stage.say("Disaster: Anna's computer and one holder are destroyed, disks and all.")
        anna.destroy()
        holders[0].destroy()
        stage.done("kill -9 for Anna's and Hana's nodes, and their data deleted")
        stage.show(everybody)

        stage.say("Bora switches her computer on, and opens her mail program (IMAP).")
        began = time.monotonic()
        bora.start()
        stage.done("Bora's node is running")
        found: list[bytes] = []

        def arrived() -> bool:
            letter = bora.find("The plans")
            found.extend([letter] if letter else [])
            return bool(found)

        until(arrived, "the letter is in Bora's INBOX")
        seconds = time.monotonic() - began
        stage.done(f"the letter is in her INBOX, {seconds:.1f} s after she switched on")
        if not found[0].endswith(octets):
            raise ClaimFailed("the letter is not, byte for byte, what Anna wrote")
        digest = hashlib.sha256(octets).hexdigest()[:16]
        stage.done(f"byte for byte what Anna wrote (SHA-256 {digest}…), attachment included")
        stage.show(everybody)
    finally:
        for person in everybody:
            if person.process is not None and person.process.poll() is None:
                person.process.kill()
                person.process.wait(10)


def _prepare(stage: Stage, anna: Person, bora: Person, holders: list[Person]) -> None:
    everybody = [anna, bora, *holders]
    stage.say("Five people install Postroad. There is no mail server, and no account anywhere.")
    with ThreadPoolExecutor() as pool:  # five people, each at their own computer
        list(pool.map(Person.set_up, everybody))
    for person in everybody:
        person.begin_start()
    for person in everybody:
        person.end_start()
    stage.done(f"five nodes run, each a process of its own; {anna.title} is {anna.address}")
    stage.say("Bora knows Hana, Hugo and Hedi: they agree to hold letters for her. Anna joins.")
    for holder in holders:
        meet(bora, holder)
    until(
        lambda: bora.postroad("status")["holders"] == len(holders), "three contacts hold for Bora"
    )
    stage.done("Bora has three holders")
    meet(bora, anna)
    until(lambda: anna.find("You and Bora") is not None, "Bora's introduction reaches Anna")
    until(lambda: bora.find("Anna accepted") is not None, "Anna's introduction reaches Bora")
    stage.done("Anna accepted Bora's invitation; each has the other's signed letter in the INBOX")
    stage.show(everybody)


def stay(stage: Stage, anna: Person, bora: Person) -> None:
    """Leave them running until Ctrl-C, with the settings for a mail program."""
    for person in (anna, bora):
        stage.say(f"{person.title} in a mail program (normal password, no encryption: loopback):")
        stage.console.print(f"  address, user name  {person.address}")
        stage.console.print(f"  password            {person.password}")
        stage.console.print(f"  IMAP                127.0.0.1 port {person.imap_port}")
        stage.console.print(f"  SMTP                127.0.0.1 port {person.smtp_port}")
    stage.say("All five nodes run until you press Ctrl-C.")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


def main() -> int:
    stage = Stage()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "service"), str(ROOT / "tray")])
    base = Path(tempfile.mkdtemp(prefix="postroad-demo-"))
    try:
        play(stage, base)
    except (ClaimFailed, OSError, imaplib.IMAP4.error, smtplib.SMTPException) as error:
        stage.console.print(f"\n  [red]✗ {error}[/red]\n  The nodes' logs are in {base}")
        return 1
    except KeyboardInterrupt:
        stage.console.print("\nStopped.")
        return 130
    shutil.rmtree(base)
    if os.environ.get("STAY") != "1":
        stage.tell_timeline()
        stage.console.print("\n[bold green]All of it held.[/bold green] Nothing was lost.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
