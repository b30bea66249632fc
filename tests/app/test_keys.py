"""Keys at rest, as their owner meets them: real nodes, driven by `postroad keys` and `unlock`."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import pty
import re
import smtplib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from person import Person, meet, surroundings, until
from postroad.machine.disk import FolderDisk
from postroad.sealing.wrapping import Protection
from postroad.store import keyring

SLOT = 70
FIRST, SECOND = "five words that nobody guesses", "Zähne & Café, auf Reisen"


@pytest.fixture
def anna(tmp_path: Path, quiet_network: None) -> Iterator[Person]:
    person = Person("anna", tmp_path, SLOT, link="tls")
    person.set_up()
    yield person
    person.kill()


def answer(person: Person, *words: str, stdin: str = "", code: int = 0) -> dict[str, Any]:
    done = person.type(*words, "--json", stdin=stdin)
    assert done.returncode == code, done
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told


def locked(person: Person) -> bool:
    done = person.type("status", "--json")
    return done.returncode == 0 and bool(json.loads(done.stdout)["locked"])


def start_locked(person: Person) -> None:
    person.begin_start()
    until(lambda: locked(person), "the node says that it is locked")


def lines(*passphrases: str) -> str:
    return "".join(f"{each}\n" for each in passphrases)


def secrets_on_disk(person: Person, entropy: bytes) -> list[str]:
    return [
        str(path)
        for path in (person.folder / "data").rglob("*")
        if path.is_file() and entropy in path.read_bytes()
    ]


def entropy_of(person: Person) -> bytes:
    disk = FolderDisk(person.folder / "data")
    try:
        return keyring.load(disk).entropy
    finally:
        disk.close()


def test_a_node_that_is_off_protects_its_keys_and_starts_locked(anna: Person) -> None:
    entropy = entropy_of(anna)
    assert secrets_on_disk(anna, entropy) == [str(anna.folder / "data" / "keys")]
    assert answer(anna, "keys")["protection"] == "plain"
    done = answer(anna, "keys", "protect", "--passphrase", stdin=lines(FIRST))
    assert (done["protection"], done["before"]) == ("passphrase", "plain")
    assert done["argon2id"] == {"memory_kib": 65536, "passes": 3, "lanes": 4}
    assert secrets_on_disk(anna, entropy) == []

    start_locked(anna)
    status = answer(anna, "status")
    assert status["protection"] == "passphrase"
    assert "postroad unlock" in status["reason"]
    for refused in ("queue", "contacts", "invite"):
        assert "postroad unlock" in answer(anna, refused, code=5)["error"]

    # The doors say so, for a while: a mail program keeps the letter and tries again.
    with pytest.raises(smtplib.SMTPConnectError) as shut:
        smtplib.SMTP("127.0.0.1", anna.smtp_port, local_hostname="localhost", timeout=30)
    assert shut.value.smtp_code == 421
    with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
        imaplib.IMAP4("127.0.0.1", anna.imap_port, timeout=30)
    with socket.create_connection(("127.0.0.1", anna.pop3_port), timeout=30) as pop3:
        greeting = pop3.makefile("rb").readline()  # poplib would not close it
    assert greeting.startswith(b"-ERR [SYS/TEMP]")
    assert b"postroad unlock" in greeting

    before = time.monotonic()
    wrong = answer(anna, "unlock", stdin=lines("not that one"), code=1)
    assert wrong["error"] == "That is not the passphrase of your keys."
    again = answer(anna, "unlock", stdin=lines("nor that one"), code=1)
    assert again == wrong
    assert time.monotonic() - before > 1 + 2, "the second wrong one waits twice as long"
    assert locked(anna)

    assert answer(anna, "unlock", stdin=lines(FIRST))["was_locked"]
    anna.end_start()
    with anna.imap() as imap:
        assert imap.noop()[0] == "OK"
    status = answer(anna, "status")
    assert (status["locked"], status["protection"]) == (False, "passphrase")
    assert not answer(anna, "unlock")["was_locked"]


def test_a_node_that_runs_protects_its_keys_otherwise(anna: Person) -> None:
    """From nothing to a passphrase, to another one, and back; only who knows it may change it."""
    entropy = entropy_of(anna)
    anna.start()
    assert answer(anna, "keys")["running"]
    answer(anna, "keys", "protect", "--passphrase", stdin=lines(FIRST))
    assert secrets_on_disk(anna, entropy) == []
    for stdin in (lines("a wrong one", SECOND), lines(SECOND)):
        refused = answer(anna, "keys", "protect", "--passphrase", stdin=stdin, code=1)
        assert refused["error"].startswith(("That is not", "A new passphrase"))
    refused = answer(anna, "keys", "protect", "--plain", stdin=lines("a wrong one"), code=1)
    assert "not the passphrase" in refused["error"]
    assert secrets_on_disk(anna, entropy) == []
    answer(anna, "keys", "protect", "--passphrase", stdin=lines(FIRST, SECOND))
    anna.stop()

    start_locked(anna)
    assert "not the passphrase" in answer(anna, "unlock", stdin=lines(FIRST), code=1)["error"]
    answer(anna, "unlock", stdin=lines(SECOND))
    anna.end_start()
    answer(anna, "keys", "protect", "--plain", stdin=lines(SECOND))
    anna.stop()
    anna.start()  # nobody is asked any more
    assert entropy in (anna.folder / "data" / "keys").read_bytes()
    noted = [
        (each["facts"]["before"], each["facts"]["how"])
        for each in answer(anna, "audit")["entries"]
        if each["event"] == "keys protected"
    ]
    assert noted == [
        ("plain", "passphrase"),
        ("passphrase", "passphrase"),
        ("passphrase", "plain"),
    ]


def test_a_locked_node_stops_politely_and_stays_as_it_is(anna: Person) -> None:
    answer(anna, "keys", "protect", "--passphrase", stdin=lines(FIRST))
    kept = (anna.folder / "data" / "keys").read_bytes()
    start_locked(anna)
    refused = answer(anna, "keys", "protect", "--plain", stdin=lines(FIRST), code=1)
    assert "postroad unlock" in refused["error"]
    assert anna.process is not None
    anna.stop()
    assert anna.process.returncode == 0
    assert (anna.folder / "data" / "keys").read_bytes() == kept
    assert answer(anna, "unlock", code=3)["error"].startswith("Your node is not running.")


@pytest.mark.parametrize(
    ("words", "stdin", "sentence"),
    [
        (["--passphrase"], lines("short"), "at least 8 characters"),
        (["--passphrase"], lines("with a \x07 bell in it"), "cannot be seen"),
        (["--passphrase"], lines("x" * 1500), "at most 1024 bytes"),
        (["--passphrase"], "", "is wanted on stdin"),
        (["--credential"], "", "no credentials (postroad-keys is wanted)"),
        ([], "", "--passphrase, --keyring, --credential, --plain"),
    ],
)
def test_what_cannot_be_done_is_said_in_words_and_changes_nothing(
    anna: Person, words: list[str], stdin: str, sentence: str
) -> None:
    kept = (anna.folder / "data" / "keys").read_bytes()
    code = 1 if words else 2
    assert sentence in answer(anna, "keys", "protect", *words, stdin=stdin, code=code)["error"]
    assert (anna.folder / "data" / "keys").read_bytes() == kept


def test_a_credential_of_systemd_opens_them_in_the_service_and_nowhere_else(
    anna: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What systemd does: a folder with the octets, named in the environment of the service."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    (credentials / "postroad-keys").write_bytes(bytes(31))
    refused = answer(anna, "keys", "protect", "--credential", code=1)["error"]
    assert "at least 32 random ones" in refused
    (credentials / "postroad-keys").write_bytes(bytes(range(64)))
    entropy = entropy_of(anna)
    answer(anna, "keys", "protect", "--credential")
    assert secrets_on_disk(anna, entropy) == []
    anna.start()
    assert answer(anna, "status")["protection"] == "credential"
    anna.stop()
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    start_locked(anna)
    assert "LoadCredentialEncrypted=" in answer(anna, "status")["reason"]
    assert "postroad-keys is wanted" in answer(anna, "unlock", code=5)["error"]


def test_what_others_could_reach_is_closed_and_noted(anna: Person) -> None:
    keys = anna.folder / "data" / "keys"
    keys.chmod(0o644)
    anna.start()
    assert keys.stat().st_mode & 0o777 == 0o600
    noted = [each["facts"] for each in answer(anna, "audit")["entries"] if "what" in each["facts"]]
    assert len(noted) == 1
    assert noted[0]["what"].startswith(f"{keys} could be reached by others")


def test_a_desktop_keyring_that_is_not_there_is_told(
    anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    refused = answer(anna, "keys", "protect", "--keyring", code=1)["error"]
    assert refused.startswith("No desktop keyring answers here")
    assert answer(anna, "keys")["protection"] == "plain"


def test_a_new_identity_can_be_wrapped_from_the_first_octet_on(
    tmp_path: Path, quiet_network: None
) -> None:
    person = Person("bora", tmp_path, SLOT + 1, link="tls")
    made = answer(person, "setup", "--name", "bora", "--protect", "passphrase", stdin=lines(FIRST))
    person.take_answer(made)
    again = answer(person, "setup", "--name", "bora", code=1)["error"]
    assert again.startswith("You are set up already, in ")
    try:
        start_locked(person)
        answer(person, "unlock", stdin=lines(FIRST))
        person.end_start()
        assert answer(person, "status")["address"] == made["address"]
    finally:
        person.kill()


def test_whoever_forgot_the_passphrase_has_the_words_and_their_mail(
    tmp_path: Path, quiet_network: None
) -> None:
    person = Person("cleo", tmp_path, SLOT + 2, link="tls")
    made = answer(person, "setup", "--name", "cleo")
    person.take_answer(made)
    person.start()
    with person.imap() as imap:
        assert imap.append("INBOX", "", "", b"Subject: kept\r\n\r\nx\r\n")[0] == "OK"
    person.stop()
    answer(person, "keys", "protect", "--passphrase", stdin=lines(FIRST))
    (person.folder / "data" / "keys").rename(person.folder / "forgotten")
    # The words and a passphrase may come together: first the one, then the other.
    again = answer(
        person, "setup", "--name", "cleo", "--restore", "--protect", "passphrase",
        stdin=lines(SECOND) + made["words"],
    )  # fmt: skip
    assert again["address"] == made["address"]
    person.take_answer(again)
    start_locked(person)
    try:
        answer(person, "unlock", stdin=lines(SECOND))
        person.end_start()
        assert person.find("kept") is not None
    finally:
        person.kill()


def test_two_people_meet_and_write_with_wrapped_keys(anna: Person, tmp_path: Path) -> None:
    bora = Person("bora", tmp_path, SLOT + 1, link="tls")
    bora.set_up()
    answer(anna, "keys", "protect", "--passphrase", stdin=lines(FIRST))
    start_locked(anna)
    try:
        bora.start()
        answer(anna, "unlock", stdin=lines(FIRST))
        anna.end_start()
        meet(anna, bora)
    finally:
        bora.kill()


def at_a_terminal(person: Person, *words: str, typing: str) -> str:
    """What somebody sees at a terminal who types this."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(person.command[0], [*person.command, *words], surroundings())
    seen = b""
    for line in typing.splitlines():
        asked = seen.count(b": ")
        while seen.count(b": ") <= asked:
            seen += os.read(terminal, 4096)
        time.sleep(0.2)  # the prompt is written before the echo is turned off
        os.write(terminal, line.encode() + b"\n")
    with contextlib.suppress(OSError):
        while octets := os.read(terminal, 4096):
            seen += octets
    os.waitpid(pid, 0)
    os.close(terminal)
    return seen.decode()


def test_at_a_terminal_the_passphrase_is_asked_for_twice_and_never_shown(anna: Person) -> None:
    seen = at_a_terminal(anna, "keys", "protect", "--passphrase", typing=lines(FIRST, FIRST))
    assert FIRST not in seen
    assert "From now on your keys are wrapped" in seen
    assert answer(anna, "keys")["protection"] == "passphrase"
    told = anna.type("keys")
    assert re.search(
        r"Your keys in \S+/keys are wrapped, and your passphrase opens them", told.stdout
    )


def test_the_file_alone_says_how_it_is_wrapped(anna: Person) -> None:
    answer(anna, "keys", "protect", "--passphrase", stdin=lines(FIRST))
    disk = FolderDisk(anna.folder / "data")
    assert keyring.stored(disk).protection is Protection.PASSPHRASE
    disk.close()
