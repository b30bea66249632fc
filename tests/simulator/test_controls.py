"""The model notices: with a fault planted in a node, a day breaks the promise that it should."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from postroad.base import limits
from postroad.delivery.filing import Filing
from postroad.delivery.herald import Herald
from postroad.delivery.outbox import Outbox
from postroad.delivery.receiver import Receiver
from postroad.delivery.sender import Sender
from postroad.protocol import delivery
from postroad.protocol.delivery import Parcel, State, Step
from postroad.store import filed, held, mailboxes
from postroad.store.contents import Contents
from postroad.store.mailboxes import Mailboxes
from postroad.store.shelves import Shelves
from simulator.day import Plan, play

Plant = Callable[[pytest.MonkeyPatch], None]


def no_memory_of_what_was_filed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(filed, "known", lambda *_: None)
    patch.setattr(filed, "remember", lambda *_: None)
    patch.setattr(filed, "receipt_for", lambda *_: None)


def a_letter_is_accepted_before_its_commit(patch: pytest.MonkeyPatch) -> None:
    later: set[asyncio.Task[str]] = set()
    accept = Outbox.accept

    async def at_once(self: Outbox, submission: Any) -> str:
        async def in_an_hour() -> str:
            await asyncio.sleep(limits.HOUR)
            return await accept(self, submission)

        later.add(asyncio.create_task(in_an_hour()))
        return "queued"

    patch.setattr(Outbox, "accept", at_once)


def a_lease_is_given_before_the_letter_is_kept(patch: pytest.MonkeyPatch) -> None:
    async def forgetful(self: Shelves, deposit: Any, chunks: Any) -> None:
        async for _ in chunks:
            pass

    patch.setattr(Shelves, "put", forgetful)


def a_lease_ends_custody(patch: pytest.MonkeyPatch) -> None:
    def light_hearted(parcel: Parcel, event: Any, now: Any, dice: float) -> Step:
        if isinstance(event, delivery.Leased):
            return Step(replace(parcel, state=State.DELIVERED))
        return delivery.advance(parcel, event, now, dice)

    patch.setattr("postroad.delivery.sender.advance", light_hearted)


def a_holder_tidies_too_much_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(held, "forget_expired", lambda sql, _: sql.execute("DELETE FROM held_letter"))


def nobody_looks_at_the_expiry(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Filing, "_objection", lambda *_: None)
    patch.setattr(held, "forget_expired", lambda *_: None)


def a_letter_loses_its_last_line(patch: pytest.MonkeyPatch) -> None:
    put = Contents.put

    def short(self: Contents, sql: Any, octets: bytes) -> int:
        return put(self, sql, octets[:-62] if octets.startswith(b"Return-Path: <p") else octets)

    patch.setattr(Contents, "put", short)


def what_was_expunged_stays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mailboxes, "_expunge", lambda *_: None)


def flags_are_acknowledged_and_not_kept(patch: pytest.MonkeyPatch) -> None:
    async def hollow(self: Mailboxes, *_: Any) -> None:
        return None

    patch.setattr(Mailboxes, "change_flags", hollow)


def an_expired_letter_ends_in_silence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("postroad.delivery.notices.Notices.file", lambda *_: None)


def nobody_wakes_the_sender(patch: pytest.MonkeyPatch) -> None:
    async def deaf(self: Sender, _: Any) -> None:
        return None

    patch.setattr(Sender, "peer_seen", deaf)
    for wakes in ("wake", "wake_all"):  # by a newer record; at a start, and after a pause
        patch.setattr(f"postroad.store.queue.{wakes}", lambda *_: None)
    patch.setattr(limits, "RETRY_SECONDS_MAX", 4 * limits.HOUR)
    patch.setattr(limits, "HELD_SECONDS_MAX", 4 * limits.HOUR)


def nobody_tells_or_looks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Herald, "news", lambda *_: None)
    patch.setattr(limits, "COLLECT_SECONDS", 40 * limits.HOUR)
    patch.setattr(limits, "COLLECT_TOLD_SECONDS", 40 * limits.HOUR)
    peer_seen = Receiver.peer_seen

    async def blind(self: Receiver, seen: Any) -> None:
        await peer_seen(self, replace(seen, came=False))

    patch.setattr(Receiver, "peer_seen", blind)


@pytest.mark.parametrize(
    ("plant", "promise", "seed"),
    [
        (no_memory_of_what_was_filed, "M2", 3),
        (a_letter_is_accepted_before_its_commit, "M1", 3),
        (a_lease_is_given_before_the_letter_is_kept, "M4", 3),
        (a_lease_ends_custody, "M6", 1),
        (a_holder_tidies_too_much_away, "M4", 1),
        (nobody_looks_at_the_expiry, "M3", 3),
        (a_letter_loses_its_last_line, "M5", 3),
        (what_was_expunged_stays, "M10", 3),
        (flags_are_acknowledged_and_not_kept, "M10", 3),
        (an_expired_letter_ends_in_silence, "M1", 3),
        (nobody_wakes_the_sender, "M7", 7),
        (nobody_tells_or_looks, "M7", 5),
    ],
)
def test_a_planted_fault_is_noticed(
    plant: Plant, promise: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    plan = Plan(seed, people=5, hours=8, letters=50, crashes=16, expiry_hours=1)
    if plant is nobody_wakes_the_sender:  # where few hold for each other, and nothing is over soon
        plan = replace(plan, people=4, expiry_hours=24)
    report = play(plan)
    assert any(broken.startswith(promise) for broken in report.broken), report
