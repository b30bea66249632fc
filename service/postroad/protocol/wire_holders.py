"""What holders and those who rent from them say to each other, beyond `wire`.

Purpose: consent to hold, vouchers, and the exchange among the holders of one owner.
Authority: the link proves both device keys. A holder answers those as its siblings whom the owner's
newest record names as holders. A voucher is signed by the contact who vouches; a burial by a device
of the owner, so that no holder can make another drop a letter.
See: docs/adr/0007-holders.md.
"""

from dataclasses import dataclass
from enum import IntEnum

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint, Instant, MailId, PeerId
from postroad.base.tlv import (
    encode,
    fixed,
    nested,
    number,
    octets,
    optional,
    several,
    text,
)
from postroad.protocol.contacts import CONTACT_BYTES_MAX, CONTACT_BYTES_MIN
from postroad.protocol.holding import HOURS_BYTES, HoldFor
from postroad.sealing import keys
from postroad.sealing.keys import SigningKey
from postroad.sealing.receipt import RECEIPT_BYTES

VOUCHER_CONTEXT = b"postroad/voucher/1"
BURIAL_CONTEXT = b"postroad/burial/1"
_DUTIES = (HoldFor.OFF, HoldFor.CONTACTS, HoldFor.VOUCHED)  # by their numbers on the wire


@dataclass(frozen=True, slots=True)
class Holding:
    """To contacts and renters: for whom I hold, and in which hours I am mostly on. Answer: Ok."""

    duty: int = number(1, 1)
    hours: bytes | None = optional(fixed(2, HOURS_BYTES))

    @staticmethod
    def of(hold_for: HoldFor, hours: bytes | None) -> "Holding":
        return Holding(_DUTIES.index(hold_for), hours)

    @property
    def hold_for(self) -> HoldFor:
        """PeerMisbehaved when it is none that we know."""
        if self.duty >= len(_DUTIES):
            raise PeerMisbehaved(f"holds for whom {self.duty} means")
        return _DUTIES[self.duty]


@dataclass(frozen=True, slots=True)
class Voucher:
    """The word of `voucher`, a device, that its contact `holder` may hold for `renter`.

    `expires`: seconds UTC. It names no more than these three, and is of use to nobody else."""

    renter: str = text(1, 32, 32)
    holder: bytes = fixed(2, 32)
    voucher: bytes = fixed(3, 32)
    expires: int = number(4, 8)
    signature: bytes = fixed(5, keys.SIGNATURE_BYTES)


@dataclass(frozen=True, slots=True)
class FindHolders:
    """A contact asks: which of your contacts would hold for me? Answer: Holders or No."""


@dataclass(frozen=True, slots=True)
class Introduced:
    """One who agreed to be named: where it is, its hours, and our word for the asker."""

    holder: bytes = octets(1, CONTACT_BYTES_MIN, CONTACT_BYTES_MAX)
    hours: bytes | None = optional(fixed(2, HOURS_BYTES))
    voucher: Voucher = nested(3, Voucher)


@dataclass(frozen=True, slots=True)
class Holders:
    introduced: tuple[Introduced, ...] = several(nested(1, Introduced), limits.VOUCHERS_MAX)


@dataclass(frozen=True, slots=True)
class Sync:
    """From a holder to another of the same owner: what lies in your `drop`, after this arrival
    number? `mine` is the asker's drop. Answer: Synced or No."""

    drop: bytes = fixed(1, 16)
    mine: bytes = fixed(2, 16)
    after: int = number(3, 8)


class Lies(IntEnum):
    """What lies in a drop under a mail id: the letter, or what its owner left in its place."""

    LETTER = 0
    BURIED = 1  # the letter is done: a Burial
    RESEAL = 2  # it has to be sealed anew: a Reseal


@dataclass(frozen=True, slots=True)
class Kept:
    """A letter that lies there, or that lay there. `lies`: a number of Lies."""

    mail_id: bytes = fixed(1, 32)
    size: int = number(2, 4)
    arrival: int = number(3, 8)
    expires: int = number(4, 8)
    lies: int = number(5, 1)
    ticket_hash: bytes | None = optional(fixed(6, 32))


@dataclass(frozen=True, slots=True)
class Synced:
    """In order of arrival; an empty one is the end."""

    letters: tuple[Kept, ...] = several(nested(1, Kept), limits.SYNC_LISTING_MAX)


@dataclass(frozen=True, slots=True)
class Draw:
    """From a holder to another of the same owner: give me this one, too. Answer: Letter and its
    bytes, Burial, Reseal, or No."""

    drop: bytes = fixed(1, 16)
    mine: bytes = fixed(2, 16)
    mail_id: bytes = fixed(3, 32)


@dataclass(frozen=True, slots=True)
class Burial:
    """The owner's own word that a letter is done, and its sealed receipt."""

    mail_id: bytes = fixed(1, 32)
    receipt: bytes = fixed(2, RECEIPT_BYTES)
    signature: bytes = fixed(3, keys.SIGNATURE_BYTES)


def vouch(renter: Fingerprint, holder: PeerId, expires: Instant, device: SigningKey) -> Voucher:
    blank = Voucher(renter, holder, device.peer, int(expires), bytes(keys.SIGNATURE_BYTES))
    return Voucher(
        renter, holder, device.peer, int(expires), device.sign(VOUCHER_CONTEXT, encode(blank))
    )


def check_voucher(voucher: Voucher, renter: Fingerprint, holder: PeerId, now: Instant) -> None:
    """Raise PeerMisbehaved unless its device vouches for this renter at this holder now.

    Whose device that is, the caller has to know."""
    for key in (voucher.holder, voucher.voucher):
        keys.load_ed25519(key)
    if (voucher.renter, voucher.holder) != (renter, holder):
        raise PeerMisbehaved("a voucher is for somebody else")
    if not now < voucher.expires <= now + limits.VOUCHER_SECONDS + limits.DAY:
        raise PeerMisbehaved("a voucher is not good at this time")
    blank = Voucher(renter, holder, voucher.voucher, voucher.expires, bytes(keys.SIGNATURE_BYTES))
    keys.verify(voucher.voucher, VOUCHER_CONTEXT, encode(blank), voucher.signature)


def sign_burial(mail_id: MailId, receipt: bytes, device: SigningKey) -> bytes:
    return device.sign(BURIAL_CONTEXT, mail_id + receipt)


def check_burial(burial: Burial, mail_id: MailId, device: PeerId) -> None:
    """Raise PeerMisbehaved unless this device of the owner buried exactly this letter."""
    if burial.mail_id != mail_id:
        raise PeerMisbehaved("a burial is another letter's")
    keys.verify(device, BURIAL_CONTEXT, burial.mail_id + burial.receipt, burial.signature)
