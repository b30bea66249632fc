"""People: contacts, and the newest record of each.

Functions run in the database thread, inside a transaction of `Database.run`.
Invariants: a contact's record is only ever replaced by one of a higher sequence of the same
identity.
"""

import logging
import sqlite3
from dataclasses import dataclass, field
from functools import lru_cache

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure, Unknown
from postroad.base.ids import Fingerprint, Instant, PeerId, SureInstant, Ticket
from postroad.base.tlv import decode, encode
from postroad.message import nicknames
from postroad.phrases import phrase
from postroad.protocol.records import PersonRecord, is_from_the_future
from postroad.store import circle, quarantine, revoked

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Person:
    """A contact."""

    fingerprint: Fingerprint
    address: str
    name: str  # how the owner calls them; the address's name until they say otherwise
    record: PersonRecord
    learnt_at: Instant
    my_ticket: Ticket | None = field(repr=False)
    their_ticket: Ticket | None = field(repr=False)
    seen_at: Instant | None
    blocked: bool
    told: int  # the sequence of our record that they have
    verified_at: Instant | None = None  # when the owner found the safety number to be theirs
    revoked: bool = False  # their identity has ended
    outside: bool = False  # the policy does not allow this contact; then they are blocked, too

    @property
    def verified(self) -> bool:
        return self.verified_at is not None


_COLUMNS = """fingerprint, address, name, record, learnt_at, my_ticket, their_ticket, seen_at,
    blocked, told, verified_at,
    EXISTS (SELECT 1 FROM revoked WHERE revoked.fingerprint = contact.fingerprint AND peer = x''),
    outside"""


def contacts(sql: sqlite3.Connection) -> list[Person]:
    """All contacts whose rows can be understood; a damaged one is as one that is not there."""
    rows = sql.execute(f"SELECT {_COLUMNS} FROM contact ORDER BY since").fetchall()  # noqa: S608
    return [person for row in rows if (person := _person(*row)) is not None]


def count(sql: sqlite3.Connection) -> int:
    (found,) = sql.execute("SELECT count(*) FROM contact").fetchone()
    return int(found)


def names(sql: sqlite3.Connection, but_of: Fingerprint) -> list[tuple[str, str]]:
    """How the other contacts are called, by the owner and in their addresses, and the address."""
    rows = sql.execute(
        "SELECT name, address FROM contact WHERE fingerprint <> ? ORDER BY since", (but_of,)
    ).fetchall()
    return [
        (text, address)
        for name, address in rows
        for text in dict.fromkeys((name, address.partition(".")[0]))
    ]


def note_damaged(sql: sqlite3.Connection, now: Instant) -> None:
    """Put contacts whose rows cannot be understood before the owner."""
    whole = {person.fingerprint for person in contacts(sql)}
    for fingerprint, address in sql.execute("SELECT fingerprint, address FROM contact"):
        if fingerprint not in whole:
            quarantine.note(sql, "contact", address, "Its row is damaged.", now)


def contact(sql: sqlite3.Connection, fingerprint: Fingerprint) -> Person | None:
    row = sql.execute(
        f"SELECT {_COLUMNS} FROM contact WHERE fingerprint = ?",  # noqa: S608
        (fingerprint,),
    ).fetchone()
    return None if row is None else _person(*row)


def add_contact(
    sql: sqlite3.Connection,
    record: PersonRecord,
    now: Instant,
    *,
    my_ticket: Ticket | None,
    their_ticket: Ticket | None,
    name: str = "",
) -> None:
    """Accept a person, or complete what is known of them; a ticket once known stays.

    `name`: how the owner would call somebody new, unless another contact is called so. Raises
    TemporaryFailure when their record is from the future, PermanentFailure when the policy does not
    allow them."""
    if is_from_the_future(record, now):
        raise TemporaryFailure(
            f"The record of {record.address} is dated in the future: one of your two clocks is "
            "wrong. Set it right, and try again."
        )
    circle.expect(sql, record.fingerprint, str(record.address))
    sql.execute(
        """INSERT INTO contact (fingerprint, address, name, record, sequence, learnt_at, since,
                                my_ticket, their_ticket)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (fingerprint) DO UPDATE SET
               my_ticket = coalesce(excluded.my_ticket, my_ticket),
               their_ticket = coalesce(their_ticket, excluded.their_ticket)""",
        (
            record.fingerprint,
            str(record.address),
            name_for(sql, record, name),
            encode(record),
            record.sequence,
            now,
            now,
            my_ticket,
            their_ticket,
        ),
    )
    sql.execute("DELETE FROM stranger WHERE fingerprint = ?", (record.fingerprint,))
    learn(sql, record, now)
    known = contact(sql, record.fingerprint)
    assert known is not None
    note_devices(sql, known.record)  # of the newest: this one may be older


