"""What `postroad mail-client` tells and writes is all that real programs need."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from needed import needs
from person import Person, until
from postroad.app.mail_clients import CLIENTS
from programs import terminal
from programs.terminal import SECONDS_MAX

Couple = tuple[Person, Person]
FILES = {"mutt": "muttrc", "mbsync": "mbsyncrc", "msmtp": "msmtprc"}


def written(owner: Person, program: str) -> Path:
    """The file that is written for the program, as its owner would have it."""
    done = owner.type("mail-client", program, "--write", stdin=owner.password + "\n")
    assert done.returncode == 0, done.stderr
    assert owner.password not in done.stdout + done.stderr
    path = owner.folder / FILES[program]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert owner.password not in path.read_text()
    return path


def environment(home: Path) -> dict[str, str]:
    return os.environ | {"HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8"}


def run(*command: str, home: Path, stdin: str = "") -> None:
    done = subprocess.run(
        command,
        input=stdin.encode(),
        env=environment(home),
        capture_output=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.program
@needs("mutt")
def test_mutt_sends_and_reads_with_the_file_that_is_written(couple: Couple, tmp_path: Path) -> None:
    anna, bora = couple
    hers, his = written(anna, "mutt"), written(bora, "mutt")
    subject = "By a written muttrc"
    run("mutt", "-n", "-F", str(hers), "-s", subject, bora.address, home=tmp_path, stdin="Hello.\n")
    until(lambda: bora.find(subject), "it arrives")
    until(lambda: anna.find(subject, "Sent"), "mutt keeps a copy")
    fetched = tmp_path / "fetched"
    save = f"<pipe-message>cat > {fetched}<enter>"
    pattern = subject.replace(" ", ".")
    keys = f'push "<search>~s {pattern}<enter>{save}<exit>"'
    command = ["mutt", "-n", "-F", str(his), "-e", "set wait_key=no pipe_decode=no beep=no"]
    terminal.run([*command, "-e", keys], environment(tmp_path))
    letter = fetched.read_text()
    assert f"Subject: {subject}" in letter
    assert f"From: anna <{anna.address}>" in letter
    assert re.search(r"^Message-ID: <\S+@postroad\.alt>$", letter, re.MULTILINE)


@pytest.mark.program
@needs("mbsync", "msmtp")
def test_msmtp_sends_and_mbsync_fetches_with_the_files_that_are_written(
    couple: Couple, tmp_path: Path
) -> None:
    anna, bora = couple
    letter = f"From: {anna.address}\nTo: {bora.address}\nSubject: By msmtp\n\nHello.\n"
    run("msmtp", "-C", str(written(anna, "msmtp")), bora.address, home=tmp_path, stdin=letter)
    until(lambda: bora.find("By msmtp"), "it arrives")
    then = bora.postroad("mail-client", "mbsync")["then"]
    written(bora, "mbsync")
    run("sh", "-ec", then, home=tmp_path)
    inbox = tmp_path / "Mail" / "postroad" / "INBOX"
    letters = [path.read_bytes() for path in inbox.glob("*/*")]
    (fetched,) = [one for one in letters if b"Subject: By msmtp" in one]
    assert re.search(rb"^Message-ID: <\S+@postroad\.alt>$", fetched, re.MULTILINE)


@pytest.mark.program
@needs("msmtp")
def test_programs_that_read_the_password_from_the_file_have_the_new_one(
    single: Person, tmp_path: Path
) -> None:
    path = written(single, "msmtp")
    made = single.postroad("password")
    assert made["kept_in"] == str(single.folder / "mailbox-password")
    assert stat.S_IMODE(Path(made["kept_in"]).stat().st_mode) == 0o600
    letter = f"From: {single.address}\nTo: {single.address}\nSubject: To myself\n\nHello.\n"
    run("msmtp", "-C", str(path), single.address, home=tmp_path, stdin=letter)
    single.password = made["password"]
    until(lambda: single.find("To myself"), "it arrives")
    assert "mailbox-password (mutt, mbsync, msmtp) have it" in single.type("password").stdout


def test_what_is_there_is_not_written_over(couple: Couple) -> None:
    anna, _ = couple
    path = written(anna, "mbsync")
    kept = path.read_text()
    again = anna.type("mail-client", "mbsync", "--write", stdin=anna.password + "\n")
    assert again.returncode == 0  # it is there just so
    path.write_text(kept + "Expunge None\n")
    refused = anna.type("mail-client", "mbsync", "--write", stdin=anna.password + "\n")
    assert refused.returncode == 1
    assert f"There is a file {path} already." in refused.stderr
    assert path.read_text() == kept + "Expunge None\n"
    path.unlink()


def test_a_wrong_password_is_written_nowhere(couple: Couple) -> None:
    anna, _ = couple
    for given, says in (("not-that-one\n", "not your mailbox password"), ("", "wanted on stdin")):
        done = anna.type("mail-client", "msmtp", "--write", "--json", stdin=given)
        assert says in json.loads(done.stdout)["error"]
        assert done.returncode == (1 if given else 2)
    windows = anna.type("mail-client", "thunderbird", "--write", stdin=anna.password + "\n")
    assert windows.returncode == 2
    assert "--write is for mutt, mbsync, msmtp" in windows.stderr


@pytest.mark.parametrize("program", [None, *CLIENTS])
def test_every_program_is_told_where_to_read_and_to_send(
    couple: Couple, program: str | None
) -> None:
    anna, _ = couple
    words = ["mail-client", *([program] if program else [])]
    told = anna.postroad(*words)
    assert (told["incoming"]["port"], told["outgoing"]["port"]) == (anna.imap_port, anna.smtp_port)
    shown = anna.type(*words)
    ports = {"mbsync": {anna.imap_port}, "msmtp": {anna.smtp_port}}
    for port in ports.get(program or "", {anna.imap_port, anna.smtp_port}):
        assert re.search(rf"\b{port}\b", shown.stdout)
    if told["text"] is not None:  # a file, as it can be redirected
        assert shown.stdout == told["text"]
    assert anna.password not in shown.stdout


def test_the_settings_are_told_while_the_node_is_off(tmp_path: Path, quiet_network: None) -> None:
    person = Person("anna", tmp_path, 26, link="tls")
    assert person.type("mail-client").returncode == 4
    person.set_up()
    told = person.postroad("mail-client", "thunderbird")
    assert told["address"] == person.address
    assert told["incoming"]["port"] == person.imap_port
    secret = "five words that nobody guesses"
    person.type("keys", "protect", "--passphrase", "--json", stdin=f"{secret}\n")
    assert person.type("mail-client").returncode == 3  # nobody can say the address now
