"""Who rents here, what they are to the owner, and how much room that gives them.

Purpose: quotas by relation. The relation is found anew for each letter, so that a renter who is
blocked, or for whom nobody vouches any more, has no room from that moment on; what lies there stays
until its expiry.
Functions run in the database thread, inside a transaction of `Database.run`.
See: docs/adr/0007-holders.md.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, DropId, Fingerprint, Instant, PeerId, SureInstant, short
from postroad.base.tlv import decode
from postroad.protocol import wire_holders
from postroad.protocol.dialable import dialable
from postroad.protocol.holding import HoldFor, Quota, Relation
from postroad.protocol.records import PersonRecord, read_person
from postroad.sealing.keys import load_ed25519
from postroad.store import audit, held, people, revoked
from postroad.store.held import HeldDrop

DROPS_PER_RENTER_MAX = 2  # one in use, and one while it moves
HOLDS_NO_MORE = "This node does not hold letters for others any more."


def record_of(sql: sqlite3.Connection, fingerprint: Fingerprint) -> PersonRecord | None:
    """The newest record of somebody who rents here, a contact or not."""
    octets = people.kept_record(sql, fingerprint)
    person = people.contact(sql, fingerprint)
    found = [] if person is None else [person.record]
    if octets is not None:
        with suppress(PeerMisbehaved):  # the row is damaged
            found.append(decode(PersonRecord, octets))  # verified before it was kept
    return max(found, key=lambda record: record.sequence, default=None)


def dialled_for(
    sql: sqlite3.Connection, renter: Fingerprint, named: Iterable[Contact], *, private: bool
) -> list[Contact]:
    """The nodes that a renter's record names, with only what we dial of them: a contact's as they
    are, those of others as of any stranger (promise A4; `private`: see `protocol.dialable`). One of
    which nothing is left can still be met over a link at hand."""
    if people.contact(sql, renter) is not None:
        return list(named)
    return [dialable(one, private=private) or Contact(one.peer) for one in named]


def relation(
    sql: sqlite3.Connection, drop: HeldDrop, hold_for: HoldFor, now: SureInstant | None
) -> Relation:
    """What the renter of this drop is to us now; no voucher ends while the clock is not
    confirmed."""
    if hold_for is HoldFor.OFF:
        return Relation.STRANGER
    renter = people.contact(sql, drop.fingerprint)
    if renter is not None:
        return Relation.STRANGER if renter.blocked else Relation.CONTACT
    if drop.voucher is None or hold_for is not HoldFor.VOUCHED:
        return Relation.STRANGER
    voucher = people.contact(sql, drop.voucher)
    is_over = (now or 0.0) >= (drop.vouched_until or 0.0)
    good = voucher is not None and not voucher.blocked and not is_over
    return Relation.VOUCHED if good else Relation.STRANGER


def who_vouches(
    sql: sqlite3.Connection,
    voucher: wire_holders.Voucher,
    renter: Fingerprint,
    me: PeerId,
    hold_for: HoldFor,
    now: Instant,
) -> Fingerprint | None:
    """The contact whose voucher this is, if it counts here. Raises PeerMisbehaved for one that is
    not genuine, not for this renter, or too old."""
    load_ed25519(voucher.voucher)
    contact = people.at_device(sql, PeerId(voucher.voucher))
    # Anybody can name a device in their record; the one that signed it is proven to be theirs.
    if contact is None or contact.record.certificate.device != voucher.voucher or contact.blocked:
        return None
    wire_holders.check_voucher(voucher, renter, me, now)
    return contact.fingerprint if hold_for is HoldFor.VOUCHED else None


def has_place_for_vouched(
    sql: sqlite3.Connection, drop_id: DropId, voucher: Fingerprint, now: Instant
) -> bool:
    """Whether one renter more may come through this contact, besides those who rent already."""
    in_all, through = sql.execute(
        """SELECT count(*), count(*) FILTER (WHERE voucher = ?) FROM held_drop
           WHERE voucher IS NOT NULL AND vouched_until > ? AND drop_id <> ?""",
        (voucher, now, drop_id),
    ).fetchone()
    return bool(
        in_all < limits.VOUCHED_RENTERS_MAX and through < limits.VOUCHED_RENTERS_PER_CONTACT_MAX
    )


def forget_unvouched(sql: sqlite3.Connection, now: SureInstant) -> None:
    """Free the drops of renters for whom nobody vouches any more, or who are contacts no more, once
    nothing lies in them."""
    sql.execute(
        """DELETE FROM held_drop WHERE (voucher IS NULL OR vouched_until < ?)
           AND fingerprint NOT IN (SELECT fingerprint FROM contact)
           AND drop_id NOT IN (SELECT drop_id FROM held_letter)""",
        (now,),
    )


def has_room(
    sql: sqlite3.Connection, drop_id: DropId, size: int, ticket_hash: bytes | None, quota: Quota
) -> bool:
    """Whether the drop has room for a letter of this size that a sender brings.

    What comes under a ticket counts against it, so that one contact cannot fill the drop for the
    others; what comes without one has a compartment of its own. What other holders passed on
    counts in the whole only, and has at most half of that: a holder that lies about tickets takes
    nobody's."""
    if ticket_hash is None:
        count, total = _lying(sql, drop_id, "ticket_hash IS NULL AND sibling IS NULL")
        return (
            size <= limits.OPEN_LETTER_BYTES_MAX
            and count < quota.open_letters
            and total + size <= quota.open_octets
        )
    own_count, own_total = _lying(sql, drop_id, "ticket_hash = ? AND sibling IS NULL", ticket_hash)
    return (
        _has_whole_room(sql, drop_id, size, quota)
        and own_count < quota.ticket_letters
        and own_total + size <= quota.ticket_octets
    )