def were(sql: sqlite3.Connection, fingerprint: Fingerprint) -> list[Fingerprint]:
    """Who this contact was before."""
    rows = sql.execute(
        "SELECT fingerprint FROM former WHERE heir = ? ORDER BY fingerprint", (fingerprint,)
    )
    return [Fingerprint(one) for (one,) in rows]


def learn_ticket(sql: sqlite3.Connection, fingerprint: Fingerprint, ticket: Ticket) -> None:
    """What this contact wants us to deposit with."""
    sql.execute("UPDATE contact SET my_ticket = ? WHERE fingerprint = ?", (ticket, fingerprint))


def name_for(sql: sqlite3.Connection, record: PersonRecord, wanted: str = "") -> str:
    """A name for this person that no other contact has."""
    taken = {key for key, _ in names_taken(sql, record.fingerprint)}
    return nicknames.free(wanted or record.name, taken)


def names_taken(sql: sqlite3.Connection, but_of: Fingerprint) -> list[tuple[str, str]]:
    """What no other contact may be called, as `nicknames.key` has it, and whose it is: the names of
    contacts, and those in their addresses."""
    rows = sql.execute(
        "SELECT name, address FROM contact WHERE fingerprint <> ? ORDER BY since", (but_of,)
    ).fetchall()
    return [
        (nicknames.key(text), name)
        for name, address in rows
        for text in (name, address.partition(".")[0])
    ]


def learn(sql: sqlite3.Connection, record: PersonRecord, now: Instant) -> bool:
    """Keep a contact's record when it is newer than ours; whether it was.

    One from the future is not kept, whoever brings it: it would stand in the way of the next. Nor
    is one that a revoked device signed."""
    if not revoked.speaks(sql, record.fingerprint, record.certificate.device):
        return False
    if is_from_the_future(record, now):
        log.info("a contact's record is dated in the future: one of two clocks is wrong")
        return False
    changed = sql.execute(
        """UPDATE contact SET record = ?, sequence = ?, address = ?
           WHERE fingerprint = ? AND sequence < ?""",
        (
            encode(record),
            record.sequence,
            str(record.address),
            record.fingerprint,
            record.sequence,
        ),
    )
    sql.execute(
        "UPDATE contact SET learnt_at = ? WHERE fingerprint = ? AND sequence = ?",
        (now, record.fingerprint, record.sequence),
    )
    if changed.rowcount == 1:
        note_devices(sql, record)
    return changed.rowcount == 1


def note_devices(sql: sqlite3.Connection, record: PersonRecord) -> None:
    """The device that signed the record is this person's; the others only unless somebody else's.

    Anybody can write the device of another contact into their own record. None that was revoked."""
    whose = record.fingerprint
    sql.execute("DELETE FROM device WHERE fingerprint = ?", (whose,))
    if revoked.speaks(sql, whose, record.certificate.device):
        sql.execute(
            "INSERT OR REPLACE INTO device (peer, fingerprint) VALUES (?, ?)",
            (record.certificate.device, whose),
        )
    sql.executemany(
        "INSERT OR IGNORE INTO device (peer, fingerprint) VALUES (?, ?)",
        [
            (contact.peer, whose)
            for contact in record.contacts
            if revoked.speaks(sql, whose, contact.peer)
        ],
    )


def at_device(sql: sqlite3.Connection, peer: PeerId) -> Person | None:
    """The contact one of whose devices this is."""
    row = sql.execute("SELECT fingerprint FROM device WHERE peer = ?", (peer,)).fetchone()
    return None if row is None else contact(sql, Fingerprint(row[0]))


def is_served(sql: sqlite3.Connection, peer: PeerId) -> bool:
    """Whether this is a device of a contact who is not blocked."""
    person = at_device(sql, peer)
    return person is not None and not person.blocked


def called(sql: sqlite3.Connection, name: str) -> Person:
    """The one contact of this name or address; PermanentFailure when it is nobody's, or the name of
    several."""
    wanted = name.strip().casefold()
    found = [
        person
        for person in contacts(sql)
        if wanted in (person.name.casefold(), person.address, person.fingerprint)
    ]
    if not found:
        raise Unknown(
            phrase("You have no contact called {name}. See: postroad contacts", name=repr(name))
        )
    if len(found) > 1:
        raise Unknown(
            phrase(
                "Several of your contacts are called {name}: say the whole address. "
                "See: postroad contacts",
                name=repr(name),
            )
        )
    return found[0]


def seen(sql: sqlite3.Connection, fingerprint: Fingerprint, now: Instant) -> None:
    """A device of this contact proved itself to us just now."""
    sql.execute("UPDATE contact SET seen_at = ? WHERE fingerprint = ?", (now, fingerprint))


def block(sql: sqlite3.Connection, fingerprint: Fingerprint) -> None:
    """This person is served no more, and may not deposit any more."""
    sql.execute("UPDATE contact SET blocked = 1 WHERE fingerprint = ?", (fingerprint,))


