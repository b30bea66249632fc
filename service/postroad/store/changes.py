"""Revocations that we heard of: kept, and obeyed in the same commit.

Purpose: from that commit on nothing counts here that a revoked device signed: letters, receipts,
records, leases, requests for a drop. What was sealed for it and not yet delivered is sealed anew.
Functions run in the database thread, inside a transaction of `Database.run`.
Invariants: of one kind the newest is kept; what one record revoked, no later one gives back.
See: docs/adr/0015-devices.md.
"""

import sqlite3
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, Fingerprint, Instant, PeerId
from postroad.base.tlv import decode, encode
from postroad.protocol.identity_records import (
    REVOKE,
    ROTATE,
    RevokeRecord,
    RotateRecord,
    kind_of,
)
from postroad.protocol.records import PersonRecord
from postroad.store import audit, helpers, people, queue, rented, revoked, standing

T = TypeVar("T", RevokeRecord, RotateRecord)
PUBLISHED_MAX = 64  # of others; whoever knows more has very unlucky contacts


@dataclass(frozen=True, slots=True)
class Obeyed:
    """A revocation that was news. `person`: whose it is, when they are a contact; `is_whole`: the
    identity itself has ended; `barred`: devices with which we do not speak from now on."""

    fingerprint: Fingerprint
    person: people.Person | None
    is_whole: bool
    barred: frozenset[PeerId]


def concerns_us(
    sql: sqlite3.Connection, fingerprint: Fingerprint, mine: Collection[Fingerprint]
) -> bool:
    """Whether we should know what becomes of this identity: a contact's, a renter's, our own."""
    if fingerprint in mine:
        return True
    found = sql.execute(
        """SELECT 1 FROM contact WHERE fingerprint = :asked
           UNION ALL SELECT 1 FROM held_drop WHERE fingerprint = :asked
           UNION ALL SELECT 1 FROM former WHERE fingerprint = :asked""",
        {"asked": fingerprint},
    )
    return found.fetchone() is not None


def kept(sql: sqlite3.Connection, fingerprint: Fingerprint, kind: int) -> bytes | None:
    """The newest record of this kind that we know of."""
    row = sql.execute(
        "SELECT octets FROM change WHERE fingerprint = ? AND kind = ?", (fingerprint, kind)
    ).fetchone()
    return None if row is None else bytes(row[0])


def _all_kept(sql: sqlite3.Connection, fingerprint: Fingerprint) -> list[bytes]:
    rows = sql.execute(
        "SELECT octets FROM change WHERE fingerprint = ? ORDER BY kind", (fingerprint,)
    )
    return [bytes(octets) for (octets,) in rows]


def revocation(sql: sqlite3.Connection, fingerprint: Fingerprint) -> RevokeRecord | None:
    """The newest revocation of this identity or of devices of it; a damaged row is none."""
    return _decoded(kept(sql, fingerprint, REVOKE), RevokeRecord)


def rotation(sql: sqlite3.Connection, fingerprint: Fingerprint) -> RotateRecord | None:
    """The rotation of this identity that was believed first, as it was signed last."""
    return _decoded(kept(sql, fingerprint, ROTATE), RotateRecord)


def last_sequence(sql: sqlite3.Connection, fingerprint: Fingerprint, kind: int) -> int:
    """That of the newest, also when its row is damaged: the next one has to be above it."""
    row = sql.execute(
        "SELECT sequence FROM change WHERE fingerprint = ? AND kind = ?", (fingerprint, kind)
    ).fetchone()
    return 0 if row is None else int(row[0])


def _decoded(octets: bytes | None, kind: type[T]) -> T | None:
    if octets is not None:
        with suppress(PeerMisbehaved):  # it was verified before it was kept
            return decode(kind, octets)
    return None


def to_publish(sql: sqlite3.Connection, now: Instant) -> list[bytes]:
    """All that should be found in the directory: who keeps it there does so for some weeks only."""
    rows = sql.execute(
        "SELECT octets FROM change ORDER BY learnt_at DESC, fingerprint, kind LIMIT ?",
        (PUBLISHED_MAX,),
    )
    return [bytes(octets) for (octets,) in rows if _is_good(octets, now)]


def _is_good(octets: bytes, now: Instant) -> bool:
    """Whether others would keep it: an expired rotation only its author can sign afresh."""
    if kind_of(octets) == REVOKE:
        return _decoded(octets, RevokeRecord) is not None
    rotated = _decoded(octets, RotateRecord)
    return rotated is not None and rotated.expires > now


