"""Whose nodes we know: contacts who are not blocked, who holds for us, rents here, or helps us.

Runs in the database thread. Hosts are those that records and places name: where they were last.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress

from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, PeerId
from postroad.protocol.contacts import decode_contact
from postroad.store import people


def known(sql: sqlite3.Connection) -> tuple[frozenset[PeerId], frozenset[str]]:
    """Their keys, and their hosts."""
    contacts = list(_contacts(sql))
    peers = {PeerId(peer) for (peer,) in sql.execute(
        """SELECT device.peer FROM device JOIN contact USING (fingerprint)
           WHERE NOT (blocked OR outside)
           UNION SELECT holder FROM my_drop
           UNION SELECT device FROM held_drop WHERE device IS NOT NULL
           UNION SELECT peer FROM helper"""
    )}  # fmt: skip
    hosts = {at.host for contact in contacts for at in contact.addresses}
    return frozenset(peers), frozenset(hosts)


def _contacts(sql: sqlite3.Connection) -> Iterator[Contact]:
    for person in people.contacts(sql):
        if not person.blocked:
            yield from person.record.contacts
    places = sql.execute(
        "SELECT place FROM my_drop WHERE place IS NOT NULL UNION SELECT contact FROM helper"
    )
    for (octets,) in places.fetchall():
        with suppress(PeerMisbehaved):  # a damaged row: its host is a stranger's
            yield decode_contact(bytes(octets))