def unblock(sql: sqlite3.Connection, fingerprint: Fingerprint) -> None:
    sql.execute("UPDATE contact SET blocked = 0 WHERE fingerprint = ?", (fingerprint,))


def told_record(sql: sqlite3.Connection, fingerprint: Fingerprint, sequence: int) -> None:
    """This contact has our record of that sequence."""
    sql.execute(
        "UPDATE contact SET told = ? WHERE fingerprint = ? AND told < ?",
        (sequence, fingerprint, sequence),
    )


def tickets(sql: sqlite3.Connection, now: SureInstant | None) -> list[Ticket]:
    """All tickets that our drops should take: contacts', those of unused invitations, of proposals
    that may come about, and of strangers to whom we wrote; of too many the contacts' first."""
    rows = sql.execute(
        """SELECT ticket FROM (
               SELECT their_ticket AS ticket, 1 AS place FROM contact
                   WHERE their_ticket IS NOT NULL AND NOT (blocked OR outside)
               UNION ALL SELECT ticket, 2 FROM invitation
                   WHERE used_by IS NULL AND withdrawn_at IS NULL AND expires_at > ?
               UNION ALL SELECT ticket, 3 FROM stranger WHERE is_written_to
               UNION ALL SELECT first_ticket, 4 FROM proposal
                   WHERE state IN ('open', 'accepted') AND expires_at > ?
               UNION ALL SELECT ticket, 4 FROM proposal
                   WHERE state = 'accepted' AND expires_at > ?)
           GROUP BY ticket ORDER BY min(place), ticket LIMIT ?""",
        (now or 0.0, now or 0.0, now or 0.0, limits.TICKETS_PER_DROP_MAX),
    )
    return [Ticket(ticket) for (ticket,) in rows]


def called_by_owner(sql: sqlite3.Connection) -> dict[Fingerprint, tuple[str, str]]:
    """What the owner calls each contact, and the address; no record is read for it."""
    rows = sql.execute("SELECT fingerprint, name, address FROM contact")
    return {Fingerprint(fingerprint): (name, address) for fingerprint, name, address in rows}


def keep_record(
    sql: sqlite3.Connection, record: PersonRecord, now: Instant, *, is_ours: bool = False
) -> bool:
    """Keep a record to serve to others, when it is newer than what we have, and not from the
    future; whether it was. Never one that a revoked device of others signed."""
    device = record.certificate.device
    if not is_ours and not revoked.speaks(sql, record.fingerprint, device):
        return False
    if is_from_the_future(record, now):
        return False
    kept = sql.execute(
        """INSERT INTO record (fingerprint, sequence, octets) VALUES (?, ?, ?)
           ON CONFLICT (fingerprint) DO UPDATE
               SET sequence = excluded.sequence, octets = excluded.octets
               WHERE excluded.sequence > sequence""",
        (record.fingerprint, record.sequence, encode(record)),
    )
    return kept.rowcount == 1


def kept_record(sql: sqlite3.Connection, fingerprint: Fingerprint) -> bytes | None:
    row = sql.execute("SELECT octets FROM record WHERE fingerprint = ?", (fingerprint,)).fetchone()
    return None if row is None else bytes(row[0])


def kept_sequence(sql: sqlite3.Connection, fingerprint: Fingerprint) -> int:
    """What a newer record of theirs has to be above, also where the record itself is damaged."""
    row = sql.execute(
        "SELECT sequence FROM record WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def skip_records(sql: sqlite3.Connection, fingerprint: Fingerprint, count: int) -> None:
    """So many records of theirs may be out that we do not know: the next is above them."""
    sql.execute(
        "UPDATE record SET sequence = sequence + (? << 32) WHERE fingerprint = ?",
        (count, fingerprint),
    )


@lru_cache(limits.RECORDS_AT_HAND_MAX)  # the same few people are asked for with every letter
def _record(octets: bytes) -> PersonRecord:
    return decode(PersonRecord, octets)  # it was verified before it was stored


def _person(
    fingerprint: str,
    address: str,
    name: str,
    record: bytes,
    learnt_at: float,
    my_ticket: bytes | None,
    their_ticket: bytes | None,
    seen_at: float | None,
    blocked: int,
    told: int,
    verified_at: float | None,
    ended: int,
    outside: int,
) -> Person | None:
    named = Fingerprint(fingerprint)
    try:
        verified = _record(record)
    except PeerMisbehaved as error:
        log.debug("a contact's row is damaged: %s", error, extra={"contact": fingerprint})
        return None
    return Person(
        named,
        address,
        name,
        verified,
        Instant(learnt_at),
        None if my_ticket is None else Ticket(my_ticket),
        None if their_ticket is None else Ticket(their_ticket),
        None if seen_at is None else Instant(seen_at),
        bool(blocked or outside),
        told,
        None if verified_at is None else Instant(verified_at),
        bool(ended),
        bool(outside),
    )
