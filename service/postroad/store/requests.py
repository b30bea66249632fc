"""Letters of strangers that ask for an answer, and what the owner decided about each.

Purpose: one row for each message in Requests. What a mail program does with the message is the
owner's word: brought to INBOX, it is accepted; gone from Requests by any other way, it is left
unanswered. `store/mailboxes.py` calls in, in the same commit as the change itself.
Functions run in the database thread, inside a transaction of `Database.run`.
Invariants: at most REQUESTS_MAX wait; a decision that was carried out is never taken back.
See: docs/adr/0011-strangers.md.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from postroad.base import limits
from postroad.base.errors import Unknown
from postroad.base.ids import Fingerprint, Instant, MailId, Nonce, PeerId, SureInstant, Ticket
from postroad.phrases import phrase

FOLDER = "Requests"


class State(StrEnum):
    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"  # and its sender is told so
    IGNORED = "ignored"  # deleted, refused in silence, or too old: nobody is told


@dataclass(frozen=True, slots=True)
class Seal:
    """One sealed letter, and what its receipt is made of; `recipient`: who we were then."""

    mail_id: MailId
    device: PeerId
    recipient: Fingerprint
    header_hash: bytes
    content_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """`id`: in the result field of its message; `record`, `ticket`: what its sender sent along."""

    id: bytes
    seal: Seal  # of the first of its parcels that came
    fingerprint: Fingerprint
    address: str
    nonce: Nonce
    record: bytes | None
    ticket: Ticket | None = field(repr=False)
    subject: str
    content_id: int
    uid: int
    at: Instant
    expires_at: float
    state: State = State.WAITING


_SEAL = "mail_id, device, recipient, header_hash, content_key"
_COLUMNS = f"""id, {_SEAL}, fingerprint, address, nonce, record, ticket, subject, content_id, uid,
    at, expires_at, state"""


def add(sql: sqlite3.Connection, new: Request) -> None:
    sql.execute(
        f"INSERT INTO request ({_COLUMNS}) VALUES ({', '.join('?' * 17)})",  # noqa: S608
        (
            new.id,
            *_fields(new.seal),
            new.fingerprint,
            new.address,
            new.nonce,
            new.record,
            new.ticket,
            new.subject,
            new.content_id,
            new.uid,
            new.at,
            new.expires_at,
            new.state.value,
        ),
    )
    sql.execute(
        """DELETE FROM request WHERE (is_answered OR state = 'ignored') AND id IN
               (SELECT id FROM request ORDER BY state = 'waiting' DESC, at DESC LIMIT -1 OFFSET ?)
        """,
        (limits.REQUESTS_REMEMBERED_MAX,),
    )


def add_copy(sql: sqlite3.Connection, request_id: bytes, seal: Seal) -> None:
    """Another parcel of its letter came; of very many the newest are answered."""
    sql.execute(
        f"""INSERT INTO request_copy (request_id, number, {_SEAL})
            SELECT ?1, 1 + coalesce(max(number), 0), ?2, ?3, ?4, ?5, ?6
            FROM request_copy WHERE request_id = ?1""",  # noqa: S608  (constants)
        (request_id, *_fields(seal)),
    )
    sql.execute(
        """DELETE FROM request_copy WHERE request_id = ? AND mail_id NOT IN
               (SELECT mail_id FROM request_copy WHERE request_id = ? ORDER BY number DESC LIMIT ?)
        """,
        (request_id, request_id, limits.REQUEST_COPIES_MAX),
    )


def seals(sql: sqlite3.Connection, request: Request) -> list[Seal]:
    """All parcels of its letter that came, the first one first."""
    rows = sql.execute(
        f"SELECT {_SEAL} FROM request_copy WHERE request_id = ? ORDER BY number",  # noqa: S608
        (request.id,),
    )
    return [request.seal, *(Seal(*row) for row in rows)]


def count_waiting(sql: sqlite3.Connection) -> int:
    (count,) = sql.execute("SELECT count(*) FROM request WHERE state = 'waiting'").fetchone()
    return int(count)


def count_since(sql: sqlite3.Connection, sender: Fingerprint, since: float) -> int:
    """How many letters of this stranger came in after that moment."""
    (count,) = sql.execute(
        "SELECT count(*) FROM request WHERE fingerprint = ? AND at > ?", (sender, since)
    ).fetchone()
    return int(count)


def waiting(sql: sqlite3.Connection) -> list[Request]:
    """Those that wait for the owner, oldest first."""
    return _requests(sql, "state = 'waiting'")


def unanswered(sql: sqlite3.Connection) -> list[Request]:
    """Those about which the owner decided something that has still to be done."""
    return _requests(sql, "state IN ('accepted', 'refused') AND NOT is_answered")


def undone_of(sql: sqlite3.Connection, whose: Sequence[Fingerprint]) -> list[Request]:
    """Those of this person, whoever they were, that wait for the owner or for what they decided."""
    return _requests(
        sql,
        """NOT is_answered AND state IN ('waiting', 'accepted')
           AND fingerprint IN (SELECT value FROM json_each(?))""",
        json.dumps(whose),
    )


def of_letter(sql: sqlite3.Connection, sender: Fingerprint, nonce: Nonce) -> Request | None:
    return next(iter(_requests(sql, "fingerprint = ? AND nonce = ?", sender, nonce)), None)


def get(sql: sqlite3.Connection, request_id: bytes) -> Request | None:
    return next(iter(_requests(sql, "id = ?", request_id)), None)


def by_mail_id(sql: sqlite3.Connection, mail_id: MailId) -> Request | None:
    """The one of whose parcels this is the sealed letter."""
    which = """mail_id = ?1 OR id IN (SELECT request_id FROM request_copy WHERE mail_id = ?1)"""
    return next(iter(_requests(sql, which, mail_id)), None)


def called(sql: sqlite3.Connection, name: str) -> Request:
    """The one that waits from this name or address, or of this id; PermanentFailure: none, or
    several."""
    wanted = name.strip().lower()
    found = [
        one
        for one in waiting(sql)
        if wanted in (one.address, one.address.partition(".")[0], one.fingerprint)
        or (len(wanted) >= 4 and one.id.hex().startswith(wanted))
    ]
    if not found:
        raise Unknown(
            phrase("No request called {name} waits. See: postroad requests", name=repr(name))
        )
    if len(found) > 1:
        raise Unknown(
            f"{len(found)} requests are called {name!r}: say the number before it. "
            "See: postroad requests"
        )
    return found[0]


def accept(sql: sqlite3.Connection, request_id: bytes) -> None:
    sql.execute("UPDATE request SET state = 'accepted' WHERE id = ?", (request_id,))


def answered(sql: sqlite3.Connection, request_id: bytes) -> None:
    sql.execute("UPDATE request SET is_answered = 1 WHERE id = ?", (request_id,))


def refuse(sql: sqlite3.Connection, request_id: bytes, *, silently: bool) -> None:
    """The owner does not want it; the caller takes its message away."""
    state = State.IGNORED if silently else State.REFUSED
    sql.execute(
        "UPDATE request SET state = ? WHERE id = ? AND state = 'waiting'",
        (state.value, request_id),
    )


def too_old(sql: sqlite3.Connection, now: SureInstant) -> list[int]:
    """The UIDs in Requests of those that waited for too long."""
    rows = sql.execute(
        "SELECT uid FROM request WHERE state = 'waiting' AND at < ? ORDER BY uid",
        (now - limits.REQUEST_SECONDS,),
    )
    return [uid for (uid,) in rows]


# What happened to messages: store/mailboxes.py calls


def came_to_inbox(sql: sqlite3.Connection, content_ids: Iterable[int]) -> bool:
    """Messages of these contents were copied or moved to INBOX; whether a request was accepted."""
    changed = sql.execute(
        """UPDATE request SET state = 'accepted' WHERE state IN ('waiting', 'ignored')
           AND content_id IN (SELECT value FROM json_each(?))""",
        (json.dumps(list(content_ids)),),
    )
    return changed.rowcount > 0


def was_brought(sql: sqlite3.Connection, request_id: bytes) -> bool:
    """A program that keeps copies put the message into INBOX as a new one; the same."""
    changed = sql.execute(
        "UPDATE request SET state = 'accepted' WHERE state IN ('waiting', 'ignored') AND id = ?",
        (request_id,),
    )
    return changed.rowcount > 0


def left_folder(sql: sqlite3.Connection, uids: Sequence[int]) -> None:
    """Messages went from Requests: what was not accepted before is left unanswered."""
    sql.execute(
        """UPDATE request SET state = 'ignored' WHERE state = 'waiting'
           AND uid IN (SELECT value FROM json_each(?))""",
        (json.dumps(list(uids)),),
    )


def _requests(sql: sqlite3.Connection, which: str, *values: bytes | str) -> list[Request]:
    rows = sql.execute(
        f"SELECT {_COLUMNS} FROM request WHERE {which} ORDER BY at, id",  # noqa: S608  (constants)
        values,
    )
    return [_request(row) for row in rows]


def _request(row: tuple[Any, ...]) -> Request:  # STRICT tables keep the types of their columns
    request_id, *rest, state = row
    return Request(*(request_id, Seal(*rest[:5]), *rest[5:], State(state)))


def _fields(seal: Seal) -> tuple[bytes, bytes, str, bytes, bytes]:
    return seal.mail_id, seal.device, seal.recipient, seal.header_hash, seal.content_key
