"""How many letters of strangers are looked at, before any is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from fakes import FakeClock, peer, someone
from postroad.base import limits
from postroad.base.ids import HostPort, PeerId
from postroad.base.seams import Path
from postroad.peers.exchange import Exchange
from postroad.peers.strangers import StrangersGate
from postroad.protocol import wire
from postroad.sealing import stamp

ANNA, BORA = someone("anna").fingerprint, someone("bora").fingerprint
BITS = 1  # a test has better to do


@dataclass
class Came:
    """As much of an exchange as the gate looks at."""

    peer: PeerId
    host: str

    def path(self) -> Path:
        return Path(True, HostPort(self.host, 46464), 0.0)


@pytest.fixture(autouse=True)
def little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STAMP_BITS", BITS)


class Door:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gate = StrangersGate(self.clock)

    def refusal(self, number: int, host: str, to: str = "bora", work: bool = True) -> int | None:
        recipient = someone(to).fingerprint
        day = stamp.today(self.clock.now())
        made = stamp.search(peer(number), recipient, BITS, day, 0, 1000) if work else None
        came = cast(Exchange, Came(peer(number), host))
        said = self.gate.objection(came, recipient, 0, made)
        assert said is None or said.reason.endswith(".")
        return None if said is None else said.refusal


def test_without_a_stamp_nothing_is_counted() -> None:
    door = Door()
    for _ in range(1000):
        assert door.refusal(1, "192.0.2.1", work=False) == wire.Refusal.STAMP
    assert door.refusal(1, "192.0.2.1") is None


def test_one_key_has_three_letters_a_day() -> None:
    door = Door()
    said = [door.refusal(1, f"192.0.{number}.1") for number in range(5)]
    assert said == [None] * 3 + [wire.Refusal.RATE] * 2
    door.clock.advance(limits.DAY / 3 + 1)
    assert door.refusal(1, "192.0.2.1") is None
    assert door.refusal(1, "192.0.2.1") == wire.Refusal.RATE


def test_a_hundred_identities_of_one_subnet_have_the_letters_of_one_subnet() -> None:
    door = Door()
    said = [door.refusal(number + 1, f"198.51.100.{number}") for number in range(100)]
    assert said.count(None) == limits.REQUESTS_PER_SUBNET_A_DAY
    assert door.refusal(200, "203.0.113.1") is None  # somebody from elsewhere


def test_all_strangers_together_have_so_many_and_one_recipient_is_not_another() -> None:
    door = Door()
    said = [door.refusal(n + 1, f"10.{n // 250}.{n % 250}.1") for n in range(1000)]
    assert said.count(None) == limits.REQUESTS_AT_ONCE
    assert door.refusal(2000, "192.0.2.1") == wire.Refusal.RATE
    assert door.refusal(2000, "192.0.2.1", to="anna") is None
    door.clock.advance(limits.MINUTE)
    assert door.refusal(3000, "172.16.0.1") is None
