"""`postroad store`, `password` and `version`, with a real node beside them, and without."""

from __future__ import annotations

import imaplib
import json
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from person import Person

SLOT = 64
PASSPHRASE = "five words that nobody guesses"


@pytest.fixture
def anna(tmp_path: Path, quiet_network: None) -> Iterator[Person]:
    person = Person("anna", tmp_path, SLOT, link="tls")
    person.set_up()
    yield person
    person.kill()


def write_to_herself(anna: Person, subject: str, size: int = 10) -> None:
    text = f"From: {anna.address}\r\nTo: {anna.address}\r\nSubject: {subject}\r\n\r\n"
    anna.submit(anna.address, text.encode() + b"a line of text\r\n" * (size // 16 + 1))


def test_the_store_is_measured_and_checked_while_the_node_runs_and_while_not(anna: Person) -> None:
    assert "There is no store" in anna.type("store").stderr
    anna.start()
    write_to_herself(anna, "small")
    write_to_herself(anna, "large", 200_000)
    for running in (True, False):
        sizes = anna.postroad("store")
        assert sizes["messages"] >= 2 - running  # what is on its way to herself may not be there
        assert sizes["reserve_bytes"] > 0
        assert sizes["format"] == anna.postroad("version")["store_format"]
        checked = anna.postroad("store", "check")
        assert (checked["whole"], checked["faults"], checked["running"]) == (True, [], running)
        if running:
            assert (checked["journal_mode"], checked["synchronous"]) == ("wal", 2)
            assert "synchronous FULL" in anna.type("store", "check").stdout
            refused = anna.type("store", "compact")
            assert (refused.returncode, "Stop your node first." in refused.stderr) == (1, True)
            anna.stop()
    assert anna.postroad("store", "compact")["after_bytes"] > 0
    (anna.folder / "data" / "bodies").rename(anna.folder / "data" / "elsewhere")
    done = anna.type("store", "check", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["whole"]) == (1, False)
    assert {one["reason"] for one in answer["faults"]} == {"its file is missing"}
    told = anna.type("store", "check")
    assert told.returncode == 1
    assert "Something is damaged." in told.stdout


def can_log_in(anna: Person, password: str) -> tuple[bool, bool]:
    """Into IMAP, and into SMTP."""
    answers = []
    with imaplib.IMAP4("127.0.0.1", anna.imap_port, timeout=20) as imap:
        try:
            imap.login(anna.address, password)
            answers.append(True)
        except imaplib.IMAP4.error:
            answers.append(False)
    with smtplib.SMTP("127.0.0.1", anna.smtp_port, timeout=20) as smtp:
        try:
            smtp.login(anna.address, password)
            answers.append(True)
        except smtplib.SMTPAuthenticationError:
            answers.append(False)
    return answers[0], answers[1]


def test_a_new_password_takes_the_place_of_the_old_one(anna: Person) -> None:
    anna.start()
    old = anna.password
    assert can_log_in(anna, old) == (True, True)
    before = imaplib.IMAP4("127.0.0.1", anna.imap_port, timeout=20)
    before.login(anna.address, old)
    new = anna.postroad("password")["password"]
    assert b"The mailbox password was changed" in before.readline()
    before.shutdown()
    assert new != old
    assert can_log_in(anna, new) == (True, True)
    assert can_log_in(anna, old) == (False, False)
    anna.stop()
    newest = anna.postroad("password")["password"]
    anna.start()
    assert can_log_in(anna, newest) == (True, True)
    assert can_log_in(anna, new) == (False, False)
    noted = [one["event"] for one in anna.postroad("audit")["entries"]]
    assert noted.count("mailbox password changed") == 2
    told = anna.type("password").stdout
    assert "shown once" in told
    log = (anna.folder / "log").read_text() + json.dumps(anna.postroad("audit"))
    assert {word for word in (old, new, newest) if word in log} == set()


@pytest.mark.parametrize("running", [True, False])
def test_whoever_finds_a_terminal_open_changes_no_password(anna: Person, running: bool) -> None:
    done = anna.type("keys", "protect", "--passphrase", "--json", stdin=f"{PASSPHRASE}\n")
    assert done.returncode == 0, done
    if running:
        anna.begin_start()
        while anna.type("status").returncode:
            assert anna.process is not None
            assert anna.process.poll() is None
        assert anna.type("password", "--json", stdin="x\n").returncode == 5
        assert anna.type("unlock", "--json", stdin=f"{PASSPHRASE}\n").returncode == 0
        anna.end_start()
    kept = (anna.folder / "data" / "keys").read_bytes()
    wrong = anna.type("password", "--json", stdin="not that one\n")
    assert wrong.returncode == 1
    assert "not the passphrase" in json.loads(wrong.stdout)["error"]
    assert "wanted on stdin" in json.loads(anna.type("password", "--json").stdout)["error"]
    assert (anna.folder / "data" / "keys").read_bytes() == kept
    made = json.loads(anna.type("password", "--json", stdin=f"{PASSPHRASE}\n").stdout)
    if running:
        assert can_log_in(anna, made["password"]) == (True, True)
        assert can_log_in(anna, anna.password) == (False, False)
    assert (anna.folder / "data" / "keys").read_bytes() != kept


def test_what_needs_no_node_says_when_nobody_is_set_up(tmp_path: Path) -> None:
    carl = Person("carl", tmp_path, SLOT)
    for words in (["store"], ["store", "check"], ["store", "compact"], ["password"]):
        assert carl.type(*words, "--json").returncode == 4, words
    assert carl.postroad("version")["protocol"] == "postroad/2"
    assert carl.type("version").stdout.startswith("postroad      0.")