def served(sql: sqlite3.Connection, fingerprint: Fingerprint, asker: PeerId) -> list[bytes]:
    """What is told of this identity to whoever asks, as with records: of who rents or rented here,
    of ourselves, and to a device what was said of it; whom else we know is nobody's business."""
    found = sql.execute(
        """SELECT 1 WHERE :asked NOT IN (SELECT fingerprint FROM contact)
           UNION ALL SELECT 1 FROM change WHERE fingerprint = :asked AND rented
           UNION ALL SELECT 1 FROM revoked WHERE fingerprint = :asked AND peer = :asker""",
        {"asked": fingerprint, "asker": asker},
    )
    return [] if found.fetchone() is None else _all_kept(sql, fingerprint)


def keep(
    sql: sqlite3.Connection,
    kind: int,
    fingerprint: Fingerprint,
    sequence: int,
    octets: bytes,
    now: Instant,
) -> bool:
    """Keep it when it is newer than what we have; whether it was."""
    done = sql.execute(
        """INSERT INTO change (fingerprint, kind, sequence, octets, learnt_at, rented)
           VALUES (?, ?, ?, ?, ?, ? IN (SELECT fingerprint FROM held_drop))
           ON CONFLICT (fingerprint, kind) DO UPDATE SET sequence = excluded.sequence,
               octets = excluded.octets, learnt_at = excluded.learnt_at,
               rented = max(rented, excluded.rented) WHERE excluded.sequence > sequence""",
        (fingerprint, kind, sequence, octets, now, fingerprint),
    )
    return done.rowcount == 1


def revoke(
    sql: sqlite3.Connection, record: RevokeRecord, now: Instant, mine: Collection[Fingerprint]
) -> Obeyed | None:
    """Obey a revocation that was verified; None when it is no news."""
    whose = record.fingerprint
    if not keep(sql, REVOKE, whose, record.sequence, encode(record), now):
        return None
    person = people.contact(sql, whose)
    is_whole = not record.devices
    proven = _proven_devices(sql, whose, person)
    named = {PeerId(device) for device in record.devices}
    ended = proven if is_whole else proven & named
    revoked.note(sql, whose, {revoked.EVERY_DEVICE, *proven} if is_whole else named, ended)
    if whose not in mine:
        _forget(sql, whose, proven if is_whole else named, is_whole=is_whole)
        _forget_holders(sql, ended, now)
    if is_whole:
        person = _end(sql, whose) or person
    else:
        for device in sorted(named):
            queue.seal_anew(sql, whose, device, now)
        if whose in mine:
            queue.sign_anew(sql, now)
    queue.wake(sql, whose, now)
    event = "identity revoked" if is_whole else "device revoked"
    # Anybody may tell of their own devices as often as they like.
    note = audit.note if whose in mine else audit.note_from_outside
    note(sql, now, event, id=whose)
    return Obeyed(whose, person, is_whole, frozenset(ended))


def _end(sql: sqlite3.Connection, whose: Fingerprint) -> people.Person | None:
    """The identity has ended, and with it whoever went on from it unverified: who stole its keys
    could name an heir, too. The contact whom that touches, when it is such an heir."""
    standing.block(sql, whose)
    row = sql.execute("SELECT heir FROM former WHERE fingerprint = ?", (whose,)).fetchone()
    heir = None if row is None else people.contact(sql, Fingerprint(row[0]))
    if heir is None or heir.verified:
        return None
    standing.block(sql, heir.fingerprint)
    return heir


def _proven_devices(
    sql: sqlite3.Connection, whose: Fingerprint, person: people.Person | None
) -> set[PeerId]:
    """The devices that showed themselves to us as this person's, not those that they only name."""
    rented = sql.execute(
        "SELECT device FROM held_drop WHERE fingerprint = ? AND device IS NOT NULL", (whose,)
    )
    proven = {PeerId(device) for (device,) in rented}
    return proven if person is None else proven | {person.record.certificate.device}


def _forget(
    sql: sqlite3.Connection, whose: Fingerprint, devices: set[PeerId], *, is_whole: bool
) -> None:
    """Serve these devices no more: their key to a drop is whose they are, so it goes with them."""
    for device in sorted(devices):
        sql.execute("DELETE FROM device WHERE fingerprint = ? AND peer = ?", (whose, device))
        sql.execute("DELETE FROM held_drop WHERE fingerprint = ? AND device = ?", (whose, device))
    if is_whole:
        sql.execute("DELETE FROM device WHERE fingerprint = ?", (whose,))
        sql.execute("DELETE FROM held_drop WHERE fingerprint = ?", (whose,))
    octets = people.kept_record(sql, whose)
    if octets is not None:
        signer = None
        with suppress(PeerMisbehaved):  # the row is damaged
            signer = decode(PersonRecord, octets).certificate.device
        if is_whole or signer is None or signer in devices:
            sql.execute("DELETE FROM record WHERE fingerprint = ?", (whose,))


