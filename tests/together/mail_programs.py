"""Real mail programs, with the settings of `postroad mail-client` and nothing else.

Each sends and reads in its own way; what was read is the letter as it lies in the mailbox, or ""
while it is not there.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from typing import Any

from programs import terminal
from system.people import Resident

SETTINGS = ".config/postroad"
CURL = ".config/postroad/curlrc"
TEXT = "Hello from another computer.\n.\nThe line above is a dot.\n"

Send = Callable[[Resident, str, str], None]
"""Takes who writes, the address of whom to, and the subject."""
Read = Callable[[Resident, str], str]
"""Takes who reads, and the subject."""


def write_settings(owner: Resident) -> None:
    """Have the command line write the files of those that have one, and ask it for the rest."""
    for program in ("mutt", "mbsync", "msmtp"):
        write = ("postroad", "mail-client", program, "--write")
        owner.type(*write, stdin=owner.password + "\n")
    write_settings_of_curl(owner)


def write_settings_of_curl(owner: Resident) -> None:
    user = f'user = "{told(owner)["outgoing"]["user_name"]}:{owner.password}"\n'
    owner.type("sh", "-c", f"umask 077; cat > {CURL}", stdin=f"silent\nshow-error\n{user}")


@functools.cache
def told(owner: Resident, program: str = "other") -> dict[str, Any]:
    """What the command line tells; nothing of it changes here."""
    return owner.postroad("mail-client", program)


def letter(writer: Resident, to: str, subject: str) -> str:
    return f"From: {writer.address}\nTo: {to}\nSubject: {subject}\n\n{TEXT}"


def send_by_msmtp(writer: Resident, to: str, subject: str) -> None:
    settings = ("-C", f"{SETTINGS}/msmtprc")
    writer.type("msmtp", *settings, to, stdin=letter(writer, to, subject))


def send_by_mutt(writer: Resident, to: str, subject: str) -> None:
    settings = ("-n", "-F", f"{SETTINGS}/muttrc")
    writer.type("mutt", *settings, "-s", subject, "--", to, stdin=TEXT)


def send_by_curl(writer: Resident, to: str, subject: str) -> None:
    envelope = ("--mail-from", writer.address, "--mail-rcpt", to)
    octets = letter(writer, to, subject).replace("\n", "\r\n")
    curl(writer, "outgoing", "", *envelope, "--upload-file", "-", stdin=octets)


def read_by_mbsync(reader: Resident, subject: str) -> str:
    reader.type("sh", "-ec", told(reader, "mbsync")["then"])
    search = 'grep -rlxF "Subject: $0" Mail/postroad/INBOX | xargs --no-run-if-empty cat'
    return reader.type("sh", "-c", search, subject).stdout


def read_by_mutt(reader: Resident, subject: str) -> str:
    kept = f"/home/{reader.name}/read"
    pattern = re.escape(subject).replace("\\ ", ".")  # mutt ends an argument at a space
    keys = f"<search>~s {pattern}<enter><pipe-message>cat > {kept}<enter><exit>"
    settings = f"-e 'set wait_key=no pipe_decode=no beep=no' -e 'push \"{keys}\"'"
    line = f"rm -f {kept}; mutt -n -F {SETTINGS}/muttrc {settings}"
    terminal.run(reader.booted.at_a_terminal(reader.name, line), dict(os.environ))
    read = reader.type("cat", kept, check=False).stdout
    return read if f"Subject: {subject}" in read else ""


def read_by_curl(reader: Resident, subject: str) -> str:
    search = f"INBOX?SUBJECT%20%22{subject.replace(' ', '%20')}%22"
    found = curl(reader, "incoming", search).removeprefix("* SEARCH").split()
    return curl(reader, "incoming", f"INBOX;MAILINDEX={found[-1]}") if found else ""


def read_by_curl_over_pop3(reader: Resident, subject: str) -> str:
    listed = [line.split()[0] for line in curl(reader, "incoming_pop3", "").splitlines()]
    for number in reversed(listed):
        read = curl(reader, "incoming_pop3", number)
        if f"Subject: {subject}\n" in read:
            return read
    return ""


def curl(person: Resident, which: str, path: str, *words: str, stdin: str = "") -> str:
    """Run it at one of the three doors that `postroad mail-client` tells of."""
    door = told(person)[which]
    url = f"{door['protocol']}://{door['host']}:{door['port']}/{path}"
    return person.type("curl", "--config", CURL, "--url", url, *words, stdin=stdin).stdout
