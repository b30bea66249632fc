"""Backups as their owner has them: real nodes, whose disk is destroyed, and another computer."""

from __future__ import annotations

import imaplib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.test_node import all_subjects, letter
from person import Person, ended, meet, until
from postroad.store import backup_format as form
from postroad.store.snapshot import UIDS_SKIPPED

SLOT = 60
LARGE = "A line of a large letter, which has a file of its own.\n" * 3000
SECRET = "what nobody else may read"


@dataclass(frozen=True)
class Scene:
    """Anna, whose words are known here, and Bora; both run and are contacts."""

    folder: Path
    anna: Person
    bora: Person
    words: str
    backup: Path

    def back_up(self) -> dict[str, Any]:
        return self.anna.postroad("backup", "to", str(self.backup))

    def restored(self, name: str = "annas-other", slot: int = 2) -> Person:
        """Anna on another computer, not started yet; the old one's disk is gone."""
        if self.anna.state != "destroyed":
            self.anna.destroy()
        other = Person(name, self.folder, SLOT + slot)
        done = other.type(*self.restore(), stdin=self.words)
        assert done.returncode == 0, done.stderr
        self.take_place(other, json.loads(done.stdout))
        return other

    def restore(self) -> tuple[str, ...]:
        return ("setup", "--restore", str(self.backup), "--json")

    def take_place(self, other: Person, made: dict[str, Any]) -> None:
        assert made["address"] == self.anna.address
        other.take_answer({**made, "password": self.anna.password})


@pytest.fixture
def scene(short_folder: Path, quiet_network: None) -> Iterator[Scene]:
    anna, bora = (Person(name, short_folder, SLOT + at) for at, name in enumerate(("anna", "bora")))
    with ended((anna, bora)):
        made = anna.postroad("setup", "--name", "anna")
        anna.take_answer(made)
        bora.set_up()
        anna.start()
        bora.start()
        meet(anna, bora)
        until(lambda: not anna.postroad("queue")["queue"], "Anna has the receipts")
        until(lambda: not bora.postroad("queue")["queue"], "Bora has the receipts")
        yield Scene(short_folder, anna, bora, made["words"], short_folder / "stick")


@pytest.fixture
def others() -> Iterator[list[Person]]:
    found: list[Person] = []
    yield found
    for one in found:
        one.kill()


def sign_records(person: Person, count: int) -> None:
    """Have a node make new records of its owner, in less time than the restored one has."""
    before = person.config.read_text()
    for at in range(count):
        said = ("refuse", "requests")[at % 2]
        person.config.write_text(f'{before}\nstrangers = "{said}"\n')
        person.postroad("config", "reload")
        person.postroad("invite")  # with the record of now


def mail_of(reader: Person) -> dict[str, Any]:
    """All that a mail program is shown: of each folder its UIDVALIDITY, and of each message its
    UID, flags, date and octets."""
    found: dict[str, Any] = {}
    with reader.imap() as imap:
        for line in imap.list()[1]:
            assert isinstance(line, bytes)
            name = line.decode().rsplit(" ", 1)[1].strip('"')
            found[name] = _folder_of(imap, name)
    return found


