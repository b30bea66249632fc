"""Whole computers that reach one another, each with one person who lives there.

Their networks are namespaces joined by veth pairs (tools/lab.py), each with an address that nodes
take for a public one; nothing leads out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from booted import Booted
from lab import Host, Lab
from person import until
from system.people import MAIL_PROGRAM, Resident

OWNERS = {"bookworm": "alice", "trixie": "bora", "noble": "cleo"}
SECONDS_MAX = 120.0
PROGRAMS = ("mutt", "msmtp", "isync")  # curl is there


@dataclass(frozen=True, slots=True)
class Computer:
    """One of them, its line to the others, and whose it is."""

    system: Booted
    host: Host
    lab: Lab
    owner: Resident

    def furnish(self, package: Path) -> None:
        """Install what is needed, and let its owner have an account."""
        self.system.add(*PROGRAMS)
        self.system.install(package)
        self.system.write(f"/opt/{MAIL_PROGRAM.name}", MAIL_PROGRAM.read_bytes())
        # There is no server of names in the laboratory, and mail programs ask for their own name.
        self.system.root("rm", "--force", "/etc/resolv.conf")
        name = self.owner.name
        if self.system.root("id", name, check=False).returncode != 0:
            self.system.root("useradd", "--create-home", "--shell=/bin/bash", name)
            self.system.root("loginctl", "enable-linger", name)

    def switch_off(self) -> None:
        self.system.power_off()
        self._be_silent()

    def pull_the_plug(self) -> None:
        self.system.cut_power()
        self._be_silent()

    def switch_on(self) -> None:
        """Nobody logs in by it."""
        self.lab.lose(self.host, 0)
        self.system.boot()

    def _be_silent(self) -> None:
        """Its namespace is still there, and would say that nothing listens."""
        self.lab.lose(self.host, 100)

    def on_their_way(self) -> list[str] | None:
        """How far each letter of its owner's is; None while its node does not answer yet."""
        asked = self.owner.type("postroad", "queue", "--json", check=False)
        if asked.returncode != 0:
            return None
        return [str(one["state"]) for one in json.loads(asked.stdout)["queue"]]

    def until_on_their_way(self, *states: str) -> None:
        what = f"{self.owner.name}'s letters are {list(states)}"
        until(lambda: self.on_their_way() == list(states), what, SECONDS_MAX)

    def process(self) -> int:
        """The node's, seen by root; 0: none runs. Nobody is logged in by asking."""
        asked = ("pgrep", "--uid", self.owner.name, "--full", "postroad run")
        return int((self.system.root(*asked, check=False).stdout.split() or ["0"])[0])

    def sessions(self) -> list[str]:
        """Of people who are logged in; a manager of services that linger is nobody's."""
        listed = self.system.root("loginctl", "list-sessions", "--no-legend").stdout
        named = [line.split()[0] for line in listed.splitlines()]
        show = ("loginctl", "show-session", "--value", "--property=Class")
        return [one for one in named if self.system.root(*show, one).stdout.strip() == "user"]
