"""What we hold for others: their drops, the tickets that those take, letters and tombstones.

Purpose: the holder's side of custody. A letter counts against its drop until its owner puts a
tombstone in its place, and a tombstone stays until a week after the letter's expiry.
Functions run in the database thread, inside a transaction of `Database.run`.
"""

import hashlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import DropId, Fingerprint, Instant, MailId, PeerId
from postroad.base.seams import Clock
from postroad.protocol import wire
from postroad.protocol.records import PersonRecord, read_person
from postroad.store import people
from postroad.store.database import Database
from postroad.store.sealed import SealedStore

DROPS_PER_RENTER_MAX = 2  # one in use, and one while it moves


@dataclass(frozen=True, slots=True)
class HeldDrop:
    drop: DropId
    key: bytes
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class HeldLetter:
    mail_id: MailId
    size: int
    arrival: int
    expires_at: Instant
    tombstone: bytes | None


def drop(sql: sqlite3.Connection, drop_id: DropId) -> HeldDrop | None:
    row = sql.execute(
        "SELECT drop_id, key, fingerprint FROM held_drop WHERE drop_id = ?", (drop_id,)
    ).fetchone()
    return None if row is None else HeldDrop(*row)


def rent(
    sql: sqlite3.Connection, drop_id: DropId, key: bytes, fingerprint: Fingerprint, now: Instant
) -> None:
    sql.execute(
        """INSERT INTO held_drop (drop_id, key, fingerprint, since) VALUES (?, ?, ?, ?)
           ON CONFLICT (drop_id) DO NOTHING""",
        (drop_id, key, fingerprint, now),
    )


