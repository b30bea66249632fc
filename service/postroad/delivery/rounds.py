"""One round of attempts for one parcel: the recipient's own devices, and its drops.

Purpose: a recipient who is likely awake gets a head start; otherwise all are tried together, so
that the letter waits at holders as soon as it can. The first receipt ends the round. A letter
above 1 MiB goes to five holders: the first of the record, or others in the place of whom it does
not reach.
Invariants: each lease is noted as soon as it is given; an attempt that fails tells why in words.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Contact, Instant, MailId, PeerId
from postroad.base.seams import Clock
from postroad.delivery import reasons
from postroad.delivery.progress import Progress
from postroad.delivery.stamps import Stamps
from postroad.peers.client import Client, Sealed
from postroad.peers.exchange import Refused
from postroad.protocol import wire
from postroad.protocol.records import Drop
from postroad.protocol.wire_reseal import Reseal
from postroad.sealing.receipt import Verdict
from postroad.store import circle, people, queue
from postroad.store.contents import Damaged
from postroad.store.database import Database, Sql
from postroad.store.sealed import SealedStore

log = logging.getLogger(__name__)
T = TypeVar("T")
BUSY = (wire.Refusal.RATE, wire.Refusal.LATER)

Check = Callable[[bytes], Verdict]
OnLease = Callable[[queue.LeaseRow], Awaitable[None]]


@dataclass(slots=True)
class Outcome:
    """What a round has brought; `receipt` is one that was checked, and `verdict` what it says."""

    check: Check
    on_lease: OnLease
    receipt: bytes | None = None
    verdict: Verdict = Verdict.FILED
    reason: str = reasons.NOBODY_REACHED
    leased: bool = False  # in this round
    seal_is_damaged: bool = False  # our own copy of the sealed letter cannot be read
    was_answered: bool = False  # by a holder that has the letter
    said: str = ""  # by the recipient's own node, when it does not take letters now
    is_unwanted: bool = False  # the recipient's own device has proven itself, and says so
    drop_is_gone: bool = False  # a holder knows nothing of a drop: our record is old
    failed: set[PeerId] = field(default_factory=set)  # holders that did not answer, or broke off

    reseals: list[Reseal] = field(default_factory=list)  # not checked yet

    @property
    def is_end(self) -> bool:
        """Whether nothing is left to try."""
        return self.receipt is not None or self.is_unwanted

    def take(self, found: bytes | Reseal) -> None:
        """What came in the letter's place."""
        if isinstance(found, Reseal):
            self.reseals.append(found)
            return
        self.verdict = self.check(found)
        self.receipt = found


