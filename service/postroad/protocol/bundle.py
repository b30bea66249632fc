"""Bundles: letters, receipts, a record and an invitation as one file, to be carried by any way.

Purpose: write and read the octets of a bundle, a piece at a time, so that memory does not grow with
it. Whoever carries one may be anybody: letters and receipts in it are sealed, the rest is public or
is as secret as the owner treats it (an invitation).
Layout: MAGIC | version u8 | items | end. An item is kind u8 | size u32 | that many bytes of
`base.tlv`; behind a letter's item its `size` sealed octets follow. The end holds the SHA-256 of all
before it: it shows damage on the way, not who wrote it. Each item proves itself.
See: docs/protocol/bundle.md.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PermanentFailure
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
from postroad.protocol import wire_changes
from postroad.protocol.wire_reseal import Reseal
from postroad.sealing.receipt import RECEIPT_BYTES

MAGIC = b"PRBUNDL"
VERSION = 1
HEAD = len(MAGIC) + 1
ITEM_HEAD = 5
ITEM_BYTES_MAX = 20 * limits.KIB


class BundleDamaged(PermanentFailure):
    """The file is a bundle, but not as it was written; what was read of it before is good."""


@dataclass(frozen=True, slots=True)
class Invitation:
    link: str = hidden(text(1, limits.INVITATION_CHARACTERS_MAX))


@dataclass(frozen=True, slots=True)
class Record:
    """A person's record; the first one is that of the person who wrote the bundle."""

    record: bytes = octets(1, 1, limits.RECORD_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Receipt:
    mail_id: bytes = fixed(1, 32)
    receipt: bytes = fixed(2, RECEIPT_BYTES)


@dataclass(frozen=True, slots=True)
class Letter:
    """A sealed letter, whose octets follow. `expires` is in seconds UTC; `drops` are its
    recipient's, for a holder of theirs who reads the bundle."""

    mail_id: bytes = fixed(1, 32)
    size: int = number(2, 4)
    expires: int = number(3, 8)
    drops: tuple[bytes, ...] = several(fixed(4, 16), limits.DROPS_IN_RECORD_MAX)


@dataclass(frozen=True, slots=True)
class Change:
    """A revocation, or a rotation and the person record of its heir, as `wire_changes.Changed`."""

    record: bytes = octets(1, 1, wire_changes.CHANGE_BYTES_MAX)
    person: bytes | None = optional(octets(2, 1, limits.RECORD_BYTES_MAX))


@dataclass(frozen=True, slots=True)
class Wish:
    """From whoever got a letter to a key that is gone: it has to be sealed anew."""

    reseal: Reseal = nested(1, Reseal)


@dataclass(frozen=True, slots=True)
class End:
    digest: bytes = fixed(1, 32)


@dataclass(frozen=True, slots=True)
class Piece:
    """Octets of the letter that was begun last; the last of them when `is_last`."""

    octets: bytes
    is_last: bool


Item = Invitation | Record | Receipt | Letter | Change | Wish
Event = Item | Piece
_KINDS: dict[int, type[Item | End]] = {
    1: Record,
    2: Invitation,
    3: Receipt,
    4: Letter,
    5: End,
    6: Change,
    7: Wish,
}
_NUMBERS = {item: kind for kind, item in _KINDS.items()}


class Writer:
    """Gives the octets of a bundle, which go into the file in the order in which they are got."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._owed = 0  # octets of the letter that was begun

    def begin(self) -> bytes:
        return self._counted(MAGIC + bytes([VERSION]))

    def item(self, item: Item) -> bytes:
        assert not self._owed, "the letter before is not complete"
        if isinstance(item, Letter):
            self._owed = item.size
        return self._counted(_frame(item))

    def piece(self, octets: bytes) -> bytes:
        """Octets of the letter whose item was written last."""
        self._owed -= len(octets)
        assert self._owed >= 0, "more than the letter has"
        return self._counted(octets)

    def end(self) -> bytes:
        assert not self._owed, "the last letter is not complete"
        return _frame(End(self._digest.digest()))

    def _counted(self, octets: bytes) -> bytes:
        self._digest.update(octets)
        return octets


class Reader:
    """Takes the octets of a file as they come and gives what they say."""

    def __init__(self) -> None:
        self._unread = bytearray()
        self._digest = hashlib.sha256()
        self._is_begun = False
        self._is_ended = False
        self._expected = 0  # octets of a letter still to come
        self._items = 0

    def feed(self, octets: bytes) -> Iterator[Event]:
        """What can be said by now; BundleDamaged, or PermanentFailure when it is none of ours."""
        self._unread += octets
        if not self._is_begun:
            if not self._begin():
                return
            self._is_begun = True
        while True:
            if self._expected:
                if not self._unread:
                    return
                piece = self._take(min(self._expected, len(self._unread)))
                self._expected -= len(piece)
                yield Piece(piece, not self._expected)
                continue
            item = self._next_item()
            if item is None:
                return
            if isinstance(item, Letter):
                self._expected = item.size
            yield item

    def finish(self) -> None:
        """The file has ended; raises BundleDamaged when the bundle has not."""
        if not self._is_begun:
            raise _not_a_bundle()
        if not self._is_ended:
            raise BundleDamaged("The bundle is cut short.")

    def _begin(self) -> bool:
        if not MAGIC.startswith(bytes(self._unread[: len(MAGIC)])):
            raise _not_a_bundle()
        if len(self._unread) < HEAD:
            return False
        if self._unread[len(MAGIC)] != VERSION:
            raise PermanentFailure(
                "This bundle needs a newer Postroad; update yours and read it again."
            )
        self._take(HEAD)
        return True

    def _next_item(self) -> Item | None:
        if self._is_ended and self._unread:
            raise BundleDamaged("Something stands behind the end of the bundle.")
        if len(self._unread) < ITEM_HEAD:
            return None
        kind = _KINDS.get(self._unread[0])
        size = int.from_bytes(self._unread[1:ITEM_HEAD], "big")
        if kind is None or size > ITEM_BYTES_MAX:
            raise BundleDamaged("The bundle is damaged.")
        if len(self._unread) < ITEM_HEAD + size:
            return None
        so_far = self._digest.digest()
        try:
            item = decode(kind, self._take(ITEM_HEAD + size)[ITEM_HEAD:])
        except PeerMisbehaved as error:
            raise BundleDamaged("The bundle is damaged.") from error
        if isinstance(item, End):
            if item.digest != so_far:
                raise BundleDamaged("The bundle is damaged.")
            self._is_ended = True
            return self._next_item()
        self._items += 1
        if self._items > limits.BUNDLE_ITEMS_MAX:
            raise BundleDamaged("The bundle has more in it than any may have.")
        if isinstance(item, Letter) and not 0 < item.size <= limits.SEALED_BYTES_MAX:
            raise BundleDamaged("The bundle is damaged.")
        return item

    def _take(self, size: int) -> bytes:
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        self._digest.update(taken)
        return taken


def _frame(item: Item | End) -> bytes:
    body = encode(item)
    assert len(body) <= ITEM_BYTES_MAX
    return bytes([_NUMBERS[type(item)]]) + len(body).to_bytes(4, "big") + body


def _not_a_bundle() -> PermanentFailure:
    return PermanentFailure("This file is not a bundle of Postroad's.")
