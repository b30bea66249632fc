"""What others tell of themselves fills no audit log, however often they do."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest

from fakes import NOW, FakeClock, opened_store, with_database
from postroad.base import limits, vigil
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Instant
from postroad.machine.disk import FolderDisk
from postroad.protocol.audit import entry_of
from postroad.protocol.identity_records import sign_revoke_devices
from postroad.sealing import keys
from postroad.sealing.keys import Identity
from postroad.store import audit, changes
from postroad.store.database import Database, Sql


def test_whoever_revokes_a_device_of_theirs_each_minute_pushes_nothing_out(tmp_path: Path) -> None:
    mallory, anna = Identity(b"\x01" * 32), Identity(b"\x02" * 32)
    mine = {anna.public.fingerprint}
    often = limits.AUDIT_OUTSIDE_PER_DAY + 10
    with opened_store(tmp_path) as store:
        for number in range(often):
            for identity in (mallory, anna):
                device = identity.signing.peer
                record = sign_revoke_devices(identity, [device], (number + 1) << 32)
                now = Instant(NOW + number * limits.MINUTE)
                assert changes.revoke(store.sql, record, now, mine) is not None
        entries = [entry_of(row) for row in audit.rows(store.sql)[0]]
    told = [entry.facts["id"] for entry in entries if entry is not None]
    assert told.count(mallory.public.fingerprint) == limits.AUDIT_OUTSIDE_PER_DAY
    assert told.count(anna.public.fingerprint) == often  # the owner's own decisions


def test_as_many_weak_keys_as_anybody_can_make_up_fill_neither_log_nor_memory(
    tmp_path: Path,
) -> None:
    """Of an X25519 key whose highest bit is set there are as many as there are keys."""

    def count(sql: Sql) -> int:
        return sum(b"weak key refused" in row.line for row in audit.rows(sql)[0])

    def refuse(number: int) -> None:
        weak = bytes(1184) + number.to_bytes(31, "big") + b"\x80"
        with pytest.raises(PeerMisbehaved):
            keys.load_epoch_key(weak)

    async def flood(database: Database, _: FolderDisk) -> None:
        clock = FakeClock()
        vigil.watch.set(audit.WeakKeys(database, clock))
        for number in range(2 * audit.WEAK_KEYS_MAX):
            refuse(number)
        tracemalloc.start()
        for number in range(2 * audit.WEAK_KEYS_MAX, 20_000):
            refuse(number)
        grown, _peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert grown < limits.MIB
        await asyncio.sleep(0.05)
        assert await database.read(count) == limits.AUDIT_OUTSIDE_PER_DAY
        clock.advance(2 * limits.DAY)  # and the next day they are noted again
        refuse(1)
        await asyncio.sleep(0.05)
        assert await database.read(count) == limits.AUDIT_OUTSIDE_PER_DAY + 1

    with_database(tmp_path, flood)
