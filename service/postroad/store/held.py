"""What we hold for others: their drops, the tickets that those take, letters and tombstones.

Purpose: the holder's side of custody. A letter counts against its drop until its owner puts a
tombstone in its place, and a tombstone stays until a week after the letter's expiry.
Functions run in the database thread, inside a transaction of `Database.run`.
"""

import hashlib
import sqlite3
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import TemporaryFailure
from postroad.base.ids import DropId, Fingerprint, Instant, MailId, PeerId, SureInstant
from postroad.protocol.records import PersonRecord


@dataclass(frozen=True, slots=True)
class HeldDrop:
    """`voucher`: the contact through whom a renter came who is none; it vouches until then."""

    drop: DropId
    key: bytes
    fingerprint: Fingerprint
    device: PeerId | None = None
    voucher: Fingerprint | None = None
    vouched_until: Instant | None = None
    seen_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class HeldLetter:
    mail_id: MailId
    size: int
    arrival: int
    expires_at: Instant
    tombstone: bytes | None
    sibling: PeerId | None = None  # the holder who passed it on; None: its sender brought it
    ticket_hash: bytes | None = None
    burial: bytes | None = None
    reseal: bytes | None = None  # the owner has no key for it, and says so

    @property
    def waits(self) -> bool:
        """Whether the letter itself is still here for its owner."""
        return self.tombstone is None and self.reseal is None


_LETTER = "mail_id, size, arrival, expires_at, tombstone, sibling, ticket_hash, burial, reseal"
WAITS = "tombstone IS NULL AND reseal IS NULL"


_DROP = "drop_id, key, fingerprint, device, voucher, vouched_until, seen_at"


def drop(sql: sqlite3.Connection, drop_id: DropId) -> HeldDrop | None:
    row = sql.execute(
        f"SELECT {_DROP} FROM held_drop WHERE drop_id = ?",  # noqa: S608  (constants)
        (drop_id,),
    ).fetchone()
    return None if row is None else HeldDrop(*row)


def drops(sql: sqlite3.Connection) -> list[HeldDrop]:
    """All drops that others rent here, in an order that stays."""
    rows = sql.execute(f"SELECT {_DROP} FROM held_drop ORDER BY drop_id")  # noqa: S608
    return [HeldDrop(*row) for row in rows]


def drop_of_device(sql: sqlite3.Connection, peer: PeerId) -> HeldDrop | None:
    """The drop that somebody rented from this device."""
    row = sql.execute(
        f"SELECT {_DROP} FROM held_drop WHERE device = ? ORDER BY since DESC LIMIT 1",  # noqa: S608
        (peer,),
    ).fetchone()
    return None if row is None else HeldDrop(*row)


def renter_seen(sql: sqlite3.Connection, peer: PeerId, now: Instant) -> None:
    sql.execute("UPDATE held_drop SET seen_at = ? WHERE device = ?", (now, peer))


