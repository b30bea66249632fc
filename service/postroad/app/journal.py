"""Speak to the journal of systemd in its own protocol, so that a line keeps its facts as fields.

Purpose: `journalctl --user -u postroad PARCEL=17` finds one letter's story. One datagram is one
line: NAME=value, or NAME, the length (u64, little-endian) and the octets where a value has line
ends; nothing that anybody says can begin a field of its own.
Invariants: never blocks and never raises; what the journal does not take goes to stderr as text,
which systemd brings there as well. A line is bounded, so no file has to be passed for a large one.
See: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/; docs/architecture.md (Logs).
"""

import logging
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from postroad.app.log import Line, facts

SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "postroad"
VALUE_CHARACTERS_MAX = 1000
MESSAGE_CHARACTERS_MAX = 16_000  # a traceback, too
PRIORITIES = {  # syslog's
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
# What a log line may say besides its text, and what the journal calls it. Nothing secret: neither
# subjects nor addresses of others, keys or passwords (tests/app/test_journal.py).
FIELDS = {
    "letter": "LETTER",
    "parcel": "PARCEL",
    "mail": "MAIL_ID",
    "state": "STATE",
    "holder": "HOLDER",
    "peer": "PEER",
    "contact": "CONTACT",
    "relay": "RELAY",
    "size": "SIZE",
    "wait": "WAIT_SECONDS",
    "parcels": "PARCELS",
    "letters": "LETTERS",
    "receipts": "RECEIPTS",
    "key": "EPOCH_KEY",
    "nodes": "NODES",
    "keepers": "KEEPERS",
    "asked": "ASKED",
    "count": "COUNT",
    "times": "TIMES",
    "guest": "GUEST",
    "head": "AUDIT_HEAD",
    "version": "VERSION",
    "postroad": "VERSION",
    "helper": "HELPER",
    "address": "ADDRESS",
    "addresses": "ADDRESSES",
    "link": "LINK",
    "smtp_port": "SMTP_PORT",
    "imap_port": "IMAP_PORT",
    "pop3_port": "POP3_PORT",
    "peer_port": "PEER_PORT",
    "paused": "PAUSED",
    "metered": "METERED",
    "on_battery": "ON_BATTERY",
    "messages_sent": "MESSAGES_SENT",
    "messages_heard": "MESSAGES_HEARD",
}


def is_stderr(environment: Mapping[str, str], descriptor: int = 2) -> bool:
    """Whether what is written to stderr ends in the journal: systemd says of which file that is
    so, and the shell may have put another one in its place (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class JournalHandler(logging.Handler):
    """Hands each record to the journal; to `otherwise` what that does not take."""

    def __init__(self, otherwise: logging.Handler, path: str = SOCKET) -> None:
        super().__init__()
        self._otherwise = otherwise
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.setFormatter(Line("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._socket.sendto(datagram(self._fields(record)), self._path)
        except OSError:
            self._otherwise.handle(record)
        except Exception:  # a line that cannot be put together is no reason to lose the letter
            self.handleError(record)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> Iterable[tuple[str, str]]:
        yield "MESSAGE", _cut(self.format(record), MESSAGE_CHARACTERS_MAX)
        yield "PRIORITY", str(PRIORITIES.get(record.levelno, 5))
        yield "SYSLOG_IDENTIFIER", IDENTIFIER
        yield "SYSLOG_PID", str(record.process)
        yield "ROOM", record.name
        for name, value in facts(record):
            if name in FIELDS:  # what has no field stands in the message
                yield FIELDS[name], _cut(str(value), VALUE_CHARACTERS_MAX)


def datagram(fields: Iterable[tuple[str, str]]) -> bytes:
    """One line of the journal."""
    return b"".join(_field(name, value) for name, value in fields)


def _field(name: str, value: str) -> bytes:
    octets = value.encode(errors="backslashreplace")
    if b"\n" in octets:
        return b"%s\n%s%s\n" % (name.encode(), len(octets).to_bytes(8, "little"), octets)
    return b"%s=%s\n" % (name.encode(), octets)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} ..."


def is_there(path: str = SOCKET) -> bool:
    """Whether this computer has a journal at all."""
    return Path(path).exists()
