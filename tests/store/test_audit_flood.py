"""What others tell of themselves fills no audit log, however often they do."""

from __future__ import annotations

from pathlib import Path

from fakes import NOW, opened_store
from postroad.base import limits
from postroad.base.ids import Instant
from postroad.protocol.audit import entry_of
from postroad.protocol.identity_records import sign_revoke_devices
from postroad.sealing.keys import Identity
from postroad.store import audit, changes


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