def rent(
    sql: sqlite3.Connection,
    drop_id: DropId,
    key: bytes,
    fingerprint: Fingerprint,
    now: Instant,
    *,
    device: PeerId | None = None,
    voucher: Fingerprint | None = None,
    vouched_until: Instant | None = None,
) -> None:
    """Note a drop; whose it is stays, who vouches for them is as it was said last."""
    sql.execute(
        """INSERT INTO held_drop (drop_id, key, fingerprint, since, device, voucher, vouched_until)
           VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (drop_id) DO UPDATE SET device = excluded.device,
               voucher = excluded.voucher, vouched_until = excluded.vouched_until
               WHERE fingerprint = excluded.fingerprint""",
        (drop_id, key, fingerprint, now, device, voucher, vouched_until),
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
    """From now on this drop takes these tickets and no others; TemporaryFailure when it has gone
    meanwhile."""
    if drop(sql, drop_id) is None:
        raise TemporaryFailure("This drop is not kept here any more.")
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
    return digest if takes(sql, drop_id, digest) else None


def takes(sql: sqlite3.Connection, drop_id: DropId, ticket_hash: bytes) -> bool:
    """Whether this drop takes that ticket."""
    found = sql.execute(
        "SELECT 1 FROM held_ticket WHERE drop_id = ? AND hash = ?", (drop_id, ticket_hash)
    )
    return found.fetchone() is not None


def letter(sql: sqlite3.Connection, drop_id: DropId, mail_id: MailId) -> HeldLetter | None:
    row = sql.execute(
        f"SELECT {_LETTER} FROM held_letter WHERE drop_id = ? AND mail_id = ?",  # noqa: S608
        (drop_id, mail_id),
    ).fetchone()
    return None if row is None else HeldLetter(*row)


def put_letter(
    sql: sqlite3.Connection,
    drop_id: DropId,
    mail_id: MailId,
    size: int,
    expires_at: Instant,
    ticket_hash: bytes | None,
    sibling: PeerId | None = None,
) -> None:
    """Note that the sealed letter lies in this drop, until the later of two expiries.

    `sibling`: the holder who passed it on; what its sender brought as well is its sender's, and
    under the ticket that the sender showed: a lying holder may have told another one."""
    sql.execute(
        """INSERT INTO held_letter (drop_id, mail_id, arrival, ticket_hash, size, expires_at,
                                    sibling)
           VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (drop_id, mail_id) DO UPDATE SET
               expires_at = max(expires_at, excluded.expires_at),
               ticket_hash = iif(sibling IS NOT NULL AND excluded.sibling IS NULL,
                                 excluded.ticket_hash, coalesce(ticket_hash, excluded.ticket_hash)),
               sibling = iif(excluded.sibling IS NULL, NULL, sibling)""",
        (drop_id, mail_id, next_arrival(sql, drop_id), ticket_hash, size, expires_at, sibling),
    )


def next_arrival(sql: sqlite3.Connection, drop_id: DropId) -> int:
    """A number above all that were given out in this drop: it is never used again."""
    (number,) = sql.execute(
        "UPDATE held_drop SET arrivals = arrivals + 1 WHERE drop_id = ? RETURNING arrivals",
        (drop_id,),
    ).fetchone()
    return int(number)


def letters(sql: sqlite3.Connection, drop_id: DropId, after: int, at_most: int) -> list[HeldLetter]:
    """Letters that wait in the drop, in order of arrival; no tombstones."""
    rows = sql.execute(
        f"""SELECT {_LETTER} FROM held_letter WHERE drop_id = ? AND arrival > ?
            AND {WAITS} ORDER BY arrival LIMIT ?""",  # noqa: S608  (constants)
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
    rows = sql.execute(f"SELECT DISTINCT drop_id FROM held_letter WHERE {WAITS}")  # noqa: S608
    return [DropId(drop_id) for (drop_id,) in rows]


def lying_for(sql: sqlite3.Connection, fingerprint: Fingerprint) -> int:
    """How many letters wait here for this person."""
    (count,) = sql.execute(
        f"""SELECT count(*) FROM held_letter WHERE {WAITS} AND drop_id IN
               (SELECT drop_id FROM held_drop WHERE fingerprint = ?)""",  # noqa: S608  (constant)
        (fingerprint,),
    ).fetchone()
    return int(count)


def lying(sql: sqlite3.Connection) -> int:
    """How many letters wait here, for whomever."""
    (count,) = sql.execute(
        f"SELECT count(*) FROM held_letter WHERE {WAITS}"  # noqa: S608  (constant)
    ).fetchone()
    return int(count)


def changes(
    sql: sqlite3.Connection, drop_id: DropId, after: int, now: Instant, size_max: int
) -> list[HeldLetter]:
    """What lies in a drop that another holder may have: letters, and the owner's words in their
    place; in order of arrival."""
    rows = sql.execute(
        f"""SELECT {_LETTER} FROM held_letter WHERE drop_id = ? AND arrival > ?
            AND expires_at > ? AND (iif({WAITS}, size <= ?,
                iif(tombstone IS NULL, reseal IS NOT NULL, burial IS NOT NULL)))
            ORDER BY arrival LIMIT ?""",  # noqa: S608  (constants)
        (drop_id, after, now, size_max, limits.SYNC_LISTING_MAX),
    )
    return [HeldLetter(*row) for row in rows]


def count_all(sql: sqlite3.Connection, drop_id: DropId) -> int:
    """How many letters and tombstones a drop has."""
    (count,) = sql.execute(
        "SELECT count(*) FROM held_letter WHERE drop_id = ?", (drop_id,)
    ).fetchone()
    return int(count)


def bury(
    sql: sqlite3.Connection,
    drop_id: DropId,
    mail_id: MailId,
    receipt: bytes,
    burial: bytes | None = None,
) -> None:
    """Put the receipt in the letter's place; the first one stays. With a new arrival number, so
    that other holders hear of it. `burial`: the owner's signature, for them to believe it."""
    lying = letter(sql, drop_id, mail_id)
    if lying is not None and lying.tombstone is None:
        sql.execute(
            """UPDATE held_letter SET tombstone = ?, burial = ?, arrival = ?
               WHERE drop_id = ? AND mail_id = ?""",
            (receipt, burial, next_arrival(sql, drop_id), drop_id, mail_id),
        )


def ask_to_reseal(
    sql: sqlite3.Connection, drop_id: DropId, mail_id: MailId, reseal: bytes | None
) -> None:
    """Put the owner's word in the letter's place that it has to be sealed anew; the last one stays,
    but not over a receipt. With a new arrival number, so that other holders hear of it. None: that
    word cannot be read."""
    lying = letter(sql, drop_id, mail_id)
    if lying is not None and lying.tombstone is None:
        sql.execute(
            "UPDATE held_letter SET reseal = ?, arrival = ? WHERE drop_id = ? AND mail_id = ?",
            (reseal, next_arrival(sql, drop_id), drop_id, mail_id),
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


def forget_expired(sql: sqlite3.Connection, now: SureInstant) -> None:
    """Drop letters past their expiry and its grace, and tombstones a week after."""
    sql.execute(
        """DELETE FROM held_letter
           WHERE expires_at + iif(tombstone IS NULL AND reseal IS NULL, ?, ?) < ?""",
        (limits.EXPIRY_GRACE_SECONDS, limits.TOMBSTONE_SECONDS, now),
    )
