"""The outgoing queue: letters, their parcels, and the leases that holders gave.

Purpose: what the sender's node owes. A letter and its parcels enter in one commit, and a step of
the state table leaves in one commit with the notice that it causes.
Functions with `sql` run in the database thread, inside a transaction of `Database.run`.
A little long: these tables are written here and nowhere else, so that their invariants can be read.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from postroad.base import limits
from postroad.base.ids import DropId, Fingerprint, Instant, MailId, Nonce, PeerId, SureInstant
from postroad.message.envelope import Notify, Recipient
from postroad.protocol.delivery import OPEN, Parcel, State
from postroad.sealing.letter import Kind
from postroad.store.contents import Contents

HOLDER_NAME_BYTES = 8  # of a key: enough to tell holders apart
HOLDERS_FAILED_MAX = 64  # that are remembered of one parcel
RETENTION_SECONDS = 40 * limits.DAY  # after its end; a receipt may be that late


@dataclass(frozen=True, slots=True)
class NewLetter:
    nonce: Nonce
    kind: Kind
    octets: bytes
    accepted_at: Instant
    expires_at: Instant
    visible: tuple[str, ...]  # addresses in To and Cc
    envelope_id: str | None = None
    return_full: bool = False
    introduction: bytes | None = None
    proposal: bytes | None = None


@dataclass(frozen=True, slots=True)
class NewParcel:
    recipient: Recipient
    fingerprint: Fingerprint
    blind: bool


@dataclass(frozen=True, slots=True)
class Sealed:
    """A parcel's sealed letter, the secrets that its receipt is known by, and to which key of the
    recipient, as the record of which sequence said."""

    mail_id: MailId
    content_key: bytes = field(repr=False)
    header_hash: bytes
    epoch_key: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class Row:
    """One parcel as it stands, with what is needed to seal it and to write about it."""

    id: int
    letter_id: int
    nonce: Nonce
    kind: Kind
    content_id: int
    size: int
    visible: tuple[str, ...]
    envelope_id: str | None
    return_full: bool
    introduction: bytes | None
    proposal: bytes | None
    recipient: str
    fingerprint: Fingerprint
    blind: bool
    original_recipient: str | None
    notify: Notify
    parcel: Parcel
    sealed: Sealed | None

    @property
    def ids(self) -> dict[str, object]:
        """What a log line about it carries, so that one letter's story can be read by its id."""
        return {"letter": self.nonce.hex(), "parcel": self.id}


@dataclass(frozen=True, slots=True)
class LeaseRow:
    drop: DropId
    holder: PeerId
    mail_id: MailId
    until: Instant
    signed: bytes


_COLUMNS = """parcel.id, letter_id, nonce, kind, content_id, content.size, visible, envelope_id,
    return_full, introduction, proposal, recipient, fingerprint, blind, original_recipient, notify,
    state, due_at, tries, accepted_at, expires_at, delayed_at, reason, mail_id, content_key,
    header_hash, epoch_key, sealed_for"""
_SOUND = "CAST(parcel.id AS TEXT) NOT IN (SELECT name FROM quarantine WHERE kind = 'parcel')"
_FROM = "parcel JOIN letter ON letter.id = letter_id JOIN content ON content.id = content_id"


