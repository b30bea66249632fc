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
import os
import re
import shutil
import signal
import smtplib
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path

from rich.console import Console

from person import ClaimFailed, Person, meet, until

HOLDERS = ("hana", "hugo", "hedi")


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
        anna.submit(bora.address, octets)
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
            person.kill()


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
