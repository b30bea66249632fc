"""What nodes say to each other: one exchange per stream, framed messages, then raw bytes.

Frame: kind u8 | size u32 | that many bytes of `base.tlv`. Some messages announce raw bytes, which
follow their frame with exactly the size they announce. One side asks, the other answers;
both finish.
A letter of at most `limits.AT_ONCE_BYTES_MAX` follows its offer (Deliver, Deposit) at once, wanted
or not: that is a round trip less for nearly every letter. A larger one waits for Take.
Authority: the link proves both device keys. Who owns a drop signs with the drop's key over holder,
asker and the whole request, so a request is of no use to anybody else.
See: docs/architecture.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeVar

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import PeerId
from postroad.base.tlv import (
    decode,
    encode,
    fixed,
    hidden,
    nested,
    number,
    octets,
    optional,
    several,
    text,
)
from postroad.protocol import wire_changes, wire_directory
from postroad.protocol.wire_changes import ChangeMessage
from postroad.protocol.wire_directory import DirectoryMessage
from postroad.protocol.wire_helping import SignedIn, SignIn
from postroad.protocol.wire_holders import (
    Burial,
    Draw,
    FindHolders,
    Holders,
    Holding,
    Sync,
    Synced,
    Voucher,
)
from postroad.protocol.wire_reach import DialBack, DialledBack, Seen, Who
from postroad.protocol.wire_reseal import LeaveReseal, Reseal
from postroad.sealing import keys
from postroad.sealing.keys import SigningKey
from postroad.sealing.receipt import RECEIPT_BYTES
from postroad.sealing.stamp import STAMP_BYTES

ALPN = b"postroad/2"  # what a link is opened for: it changes only when frames do (ADR 3)
FRAME_HEAD = 5
LISTING_MAX = 500
ASK_MAX = 32
REASON_BYTES_MAX = 200
OWNER_CONTEXT = b"postroad/drop-request/1"
LEASE_CONTEXT = b"postroad/lease/1"


class Refusal(IntEnum):
    """Why a node says no."""

    LATER = 1  # busy, or short of something: try again
    UNKNOWN = 2  # no such drop, letter or record here
    FORBIDDEN = 3  # not for you
    FULL = 4  # the quota of this drop is used up
    TOO_LARGE = 5
    ENDED = 6  # I speak for that recipient no more: ask me why (FindChanges)
    STAMP = 7  # a stranger's letter needs a stamp of as many bits as the recipient's record says
    RATE = 8  # too many letters in too short a time: try again later
    UNWANTED = 9  # the recipient has blocked you: a large letter is not even taken in
    REVOKED = 10  # your device does not speak for anybody any more


@dataclass(frozen=True, slots=True)
class Deliver:
    """To a device of the recipient: a sealed letter. Answer: Tombstone,
    Reseal or No; Take if it waits.

    Whoever is no contact's device shows a ticket, or a stamp (`sealing.stamp`)."""

    mail_id: bytes = fixed(1, 32)
    size: int = number(2, 4)
    ticket: bytes | None = hidden(optional(fixed(3, 16)))
    stamp: bytes | None = optional(fixed(4, STAMP_BYTES))


@dataclass(frozen=True, slots=True)
class Deposit:
    """To a holder: keep this sealed letter. Answer: Leased, Tombstone,
    Reseal or No; Take if it waits."""

    drop: bytes = fixed(1, 16)
    mail_id: bytes = fixed(2, 32)
    size: int = number(3, 4)
    expires: int = number(4, 8)
    ticket: bytes | None = hidden(optional(fixed(5, 16)))
    stamp: bytes | None = optional(fixed(6, STAMP_BYTES))  # where no ticket counts


@dataclass(frozen=True, slots=True)
class Take:
    """Send the letter that waits: exactly the announced bytes follow, from the asker."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The holder's word that the letter is durable there until `until`, seconds UTC."""

    drop: bytes = fixed(1, 16)
    mail_id: bytes = fixed(2, 32)
    size: int = number(3, 4)
    until: int = number(4, 8)


@dataclass(frozen=True, slots=True)
class Leased:
    lease: Lease = nested(1, Lease)
    signature: bytes = fixed(2, keys.SIGNATURE_BYTES)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The letter was here and is done: this is its sealed receipt."""

    mail_id: bytes = fixed(1, 32)
    receipt: bytes = fixed(2, RECEIPT_BYTES)


@dataclass(frozen=True, slots=True)
class Receipt:
    """From the recipient to the sender's device. Answer: Ok."""

    mail_id: bytes = fixed(1, 32)
    receipt: bytes = fixed(2, RECEIPT_BYTES)


