"""What we pass on to the other holders of an owner, our siblings, and take from them.

Purpose: the holder's side of the exchange. Who is a sibling is the owner's word: the newest record
that we have of them names each holder and its drop, and must name us. Nothing that a sibling says
is believed but what the owner signed; the letters that it gives are counted apart from those that
senders bring (`renters.has_room_for_passed`).
See: docs/adr/0007-holders.md.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, DropId, Instant, MailId, PeerId
from postroad.base.seams import SureClock
from postroad.base.tlv import decode, encode
from postroad.protocol import wire_holders
from postroad.protocol.holding import HoldFor, Relation, quota
from postroad.protocol.wire_holders import Lies
from postroad.protocol.wire_reseal import Reseal, check_word
from postroad.store import held, renters
from postroad.store.database import Database
from postroad.store.sealed import SealedStore

OwnersWord = wire_holders.Burial | Reseal
"""What the owner of a drop left in a letter's place."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another holder of the owner of our drop `mine`. Letters above 1 MiB come `to_us`, or go
    `to_it`, only if the owner named that holder among the first ones."""

    contact: Contact
    drop: DropId
    mine: DropId
    large_to_us: bool
    large_to_it: bool


def of_drop(
    sql: sqlite3.Connection, drop_id: DropId, me: PeerId, *, private: bool = False
) -> list[Sibling]:
    """All siblings in this drop, in the owner's order; none unless the owner names us, too."""
    found = held.drop(sql, drop_id)
    record = renters.record_of(sql, found.fingerprint) if found else None
    if found is None or record is None:
        return []
    holders = [one.contact for one in record.drops]
    dialled = renters.dialled_for(sql, found.fingerprint, holders, private=private)
    named = list(zip(dialled, (one.id for one in record.drops), strict=True))
    places = {drop: place for place, (contact, drop) in enumerate(named) if contact.peer == me}
    if drop_id not in places:
        return []
    return [
        Sibling(
            contact,
            drop,
            drop_id,
            places[drop_id] < limits.LARGE_LETTER_HOLDERS,
            place < limits.LARGE_LETTER_HOLDERS,
        )
        for place, (contact, drop) in enumerate(named)
        if contact.peer != me
    ]