def _forget_holders(sql: sqlite3.Connection, ended: set[PeerId], now: Instant) -> None:
    """What these devices hold for us, and their leases, count for nothing; senders keep custody."""
    for device in sorted(ended):
        sql.execute("DELETE FROM my_drop WHERE holder = ?", (device,))
        queue.forget_leases_of(sql, device, now)


def saw_own(sql: sqlite3.Connection, record: PersonRecord, now: Instant) -> None:
    """Another device of ours signed this record of ourselves."""
    sql.execute(
        """INSERT INTO own_device (peer, octets, seen_at) VALUES (?, ?, ?)
           ON CONFLICT (peer) DO UPDATE SET octets = excluded.octets, seen_at = excluded.seen_at""",
        (record.certificate.device, encode(record), now),
    )
    sql.execute(
        """DELETE FROM own_device WHERE peer NOT IN
               (SELECT peer FROM own_device ORDER BY seen_at DESC LIMIT ?)""",
        (revoked.DEVICES_MAX,),
    )


def own_seen(sql: sqlite3.Connection) -> list[tuple[PersonRecord, Instant]]:
    """The last record of each other device of ours that we saw, and when; damaged rows are none."""
    found = []
    for octets, at in sql.execute("SELECT octets, seen_at FROM own_device ORDER BY seen_at, peer"):
        with suppress(PeerMisbehaved):
            found.append((decode(PersonRecord, octets), Instant(at)))
    return found


def who_knows_us(sql: sqlite3.Connection) -> list[Contact]:
    """The nodes of contacts, helpers and holders, each once."""
    found = {row.peer: row.contact for row in helpers.helpers(sql) if not row.refusal}
    for person in people.contacts(sql):
        if not person.blocked:
            found |= {one.peer: one for one in person.record.contacts}
    for drop in rented.my_drops(sql):
        holder = rented.holder_of(sql, drop) if drop.agreed else None
        if holder is not None:
            found.setdefault(holder.peer, holder)
    for record, _ in own_seen(sql):
        for held in record.drops:  # for the lost device: contacts of ours whom we may not know
            found.setdefault(held.contact.peer, held.contact)
    return list(found.values())


def ended(
    sql: sqlite3.Connection, mine: Collection[Fingerprint]
) -> list[tuple[Fingerprint, RevokeRecord]]:
    """Others of whom a revocation is known, and the newest one."""
    rows = sql.execute(
        "SELECT fingerprint FROM change WHERE kind = ? ORDER BY fingerprint", (REVOKE,)
    )
    whose = [Fingerprint(one) for (one,) in rows if one not in mine]
    return [(one, last) for one in whose if (last := revocation(sql, one)) is not None]


def nodes_of(sql: sqlite3.Connection, fingerprint: Fingerprint) -> tuple[Contact, ...]:
    """Where a contact's nodes were, by the last record of theirs."""
    person = people.contact(sql, fingerprint)
    return () if person is None else person.record.contacts


def tell(
    sql: sqlite3.Connection, peer: PeerId, fingerprint: Fingerprint, kind: int, sequence: int
) -> None:
    """This node has our change of that sequence."""
    sql.execute(
        """INSERT INTO change_told (peer, fingerprint, kind, sequence) VALUES (?, ?, ?, ?)
           ON CONFLICT (peer, fingerprint, kind) DO UPDATE SET sequence = excluded.sequence""",
        (peer, fingerprint, kind, sequence),
    )


def told(
    sql: sqlite3.Connection, fingerprint: Fingerprint, kind: int, sequence: int
) -> set[PeerId]:
    """Which nodes have this change of ours."""
    rows = sql.execute(
        "SELECT peer FROM change_told WHERE fingerprint = ? AND kind = ? AND sequence >= ?",
        (fingerprint, kind, sequence),
    )
    return {PeerId(peer) for (peer,) in rows}


def looked(sql: sqlite3.Connection, fingerprint: Fingerprint, now: Instant) -> None:
    """The directory was asked for changes of this identity."""
    sql.execute(
        """INSERT INTO change_look (fingerprint, looked_at) VALUES (?, ?)
           ON CONFLICT (fingerprint) DO UPDATE SET looked_at = excluded.looked_at""",
        (fingerprint, now),
    )


def last_looked(sql: sqlite3.Connection) -> dict[Fingerprint, Instant]:
    rows = sql.execute("SELECT fingerprint, looked_at FROM change_look")
    return {Fingerprint(fingerprint): Instant(at) for fingerprint, at in rows}
