"""A real node as a process: what its owner types, sees and may do to it."""

from __future__ import annotations

import email.message
import imaplib
import json
import os
import smtplib
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

import person
from person import Person, ended, meet, until
from postroad import __version__
from postroad.app.config import load
from postroad.base import limits
from postroad.base.ids import Instant
from postroad.machine.clock import SystemClock
from postroad.machine.disk import FolderDisk
from postroad.sealing import certificate as certificates
from postroad.store import keyring


@pytest.fixture
def people(short_folder: Path) -> Iterator[list[Person]]:
    """Anna and Bora with a node each, set up and not yet running; stopped at the end."""
    made = [
        Person("anna", short_folder, 0, 'log_level = "debug"\n'),
        Person("bora", short_folder, 1),
    ]
    with ended(made):
        for one in made:
            one.set_up()
        yield made


def letter(author: Person, to: Person, subject: str = "hello", body: str = "Hello!") -> bytes:
    made = email.message.EmailMessage()
    made["From"] = author.address
    made["To"] = to.address
    made["Subject"] = subject
    made["Date"] = "Mon, 23 Nov 2026 12:00:00 +0000"
    made["Message-ID"] = f"<{subject.replace(' ', '-')}@test>"
    made.set_content(body)
    return made.as_bytes().replace(b"\n", b"\r\n")


def all_subjects(reader: Person) -> list[str]:
    with reader.imap() as imap:
        _, answer = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return [one[1].decode().strip() for one in answer if isinstance(one, tuple)]


def test_setup_shows_what_its_owner_needs_and_keeps_secrets_to_them(people: list[Person]) -> None:
    anna, _ = people
    data = anna.folder / "data"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "keys").stat().st_mode) == 0o600
    assert anna.password.encode() not in (data / "keys").read_bytes()
    again = anna.type("setup", "--name", "anna")
    assert again.returncode == 1
    assert f"set up already, as {anna.address}, in {data}" in again.stderr


def test_the_24_words_bring_the_same_address_back(tmp_path: Path) -> None:
    first = Person("anna", tmp_path, 0)
    made = first.postroad("setup", "--name", "anna")
    assert len(made["words"].split()) == 24
    other = Person("anna2", tmp_path, 1)
    command = [*person_command(other), "setup", "--name", "anna", "--restore", "--json"]
    done = subprocess.run(
        command, input=made["words"], text=True, capture_output=True, env=person.surroundings(),
        check=False, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout)["address"] == made["address"]


