"""What bundles are made of: parcels that were also written into a file, and receipts to put in one.

Functions run in the database thread, inside a transaction of `Database.run`.
Invariant: nothing here ends a parcel or a receipt: a file may never arrive.
"""

import sqlite3
from collections.abc import Iterable

from postroad.base import limits
from postroad.base.ids import Fingerprint, Instant, MailId


def note(sql: sqlite3.Connection, parcel_ids: Iterable[int], now: Instant) -> None:
    """These parcels are in a file that was written just now."""
    sql.executemany(
        """INSERT INTO bundled (parcel_id, at) SELECT id, ? FROM parcel WHERE id = ?
           ON CONFLICT (parcel_id) DO UPDATE SET at = excluded.at""",
        [(now, parcel_id) for parcel_id in parcel_ids],
    )


def when(sql: sqlite3.Connection) -> dict[int, Instant]:
    """When each parcel was last written into a bundle."""
    return {
        parcel_id: Instant(at) for parcel_id, at in sql.execute("SELECT parcel_id, at FROM bundled")
    }


def receipts(sql: sqlite3.Connection, sender: Fingerprint | None) -> list[tuple[MailId, bytes]]:
    """Receipts that this sender, or any, may not have yet; the newest, if they are too many."""
    rows = sql.execute(
        """SELECT mail_id, sealed FROM receipt_due
           WHERE told_sender = 0 AND (?1 IS NULL OR fingerprint = ?1)
           ORDER BY expires_at DESC LIMIT ?2""",
        (sender, limits.BUNDLE_RECEIPTS_MAX),
    )
    return [(MailId(mail_id), bytes(sealed)) for mail_id, sealed in rows]


def owe_again(sql: sqlite3.Connection, mail_id: MailId, now: Instant) -> None:
    """Its sender put the letter into a bundle, so our receipt did not reach them: once more.

    Not to strangers, who are not called back."""
    sql.execute(
        """UPDATE receipt_due SET told_sender = 0, due_at = ?, tries = 0
           WHERE mail_id = ? AND fingerprint IN (SELECT fingerprint FROM contact)""",
        (now, mail_id),
    )