@dataclass(frozen=True, slots=True)
class Ask:
    """What became of these letters in this drop? Answer: Known."""

    drop: bytes = fixed(1, 16)
    mail_ids: tuple[bytes, ...] = several(fixed(2, 32), ASK_MAX, 1)


@dataclass(frozen=True, slots=True)
class Known:
    tombstones: tuple[Tombstone, ...] = several(nested(1, Tombstone), ASK_MAX)
    reseals: tuple[Reseal, ...] = several(nested(2, Reseal), ASK_MAX)


@dataclass(frozen=True, slots=True)
class Rent:
    """A contact, or one whom a contact vouches for, asks to have a drop here, with this key.
    Answer: Ok or No."""

    drop: bytes = fixed(1, 16)
    key: bytes = fixed(2, 32)
    record: bytes = octets(3, 1, limits.RECORD_BYTES_MAX)
    signature: bytes = fixed(4, keys.SIGNATURE_BYTES)
    voucher: Voucher | None = optional(nested(5, Voucher))


@dataclass(frozen=True, slots=True)
class Tickets:
    """All ticket hashes that this drop takes from now on. Answer: Ok or No."""

    drop: bytes = fixed(1, 16)
    hashes: bytes = octets(2, 0, 32 * limits.TICKETS_PER_DROP_MAX)
    signature: bytes = fixed(3, keys.SIGNATURE_BYTES)


@dataclass(frozen=True, slots=True)
class List:
    """What lies in the drop, after this arrival number? Answer: Listing or No."""

    drop: bytes = fixed(1, 16)
    after: int = number(2, 8)
    signature: bytes = fixed(3, keys.SIGNATURE_BYTES)


@dataclass(frozen=True, slots=True)
class Listed:
    mail_id: bytes = fixed(1, 32)
    size: int = number(2, 4)
    arrival: int = number(3, 8)