def person_command(one: Person) -> list[str]:
    import sys

    return [sys.executable, "-m", "postroad", "--config", str(one.config)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("abandon " * 3, "There should be 24 words; these are 3."),
        ("abandon " * 23 + "abandonn", "Not a word of the list: abandonn"),
        ("abandon " * 24, "do not belong together"),
    ],
)
def test_wrong_words_are_refused_in_words(tmp_path: Path, words: str, told: str) -> None:
    anna = Person("anna", tmp_path, 0)
    command = [*person_command(anna), "setup", "--name", "anna", "--restore"]
    done = subprocess.run(
        command, input=words, text=True, capture_output=True, env=person.surroundings(),
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (anna.folder / "data" / "keys").exists()


def test_a_name_that_cannot_be_in_an_address_is_refused(tmp_path: Path) -> None:
    done = Person("anna", tmp_path, 0).type("setup", "--name", "Anna Müller")
    assert done.returncode == 1
    assert "a-z, 0-9, - and _" in done.stderr


def test_commands_say_what_is_missing_and_leave_an_exit_code(tmp_path: Path) -> None:
    anna = Person("anna", tmp_path, 0)
    not_set_up = anna.type("status")
    assert (not_set_up.returncode, not_set_up.stdout) == (4, "")
    assert "postroad setup --name YOURNAME" in not_set_up.stderr
    assert anna.type("run").returncode == 4
    anna.set_up()
    not_running = anna.type("status", "--json")
    assert not_running.returncode == 3
    assert "Start it with: postroad run" in json.loads(not_running.stdout)["error"]
    assert anna.type("frobnicate").returncode == 2


def test_a_broken_configuration_names_file_key_and_reason(people: list[Person]) -> None:
    anna, _ = people
    good = anna.config.read_text()
    for line, told in (
        ("smtp_prot = 1", "smtp_prot is not a key"),
        ('smtp_port = "x"', "smtp_port = 'x': it must be a port"),
        ("smtp_port = = 1", "is not valid TOML"),
    ):
        anna.config.write_text(good.replace("smtp_port", "#") + line + "\n")
        done = anna.type("run")
        assert done.returncode == 1
        assert str(anna.config) in done.stderr
        assert told in done.stderr
        assert "Traceback" not in done.stderr
    anna.config.write_text(good)


def test_a_second_node_on_the_same_data_is_refused(people: list[Person]) -> None:
    anna, _ = people
    anna.start()
    second = anna.type("run")
    assert second.returncode == 1
    assert "Another Postroad already runs in" in second.stderr
    assert f"change data in {anna.config}" in second.stderr
    assert "--data" not in second.stderr  # which `run` does not know
    third = anna.type("setup", "--name", "anna")
    assert third.returncode == 1
    assert "You are set up already." in third.stderr
    assert anna.postroad("status")["address"] == anna.address


def test_a_taken_port_for_peers_is_told_with_the_key_and_the_file(people: list[Person]) -> None:
    """Those of the doors cost one door: test_mail_doors.py."""
    anna, _ = people
    port = load(anna.config).peer_port
    with socket.create_server(("127.0.0.1", port)), socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", port))
        done = anna.type("run")
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "To use another one, change peer_port" in done.stderr
    assert f" in {anna.config}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_control_socket_that_cannot_be_made_is_told_with_the_key(people: list[Person]) -> None:
    anna, _ = people
    runtime = anna.folder / ("x" * 120)
    anna.config.write_text(anna.config.read_text().replace(f"{anna.folder}/run", str(runtime)))
    done = anna.type("run")
    assert done.returncode == 1
    assert f"runtime in {anna.config}" in done.stderr


def test_the_log_begins_with_what_runs_where(people: list[Person]) -> None:
    anna, _ = people
    anna.start()
    (line,) = (
        line for line in (anna.folder / "log").read_text().splitlines() if "node started" in line
    )
    for fact in (
        f"version={__version__}", f"address={anna.address}", "link=", f"smtp_port={anna.smtp_port}",
        f"imap_port={anna.imap_port}", f"peer_port={load(anna.config).peer_port}",
    ):  # fmt: skip
        assert fact in line
    assert anna.password not in (anna.folder / "log").read_text()


def test_set_up_changes_nothing_else_in_a_hand_written_file(tmp_path: Path) -> None:
    anna = Person("anna", tmp_path, 0, "# exim has 25\n")
    before = anna.config.read_text()
    with socket.create_server(("127.0.0.1", load(anna.config).imap_port)):
        anna.set_up()
    assert anna.config.read_text() == (
        before.replace(f"smtp_port = {anna.smtp_port - 1}", f"smtp_port = {anna.smtp_port}")
        .replace(f"imap_port = {anna.imap_port - 1}", f"imap_port = {anna.imap_port}")
        .replace(f"pop3_port = {anna.pop3_port - 1}", f"pop3_port = {anna.pop3_port}")
        .replace("peer_port = 46464", "peer_port = 46465")
    )


def test_a_node_stops_politely_within_two_seconds(people: list[Person]) -> None:
    anna, bora = people
    anna.start()
    bora.start()
    meet(bora, anna)
    assert anna.process is not None
    with socket.create_connection(("127.0.0.1", anna.imap_port), 10) as client:
        assert client.recv(1000).startswith(b"* OK")
        began = time.monotonic()
        anna.process.terminate()
        assert client.recv(1000).startswith(b"* BYE")
        assert anna.process.wait(10) == 0
        assert time.monotonic() - began < 2.0
    assert "Traceback" not in (anna.folder / "log").read_text()


def test_a_wrong_password_gets_nowhere(people: list[Person]) -> None:
    anna, _ = people
    anna.start()
    with imaplib.IMAP4("127.0.0.1", anna.imap_port) as imap, pytest.raises(imaplib.IMAP4.error):
        imap.login(anna.address, "not-the-password")
    with smtplib.SMTP("127.0.0.1", anna.smtp_port) as smtp:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            smtp.login(anna.address, "not-the-password")
        assert smtp.mail(anna.address)[0] == 530


def test_another_user_of_this_machine_is_not_served(people: list[Person]) -> None:
    if os.geteuid() != 0 or Path("/proc/self/uid_map").read_text().split() != [
        "0", "0", "4294967295",
    ]:  # fmt: skip
        pytest.skip("needs root, to be somebody else for a moment")
    anna, _ = people
    anna.start()
    script = (
        "import os, socket, sys\n"
        "'x'.encode('idna')  # loaded now: later it could not be read\n"
        "os.setuid(65534)\n"
        "for port in sys.argv[1:]:\n"
        "    with socket.create_connection(('127.0.0.1', int(port)), 5) as s:\n"
        "        assert s.recv(100) == b'', port\n"
    )
    ports = [str(anna.imap_port), str(anna.smtp_port)]
    subprocess.run(["python3", "-c", script, *ports], check=True, timeout=20)
    assert anna.answers()


def test_letters_survive_kill_9_of_sender_and_recipient(people: list[Person]) -> None:
    """Twelve kills while forty letters pass: none lost, none filed twice."""
    anna, bora = people
    anna.start()
    bora.start()
    meet(bora, anna)
    accepted = []
    for number in range(40):
        subject = f"letter {number}"
        try:
            anna.submit(bora.address, letter(anna, bora, subject))
            accepted.append(subject)
        except (OSError, smtplib.SMTPException):
            pass  # no 250: a mail program would keep it and send again
        if number % 10 == 3:
            anna.kill()
            anna.start()
        if number % 5 == 4:
            bora.kill()
            bora.start()
    assert len(accepted) >= 36

    def everything_arrived() -> bool:
        return len([one for one in all_subjects(bora) if "letter" in one]) >= len(accepted)

    until(everything_arrived, "all letters are filed", 60)
    time.sleep(1.0)  # a duplicate would come now
    filed = [one.removeprefix("Subject: ") for one in all_subjects(bora) if "letter" in one]
    assert sorted(set(filed)) == sorted(filed)
    assert set(accepted) <= set(filed)
    until(lambda: not anna.postroad("queue")["queue"], "all receipts are back", 60)


@contextmanager
def on_a_small_disk(anna: Person) -> Iterator[Path]:
    """Anna's data folder is a small file system of its own."""
    mounted = anna.folder / "data"
    keys = (mounted / "keys").read_bytes()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", str(mounted)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a small file system (root)")
    try:
        (mounted / "keys").write_bytes(keys)
        (mounted / "keys").chmod(0o600)
        anna.config.write_text(anna.config.read_text() + "reserve_mib = 1\n")
        yield mounted
    finally:
        anna.kill()
        subprocess.run(["umount", str(mounted)], check=True)


