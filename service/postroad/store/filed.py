"""What was filed or refused: the memory that keeps a letter from being filed twice.

Functions run in the database thread, inside a transaction of `Database.run`.
Invariants: (sender, nonce) is written in the same commit as the message itself; a letter that is
known is answered with the verdict it got before.
"""

import sqlite3
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.ids import Fingerprint, Instant, MailId, Nonce, PeerId, SureInstant
from postroad.sealing.receipt import Verdict

REMEMBER_SECONDS = 30 * limits.DAY  # after the letter's expiry
FORGOTTEN = "filed forgotten until"  # of its row in the table value


@dataclass(frozen=True, slots=True)
class Filed:
    """`digest`: SHA-256 of the body, which no other letter of this sender and nonce may have."""

    verdict: Verdict
    digest: bytes
    at: Instant


@dataclass(frozen=True, slots=True)
class ReceiptDue:
    """A receipt that the sender's node may not have yet."""

    mail_id: MailId
    fingerprint: Fingerprint
    device: PeerId
    sealed: bytes
    tries: int


def known(sql: sqlite3.Connection, sender: Fingerprint, nonce: Nonce) -> Filed | None:
    row = sql.execute(
        "SELECT verdict, digest, at FROM filed WHERE fingerprint = ? AND nonce = ?",
        (sender, nonce),
    ).fetchone()
    return None if row is None else Filed(Verdict(row[0]), bytes(row[1]), Instant(row[2]))


def remember(
    sql: sqlite3.Connection,
    sender: Fingerprint,
    nonce: Nonce,
    filed: Filed,
    expires_at: float,
) -> None:
    """Raises sqlite3.IntegrityError when it is known already: nobody files twice."""
    sql.execute(
        """INSERT INTO filed (fingerprint, nonce, verdict, digest, at, expires_at)
           VALUES (?, ?, ?, ?, ?, ?)""",
        (sender, nonce, int(filed.verdict), filed.digest, filed.at, expires_at),
    )


def owe_receipt(sql: sqlite3.Connection, due: ReceiptDue, now: Instant, expires_at: float) -> None:
    """The sender is to be told; holders were, or will be, when the letter lies with them."""
    sql.execute(
        """INSERT INTO receipt_due (mail_id, fingerprint, device, sealed, expires_at, due_at)
           VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (mail_id) DO NOTHING""",
        (due.mail_id, due.fingerprint, due.device, due.sealed, expires_at, now),
    )


def decided(sql: sqlite3.Connection, author: Fingerprint, nonce: Nonce, verdict: Verdict) -> None:
    """The owner has decided about it: whatever parcel of it comes from now on is answered so."""
    sql.execute(
        "UPDATE filed SET verdict = ? WHERE fingerprint = ? AND nonce = ?",
        (int(verdict), author, nonce),
    )


def answer_again(sql: sqlite3.Connection, due: ReceiptDue, now: Instant) -> None:
    """Another receipt in the place of the one that was given, which may be forgotten. It is told
    for a week at least, though the letter may have expired."""
    sql.execute(
        """INSERT INTO receipt_due (mail_id, fingerprint, device, sealed, expires_at, due_at)
           VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (mail_id) DO UPDATE SET sealed = excluded.sealed, told_sender = 0,
               expires_at = max(expires_at, excluded.expires_at), due_at = excluded.due_at,
               tries = 0""",
        (due.mail_id, due.fingerprint, due.device, due.sealed, now, now),
    )


def receipt_for(sql: sqlite3.Connection, mail_id: MailId) -> bytes | None:
    """The receipt that we made for this sealed letter, whoever asks."""
    row = sql.execute("SELECT sealed FROM receipt_due WHERE mail_id = ?", (mail_id,)).fetchone()
    return None if row is None else bytes(row[0])


def receipts_due(sql: sqlite3.Connection, now: Instant, at_most: int) -> list[ReceiptDue]:
    rows = sql.execute(
        """SELECT mail_id, fingerprint, device, sealed, tries FROM receipt_due
           WHERE told_sender = 0 AND due_at <= ? ORDER BY due_at, rowid LIMIT ?""",
        (now, at_most),
    )
    return [ReceiptDue(*row) for row in rows]


def next_receipt(sql: sqlite3.Connection) -> Instant | None:
    (at,) = sql.execute("SELECT min(due_at) FROM receipt_due WHERE told_sender = 0").fetchone()
    return None if at is None else Instant(at)


def told(sql: sqlite3.Connection, mail_id: MailId) -> None:
    """The sender's node has taken this receipt."""
    sql.execute("UPDATE receipt_due SET told_sender = 1 WHERE mail_id = ?", (mail_id,))


def call_back_no_more(sql: sqlite3.Connection, fingerprint: Fingerprint) -> None:
    """This sender is not called any more; their receipts wait at our holders, and for who asks."""
    sql.execute("UPDATE receipt_due SET told_sender = 1 WHERE fingerprint = ?", (fingerprint,))


def not_told(sql: sqlite3.Connection, mail_id: MailId, due_at: Instant) -> None:
    sql.execute(
        "UPDATE receipt_due SET tries = tries + 1, due_at = ? WHERE mail_id = ?",
        (due_at, mail_id),
    )


def wake_receipts(sql: sqlite3.Connection, fingerprint: Fingerprint, now: Instant) -> None:
    """All receipts for this sender are due now: a node of theirs was seen."""
    sql.execute(
        """UPDATE receipt_due SET due_at = ?
           WHERE fingerprint = ? AND told_sender = 0 AND due_at > ?""",
        (now, fingerprint, now),
    )


def wake_all_receipts(sql: sqlite3.Connection, now: Instant) -> None:
    """All receipts are due now: the node is on the network again."""
    sql.execute(
        "UPDATE receipt_due SET due_at = ? WHERE told_sender = 0 AND due_at > ?", (now, now)
    )


def is_forgotten(sql: sqlite3.Connection, expires_at: float) -> bool:
    """Whether the memory of a letter with this expiry may be gone: it must not be filed, whatever
    the clock says."""
    return expires_at <= _forgotten_until(sql)


def _forgotten_until(sql: sqlite3.Connection) -> int:
    row = sql.execute("SELECT octets FROM value WHERE name = ?", (FORGOTTEN,)).fetchone()
    return 0 if row is None else int.from_bytes(row[0], "big")


def forget_old(sql: sqlite3.Connection, now: SureInstant) -> None:
    """Forget what can no longer come back: long past every signed expiry. What was is noted, so
    that a clock that is set back brings nothing back: `is_forgotten`."""
    limit = now - REMEMBER_SECONDS
    gone = sql.execute("DELETE FROM filed WHERE expires_at < ?", (limit,))
    if gone.rowcount:
        until = max(int(limit), _forgotten_until(sql))
        sql.execute(
            "INSERT OR REPLACE INTO value (name, octets) VALUES (?, ?)",
            (FORGOTTEN, until.to_bytes(8, "big")),
        )
    sql.execute("DELETE FROM receipt_due WHERE expires_at < ?", (now - limits.TOMBSTONE_SECONDS,))
