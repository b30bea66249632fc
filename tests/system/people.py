"""Somebody who has an account in a booted system, and does there what a person does.

Everything is done in a session of their own, by the programs that are installed in the system.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import answer_check
from booted import Booted
from person import until
from programs.transcript import Somebody
from roots import PEOPLE
from whole_system import Done, WholeSystem

MAIL_PROGRAM = Path(__file__).parent / "inside" / "mail.py"
STORE_PROGRAM = Path(__file__).parent / "inside" / "store.py"
SERVICE = "postroad.service"
MAIL_SECONDS_MAX = 60
Figure = Callable[[str, float], None]
"""Takes what was measured, and the seconds."""


class Inhabitant(Somebody):
    """Somebody of a page who has an account in a booted system."""

    def __init__(self, system: Booted, name: str) -> None:
        super().__init__(name, Path(f"/home/{name}"), dict(os.environ))
        self._system = system

    def at_a_terminal(self, line: str) -> list[str]:
        return self._system.at_a_terminal(self.name, line)

    def kept(self, name: str) -> str:
        return self._system.root("cat", self.home / name, check=False).stdout


class Resident:
    """Their name in the system, and what setup told them."""

    def __init__(self, system: WholeSystem, name: str) -> None:
        self.system, self.name = system, name
        self.address = self.password = self.words = ""
        self.smtp_port = self.imap_port = self.pop3_port = 0

    @property
    def booted(self) -> Booted:
        """Their system, where it has to be one that shares this machine's kernel."""
        assert isinstance(self.system, Booted)
        return self.system

    def type(self, *words: str, stdin: str = "", check: bool = True) -> Done:
        """Type a command; AssertionError with what it said when it fails, unless not to check."""
        return self.system.user(self.name, *words, stdin=stdin, check=check)

    def postroad(self, *words: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.type("postroad", *words, "--json").stdout)
        assert answer_check.fault(words, answer) == ""
        return answer

    def systemctl(self, *words: str, check: bool = True) -> str:
        return self.type("systemctl", "--user", *words, check=check).stdout.strip()

    def shown(self, what: str, unit: str = SERVICE) -> str:
        return self.systemctl("show", "--value", f"--property={what}", unit)

    def process(self) -> int:
        """The service's, as the system numbers them."""
        return int(self.shown("MainPID"))

    def said_of_it(self) -> str:
        """What systemd said of the service."""
        return self.system.journal(f"USER_UNIT={SERVICE}", f"_UID={PEOPLE[self.name]}")

    def said_of_leaving(self) -> str:
        """What was said when the sandbox was denied, among what the node says. By its unit it may
        not be found: whoever said it was gone before a busy journald looked whose it was."""
        return self.system.journal("SYSLOG_IDENTIFIER=postroad", f"_UID={PEOPLE[self.name]}")

    @contextlib.contextmanager
    def drop_in(self, name: str, text: str) -> Iterator[None]:
        """Their service is another for this time, as its owner may change it."""
        folder = f"$HOME/.config/systemd/user/{SERVICE}.d"
        script = f'mkdir -p "{folder}" && cat > "{folder}/{name}.conf"'
        self.type("sh", "-c", script, stdin=text)
        try:
            self.systemctl("daemon-reload")
            yield
        finally:
            self.type("sh", "-c", f'rm "{folder}/{name}.conf"')
            self.systemctl("daemon-reload")

    def configure(self, **values: str | int | None) -> None:
        """Write these keys into the configuration; None: as if it said nothing of it."""
        file = ".config/postroad/config.toml"
        said = self.type("cat", file).stdout.splitlines()
        kept = [line for line in said if line.partition("=")[0].strip() not in values]
        new = [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
        self.type("sh", "-c", f"cat > {file}", stdin="\n".join([*kept, *new, ""]))

    def is_in_its_sandbox(self) -> bool:
        """As the kernel has it."""
        mapped = self.system.root("cat", f"/proc/{self.process()}/uid_map").stdout.split()
        return mapped[2] == "1"

    def status_of_process(self) -> dict[str, str]:
        """What the kernel says of the service, by its names for it."""
        text = self.system.root("cat", f"/proc/{self.process()}/status").stdout
        return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.MULTILINE))

    def exposure(self) -> float:
        """How much of the service is exposed, as systemd counts it: 0 to 10."""
        told = self.type("systemd-analyze", "--user", "--no-pager", "security", SERVICE).stdout
        (figure,) = re.findall(r"exposure level for \S+: ([\d.]+)", told)
        return float(figure)

    def problems(self) -> list[str]:
        """Their codes, as the node tells them."""
        return [one["code"] for one in self.postroad("status")["problems"]]

    def set_up(self) -> None:
        made = self.postroad("setup", "--name", self.name)
        self.address, self.password = made["address"], made["password"]
        self.words = made["words"]
        self.smtp_port, self.imap_port = made["smtp_port"], made["imap_port"]
        self.pop3_port = made["pop3_port"]
        assert made["service"], "setup has not made the node a service"

    # --- their mail program -----------------------------------------------------------------------

    def mail(self, do: str, seconds: float = MAIL_SECONDS_MAX, **request: Any) -> dict[str, Any]:
        """See inside/mail.py."""
        done = self.system.user(
            self.name,
            *("python3", f"/opt/{MAIL_PROGRAM.name}"),
            stdin=json.dumps(self._request(do, seconds, request)),
            seconds=seconds + MAIL_SECONDS_MAX,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def begin_mail(self, do: str, seconds: float = 600, **request: Any) -> Callable[[], Any]:
        """The same beside something else; what it answered is got by a call."""
        return self._begin(MAIL_PROGRAM, seconds, self._request(do, seconds, request))

    def begin_with_store(self, do: str, **request: Any) -> Callable[[], Any]:
        """See inside/store.py; what it answered is got by a call."""
        store = f"/home/{self.name}/.local/share/postroad/postroad.sqlite"
        return self._begin(STORE_PROGRAM, 300, {"do": do, "store": store, **request})

    def _begin(self, program: Path, seconds: float, request: dict[str, Any]) -> Callable[[], Any]:
        self.booted.write(f"/opt/{program.name}", program.read_bytes())
        begun = self.booted.begin(self.name, "python3", f"/opt/{program.name}")
        assert begun.stdin is not None
        begun.stdin.write(json.dumps(request))
        begun.stdin.close()
        begun.stdin = None  # so that communicate() leaves it alone

        def answer() -> Any:
            try:
                told, complaints = begun.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                begun.kill()
                raise
            assert begun.returncode == 0, complaints
            return json.loads(told)

        return answer

    @contextlib.contextmanager
    def trying_to_take(self, ports: Sequence[int], tries_min: int = 100) -> Iterator[None]:
        """While within, they try to get these ports in every way; nobody's port is got by that."""
        end = f"/tmp/{uuid.uuid4()}"
        taking = self.begin_mail("take_ports", ports=ports, until=end)
        yield
        self.type("touch", end)
        told = taking()
        assert told["taken"] == []
        assert told["tries"] > tries_min

    def _request(self, do: str, seconds: float, more: dict[str, Any]) -> dict[str, Any]:
        mine = {name: getattr(self, name) for name in ("address", "password")}
        ports = {"smtp_port": self.smtp_port, "imap_port": self.imap_port}
        return {"do": do, "seconds": seconds, **mine, **ports, **more}

    def send(self, to: Resident, *subjects: str) -> None:
        told = self.mail("submit", to=to.address, subjects=subjects)
        assert told["accepted"] == list(subjects), told["failed"]

    def expect(self, *subjects: str) -> None:
        """All of these come into the INBOX, each of them once."""
        found = self.mail("subjects", expected=subjects)["subjects"]
        counted = {subject: found.count(subject) for subject in subjects}
        assert counted == dict.fromkeys(subjects, 1), f"{self.name} has {found}"

    def greeting(self, port: int, host: str = "127.0.0.1") -> str:
        return str(self.mail("greeting", host=host, port=port)["greeting"])


def meet(inviter: Resident, guest: Resident) -> None:
    """One invites, the other accepts, and each has the other's letter."""
    guest.type("postroad", "accept", "--json", stdin=inviter.postroad("invite")["link"] + "\n")
    inviter.expect(f"{guest.name.capitalize()} accepted your invitation")
    guest.expect(f"You and {inviter.name.capitalize()} can write to each other now")


@contextlib.contextmanager
def letters_passing(one: Resident, other: Resident) -> Iterator[None]:
    """While within, both write to each other all the time; then all of it has come, and once."""
    name = uuid.uuid4().hex[:8]
    end = f"/tmp/{name}"
    begun = [
        (reader, writer.begin_mail("load", prefix=name, to=reader.address, until=end))
        for writer, reader in ((one, other), (other, one))
    ]
    yield
    one.system.root("touch", end)
    for reader, told_by in begun:
        told = told_by()
        assert told["gave_up"] == ""
        found = reader.mail("subjects", expected=told["accepted"])["subjects"]
        mine = [subject for subject in found if subject.startswith(name)]
        assert set(mine) == set(told["accepted"])
        # Whoever heard no answer sends again, and only then may a letter come twice.
        assert len(mine) - len(set(mine)) <= told["again"]


@contextlib.contextmanager
def a_letter_in_two_halves(writer: Resident, reader: Resident) -> Iterator[None]:
    """While within, one half of its octets is handed over; with the other half nobody is told that
    it was accepted, and sent again it comes."""
    name = uuid.uuid4().hex[:8]
    begun, go_on = f"/tmp/{name}-begun", f"/tmp/{name}-go-on"
    subject = f"{name} in two halves"
    waiting = writer.begin_mail(
        "half_a_letter", subject=subject, to=reader.address, begun=begun, until=go_on
    )
    is_there = ("test", "-e", begun)
    until(lambda: writer.system.root(*is_there, check=False).returncode == 0, "it is begun")
    yield
    writer.system.root("touch", go_on)
    assert waiting()["reply"] != 250
    writer.send(reader, subject)
    reader.expect(subject)
