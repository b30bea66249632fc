"""The stores of a town held against one another: custody, leases, what was let go, and soundness.

Purpose: see what no mail program can see, and tell the model of it. It looks only at nodes that are
on, through their own databases.
"""

import sqlite3
from contextlib import closing, suppress
from typing import Any

from postroad.app.node import Node
from postroad.base.errors import TemporaryFailure
from postroad.base.ids import Nonce, PeerId
from postroad.store import filed, held, quarantine, queue, rented
from postroad.store.contents import Damaged
from postroad.store.database import FILE_NAME, Sql
from simulator.model import Pair
from simulator.town import Town
from simulator.village import Resident


async def check_custody(town: Town) -> None:
    """Whatever a sender keeps a lease for lies at that holder, or is buried there; whatever a
    sender let go is in its recipient's store."""
    owners = {one.peer: one for one in town.people if one.is_on}
    for person in list(town.people):
        with suppress(TemporaryFailure):
            if person.is_on:
                await check_delivered(town, person)
            for row in await person.waiting() if person.is_on else ():
                if person.is_on:  # it may crash over being looked at
                    await check_parcel(town, person, row, owners)


async def check_delivered(town: Town, person: Resident) -> None:
    def work(sql: Sql) -> list[tuple[str, bytes]]:
        return sql.execute(
            """SELECT recipient, nonce FROM parcel JOIN letter ON letter.id = letter_id
               WHERE state = 'delivered' ORDER BY parcel.id"""
        ).fetchall()

    owners = {town.addresses[one.name]: one for one in town.people if one.is_on}
    sender = person.node.keyring.fingerprint
    for address, nonce in await person.node.database.read(work):
        recipient = owners.get(address)
        if recipient is None or not recipient.is_on:
            continue

        def known(sql: Sql, nonce: bytes = nonce) -> filed.Filed | None:
            return filed.known(sql, sender, Nonce(nonce))

        if await recipient.node.database.read(known) is None:
            town.model.breaks("M6", f"{person.name} let go what {recipient.name} has not filed")


async def check_parcel(
    town: Town, person: Resident, row: queue.Row, owners: dict[Any, Resident]
) -> None:
    node = person.node

    def leases(sql: Sql) -> list[queue.LeaseRow]:
        node.contents.get(sql, row.content_id)
        return queue.leases(sql, row.id)

    try:
        for lease in await node.database.read(leases):
            holder = owners.get(lease.holder)
            if holder is None or not holder.is_on or lease.until < holder.clock.now():
                continue
            there = holder.node

            def keeps(sql: Sql, lease: queue.LeaseRow = lease, there: Node = there) -> bool:
                found = held.letter(sql, lease.drop, lease.mail_id)
                if found is None or found.tombstone is not None:
                    return found is not None
                return there.sealed.is_whole(sql, lease.mail_id)

            if not await there.database.read(keeps):
                town.model.breaks(
                    "M4", f"{holder.name} gave {person.name} a lease, and has no letter"
                )
    except Damaged as error:
        town.model.breaks("M6", f"{person.name} lost what it has to deliver: {error}")


def left_at_holders(person: Resident) -> list[tuple[bytes, str, PeerId]]:
    """Of somebody whose computer is off: the letters that holders keep for others, as their nonce,
    the recipient's address, and a holder."""
    path = f"file:{person.folder}/{FILE_NAME}?mode=ro"
    with closing(sqlite3.connect(path, uri=True)) as sql:
        return sql.execute(
            """SELECT nonce, recipient, holder FROM lease JOIN parcel ON parcel.id = parcel_id
               JOIN letter ON letter.id = letter_id WHERE state = 'held' AND kind = 1
               ORDER BY parcel.id, holder"""
        ).fetchall()


async def pairs(town: Town, person: Resident) -> list[Pair]:
    names = {address: name for name, address in town.addresses.items()}
    node = person.node

    def work(sql: Sql) -> list[Pair]:
        found = []
        rows = sql.execute(
            """SELECT recipient, state, content_id FROM parcel
               JOIN letter ON letter.id = letter_id WHERE kind = 1 ORDER BY parcel.id"""
        ).fetchall()
        for recipient, state, content_id in rows:
            try:
                octets = node.contents.get(sql, content_id)
            except Damaged as error:
                town.model.breaks("M6", f"{person.name} lost the octets of a letter: {error}")
                continue
            number = int(octets.partition(b"Subject: letter ")[2].split(b"\r\n")[0])
            found.append(Pair(number, names[recipient], state))
        return found

    return await node.database.read(work)


async def check_store(town: Town, person: Resident) -> None:
    def work(sql: Sql) -> tuple[list[Any], list[Any], list[Any], int]:
        return (
            sql.execute("PRAGMA integrity_check").fetchall(),
            sql.execute("PRAGMA foreign_key_check").fetchall(),
            quarantine.noted(sql),
            sum(drop.agreed for drop in rented.my_drops(sql)),
        )

    integrity, foreign, noted, drops = await person.node.database.read(work)
    if integrity != [("ok",)] or foreign:
        town.model.breaks("M13", f"{person.name}'s store is damaged: {integrity} {foreign}")
    if noted:
        town.model.breaks("M13", f"{person.name} has set something aside: {noted}")
    town.counts["drops at the end"] += drops
