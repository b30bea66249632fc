"""Invitations that the owner made: open, used, withdrawn, or over.

Functions run in the database thread, inside a transaction of `Database.run`.
Invariants: an invitation is used by one identity, and never after it was withdrawn; its secret is
not kept, only the secret's hash.
"""

import hashlib
import sqlite3
from dataclasses import dataclass, field
from enum import Enum

from postroad.base import limits
from postroad.base.errors import Expired, PermanentFailure, Unknown
from postroad.base.ids import Fingerprint, Instant, SureInstant, Ticket
from postroad.phrases import phrase

ID_CHARACTERS = 8
_COLUMNS = "secret_hash, ticket, created_at, expires_at, used_by, used_at, withdrawn_at, name"


class State(Enum):
    OPEN = "open"
    USED = "used"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """`id`: how the owner calls it; `name`: for whom it is, in their words."""

    id: str
    ticket: Ticket = field(repr=False)
    created_at: Instant
    expires_at: Instant
    used_by: Fingerprint | None = None
    used_at: Instant | None = None
    withdrawn_at: Instant | None = None
    name: str = ""

    def state(self, now: Instant) -> State:
        if self.withdrawn_at is not None:
            return State.WITHDRAWN
        if self.used_by is not None:
            return State.USED
        return State.OPEN if now < self.expires_at else State.EXPIRED


def add(
    sql: sqlite3.Connection,
    secret: bytes,
    ticket: Ticket,
    now: Instant,
    expires_at: Instant,
    name: str = "",
) -> None:
    sql.execute(
        """INSERT INTO invitation (secret_hash, ticket, created_at, expires_at, name)
           VALUES (?, ?, ?, ?, ?)""",
        (_hash(secret), ticket, now, expires_at, name),
    )


def get(sql: sqlite3.Connection, secret: bytes) -> InvitationRow | None:
    """The invitation with this secret, in whatever state."""
    row = sql.execute(
        f"SELECT {_COLUMNS} FROM invitation WHERE secret_hash = ?",  # noqa: S608  (constants)
        (_hash(secret),),
    ).fetchone()
    return None if row is None else _row(*row)


def all_made(sql: sqlite3.Connection) -> list[InvitationRow]:
    """All that are remembered, oldest first."""
    rows = sql.execute(
        f"SELECT {_COLUMNS} FROM invitation ORDER BY created_at, secret_hash"  # noqa: S608
    )
    return [_row(*row) for row in rows.fetchall()]


def id_of(secret: bytes) -> str:
    """How the owner calls the invitation with this secret; nobody can use it by that."""
    return _hash(secret).hex()[:ID_CHARACTERS]


def use(sql: sqlite3.Connection, secret: bytes, by: Fingerprint, now: Instant) -> None:
    """Used by this identity, unless it was used before."""
    sql.execute(
        """UPDATE invitation SET used_by = ?, used_at = ?
           WHERE secret_hash = ? AND used_by IS NULL AND withdrawn_at IS NULL""",
        (by, now, _hash(secret)),
    )


def withdraw(sql: sqlite3.Connection, wanted: str, now: Instant) -> InvitationRow:
    """Withdraw one by its id; PermanentFailure when there is none such that is open."""
    found = [row for row in all_made(sql) if row.id == wanted.strip().lower()]
    if not found:
        raise Unknown(
            phrase("You made no invitation {id}. See: postroad invitations", id=repr(wanted))
        )
    state = found[0].state(now)
    if state is State.USED:
        raise PermanentFailure(
            f"Invitation {found[0].id} was used already. Whom it brought, postroad contacts block "
            "or remove takes out."
        )
    if state is State.WITHDRAWN:
        raise PermanentFailure(phrase("Invitation {id} was withdrawn already.", id=found[0].id))
    if state is State.EXPIRED:
        raise Expired(
            phrase("Invitation {id} has expired: nobody can use it any more.", id=found[0].id)
        )
    sql.execute(
        "UPDATE invitation SET withdrawn_at = ? WHERE ticket = ? AND used_by IS NULL",
        (now, found[0].ticket),
    )
    return found[0]


def withdraw_of(sql: sqlite3.Connection, fingerprint: Fingerprint, now: Instant) -> None:
    """What this person came by brings them in no more."""
    sql.execute(
        "UPDATE invitation SET withdrawn_at = ? WHERE used_by = ? AND withdrawn_at IS NULL",
        (now, fingerprint),
    )


def forget(sql: sqlite3.Connection, now: SureInstant) -> None:
    """Forget invitations that nobody can answer any more, not even by a letter that waited."""
    limit = now - limits.EXPIRY_SECONDS_MAX
    sql.execute("DELETE FROM invitation WHERE expires_at < ?", (limit,))


def expects_somebody(sql: sqlite3.Connection, now: SureInstant | None) -> bool:
    """Whether an invitation of ours is under way that nobody has used yet; none ends while the
    clock is not confirmed."""
    found = sql.execute(
        """SELECT 1 FROM invitation
           WHERE used_by IS NULL AND withdrawn_at IS NULL AND expires_at > ?""",
        (now or 0.0,),
    )
    return found.fetchone() is not None


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _row(
    secret_hash: bytes,
    ticket: bytes,
    created_at: float,
    expires_at: float,
    used_by: str | None,
    used_at: float | None,
    withdrawn_at: float | None,
    name: str,
) -> InvitationRow:
    return InvitationRow(
        secret_hash.hex()[:ID_CHARACTERS],
        Ticket(ticket),
        Instant(created_at),
        Instant(expires_at),
        None if used_by is None else Fingerprint(used_by),
        None if used_at is None else Instant(used_at),
        None if withdrawn_at is None else Instant(withdrawn_at),
        name,
    )
