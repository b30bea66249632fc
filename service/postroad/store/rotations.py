"""Rotations that we heard of: a contact goes on under their new identity, and is not verified then.

Purpose: the contact's row, and all that points to it, moves to the new fingerprint in one commit;
who they were before is remembered, for letters that still name it.
Functions run in the database thread, inside a transaction of `Database.run`.
Invariants: of an identity the first rotation that was obeyed stays, another heir is only told of;
nobody leads back to whom they were; what was revoked leads nowhere.
See: docs/adr/0015-devices.md.
"""

import sqlite3
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint, Instant, PeerId
from postroad.base.tlv import decode, encode
from postroad.message.address import Address
from postroad.protocol.identity_records import ROTATE, RotateRecord
from postroad.protocol.records import PersonRecord
from postroad.store import audit, changes, circle, people, queue, rented, revoked

ROTATIONS_A_DAY = 3  # of one contact that are followed
CHAIN_MAX = 8  # rotations in a row that are followed
FORKS_MAX = 8  # told of one identity: whoever signs more of them tells nothing new


class Outcome(Enum):
    """What a rotation did here."""

    NOTHING = "no news, or nothing that we obey"
    PENDING = "believed, and the new identity's record is not known yet"
    FOLLOWED = "the contact, or who rents here, is the new identity now"
    FORKED = "the old identity named two heirs: the first stays"
    TAKEN = "our own identity was handed on, and not to us"


@dataclass(frozen=True, slots=True)
class Followed:
    """`before`: the contact as they were; `person`: as they are. None: they only rent here."""

    outcome: Outcome
    before: people.Person | None = None
    person: people.Person | None = None
    heir: Fingerprint | None = None  # who was named, when nobody was followed there


@dataclass(frozen=True, slots=True)
class Former:
    """Who a contact was, and who they are."""

    address: str
    heir: Fingerprint


