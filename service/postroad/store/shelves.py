"""The shelves of a holder: what `peers.holder` asks for, over the store.

Purpose: each thing that a holder does for others, as one commit.
"""

import logging
import sqlite3
from collections.abc import AsyncIterator
from functools import partial

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import DropId, Fingerprint, Instant, MailId, PeerId
from postroad.base.seams import SureClock
from postroad.base.tlv import decode, encode
from postroad.protocol import wire, wire_holders
from postroad.protocol.holding import HoldFor, Relation, quota
from postroad.protocol.records import PersonRecord, read_person
from postroad.protocol.wire_reseal import Reseal
from postroad.store import held, people, queue, renters, revoked
from postroad.store.database import Database
from postroad.store.held import HeldDrop
from postroad.store.sealed import SealedStore

log = logging.getLogger(__name__)


class Shelves:
    """`peers.holder.Shelves` over the store: each method one commit."""

    def __init__(
        self,
        database: Database,
        sealed: SealedStore,
        clock: SureClock,
        me: PeerId,
        hold_for: HoldFor = HoldFor.VOUCHED,
    ) -> None:
        self._database = database
        self._sealed = sealed
        self._clock = clock
        self._me = me
        self.hold_for = hold_for  # another one when the owner says so

    async def key_of(self, drop_id: DropId) -> bytes | None:
        found = await self._database.read(lambda sql: held.drop(sql, drop_id))
        return found.key if found else None

    async def rent(
        self,
        drop_id: DropId,
        key: bytes,
        record: bytes,
        asker: PeerId,
        voucher: wire_holders.Voucher | None = None,
    ) -> str | None:
        request = drop_id, key, record
        return await self._database.run(
            lambda sql: renters.rent(
                sql, request, voucher, asker, self._me, self.hold_for, self._clock.now()
            )
        )

    async def set_tickets(self, drop_id: DropId, hashes: list[bytes]) -> None:
        await self._database.run(lambda sql: held.set_tickets(sql, drop_id, hashes))

    async def stranger(self, deposit: wire.Deposit) -> tuple[Fingerprint, int] | None:
        def work(sql: sqlite3.Connection) -> tuple[Fingerprint, int] | None:
            drop_id = DropId(deposit.drop)
            found = held.drop(sql, drop_id)
            if found is None or held.has_ticket(sql, drop_id, deposit.ticket) is not None:
                return None
            if held.letter(sql, drop_id, MailId(deposit.mail_id)) is not None:
                return None
            record = renters.record_of(sql, found.fingerprint)
            return found.fingerprint, 0 if record is None else record.strangers

        return await self._database.read(work)

    async def offer(
        self, deposit: wire.Deposit
    ) -> wire.Take | wire.Tombstone | Reseal | wire.No | None:
        now = self._clock.now()
        self._sealed.disk.require_room(deposit.size)

        def work(sql: sqlite3.Connection) -> wire.Take | wire.Tombstone | Reseal | wire.No | None:
            drop_id, mail_id = DropId(deposit.drop), MailId(deposit.mail_id)
            found = held.drop(sql, drop_id)
            if found is None:
                return wire.No(wire.Refusal.UNKNOWN, "This drop is not kept here.")
            lying = held.letter(sql, drop_id, mail_id)
            if lying is not None and lying.tombstone is not None:
                return wire.Tombstone(mail_id, lying.tombstone)
            if lying is not None and lying.reseal is not None:
                wish = _read(lying.reseal)
                if wish is not None:
                    return wish
                held.ask_to_reseal(sql, drop_id, mail_id, None)
            if deposit.size > limits.SEALED_BYTES_MAX:
                return wire.No(wire.Refusal.TOO_LARGE, "No letter may be as large as this.")
            if not now < deposit.expires <= now + limits.EXPIRY_SECONDS_MAX + limits.DAY:
                if self._clock.sure_now() is None:
                    return wire.No(wire.Refusal.LATER, "This node's clock may be wrong.")
                return wire.No(wire.Refusal.FORBIDDEN, "It expires too soon or too late.")
            if self._relation(sql, found) is Relation.STRANGER:
                return wire.No(wire.Refusal.FORBIDDEN, "This node does not hold for them any more.")
            ticket_hash = held.has_ticket(sql, drop_id, deposit.ticket)
            room = self._has_room(sql, found, deposit.size, ticket_hash)
            if lying is not None:
                if lying.size != deposit.size:
                    return wire.No(wire.Refusal.FORBIDDEN, "It has another size.")
                if not self._sealed.is_whole(sql, mail_id):
                    return wire.Take()  # the disk lost it
                # Somebody else may have brought it before, for a shorter time: the lease that is
                # signed now has to be kept.
                expires_at = Instant(float(deposit.expires))
                # Without room for one more of the sender's, it stays what another holder passed on.
                sibling = None if room else lying.sibling
                size = deposit.size
                held.put_letter(sql, drop_id, mail_id, size, expires_at, ticket_hash, sibling)
                return None
            if not room:
                return wire.No(wire.Refusal.FULL, "This drop is full.")
            return wire.Take()

        return await self._database.run(work)

    async def put(self, deposit: wire.Deposit, chunks: AsyncIterator[bytes]) -> None:
        arriving = self._sealed.arriving(deposit.size)
        try:
            async for chunk in chunks:
                await self._database.outside(partial(arriving.write, chunk))
            if arriving.mail_id != deposit.mail_id:
                raise PeerMisbehaved("a deposited letter is not the one announced")

            def work(sql: sqlite3.Connection) -> None:
                drop_id = DropId(deposit.drop)
                found = held.drop(sql, drop_id)
                if found is None:
                    raise TemporaryFailure("This drop is not kept here any more.")
                ticket_hash = held.has_ticket(sql, drop_id, deposit.ticket)
                # Others may have filled the drop while this one came in.
                lying = held.letter(sql, drop_id, MailId(deposit.mail_id)) is not None
                if not lying and not self._has_room(sql, found, deposit.size, ticket_hash):
                    raise TemporaryFailure("This drop is full.")
                mail_id = self._sealed.put(sql, arriving)
                expires_at = Instant(float(deposit.expires))
                held.put_letter(sql, drop_id, mail_id, deposit.size, expires_at, ticket_hash)

            await self._database.run(work)
        finally:
            arriving.discard()

    async def list_drop(self, drop_id: DropId, after: int) -> tuple[wire.Listed, ...]:
        found = await self._database.read(
            lambda sql: held.letters(sql, drop_id, after, wire.LISTING_MAX)
        )
        return tuple(wire.Listed(one.mail_id, one.size, one.arrival) for one in found)

    async def size_of(self, drop_id: DropId, mail_id: MailId) -> int | None:
        found = await self._database.read(lambda sql: held.letter(sql, drop_id, mail_id))
        return found.size if found is not None and found.waits else None

    def read(self, mail_id: MailId, size: int) -> AsyncIterator[bytes]:
        return self._sealed.pieces(self._database, mail_id, size)

    async def bury(
        self, drop_id: DropId, mail_id: MailId, receipt: bytes, burial: bytes | None = None
    ) -> None:
        await self._database.run(lambda sql: held.bury(sql, drop_id, mail_id, receipt, burial))

    async def ask_to_reseal(self, drop_id: DropId, reseal: Reseal) -> None:
        mail_id = MailId(reseal.mail_id)
        await self._database.run(
            lambda sql: held.ask_to_reseal(sql, drop_id, mail_id, encode(reseal))
        )

    async def tombstone(self, drop_id: DropId, mail_id: MailId) -> bytes | Reseal | None:
        found = await self._database.read(lambda sql: held.letter(sql, drop_id, mail_id))
        if found is None or found.waits:
            return None
        if found.tombstone is not None:
            return found.tombstone
        return _read(found.reseal)

    async def record_of(self, fingerprint: Fingerprint) -> bytes | None:
        return await self._database.read(lambda sql: held.served_record(sql, fingerprint))

    async def learn_record(self, record: bytes, teller: PeerId) -> bool:
        """Keep a contact's newer record, told by a device of theirs; False: not a contact's, or
        of a device that was revoked.

        A device that we do not know shows by the record itself that it is theirs: the directory
        would give us the same. So who lost a computer is known again at once.
        Letters to them that wait are due then: perhaps they have other holders now."""
        now = self._clock.now()

        def work(sql: sqlite3.Connection) -> bool:
            known = people.at_device(sql, teller)
            person = known or people.contact(sql, _signed_by(record, teller))
            if person is None:
                return False
            newest = read_person(record, person.fingerprint)
            if not revoked.speaks(sql, person.fingerprint, newest.certificate.device):
                return False
            if people.learn(sql, newest, now):
                queue.wake(sql, person.fingerprint, now)
            people.keep_record(sql, newest, now)
            return True

        return await self._database.run(work)

    def _relation(self, sql: sqlite3.Connection, drop: HeldDrop) -> Relation:
        return renters.relation(sql, drop, self.hold_for, self._clock.sure_now())

    def _has_room(
        self, sql: sqlite3.Connection, drop: HeldDrop, size: int, ticket_hash: bytes | None
    ) -> bool:
        room = quota(self._relation(sql, drop))
        return renters.has_room(sql, drop.drop, size, ticket_hash, room)


def _signed_by(record: bytes, device: PeerId) -> Fingerprint:
    """Whose record this is, not verified, if this device signed it; "" when it did not."""
    said = decode(PersonRecord, record)
    return said.fingerprint if said.certificate.device == device else Fingerprint("")


def _read(reseal: bytes | None) -> Reseal | None:
    """What an owner left; a damaged row says nothing, and its letter may be brought again."""
    try:
        return None if reseal is None else decode(Reseal, reseal)
    except PeerMisbehaved as error:
        log.warning("a wish to seal anew cannot be read: %s", error)
        return None
