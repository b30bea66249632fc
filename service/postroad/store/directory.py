"""What the directory remembers: records that we keep for others, and peers that were good.

Purpose: `peers.directory.storage.Shelf` in SQL. How many there may be, and which go, is decided
there; the limits here only hold should that fail.
"""

from collections.abc import Sequence

from postroad.base import limits
from postroad.base.ids import Contact
from postroad.protocol.contacts import decode_contact
from postroad.protocol.dialable import dialable
from postroad.protocol.directory import Statement
from postroad.store import helpers, people
from postroad.store.database import Database, Sql


class DirectoryShelf:
    """`peers.directory.storage.Shelf`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> list[tuple[bytes, bytes, float]]:
        def work(sql: Sql) -> list[tuple[bytes, bytes, float]]:
            return sql.execute(
                """SELECT key, octets, expires_at FROM directory_record
                   ORDER BY expires_at DESC LIMIT ?""",
                (limits.DIRECTORY_RECORDS_MAX,),
            ).fetchall()

        return await self._database.read(work)

    async def keep(self, key: bytes, record: bytes, statement: Statement) -> None:
        row = (key, statement.kind, statement.sequence, statement.expires, record)
        await self._database.run(
            lambda sql: (
                sql.execute(
                    """INSERT INTO directory_record (key, kind, sequence, expires_at, octets)
                   VALUES (?, ?, ?, ?, ?)
                   ON CONFLICT (key) DO UPDATE SET sequence = excluded.sequence,
                       expires_at = excluded.expires_at, octets = excluded.octets
                       WHERE excluded.sequence > sequence""",
                    row,
                ).rowcount
            )
        )

    async def remove(self, keys: Sequence[bytes]) -> None:
        def work(sql: Sql) -> None:
            sql.executemany("DELETE FROM directory_record WHERE key = ?", [(key,) for key in keys])

        await self._database.run(work)

    async def load_peers(self) -> list[bytes]:
        def work(sql: Sql) -> list[bytes]:
            rows = sql.execute("SELECT contact FROM directory_peer ORDER BY place")
            return [contact for (contact,) in rows]

        return await self._database.read(work)

    async def keep_peers(self, peers: Sequence[bytes]) -> None:
        def work(sql: Sql) -> None:
            sql.execute("DELETE FROM directory_peer")
            sql.executemany(
                "INSERT INTO directory_peer (place, contact) VALUES (?, ?)",
                list(enumerate(peers[: limits.DIRECTORY_PEERS_KEPT])),
            )

        await self._database.run(work)


def acquaintances(sql: Sql, *, private: bool) -> list[Contact]:
    """The owner's helpers, and the nodes that the owner's contacts name in their records: theirs,
    and those of their holders. Who was seen last comes first.

    Their holders are strangers to us, who told them where they are: of these only what any stranger
    may name (promise A4; `private`: see `protocol.dialable`)."""
    found = {row.peer: row.contact for row in helpers.helpers(sql) if not row.refusal}
    known = sorted(people.contacts(sql), key=lambda person: -(person.seen_at or 0.0))
    for person in known:
        if not person.blocked:
            for contact in person.record.contacts:
                found.setdefault(contact.peer, contact)
    for person in known:
        if not person.blocked:
            for drop in person.record.drops:
                holder = dialable(decode_contact(drop.holder), private=private)
                if holder is not None:
                    found.setdefault(holder.peer, holder)
    return list(found.values())[: limits.DIRECTORY_PEERS_KEPT]