def put(
    sql: sqlite3.Connection, contents: Contents, letter: NewLetter, parcels: list[NewParcel]
) -> int:
    """Enter a letter and its parcels, due at once; the letter's number."""
    content_id = contents.put(sql, letter.octets)
    made = sql.execute(
        """INSERT INTO letter (nonce, kind, content_id, accepted_at, expires_at, visible,
                               envelope_id, return_full, introduction, proposal)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            letter.nonce,
            letter.kind,
            content_id,
            letter.accepted_at,
            letter.expires_at,
            json.dumps(letter.visible),
            letter.envelope_id,
            letter.return_full,
            letter.introduction,
            letter.proposal,
        ),
    )
    assert made.lastrowid is not None
    sql.executemany(
        """INSERT INTO parcel (letter_id, recipient, fingerprint, blind, original_recipient,
                               notify, state, due_at)
           VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?)""",
        [
            (
                made.lastrowid,
                parcel.recipient.address,
                parcel.fingerprint,
                parcel.blind,
                parcel.recipient.original,
                int(parcel.recipient.notify),
                letter.accepted_at,
            )
            for parcel in parcels
        ],
    )
    return made.lastrowid


@dataclass(frozen=True, slots=True)
class Found:
    """Parcels, and the ids of those whose rows cannot be understood."""

    rows: list[Row]
    damaged: list[int]


QUARANTINE = "parcel"


def due(sql: sqlite3.Connection, now: Instant, at_most: int, but_not: set[int]) -> Found:
    """The open parcels whose time has come, the longest due first; none from the quarantine."""
    rows = sql.execute(
        f"""SELECT {_COLUMNS} FROM {_FROM} WHERE state IN ('waiting', 'held') AND due_at <= ?
            AND {_SOUND} ORDER BY due_at, parcel.id LIMIT ?""",  # noqa: S608  (constants)
        (now, at_most + len(but_not)),
    ).fetchall()
    found = _rows([row for row in rows if row[0] not in but_not])
    return Found(found.rows[:at_most], found.damaged)


def next_due(sql: sqlite3.Connection, but_not: set[int]) -> Instant | None:
    """When the next open parcel falls due, those in hand left aside."""
    rows = sql.execute(
        f"""SELECT id, due_at FROM parcel WHERE state IN ('waiting', 'held') AND {_SOUND}
            ORDER BY due_at LIMIT ?""",  # noqa: S608
        (len(but_not) + 1,),
    )
    return next((Instant(at) for parcel_id, at in rows if parcel_id not in but_not), None)


def get(sql: sqlite3.Connection, parcel_id: int) -> Row:
    return _row(
        sql.execute(
            f"SELECT {_COLUMNS} FROM {_FROM} WHERE parcel.id = ?",  # noqa: S608
            (parcel_id,),
        ).fetchone()
    )


def find(sql: sqlite3.Connection, parcel_id: int) -> Row | None:
    """The same, of a number that somebody typed; None when there is none."""
    found = sql.execute(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE parcel.id = ?",  # noqa: S608
        (parcel_id,),
    ).fetchone()
    return None if found is None else _row(found)


def by_mail_id(sql: sqlite3.Connection, mail_id: MailId) -> Row | None:
    found = sql.execute(
        f"SELECT {_COLUMNS} FROM {_FROM} WHERE mail_id = ?",  # noqa: S608
        (mail_id,),
    ).fetchone()
    return None if found is None else _row(found)


def waiting(sql: sqlite3.Connection) -> list[Row]:
    """All open parcels that can be understood, oldest first."""
    rows = sql.execute(
        f"""SELECT {_COLUMNS} FROM {_FROM} WHERE state IN ('waiting', 'held')
            ORDER BY parcel.id"""  # noqa: S608
    )
    return _rows(rows.fetchall()).rows


@dataclass(frozen=True, slots=True)
class Shown:
    """One parcel as far as it may be shown to any program of its owner's: no subject, no text."""

    id: int
    letter: Nonce
    recipient: str
    size: int
    state: State
    is_late: bool
    holders: int
    tries: int
    accepted_at: Instant
    expires_at: Instant
    due_at: Instant
    reason: str


def shown(
    sql: sqlite3.Connection, at_most: int, after: int, but_also: Iterable[int]
) -> list[Shown]:
    """The oldest parcels that have not ended, those of a higher number than `after`, and `but_also`
    these, in the order of their numbers; of each of the three kinds at most so many."""
    rows = sql.execute(
        """WITH open (id) AS (SELECT id FROM parcel WHERE state IN ('waiting', 'held')
                              ORDER BY id LIMIT :at_most),
                asked (id) AS (SELECT id FROM parcel WHERE state = 'requested'
                               ORDER BY id LIMIT :at_most),
                new (id) AS (SELECT id FROM parcel WHERE id > :after ORDER BY id LIMIT :at_most),
                also (id) AS (SELECT value FROM json_each(:also) LIMIT :at_most)
           SELECT parcel.id, nonce, recipient, content.size, state, delayed_at IS NOT NULL,
                  (SELECT count(*) FROM lease WHERE parcel_id = parcel.id), tries, accepted_at,
                  expires_at, due_at, reason
           FROM parcel JOIN letter ON letter.id = letter_id JOIN content ON content.id = content_id
           WHERE parcel.id IN (SELECT id FROM open UNION SELECT id FROM asked
                               UNION SELECT id FROM new UNION SELECT id FROM also)
           ORDER BY parcel.id""",
        {"at_most": at_most, "after": after, "also": json.dumps(sorted(but_also))},
    )
    return [
        Shown(row[0], row[1], row[2], row[3], State(row[4]), bool(row[5]), *row[6:]) for row in rows
    ]


