"""People to whom the owner writes without being contacts: what is known of them, for some weeks.

Functions run in the database thread, inside a transaction of `Database.run`.
Invariants: a record is only ever replaced by one of a higher sequence; at most
STRANGERS_REMEMBERED_MAX are remembered besides those with letters on their way.
"""

import sqlite3
from dataclasses import dataclass, field, replace

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, Fingerprint, Instant, SureInstant, Ticket
from postroad.base.tlv import encode
from postroad.protocol.contacts import decode_contact, encode_contact
from postroad.protocol.dialable import dialable
from postroad.protocol.records import PersonRecord, read_person
from postroad.store.people import Person


@dataclass(frozen=True, slots=True)
class Stranger:
    """`record`: None while none was found; `looks`: in vain, since `learnt_at`."""

    fingerprint: Fingerprint
    record: PersonRecord | None
    learnt_at: Instant
    ticket: Ticket = field(repr=False)
    is_written_to: bool
    looks: int

    def person(self, *, private: bool) -> Person | None:
        """As whom letters to them are sealed and sent; of what they name, only what we dial of
        strangers (promise A4; `private`: see `protocol.dialable`)."""
        if self.record is None:
            return None
        address = self.record.address
        record = dialled(self.record, private=private)
        return Person(
            fingerprint=self.fingerprint,
            address=str(address),
            name=address.name,
            record=record,
            learnt_at=self.learnt_at,
            my_ticket=None,
            their_ticket=self.ticket,
            seen_at=None,
            blocked=False,
            told=0,
        )


def dialled(record: PersonRecord, *, private: bool) -> PersonRecord:
    """The record of somebody who is no contact, with only what we dial of it (promise A4)."""
    return replace(
        record,
        devices=tuple(_dialled(one, private=private) for one in record.devices),
        drops=tuple(
            replace(one, holder=_dialled(one.holder, private=private)) for one in record.drops
        ),
    )


def _dialled(contact: bytes, *, private: bool) -> bytes:
    decoded = decode_contact(contact)
    return encode_contact(dialable(decoded, private=private) or Contact(decoded.peer))


def stranger(sql: sqlite3.Connection, fingerprint: Fingerprint) -> Stranger | None:
    row = sql.execute(
        """SELECT record, learnt_at, ticket, is_written_to, looks FROM stranger
           WHERE fingerprint = ?""",
        (fingerprint,),
    ).fetchone()
    if row is None:
        return None
    octets, learnt_at, ticket, is_written_to, looks = row
    record = None
    if octets is not None:
        try:
            record = read_person(bytes(octets), fingerprint)
        except PeerMisbehaved:  # the row is damaged: they are looked for again
            record = None
    return Stranger(
        fingerprint, record, Instant(learnt_at), Ticket(ticket), bool(is_written_to), looks
    )


def learn(sql: sqlite3.Connection, record: PersonRecord, ticket: Ticket, now: Instant) -> None:
    """Keep a stranger's record, unless a newer one is known; `ticket` if they are new to us."""
    sql.execute(
        """INSERT INTO stranger (fingerprint, record, sequence, learnt_at, ticket)
           VALUES (:who, :record, :sequence, :now, :ticket)
           ON CONFLICT (fingerprint) DO UPDATE SET
               record = iif(:sequence >= sequence, :record, record),
               sequence = max(:sequence, sequence), learnt_at = :now, looks = 0""",
        {
            "who": record.fingerprint,
            "record": encode(record),
            "sequence": record.sequence,
            "now": now,
            "ticket": ticket,
        },
    )
    forget_old(sql, None)


def not_found(
    sql: sqlite3.Connection, fingerprint: Fingerprint, ticket: Ticket, now: Instant
) -> Stranger:
    """Note that a joined directory did not show them; what is known now."""
    sql.execute(
        """INSERT INTO stranger (fingerprint, learnt_at, ticket, looks) VALUES (?, ?, ?, 1)
           ON CONFLICT (fingerprint) DO UPDATE SET looks = looks + 1""",
        (fingerprint, now, ticket),
    )
    found = stranger(sql, fingerprint)
    assert found is not None
    return found


def written_to(sql: sqlite3.Connection, fingerprint: Fingerprint) -> None:
    """A letter to them was sealed, with our ticket in it: their answer may come."""
    sql.execute("UPDATE stranger SET is_written_to = 1 WHERE fingerprint = ?", (fingerprint,))


def is_written_to(sql: sqlite3.Connection, fingerprint: Fingerprint) -> bool:
    """Whether the owner wrote to this stranger, and so may be answered by them."""
    found = sql.execute(
        "SELECT 1 FROM stranger WHERE fingerprint = ? AND is_written_to", (fingerprint,)
    )
    return found.fetchone() is not None


def forget(sql: sqlite3.Connection, fingerprint: Fingerprint) -> None:
    """What was known of them; an answer of theirs is expected no more."""
    sql.execute("DELETE FROM stranger WHERE fingerprint = ?", (fingerprint,))


def forget_old(sql: sqlite3.Connection, now: SureInstant | None) -> None:
    """Forget who is no matter any more: an answer to a request comes within its days. Without a
    confirmed clock only those above the number that is remembered."""
    sql.execute(
        """DELETE FROM stranger WHERE fingerprint NOT IN
               (SELECT fingerprint FROM parcel WHERE state IN ('waiting', 'held'))
           AND (learnt_at < ? OR fingerprint IN
               (SELECT fingerprint FROM stranger ORDER BY is_written_to DESC, learnt_at DESC
                LIMIT -1 OFFSET ?))""",
        ((now or 0.0) - limits.RECORD_SECONDS_MAX, limits.STRANGERS_REMEMBERED_MAX),
    )
