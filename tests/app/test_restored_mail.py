"""What mail programs see that know the mail of before a loss: exactly what is there now, and never
another letter under a name that they know; and two computers restored from one backup."""

from __future__ import annotations

import json
import os
import poplib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from app.test_backup import Scene, scene
from app.test_node import all_subjects, letter
from person import Person, until

__all__ = ["scene"]
SLOT = 64
LARGE = "A line of a large letter, which has a file of its own.\n" * 3000
UID = re.compile(rb"UID (\d+)")
FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")


@dataclass
class Kept:
    """A folder as a program remembers it."""

    validity: bytes
    flags: dict[int, frozenset[bytes]] = field(default_factory=dict)
    octets: dict[int, bytes] = field(default_factory=dict)


class MailProgram:
    """One that works offline (RFC 4549): it fetches letters of which it does not know the UID, the
    flags of all, and forgets what is not there any more; all of a folder of another UIDVALIDITY."""

    def __init__(self) -> None:
        self.folders: dict[str, Kept] = {}
        self.fetched = 0

    def synchronise(self, reader: Person, *names: str) -> None:
        with reader.imap() as imap:
            for name in names:
                imap.select(name, readonly=True)
                validity = imap.response("UIDVALIDITY")[1][0]
                kept = self.folders.get(name)
                if kept is None or kept.validity != validity:
                    kept = self.folders[name] = Kept(validity)
                lines = [one for one in imap.uid("fetch", "1:*", "(FLAGS)")[1] if one]
                kept.flags = {_uid(one): _flags(one) for one in lines}
                for uid in kept.octets.keys() - kept.flags.keys():
                    del kept.octets[uid]
                for uid in sorted(kept.flags.keys() - kept.octets.keys()):
                    answer = imap.uid("fetch", str(uid), "(BODY.PEEK[])")[1][0]
                    assert isinstance(answer, tuple)
                    kept.octets[uid] = answer[1]
                    self.fetched += 1


def _uid(line: object) -> int:
    assert isinstance(line, bytes)
    found = UID.search(line)
    assert found is not None, line
    return int(found[1])


def _flags(line: object) -> frozenset[bytes]:
    assert isinstance(line, bytes)
    found = FLAGS.search(line)
    assert found is not None, line
    return frozenset(found[1].split()) - {b"\\Recent"}


class Fetcher:
    """A POP3 program that leaves letters on the server, and knows them by their UIDL."""

    def __init__(self) -> None:
        self.octets: dict[bytes, bytes] = {}

    def fetch(self, reader: Person) -> list[bytes]:
        """The letters that it takes for new ones."""
        client = poplib.POP3("127.0.0.1", reader.pop3_port, timeout=20)
        try:
            client.user(reader.address)
            client.pass_(reader.password)
            new = []
            for line in client.uidl()[1]:
                number, name = line.split()
                octets = b"\r\n".join(client.retr(int(number))[1])
                if name in self.octets:
                    assert self.octets[name] == octets, "another letter has a name that it knows"
                else:
                    self.octets[name] = octets
                    new.append(octets)
            return new
        finally:
            client.quit()


class Witness:
    """Remembers every letter under every name that was ever given out."""

    def __init__(self) -> None:
        self._ever: dict[tuple[str, bytes, int], bytes] = {}

    def see(self, program: MailProgram) -> None:
        for name, kept in program.folders.items():
            for uid, octets in kept.octets.items():
                assert self._ever.setdefault((name, kept.validity, uid), octets) == octets


@dataclass(frozen=True)
class Alone:
    """Anna, who writes to herself, on one computer after the other."""

    folder: Path
    words: str
    password: str
    backup: Path

    def restored(self, name: str, slot: int) -> Person:
        other = Person(name, self.folder, slot)
        command = ("setup", "--restore", str(self.backup), "--json")
        done = other.type(*command, stdin=self.words)
        assert done.returncode == 0, done
        other.take_answer({**json.loads(done.stdout), "password": self.password})
        other.start()
        return other


@pytest.fixture
def folder(quiet_network: None) -> Iterator[Path]:
    made = Path("/tmp") / f"pr-{os.getpid()}-restored"  # a socket's path is short
    made.mkdir(mode=0o700)
    yield made
    subprocess.run(["rm", "-r", str(made)], check=True)


def write(person: Person, subject: str, body: str = "Hello!") -> None:
    """To herself: it needs nobody else."""
    person.submit(person.address, letter(person, person, subject, body))
    until(lambda: person.find(subject), f"{subject} is filed")


