"""Which devices do not speak for an identity any more: asked wherever somebody shows a certificate.

Functions run in the database thread, inside a transaction of `Database.run`.
Invariant: what is revoked once is so for ever; a later record that names less frees nobody.
"""

import sqlite3
from collections.abc import Collection, Container

from postroad.base.ids import Fingerprint, PeerId

DEVICES_MAX = 64  # of one identity, over all its records: whoever names more can end it whole
EVERY_DEVICE = PeerId(b"")  # stands for all of them, those to come as well


def speaks(sql: sqlite3.Connection, fingerprint: Fingerprint, device: bytes) -> bool:
    """Whether a certificate of that identity for this device counts, as far as we know."""
    found = sql.execute(
        "SELECT 1 FROM revoked WHERE fingerprint = ? AND peer IN (?, x'')", (fingerprint, device)
    )
    return found.fetchone() is None


def is_ended(sql: sqlite3.Connection, fingerprint: Fingerprint) -> bool:
    """Whether the whole identity was revoked."""
    return not speaks(sql, fingerprint, EVERY_DEVICE)


def of(sql: sqlite3.Connection, fingerprint: Fingerprint) -> list[PeerId]:
    """The devices of this identity that were revoked one by one."""
    rows = sql.execute(
        "SELECT peer FROM revoked WHERE fingerprint = ? AND peer <> x'' ORDER BY peer",
        (fingerprint,),
    )
    return [PeerId(peer) for (peer,) in rows]


def note(
    sql: sqlite3.Connection,
    fingerprint: Fingerprint,
    devices: Collection[PeerId],
    barred: Collection[PeerId],
) -> None:
    """These devices do not speak for it any more; with some of them nobody here speaks at all."""
    silenced, known = set(barred), set(of(sql, fingerprint))
    new = sorted(set(devices) - known - {EVERY_DEVICE})[: max(DEVICES_MAX - len(known), 0)]
    every = [EVERY_DEVICE] if EVERY_DEVICE in set(devices) else []
    sql.executemany(
        """INSERT INTO revoked (fingerprint, peer, barred) VALUES (?, ?, ?)
           ON CONFLICT (fingerprint, peer) DO UPDATE SET barred = max(barred, excluded.barred)""",
        [
            (fingerprint, device, device in silenced)
            for device in [*every, *new, *sorted(known & silenced)]
        ],
    )


class Barred(Container[PeerId]):
    """Devices with which we do not speak, as the last commit has it: `look` is for
    `Database.keep_fresh`."""

    def __init__(self) -> None:
        self._peers: frozenset[PeerId] = frozenset()

    def __contains__(self, peer: object) -> bool:
        return peer in self._peers

    def look(self, sql: sqlite3.Connection) -> None:
        self._peers = barred(sql)


def barred(sql: sqlite3.Connection) -> frozenset[PeerId]:
    """Not those that by now are somebody else's: anybody can revoke the device of another person in
    their own name, and who begins anew on the same device is not who they were."""
    rows = sql.execute(
        "SELECT peer FROM revoked WHERE barred AND peer NOT IN (SELECT peer FROM device)"
    )
    return frozenset(PeerId(peer) for (peer,) in rows)
