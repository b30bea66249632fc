"""What mail programs are set to, as their files say it: where they read and send, and as whom.

Purpose: `postroad doctor` compares it with the node. Only what is read here is shown: ports and
user names of accounts that are for our node; nothing of others, and no password. Pure.
Invariant: a file that cannot be understood says nothing; it is never wrong.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from postroad.message.address import DOMAIN
from postroad.protocol.doctor import Setting

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
SMTP, IMAP, POP3 = DOORS = ("SMTP", "IMAP", "POP3")


@dataclass(slots=True)
class Account:
    """One door of one account, each value with its line."""

    door: str
    host: str = ""
    port: tuple[str, int] = ("", 0)
    user: tuple[str, int] = ("", 0)
    kind: str = field(default="")

    def is_for(self, ports: Iterable[int]) -> bool:
        """Whether it is meant for our node: on this computer, with an address of Postroad's or
        one of our ports."""
        ours = self.user[0].lower().endswith(f"@{DOMAIN}")
        return self.host.lower() in LOOPBACK and (ours or self.port[0] in {str(p) for p in ports})


_PREF = re.compile(r'^user_pref\("mail\.(server\.server\d+|smtpserver\.\w+)\.(\w+)", "?(.*?)"?\);')


def thunderbird(text: str) -> list[Account]:
    """`prefs.js` of a profile."""
    found: dict[str, Account] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if (match := _PREF.match(line)) is None:
            continue
        key, name, value = match[1], match[2].lower(), match[3]
        one = found.setdefault(key, Account(SMTP if key.startswith("smtp") else IMAP))
        if name == "hostname":
            one.host = value
        elif name == "port":
            one.port = value, number
        elif name == "username":
            one.user = value, number
        elif name == "type":
            one.kind = value
            if value == "pop3":
                one.door = POP3
    return [one for one in found.values() if one.kind in ("", "imap", "pop3")]


_SET = re.compile(r"""^\s*set\s+(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)'|(\S+))""")


def mutt(text: str) -> list[Account]:
    """A muttrc: folder and smtp_url."""
    accounts: list[Account] = []
    users: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if (match := _SET.match(line)) is None:
            continue
        name, value = match[1], next((one for one in match.groups()[1:] if one), "")
        if name in ("folder", "smtp_url", "spoolfile"):
            accounts += _of_url(value, number)
        elif name in ("imap_user", "imap_login"):
            users[IMAP] = value, number
    for one in accounts:
        if not one.user[0]:
            one.user = users.get(one.door, ("", 0))
    return accounts


def _of_url(url: str, number: int) -> Iterator[Account]:
    doors = {"imap": (IMAP, "143"), "smtp": (SMTP, "25")}
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError:
        return
    if found.scheme in doors and found.hostname:
        door, usual = doors[found.scheme]
        user = unquote(found.username or "")
        yield Account(door, found.hostname, (str(port or usual), number), (user, number))


def mbsync(text: str) -> list[Account]:
    """A mbsyncrc: each IMAPStore or IMAPAccount."""
    return _sections(text, IMAP, re.compile(r"(?i)^imap(store|account)\b"), "143")


def msmtp(text: str) -> list[Account]:
    """A msmtprc: each account."""
    return _sections(text, SMTP, re.compile(r"^account\s+[^:]+$"), "25")


def _sections(text: str, door: str, head: re.Pattern[str], usual: str) -> list[Account]:
    found: list[Account] = []
    for number, line in enumerate(text.splitlines(), 1):
        if head.match(line.strip()):
            found.append(Account(door, port=(usual, number)))
            continue
        name, _, value = line.strip().partition(" ")
        if not found or not value:
            continue
        value = value.strip().strip('"')
        match name.lower():
            case "host":
                found[-1].host = value
            case "port":
                found[-1].port = value, number
            case "user":
                found[-1].user = value, number
            case _:
                pass
    return found


@dataclass(frozen=True, slots=True)
class Program:
    """`files`: where its settings may be, below the home; a * stands for any name."""

    title: str
    files: tuple[str, ...]
    read: Callable[[str], list[Account]]


PROGRAMS = (
    Program(
        "Thunderbird",
        (
            ".thunderbird/*/prefs.js",
            "snap/thunderbird/common/.thunderbird/*/prefs.js",
            ".var/app/org.mozilla.Thunderbird/.thunderbird/*/prefs.js",
        ),
        thunderbird,
    ),
    Program(
        "mutt",
        (
            *(".muttrc", ".mutt/muttrc", ".config/mutt/muttrc", ".config/postroad/muttrc"),
            *(".neomuttrc", ".config/neomutt/neomuttrc"),
        ),
        mutt,
    ),
    Program("mbsync", (".mbsyncrc", ".config/isyncrc", ".config/postroad/mbsyncrc"), mbsync),
    Program("msmtp", (".msmtprc", ".config/msmtp/config", ".config/postroad/msmtprc"), msmtp),
)


def wrong(
    program: str, file: str, accounts: Iterable[Account], ports: dict[str, int], names: set[str]
) -> Iterator[Setting]:
    """What in these accounts is not as the node has it. `names`: as whom one may log in; empty
    where nobody knows."""
    for one in accounts:
        port, user = str(ports.get(one.door, "")), one.user[0]
        if port and one.port[0] != port:
            yield Setting(program, file, one.port[1], "port", one.door, one.port[0], port)
        if names and user and user.lower() not in names:
            wanted = max(names, key=len)
            yield Setting(program, file, one.user[1], "user name", one.door, user, wanted)