@dataclass(frozen=True, slots=True)
class Listing:
    """In order of arrival; an empty one is the end."""

    letters: tuple[Listed, ...] = several(nested(1, Listed), LISTING_MAX)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Give me this letter. Answer: Letter and its bytes, or No."""

    drop: bytes = fixed(1, 16)
    mail_id: bytes = fixed(2, 32)
    signature: bytes = fixed(3, keys.SIGNATURE_BYTES)


@dataclass(frozen=True, slots=True)
class Letter:
    """The sealed letter follows, in exactly `size` bytes."""

    size: int = number(1, 4)


@dataclass(frozen=True, slots=True)
class Delete:
    """The letter is done: keep its sealed receipt in its place. Answer: Ok or No.

    `burial`: the signature of a `wire_holders.Burial`, for the other holders to believe it."""

    drop: bytes = fixed(1, 16)
    mail_id: bytes = fixed(2, 32)
    receipt: bytes = fixed(3, RECEIPT_BYTES)
    signature: bytes = fixed(4, keys.SIGNATURE_BYTES)
    burial: bytes = fixed(5, keys.SIGNATURE_BYTES)


@dataclass(frozen=True, slots=True)
class News:
    """From a holder to the owner of a drop: look into it. Answer: Ok."""

    drop: bytes = fixed(1, 16)


@dataclass(frozen=True, slots=True)
class FindRecord:
    """The newest record of this person, please. Answer: Record or No."""

    fingerprint: str = text(1, 32, 32)


@dataclass(frozen=True, slots=True)
class Record:
    """A record: as an answer, or told to whoever should have it (Answer: Ok or No)."""

    record: bytes = octets(1, 1, limits.RECORD_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Ok:
    pass


@dataclass(frozen=True, slots=True)
class No:
    """`reason` is for people; it may be shown in a notice to the sender."""

    refusal: int = number(1, 1)
    reason: str = text(2, REASON_BYTES_MAX)

    @staticmethod
    def because(refusal: "Refusal", reason: str) -> "No":
        """A refusal whose reason may be any text: it is put on one line and cut to fit."""
        plain = "".join(one if one.isprintable() else " " for one in reason)
        return No(refusal, plain.encode()[:REASON_BYTES_MAX].decode(errors="ignore"))


Message = (
    Deliver | Deposit | Take | Leased | Tombstone | Receipt | Ask | Known | Rent | Tickets | List
    | Listing | Fetch | Letter | Delete | News | FindRecord | Record | Ok | No
    | Who | Seen | DialBack | DialledBack
    | SignIn | SignedIn
    | Reseal | LeaveReseal
    | Holding | FindHolders | Holders | Sync | Synced | Draw | Burial
    | DirectoryMessage
    | ChangeMessage
)  # fmt: skip
OwnerRequest = Rent | Tickets | List | Fetch | Delete | LeaveReseal
Owned = TypeVar("Owned", Rent, Tickets, List, Fetch, Delete, LeaveReseal)
T = TypeVar("T")

_OWN: dict[int, type[Message]] = {
    1: Deliver,
    2: Deposit,
    3: Take,
    4: Leased,
    5: Tombstone,
    6: Receipt,
    7: Ask,
    8: Known,
    9: Rent,
    10: Tickets,
    11: List,
    12: Listing,
    13: Fetch,
    14: Letter,
    15: Delete,
    16: News,
    17: FindRecord,
    18: Record,
    19: Ok,
    20: No,
    # Letters to keys that are no more (wire_reseal.py)
    21: Reseal,
    22: LeaveReseal,
    # The ways between nodes (wire_reach.py)
    40: Who,
    41: Seen,
    42: DialBack,
    43: DialledBack,
    60: SignIn,
    61: SignedIn,
    # 50 to 59: holders
    50: Holding,
    51: FindHolders,
    52: Holders,
    53: Sync,
    54: Synced,
    55: Draw,
    56: Burial,
}


def together(*tables: Mapping[int, type[T]]) -> dict[int, type[T]]:
    """All kinds in one table; ValueError when two messages have one number, or one has two."""
    found: dict[int, type[T]] = {}
    for kind, message in (entry for table in tables for entry in table.items()):
        if kind in found or message in found.values():
            raise ValueError(f"{message.__name__} has the number {kind}, and one of them is taken")
        found[kind] = message
    return found


_KINDS: dict[int, type[Message]] = together(_OWN, wire_directory.KINDS, wire_changes.KINDS)
_NUMBERS = {message: kind for kind, message in _KINDS.items()}


def frame(message: Message) -> bytes:
    """The message as it goes over a stream."""
    body = encode(message)
    assert len(body) <= limits.FRAME_BYTES_MAX
    return bytes([_NUMBERS[type(message)]]) + len(body).to_bytes(4, "big") + body


def body_size(head: bytes) -> int:
    """How many bytes follow this frame head of 5 bytes; PeerMisbehaved when too many."""
    size = int.from_bytes(head[1:], "big")
    if size > limits.FRAME_BYTES_MAX:
        raise PeerMisbehaved("a frame is too large")
    return size


def unframe(head: bytes, body: bytes) -> Message:
    """The message of a frame, or PeerMisbehaved."""
    kind = _KINDS.get(head[0])
    if kind is None:
        raise PeerMisbehaved(f"a message of unknown kind {head[0]}")
    return decode(kind, body)


def sign_owner(request: Owned, drop_key: SigningKey, holder: PeerId, asker: PeerId) -> Owned:
    """The same request, signed by the key of the drop for this holder and asker."""
    return replace(
        request, signature=drop_key.sign(OWNER_CONTEXT, _owner_bytes(request, holder, asker))
    )


def check_owner(request: OwnerRequest, key: bytes, holder: PeerId, asker: PeerId) -> None:
    """Raise PeerMisbehaved unless the key of the drop signed this for this holder and asker."""
    keys.verify(key, OWNER_CONTEXT, _owner_bytes(request, holder, asker), request.signature)


def _owner_bytes(request: OwnerRequest, holder: PeerId, asker: PeerId) -> bytes:
    blank = replace(request, signature=bytes(keys.SIGNATURE_BYTES))
    return holder + asker + frame(blank)


def sign_lease(lease: Lease, holder: SigningKey) -> Leased:
    return Leased(lease, holder.sign(LEASE_CONTEXT, encode(lease)))


def check_lease(leased: Leased, holder: PeerId, deposit: Deposit) -> None:
    """Raise PeerMisbehaved unless the holder leased exactly this deposit, until its expiry."""
    lease = leased.lease
    if (lease.drop, lease.mail_id, lease.size) != (deposit.drop, deposit.mail_id, deposit.size):
        raise PeerMisbehaved("a lease is for another letter")
    if lease.until < deposit.expires:
        raise PeerMisbehaved("a lease is too short")
    keys.verify(holder, LEASE_CONTEXT, encode(lease), leased.signature)
