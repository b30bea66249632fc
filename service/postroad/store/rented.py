"""The drops that we rent: where their holders are, which ones we left, and what contacts say of
their own holding.

Functions run in the database thread, inside a transaction of `Database.run`.
"""

import logging
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Contact, DropId, Fingerprint, Instant, PeerId, SureInstant
from postroad.protocol.contacts import decode_contact
from postroad.store import helpers, people

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MyDrop:
    """A drop of ours, at a contact's node, a helper, or one that a contact introduced (`place`).

    One that we `left` is no longer in our record, but letters may still lie in it."""

    drop: DropId
    seed: bytes = field(repr=False)
    holder: PeerId
    fingerprint: Fingerprint  # the contact whose node holds, or who introduced it; "": a helper
    agreed: bool
    tickets: bytes  # SHA-256 of the ticket hashes that the holder has
    place: bytes | None = None  # an encoded Contact
    voucher: bytes | None = None  # the encoded Voucher that it was shown last
    told: int = 0  # the sequence of our record that a vouched holder has
    left_at: Instant | None = None
    silent_seconds: float = 0.0  # of our time on the network, since it was seen
    refusal: str = ""  # what it said last when we asked for the drop
    unwanted: bool = False  # whoever it is through was blocked or removed: left once others hold

    @property
    def is_ours(self) -> bool:
        """Whether it is, or should be, in our record."""
        return self.agreed and self.left_at is None

    @property
    def is_silent(self) -> bool:
        return self.silent_seconds > limits.SILENT_SECONDS_MAX


def my_drops(sql: sqlite3.Connection) -> list[MyDrop]:
    rows = sql.execute(
        """SELECT drop_id, seed, holder, fingerprint, agreed, tickets, place, voucher, told,
                  left_at, silent_seconds, refusal, unwanted
           FROM my_drop ORDER BY drop_id"""
    )
    return [
        MyDrop(DropId(drop), seed, PeerId(holder), fp, bool(agreed), *(*rest, bool(unwanted)))
        for drop, seed, holder, fp, agreed, *rest, unwanted in rows
    ]


def add_my_drop(
    sql: sqlite3.Connection,
    drop: DropId,
    seed: bytes,
    holder: PeerId,
    fingerprint: Fingerprint,
    place: bytes | None = None,
) -> None:
    """Note a drop that we are about to ask for; one at a node that holds already is not noted."""
    sql.execute(
        """INSERT INTO my_drop (drop_id, seed, holder, fingerprint, agreed, place)
           VALUES (?, ?, ?, ?, 0, ?) ON CONFLICT (holder) DO NOTHING""",
        (drop, seed, holder, fingerprint, place),
    )


def drop_agreed(sql: sqlite3.Connection, drop: DropId) -> None:
    sql.execute(
        """UPDATE my_drop SET agreed = 1, left_at = NULL, silent_seconds = 0, refusal = ''
           WHERE drop_id = ?""",
        (drop,),
    )


def drop_has_tickets(sql: sqlite3.Connection, drop: DropId, digest: bytes) -> None:
    sql.execute("UPDATE my_drop SET tickets = ? WHERE drop_id = ?", (digest, drop))


def forget_drop(sql: sqlite3.Connection, drop: DropId) -> None:
    sql.execute("DELETE FROM my_drop WHERE drop_id = ?", (drop,))


def holder_of(sql: sqlite3.Connection, drop: MyDrop) -> Contact | None:
    """Where the holder of our drop is, as far as we know; None when it set up anew.

    Anybody can write the node of a vouched holder into their own record, and lead us astray: of a
    record that another device signed, only what `place` does not say is believed."""
    if (serving := helpers.at(sql, drop.holder)) is not None:
        return serving.contact
    person = people.at_device(sql, drop.holder) or people.contact(sql, drop.fingerprint)
    known = person.record.contacts if person else ()
    found = next((one for one in known if one.peer == drop.holder), None)
    is_its_own = person is not None and person.record.certificate.device == drop.holder
    if drop.place is not None and not (found and is_its_own):
        try:
            return decode_contact(drop.place)
        except PeerMisbehaved as error:  # the row is damaged
            log.warning("where a holder is cannot be read: %s", error)
    return found


def is_holder(sql: sqlite3.Connection, peer: PeerId) -> bool:
    return sql.execute("SELECT 1 FROM my_drop WHERE holder = ?", (peer,)).fetchone() is not None


def refused(sql: sqlite3.Connection, drop: DropId, reason: str) -> None:
    """The holder does not give us this drop, and says why."""
    sql.execute("UPDATE my_drop SET refusal = ? WHERE drop_id = ?", (reason, drop))