def former(sql: sqlite3.Connection, fingerprint: Fingerprint) -> Former | None:
    """Whose identity this was, if it was a contact's before they rotated."""
    row = sql.execute(
        "SELECT address, heir FROM former WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    return None if row is None else Former(row[0], Fingerprint(row[1]))


def heir(sql: sqlite3.Connection, fingerprint: Fingerprint) -> Fingerprint:
    """Under which identity the contact is known now; the same when it did not change."""
    found = former(sql, fingerprint)
    return fingerprint if found is None else found.heir


def contact(sql: sqlite3.Connection, fingerprint: Fingerprint) -> people.Person | None:
    """The contact who is, or was, this identity."""
    return people.contact(sql, heir(sql, fingerprint))


def is_device_of(sql: sqlite3.Connection, fingerprint: Fingerprint, device: PeerId) -> bool:
    """Whether that device speaks for the contact as they are now."""
    found = sql.execute(
        "SELECT 1 FROM device WHERE peer = ? AND fingerprint = ?", (device, fingerprint)
    )
    return found.fetchone() is not None


def hear(
    sql: sqlite3.Connection,
    rotations: Sequence[RotateRecord],
    record: PersonRecord | None,
    now: Instant,
    mine: Collection[Fingerprint],
) -> Followed:
    """Obey rotations that were verified, each the next one's beginning, and go on under the last
    identity when its `record` is there."""
    first = rotations[0]
    old = first.old.fingerprint
    if old in mine:
        named = first.new.fingerprint
        is_news = named not in mine and _note_fork(sql, old, named, now)
        return Followed(Outcome.TAKEN if is_news else Outcome.NOTHING, heir=named)
    before = changes.rotation(sql, old)
    if before is not None and before.new != first.new:
        return _fork(sql, first, before, now)
    if revoked.is_ended(sql, old):
        return Followed(Outcome.NOTHING)  # whoever stole its keys can sign an heir, too
    for rotation in rotations:
        changes.keep(
            sql, ROTATE, rotation.old.fingerprint, rotation.sequence, encode(rotation), now
        )
    if former(sql, old) is not None:
        return Followed(Outcome.NOTHING)  # followed already; signed afresh
    new = rotations[-1].new.fingerprint
    if _leads_back(sql, old, new) or revoked.is_ended(sql, new):
        return Followed(Outcome.NOTHING)
    if record is None or record.fingerprint != new:
        return Followed(Outcome.PENDING)
    if not revoked.speaks(sql, new, record.certificate.device):
        return Followed(Outcome.NOTHING)
    if _rotated_lately(sql, old, now) >= ROTATIONS_A_DAY:
        return Followed(Outcome.PENDING)  # looked for again tomorrow: each is told to the owner
    return _follow(sql, rotations, record, now)


def catch_up(
    sql: sqlite3.Connection, whose: Fingerprint, now: Instant, mine: Collection[Fingerprint]
) -> Followed | None:
    """Obey what was heard before of somebody who is a contact only now; None: nothing was."""
    heard: list[RotateRecord] = []
    at = whose
    while len(heard) < CHAIN_MAX and (rotation := changes.rotation(sql, at)) is not None:
        heard.append(rotation)
        at = rotation.new.fingerprint
    if not heard:
        return None
    octets, record = people.kept_record(sql, at), None
    if octets is not None:
        with suppress(PeerMisbehaved):  # the row is damaged
            record = decode(PersonRecord, octets)
    return hear(sql, heard, record, now, mine)


def _rotated_lately(sql: sqlite3.Connection, whose: Fingerprint, now: Instant) -> int:
    """How often this contact has become another one within a day."""
    (count,) = sql.execute(
        "SELECT count(*) FROM former WHERE heir = ? AND at > ?", (whose, now - limits.DAY)
    ).fetchone()
    return int(count)


def _leads_back(sql: sqlite3.Connection, old: Fingerprint, new: Fingerprint) -> bool:
    """Whether somebody was the new identity before they became the old one."""
    return new == old or heir(sql, new) == old


def _fork(
    sql: sqlite3.Connection, rotation: RotateRecord, kept: RotateRecord, now: Instant
) -> Followed:
    """The old identity named somebody else, too: told once for each such heir."""
    other = rotation.new.fingerprint
    person = contact(sql, kept.old.fingerprint)
    if person is None or not _note_fork(sql, kept.old.fingerprint, other, now):
        return Followed(Outcome.NOTHING)
    sql.execute(
        "UPDATE contact SET verified_at = NULL WHERE fingerprint = ?", (person.fingerprint,)
    )
    return Followed(Outcome.FORKED, person, person, other)


def _note_fork(sql: sqlite3.Connection, old: Fingerprint, other: Fingerprint, now: Instant) -> bool:
    """Whether it is news that this identity named that heir as well."""
    (count,) = sql.execute("SELECT count(*) FROM fork WHERE fingerprint = ?", (old,)).fetchone()
    if count >= FORKS_MAX:
        return False
    done = sql.execute(
        "INSERT OR IGNORE INTO fork (fingerprint, heir, at) VALUES (?, ?, ?)", (old, other, now)
    )
    if done.rowcount == 1:
        audit.note_from_outside(sql, now, "identity rotated elsewhere", id=old, key=other)
    return done.rowcount == 1


def _follow(
    sql: sqlite3.Connection, rotations: Sequence[RotateRecord], record: PersonRecord, now: Instant
) -> Followed:
    old, new = rotations[0].old.fingerprint, record.fingerprint
    before = people.contact(sql, old)
    if before is not None:
        _move_contact(sql, before, record, now)
    for rotation in rotations if before is not None else ():
        whose = rotation.old.fingerprint
        address = str(Address(before.record.name if before else record.name, whose))
        sql.execute("UPDATE former SET heir = ? WHERE heir = ?", (new, whose))
        sql.execute(
            "INSERT OR REPLACE INTO former (fingerprint, address, heir, at) VALUES (?, ?, ?, ?)",
            (whose, address, new, now),
        )
    for table, column in _POINTERS:
        sql.execute(
            f"UPDATE {table} SET {column} = ? WHERE {column} = ?",  # noqa: S608  (constants)
            (new, old),
        )
    rented.want_by_standing(sql)
    people.keep_record(sql, record, now)
    queue.wake(sql, new, now)
    audit.note_from_outside(sql, now, "identity rotated", id=old, key=new)
    after = people.contact(sql, new)
    return Followed(Outcome.FOLLOWED, before, after)


# What names somebody, beside `filed`: letters that the old identity signed stay what they were.
_POINTERS = (
    ("parcel", "fingerprint"),
    ("my_drop", "fingerprint"),
    ("held_drop", "fingerprint"),
    ("held_drop", "voucher"),
    ("receipt_due", "fingerprint"),
    ("invitation", "used_by"),
)


def _move_contact(
    sql: sqlite3.Connection, before: people.Person, record: PersonRecord, now: Instant
) -> None:
    """The row goes on under the new fingerprint. Where there is one already, since both met anew
    meanwhile, that one stays and gets what it lacks."""
    old, new = before.fingerprint, record.fingerprint
    sql.execute("PRAGMA defer_foreign_keys = ON")
    if people.contact(sql, new) is None:
        sql.execute(
            """UPDATE contact SET fingerprint = ?, address = ?, record = ?, sequence = ?,
                   learnt_at = ?, told = 0, verified_at = NULL WHERE fingerprint = ?""",
            (new, str(record.address), encode(record), record.sequence, now, old),
        )
        sql.execute("UPDATE holding SET fingerprint = ? WHERE fingerprint = ?", (new, old))
    else:
        sql.execute(
            """UPDATE contact SET blocked = max(blocked, ?), my_ticket = coalesce(my_ticket, ?),
                   their_ticket = coalesce(their_ticket, ?) WHERE fingerprint = ?""",
            (before.blocked, before.my_ticket, before.their_ticket, new),
        )
        sql.execute("DELETE FROM holding WHERE fingerprint = ?", (old,))
        sql.execute("UPDATE former SET heir = ? WHERE heir = ?", (new, old))
        sql.execute("DELETE FROM device WHERE fingerprint = ?", (old,))
        sql.execute("DELETE FROM contact WHERE fingerprint = ?", (old,))
    sql.execute("DELETE FROM device WHERE fingerprint = ?", (old,))
    sql.execute(
        "UPDATE contact SET outside = ? WHERE fingerprint = ?", (not circle.allows(sql, new), new)
    )
    people.learn(sql, record, now)
    people.note_devices(sql, record)
