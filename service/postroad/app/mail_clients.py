"""What each mail program is told so that it reads and sends by this node, in its own words.

Purpose: settings that can be typed, or used as they stand: a file for mutt, mbsync and msmtp. Pure:
nothing is asked or written here.
Invariants: no password is in any text: the files read it from one file of its own. No program that
uses a file of ours tells anybody how this computer is called, or asks a name server for it.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from postroad.app.tongue import later
from postroad.message.address import DOMAIN

HOST = "127.0.0.1"
PASSWORD_FILE = "mailbox-password"  # noqa: S105  (its name)
MADE = "# Written by postroad mail-client."


@dataclass(frozen=True, slots=True)
class Account:
    """What all programs have to know. `password_file`: where the password will lie for those that
    read it from a file."""

    address: str
    name: str
    imap_port: int
    smtp_port: int
    pop3_port: int | None
    password_file: Path


@dataclass(frozen=True, slots=True)
class Client:
    """`steps`: for a person, in the program's own windows; or `file`, and what it is called, with
    `then`: what to type once it is there."""

    title: str
    steps: tuple[str, ...] = ()
    file_name: str = ""
    file: Callable[[Account], str] | None = None
    then: str = ""


def _muttrc(account: Account) -> str:
    user = quote(account.address, safe="")
    return f"""\
{MADE} Use it with `mutt -F THIS_FILE`, or `source` it in your muttrc.
set my_postroad_password = "`{_cat(account)}`"
set from = {_quoted(account.address)}
set realname = {_quoted(account.name)}
set imap_user = {_quoted(account.address)}
set imap_pass = $my_postroad_password
set folder = "imap://{user}@{HOST}:{account.imap_port}/"
set spoolfile = "+INBOX"
set record = "+Sent"
set postponed = "+Drafts"
set trash = "+Trash"
mailboxes "+INBOX" "+Requests"
set smtp_url = "smtp://{user}@{HOST}:{account.smtp_port}/"
set smtp_pass = $my_postroad_password
# Else this computer's name, for which a name server is asked, goes into each Message-ID.
set hostname = "{DOMAIN}"
# It never leaves this computer, so there is nothing to encrypt.
set ssl_starttls = no
set ssl_force_tls = no
set imap_idle = yes
set imap_keepalive = 300
"""


def _mbsyncrc(account: Account) -> str:
    # A blank line ends a section.
    return f"""\
{MADE} Use it with `mbsync -c THIS_FILE -a`, or put it into your mbsyncrc.
IMAPStore postroad-node
Host {HOST}
Port {account.imap_port}
User {account.address}
PassCmd "{_cat(account)}"
SSLType None
AuthMechs LOGIN

MaildirStore postroad-here
Path ~/Mail/postroad/
Inbox ~/Mail/postroad/INBOX
SubFolders Verbatim

Channel postroad
Far :postroad-node:
Near :postroad-here:
Patterns *
Create Both
Expunge Both
CopyArrivalDate yes
SyncState *
"""


def _msmtprc(account: Account) -> str:
    return f"""\
{MADE} Use it with `msmtp -C THIS_FILE`, or put it into your msmtprc.
account postroad
host {HOST}
port {account.smtp_port}
tls off
auth plain
user {account.address}
from {account.address}
domain localhost
# The node sets it; msmtp would ask a name server for this computer's name to do that.
set_msgid_header off
passwordeval "{_cat(account)}"
account default : postroad
"""


CLIENTS = {
    "thunderbird": Client(
        "Thunderbird",
        (
            later("Menu > New Account > Email: your name, the address below, and the password."),
            later("Choose manual configuration, and type the values below."),
            later(
                "Connection security is None for both: it never leaves this computer. Say that you "
                "understand when it warns of that."
            ),
        ),
    ),
    "evolution": Client(
        "Evolution",
        (
            later(
                "File > New > Mail Account: your name and the address below. Take away the mark at "
                "'Look up mail server details'."
            ),
            later(
                "Receiving: IMAP, with the values below; no encryption; authentication: Password."
            ),
            later(
                "Sending: SMTP, with the values below; 'Server requires authentication' is marked; "
                "no encryption; authentication type: PLAIN."
            ),
        ),
    ),
    "mutt": Client("mutt", file_name="muttrc", file=_muttrc, then="mutt -F {path}"),
    "mbsync": Client(
        "mbsync",
        file_name="mbsyncrc",
        file=_mbsyncrc,
        then="mkdir -p ~/Mail/postroad && mbsync -c {path} -a",
    ),
    "msmtp": Client(
        "msmtp", file_name="msmtprc", file=_msmtprc, then="msmtp -C {path} RECIPIENT < LETTER"
    ),
    "other": Client(
        "Any other program",
        (
            later("Type the values below where it asks for them."),
            later(
                "Choose IMAP where it can be chosen: POP3 gives the INBOX alone, and what is "
                "deleted there is deleted for all your programs."
            ),
        ),
    ),
}


def _cat(account: Account) -> str:
    """The command that says the password; inside the quotes of every one of these files."""
    return f"cat {shlex.quote(str(account.password_file))}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
