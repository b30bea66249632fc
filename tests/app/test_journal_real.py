"""A letter's journey, read with `postroad log` out of real journals: one on each side."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from needed import needs
from person import Person, meet, surroundings, until

SLOT = 60
JOURNALD = Path("/lib/systemd/systemd-journald")
PLACE = """
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
if [ -d /var/log/journal ]; then mount -t tmpfs tmpfs /var/log/journal; fi
exec "$0"
"""
CONNECTED = 'export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); exec "$@"'
pytestmark = [
    needs("journalctl"),
    pytest.mark.skipif(
        os.geteuid() != 0 or not JOURNALD.exists(), reason="needs root and systemd's journald"
    ),
]


class Journal:
    """A journald with a /run of its own, and a node whose stderr it reads."""

    def __init__(self, owner: Person) -> None:
        self._owner = owner
        self._journald = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-ec", PLACE, str(JOURNALD)],
            stderr=subprocess.DEVNULL,
        )
        self.inside = ["nsenter", "-t", str(self._journald.pid), "-m", "--"]
        until(self._answers, "journald listens")

    def _answers(self) -> bool:
        command = [*self.inside, "test", "-S", "/run/systemd/journal/stdout"]
        listing = [*self.inside, "findmnt", "-n", "-o", "FSTYPE", "/run"]
        done = subprocess.run(listing, capture_output=True, text=True, check=False)
        return "tmpfs" in done.stdout and subprocess.run(command, check=False).returncode == 0

    def start(self) -> None:
        connected = ["systemd-cat", "--identifier=postroad", "sh", "-c", CONNECTED, "sh"]
        self._owner.begin_start(*self.inside, *connected)
        self._owner.end_start()

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A postroad command where this journal is."""
        subprocess.run([*self.inside, "journalctl", "--sync"], check=True)
        return subprocess.run(
            [*self.inside, *self._owner.command, *words],
            capture_output=True,
            text=True,
            env=surroundings(),
            check=False,
            timeout=60,
        )

    def lines(self, *words: str) -> list[dict[str, Any]]:
        done = self.type("log", *words, "--json")
        assert done.returncode == 0, done
        found: list[dict[str, Any]] = json.loads(done.stdout)["lines"]
        return found

    def close(self) -> None:
        self._owner.kill()
        self._journald.terminate()
        self._journald.wait(10)


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[dict[str, tuple[Person, Journal]]]:
    people = {name: Person(name, tmp_path, SLOT + at) for at, name in enumerate(("anna", "bora"))}
    with contextlib.ExitStack() as cleanup:
        found = {}
        for name, person in people.items():
            person.set_up()
            journal = Journal(person)
            cleanup.callback(journal.close)
            journal.start()
            found[name] = (person, journal)
        yield found


def test_one_letters_story_is_read_on_both_sides(
    journals: dict[str, tuple[Person, Journal]],
) -> None:
    (anna, hers), (bora, his) = journals["anna"], journals["bora"]
    meet(anna, bora)
    subject, body = "Kiefernzapfen", "Gefriergutschein"
    letter = f"From: {anna.address}\r\nTo: {bora.address}\r\nSubject: {subject}\r\n\r\n{body}\r\n"
    anna.submit(bora.address, letter.encode())
    until(lambda: bora.find(subject), "the letter arrives")

    def delivered() -> bool:
        return any(one.get("state") == "delivered" and "parcel" in one for one in hers.lines())

    until(delivered, "the receipt comes")
    last = [one for one in hers.lines() if one.get("state") == "delivered"][-1]
    nonce, number = last["letter"], last["parcel"]

    story = hers.lines(number)
    told = [one["text"].partition(" letter=")[0] for one in story]
    assert told[0] == "letter accepted"
    assert "parcel sealed" in told
    assert told[-1] == "parcel delivered"
    assert hers.lines(nonce) == story
    (mail,) = {one["mail"] for one in story if "mail" in one}
    assert hers.lines(mail) == story
    filed = his.lines(mail)
    assert filed == his.lines(nonce)
    assert "letter filed" in [one["text"].partition(" letter=")[0] for one in filed]
    assert hers.lines("999999") == []

    shown = hers.type("log", number).stdout.splitlines()
    assert len(shown) == len(story)
    ends = f" parcel delivered letter={nonce} parcel={number} state=delivered"
    assert shown[-1].endswith(ends)
    assert "nothing of a letter 999999" in hers.type("log", "999999").stdout
    assert hers.type("log", "../x").returncode == 2
    assert len(hers.lines("-n", "2")) == 2

    for person, journal in journals.values():
        whole = journal.type("log", "-n", "100000").stdout
        assert "node started" in whole
        secrets = {subject, body, person.password, *person.password.split("-")}
        assert {one for one in secrets if one in whole} == set()


def test_what_comes_is_followed(journals: dict[str, tuple[Person, Journal]]) -> None:
    anna, hers = journals["anna"]
    command = [*hers.inside, *anna.command, "log", "-f"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=surroundings(), text=True
    ) as follows:
        assert follows.stdout is not None
        assert any("node started" in line for line in follows.stdout)
        anna.postroad("pause")
        assert any(" paused" in line for line in follows.stdout)
        follows.send_signal(2)
        assert follows.wait(20) == 0