def has_room_for_passed(
    sql: sqlite3.Connection,
    drop_id: DropId,
    size: int,
    ticket_hash: bytes | None,
    sibling: PeerId,
    quota: Quota,
) -> bool:
    """The same for a letter that another holder of the owner passes on, with the ticket's hash that
    it was brought under, as that holder says."""
    if ticket_hash is None:
        count, total = _lying(sql, drop_id, "ticket_hash IS NULL AND sibling IS NOT NULL")
        return (
            size <= limits.OPEN_LETTER_BYTES_MAX
            and count < quota.open_letters
            and total + size <= quota.open_octets
        )
    passed = "ticket_hash IS NOT NULL AND sibling"
    count, total = _lying(sql, drop_id, f"{passed} IS NOT NULL")
    its_count, its_total = _lying(sql, drop_id, f"{passed} = ?", sibling)
    return (
        _has_whole_room(sql, drop_id, size, quota)
        and count < quota.passed_letters
        and total + size <= quota.passed_octets
        and its_count < limits.SIBLING_LETTERS_MAX
        and its_total + size <= limits.SIBLING_BYTES_MAX
    )


def _has_whole_room(sql: sqlite3.Connection, drop_id: DropId, size: int, quota: Quota) -> bool:
    count, total = _lying(sql, drop_id, "ticket_hash IS NOT NULL")
    return count < quota.letters and total + size <= quota.octets


def _lying(sql: sqlite3.Connection, drop_id: DropId, which: str, *values: bytes) -> tuple[int, int]:
    """How many letters wait in this part of a drop, and their bytes; tombstones do not count."""
    count, total = sql.execute(
        f"""SELECT count(*), coalesce(sum(size), 0) FROM held_letter
            WHERE drop_id = ? AND {held.WAITS} AND {which}""",  # noqa: S608  (constants)
        (drop_id, *values),
    ).fetchone()
    return int(count), int(total)


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who asks for a drop, and the contact who vouches for them unless they are one."""

    fingerprint: Fingerprint
    voucher: Fingerprint | None


def rent(
    sql: sqlite3.Connection,
    request: tuple[DropId, bytes, bytes],
    voucher: wire_holders.Voucher | None,
    peer: PeerId,
    me: PeerId,
    hold_for: HoldFor,
    now: Instant,
) -> str | None:
    """Give the asker a drop (id, key, their record) if they may have one; else why not, in words.

    Asking again is harmless. Raises PeerMisbehaved for a record or voucher that is not genuine."""
    drop_id, key, record = request
    asker = _asker(sql, record, voucher, peer, me, hold_for, now)
    if isinstance(asker, str):
        return asker
    known = held.drop(sql, drop_id)
    if known is not None and (known.fingerprint, known.key) != (asker.fingerprint, key):
        return "This drop is somebody else's."
    newest = read_person(record, asker.fingerprint)
    if known is None and held.drops_of(sql, asker.fingerprint) >= DROPS_PER_RENTER_MAX:
        held.forget_left_drops(sql, newest)
    if known is None and held.drops_of(sql, asker.fingerprint) >= DROPS_PER_RENTER_MAX:
        return "You rent as many drops here as you may."
    until = None
    if asker.voucher is not None and voucher is not None:
        until = Instant(float(voucher.expires))
        if not has_place_for_vouched(sql, drop_id, asker.voucher, now):
            return "This node holds for as many contacts of contacts as it may: its quota is full."
    people.learn(sql, newest, now)
    people.keep_record(sql, newest, now)
    held.rent(
        sql,
        drop_id,
        key,
        asker.fingerprint,
        now,
        device=peer,
        voucher=asker.voucher,
        vouched_until=until,
    )
    return None


def _asker(
    sql: sqlite3.Connection,
    record: bytes,
    voucher: wire_holders.Voucher | None,
    peer: PeerId,
    me: PeerId,
    hold_for: HoldFor,
    now: Instant,
) -> _Asker | str:
    """Who this is, when they may rent; else why not."""
    if hold_for is HoldFor.OFF:
        audit.note_refused(sql, now, "hold_for", id=short(peer))
        return HOLDS_NO_MORE
    contact = people.at_device(sql, peer)
    if contact is None and voucher is not None:
        fingerprint = Fingerprint(voucher.renter)
        found = who_vouches(sql, voucher, fingerprint, me, hold_for, now)
        if found is None:
            return "Nobody whom this node's owner knows vouches for you."
        _expect_device(record, fingerprint, peer)
        if not revoked.speaks(sql, fingerprint, peer):
            return "This device was revoked by its owner."
        contact = people.contact(sql, fingerprint)  # on a device that is new to us
        if contact is None:
            return _Asker(fingerprint, found)
    if contact is None or contact.blocked:
        return "This node holds letters for its owner's contacts only."
    return _Asker(contact.fingerprint, None)


def _expect_device(record: bytes, fingerprint: Fingerprint, asker: PeerId) -> None:
    """Raise PeerMisbehaved unless the asker's link proved the device that signed this record."""
    if read_person(record, fingerprint).certificate.device != asker:
        raise PeerMisbehaved("shows the record of another device")