def test_programs_that_know_the_lost_mail_see_what_is_there_and_no_letter_under_another_s_name(
    folder: Path,
) -> None:
    """Also when the same backup is restored a second time, after a life of its own."""
    anna = Person("anna", folder, SLOT)
    made = anna.postroad("setup", "--name", "anna")
    anna.take_answer(made)
    home = Alone(folder, made["words"], anna.password, folder / "stick")
    program, fetcher, witness = MailProgram(), Fetcher(), Witness()
    lives = [anna]

    def look(person: Person) -> tuple[int, list[bytes]]:
        """How many letters both programs fetched, now that they know exactly what there is."""
        before = program.fetched
        program.synchronise(person, "INBOX", "Family")
        fresh = MailProgram()
        fresh.synchronise(person, "INBOX", "Family")
        assert program.folders == fresh.folders
        witness.see(program)
        return program.fetched - before, fetcher.fetch(person)

    try:
        anna.start()
        for number in range(4):
            write(anna, f"kept {number}", LARGE if number == 3 else "Hello!")
        with anna.imap() as imap:
            imap.create("Family")
            imap.copy("1:2", "Family")
            imap.store("2", "+FLAGS", r"(\Flagged)")
        assert look(anna)[0] == 6
        kept = dict(program.folders["INBOX"].flags)
        anna.postroad("backup", "to", str(home.backup))
        # The life that will be lost: new letters, other flags, one letter less.
        for number in range(3):
            write(anna, f"lost {number}")
        with anna.imap() as imap:
            imap.store("1:*", "+FLAGS", r"(\Seen \Answered)")
            imap.copy("5:*", "Family")
            imap.store("3", "+FLAGS", r"(\Deleted)")
            imap.expunge()
        assert look(anna)[0] == 6
        lost = program.folders["INBOX"].octets.keys() - kept.keys()
        assert len(lost) == 3

        for name in ("second", "third"):
            lives[-1].destroy()
            lives.append(home.restored(name, SLOT + len(lives)))
            fetched, new = look(lives[-1])
            assert fetched == 1, "the one that was expunged, and nothing else"
            assert new == [], "POP3 knew all of it"
            assert program.folders["INBOX"].flags == kept
            for number in range(3):
                write(lives[-1], f"{name} {number}")
            fetched, new = look(lives[-1])
            assert (fetched, len(new)) == (3, 3)
            uids = program.folders["INBOX"].octets.keys() - kept.keys()
            assert not uids & lost
            lost |= uids
            with lives[-1].imap() as imap:  # so that the next life has something to bring back
                imap.store("3", "+FLAGS", r"(\Deleted)")
                imap.expunge()
            look(lives[-1])
    finally:
        for one in lives:
            one.kill()


def test_two_computers_restored_from_one_backup_send_and_file_nothing_twice(scene: Scene) -> None:
    anna, bora = scene.anna, scene.bora
    bora.kill()
    for number in range(3):
        anna.submit(bora.address, letter(anna, bora, f"waiting {number}", LARGE))
    scene.back_up()
    anna.destroy()
    home = Alone(scene.folder, scene.words, anna.password, scene.backup)
    both: list[Person] = []
    try:
        both.append(home.restored("left", SLOT + 4))
        both.append(home.restored("right", SLOT + 5))
        left, right = both
        bora.start()
        for number in range(3):
            until(partial(bora.find, f"waiting {number}"), "it is brought", 60)
        for one in both:
            until(lambda one=one: not one.postroad("queue")["queue"], "it has the receipts", 60)  # type: ignore[misc]
        bora.submit(left.address, letter(bora, left, "to whom of you"))
        until(lambda: any(one.find("to whom of you") for one in both), "one of them has it", 60)
        for one in both:
            for number in range(3):
                write(one, f"{one.name} {number}")
        found = all_subjects(bora)
        for number in range(3):
            assert found.count(f"Subject: waiting {number}") == 1
        witness, programs = Witness(), [MailProgram(), MailProgram()]
        for one, program in zip(both, programs, strict=True):
            assert all_subjects(one).count("Subject: to whom of you") <= 1
            program.synchronise(one, "INBOX", "Sent")
            witness.see(program)  # no UID has two bodies
        inboxes = [program.folders["INBOX"] for program in programs]
        assert inboxes[0].validity == inboxes[1].validity
        assert right.address == left.address
    finally:
        for one in both:
            one.kill()
