"""Helpers that serve us, and, on a helper, the people whom it serves.

Functions run in the database thread, inside a transaction of `Database.run`.
Invariants: a helper's contact is only ever replaced by what that helper said of itself; a secret
makes one person known, once.
"""

import sqlite3
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, Fingerprint, Instant, PeerId
from postroad.base.seams import Clock
from postroad.base.tlv import decode
from postroad.protocol.contacts import decode_contact, encode_contact
from postroad.protocol.records import PersonRecord, read_person
from postroad.store import invitations, people, revoked
from postroad.store.database import Database
from postroad.store.invitations import State

OF_A_HELPER = Fingerprint("")  # stands where a holder's person would: a helper is nobody's node
NOT_NAMED = "This helper serves only those whom its owner named."


@dataclass(frozen=True, slots=True)
class HelperRow:
    """A helper of ours. `told`: the sequence of our record that it has; `refusal`: why it serves
    us no more, in its words."""

    contact: Contact
    name: str
    told: int
    seen_at: Instant | None
    refusal: str

    @property
    def peer(self) -> PeerId:
        return self.contact.peer


def helpers(sql: sqlite3.Connection) -> list[HelperRow]:
    rows = sql.execute("SELECT contact, name, told, seen_at, refusal FROM helper ORDER BY since")
    found = []
    for contact, name, told, seen_at, refusal in rows.fetchall():
        try:
            found.append(HelperRow(decode_contact(contact), name, told, seen_at, refusal))
        except PeerMisbehaved:  # a damaged row is as one that is not there
            continue
    return found


def at(sql: sqlite3.Connection, peer: PeerId) -> HelperRow | None:
    """The helper of ours with this key, if it is one."""
    return next((row for row in helpers(sql) if row.peer == peer), None)


def keep(sql: sqlite3.Connection, contact: Contact, name: str, told: int, now: Instant) -> None:
    """The helper serves us, and told what it is called and where it is."""
    sql.execute(
        """INSERT INTO helper (peer, contact, name, told, seen_at, since) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (peer) DO UPDATE SET contact = excluded.contact, name = excluded.name,
               told = max(told, excluded.told), seen_at = excluded.seen_at, refusal = ''""",
        (contact.peer, encode_contact(contact), name, told, now, now),
    )


def refused(sql: sqlite3.Connection, peer: PeerId, reason: str, now: Instant) -> None:
    """It serves us no more; letters may still lie in our drop there."""
    sql.execute("UPDATE helper SET refusal = ?, told = 0 WHERE peer = ?", (reason, peer))
    _leave(sql, peer, now)


def forget(sql: sqlite3.Connection, peer: PeerId, now: Instant) -> None:
    """We want it no more; its place is kept while letters may lie in our drop there."""
    row = at(sql, peer)
    if row is not None:
        place = encode_contact(row.contact)
        sql.execute("UPDATE my_drop SET place = ? WHERE holder = ?", (place, peer))
        _leave(sql, peer, now)
    sql.execute("DELETE FROM helper WHERE peer = ?", (peer,))


def _leave(sql: sqlite3.Connection, peer: PeerId, now: Instant) -> None:
    sql.execute(
        "UPDATE my_drop SET left_at = coalesce(left_at, ?) WHERE holder = ?",
        (now, peer),
    )


class GuestBook:
    """`peers.helping.GuestBook` over the store: the people whom this helper serves are the contacts
    of its store, so that holding, relaying and telling need no second way."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def sign_in(self, secret: bytes | None, record: bytes, asker: PeerId) -> str | None:
        """Serve whoever is known, or shows a fresh secret; else why not, in words."""

        def work(sql: sqlite3.Connection) -> str | None:
            now = self._clock.now()
            newest = read_person(record, decode(PersonRecord, record).fingerprint)
            if newest.certificate.device != asker:
                raise PeerMisbehaved("brought the record of another device")
            if not revoked.speaks(sql, newest.fingerprint, asker):
                return "This device was revoked by its owner."
            known = people.contact(sql, newest.fingerprint)
            if known is None or known.blocked:
                refusal = _why_not(sql, secret, now)
                if refusal is not None:
                    return refusal
                assert secret is not None
                people.add_contact(sql, newest, now, my_ticket=None, their_ticket=None)
                people.unblock(sql, newest.fingerprint)  # removed once, and named again
                invitations.use(sql, secret, newest.fingerprint, now)
            people.learn(sql, newest, now)
            people.seen(sql, newest.fingerprint, now)
            people.keep_record(sql, newest, now)
            return None

        return await self._database.run(work)


def _why_not(sql: sqlite3.Connection, secret: bytes | None, now: Instant) -> str | None:
    """Why whoever shows this secret is not served; None: they are."""
    if secret is None:
        return NOT_NAMED
    invitation = invitations.get(sql, secret)
    if invitation is None or invitation.state(now) is not State.OPEN:
        return "This link to the helper was used, or has expired. Ask its owner for a new one."
    served = sum(not person.blocked for person in people.contacts(sql))
    if served >= limits.HELPED_MAX:
        return "This helper serves as many people as it can."
    return None
