"""Lines of the journal: their fields, and that nothing secret and nobody's words become one."""

from __future__ import annotations

import ast
import io
import logging
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from person import ROOT, surroundings
from postroad.app import journal
from postroad.app.journal import FIELDS, JournalHandler, datagram

SERVICE = ROOT / "service" / "postroad"


class Journald:
    """Stands where journald does: a real socket, and what came through it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._socket.settimeout(10)

    def read(self) -> dict[str, str]:
        """The fields of the next line, read as the protocol says."""
        octets = self._socket.recv(1 << 20)
        found: dict[str, str] = {}
        while octets:
            line, _, octets = octets.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                (size,) = struct.unpack("<Q", octets[:8])
                value, octets = octets[8 : 8 + size], octets[8 + size :]
                assert octets[:1] == b"\n"
                octets = octets[1:]
            assert name.decode() not in found
            found[name.decode()] = value.decode()
        return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def journald() -> Iterator[Journald]:
    folder = tempfile.mkdtemp(prefix="pr-")  # a socket's path is short
    made = Journald(f"{folder}/socket")
    yield made
    made.close()
    shutil.rmtree(folder)


@pytest.fixture
def log(journald: Journald) -> Iterator[logging.Logger]:
    handler = JournalHandler(logging.NullHandler(), journald.path)
    made = logging.Logger("postroad.delivery.sender")
    made.addHandler(handler)
    yield made
    handler.close()


def test_a_line_has_its_facts_as_fields(log: logging.Logger, journald: Journald) -> None:
    log.info("parcel %s", "held", extra={"letter": "ab" * 16, "parcel": 17, "state": "held"})
    assert journald.read() == {
        "MESSAGE": f"parcel held letter={'ab' * 16} parcel=17 state=held",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "postroad",
        "SYSLOG_PID": str(os.getpid()),
        "ROOM": "postroad.delivery.sender",
        "LETTER": "ab" * 16,
        "PARCEL": "17",
        "STATE": "held",
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, "7"), (logging.INFO, "6"), (logging.WARNING, "4"), (logging.ERROR, "3")],
)
def test_levels_are_those_of_the_journal(
    log: logging.Logger, journald: Journald, level: int, priority: str
) -> None:
    log.log(level, "something")
    assert journald.read()["PRIORITY"] == priority


def test_nobodys_words_make_a_field(log: logging.Logger, journald: Journald) -> None:
    forged = "x\nSTATE=delivered\n\x1b[2J\udcff"
    log.warning("a peer says: %s", forged, extra={"peer": forged, "state": "held"})
    said = journald.read()
    assert said["STATE"] == "held"
    assert said["PEER"] == forged.encode(errors="backslashreplace").decode()
    assert said["MESSAGE"].startswith("a peer says: x\\nSTATE=delivered\\n\\x1b[2J\\udcff")
    assert "\n" not in said["MESSAGE"]


def test_a_traceback_is_one_line_of_the_journal(log: logging.Logger, journald: Journald) -> None:
    try:
        raise ValueError("x\nSTATE=forged")
    except ValueError:
        log.exception("answering failed", extra={"peer": "12345678"})
    said = journald.read()
    first, *others = said["MESSAGE"].split("\n")
    assert first == "answering failed peer=12345678"
    assert "  STATE=forged" in others or "ValueError: x" in said["MESSAGE"]
    assert "STATE" not in said


def test_a_line_is_bounded(log: logging.Logger, journald: Journald) -> None:
    log.info("a" * 1_000_000, extra={"peer": "b" * 1_000_000, "unknown": "c"})
    said = journald.read()
    assert len(said["MESSAGE"]) < 17_000
    assert len(said["PEER"]) < 1_100
    assert "UNKNOWN" not in said


def test_what_the_journal_does_not_take_is_told_on_stderr(journald: Journald) -> None:
    stream = io.StringIO()
    handler = JournalHandler(logging.StreamHandler(stream), journald.path)
    log = logging.Logger("room")
    log.addHandler(handler)
    for number in range(10_000):  # nobody reads: its queue is full at some time, and we never wait
        log.info("line %d", number)
    assert "line 9999" in stream.getvalue()
    journald.close()
    Path(journald.path).unlink()
    log.info("after its end")
    assert "after its end" in stream.getvalue()
    handler.close()


def test_the_journal_is_spoken_to_only_where_stderr_is_the_journal(journald: Journald) -> None:
    program = (
        "import logging; from postroad.app import journal, log;"
        f"journal.JournalHandler.__init__.__defaults__ = ({journald.path!r},);"
        "log.start('info'); logging.getLogger('postroad').info('hello', extra={'parcel': 1})"
    )
    command = [sys.executable, "-c", program]
    with tempfile.TemporaryFile() as stderr:
        found = os.fstat(stderr.fileno())
        mine = f"{found.st_dev}:{found.st_ino}"
        for stream, goes_there in ((mine, True), ("1:2", False), ("", False)):
            environment = surroundings() | {"JOURNAL_STREAM": stream}
            subprocess.run(command, stderr=stderr, env=environment, check=True)
            stderr.seek(0)
            said = stderr.read()
            stderr.truncate(0)
            stderr.seek(0)
            if goes_there:
                assert journald.read()["PARCEL"] == "1"
            assert (b"hello parcel=1" in said) != goes_there


# What log lines say


def extras() -> Iterator[tuple[str, str]]:
    """Each name under which some line of ours says something, and where."""
    for path in sorted(SERVICE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(call, ast.Call) and _is_of_log(call.func)):
                continue
            for one in call.keywords:
                if one.arg == "extra":
                    for name in _names(one.value, path):
                        yield name, f"{path.relative_to(SERVICE)}:{call.lineno}"


def _is_of_log(called: ast.expr) -> bool:
    return (
        isinstance(called, ast.Attribute)
        and isinstance(called.value, ast.Name)
        and called.value.id == "log"
    )


MADE_ELSEWHERE = {  # what `extra` is where it is no dictionary in the call, and the names in it
    "row.ids": {"letter", "parcel"},
    "found.row.ids": {"letter", "parcel"},
    "helper.facts()": {
        "helper", "postroad", "addresses", "relay", "messages_sent", "messages_heard",
    },
    "self._facts(node)": {
        "version", "address", "link", "smtp_port", "imap_port", "pop3_port", "peer_port",
        "paused",
    },
    "extra": {"letter", "parcel", "state", "wait", "contact"},
}  # fmt: skip


def _names(extra: ast.expr, path: Path) -> Iterator[str]:
    if isinstance(extra, ast.Dict):
        for key, value in zip(extra.keys, extra.values, strict=True):
            if key is None:
                yield from _names(value, path)
            else:
                assert isinstance(key, ast.Constant)
                yield str(key.value)
        return
    written = ast.unparse(extra)
    assert written in MADE_ELSEWHERE, f"{path}: say in MADE_ELSEWHERE which names {written} has"
    yield from MADE_ELSEWHERE[written]


def test_every_fact_of_a_line_has_a_field_of_its_own() -> None:
    found = dict(extras())
    assert len(found) > 15
    assert {name: where for name, where in found.items() if name not in FIELDS} == {}


def test_no_line_is_told_a_secret() -> None:
    """Neither as a fact nor as a value of its text."""
    secret = {"password", "passphrase", "words", "seed", "secret", "subject", "body", "octets"}
    secret |= {"content_key", "ticket", "invitation", "code", "token", "entropy"}
    guilty = []
    for path in sorted(SERVICE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and _is_of_log(call.func):
                named = {
                    one.id if isinstance(one, ast.Name) else one.attr
                    for value in [*call.args, *(one.value for one in call.keywords)]
                    for one in ast.walk(value)
                    if isinstance(one, ast.Name | ast.Attribute)
                }
                if named & secret:
                    guilty.append(f"{path.name}:{call.lineno} {named & secret}")
    assert guilty == []
    assert not set(FIELDS) & secret


def test_a_field_with_a_line_end_is_told_with_its_length() -> None:
    assert datagram([("A", "b"), ("C", "d\ne")]) == b"A=b\nC\n\x03\0\0\0\0\0\0\0d\ne\n"
    assert journal.is_stderr({}) is False
