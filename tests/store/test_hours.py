"""When nodes are found on: of each node, and of each contact with all their nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes import opened_store, peer, someone
from postroad.base import limits
from postroad.base.ids import Instant
from postroad.store import hours, people

NOW = Instant(1_790_000_000.0)
ANNA, BEN = someone("anna"), someone("ben")


def test_the_hours_of_a_contact_are_those_of_all_their_nodes_and_fade(tmp_path: Path) -> None:
    with opened_store(tmp_path) as store:
        for one in (ANNA, BEN):
            people.add_contact(store.sql, one.record(), NOW, my_ticket=None, their_ticket=None)
        store.sql.execute(
            "INSERT INTO device (peer, fingerprint) VALUES (?, ?)", (peer(7), ANNA.fingerprint)
        )
        hours.note(store.sql, ANNA.device.peer, 8, 1.0, 0.0, NOW)
        hours.note(store.sql, peer(7), 8, 0.0, 1.0, NOW)
        hours.note(store.sql, peer(7), 9, 1.0, 0.0, NOW)
        hours.note(store.sql, peer(9), 9, 1.0, 0.0, NOW)  # nobody's
        found = hours.of_contacts(store.sql, NOW)
        later = hours.of_contacts(store.sql, Instant(NOW + limits.HOURS_HALF_LIFE_SECONDS))
    assert [*found] == [ANNA.fingerprint]
    of_anna = found[ANNA.fingerprint]
    assert (of_anna.on[8], of_anna.off[8]) == (1.0, 1.0)
    assert (of_anna.on[9], of_anna.off[9]) == (1.0, 0.0)
    assert sum(of_anna.on) == pytest.approx(2.0)
    assert later[ANNA.fingerprint].on[9] == pytest.approx(0.5)
