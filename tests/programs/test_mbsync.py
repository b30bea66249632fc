"""500 messages kept equal, by mbsync, in a node and in a Maildir."""

import imaplib
import sqlite3
from pathlib import Path

import pytest

from needed import needs
from person import Person
from programs import mbsync
from programs.mbsync import FLAGS, NOTHING, Account, Message, Side, digest

pytestmark = [
    pytest.mark.program,
    needs("mbsync"),
]
MIX = ("", "S", "FS", "RS", "DS", "PS", "F", "FPRS")  # the flags that messages have, in turn
DATE = '"23-Nov-2026 12:00:00 +0000"'
ON_NODE = {"INBOX": 200, "Archive": 80, "Projects/2026": 70, "B&APw-cher und so": 10}
IN_MAILDIR = {"INBOX": 60, "Sent": 50, "Only here": 30}


def letter(subject: str, size: int = 300) -> bytes:
    """A letter that no other one is like."""
    message_id = f"<{digest(subject.encode())[:32]}@test>"
    return (
        f"From: Anna <anna@example.org>\r\nTo: bora@example.org\r\nSubject: {subject}\r\n"
        f"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: {message_id}\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        f"Grüße!\r\n.\r\nFrom the beginning of {subject}.\r\n\r\n{'x' * 70}\r\n"
    ).encode() + b"0123456789abcdef\r\n" * (size // 18)


@pytest.fixture
def account(single: Person, tmp_path: Path) -> Account:
    made = Account(single, tmp_path / "mbsync")
    made.set_up()
    return made


class Keeper:
    """Changes either side, and keeps account of what both should then hold."""

    def __init__(self, account: Account, imap: imaplib.IMAP4) -> None:
        self.account = account
        self.imap = imap
        self.kept: Side = {name: {} for name in mbsync.folders(imap)}

    def add_on_node(self, name: str, subject: str, flags: str, size: int = 300) -> None:
        if name not in self.kept:
            assert self.imap.create(f'"{name}"')[0] == "OK"
            self.kept |= {each: {} for each in mbsync.folders(self.imap) if each not in self.kept}
        octets = letter(subject, size)
        assert self.imap.append(f'"{name}"', words(flags), DATE, octets)[0] == "OK"
        self.kept[name][subject] = Message(digest(octets), flags)

    def add_in_maildir(self, name: str, subject: str, flags: str, size: int = 300) -> None:
        octets = letter(subject, size)
        self.account.put(name, octets, flags)
        self.kept.setdefault(name, {})[subject] = Message(digest(octets), flags)

    def flag_on_node(self, name: str, subject: str, flags: str) -> None:
        self.imap.select(f'"{name}"')
        assert self.imap.store(self._number(subject), "FLAGS", words(flags))[0] == "OK"
        self._note(name, subject, flags)

    def flag_in_maildir(self, name: str, subject: str, flags: str) -> None:
        self.account.set_flags(name, subject, flags)
        self._note(name, subject, flags)

    def delete_on_node(self, name: str, subject: str) -> None:
        self.imap.select(f'"{name}"')
        assert self.imap.store(self._number(subject), "+FLAGS", words("T"))[0] == "OK"
        assert self.imap.expunge()[0] == "OK"
        del self.kept[name][subject]

    def delete_in_maildir(self, name: str, subject: str) -> None:
        """By the flag, as a mail program does that leaves the rest to mbsync."""
        flags = self.kept[name][subject].flags
        self.account.set_flags(name, subject, "".join(sorted(flags + "T")))
        del self.kept[name][subject]

    def check_both_sides(self) -> None:
        assert not mbsync.differences(self.account.on_node(), self.kept)
        assert not mbsync.differences(self.account.in_maildir(), self.kept)

    def _number(self, subject: str) -> str:
        found: bytes = self.imap.search(None, "SUBJECT", f'"{subject}"')[1][0]
        assert found.isdigit(), found
        return found.decode()

    def _note(self, name: str, subject: str, flags: str) -> None:
        self.kept[name][subject] = self.kept[name][subject]._replace(flags=flags)


def words(flags: str) -> str:
    return f"({' '.join(FLAGS[one] for one in flags)})"


def laws(account: Account) -> dict[str, tuple[int, ...]]:
    """UIDVALIDITY, UIDNEXT, modseq and the number of expunged messages of each mailbox."""
    place = account.owner.folder / "data" / "postroad.sqlite"
    sql = sqlite3.connect(f"file:{place}?mode=ro", uri=True)
    try:
        rows = sql.execute(
            """SELECT name, uid_validity, uid_next, highest_modseq,
                      (SELECT count(*) FROM expunged WHERE mailbox_id = mailbox.id)
               FROM mailbox"""
        ).fetchall()
    finally:
        sql.close()
    return {name: tuple(numbers) for name, *numbers in rows}


def assert_nothing_moves(account: Account) -> None:
    before = account.traces(), laws(account)
    assert account.sync() == (NOTHING, NOTHING)
    assert (account.traces(), laws(account)) == before


def test_500_messages_become_equal_on_both_sides_and_a_second_run_moves_nothing(
    account: Account,
) -> None:
    with account.owner.imap() as imap:
        keeper = Keeper(account, imap)
        _fill(keeper)
        assert sum(map(len, keeper.kept.values())) == 500
        far, near = account.sync()
        assert (far.added, near.added) == (sum(IN_MAILDIR.values()), sum(ON_NODE.values()))
        keeper.check_both_sides()
        assert_nothing_moves(account)
        _change(keeper)
        far, near = account.sync()
        assert (far.added, near.added) == (10, 20)
        keeper.check_both_sides()
        assert_nothing_moves(account)


def _fill(keeper: Keeper) -> None:
    for place, add, side in (
        (ON_NODE, keeper.add_on_node, "the node"),
        (IN_MAILDIR, keeper.add_in_maildir, "the disk"),
    ):
        for name, count in place.items():
            for number in range(count):
                size = 200_000 if number == 7 else 300
                add(name, f"{name} {number} of {side}", MIX[number % len(MIX)], size)


def _change(keeper: Keeper) -> None:
    """Flags, deletions and new messages on both sides, of messages that came from either."""
    inbox = list(keeper.kept["INBOX"])
    for subject in inbox[0:20] + inbox[-20:-10]:
        keeper.flag_on_node("INBOX", subject, "FRS")
    for subject in inbox[20:40] + inbox[-10:]:
        keeper.flag_in_maildir("INBOX", subject, "PS")
    for subject in inbox[40:50]:
        keeper.delete_on_node("INBOX", subject)
    for subject in inbox[50:60]:
        keeper.delete_in_maildir("INBOX", subject)
    # Both sides changed the same message, each another flag: it has both.
    keeper.flag_on_node("INBOX", inbox[64], "F")
    keeper.flag_in_maildir("INBOX", inbox[64], "S")
    keeper.kept["INBOX"][inbox[64]] = keeper.kept["INBOX"][inbox[64]]._replace(flags="FS")
    for number in range(10):
        keeper.add_on_node("INBOX", f"late on the node {number}", "S")
        keeper.add_in_maildir("Archive", f"late on the disk {number}", "F")
        keeper.add_on_node("From the node", f"in a new folder {number}", "")
