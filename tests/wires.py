"""Networks of our own: namespaces with a cable between them, for nodes as real processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import dev

TOOLS = ("ip", "unshare", "nsenter")


@dataclass(frozen=True, slots=True)
class Computer:
    """A network namespace with loopback and one end of a cable, whose other end is elsewhere."""

    keeper: int  # the process that keeps it
    cable: str

    @property
    def enter(self) -> tuple[str, ...]:
        """What to put before a command that should run there."""
        return ("nsenter", f"--net=/proc/{self.keeper}/ns/net")

    def run(self, *command: str) -> str:
        done = subprocess.run(
            [*self.enter, *command], check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout

    def python(self, program: str, *arguments: str) -> str:
        return self.run(sys.executable, "-c", program, *arguments)

    def plug_in(self) -> None:
        self.run("ip", "link", "set", self.cable, "up")

    def pull_out(self) -> None:
        self.run("ip", "link", "set", self.cable, "down")


def are_allowed() -> bool:
    """Whether namespaces and cables can be made here."""
    if dev.lacking(*TOOLS) or os.geteuid() != 0:
        return False
    try:
        with two_computers():
            return True
    except (OSError, subprocess.SubprocessError):
        return False


@contextlib.contextmanager
def two_computers() -> Iterator[tuple[Computer, Computer]]:
    """Two computers with one cable between them, not yet plugged in, and no other network."""
    keepers: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(2):
            command = ["unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"]
            keeper = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert keeper.stdout is not None
            keepers.append(keeper)
            if keeper.stdout.readline() != b"ready\n":
                raise OSError("no network namespace is allowed here")
        ends = [f"prw{os.getpid() % 100000}{side}" for side in "ab"]
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        made = tuple(Computer(keeper.pid, end) for keeper, end in zip(keepers, ends, strict=True))
        for number, computer in enumerate(made, 1):
            ip("link", "set", computer.cable, "netns", str(computer.keeper))
            computer.run("ip", "link", "set", "lo", "up")
            computer.run("ip", "address", "add", f"10.77.0.{number}/24", "dev", computer.cable)
        one, other = made
        yield one, other
    finally:
        for keeper in keepers:
            keeper.kill()
            keeper.wait(10)
            assert keeper.stdout is not None
            keeper.stdout.close()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)
