"""How the owner stands with a contact: what they call them, whether they verified or blocked them.

Functions run in the database thread, inside a transaction of `Database.run`.
Invariants: no two contacts are called alike, and none as another's address begins; a verification
is of one identity's keys, so it goes with its row and never comes over to another one.
"""

import sqlite3
from collections.abc import Collection

from postroad.base.errors import PermanentFailure
from postroad.base.ids import Fingerprint, Instant
from postroad.message import nicknames
from postroad.protocol.contacts import encode_contact
from postroad.store import circle, filed, invitations, people, proposals, rented, strangers


def rename(sql: sqlite3.Connection, fingerprint: Fingerprint, wanted: str) -> str:
    """Call this contact so, in the name's normal form; PermanentFailure says why not."""
    name = nicknames.checked(wanted)
    whose = dict(reversed(people.names_taken(sql, fingerprint))).get(nicknames.key(name))
    if whose is not None:
        raise PermanentFailure(
            f"{name!r} looks like your contact {whose!r}: their name, or how their address begins. "
            "Choose another one."
        )
    sql.execute("UPDATE contact SET name = ? WHERE fingerprint = ?", (name, fingerprint))
    return name


def verify(sql: sqlite3.Connection, fingerprint: Fingerprint, at: Instant | None) -> None:
    """The owner found the safety number to be theirs; None: that does not count any more."""
    sql.execute("UPDATE contact SET verified_at = ? WHERE fingerprint = ?", (at, fingerprint))


def since(sql: sqlite3.Connection, fingerprint: Fingerprint) -> Instant:
    """When they became a contact."""
    (at,) = sql.execute(
        "SELECT since FROM contact WHERE fingerprint = ?", (fingerprint,)
    ).fetchone()
    return Instant(at)


def block(sql: sqlite3.Connection, fingerprint: Fingerprint) -> None:
    """This person is served no more and may not deposit any more; other holders are looked for in
    the place of those that we have through them."""
    people.block(sql, fingerprint)
    _part_from(sql, fingerprint)
    _want_drops(sql, fingerprint, wanted=False)


def unblock(sql: sqlite3.Connection, fingerprint: Fingerprint) -> None:
    people.unblock(sql, fingerprint)
    _want_drops(sql, fingerprint, wanted=True)


def keep_to(sql: sqlite3.Connection, allowed: Collection[Fingerprint] | None) -> None:
    """From now on only these may be contacts (None: anybody); others are as if blocked."""
    circle.keep_to(sql, allowed)
    rented.want_by_standing(sql)


def remove(sql: sqlite3.Connection, fingerprint: Fingerprint, now: Instant) -> None:
    """Forget that they are a contact. What lies here for them, and what lies for us at their node,
    stays where it is until it was fetched or has expired; by what made them a contact they do not
    become one again. The caller has ended what was on its way to them."""
    for drop in rented.my_drops(sql):
        if drop.fingerprint == fingerprint and drop.agreed:
            holder = rented.holder_of(sql, drop)
            if holder is not None and drop.place is None:
                place = encode_contact(holder)
                sql.execute("UPDATE my_drop SET place = ? WHERE drop_id = ?", (place, drop.drop))
    sql.execute("DELETE FROM my_drop WHERE fingerprint = ? AND NOT agreed", (fingerprint,))
    _want_drops(sql, fingerprint, wanted=False)
    filed.call_back_no_more(sql, fingerprint)
    invitations.withdraw_of(sql, fingerprint, now)
    _part_from(sql, fingerprint)
    strangers.forget(sql, fingerprint)  # nor by an answer to what the owner wrote them before
    sql.execute("DELETE FROM contact WHERE fingerprint = ?", (fingerprint,))


def _part_from(sql: sqlite3.Connection, fingerprint: Fingerprint) -> None:
    """What was proposed of them, and by them, also under the identities that they had before."""
    for who in (fingerprint, *people.were(sql, fingerprint)):
        proposals.part_from(sql, who)


def _want_drops(sql: sqlite3.Connection, fingerprint: Fingerprint, *, wanted: bool) -> None:
    """The drops at their node, and at those for which they vouched. For whom we hold is told them
    anew: it has changed, as far as they are concerned."""
    sql.execute("UPDATE my_drop SET unwanted = ? WHERE fingerprint = ?", (not wanted, fingerprint))
    sql.execute("UPDATE holding SET told = NULL WHERE fingerprint = ?", (fingerprint,))
