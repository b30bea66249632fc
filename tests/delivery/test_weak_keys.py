"""The 14 weak keys at each place where a key comes in: refused, one audit line, nothing left.

PLACES is the table, and each module of tests/weak_places/ fills it: whoever builds a place where a
key comes in adds a row. That no other place loads a key is held by sealing/test_one_loader.py.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import weak_places
from postroad.base import limits, vigil
from postroad.store import audit
from postroad.store.database import Database, Sql
from simulator.village import Village, play, until
from weak_places.town import PLACES, Town, bora_invites

for each in pkgutil.iter_modules(weak_places.__path__):
    importlib.import_module(f"weak_places.{each.name}")


def entries(sql: Sql) -> list[str]:
    lines = [json.loads(row.line) for row in audit.rows(sql)[0]]
    return [line["facts"]["key"] for line in lines if line["event"] == "weak key refused"]


# Where something half-made could be. Of letters that were refused there is a memory: a note in the
# quarantine, or the nonce and the receipt that says so.
TABLES = (
    "content", "letter", "parcel", "lease", "sealed", "contact", "device", "my_drop", "helper",
    "held_drop", "held_ticket", "held_letter", "record", "directory_record", "message", "rendering",
    "revoked", "change", "proposal", "own_device",
)  # fmt: skip


def left(folder: Path, sql: Sql) -> object:
    counts = {name: sql.execute(f"SELECT count(*) FROM {name}").fetchone() for name in TABLES}
    records = sql.execute("SELECT fingerprint, sequence, hex(record) FROM contact").fetchall()
    used = sql.execute("SELECT count(used_by) FROM invitation").fetchone()
    parcels = sql.execute("SELECT id, state, hex(receipt) FROM parcel").fetchall()
    files = [
        sorted(p.name for p in (folder / name).iterdir()) for name in ("bodies", "sealed", "spool")
    ]
    return counts, records, used, parcels, files


@pytest.mark.parametrize("name", PLACES)
def test_a_weak_key_is_refused_noted_once_and_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_it, keys = PLACES[name]
    watching: dict[Database, audit.WeakKeys] = {}
    made = audit.WeakKeys

    def watch(database: Database, clock: Any) -> audit.WeakKeys:
        watching[database] = made(database, clock)
        return watching[database]

    async def scene(village: Village) -> None:
        bora, mallory, stella, carla = await village.settle_in("bora", "mallory", "stella", "carla")
        await village.meet(bora, mallory, carla)
        carlas, to = carla.node.keyring.certificate, carla.address
        await carla.sleep()
        await bora.write(to)

        async def alone_and_sealed() -> bool:
            return [row.sealed is not None for row in await bora.waiting()] == [True]

        await until(alone_and_sealed, limits.HOUR)
        (row,) = await bora.waiting()
        town = Town(bora, mallory, stella, row, carla, carlas)
        # What the owner asks for at the control door is done in a task of the node's.
        vigil.watch.set(watching[bora.node.database])
        database, folder = bora.node.database, bora.folder
        await asyncio.sleep(limits.MINUTE)
        for key in keys:
            await bora_invites(town)  # an open one, which nobody may use
            before = await database.read(lambda sql: left(folder, sql))
            noted = await database.read(entries)
            await bring_it(town, key)
            await asyncio.sleep(1)
            assert (await database.read(entries))[len(noted) :] == [key.hex()]
            assert await database.read(lambda sql: left(folder, sql)) == before
        assert bora._task is not None
        assert not bora._task.done()

    monkeypatch.setattr(audit, "WeakKeys", watch)
    monkeypatch.setattr(limits, "AUDIT_WEAK_KEY_SECONDS", 0.5)
    monkeypatch.setattr(limits, "AUDIT_OUTSIDE_PER_DAY", 10_000)
    play(tmp_path, scene)