@dataclass(frozen=True, slots=True)
class Rounds:
    database: Database
    sealed: SealedStore
    client: Client
    clock: Clock
    stamps: Stamps
    progress: Progress

    async def attempt(
        self,
        row: queue.Row,
        person: people.Person,
        check: Check,
        on_lease: OnLease,
    ) -> Outcome:
        """Try every way once. What fails is told in the outcome, never raised.

        `check` raises PeerMisbehaved for what is not the recipient's receipt: a holder that lies
        must not end the round for the others. `on_lease` makes each lease durable."""
        outcome = Outcome(check, on_lease)
        assert row.sealed is not None
        mail_id = row.sealed.mail_id
        letter, leases = await self.database.read(
            lambda sql: (self._letter(sql, row.id, mail_id, outcome), queue.leases(sql, row.id))
        )
        held_in = {lease.drop for lease in leases}
        if person.blocked:
            letter = None  # it goes nowhere now; what holders have may have been fetched before
            outcome.reason = (
                reasons.blocked(person.name) if not person.outside else circle.refusal(person.name)
            )
        waiting: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as tasks:
            if letter is not None:
                for contact in person.record.contacts:
                    waiting.add(tasks.create_task(self._deliver(contact, letter, person, outcome)))
                if self._is_likely_awake(person):
                    await asyncio.wait(waiting, timeout=_head_start(letter.size))
            # We have the letter anyway: a lease of our own promises nothing.
            drops = [one for one in person.record.drops if one.contact.peer != self.client.me]
            if not outcome.is_end:
                holding = [one for one in drops if one.id in held_in]
                for drop in holding:
                    waiting.add(tasks.create_task(self._ask(drop, mail_id, outcome)))
                if letter is not None:
                    left = iter([one for one in drops if one.id not in held_in])
                    for _ in range(_wanted(letter.size, len(drops)) - len(holding)):
                        attempt = self._place_one(row, left, letter, person, outcome)
                        waiting.add(tasks.create_task(attempt))
            while waiting and not outcome.is_end:
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
        return outcome

    def _is_likely_awake(self, person: people.Person) -> bool:
        if (person.seen_at or 0.0) > self.clock.now() - limits.SEEN_LATELY_SECONDS:
            return True
        return any(
            self.client.is_linked(contact.peer) or self.client.is_near(contact.peer)
            for contact in person.record.contacts
        )

    def _letter(
        self, sql: Sql, parcel_id: int, mail_id: MailId, outcome: Outcome
    ) -> Sealed | None:
        """Our own copy; None when it is damaged: then only its holders can be asked."""
        try:
            size = self.sealed.size(sql, mail_id)
            whole = b""
            if size <= limits.AT_ONCE_BYTES_MAX:
                whole = self.sealed.read(sql, mail_id, 0, size)
                if hashlib.sha256(whole).digest() != mail_id:
                    raise Damaged(f"The sealed letter {mail_id.hex()} is not what was sealed.")
        except Damaged as error:
            _note(error, _HOLDER, outcome)
            return None
        pieces = self.progress.counted(parcel_id, size, lambda: self._pieces(mail_id, size))
        return Sealed(mail_id, size, whole, pieces)

    async def _deliver(
        self, contact: Contact, letter: Sealed, person: people.Person, outcome: Outcome
    ) -> None:
        try:
            receipt = await self._stamped(
                person,
                lambda stamp: self.client.deliver(contact, letter, person.my_ticket, stamp),
            )
            outcome.take(receipt)
        except (TemporaryFailure, PeerMisbehaved) as error:
            _note(error, _NODE, outcome)
            if isinstance(error, Refused) and error.refusal in BUSY:
                outcome.said = outcome.reason
            if isinstance(error, Refused) and error.refusal == wire.Refusal.UNWANTED:
                # Of the devices in a record only that one is proven to be this person's.
                outcome.is_unwanted |= contact.peer == person.record.certificate.device

    async def _place_one(
        self,
        row: queue.Row,
        drops: Iterator[Drop],
        letter: Sealed,
        person: people.Person,
        outcome: Outcome,
    ) -> None:
        """Get one lease more: from the next drop that nobody tries yet, else from one behind it."""
        for drop in drops:
            if await self._deposit(row, drop, letter, person, outcome):
                return

    async def _deposit(
        self,
        row: queue.Row,
        drop: Drop,
        letter: Sealed,
        person: people.Person,
        outcome: Outcome,
    ) -> bool:
        """Whether this holder has the letter now, or what became of it."""
        holder = drop.contact
        lease: queue.LeaseRow | None = None
        expires = int(row.parcel.expires_at)
        deposit = wire.Deposit(
            drop.id, letter.mail_id, letter.size, expires, person.my_ticket, None
        )
        try:
            answer = await self._stamped(
                person,
                lambda stamp: self.client.deposit(holder, replace(deposit, stamp=stamp), letter),
            )
            if isinstance(answer, bytes | Reseal):
                outcome.take(answer)
                return True
            until = Instant(float(answer.lease.until))
            lease = queue.LeaseRow(drop.id, holder.peer, letter.mail_id, until, answer.signature)
            await outcome.on_lease(lease)
            outcome.leased = True
            return True
        except (TemporaryFailure, PeerMisbehaved) as error:
            if lease is None:
                _failed(error, holder.peer, outcome)
            _note(error, _HOLDER, outcome)
            return False

    async def _stamped(
        self, person: people.Person, send: Callable[[bytes | None], Awaitable[T]]
    ) -> T:
        """Send with a stamp where there is no ticket, or ours does not count there yet."""
        bits = person.record.strangers
        if person.my_ticket is None:
            return await send(await self.stamps.one_for(person.fingerprint, bits))
        try:
            return await send(None)
        except Refused as error:
            if error.refusal != wire.Refusal.STAMP:
                raise
        return await send(await self.stamps.one_for(person.fingerprint, bits))

    async def _ask(self, drop: Drop, mail_id: MailId, outcome: Outcome) -> None:
        """Has the recipient fetched it from this holder, and left a receipt?"""
        try:
            found = await self.client.ask(drop.contact, drop.id, [mail_id])
            outcome.was_answered = True
            if mail_id in found:
                outcome.take(found[mail_id])
        except (TemporaryFailure, PeerMisbehaved) as error:
            _failed(error, drop.contact.peer, outcome)
            _note(error, _HOLDER, outcome)

    def _pieces(self, mail_id: MailId, size: int) -> AsyncIterator[bytes]:
        return self.sealed.pieces(self.database, mail_id, size)


def _failed(error: Exception, holder: PeerId, outcome: Outcome) -> None:
    """A holder that says no in words has not failed, nor has one when our copy is damaged."""
    if not isinstance(error, Refused | Damaged):
        outcome.failed.add(holder)


@dataclass(frozen=True, slots=True)
class _Who:
    """What is told of somebody who did not take it."""

    name: str
    said: Callable[[str], str]
    misbehaved: Callable[[str], str]


_HOLDER = _Who("A holder", reasons.holder_said, reasons.holder_misbehaved)
_NODE = _Who("The recipient's node", reasons.node_said, reasons.node_misbehaved)


def _note(error: Exception, who: _Who, outcome: Outcome) -> None:
    if isinstance(error, Damaged):
        outcome.seal_is_damaged = True
        outcome.reason = str(error)
    elif isinstance(error, Refused) and error.refusal == wire.Refusal.FULL:
        outcome.reason = reasons.NO_ROOM
    elif isinstance(error, Refused):
        outcome.reason = who.said(str(error))
        outcome.drop_is_gone |= error.refusal == wire.Refusal.UNKNOWN
    elif isinstance(error, PeerMisbehaved):
        outcome.reason = who.misbehaved(str(error))
        log.warning("%s misbehaved: %s", who.name, error)


def _wanted(size: int, drops: int) -> int:
    """To how many holders a letter goes; a large one to those that its recipient named first."""
    return min(drops, limits.LARGE_LETTER_HOLDERS) if size > limits.LARGE_LETTER_BYTES else drops


def _head_start(size: int) -> float:
    if size > limits.MIB:
        return limits.DIRECT_HEAD_START_LARGE_SECONDS
    return limits.DIRECT_HEAD_START_SECONDS
