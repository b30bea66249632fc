"""Somebody with a node: real processes, driven as a person would, for demo, tests and benchmarks.

Everything goes through the front doors: `postroad` commands, SMTP, IMAP, signals.
"""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import answer_check
import dev

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS_MAX = 20.0
WAIT_SECONDS_MAX = 30.0
# Far enough from each other for a hundred slots: POP3's own default is 33 before IMAP's.
SMTP_PORT, IMAP_PORT, POP3_PORT, PEER_PORT = 10587, 10143, 10330, 46464


class ClaimFailed(Exception):
    """Something that Postroad promises did not happen."""


def until(holds: Callable[[], object], what: str, seconds: float = WAIT_SECONDS_MAX) -> None:
    """Wait for something to become true; ClaimFailed when it does not."""
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            raise ClaimFailed(f"This did not happen within {seconds:.0f} s: {what}.")
        time.sleep(0.02)


class Place(Protocol):
    """Where somebody's computer stands: what is begun `inside` has its network (tools/lab.py)."""

    def inside(self, work: Callable[[], T]) -> T: ...


class Here:
    """The network that we have ourselves."""

    def inside(self, work: Callable[[], T]) -> T:
        return work()


class Person:
    """Somebody with a node: its folder, its process, and what setup told them."""

    def __init__(
        self,
        name: str,
        base: Path,
        slot: int,
        more: str = "",
        *,
        link: str | None = None,
        place: Place | None = None,
        peer_hosts: Sequence[str] = ("127.0.0.1",),
    ) -> None:
        """`slot` keeps the ports of people on one machine apart; `more`: configuration lines.

        `link`: iroh or tls, by default what LINK= says."""
        link = link or os.environ.get("LINK") or "iroh"
        self.place = place or Here()
        self.name = name
        self.folder = base / name
        self.config = self.folder / "config.toml"
        self.process: subprocess.Popen[bytes] | None = None
        self.state = "not set up"
        self.address = self.password = ""
        self.smtp_port = self.imap_port = self.pop3_port = 0
        self.folder.mkdir()
        (self.folder / "data").mkdir(mode=0o700)  # a folder that the configuration names is there
        self.config.write_text(
            f'data = "{self.folder}/data"\nruntime = "{self.folder}/run"\n'
            f'peer_hosts = {json.dumps(list(peer_hosts) or ["*"])}\nlink = "{link}"\n'
            f"smtp_port = {SMTP_PORT + slot}\nimap_port = {IMAP_PORT + slot}\n"
            f"pop3_port = {POP3_PORT + slot}\n"
            f"peer_port = {PEER_PORT + slot}\n"
            # On loopback nobody has a public address; in the laboratory they have.
            f"dial_private = {json.dumps(bool(peer_hosts))}\n{more}"
        )

    @property
    def title(self) -> str:
        return self.name.capitalize()

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "postroad", "--config", str(self.config)]

    def type(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Type a postroad command, and answer `stdin` to what it asks."""
        return self.place.inside(
            lambda: subprocess.run(
                [*self.command, *words],
                input=stdin,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
                env=surroundings(),
            )
        )

    def postroad(self, *words: str) -> dict[str, Any]:
        """Type a postroad command, and read its JSON answer; ClaimFailed with its error."""
        done = self.type(*words, "--json")
        answer: dict[str, Any] = json.loads(done.stdout or '{"error": "no answer"}')
        if fault := answer_check.fault(words, answer) if done.stdout else "":
            raise ClaimFailed(fault)
        if done.returncode:
            said = f"{self.title}: postroad {words[0]}: {answer['error']}"
            raise ClaimFailed(f"{said}{self._how_it_ended()}")
        return {name: value for name, value in answer.items() if name != "version"}

    def set_up(self) -> None:
        self.take_answer(self.postroad("setup", "--name", self.name))

    def take_answer(self, made: dict[str, Any]) -> None:
        """What `postroad setup` told them."""
        self.address, self.password = made["address"], made["password"]
        self.smtp_port, self.imap_port = made["smtp_port"], made["imap_port"]
        self.pop3_port = made["pop3_port"]

    def begin_start(self, *under: str) -> None:
        """`under`: a command that runs the node's command, such as strace with its options."""
        log = open(self.folder / "log", "ab")  # noqa: SIM115  (closed once the process has it)
        command = [*under, *self.command, "run"]
        self.process = self.place.inside(
            lambda: subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=surroundings()
            )
        )
        log.close()

    def end_start(self) -> None:
        until(lambda: self.answers(), f"{self.title}'s node starts", START_SECONDS_MAX)
        self.state = "on"

    def start(self) -> None:
        self.begin_start()
        self.end_start()

    def answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise ClaimFailed(f"{self.title}'s node ended:\n{self.last_words()}")
        # A node that is killed or fails after it took our connection ends it without a greeting.
        with (
            contextlib.suppress(OSError, imaplib.IMAP4.abort),
            self._connected(START_SECONDS_MAX) as imap,
        ):
            imap.noop()
            return True
        return False

    def memory_bytes(self, name: str) -> int:
        """What the kernel says of the process's memory: VmRSS is now, VmHWM the most ever."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
        return int(line.split()[1]) * 1024

    def _how_it_ended(self) -> str:
        """Something to say of a node that should be on, and is not."""
        status = self.process.poll() if self.process is not None and self.state == "on" else None
        return "" if status is None else f"\nIts node ended ({status}):\n{self.last_words()}"

    def last_words(self) -> str:
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-8:])

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        self.state = "off"

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self.state = "off"

    def destroy(self) -> None:
        """kill -9, and everything on its disk deleted."""
        self.kill()
        shutil.rmtree(self.folder / "data")
        self.state = "destroyed"

    def submit(self, to: str, octets: bytes) -> None:
        """Hand a letter to the node by SMTP, as a mail program does."""
        with self.place.inside(
            lambda: smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=60)
        ) as smtp:
            smtp.login(self.address, self.password)
            smtp.sendmail(self.address, [to], octets)

    @contextlib.contextmanager
    def imap(self, folder: str = "INBOX") -> Iterator[imaplib.IMAP4]:
        with self._connected(20) as imap:
            imap.login(self.address, self.password)
            status, told = imap.select(folder)
            if status != "OK":
                raise ClaimFailed(f"{self.title}'s {folder} does not open: {told}")
            yield imap

    @contextlib.contextmanager
    def _connected(self, seconds: float) -> Iterator[imaplib.IMAP4]:
        imap = self.place.inside(
            lambda: imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=seconds)
        )
        try:
            yield imap
            imap.logout()
        finally:
            with contextlib.suppress(OSError):  # imaplib keeps the socket when a node dies
                imap.shutdown()

    def find(self, subject: str, folder: str = "INBOX") -> bytes | None:
        """The octets of the last message with this subject in a folder, as IMAP gives them."""
        with self.imap(folder) as imap:
            numbers = imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            if not numbers:
                return None
            answer = imap.fetch(numbers[-1], "(BODY.PEEK[])")[1][0]
            assert isinstance(answer, tuple)
            return answer[1]


@contextlib.contextmanager
def people(purpose: str, *names: str) -> Iterator[list[Person]]:
    """People whose nodes run; they are killed in the end, and their folders removed if all went
    well."""
    base = Path(tempfile.mkdtemp(prefix=f"postroad-{purpose}-"))
    everybody = [Person(name, base, slot) for slot, name in enumerate(names)]
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(Person.set_up, everybody))
            list(pool.map(Person.start, everybody))
        yield everybody
    finally:
        for person in everybody:
            person.kill()
    shutil.rmtree(base)


@contextlib.contextmanager
def ended(everybody: Iterable[Person]) -> Iterator[None]:
    """Whose node runs is killed when this is left, however that is."""
    try:
        yield
    finally:
        for person in everybody:
            person.kill()


def surroundings() -> dict[str, str]:
    """The environment of the node's processes."""
    rooms = os.pathsep.join([str(ROOT / "service"), str(ROOT / "tray")])
    ours = {**os.environ, "PYTHONPATH": rooms}
    dev.keep_compiled(ours)
    return ours


def meet(inviter: Person, guest: Person) -> None:
    """One invites, the other accepts, and each waits for the other's letter."""
    guest.postroad("accept", inviter.postroad("invite")["link"])
    until(
        lambda: inviter.find(f"{guest.title} accepted") is not None,
        f"{guest.title}'s introduction reaches {inviter.title}",
    )
    until(
        lambda: guest.find(f"You and {inviter.title}") is not None,
        f"{inviter.title}'s introduction reaches {guest.title}",
    )


def knock(author: Person, to: Person, subject: str) -> None:
    """A stranger's letter, as soon as the directory shows whom it is for."""
    octets = (
        f"From: {author.title} <{author.address}>\r\nTo: {to.address}\r\n"
        f"Subject: {subject}\r\n\r\nHello!\r\n"
    )

    def is_taken() -> bool:
        try:
            author.submit(to.address, octets.encode())
        except OSError:  # smtplib's: 550 while nobody is found
            return False
        return True

    until(is_taken, f"{to.title} is found in the directory", 60.0)
