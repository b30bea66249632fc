"""Nothing secret is left where others could find it: a whole scene, looked at from all sides.

Two people set up, protect their keys, unlock, invite, accept, write and change what opens the keys.
Each secret is looked for, in all forms of `leaks.forms`, in arguments and environments, in logs at
debug, in what commands say (but for the one that shows it), on D-Bus, and in all files.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import desktop
from app.test_keys import start_locked
from leaks import Onlooker, Secrets, forms, text_forms
from machine.test_hardening import AS_A_USER, INTRUDER
from needed import needs
from person import Person, until
from postroad.machine.disk import FolderDisk
from postroad.protocol import invitation
from postroad.store import keyring
from postroad.store.keyring import Keyring

SLOT = 80
PASSPHRASES = ("correct horse battery staple", 'Zähne & Café: \\ " auf Reisen')
KEYS_LIVE_IN = "keys"


def test_the_search_finds_a_secret_in_whatever_form_it_was_written() -> None:
    secret = bytes(range(160, 192))
    for around in (b"", b"a", b"ab", b"abc", b"abcd"):
        whole = around + secret + b"behind"
        for written in (
            whole,
            whole.hex().encode(),
            base64.b64encode(whole),
            base64.urlsafe_b64encode(whole),
            base64.b32encode(whole),
            repr(whole).encode(),
            json.dumps(whole.decode("latin-1")).encode(),
            str(list(whole)).encode(),
        ):
            assert any(form in written for form in forms(secret)), written
            assert not any(form in written for form in forms(bytes(reversed(range(32)))))
    word = PASSPHRASES[1]
    for text in (json.dumps({"passphrase": word}), repr(word), f"--passphrase={word}"):
        assert any(form in text.encode() for form in text_forms(word)), text


@dataclass
class Scene:
    """What is looked for, and all that was said."""

    folder: Path
    keys: Secrets = field(default_factory=Secrets)  # may be in no file, once wrapped
    others: Secrets = field(default_factory=Secrets)  # may be in the database, and nowhere else
    said: list[bytes] = field(default_factory=list)

    def type(self, person: Person, *words: str, stdin: str = "", shows: bool = False) -> Any:
        done = person.type(*words, "--json", stdin=stdin)
        assert done.returncode == 0, done
        self.said.append(done.stderr.encode())
        if not shows:
            self.said.append(done.stdout.encode())
        return json.loads(done.stdout)


def read_keys(person: Person) -> Keyring:
    disk = FolderDisk(person.folder / "data")
    try:
        return keyring.load(disk)
    finally:
        disk.close()


def remember(scene: Scene, person: Person, made: dict[str, Any], ring: Keyring) -> None:
    name = person.name
    scene.keys.add(f"{name}: words", made["words"])
    scene.keys.add(f"{name}: first words", " ".join(made["words"].split()[:6]))
    scene.keys.add(f"{name}: mailbox password", made["password"])
    scene.keys.add(f"{name}: entropy", ring.entropy)
    scene.keys.add(f"{name}: identity seed", ring.identity.signing.seed)
    scene.keys.add(f"{name}: ML-DSA seed", ring.identity.mldsa.private_bytes_raw())
    scene.keys.add(f"{name}: device seed", ring.device_seed)
    for stored in ring.stored_epoch_keys:
        scene.keys.add(f"{name}: epoch key", stored.secret)
        scene.keys.add(f"{name}: X25519 half", stored.secret[64:])


def remember_the_database(scene: Scene, person: Person) -> int:
    """Secrets that the node made meanwhile; how many."""
    sql = sqlite3.connect(person.folder / "data" / "postroad.sqlite")
    count = 0
    try:
        tables = [
            name for (name,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            columns = [row[1] for row in sql.execute(f"PRAGMA table_info({table})")]
            for column in columns:
                if column in ("seed", "content_key", "my_ticket", "their_ticket", "ticket"):
                    for (value,) in sql.execute(f"SELECT {column} FROM {table}"):
                        if isinstance(value, bytes) and len(value) >= 16:
                            scene.others.add(f"{person.name}: {table}.{column} {count}", value)
                            count += 1
    finally:
        sql.close()
    return count


@pytest.fixture
def scene(tmp_path: Path, quiet_network: None) -> Scene:
    return Scene(tmp_path)


def test_no_secret_is_found_anywhere(scene: Scene) -> None:
    with desktop.session(scene.folder) as session:
        onlooker = Onlooker(b"postroad")
        onlooker.start()
        people = [
            Person(name, scene.folder, SLOT + at, 'log_level = "debug"\n', link="tls")
            for at, name in enumerate(("anna", "bora"))
        ]
        try:
            play(scene, *people)
        finally:
            for person in people:
                person.kill()
        heard, seen = session.heard(), onlooker.end()
    assert len(onlooker.processes) > 8, "the onlooker saw nobody"
    assert b"DBUS_SESSION_BUS_ADDRESS" in seen, "the onlooker saw no environment"
    assert b"CreateItem" in heard, "nothing was heard on D-Bus"
    logs = b"\n".join((person.folder / "log").read_bytes() for person in people)
    assert b"letter accepted" in logs, "the logs tell nothing"
    for where, octets in (
        ("arguments or environment", seen),
        ("D-Bus", heard),
        ("logs", logs),
        ("what commands say", b"\n".join(scene.said)),
    ):
        assert scene.keys.found_in(octets) == [], where
        assert scene.others.found_in(octets) == [], where
    for person in people:
        files = list(person.folder.rglob("*"))
        assert scene.keys.found_in_files(files) == []
        found = scene.others.found_in_files(files)
        assert {name for name, _ in found} <= {"postroad.sqlite", "postroad.sqlite-wal"}


def play(scene: Scene, anna: Person, bora: Person) -> None:
    for at, passphrase in enumerate(PASSPHRASES):
        scene.keys.add(f"passphrase {at}", passphrase)
    for person in (anna, bora):
        made = scene.type(person, "setup", "--name", person.name, shows=True)
        person.take_answer(made)
        remember(scene, person, made, read_keys(person))
    # Until they are wrapped they lie in that one file, so the search can find them.
    found = scene.keys.found_in_files((anna.folder / "data").rglob("*"))
    assert {("keys", "anna: entropy"), ("keys", "anna: epoch key")} <= set(found)
    assert {name for name, _ in found} == {KEYS_LIVE_IN}

    first, second = PASSPHRASES
    scene.type(anna, "keys", "protect", "--passphrase", stdin=f"{first}\n")
    scene.type(bora, "keys", "protect", "--keyring")
    start_locked(anna)
    bora.start()
    assert anna.type("unlock", "--json", stdin=f"{second}\n").returncode == 1  # the wrong one
    scene.type(anna, "unlock", stdin=f"{first}\n")
    anna.end_start()

    link = scene.type(anna, "invite", shows=True)["link"]
    scene.others.add("invitation", link)
    scene.others.add("secret of the invitation", invitation.from_link(link).secret)
    done = bora.type("accept", stdin=f"{link}\n")
    assert done.returncode == 0, done
    scene.said += [done.stdout.encode(), done.stderr.encode()]
    until(lambda: anna.find("Bora accepted") is not None, "they are contacts")
    until(lambda: bora.find("You and Anna") is not None, "they are contacts")
    octets = f"From: {anna.address}\r\nTo: {bora.address}\r\nSubject: hello\r\n\r\nx\r\n".encode()
    anna.submit(bora.address, octets)
    until(lambda: bora.find("hello") is not None, "the letter is filed")

    scene.type(anna, "keys", "protect", "--passphrase", stdin=f"{first}\n{second}\n")
    for words in (["status"], ["keys"], ["contacts"], ["queue"], ["peers"], ["audit"]):
        for person in (anna, bora):
            scene.type(person, *words)
            plain = person.type(*words)
            scene.said += [plain.stdout.encode(), plain.stderr.encode()]
    for person in (anna, bora):
        for path in person.folder.rglob("*"):  # its socket is there, and all that the store makes
            if path.relative_to(person.folder).parts[0] in ("data", "run"):
                mode = path.lstat().st_mode & 0o777
                assert mode == (0o700 if path.is_dir() else 0o600), path
        person.stop()
        assert remember_the_database(scene, person) > 2


@needs(*AS_A_USER[:1])
def test_no_program_of_the_same_user_looks_into_a_running_node(scene: Scene) -> None:
    """The node itself, as `postroad run` starts it; with the rights of a user, as the other has."""
    person = Person("anna", scene.folder, SLOT, link="tls")
    person.set_up()
    person.begin_start(*AS_A_USER)
    try:
        person.end_start()
        assert person.process is not None
        pid = person.process.pid
        done = subprocess.run(
            [*AS_A_USER, sys.executable, "-c", INTRUDER, str(pid)],
            capture_output=True,
            text=True,
            check=True,
        )
        found = dict(line.split() for line in done.stdout.splitlines())
        assert found == {"mem": "13", "environ": "13", "maps": "13", "fd/0": "13", "ptrace": "1"}
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        (core,) = [line.split()[4:6] for line in limits if line.startswith("Max core file size")]
        assert core == ["0", "0"]
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0  # of nobody but root, who is not dumpable
    finally:
        person.kill()