def filled(mounted: Path) -> Path:
    """A file that takes all that was free, to the last byte."""
    filler = mounted / "filler"
    with open(filler, "wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass
    return filler


def is_filed(reader: Person) -> bool:
    """Whether there is a letter in the INBOX; asked without opening that."""
    with reader.imap("Sent") as imap:
        _, answer = imap.status("INBOX", "(MESSAGES)")
    return b"MESSAGES 1" in answer[0]


def test_a_start_on_a_full_disk_lets_its_owner_read(people: list[Person]) -> None:
    anna, _ = people
    with on_a_small_disk(anna) as mounted:
        anna.start()
        anna.submit(anna.address, letter(anna, anna, "before"))
        until(lambda: is_filed(anna), "it is filed")  # and nobody has seen that it is new
        anna.kill()  # its log of the database stays, and is full, too
        filler = filled(mounted)
        anna.start()
        assert anna.find("before") is not None
        status = anna.postroad("status")
        assert "disk-full" in [one["code"] for one in status["problems"]]
        filler.unlink()
        anna.submit(anna.address, letter(anna, anna, "after"))
        until(lambda: anna.find("after") is not None, "it is filed, too")


def test_a_certificate_that_is_due_waits_for_room(people: list[Person]) -> None:
    anna, _ = people
    with on_a_small_disk(anna) as mounted:
        anna.start()
        anna.stop()
        made_long_ago(mounted)
        old = (mounted / "keys").read_bytes()
        filler = filled(mounted)
        anna.start()
        assert anna.find("nothing") is None
        assert (mounted / "keys").read_bytes() == old
        assert "was not made anew: The disk is full" in (anna.folder / "log").read_text()
        filler.unlink()
        anna.submit(anna.address, letter(anna, anna, "after"))
        until(lambda: anna.find("after") is not None, "it is filed")
        assert (mounted / "keys").read_bytes() != old


def made_long_ago(data: Path) -> None:
    """Let the device's certificate be one that ends within a month."""
    disk = FolderDisk(data, reserve_bytes=0)
    keys = keyring.load(disk)
    then = Instant(SystemClock().now() - limits.DEVICE_CERTIFICATE_SECONDS + 20 * limits.DAY)
    certificate = certificates.certify(keys.identity, keys.device.peer, then)
    keyring.save(disk, replace(keys, certificate=certificate))
    disk.close()


def test_a_really_full_disk_refuses_and_loses_nothing(people: list[Person]) -> None:
    anna, bora = people
    with on_a_small_disk(anna) as mounted:
        anna.start()
        bora.start()
        meet(bora, anna)
        anna.submit(bora.address, letter(anna, bora, "before"))
        bora.stop()
        anna.submit(bora.address, letter(anna, bora, "accepted and waiting"))
        filler = filled(mounted)
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            anna.submit(bora.address, letter(anna, bora, "while full"))
        assert refused.value.smtp_code == 452
        assert b"disk" in refused.value.smtp_error
        assert anna.answers()
        filler.unlink()
        anna.submit(bora.address, letter(anna, bora, "after"))
        bora.start()
        for subject in ("before", "accepted and waiting", "after"):
            until(lambda subject=subject: bora.find(subject) is not None, subject, 90)  # type: ignore[misc]
        assert bora.find("while full") is None


def test_a_damaged_body_file_is_shown_and_costs_no_other_letter(people: list[Person]) -> None:
    anna, _ = people
    anna.start()
    large = "0123456789abcde\n" * 8000
    anna.submit(anna.address, letter(anna, anna, "large", large))
    anna.submit(anna.address, letter(anna, anna, "small"))
    until(lambda: anna.find("small") is not None and anna.find("large") is not None, "filed")
    anna.stop()
    bodies = list((anna.folder / "data" / "bodies").iterdir())
    assert bodies
    for body in bodies:
        octets = bytearray(body.read_bytes())
        octets[len(octets) // 2] ^= 1
        body.write_bytes(octets)
    anna.start()
    shown = anna.find("large")
    assert shown is not None
    assert large.encode()[:2000] not in shown
    assert b"damaged" in shown
    small = anna.find("small")
    assert small is not None
    assert small.endswith(b"Hello!\r\n")
    (set_aside,) = anna.postroad("status")["quarantine"]
    assert set_aside["reason"]


def test_the_control_socket_answers_its_owner_only(people: list[Person]) -> None:
    anna, _ = people
    anna.start()
    path = anna.folder / "run" / "control"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for line in (b"\n", b"{}\n", b'{"do": 7}\n', b'{"do": "shutdown"}\n', b"\xff\n"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(line)
            answer = json.loads(connection.makefile().readline())
        assert answer == {"ok": False, "error": "This node does not know that request."}


def test_an_invitation_can_be_read_aloud_and_a_broken_one_is_explained(
    people: list[Person],
) -> None:
    anna, bora = people
    anna.start()
    bora.start()
    shown = bora.type("invite").stdout
    assert "pipx install ./postroad" in shown
    link = next(word for word in shown.split() if word.startswith("postroad:"))
    broken = anna.type("accept", link[:-9])
    assert broken.returncode == 1
    assert "copy the whole link again" in broken.stderr
    # Asked for, so that no other user of the machine sees it among the processes.
    asked = subprocess.run(
        [*person_command(anna), "accept"], input=link + "\n", text=True, capture_output=True,
        env=person.surroundings(), check=False, timeout=60,
    )  # fmt: skip
    assert "You can write to bora." in asked.stdout
    until(lambda: "anna" in bora.type("contacts").stdout, "Bora knows Anna")
    again = anna.type("accept", link)
    assert again.returncode == 0
    assert again.stdout == f"You and {bora.address} are contacts already.\n"
    (known,) = anna.postroad("contacts")["contacts"]
    assert set(known) == {
        "name", "address", "seen_at", "verified", "verified_at", "blocked", "revoked"
    }  # fmt: skip


def test_status_tells_how_the_node_is_doing(people: list[Person]) -> None:
    anna, bora = people
    anna.start()
    bora.start()
    meet(bora, anna)
    bora.stop()
    anna.submit(bora.address, letter(anna, bora))
    told = anna.postroad("status")
    assert told["address"] == told["user_name"] == anna.address
    assert (told["contact_count"], told["letters_under_way"]) == (1, 1)
    assert (told["holders_wanted"], told["quarantine"]) == (8, [])
    assert "1 letter is on the way." in anna.type("status").stdout