def newest(sql: sqlite3.Connection) -> int:
    """The number of the parcel that was entered last; 0 before there was one."""
    (found,) = sql.execute("SELECT coalesce(max(id), 0) FROM parcel").fetchone()
    return int(found)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is under way, in numbers; late: for so long that its sender was told."""

    letters: int = 0
    waiting: int = 0  # parcels, of which no holder has one
    held: int = 0
    late_waiting: int = 0
    late_held: int = 0


def standing(sql: sqlite3.Connection) -> Standing:
    """Counted without taking any row apart."""
    row = sql.execute(
        """SELECT count(DISTINCT letter_id), count(*) FILTER (WHERE state = 'waiting'),
                  count(*) FILTER (WHERE state = 'held'),
                  count(*) FILTER (WHERE state = 'waiting' AND delayed_at IS NOT NULL),
                  count(*) FILTER (WHERE state = 'held' AND delayed_at IS NOT NULL)
           FROM parcel WHERE state IN ('waiting', 'held')"""
    ).fetchone()
    return Standing(*row)


def is_any_overdue(sql: sqlite3.Connection, now: Instant) -> bool:
    """Whether an open parcel's time is over: only a confirmed clock returns it."""
    found = sql.execute(
        """SELECT 1 FROM parcel JOIN letter ON letter.id = letter_id
           WHERE state IN ('waiting', 'held') AND expires_at <= ? LIMIT 1""",
        (now,),
    )
    return found.fetchone() is not None


def sealed(sql: sqlite3.Connection, parcel_id: int, made: Sealed) -> None:
    """Note what the parcel was sealed to; retries send the same bytes."""
    sql.execute(
        """UPDATE parcel SET mail_id = ?, content_key = ?, header_hash = ?,
               epoch_key = ?, sealed_for = ? WHERE id = ?""",
        (
            made.mail_id,
            made.content_key,
            made.header_hash,
            made.epoch_key,
            made.sequence,
            parcel_id,
        ),
    )


def unseal(sql: sqlite3.Connection, parcel_id: int) -> None:
    """The sealed letter is of no use, or lost: the parcel has to be sealed again."""
    sql.execute(
        """UPDATE parcel SET mail_id = NULL, content_key = NULL, header_hash = NULL,
               epoch_key = NULL, sealed_for = NULL WHERE id = ?""",
        (parcel_id,),
    )


def unhold(sql: sqlite3.Connection, parcel_id: int) -> None:
    """What holders keep of it can be opened by nobody: it is sealed again, and placed anew."""
    unseal(sql, parcel_id)
    sql.execute("DELETE FROM lease WHERE parcel_id = ?", (parcel_id,))


def seal_anew(
    sql: sqlite3.Connection, fingerprint: Fingerprint, device: PeerId, now: Instant
) -> None:
    """What was sealed for a record that this device signed is sealed again, for another one: the
    device was revoked. What holders keep of it is nobody's any more."""
    _seal_anew(
        sql,
        # A sequence names its device: `next_sequence`.
        "fingerprint = ? AND sealed_for & 0xffffffff = ?",
        (fingerprint, int.from_bytes(device[:4], "big")),
        now,
    )


def sign_anew(sql: sqlite3.Connection, now: Instant) -> None:
    """A device of ours was revoked, and nobody takes what it signed. It may have sealed any of what
    is open, for a backup brings the parcels of a lost device along: all is sealed again."""
    _seal_anew(sql, "mail_id IS NOT NULL", (), now)