def through(sql: sqlite3.Connection, drop: DropId, fingerprint: Fingerprint) -> None:
    """The drop is ours through this person now, whoever it was before."""
    sql.execute(
        "UPDATE my_drop SET fingerprint = ?, unwanted = 0 WHERE drop_id = ?", (fingerprint, drop)
    )


def want_by_standing(sql: sqlite3.Connection) -> None:
    """Drops that are ours through a contact are wanted unless that contact counts as blocked."""
    sql.execute(
        """UPDATE my_drop SET unwanted = contact.blocked OR contact.outside FROM contact
           WHERE contact.fingerprint = my_drop.fingerprint
           AND my_drop.unwanted != (contact.blocked OR contact.outside)"""
    )


def shown(sql: sqlite3.Connection, drop: DropId, place: bytes, voucher: bytes, told: int) -> None:
    """Where a vouched holder is, and what it has seen of us."""
    sql.execute(
        "UPDATE my_drop SET place = ?, voucher = ?, told = ? WHERE drop_id = ?",
        (place, voucher, told, drop),
    )


def leave(sql: sqlite3.Connection, drop: DropId, now: Instant) -> None:
    """It shall be in our record no longer; letters may still lie in it."""
    sql.execute("UPDATE my_drop SET left_at = coalesce(left_at, ?) WHERE drop_id = ?", (now, drop))


def forget_left(sql: sqlite3.Connection, now: SureInstant | None) -> None:
    """Forget drops in which nothing can lie that has not expired, if the clock is confirmed; the
    oldest, too, when there are too many. So many at most are kept for which we asked and nobody
    agreed: whom a contact names to us need not exist."""
    if now is not None:
        limit = now - limits.RECORD_SECONDS_MAX - limits.EXPIRY_SECONDS_MAX
        sql.execute("DELETE FROM my_drop WHERE left_at < ?", (limit,))
    sql.execute(
        """DELETE FROM my_drop WHERE left_at IS NOT NULL AND drop_id NOT IN
               (SELECT drop_id FROM my_drop
                ORDER BY left_at IS NOT NULL, left_at DESC, drop_id LIMIT ?)""",
        (limits.MY_DROPS_MAX,),
    )
    sql.execute(
        """DELETE FROM my_drop WHERE NOT agreed AND left_at IS NULL AND drop_id NOT IN
               (SELECT drop_id FROM my_drop WHERE NOT agreed AND left_at IS NULL
                ORDER BY drop_id LIMIT ?)""",
        (limits.MY_DROPS_MAX,),
    )


def emptied(sql: sqlite3.Connection, drop: DropId, now: SureInstant) -> None:
    """All that lay in this drop was taken."""
    sql.execute("UPDATE my_drop SET emptied_at = ? WHERE drop_id = ?", (now, drop))


def emptied_at(sql: sqlite3.Connection, now: SureInstant) -> Instant | None:
    """Since when every drop has been emptied once, those that we left included; None: not all."""
    count, never, at = sql.execute(
        """SELECT count(*), count(*) FILTER (WHERE emptied_at IS NULL), min(emptied_at)
           FROM my_drop WHERE agreed"""
    ).fetchone()
    if not count:
        return now
    return None if never else Instant(at)


def were_seen(sql: sqlite3.Connection, seen: Collection[PeerId], seconds: float) -> None:
    """We were on the network for so long, and these nodes were seen; the other holders were
    silent."""
    sql.execute("UPDATE my_drop SET silent_seconds = silent_seconds + ?", (seconds,))
    sql.executemany(
        "UPDATE my_drop SET silent_seconds = 0 WHERE holder = ?", [(one,) for one in seen]
    )


def said_holding(sql: sqlite3.Connection, fingerprint: Fingerprint, said: bytes) -> None:
    """For whom this contact holds, and when they are on, as they say."""
    sql.execute(
        """INSERT INTO holding (fingerprint, said)
           SELECT fingerprint, ?2 FROM contact WHERE fingerprint = ?1
           ON CONFLICT (fingerprint) DO UPDATE SET said = excluded.said""",
        (fingerprint, said),
    )


def told_holding(sql: sqlite3.Connection, fingerprint: Fingerprint, told: bytes) -> None:
    """This contact knows that of us, if they are one still."""
    sql.execute(
        """INSERT INTO holding (fingerprint, told)
           SELECT fingerprint, ?2 FROM contact WHERE fingerprint = ?1
           ON CONFLICT (fingerprint) DO UPDATE SET told = excluded.told""",
        (fingerprint, told),
    )


def holdings(
    sql: sqlite3.Connection,
) -> dict[Fingerprint, tuple[bytes | None, bytes | None]]:
    """For each contact what they said of their holding, and what we told them of ours."""
    rows = sql.execute("SELECT fingerprint, said, told FROM holding ORDER BY fingerprint")
    return {Fingerprint(fingerprint): (said, told) for fingerprint, said, told in rows}