class Ledger:
    """What `peers.holder` and `delivery.siblings` ask for, each as one commit."""

    def __init__(
        self,
        database: Database,
        sealed: SealedStore,
        clock: SureClock,
        me: PeerId,
        hold_for: HoldFor = HoldFor.VOUCHED,
        *,
        dial_private: bool = False,
    ) -> None:
        self._database = database
        self._sealed = sealed
        self._clock = clock
        self._me = me
        self.hold_for = hold_for  # another one when the owner says so
        self._private = dial_private

    async def drops(self) -> list[DropId]:
        """The drops here whose renters have room with us."""

        def work(sql: sqlite3.Connection) -> list[DropId]:
            now = self._clock.sure_now()
            return [
                one.drop
                for one in held.drops(sql)
                if renters.relation(sql, one, self.hold_for, now) is not Relation.STRANGER
            ]

        return await self._database.read(work)

    async def siblings(self, drop_id: DropId) -> list[Sibling]:
        return await self._database.read(
            lambda sql: of_drop(sql, drop_id, self._me, private=self._private)
        )

    async def has_letters(self, drop_id: DropId) -> bool:
        """Whether letters wait in it."""
        return bool(await self._database.read(lambda sql: held.letters(sql, drop_id, 0, 1)))

    # What we pass on

    async def changes(
        self, drop_id: DropId, asker: PeerId, its_drop: DropId, after: int
    ) -> tuple[wire_holders.Kept, ...] | None:
        """What lies here after that arrival; None: the asker is no sibling in this drop."""

        def work(sql: sqlite3.Connection) -> tuple[wire_holders.Kept, ...] | None:
            sibling = self._sibling(sql, drop_id, asker, its_drop)
            if sibling is None:
                return None
            size_max = limits.SEALED_BYTES_MAX if sibling.large_to_it else limits.LARGE_LETTER_BYTES
            found = held.changes(sql, drop_id, after, self._clock.now(), size_max)
            return tuple(
                wire_holders.Kept(
                    one.mail_id,
                    one.size,
                    one.arrival,
                    int(one.expires_at),
                    _lies(one),
                    one.ticket_hash,
                )
                for one in found
            )

        return await self._database.read(work)

    async def passed_on(
        self, drop_id: DropId, asker: PeerId, its_drop: DropId, mail_id: MailId
    ) -> int | OwnersWord | None:
        """The size of a letter that the asker may have, or what its owner left in its place; None:
        not for the asker."""

        def work(sql: sqlite3.Connection) -> int | OwnersWord | None:
            sibling = self._sibling(sql, drop_id, asker, its_drop)
            lying = held.letter(sql, drop_id, mail_id)
            if sibling is None or lying is None:
                return None
            if lying.tombstone is not None:
                if lying.burial is None:
                    return None
                return wire_holders.Burial(mail_id, lying.tombstone, lying.burial)
            if lying.reseal is not None:
                with suppress(PeerMisbehaved):  # the row is damaged
                    return decode(Reseal, lying.reseal)
                return None
            is_small = lying.size <= limits.LARGE_LETTER_BYTES
            return lying.size if is_small or sibling.large_to_it else None

        return await self._database.read(work)

    def _sibling(
        self, sql: sqlite3.Connection, drop_id: DropId, asker: PeerId, its_drop: DropId
    ) -> Sibling | None:
        found = of_drop(sql, drop_id, self._me)
        return next(
            (one for one in found if (one.contact.peer, one.drop) == (asker, its_drop)), None
        )

    # What we take

    async def wanted(
        self, sibling: Sibling, letters: tuple[wire_holders.Kept, ...]
    ) -> list[wire_holders.Kept]:
        """Which of the letters that the sibling has we lack and have room for."""
        return await self._database.read(
            lambda sql: [one for one in letters if self._is_wanted(sql, sibling, one)]
        )

    def _is_wanted(
        self, sql: sqlite3.Connection, sibling: Sibling, kept: wire_holders.Kept
    ) -> bool:
        now = self._clock.now()
        if not now < kept.expires <= now + limits.EXPIRY_SECONDS_MAX + limits.DAY:
            return False
        drop = held.drop(sql, sibling.mine)
        if drop is None:
            return False
        room = quota(renters.relation(sql, drop, self.hold_for, self._clock.sure_now()))
        lying = held.letter(sql, sibling.mine, MailId(kept.mail_id))
        if kept.lies != Lies.LETTER:
            if kept.lies not in (Lies.BURIED, Lies.RESEAL):
                return False  # of a later version
            if lying is not None:
                return lying.tombstone is None if kept.lies == Lies.BURIED else lying.waits
            return held.count_all(sql, sibling.mine) < room.letters
        if lying is not None or not 0 < kept.size <= limits.SEALED_BYTES_MAX:
            return False
        if kept.size > limits.LARGE_LETTER_BYTES and not sibling.large_to_us:
            return False
        ticket_hash = _ticket_here(sql, sibling, kept)
        return renters.has_room_for_passed(
            sql, sibling.mine, kept.size, ticket_hash, sibling.contact.peer, room
        )

    async def take(
        self, sibling: Sibling, kept: wire_holders.Kept, pieces: AsyncIterator[bytes]
    ) -> None:
        """Take a letter in that a sibling gives. PeerMisbehaved when it is not the one listed."""
        self._sealed.disk.require_room(kept.size)
        arriving = self._sealed.arriving(kept.size)
        try:
            async for piece in pieces:
                await self._database.outside(partial(arriving.write, piece))
            if arriving.mail_id != kept.mail_id or arriving.received != kept.size:
                raise PeerMisbehaved("a letter passed on is not the one listed")

            def work(sql: sqlite3.Connection) -> None:
                if self._is_wanted(sql, sibling, kept):  # its sender may have come meanwhile
                    mail_id = self._sealed.put(sql, arriving)
                    held.put_letter(
                        sql,
                        sibling.mine,
                        mail_id,
                        kept.size,
                        Instant(float(kept.expires)),
                        _ticket_here(sql, sibling, kept),
                        sibling.contact.peer,
                    )

            await self._database.run(work)
        finally:
            arriving.discard()

    async def take_word(self, sibling: Sibling, kept: wire_holders.Kept, word: OwnersWord) -> None:
        """Put the owner's receipt in a letter's place, or that it has to be sealed anew.
        PeerMisbehaved unless the owner said so."""
        mail_id = MailId(kept.mail_id)

        def work(sql: sqlite3.Connection) -> None:
            drop = held.drop(sql, sibling.mine)
            record = renters.record_of(sql, drop.fingerprint) if drop else None
            if record is None or not self._is_wanted(sql, sibling, kept):
                return
            if isinstance(word, Reseal):
                check_word(word, mail_id, record.certificate.device)
            else:
                wire_holders.check_burial(word, mail_id, record.certificate.device)
            if held.letter(sql, sibling.mine, mail_id) is None:  # whoever brings it hears of it
                expires_at = Instant(float(kept.expires))
                held.put_letter(
                    sql, sibling.mine, mail_id, kept.size, expires_at, None, sibling.contact.peer
                )
            if isinstance(word, Reseal):
                held.ask_to_reseal(sql, sibling.mine, mail_id, encode(word))
            else:
                held.bury(sql, sibling.mine, mail_id, word.receipt, word.signature)

        await self._database.run(work)


def _lies(letter: held.HeldLetter) -> Lies:
    if letter.tombstone is not None:
        return Lies.BURIED
    return Lies.LETTER if letter.reseal is None else Lies.RESEAL


def _ticket_here(
    sql: sqlite3.Connection, sibling: Sibling, kept: wire_holders.Kept
) -> bytes | None:
    """The ticket that a letter counts under with us; one that we do not know is as none."""
    known = kept.ticket_hash and held.takes(sql, sibling.mine, kept.ticket_hash)
    return kept.ticket_hash if known else None
