"""Drive a real mbsync between a node and a Maildir, and read both sides in the same terms."""

import hashlib
import imaplib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from person import Person
from programs import terminal

SECONDS_MAX = 120.0
LETTERS = {  # a Maildir's letter for each flag that both sides know
    r"\Draft": "D",
    r"\Flagged": "F",
    "$Forwarded": "P",
    r"\Answered": "R",
    r"\Seen": "S",
    r"\Deleted": "T",
}
FLAGS = {letter: flag for flag, letter in LETTERS.items()}


# In mbsync's last line: `C: 1/1  B: 9/9  F: +13/13 *23/42 #0/0  N: +0/7 *0/0 #0/0`.
_COUNTS = re.compile(r"\+\d+/(\d+) \*\d+/(\d+) #\d+/(\d+)")
_TUID = re.compile(rb"^X-TUID: [!-~]{12}\r\n", re.MULTILINE)
_EXPECTED = re.compile(
    r"C: \d+/\d+ |Maildir notice: "
    r"|\*\*\* IMAP Warning \*\*\* Password is being sent in the clear"  # it stays on loopback
)


class Message(NamedTuple):
    """One message as either side has it."""

    digest: str
    flags: str  # a Maildir's letters in their order


Side = dict[str, dict[str, Message]]  # of each folder, by Subject


class Moved(NamedTuple):
    """What mbsync says that it did to one side."""

    added: int
    changed: int
    trashed: int


NOTHING = Moved(0, 0, 0)


@dataclass(frozen=True)
class Account:
    """A node's mailboxes and a Maildir, to be kept equal."""

    owner: Person
    folder: Path

    @property
    def maildir(self) -> Path:
        return self.folder / "mail"

    def set_up(self) -> None:
        self.maildir.mkdir(parents=True)
        settings = self.folder / "mbsyncrc"
        settings.touch(0o600)
        settings.write_text(
            f"IMAPStore node\nHost 127.0.0.1\nPort {self.owner.imap_port}\n"
            f"User {self.owner.address}\nPass {self.owner.password}\n"
            "SSLType None\nAuthMechs LOGIN\nTimeout 60\n\n"
            f"MaildirStore here\nPath {self.maildir}/\nInbox {self.maildir}/INBOX\n"
            "SubFolders Verbatim\n\n"
            "Channel all\nFar :node:\nNear :here:\nPatterns *\n"
            "Sync All\nCreate Both\nExpunge Both\nCopyArrivalDate yes\nSyncState *\n"
        )

    def sync(self) -> tuple[Moved, Moved]:
        """Run `mbsync -a`; what it did to the node, and to the Maildir."""
        said = terminal.run(  # it counts on a terminal only
            ["mbsync", "-c", str(self.folder / "mbsyncrc"), "-a"],
            os.environ | {"HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TERM": "dumb"},
            SECONDS_MAX,
        )
        lines = [line.strip() for line in re.split(r"[\r\n]+", said) if line.strip()]
        unexpected = [line for line in lines if not _EXPECTED.match(line)]
        assert not unexpected, unexpected
        far, near = (Moved(*map(int, one)) for one in _COUNTS.findall(lines[-1]))
        return far, near

    def on_node(self) -> Side:
        with self.owner.imap() as imap:
            return {name: dict(_fetched(imap, name)) for name in folders(imap)}

    def in_maildir(self) -> Side:
        return {
            str(cur.parent.relative_to(self.maildir)): {
                subject_of(octets): Message(digest(octets), flags)
                for octets, flags in _kept(cur.parent)
            }
            for cur in self.maildir.rglob("cur")
        }

    def put(self, name: str, octets: bytes, flags: str) -> None:
        """Add a message to the Maildir, as another program would."""
        for part in ("cur", "new", "tmp"):
            (self.maildir / name / part).mkdir(parents=True, exist_ok=True)
        path = self.maildir / name / "cur" / f"{digest(octets)[:20]}.test:2,{flags}"
        path.write_bytes(octets.replace(b"\r\n", b"\n"))

    def path(self, name: str, subject: str) -> Path:
        """The file of a message in the Maildir."""
        for part in ("cur", "new"):
            for path in (self.maildir / name / part).iterdir():
                if subject_of(path.read_bytes()) == subject:
                    return path
        raise AssertionError(f"there is no {subject} in {name}")

    def set_flags(self, name: str, subject: str, flags: str) -> None:
        """Give a message of the Maildir these flags, as another program would."""
        path = self.path(name, subject)
        path.rename(self.maildir / name / "cur" / f"{path.name.partition(':')[0]}:2,{flags}")

    def traces(self) -> dict[str, object]:
        """All of the Maildir's side that a run could touch: files, their times, mbsync's notes."""
        found: dict[str, object] = {}
        for path in self.maildir.rglob("*"):
            name = str(path.relative_to(self.maildir))
            if path.name.startswith("."):  # it may write its notes anew, with the same in them
                found[name] = path.read_bytes()
            elif path.is_file() or path.name in ("cur", "new"):
                found[name] = path.stat().st_mtime_ns
        return found


def folders(imap: imaplib.IMAP4) -> list[str]:
    lines = [line for line in imap.list()[1] if isinstance(line, bytes)]
    return [line.decode().rpartition(' "/" ')[2].strip('"') for line in lines]


def digest(octets: bytes) -> str:
    """Of all but the field that mbsync puts into what it copies, to find it after a crash."""
    return hashlib.sha256(_TUID.sub(b"", octets)).hexdigest()


def subject_of(octets: bytes) -> str:
    found = re.search(rb"^Subject: (.*?)\r?$", octets, re.MULTILINE)
    assert found is not None, octets[:200]
    return found.group(1).decode()


def differences(one: Side, other: Side) -> list[str]:
    """What is not the same on both sides, a line for each folder or message."""
    flat = [
        {(name, subject): found for name in side for subject, found in side[name].items()}
        for side in (one, other)
    ]
    told = [f"only one has the folder {name}" for name in one.keys() ^ other.keys()]
    for key in sorted(flat[0].keys() | flat[1].keys()):
        left, right = flat[0].get(key), flat[1].get(key)
        if left != right:
            told.append(f"{key}: {left} and {right}")
    return told


def _fetched(imap: imaplib.IMAP4, name: str) -> Iterator[tuple[str, Message]]:
    _, (count,) = imap.select(f'"{name}"')
    if count == b"0":
        return
    status, answer = imap.fetch("1:*", "(FLAGS BODY.PEEK[])")
    assert status == "OK"
    for one in answer:
        if isinstance(one, tuple):
            flags = {flag.decode() for flag in imaplib.ParseFlags(one[0])}
            letters = "".join(sorted(LETTERS[flag] for flag in flags & LETTERS.keys()))
            yield subject_of(one[1]), Message(digest(one[1]), letters)


def _kept(mailbox: Path) -> Iterator[tuple[bytes, str]]:
    """Octets with the line ends of the wire, and flags."""
    for part in ("cur", "new"):
        for path in (mailbox / part).iterdir():
            yield path.read_bytes().replace(b"\n", b"\r\n"), path.name.partition(":2,")[2]
