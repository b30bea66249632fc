"""People whom mail programs serve: each has a node of their own, a process like any other."""

import contextlib
import imaplib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import postroad

START_SECONDS_MAX = 30.0
ARRIVAL_SECONDS_MAX = 30.0
SERVICE = Path(postroad.__file__).parents[1]


def link() -> str:
    """iroh where loopback is the only network, as under `make test`; else TLS, which stays quiet.

    An iroh endpoint looks for routers by multicast, and tests send nothing out of this machine."""
    only_loopback = [name for _, name in socket.if_nameindex()] == ["lo"]
    return os.environ.get("LINK") or ("iroh" if only_loopback else "tls")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def until(holds: Callable[[], object], what: str, seconds: float = ARRIVAL_SECONDS_MAX) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


class Person:
    """Somebody whose node is set up and runs until `stop`."""

    def __init__(self, name: str, folder: Path) -> None:
        folder.mkdir()
        self.name = name
        self._folder = folder
        self._config = folder / "config.toml"
        self._config.write_text(
            f'data = "{folder}/data"\nruntime = "{folder}/run"\nlink = "{link()}"\n'
            f'peer_hosts = ["127.0.0.1"]\npeer_port = {free_port()}\n'
            f"smtp_port = {free_port()}\nimap_port = {free_port()}\n"
        )
        made = self.postroad("setup", "--name", name)
        self.address: str = made["address"]
        self.password: str = made["password"]
        self.smtp_port: int = made["smtp_port"]
        self.imap_port: int = made["imap_port"]
        self._process = self._start()

    def postroad(self, *words: str) -> dict[str, Any]:
        """Type a postroad command, and read its JSON answer."""
        done = subprocess.run(
            [*self._command(), *words, "--json"],
            env=self._environment(),
            capture_output=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    @contextlib.contextmanager
    def mailbox(self, folder: str = "INBOX") -> Iterator[imaplib.IMAP4]:
        with imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=20) as imap:
            imap.login(self.address, self.password)
            imap.select(folder)
            yield imap

    def find(self, subject: str, folder: str = "INBOX") -> bytes | None:
        """The octets of the last message with this subject in a folder."""
        with self.mailbox(folder) as imap:
            numbers = imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            if not numbers:
                return None
            answer = imap.fetch(numbers[-1], "(BODY.PEEK[])")[1][0]
            assert isinstance(answer, tuple)
            octets: bytes = answer[1]
            return octets

    def meet(self, guest: "Person") -> None:
        """Invite somebody, who accepts; both have heard of each other when this returns."""
        guest.postroad("accept", self.postroad("invite")["link"])
        until(lambda: guest.knows(self), f"{guest.name} has heard of {self.name}")
        until(lambda: self.knows(guest), f"{self.name} has heard of {guest.name}")

    def knows(self, other: "Person") -> bool:
        known = self.postroad("contacts")["contacts"]
        return any(person["address"] == other.address for person in known)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _start(self) -> "subprocess.Popen[bytes]":
        with open(self._folder / "log", "ab") as log:
            process = subprocess.Popen(
                [*self._command(), "run"], env=self._environment(), stdout=log, stderr=log
            )
        until(lambda: self._answers(process), f"{self.name}'s node starts", START_SECONDS_MAX)
        return process

    def _answers(self, process: "subprocess.Popen[bytes]") -> bool:
        assert process.poll() is None, (self._folder / "log").read_text(errors="replace")
        with contextlib.suppress(OSError), imaplib.IMAP4("127.0.0.1", self.imap_port):
            return True
        return False

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "postroad", "--config", str(self._config)]

    def _environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(SERVICE)}