def _folder_of(imap: imaplib.IMAP4, name: str) -> tuple[str, list[tuple[str, bytes]]]:
    imap.select(name, readonly=True)
    validity = imap.response("UIDVALIDITY")[1][0].decode()
    _, answer = imap.uid("fetch", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
    pairs = [one for one in answer if isinstance(one, tuple)]
    return validity, [(re.sub(r"\\Recent ?", "", head.decode()), body) for head, body in pairs]


def uid_next(reader: Person) -> int:
    with reader.imap() as imap:
        said = imap.status("INBOX", "(UIDNEXT)")[1][0].decode()
        return int(said.split("UIDNEXT ")[1].rstrip(")"))


def busy(scene: Scene) -> None:
    """A life with mail: letters both ways, small and large, folders, flags; one that waits."""
    anna, bora = scene.anna, scene.bora
    for subject, body in (("first", SECRET), ("large", LARGE)):
        anna.submit(bora.address, letter(anna, bora, f"{subject} of anna", body))
        bora.submit(anna.address, letter(bora, anna, f"{subject} of bora", body))
        until(partial(bora.find, f"{subject} of anna"), "it comes")
        until(partial(anna.find, f"{subject} of bora"), "it comes")
    with anna.imap() as imap:
        imap.create("Family")
        imap.copy("1", "Family")
        imap.store("1", "+FLAGS", r"(\Flagged \Seen $Kept)")
        imap.store("2", "+FLAGS", r"(\Deleted)")
        imap.expunge()
    anna.postroad("contacts", "rename", "bora", "Bora B.")
    until(lambda: not anna.postroad("queue")["queue"], "all is delivered")
    bora.kill()
    anna.submit(bora.address, letter(anna, bora, "waiting of anna", LARGE))


def test_after_the_disk_is_destroyed_all_is_back_and_what_waited_is_sent_once(
    scene: Scene, others: list[Person]
) -> None:
    busy(scene)
    anna, bora = scene.anna, scene.bora
    before, next_before = mail_of(anna), uid_next(anna)
    contacts = anna.postroad("contacts")["contacts"]
    made = scene.back_up()
    assert made["messages"] == sum(len(messages) for _, messages in before.values())
    assert anna.postroad("backup")["last"]["folder"] == str(scene.backup)
    assert anna.postroad("backup", "check", str(scene.backup))["whole"]

    other = scene.restored()
    others.append(other)
    bora.begin_start()
    other.start()
    bora.end_start()
    assert mail_of(other) == before
    assert uid_next(other) >= next_before + UIDS_SKIPPED
    found = other.postroad("contacts")["contacts"]
    assert [one["name"] for one in found] == [one["name"] for one in contacts] == ["Bora B."]
    until(lambda: bora.find("waiting of anna"), "it is brought", 60)
    until(lambda: not other.postroad("queue")["queue"], "its receipt comes")
    assert all_subjects(bora).count("Subject: waiting of anna") == 1
    bora.submit(other.address, letter(bora, other, "welcome back"))
    until(lambda: other.find("welcome back"), "Bora finds her there")
    assert other.postroad("audit", "verify")["faults"] == []


def test_what_was_delivered_after_the_backup_is_neither_sent_nor_filed_twice(
    scene: Scene, others: list[Person]
) -> None:
    anna, bora = scene.anna, scene.bora
    carried = scene.folder / "carried.bundle"
    anna.kill()
    bora.submit(anna.address, letter(bora, anna, "carried of bora"))
    bora.postroad("bundle", "write", str(carried))
    bora.kill()
    anna.start()
    anna.postroad("bundle", "read", str(carried))  # Bora has no receipt of it
    anna.submit(bora.address, letter(anna, bora, "waiting of anna"))
    scene.back_up()
    newest = uid_next(anna)
    bora.start()
    until(lambda: bora.find("waiting of anna"), "it comes")
    bora.submit(anna.address, letter(bora, anna, "after the backup"))
    until(lambda: anna.find("after the backup"), "it comes")
    until(lambda: not anna.postroad("queue")["queue"], "its receipt comes")
    sign_records(anna, 6)
    bora.kill()
    anna.destroy()

    other = scene.restored()
    others.append(other)
    other.start()
    assert len(other.postroad("queue")["queue"]) == 1  # it does not know that it was delivered
    assert other.postroad("bundle", "read", str(carried))["known"] == 1
    bora.start()
    until(lambda: not other.postroad("queue")["queue"], "the receipt comes again")
    until(lambda: not bora.postroad("queue")["queue"], "Bora has hers")
    assert all_subjects(bora).count("Subject: waiting of anna") == 1
    assert all_subjects(other).count("Subject: carried of bora") == 1
    bora.submit(other.address, letter(bora, other, "newer than all"))
    until(lambda: other.find("newer than all"), "it comes")
    with other.imap() as imap:
        uids = [int(one) for one in imap.uid("search", "ALL")[1][0].split()]
    assert max(uids) >= newest + UIDS_SKIPPED


def test_a_second_backup_writes_little_and_waste_goes(scene: Scene) -> None:
    anna, bora = scene.anna, scene.bora
    for number in range(12):
        anna.submit(bora.address, letter(anna, bora, f"number {number}", os.urandom(60_000).hex()))
    until(lambda: bora.find("number 11"), "it comes")
    bora.kill()
    first = scene.back_up()
    assert first["written_bytes"] > 1_000_000
    anna.submit(bora.address, letter(anna, bora, "one more"))
    second = scene.back_up()
    assert second["number"] == 2
    assert second["written_bytes"] < 700_000
    octets = sum(path.stat().st_size for path in scene.backup.rglob("*") if path.is_file())
    assert octets < 2 * first["written_bytes"]


def test_a_backup_while_the_node_is_off_and_one_while_letters_come(
    scene: Scene, others: list[Person]
) -> None:
    anna, bora = scene.anna, scene.bora
    process = subprocess.Popen(
        [*anna.command, "backup", "to", str(scene.backup)], stdout=subprocess.PIPE
    )
    for number in range(30):
        bora.submit(anna.address, letter(bora, anna, f"number {number}"))
    assert process.wait(60) == 0
    assert process.stdout is not None
    process.stdout.close()
    assert anna.postroad("backup", "check", str(scene.backup))["whole"]
    until(lambda: anna.find("number 29"), "it comes")
    anna.kill()
    assert scene.back_up()["number"] == 2
    other = scene.restored()
    others.append(other)
    other.start()
    assert all_subjects(other).count("Subject: number 29") == 1


def test_nothing_in_the_folder_can_be_read_or_names_what_it_is(scene: Scene) -> None:
    busy(scene)
    anna = scene.anna
    scene.back_up()
    keys = (anna.folder / "data" / "keys").read_bytes()
    octets = b"".join(
        path.read_bytes() + path.name.encode() for path in scene.backup.rglob("*") if path.is_file()
    )
    for secret in (SECRET, LARGE[:40], anna.address, scene.bora.address, "Family", "SQLite format"):
        assert secret.encode() not in octets
    for at in range(0, len(keys) - 32, 16):
        assert keys[at : at + 32] not in octets
    for name in os.listdir(anna.folder / "data" / "bodies"):
        assert bytes.fromhex(name) not in octets
        assert name.encode() not in octets
    assert all(path.stat().st_mode & 0o077 == 0 for path in scene.backup.rglob("*"))


def test_words_of_somebody_else_and_what_is_no_backup_are_told_in_words(scene: Scene) -> None:
    scene.back_up()
    bora = scene.bora
    wrong = bora.type("backup", "check", str(scene.backup))
    assert (wrong.returncode, "is not yours: other 24 words open it" in wrong.stderr) == (1, True)
    over = bora.type("backup", "to", str(scene.backup))
    assert (over.returncode, "is not yours" in over.stderr) == (1, True)
    other = Person("annas-other", scene.folder, SLOT + 2)
    bad = other.type(*scene.restore(), stdin="abandon " * 24)
    assert (bad.returncode, "do not belong together" in bad.stdout) == (1, True)
    nothing = other.type("setup", "--restore", str(scene.folder), stdin=scene.words)
    assert (nothing.returncode, "There is no backup in" in nothing.stderr) == (1, True)
    away = scene.anna.type("backup", "to", str(scene.folder / "unplugged" / "stick"))
    assert (away.returncode, "Is the disk plugged in?" in away.stderr) == (1, True)
    inside = scene.anna.type("backup", "to", str(scene.anna.folder / "data" / "backup"))
    assert (inside.returncode, "Choose another disk" in inside.stderr) == (1, True)
    (scene.folder / "link").symlink_to(scene.anna.folder / "data")
    inside = scene.anna.type("backup", "to", str(scene.folder / "link" / "backup"))
    assert (inside.returncode, "Choose another disk" in inside.stderr) == (1, True)
    again = scene.anna.type(*scene.restore(), stdin=scene.words)
    assert (again.returncode, "You are set up already" in again.stdout) == (1, True)


def test_nothing_is_restored_over_a_store_that_is_there(scene: Scene) -> None:
    scene.back_up()
    other = Person("annas-other", scene.folder, SLOT + 2)
    data = other.folder / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    (data / "postroad.sqlite").write_bytes(b"somebody's mail")
    done = other.type("setup", "--restore", str(scene.backup), stdin=scene.words)
    assert (done.returncode, "There is a store in" in done.stderr) == (1, True)
    assert (data / "postroad.sqlite").read_bytes() == b"somebody's mail"


def test_damage_is_found_and_costs_only_what_it_stands_on(
    scene: Scene, others: list[Person]
) -> None:
    busy(scene)
    anna = scene.anna
    scene.back_up()
    before = mail_of(anna)
    catalogue = scene.backup / form.CATALOGUE
    flip(catalogue, 100)
    told = anna.type("backup", "check", str(scene.backup))
    assert (told.returncode, "its copy is whole" in told.stdout) == (1, True)
    scene.back_up()
    assert anna.postroad("backup", "check", str(scene.backup))["whole"]

    pack = max((scene.backup / form.PACKS).iterdir(), key=lambda path: path.stat().st_size)
    with pack.open("r+b") as file:
        file.truncate(pack.stat().st_size - 20_000)  # the large letters were added last
    told = anna.type("backup", "check", str(scene.backup), "--json")
    found = json.loads(told.stdout)
    assert (told.returncode, found["whole"], found["database_is_whole"]) == (1, False, True)
    assert found["damaged_files"]

    other = Person("annas-other", scene.folder, SLOT + 2)
    others.append(other)
    refused = other.type(*scene.restore(), stdin=scene.words)
    said = refused.stdout
    assert (refused.returncode, "type the same again with --incomplete" in said) == (1, True)
    assert not (other.folder / "data" / "keys").exists()
    done = other.type(*scene.restore(), "--incomplete", stdin=scene.words)
    made = json.loads(done.stdout)
    assert (done.returncode, bool(made["missing"])) == (0, True)
    scene.take_place(other, made)
    anna.kill()
    other.start()
    after = mail_of(other)
    assert after.keys() == before.keys()
    pairs = [pair for name in before for pair in zip(before[name][1], after[name][1], strict=True)]
    assert sum(was != now for was, now in pairs) == len(made["missing"]) - ("sealed" in str(made))

    anna.start()
    scene.back_up()  # writes anew what is missing
    assert anna.postroad("backup", "check", str(scene.backup))["whole"]


def flip(path: Path, at: int) -> None:
    octets = bytearray(path.read_bytes())
    octets[at] ^= 1
    path.write_bytes(octets)