def _seal_anew(sql: sqlite3.Connection, which: str, said: tuple[object, ...], now: Instant) -> None:
    open_ones = f"SELECT id FROM parcel WHERE state IN ('waiting', 'held') AND {which}"  # noqa: S608
    for (parcel_id,) in sql.execute(open_ones, said).fetchall():
        unhold(sql, parcel_id)
        sql.execute(
            "UPDATE parcel SET state = 'waiting', due_at = ? WHERE id = ?", (now, parcel_id)
        )


def redate(sql: sqlite3.Connection, now: SureInstant) -> None:
    """Letters that were accepted in the future, by a clock that was wrong, are accepted now: nobody
    would take what is dated so. What was sealed with the wrong dates is sealed anew."""
    wrong = [
        letter_id
        for (letter_id,) in sql.execute(
            """SELECT DISTINCT letter.id FROM letter JOIN parcel ON letter_id = letter.id
               WHERE accepted_at > ? AND state IN ('waiting', 'held')""",
            (now + limits.CLOCK_DRIFT_SECONDS,),
        )
    ]
    for letter_id in wrong:
        sql.execute(
            """UPDATE letter SET expires_at = expires_at - accepted_at + ?, accepted_at = ?
               WHERE id = ?""",
            (now, now, letter_id),
        )
        open_ones = "SELECT id FROM parcel WHERE letter_id = ? AND state IN ('waiting', 'held')"
        for (parcel_id,) in sql.execute(open_ones, (letter_id,)).fetchall():
            unhold(sql, parcel_id)
            sql.execute(
                """UPDATE parcel SET state = 'waiting', due_at = ?, delayed_at = NULL
                   WHERE id = ?""",
                (now, parcel_id),
            )


def forget_leases_of(sql: sqlite3.Connection, holder: PeerId, now: Instant) -> None:
    """This node's word counts for nothing any more: what it held has to be placed elsewhere."""
    sql.execute(
        """UPDATE parcel SET due_at = ? WHERE state IN ('waiting', 'held')
           AND id IN (SELECT parcel_id FROM lease WHERE holder = ?)""",
        (now, holder),
    )
    sql.execute("DELETE FROM lease WHERE holder = ?", (holder,))
    sql.execute(
        """UPDATE parcel SET state = 'waiting', tries = 0, reason = ?
           WHERE state = 'held' AND id NOT IN (SELECT parcel_id FROM lease)""",
        ("The holder that had it was revoked by its owner; it is placed anew.",),
    )


def record(sql: sqlite3.Connection, parcel_id: int, parcel: Parcel, now: Instant) -> None:
    """Write down a step of the state table."""
    sql.execute(
        """UPDATE parcel SET state = ?, reason = ?, due_at = ?, tries = ?, delayed_at = ?,
               ended_at = iif(?, NULL, coalesce(ended_at, ?)),
               held_at = iif(? AND held_at IS NULL, ?, held_at) WHERE id = ?""",
        (
            parcel.state.value,
            parcel.reason,
            parcel.due_at,
            parcel.tries,
            parcel.delayed_at,
            parcel.state in OPEN,
            now,
            parcel.state is State.HELD,
            now,
            parcel_id,
        ),
    )


def wake(sql: sqlite3.Connection, fingerprint: Fingerprint, now: Instant) -> None:
    """All open parcels for this person are due now: a node of theirs was seen."""
    sql.execute(
        """UPDATE parcel SET due_at = ? WHERE fingerprint = ? AND due_at > ?
           AND state IN ('waiting', 'held')""",
        (now, fingerprint, now),
    )


def wake_one(sql: sqlite3.Connection, parcel_id: int, now: Instant) -> None:
    """This parcel, which is open, is due now: its owner says so."""
    sql.execute("UPDATE parcel SET due_at = ? WHERE id = ? AND due_at > ?", (now, parcel_id, now))


def wake_all(sql: sqlite3.Connection, now: Instant) -> None:
    """All open parcels are due now: the node is on the network again."""
    sql.execute(
        "UPDATE parcel SET due_at = ? WHERE due_at > ? AND state IN ('waiting', 'held')",
        (now, now),
    )


