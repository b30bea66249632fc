"""What a session asks its door to do, and what the door answers.

Purpose: the closed unions between meaning and doing. A session has at most one request open; the
door answers it with the matching answer, or with Failed.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntFlag

from postroad.base.ids import Instant

# Facts about mailboxes and messages ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MailboxInfo:
    name: str
    special_use: str | None
    subscribed: bool


@dataclass(frozen=True, slots=True)
class FlagsOf:
    """Flags of one message: the stored bits, and its keywords separated by one space."""

    uid: int
    bits: int
    keywords: str


class Column(IntFlag):
    """What to load of messages, besides date and size."""

    NONE = 0
    ENVELOPE = 1
    BODY = 2
    BODY_STRUCTURE = 4
    HEADER = 8
    OCTETS = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One message as loaded; what was not asked for is empty."""

    uid: int
    date: Instant
    size: int
    envelope: bytes = b""
    body: bytes = b""
    body_structure: bytes = b""
    header: bytes = b""
    octets: bytes = field(default=b"", repr=False)
    damaged: bool = False  # the octets are a note about a letter that could not be read


# Answers ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failed:
    """The sentence is for people; the code, if any, is a response code of RFC 5530."""

    sentence: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The selected mailbox is there no more."""


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class PasswordChecked:
    right: bool


@dataclass(frozen=True, slots=True)
class Listing:
    mailboxes: tuple[MailboxInfo, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A mailbox as it stands: UIDs rise; the stored bits are parallel to them."""

    mailbox_id: int
    uid_validity: int
    uid_next: int
    modseq: int
    recent_from: int  # messages from this UID on are recent for this session
    uids: "array[int]"
    bits: bytearray
    keywords: dict[int, str]  # only of messages that have some


@dataclass(frozen=True, slots=True)
class StatusInfo:
    messages: int
    recent: int
    unseen: int
    uid_next: int
    uid_validity: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the first `taken` messages asked for; those that are gone have none."""

    rows: tuple[Row, ...]
    taken: int
    seen: tuple[FlagsOf, ...] = ()  # got the Seen flag by this


@dataclass(frozen=True, slots=True)
class FlagsChanged:
    flags: tuple[FlagsOf, ...]  # of all messages asked for that are there


@dataclass(frozen=True, slots=True)
class Appended:
    uid_validity: int
    uid: int


@dataclass(frozen=True, slots=True)
class Copied:
    uid_validity: int
    uids: tuple[int, ...]
    new_uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    modseq: int
    recent_from: int
    expunged: tuple[int, ...]
    flags: tuple[FlagsOf, ...]  # of changed and of new messages, by UID


Answer = (
    Failed | Gone | Done | PasswordChecked | Listing | Opened | StatusInfo | Rows | FlagsChanged
    | Appended | Copied | Changes
)  # fmt: skip


# Requests -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckPassword:
    """Answer: PasswordChecked. The door makes a wrong one wait."""

    user: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ListMailboxes:
    """Answer: Listing."""


@dataclass(frozen=True, slots=True)
class OpenMailbox:
    """Answer: Opened."""

    name: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class CreateMailbox:
    name: str


@dataclass(frozen=True, slots=True)
class DeleteMailbox:
    name: str


@dataclass(frozen=True, slots=True)
class RenameMailbox:
    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class SubscribeMailbox:
    name: str
    subscribed: bool


@dataclass(frozen=True, slots=True)
class AskStatus:
    """Answer: StatusInfo."""

    name: str


@dataclass(frozen=True, slots=True)
class LoadRows:
    """Answer: Rows. The door may take fewer messages than asked, but at least one."""

    mailbox_id: int
    uids: Sequence[int]
    columns: Column
    mark_seen: bool = False


@dataclass(frozen=True, slots=True)
class ChangeFlags:
    """Answer: FlagsChanged."""

    mailbox_id: int
    uids: Sequence[int]
    mode: str  # "+", "-" or "" to replace
    bits: int
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppendLetter:
    """Answer: Appended."""

    name: str
    octets: bytes = field(repr=False)
    bits: int = 0
    keywords: tuple[str, ...] = ()
    date: Instant | None = None


@dataclass(frozen=True, slots=True)
class CopyMessages:
    """Answer: Copied."""

    mailbox_id: int
    uids: Sequence[int]
    name: str
    move: bool


@dataclass(frozen=True, slots=True)
class ExpungeMessages:
    """Remove what is flagged Deleted, of these UIDs or of all."""

    mailbox_id: int
    uids: Sequence[int] | None


@dataclass(frozen=True, slots=True)
class LookForChanges:
    """Answer: Changes. `claim`: new messages are recent for this session and for no later one."""

    mailbox_id: int
    since: int
    claim: bool


@dataclass(frozen=True, slots=True)
class MakeRoom:
    """Send the output so far, and answer Done once the client has taken it."""


Request = (
    CheckPassword | ListMailboxes | OpenMailbox | CreateMailbox | DeleteMailbox | RenameMailbox
    | SubscribeMailbox | AskStatus | LoadRows | ChangeFlags | AppendLetter | CopyMessages
    | ExpungeMessages | LookForChanges | MakeRoom
)  # fmt: skip
