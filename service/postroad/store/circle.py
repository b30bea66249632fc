"""The circle: who may be a contact at all, as the owner's file and the computer's policy say.

Functions run in the database thread, inside a transaction of `Database.run`.
Purpose: one answer, also for those who were contacts before: whoever is outside counts as blocked
(`people.Person`), without the owner's own word about them being lost.
"""

import json
import sqlite3
from collections.abc import Collection

from postroad.base.errors import NotPermitted
from postroad.base.ids import Fingerprint, Instant
from postroad.phrases import Phrase, joined, phrase
from postroad.store import audit
from postroad.store.database import Database

_NAME = "circle"  # in the table value: a JSON list of fingerprints; no row: everybody


def keep_to(sql: sqlite3.Connection, allowed: Collection[Fingerprint] | None) -> None:
    """From now on only these may be contacts; None: anybody. Where it was so before nothing is
    written: a full disk does not keep a node from starting."""
    listed = None if allowed is None else json.dumps(sorted(allowed)).encode()
    found = sql.execute("SELECT octets FROM value WHERE name = ?", (_NAME,)).fetchone()
    if (found and found[0]) != listed:
        sql.execute("DELETE FROM value WHERE name = ?", (_NAME,))
        if listed is not None:
            sql.execute("INSERT INTO value (name, octets) VALUES (?, ?)", (_NAME, listed))
    if listed is None:
        sql.execute("UPDATE contact SET outside = 0 WHERE outside")
        return
    sql.execute(
        """UPDATE contact SET outside = NOT outside
           WHERE outside != (fingerprint NOT IN (SELECT value FROM json_each(?)))""",
        (listed.decode(),),
    )


def allows(sql: sqlite3.Connection, fingerprint: Fingerprint) -> bool:
    found = sql.execute("SELECT octets FROM value WHERE name = ?", (_NAME,)).fetchone()
    return found is None or fingerprint in json.loads(found[0])


def expect(sql: sqlite3.Connection, fingerprint: Fingerprint, who: str) -> None:
    """Raise PermanentFailure unless this person may be a contact."""
    if not allows(sql, fingerprint):
        raise NotPermitted(refusal(who))


async def expect_noted(database: Database, now: Instant, whom: Fingerprint, who: str) -> None:
    """The same outside of a transaction, with a line in the audit log."""
    if await database.read(lambda sql: allows(sql, whom)):
        return
    await database.run(lambda sql: audit.note_refused(sql, now, "contacts", address=who))
    raise NotPermitted(refusal(who))


def refusal(who: str) -> Phrase:
    return joined(
        phrase(
            "{who} may not be a contact of yours, nor be written to: contacts are limited on this "
            "computer (contacts).",
            who=who,
        ),
        phrase("See: postroad policy"),
    )