def add_lease(sql: sqlite3.Connection, parcel_id: int, lease: LeaseRow) -> None:
    sql.execute(
        """INSERT INTO lease (parcel_id, drop_id, holder, mail_id, until, signed)
           VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (parcel_id, drop_id) DO UPDATE SET holder = excluded.holder,
               mail_id = excluded.mail_id, until = excluded.until, signed = excluded.signed""",
        (parcel_id, lease.drop, lease.holder, lease.mail_id, lease.until, lease.signed),
    )


def leases(sql: sqlite3.Connection, parcel_id: int) -> list[LeaseRow]:
    rows = sql.execute(
        "SELECT drop_id, holder, mail_id, until, signed FROM lease WHERE parcel_id = ?",
        (parcel_id,),
    )
    return [
        LeaseRow(DropId(drop), PeerId(holder), MailId(mail_id), Instant(until), signed)
        for drop, holder, mail_id, until, signed in rows
    ]


def keep_receipt(sql: sqlite3.Connection, parcel_id: int, receipt: bytes, now: Instant) -> None:
    """The proof that ended the parcel."""
    sql.execute(
        "UPDATE parcel SET receipt = ?, receipt_at = coalesce(receipt_at, ?) WHERE id = ?",
        (receipt, now, parcel_id),
    )


def holders_failed(sql: sqlite3.Connection, parcel_id: int, holders: Collection[PeerId]) -> None:
    """Note which holders did not do for this parcel what they are there for."""
    if not holders:
        return
    found = sql.execute("SELECT failed_by FROM parcel WHERE id = ?", (parcel_id,)).fetchone()
    names = {*split(found[0]), *(holder[:HOLDER_NAME_BYTES] for holder in holders)}
    sql.execute(
        "UPDATE parcel SET failed_by = ? WHERE id = ?",
        (b"".join(sorted(names)[:HOLDERS_FAILED_MAX]), parcel_id),
    )


def split(names: bytes) -> tuple[bytes, ...]:
    """Names of holders that stand behind each other."""
    size = HOLDER_NAME_BYTES
    return tuple(names[at : at + size] for at in range(0, len(names), size))


def prune(sql: sqlite3.Connection, now: SureInstant) -> None:
    """Forget parcels that ended long ago, and letters of which none is left."""
    sql.execute("DELETE FROM parcel WHERE ended_at < ?", (now - RETENTION_SECONDS,))
    sql.execute("DELETE FROM letter WHERE id NOT IN (SELECT letter_id FROM parcel)")
    sql.execute(
        """DELETE FROM quarantine WHERE kind = ?
           AND name NOT IN (SELECT CAST(id AS TEXT) FROM parcel)""",
        (QUARANTINE,),
    )


def _rows(rows: list[tuple[Any, ...]]) -> Found:
    found = Found([], [])
    for row in rows:
        try:
            found.rows.append(_row(row))
        except (ValueError, TypeError):  # a damaged column: the other parcels go their way
            found.damaged.append(row[0])
    return found


def _row(row: tuple[Any, ...]) -> Row:  # STRICT tables keep the types of their columns
    (
        parcel_id, letter_id, nonce, kind, content_id, size, visible, envelope_id, return_full,
        introduction, proposal, recipient, fingerprint, blind, original, notify, state, due_at,
        tries, accepted_at, expires_at, delayed_at, reason, mail_id, content_key,
        header_hash, epoch_key, sealed_for,
    ) = row  # fmt: skip
    parcel = Parcel(
        State(state),
        due_at,
        tries,
        accepted_at,
        expires_at,
        delayed_at,
        reason,
    )
    return Row(
        parcel_id,
        letter_id,
        nonce,
        Kind(kind),
        content_id,
        size,
        tuple(json.loads(visible)),
        envelope_id,
        bool(return_full),
        introduction,
        proposal,
        recipient,
        fingerprint,
        bool(blind),
        original,
        Notify(notify),
        parcel,
        None
        if mail_id is None
        else Sealed(mail_id, content_key, header_hash, epoch_key, sealed_for),
    )