def drops_of(sql: sqlite3.Connection, fingerprint: Fingerprint) -> int:
    """How many drops this person rents here."""
    (count,) = sql.execute(
        "SELECT count(*) FROM held_drop WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    return int(count)


def forget_left_drops(sql: sqlite3.Connection, newest: PersonRecord) -> None:
    """Free the drops that their renter no longer names, once nothing lies in them any more."""
    named = [drop.drop for drop in newest.drops]
    sql.execute(
        f"""DELETE FROM held_drop WHERE fingerprint = ? AND drop_id NOT IN
                (SELECT drop_id FROM held_letter)
            AND drop_id NOT IN ({", ".join("?" * len(named))})""",  # noqa: S608  (placeholders)
        (newest.fingerprint, *named),
    )


def set_tickets(sql: sqlite3.Connection, drop_id: DropId, hashes: list[bytes]) -> None:
    """From now on this drop takes these tickets and no others."""
    sql.execute("DELETE FROM held_ticket WHERE drop_id = ?", (drop_id,))
    sql.executemany(
        "INSERT OR IGNORE INTO held_ticket (drop_id, hash) VALUES (?, ?)",
        [(drop_id, digest) for digest in hashes],
    )


def has_ticket(sql: sqlite3.Connection, drop_id: DropId, ticket: bytes | None) -> bytes | None:
    """The ticket's hash when this drop takes it, else None: the open compartment."""
    if ticket is None:
        return None
    digest = hashlib.sha256(ticket).digest()
    found = sql.execute(
        "SELECT 1 FROM held_ticket WHERE drop_id = ? AND hash = ?", (drop_id, digest)
    ).fetchone()
    return digest if found else None


def letter(sql: sqlite3.Connection, drop_id: DropId, mail_id: MailId) -> HeldLetter | None:
    row = sql.execute(
        """SELECT mail_id, size, arrival, expires_at, tombstone FROM held_letter
           WHERE drop_id = ? AND mail_id = ?""",
        (drop_id, mail_id),
    ).fetchone()
    return None if row is None else HeldLetter(*row)


def has_room(
    sql: sqlite3.Connection, drop_id: DropId, size: int, ticket_hash: bytes | None
) -> bool:
    """Whether the drop has room for one letter more of this size, under this ticket or under none.

    What comes under a ticket counts against it, so that one contact cannot fill the drop for the
    others; what comes without one has a compartment of its own."""
    if ticket_hash is None:
        count, total = _lying(sql, drop_id, "ticket_hash IS NULL")
        return (
            size <= limits.OPEN_LETTER_BYTES_MAX
            and count < limits.OPEN_COMPARTMENT_LETTERS_MAX
            and total + size <= limits.OPEN_COMPARTMENT_BYTES_MAX
        )
    count, total = _lying(sql, drop_id, "ticket_hash IS NOT NULL")
    own_count, own_total = _lying(sql, drop_id, "ticket_hash = ?", ticket_hash)
    return (
        count < limits.DROP_LETTERS_MAX
        and total + size <= limits.DROP_BYTES_MAX
        and own_count < limits.TICKET_LETTERS_MAX
        and own_total + size <= limits.TICKET_BYTES_MAX
    )


def _lying(sql: sqlite3.Connection, drop_id: DropId, which: str, *values: bytes) -> tuple[int, int]:
    """How many letters wait in this part of a drop, and their bytes; tombstones do not count."""
    count, total = sql.execute(
        f"""SELECT count(*), coalesce(sum(size), 0) FROM held_letter
            WHERE drop_id = ? AND tombstone IS NULL AND {which}""",  # noqa: S608  (constants)
        (drop_id, *values),
    ).fetchone()
    return int(count), int(total)


def put_letter(
    sql: sqlite3.Connection,
    drop_id: DropId,
    mail_id: MailId,
    size: int,
    expires_at: Instant,
    ticket_hash: bytes | None,
) -> None:
    """Note that the sealed letter lies in this drop, until the later of two expiries."""
    sql.execute(
        """INSERT INTO held_letter (drop_id, mail_id, arrival, ticket_hash, size, expires_at)
           SELECT ?, ?, coalesce(max(arrival), 0) + 1, ?, ?, ? FROM held_letter WHERE drop_id = ?
           ON CONFLICT (drop_id, mail_id) DO UPDATE SET
               expires_at = max(expires_at, excluded.expires_at),
               ticket_hash = coalesce(ticket_hash, excluded.ticket_hash)""",
        (drop_id, mail_id, ticket_hash, size, expires_at, drop_id),
    )


def letters(sql: sqlite3.Connection, drop_id: DropId, after: int, at_most: int) -> list[HeldLetter]:
    """Letters that wait in the drop, in order of arrival; no tombstones."""
    rows = sql.execute(
        """SELECT mail_id, size, arrival, expires_at, tombstone FROM held_letter
           WHERE drop_id = ? AND arrival > ? AND tombstone IS NULL ORDER BY arrival LIMIT ?""",
        (drop_id, after, at_most),
    )
    return [HeldLetter(*row) for row in rows]


def newest_drop_of(sql: sqlite3.Connection, fingerprint: Fingerprint) -> DropId | None:
    """The drop that this person rents here."""
    row = sql.execute(
        "SELECT drop_id FROM held_drop WHERE fingerprint = ? ORDER BY since DESC LIMIT 1",
        (fingerprint,),
    ).fetchone()
    return None if row is None else DropId(row[0])


def drops_with_letters(sql: sqlite3.Connection) -> list[DropId]:
    """The drops here in which letters wait."""
    rows = sql.execute("SELECT DISTINCT drop_id FROM held_letter WHERE tombstone IS NULL")
    return [DropId(drop_id) for (drop_id,) in rows]


def lying_for(sql: sqlite3.Connection, fingerprint: Fingerprint) -> int:
    """How many letters wait here for this person."""
    (count,) = sql.execute(
        """SELECT count(*) FROM held_letter WHERE tombstone IS NULL AND drop_id IN
               (SELECT drop_id FROM held_drop WHERE fingerprint = ?)""",
        (fingerprint,),
    ).fetchone()
    return int(count)


def lying(sql: sqlite3.Connection) -> int:
    """How many letters wait here, for whomever."""
    (count,) = sql.execute("SELECT count(*) FROM held_letter WHERE tombstone IS NULL").fetchone()
    return int(count)


def bury(sql: sqlite3.Connection, drop_id: DropId, mail_id: MailId, receipt: bytes) -> None:
    """Put the receipt in the letter's place; the first one stays."""
    sql.execute(
        """UPDATE held_letter SET tombstone = coalesce(tombstone, ?)
           WHERE drop_id = ? AND mail_id = ?""",
        (receipt, drop_id, mail_id),
    )


def served_record(sql: sqlite3.Connection, fingerprint: Fingerprint) -> bytes | None:
    """The record of somebody who rents here, or our own; whom else we know is nobody's business."""
    row = sql.execute(
        """SELECT octets FROM record WHERE fingerprint = :asked
           AND (:asked IN (SELECT fingerprint FROM held_drop)
                OR :asked NOT IN (SELECT fingerprint FROM contact))""",
        {"asked": fingerprint},
    ).fetchone()
    return None if row is None else bytes(row[0])


def forget_expired(sql: sqlite3.Connection, now: Instant) -> None:
    """Drop letters past their expiry and its grace, and tombstones a week after."""
    sql.execute(
        """DELETE FROM held_letter
           WHERE expires_at + iif(tombstone IS NULL, ?, ?) < ?""",
        (limits.EXPIRY_GRACE_SECONDS, limits.TOMBSTONE_SECONDS, now),
    )


class Shelves:
    """`peers.holder.Shelves` over the store: each method one commit."""

    def __init__(self, database: Database, sealed: SealedStore, clock: Clock) -> None:
        self._database = database
        self._sealed = sealed
        self._clock = clock

    async def key_of(self, drop_id: DropId) -> bytes | None:
        found = await self._database.read(lambda sql: drop(sql, drop_id))
        return found.key if found else None

    async def rent(self, drop_id: DropId, key: bytes, record: bytes, asker: PeerId) -> str | None:
        def work(sql: sqlite3.Connection) -> str | None:
            renter = people.at_device(sql, asker)
            if renter is None or renter.blocked:
                return "This node holds letters for its owner's contacts only."
            known = drop(sql, drop_id)
            if known is not None and (known.fingerprint, known.key) != (renter.fingerprint, key):
                return "This drop is somebody else's."
            newest = read_person(record, renter.fingerprint)
            if known is None and drops_of(sql, renter.fingerprint) >= DROPS_PER_RENTER_MAX:
                forget_left_drops(sql, newest)
            if known is None and drops_of(sql, renter.fingerprint) >= DROPS_PER_RENTER_MAX:
                return "You rent as many drops here as you may."
            people.learn(sql, newest, self._clock.now())
            people.keep_record(sql, newest)
            rent(sql, drop_id, key, renter.fingerprint, self._clock.now())
            return None

        return await self._database.run(work)

    async def set_tickets(self, drop_id: DropId, hashes: list[bytes]) -> None:
        await self._database.run(lambda sql: set_tickets(sql, drop_id, hashes))

    async def offer(self, deposit: wire.Deposit) -> wire.Take | wire.Tombstone | wire.No | None:
        now = self._clock.now()
        self._sealed.disk.require_room(deposit.size)

        def work(sql: sqlite3.Connection) -> wire.Take | wire.Tombstone | wire.No | None:
            drop_id, mail_id = DropId(deposit.drop), MailId(deposit.mail_id)
            if drop(sql, drop_id) is None:
                return wire.No(wire.Refusal.UNKNOWN, "This drop is not kept here.")
            lying = letter(sql, drop_id, mail_id)
            if lying is not None and lying.tombstone is not None:
                return wire.Tombstone(mail_id, lying.tombstone)
            if deposit.size > limits.SEALED_BYTES_MAX:
                return wire.No(wire.Refusal.TOO_LARGE, "No letter may be as large as this.")
            if not now < deposit.expires <= now + limits.EXPIRY_SECONDS_MAX + limits.DAY:
                return wire.No(wire.Refusal.FORBIDDEN, "It expires too soon or too late.")
            ticket_hash = has_ticket(sql, drop_id, deposit.ticket)
            if lying is not None:
                if lying.size != deposit.size:
                    return wire.No(wire.Refusal.FORBIDDEN, "It has another size.")
                if not self._sealed.is_whole(sql, mail_id):
                    return wire.Take()  # the disk lost it
                # Somebody else may have brought it before, for a shorter time: the lease that is
                # signed now has to be kept.
                expires_at = Instant(float(deposit.expires))
                put_letter(sql, drop_id, mail_id, deposit.size, expires_at, ticket_hash)
                return None
            if not has_room(sql, drop_id, deposit.size, ticket_hash):
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
                ticket_hash = has_ticket(sql, drop_id, deposit.ticket)
                # Others may have filled the drop while this one came in.
                lying = letter(sql, drop_id, MailId(deposit.mail_id)) is not None
                if not lying and not has_room(sql, drop_id, deposit.size, ticket_hash):
                    raise TemporaryFailure("This drop is full.")
                mail_id = self._sealed.put(sql, arriving)
                expires_at = Instant(float(deposit.expires))
                put_letter(sql, drop_id, mail_id, deposit.size, expires_at, ticket_hash)

            await self._database.run(work)
        finally:
            arriving.discard()

    async def list_drop(self, drop_id: DropId, after: int) -> tuple[wire.Listed, ...]:
        found = await self._database.read(
            lambda sql: letters(sql, drop_id, after, wire.LISTING_MAX)
        )
        return tuple(wire.Listed(one.mail_id, one.size, one.arrival) for one in found)

    async def size_of(self, drop_id: DropId, mail_id: MailId) -> int | None:
        found = await self._database.read(lambda sql: letter(sql, drop_id, mail_id))
        return None if found is None or found.tombstone is not None else found.size

    def read(self, mail_id: MailId, size: int) -> AsyncIterator[bytes]:
        return self._sealed.pieces(self._database, mail_id, size)

    async def bury(self, drop_id: DropId, mail_id: MailId, receipt: bytes) -> None:
        await self._database.run(lambda sql: bury(sql, drop_id, mail_id, receipt))

    async def tombstone(self, drop_id: DropId, mail_id: MailId) -> bytes | None:
        found = await self._database.read(lambda sql: letter(sql, drop_id, mail_id))
        return found.tombstone if found else None

    async def record_of(self, fingerprint: Fingerprint) -> bytes | None:
        return await self._database.read(lambda sql: served_record(sql, fingerprint))

    async def learn_record(self, record: bytes, teller: PeerId) -> bool:
        """Keep a contact's newer record, told by a device of theirs; False: not a contact."""

        def work(sql: sqlite3.Connection) -> bool:
            person = people.at_device(sql, teller)
            if person is None:
                return False
            newest = read_person(record, person.fingerprint)
            people.learn(sql, newest, self._clock.now())
            people.keep_record(sql, newest)
            return True

        return await self._database.run(work)
