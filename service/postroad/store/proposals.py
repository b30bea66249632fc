"""Proposals: that a contact would introduce somebody to the owner, and what became of it.

Functions run in the database thread, inside a transaction of `Database.run`.
Invariants: there is one of each introducer for each person; only the owner's yes makes it accepted,
and one that was accepted is met when the other's own introduction comes.
"""

import sqlite3
from dataclasses import dataclass, field
from enum import Enum

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, Unknown
from postroad.base.ids import Fingerprint, Instant, SureInstant, Ticket
from postroad.base.tlv import decode, encode
from postroad.protocol.records import PersonRecord
from postroad.sealing.proposal import SignedWord, Word
from postroad.store.people import Person
from postroad.store.strangers import dialled


class State(Enum):
    OPEN = "open"  # the owner has not decided
    ACCEPTED = "accepted"  # the other has not
    DECLINED = "declined"
    REFUSED = "refused"  # by the other
    MET = "met"


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """`record`: of who is proposed; `ticket`: what they will deposit in our drops with."""

    introducer: Fingerprint
    record: PersonRecord
    signed: SignedWord
    came_at: Instant
    expires_at: Instant
    ticket: Ticket | None = field(repr=False)
    state: State

    @property
    def id(self) -> str:
        return self.signed.word.id

    @property
    def other(self) -> Fingerprint:
        return self.record.fingerprint


_COLUMNS = "introducer, record, word, came_at, expires_at, ticket, state"


def keep(sql: sqlite3.Connection, record: PersonRecord, signed: SignedWord, now: Instant) -> bool:
    """Note what a contact proposes, in the place of what they proposed before of the same person;
    whether the owner has to decide: not where they said yes, as whom it is proposed to now."""
    word = signed.word
    known = [one for one in of(sql, record.fingerprint) if one.introducer == word.introducer]
    stands = bool(known) and known[0].state is State.ACCEPTED and _same_two(known[0], word)
    if known and known[0].record.sequence > record.sequence:
        record = known[0].record
    sql.execute(
        """INSERT INTO proposal (introducer, other, record, word, first_ticket, came_at, expires_at,
                                 state)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (introducer, other) DO UPDATE SET record = excluded.record,
               word = excluded.word, first_ticket = excluded.first_ticket,
               came_at = excluded.came_at, expires_at = excluded.expires_at,
               state = excluded.state""",
        (
            word.introducer,
            record.fingerprint,
            encode(record),
            encode(signed),
            word.ticket_of(record.fingerprint),
            now,
            float(word.expires),
            (State.ACCEPTED if stands else State.OPEN).value,
        ),
    )
    return not stands


def _same_two(row: ProposalRow, word: Word) -> bool:
    """The owner may be another identity by now; then the other was shown that one, too."""
    return (row.signed.word.one, row.signed.word.other) == (word.one, word.other)


def all_made(sql: sqlite3.Connection) -> list[ProposalRow]:
    """All that are remembered and can be read, oldest first."""
    return _rows(sql, "1 = 1")


def of(sql: sqlite3.Connection, other: Fingerprint) -> list[ProposalRow]:
    """All in which this person is proposed."""
    return _rows(sql, "other = ?", other)


def open_of(sql: sqlite3.Connection, introducer: Fingerprint, now: Instant) -> int:
    """On how many proposals of this person the owner has not decided."""
    rows = _rows(sql, "introducer = ?", introducer)
    return sum(row.state is State.OPEN and now < row.expires_at for row in rows)


def count_open(sql: sqlite3.Connection, now: Instant) -> int:
    """On how many the owner has not decided, and still can."""
    (count,) = sql.execute(
        "SELECT count(*) FROM proposal WHERE state = 'open' AND expires_at > ?", (now,)
    ).fetchone()
    return int(count)


def decided(
    sql: sqlite3.Connection, row: ProposalRow, state: State, ticket: Ticket | None = None
) -> None:
    sql.execute(
        """UPDATE proposal SET state = ?, ticket = coalesce(?, ticket)
           WHERE introducer = ? AND other = ?""",
        (state.value, ticket, row.introducer, row.other),
    )


def called(sql: sqlite3.Connection, wanted: str) -> ProposalRow:
    """The proposal of this id; PermanentFailure when there is none."""
    found = [row for row in all_made(sql) if row.id == wanted.strip().lower()]
    if not found:
        raise Unknown(f"Nobody made you a proposal {wanted!r}. See: postroad proposals")
    return found[0]


def person(sql: sqlite3.Connection, other: Fingerprint, *, private: bool) -> Person | None:
    """Somebody to whom the owner said yes, as far as they are needed to bring them that; `private`:
    as of any stranger."""
    for row in of(sql, other):
        if row.state is State.ACCEPTED:
            me = {row.signed.word.one, row.signed.word.other} - {other}
            return Person(
                other,
                str(row.record.address),
                row.record.name,
                dialled(row.record, private=private),
                row.came_at,
                row.signed.word.ticket_of(Fingerprint(me.pop())),
                row.ticket,
                None,
                blocked=False,
                told=0,
            )
    return None


def learn(sql: sqlite3.Connection, record: PersonRecord) -> bool:
    """Keep a newer record of who is proposed; whether there was an older one."""
    older = [row for row in of(sql, record.fingerprint) if row.record.sequence < record.sequence]
    for row in older:
        sql.execute(
            "UPDATE proposal SET record = ? WHERE introducer = ? AND other = ?",
            (encode(record), row.introducer, row.other),
        )
    return bool(older)


def refused(sql: sqlite3.Connection, other: Fingerprint) -> None:
    """They said no to what the owner said yes to."""
    sql.execute(
        "UPDATE proposal SET state = 'refused' WHERE other = ? AND state = 'accepted'", (other,)
    )


def part_from(sql: sqlite3.Connection, fingerprint: Fingerprint) -> None:
    """The owner has no more to do with this person: what they proposed, and did not come about, is
    declined, and so is what was proposed of them."""
    sql.execute(
        """UPDATE proposal SET state = 'declined'
           WHERE other = ? OR (introducer = ? AND state = 'open')""",
        (fingerprint, fingerprint),
    )


def forget(sql: sqlite3.Connection, now: SureInstant) -> None:
    """Forget what nobody can answer any more, not even by a letter that waited."""
    limit = now - limits.EXPIRY_SECONDS_MAX
    sql.execute("DELETE FROM proposal WHERE expires_at < ?", (limit,))


def _rows(sql: sqlite3.Connection, which: str, *values: str) -> list[ProposalRow]:
    rows = sql.execute(
        f"""SELECT {_COLUMNS} FROM proposal WHERE {which}
            ORDER BY came_at, introducer, other""",  # noqa: S608  (constants)
        values,
    )
    found = []
    for introducer, record, word, came_at, expires_at, ticket, state in rows.fetchall():
        try:
            read = decode(PersonRecord, record), decode(SignedWord, word)  # verified before
        except PeerMisbehaved:  # a damaged row is as one that is not there
            continue
        found.append(
            ProposalRow(
                Fingerprint(introducer),
                *read,
                Instant(came_at),
                Instant(expires_at),
                None if ticket is None else Ticket(ticket),
                State(state),
            )
        )
    return found
